// The sheet `Run`: keys and values.
import { agentsMax, type RunSettings, reportKinds, runEngines } from '../plan.ts'
import { type RunKey, runKeys } from './columns.ts'
import { anyText, duration, type Kind, oneOf, percentileList, rate, whole, words } from './grammar.ts'
import { nearest, type Problems } from './problems.ts'
import { cellText, describeCell } from './raw-workbook.ts'
import { plainName, readCell, type Table, type TableRow } from './table.ts'

export interface RunSheet {
  readonly name: string
  readonly seed: number
  readonly settings: RunSettings
  /** Attaches a second. */
  readonly rampPerSecond: number
  /** `open`: messages are due whether or not the last one arrived. `closed`: after it was answered. */
  readonly model: 'open' | 'closed'
}

/** A day: longer soaks are several runs, each with a verdict of its own. */
const durationMaxMs = 24 * 3_600_000

/** What a seed may be: one seed stands for one world, exactly, in JSON too. */
const seedKind: Kind<number> = { ...whole(0, Number.MAX_SAFE_INTEGER), expected: 'a whole number' }

export function readRun(table: Table, fallbackName: string, problems: Problems): RunSheet {
  const rows = new Map<string, TableRow>()
  for (const row of table.rows) {
    const key = row.cell('key')
    if (key === undefined) {
      if (row.has('value')) row.wrong('W114', 'key', 'expected the key that this value is for')
      continue
    }
    const plain = plainName(cellText(key))
    if (plain.startsWith('x_')) continue
    if (!(runKeys as readonly string[]).includes(plain)) {
      const near = nearest(plain, runKeys)
      row.wrong('W115', 'key', `expected one of ${runKeys.join(', ')}`, describeCell(key), near === undefined ? '' : `Nearest: ${near}`)
    } else if (rows.has(plain)) row.wrong('W113', 'key', 'expected each key once', `${plain} again`)
    else rows.set(plain, row)
  }
  const place = (key: RunKey): TableRow | undefined => rows.get(key)
  const read = <T>(key: RunKey, kind: Kind<T>, fallback: NoInfer<T>): T => {
    const row = place(key)
    const cell = row?.cell('value')
    if (row === undefined || cell === undefined) return fallback
    return readCell(cell, kind, { ...row.place('value'), name: key }, problems) ?? fallback
  }

  const livePort = read('live_port', whole(0, 65_535), 0)
  const engine = read('engine', oneOf(runEngines), 'local')
  const agents = read('agents', agentCount, 0)
  const onAgentLoss = read('on_agent_loss', oneOf(['inconclusive', 'abort']), 'inconclusive')

  const durationMs = read('duration', duration, 60_000)
  const warmupMs = read('warmup', duration, Math.min(5000, durationMs / 4))
  const wrongly = (key: RunKey, expectation: string): void => {
    const row = place(key)
    if (row !== undefined) problems.add('W120', { ...row.place('value'), name: key }, expectation, row.text('value'))
  }
  if (durationMs < 100 || durationMs > durationMaxMs) wrongly('duration', 'expected from 100ms to 24h')
  if (warmupMs >= durationMs) wrongly('warmup', `expected shorter than duration (${durationMs / 1000}s)`)
  const drainMs = read('drain', duration, 10_000)
  if (drainMs > 600_000) wrongly('drain', 'expected at most 10m')
  const ramp = read('ramp_limit', rate, 500)
  if (ramp <= 0) wrongly('ramp_limit', 'expected more than 0/s')
  return {
    name: read('name', runName, fallbackName),
    seed: read('seed', seedKind, 1),
    rampPerSecond: ramp > 0 ? ramp : 500,
    model: read('model', oneOf(['open', 'closed']), 'open'),
    settings: {
      durationMs,
      warmupMs,
      drainMs,
      percentiles: read('percentiles', percentileList, [50, 90, 99, 99.9]),
      clockErrorMaxMs: read('clock_error_max', duration, 5),
      loopDelayP99MaxMs: read('loop_delay_p99_max', duration, 50),
      ...(livePort === 0 ? {} : { livePort }),
      reports: readReports(read('report', words, ['html', 'xlsx', 'json']), place('report'), problems),
      ...(engine === 'local' ? {} : { engine }),
      ...(agents === 0 ? {} : { agents }),
      ...(onAgentLoss === 'abort' ? { onAgentLoss } : {}),
    },
  }
}

/** `auto` is 0: as the engine or the command line says. */
const agentCount: Kind<number> = {
  code: 'W107',
  expected: `auto or a whole number from 1 to ${agentsMax}`,
  parse: (text) => (text.toLowerCase() === 'auto' ? 0 : whole(1, agentsMax).parse(text)),
}

/** It becomes part of file names. */
const runName: Kind<string> = {
  code: 'W107',
  expected: 'a name of letters, digits, spaces, dots, dashes and underscores (at most 80)',
  parse: (text) => (/^[\w][\w. -]{0,79}$/.test(text) ? text : undefined),
  guess: (text) =>
    anyText.parse(text) === undefined
      ? undefined
      : text
          .replace(/[^\w. -]+/g, '-')
          .replace(/^[-. ]+/, '')
          .slice(0, 80) || undefined,
}

function readReports(kinds: readonly string[], row: TableRow | undefined, problems: Problems): RunSettings['reports'] {
  for (const kind of kinds) {
    if (row === undefined || (reportKinds as readonly string[]).includes(kind.toLowerCase())) continue
    const near = nearest(kind, reportKinds)
    const hint = near === undefined ? '' : `Nearest: ${near}`
    problems.add('W112', { ...row.place('value'), name: 'report' }, `expected words of ${reportKinds.join(', ')}`, `"${kind}"`, hint)
  }
  return reportKinds.filter((kind) => kind === 'json' || kinds.some((one) => one.toLowerCase() === kind))
}
