// `sennit test shrink`: a test that fails in the simulated world, made as small as it can be and still fail for the same reason.
import { existsSync, renameSync, writeFileSync } from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { usageError } from '../exit-codes.ts'
import { createOutput, jsonOption } from '../output.ts'
import { onInterrupt } from '../signals.ts'
import { version } from '../version.ts'
import { positive, readPlan, wholeNumber } from './test-plan.ts'

interface ShrinkOptions {
  readonly seed?: string
  readonly runs: string
  readonly maxMinutes: string
  readonly out?: string
  readonly force?: boolean
  readonly json?: boolean
}

const help = `
Rows are taken away (clients that talk with each other together), counts and the duration lessened, cells cleared, as long as the simulated world fails
for the same reason (the same kind of damage, or a limit on the same figure). Interrupted, or at the end of its time, it writes the smallest it has found.

Exit codes: 0 a smaller test was written, 104 bad workbook, 2 the test passes or cannot be run.

Examples:
  sennit test shrink failing.xlsx                       # writes failing.min.sennit.yaml
  sennit test shrink failing.xlsx --seed 7 --out small.xlsx && sennit test run small.xlsx --virtual`

export function addShrinkCommand(test: Command): void {
  test
    .command('shrink')
    .argument('<file>', 'workbook .xlsx, or its text twin')
    .option('--seed <n>', 'seed instead of the one in the workbook; the smaller test keeps it')
    .option('--runs <n>', 'runs of the simulated world, at most', '300')
    .option('--max-minutes <n>', 'how long to search, at most', '10')
    .option('--out <file>', 'what to write, .yaml, .json or .xlsx (default: NAME.min.sennit.yaml)')
    .option('--force', 'replace a file that is there')
    .addOption(jsonOption())
    .description('make a failing test minimal, in the simulated world')
    .addHelpText('after', help)
    .action(async (file: string, options: ShrinkOptions) => {
      await shrink(file, options)
    })
}

async function shrink(file: string, options: ShrinkOptions): Promise<void> {
  const { encodeSheets, formOf, readSheets } = await import('@sennit/loadtest')
  const name = basename(file, extname(file)).replace(/\.sennit$/i, '')
  const target = options.out ?? join(dirname(file), `${name}.min.sennit.yaml`)
  const form = formOf(target)
  if (form === undefined) throw usageError(`--out: expected a name that ends with .yaml, .json or .xlsx; found "${target}"`)
  if (resolve(target) === resolve(file)) throw usageError(`--out: expected another file than the test itself; found ${target}`)
  if (existsSync(target) && options.force !== true) throw usageError(`expected no file at ${target} yet; found one. --force replaces it`)
  const runsMax = wholeNumber('--runs', options.runs)
  const minutes = positive('--max-minutes', options.maxMinutes)
  const out = createOutput(options.json === true)
  const plan = await readPlan(file, options.seed === undefined ? {} : { seed: options.seed }, out)
  if (plan === undefined) return
  const { shrinkTest } = await import('@sennit/loadtest/virtual')
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
  const interruption = onInterrupt()
  try {
    const shrunk = await shrinkTest({
      sheets: await readSheets(file),
      name: plan.name,
      environment: { sennit: version, node: 'any', platform: 'simulated', cpus: 0, memoryBytes: 0 },
      runsMax,
      signal: AbortSignal.any([interruption.signal, AbortSignal.timeout(Math.min(minutes * 60_000, 2 ** 31 - 1))]),
      ...(options.seed === undefined ? {} : { seed: wholeNumber('--seed', options.seed) }),
      onStep: (step) =>
        out.note(`run ${step.runs}: ${step.clients} clients, ${seconds(step.durationMs)}, ${step.rows} rows, ${step.cells} cells`, {
          ...step,
        }),
    })
    writeFileSync(`${target}.part`, await encodeSheets(shrunk.sheets, form, file))
    renameSync(`${target}.part`, target)
    const { rows, cells, runs, minimal, reason, removed, result } = shrunk
    out.result(
      {
        written: target,
        rows,
        cells,
        runs,
        minimal,
        exitCode: result.summary.exitCode,
        reason,
        removed,
        clients: result.plan.clients.length,
        durationMs: result.plan.run.durationMs,
      },
      [
        `${target}: ${plan.clients.length} clients became ${result.plan.clients.length}, ${seconds(plan.run.durationMs)} became ${seconds(result.plan.run.durationMs)}, ${rows} rows are left (${runs} runs)`,
        ...removed.map((line) => `  gone from ${line}`),
        `it fails for the same reason (exit code ${result.summary.exitCode}): ${reason}`,
        minimal ? 'nothing more of it can go' : 'it may become smaller yet: more --runs or --max-minutes',
        `sennit test run ${target} --virtual`,
      ].join('\n'),
    )
  } finally {
    interruption.dispose()
  }
}
