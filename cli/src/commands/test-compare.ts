// `sennit test compare`: two runs of one test, and whether what differs is more than noise.
import type { Comparison } from '@sennit/loadtest'
import type { Command } from 'commander'
import { createOutput, jsonOption, table } from '../output.ts'

interface CompareOptions {
  readonly all?: boolean
  readonly json?: boolean
}

const help = `
Noise is what a figure strays within both runs (three standard errors over up to twenty blocks of seconds), or a share of it that depends on
the figure, whichever is larger. A counter of damage and a limit that broke have no noise. Names, seeds and machines that differ are told.

Exit codes: 0 nothing got worse, 99 something got worse beyond noise or a limit broke, 120 bytes are damaged that were not, 121 connections
never recovered that did, 122 not comparable or not measured in both, 2 a file that is no summary. The first that applies, in the order 120, 121, 122
(not comparable), 99, 122 (not measured), decides.

Examples:
  sennit test compare results/monday results/tuesday
  sennit test compare base/summary.json new/summary.json --json
  sennit test compare results/v1 results/v2 || echo "slower, or worse"`

export function addCompareCommand(test: Command): void {
  test
    .command('compare')
    .argument('<before>', 'summary.json of a run, or its folder of results')
    .argument('<after>', 'the same of the run to judge')
    .option('--all', 'show figures that did not move, too')
    .addOption(jsonOption())
    .description('compare two runs: which figure moved, and is it beyond noise')
    .addHelpText('after', help)
    .action(async (before: string, after: string, options: CompareOptions) => {
      const { compareRuns, readSummary } = await import('@sennit/loadtest')
      const comparison = compareRuns(readSummary(before), readSummary(after))
      const out = createOutput(options.json === true)
      out.result(comparison, describeComparison(comparison, options.all === true))
      process.exitCode = comparison.exitCode
    })
}

function describeComparison({ metrics, notComparable, notes, exitCode }: Comparison, all: boolean): string {
  const shown = metrics.filter(({ move }) => all || move !== 'same')
  const worse = metrics.filter(({ move }) => move === 'worse').length
  const better = metrics.filter(({ move }) => move === 'better').length
  const rows = shown.map(({ metric, unit, before, after, noise, move, remark }) => [
    move === 'worse' ? 'WORSE' : move,
    metric,
    figure(before),
    figure(after),
    before === null || after === null || before === 0
      ? ''
      : `${after >= before ? '+' : ''}${(((after - before) / before) * 100).toFixed(1)} %`,
    `± ${figure(noise)}`,
    unit,
    remark,
  ])
  return [
    ...(rows.length === 0 ? [] : [table(['', 'figure', 'before', 'after', 'change', 'noise', 'unit', ''], rows), '']),
    ...notComparable.map((one) => `not comparable: ${one}`),
    ...notes.map((one) => `note: ${one}`),
    `${worse} worse, ${better} better, ${metrics.length - worse - better} within noise or not measured (exit code ${exitCode})`,
  ].join('\n')
}

function figure(value: number | null): string {
  return value === null ? '-' : String(Math.round(value * 100) / 100)
}
