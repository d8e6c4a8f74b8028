// The plan of a run, kept beside its summary as `plan.json.gz`, so that exactly that run can be done again: whatever became of the workbook.
import { readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { SennitError } from '@sennit/protocol'
import { freezePlan, type Plan, planHash } from '../plan.ts'
import type { Summary } from './run-result.ts'

export const planFile = 'plan.json.gz'

/** A plan of 100 000 clients has about 100 MB as text. */
const textBytesMax = 512 * 1024 * 1024

export function planBytes(plan: Plan): Uint8Array {
  return gzipSync(JSON.stringify(plan))
}

/**
 * The plan that a summary tells of. `path` is the folder of the results, or the summary in it.
 *
 * @throws SennitError `file_unreadable` when there is none, `file_malformed` when it is another one than the summary tells of
 */
export function readRunPlan(path: string, summary: Summary): Plan {
  let file = path
  let text: string
  try {
    file = join(statSync(path).isDirectory() ? path : dirname(path), planFile)
    text = gunzipSync(readFileSync(file), { maxOutputLength: textBytesMax }).toString('utf8')
  } catch (cause) {
    const why =
      (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is none (an older version wrote no plan)' : (cause as Error).message
    throw new SennitError(
      'file_unreadable',
      `expected the plan of the run in ${file}; ${why}. Replay the workbook instead`,
      { file },
      cause,
    )
  }
  let plan: Plan
  try {
    plan = JSON.parse(text) as Plan
  } catch (cause) {
    throw new SennitError('file_malformed', `${file} is not the plan of a run: expected JSON; found something else`, { file }, cause)
  }
  const hash = planHash(plan)
  if (hash !== summary.planHash)
    throw new SennitError('file_malformed', `${file} is not the plan of this run: expected hash ${summary.planHash}; found ${hash}`, {
      file,
    })
  return freezePlan(plan)
}

/** Where two summaries differ, as paths such as `latencyMs.response.p99`, the first `most` of them; what the machine was does not count. */
export function differences(before: Summary, after: Summary, most = 10): string[] {
  const found: string[] = []
  const walk = (one: unknown, other: unknown, path: string): void => {
    if (found.length >= most || path === 'environment') return
    if (one === null || other === null || typeof one !== 'object' || typeof other !== 'object') {
      if (!Object.is(one, other)) found.push(path)
      return
    }
    for (const key of new Set([...Object.keys(one), ...Object.keys(other)]))
      walk((one as Record<string, unknown>)[key], (other as Record<string, unknown>)[key], path === '' ? key : `${path}.${key}`)
  }
  // As it stands in the file: what is undefined is absent.
  walk(before, JSON.parse(JSON.stringify(after)), '')
  return found
}
