// Reads the `summary.json` of a run: the file, or the folder it stands in. It may come from anywhere, so its shape is looked at before it is believed.
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { SennitError } from '@sennit/protocol'
import type { Summary } from './run-result.ts'

/** A run of 50 000 clients has about 200 kB. */
const bytesMax = 20 * 1024 * 1024

/** Fields that every reader here needs, and what they are. */
const shape: Readonly<Record<string, 'string' | 'number' | 'object' | 'array'>> = {
  verdict: 'string',
  exitCode: 'number',
  name: 'string',
  seed: 'number',
  planHash: 'string',
  engine: 'string',
  durationMs: 'number',
  environment: 'object',
  'clients.planned': 'number',
  'clients.attached': 'number',
  'clients.rejected': 'number',
  'connections.planned': 'number',
  'connections.failed': 'number',
  'connections.reset': 'number',
  'connections.neverRecovered': 'number',
  'integrity.lost': 'number',
  'integrity.duplicated': 'number',
  'integrity.reordered': 'number',
  'integrity.corrupted': 'number',
  'integrity.unexpected': 'number',
  'integrity.unknown': 'number',
  'latencyMs.response': 'object',
  'latencyMs.service': 'object',
  'throughput.messagesPerSecond': 'number',
  'throughput.bytesPerSecond': 'number',
  failovers: 'array',
  limits: 'array',
  generator: 'object',
}

/**
 * The summary of a run. Throws `file_unreadable` when there is none at the path, `file_malformed` when it is not the summary of a run.
 */
export function readSummary(path: string): Summary {
  let text: string
  let file = path
  try {
    if (statSync(path).isDirectory()) file = join(path, 'summary.json')
    if (statSync(file).size > bytesMax) throw malformed(file, `at most ${bytesMax} bytes`, String(statSync(file).size))
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    if (cause instanceof SennitError) throw cause
    const why = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'it does not exist' : String((cause as Error).message)
    throw new SennitError(
      'file_unreadable',
      `expected the summary.json of a run, or the folder of its results, at ${path}; ${why}`,
      { path },
      cause,
    )
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw malformed(file, 'JSON', 'something else', cause)
  }
  for (const [field, kind] of Object.entries(shape)) {
    const found = at(value, field.split('.'))
    if (kindOf(found) !== kind)
      throw malformed(file, `${field} to be ${kind === 'array' || kind === 'object' ? `an ${kind}` : `a ${kind}`}`, kindOf(found))
  }
  const summary = value as Summary
  for (const one of summary.failovers as readonly unknown[])
    for (const field of ['detectMs', 'stallMs', 'failoverMs', 'recoverToRateMs'])
      if (kindOf(at(one, [field])) !== 'object') throw malformed(file, `${field} in every failover`, kindOf(at(one, [field])))
  for (const one of summary.limits as readonly unknown[])
    if (kindOf(at(one, ['limit'])) !== 'string') throw malformed(file, 'a name in every limit', kindOf(at(one, ['limit'])))
  return summary
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((here, key) => (kindOf(here) === 'object' ? (here as Record<string, unknown>)[key] : undefined), value)
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

function malformed(file: string, expected: string, found: string, cause?: unknown): SennitError {
  return new SennitError('file_malformed', `${file} is not the summary of a run: expected ${expected}; found ${found}`, { file }, cause)
}
