// `sennit test knee`: the rate at which a mesh breaks, live or in the simulated world.
import type { Knee, KneeFigures, Plan, RunResult } from '@sennit/loadtest'
import type { Command } from 'commander'
import { meshDirOf } from '../mesh-dir.ts'
import { createOutput, jsonOption, table } from '../output.ts'
import { endWithParent, programPath } from '../relay-process.ts'
import { onInterrupt } from '../signals.ts'
import { version } from '../version.ts'
import { positive, readPlan, wholeNumber } from './test-plan.ts'

interface KneeCommandOptions {
  readonly virtual?: boolean
  readonly mesh?: string
  readonly seed?: string
  readonly scale?: string
  readonly from: string
  readonly step: string
  readonly precision: string
  readonly runs: string
  readonly maxMinutes: string
  readonly json?: boolean
}

const help = `
All rates of the workbook are multiplied: by --from first, then doubled until it breaks (or halved until it holds), then the gap is halved until it is
narrower than --precision. Each step is a run of its own, without the workbook's faults and phases. It breaks when a limit of the workbook breaks. A workbook
without limits on latency breaks when less than 99 % of the rate arrives, or p99 is more than ten times the one without load. Live, a break counts when it
came twice.

Exit codes: 0 found, 99 it breaks at the smallest rate already, 104 bad workbook, 105 interrupted, 122 not found: it never broke, the generator was the limit,
or the time or the runs were over.

Examples:
  sennit test knee scenarios/03-ramp-to-knee.xlsx --virtual
  sennit test knee load.xlsx --step 30 --max-minutes 20 --json`

export function addKneeCommand(test: Command): void {
  test
    .command('knee')
    .argument('<file>', 'workbook .xlsx, or its text twin')
    .option('--virtual', 'in the simulated world')
    .option('--mesh <dir>', 'use the relays of a mesh that runs already')
    .option('--seed <n>', 'seed instead of the one in the workbook')
    .option('--scale <x>', 'share of the clients, such as 0.1')
    .option('--from <x>', 'the first factor on the rates', '1')
    .option('--step <seconds>', 'how long each step measures', '15')
    .option('--precision <percent>', 'how near the last good and the first bad rate must be', '5')
    .option('--runs <n>', 'runs, at most', '24')
    .option('--max-minutes <n>', 'how long to search, at most', '30')
    .addOption(jsonOption())
    .description('find the rate at which a mesh breaks')
    .addHelpText('after', help)
    .action(async (file: string, options: KneeCommandOptions) => {
      await knee(file, options)
    })
}

async function knee(file: string, options: KneeCommandOptions): Promise<void> {
  const out = createOutput(options.json === true)
  const search = {
    from: positive('--from', options.from),
    stepMs: positive('--step', options.step) * 1_000,
    precision: positive('--precision', options.precision) / 100,
    runsMax: wholeNumber('--runs', options.runs),
    confirm: options.virtual !== true,
  }
  const minutes = positive('--max-minutes', options.maxMinutes)
  const meshDir = meshDirOf(options)
  const plan = await readPlan(file, options, out)
  if (plan === undefined) return
  const { environmentOf, exitCodes, findKnee, runLive } = await import('@sennit/loadtest')
  const environment = environmentOf(options.virtual === true ? 'virtual' : 'local', version)
  const interruption = onInterrupt()
  const signal = AbortSignal.any([interruption.signal, AbortSignal.timeout(Math.min(minutes * 60_000, 2 ** 31 - 1))])
  const run = async (step: Plan): Promise<RunResult> => {
    if (options.virtual === true) return await (await import('@sennit/loadtest/virtual')).runVirtual({ plan: step, environment, signal })
    const relayCommand = [...endWithParent(), process.execPath, programPath, 'relay']
    return await runLive({
      plan: step,
      environment,
      signal,
      relayCommand,
      ...(meshDir === undefined ? {} : { meshDir }),
    })
  }
  if (plan.acts.length > 0 || plan.phases !== undefined) out.note('faults and phases of the workbook are left out: each step has one rate')
  try {
    const found = await findKnee({ plan, run, ...search, signal, onStep: (figures) => out.note(stepText(figures), { ...figures }) })
    const exitCode =
      interruption.by() !== undefined
        ? exitCodes.interrupted
        : found.end === 'found'
          ? exitCodes.pass
          : found.end === 'never_good'
            ? exitCodes.limit
            : exitCodes.inconclusive
    out.result({ ...found, exitCode }, describeKnee(found, minutes))
    process.exitCode = exitCode
  } finally {
    interruption.dispose()
  }
}

const milliseconds = (value: number | null): string => (value === null ? '-' : value.toFixed(1))

function stepText({ factor, outcome, reason, asked, reached, p99Ms }: KneeFigures): string {
  const figures = `×${factor.toPrecision(3)}: ${reached.toFixed(0)} of ${asked.toFixed(0)} messages/s, p99 ${milliseconds(p99Ms)} ms`
  return `${figures}: ${outcome}${reason === '' ? '' : `, ${reason}`}`
}

function describeKnee({ end, lastGood, firstBad, unsure, steps }: Knee, minutes: number): string {
  const rows = [...steps]
    .sort((a, b) => a.factor - b.factor)
    .map(({ factor, asked, reached, p50Ms, p99Ms, loopDelayP99Ms, outcome }) => [
      `×${factor.toPrecision(3)}`,
      asked.toFixed(0),
      reached.toFixed(0),
      milliseconds(p50Ms),
      milliseconds(p99Ms),
      milliseconds(loopDelayP99Ms),
      outcome,
    ])
  const good =
    lastGood === undefined
      ? 'no rate held'
      : `last good: ${lastGood.asked.toFixed(0)} messages/s (×${lastGood.factor.toPrecision(3)}), p99 ${milliseconds(lastGood.p99Ms)} ms`
  const bad =
    firstBad === undefined
      ? []
      : [
          `first bad: ${firstBad.asked.toFixed(0)} messages/s (×${firstBad.factor.toPrecision(3)}), p99 ${milliseconds(firstBad.p99Ms)} ms: ${firstBad.reason}`,
        ]
  const why: Record<Knee['end'], string> = {
    found: 'the knee lies between them',
    unbroken: 'it did not break at any rate that was tried',
    never_good: 'it breaks at the smallest rate already',
    unsure: `inconclusive: above the last good rate the mesh could not be measured: ${unsure?.reason ?? ''}`,
    runs: 'inconclusive: the runs were used up (--runs)',
    stopped: `inconclusive: stopped before it was found (at most ${minutes} minutes, --max-minutes)`,
  }
  return ['', table(['rates', 'asked/s', 'reached/s', 'p50', 'p99 ms', 'loop delay p99', ''], rows), '', good, ...bad, why[end]].join('\n')
}
