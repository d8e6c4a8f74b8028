// `sennit test replay`: a run once more, in the simulated world: exactly the one of a result, or a workbook with a seed.
import { statSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import type { Plan, RunResult, RunStatus, Summary } from '@sennit/loadtest'
import type { Command } from 'commander'
import { usageError } from '../exit-codes.ts'
import { createOutput, jsonOption, type Output } from '../output.ts'
import { onInterrupt } from '../signals.ts'
import { version } from '../version.ts'
import { readPlan, wholeNumber } from './test-plan.ts'

interface ReplayOptions {
  readonly seed?: string
  readonly scale?: string
  readonly plan?: string
  readonly out?: string
  readonly json?: boolean
}

const help = `
Of a result (its folder, or its summary.json) exactly that run is done again: the plan beside the summary, checked by its hash, with its seed. One that was
simulated must give the same result to the letter; what differs is told. One that was live is simulated. With --seed the plan stays, and what the
simulated world draws (delays, losses, who is first) is drawn anew.
Of a workbook a plan is made, with --seed and --scale; --plan says which hash it must have, and what differs is told.

Exit codes: those of \`test run\`.

Examples:
  sennit test replay sennit-results/load-2026-01-01-10-00-00
  sennit test replay sennit-results/load-2026-01-01-10-00-00 --seed 8 --out again
  sennit test replay load.xlsx --seed 7 --plan 3fa9c2`

export function addReplayCommand(test: Command): void {
  test
    .command('replay')
    .argument('<result>', 'folder of a result, its summary.json, or a workbook or its text twin')
    .option('--seed <n>', 'another seed')
    .option('--scale <x>', 'share of the clients, such as 0.1 (of a workbook)')
    .option('--plan <hash>', 'the plan that a workbook must give: the beginning of planHash of a summary')
    .option('--out <dir>', 'write the reports there (default: none are written)')
    .addOption(jsonOption())
    .description('do a run again in the simulated world')
    .addHelpText('after', help)
    .action(async (path: string, options: ReplayOptions) => {
      await replay(path, options)
    })
}

async function replay(path: string, options: ReplayOptions): Promise<void> {
  const out = createOutput(options.json === true)
  const of = isResult(path) ? await planOfResult(path, options, out) : await planOfWorkbook(path, options, out)
  if (of === undefined) return
  const { differences, environmentOf, writeReports } = await import('@sennit/loadtest')
  const { runVirtual } = await import('@sennit/loadtest/virtual')
  const { openLiveScreen } = await import('../live-screen.ts')
  const { describePlan, describeResult } = await import('../run-text.ts')
  out.note(describePlan(of.plan))
  const interruption = onInterrupt()
  const live = openLiveScreen(out, of.plan)
  let result: RunResult
  try {
    const onStatus = (status: RunStatus): void => live.show(status)
    result = await runVirtual({ plan: of.plan, environment: environmentOf('virtual', version), signal: interruption.signal, onStatus })
  } finally {
    live.end()
    interruption.dispose()
  }
  const { summary } = result
  const files = options.out === undefined ? [] : Object.values(await writeReports({ result, outDir: resolve(options.out) }))
  const repeats = of.before !== undefined && of.before.engine === 'virtual' && of.before.planHash === summary.planHash
  const differs = repeats && of.before !== undefined ? differences(of.before, summary) : []
  out.result(
    { ...summary, replay: { ...(repeats ? { same: differs.length === 0, differs } : {}), samePlan: of.samePlan } },
    [
      describeResult(result, files),
      ...(of.before === undefined
        ? []
        : [
            `that run was ${of.before.engine}: ${of.before.verdict} (exit code ${of.before.exitCode}), response p99 ${of.before.latencyMs.response.p99 ?? '-'} ms`,
          ]),
      ...(repeats ? [sameText(differs, of.before!)] : []),
    ].join('\n'),
  )
  process.exitCode = summary.exitCode
}

interface Replayed {
  readonly plan: Plan
  /** The run that is done again; undefined for a workbook. */
  readonly before?: Summary
  /** Whether the plan is the one that was asked for; null when none was. */
  readonly samePlan: boolean | null
}

function isResult(path: string): boolean {
  return basename(path) === 'summary.json' || statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

async function planOfResult(path: string, options: ReplayOptions, out: Output): Promise<Replayed> {
  const { readRunPlan, readSummary } = await import('@sennit/loadtest')
  if (options.scale !== undefined) throw usageError('--scale: expected a workbook to scale; found a result, whose plan is what it is')
  const before = readSummary(path)
  const plan = readRunPlan(path, before)
  if (options.plan !== undefined && !before.planHash.startsWith(options.plan.toLowerCase()))
    out.note(`the plan differs: expected ${options.plan}, found ${before.planHash}`)
  if (before.environment.sennit !== version) out.note(`that run was done by version ${before.environment.sennit}, this is ${version}`)
  const samePlan = options.plan === undefined || before.planHash.startsWith(options.plan.toLowerCase())
  if (options.seed === undefined) return { plan, before, samePlan }
  const seed = wholeNumber('--seed', options.seed)
  if (seed !== plan.seed)
    out.note(`the plan of that run, with seed ${seed} instead of ${plan.seed}: what the simulated world draws is drawn anew`)
  return { plan: { ...plan, seed }, before, samePlan: samePlan && seed === plan.seed }
}

async function planOfWorkbook(file: string, options: ReplayOptions, out: Output): Promise<Replayed | undefined> {
  const plan = await readPlan(file, options, out)
  if (plan === undefined) return undefined
  const { planHash } = await import('@sennit/loadtest')
  const hash = planHash(plan)
  if (options.plan === undefined) return { plan, samePlan: null }
  const samePlan = hash.startsWith(options.plan.toLowerCase())
  if (!samePlan) out.note(`the plan differs: expected ${options.plan}, found ${hash}. Is it the same workbook, --seed and --scale?`)
  return { plan, samePlan }
}

function sameText(differs: readonly string[], before: Summary): string {
  if (differs.length === 0) return 'the same result, to the letter'
  const why =
    before.environment.sennit === version ? 'the same version must give the same: please report it' : 'another version did that run'
  return `NOT the same result (${why}): ${differs.join(', ')}`
}
