// Two runs side by side: which figure moved, and whether it moved further than such a run strays by itself. Pure: two summaries in, a table and an
// exit code out.
//
// The noise of a figure is the largest of (1) three standard errors of the difference, from the blocks of both runs (or from how far the connections
// that a fault hit lie apart), (2) a share of the figure and
// (3) a fixed amount below which nobody cares. Counters that must be zero have no noise. What one run cannot show is what varies between runs:
// (2) and (3) stand for that, and are wide for the far tail, which a single late message decides.
import type { Block, FailoverRecord, Summary } from './run-result.ts'
import { exitCodes } from './verdict.ts'

export type Move = 'better' | 'worse' | 'same' | 'unknown'

export interface ComparedMetric {
  /** Such as `response p99` or `F1 stall p99`. */
  readonly metric: string
  readonly unit: string
  readonly before: number | null
  readonly after: number | null
  /** How far the figure may differ without meaning anything. */
  readonly noise: number
  readonly move: Move
  /** Why it is unknown, or what else to know; '' when there is nothing to say. */
  readonly remark: string
}

export interface Comparison {
  /** 0 nothing got worse · 99 something did, beyond noise · 120, 121 it lost bytes or connections that the first run kept · 122 not comparable. */
  readonly exitCode: number
  /** Worse first. */
  readonly metrics: readonly ComparedMetric[]
  /** Why the two runs are not the same test; empty when they are. */
  readonly notComparable: readonly string[]
  /** What differs and may explain a move. */
  readonly notes: readonly string[]
}

interface Tolerance {
  /** Of the larger figure. */
  readonly share: number
  readonly least: number
}

/** Above this the generator's own pauses are in every latency. The same line that a limit on a stall has. */
const loopDelayMaxMs = 20
/** Three standard errors: one figure in four hundred moves so far by chance. */
const errorsMax = 3
/** Fewer blocks say nothing about noise. */
const blocksMin = 5

const latencyTolerances: Readonly<Record<'p50' | 'p90' | 'p99' | 'p999' | 'max', Tolerance>> = {
  p50: { share: 0.05, least: 0.2 },
  p90: { share: 0.1, least: 0.5 },
  p99: { share: 0.15, least: 1 },
  p999: { share: 0.3, least: 3 },
  max: { share: 0.5, least: 10 },
}
const actTolerances: Readonly<Record<'p50' | 'p99' | 'max', Tolerance>> = {
  p50: { share: 0.2, least: 10 },
  p99: { share: 0.3, least: 15 },
  max: { share: 0.5, least: 25 },
}
const rateTolerance: Tolerance = { share: 0.02, least: 0.5 }
const loopTolerance: Tolerance = { share: 0.3, least: 3 }

/** Compares a run with an earlier one of the same test. */
export function compareRuns(before: Summary, after: Summary): Comparison {
  const metrics = [
    ...integrityMetrics(before, after),
    ...latencyMetrics(before, after),
    ...rateMetrics(before, after),
    ...actMetrics(before, after),
    ...limitMetrics(before, after),
  ]
  const notComparable = differences(before, after)
  const order: readonly Move[] = ['worse', 'unknown', 'better', 'same']
  return {
    exitCode: exitCodeOf(before, after, metrics, notComparable),
    metrics: [...metrics].sort((a, b) => order.indexOf(a.move) - order.indexOf(b.move)),
    notComparable,
    notes: notesOf(before, after),
  }
}

function exitCodeOf(before: Summary, after: Summary, metrics: readonly ComparedMetric[], notComparable: readonly string[]): number {
  if (damageOf(after) > 0 && damageOf(before) === 0) return exitCodes.integrity
  if (after.connections.neverRecovered > 0 && before.connections.neverRecovered === 0) return exitCodes.neverRecovered
  if (notComparable.length > 0) return exitCodes.inconclusive
  if (metrics.some(({ move }) => move === 'worse')) return exitCodes.limit
  return metrics.some(({ move }) => move === 'unknown') ? exitCodes.inconclusive : exitCodes.pass
}

const damages = ['lost', 'duplicated', 'reordered', 'corrupted', 'unexpected'] as const

function damageOf({ integrity }: Summary): number {
  return damages.reduce((sum, kind) => sum + integrity[kind], 0)
}

/** What must be zero: any more is worse. */
function integrityMetrics(before: Summary, after: Summary): ComparedMetric[] {
  const exact = (metric: string, unit: string, a: number, b: number): ComparedMetric => judged(metric, unit, a, b, 0, 'lower')
  return [
    ...[...damages, 'unknown' as const].map((kind) => exact(kind, 'B', before.integrity[kind], after.integrity[kind])),
    exact('never_recovered', 'connections', before.connections.neverRecovered, after.connections.neverRecovered),
    exact('connections failed', 'connections', before.connections.failed, after.connections.failed),
    exact('connections reset', 'connections', before.connections.reset, after.connections.reset),
    exact('clients rejected', 'clients', before.clients.rejected, after.clients.rejected),
    judged('clients attached', 'clients', before.clients.attached, after.clients.attached, 0, 'higher'),
  ]
}

function latencyMetrics(before: Summary, after: Summary): ComparedMetric[] {
  const late = [before, after].some(({ generator }) => (generator.loopDelayP99Ms ?? 0) > loopDelayMaxMs)
  return (['response', 'service'] as const).flatMap((kind) =>
    (['p50', 'p90', 'p99', 'p999', 'max'] as const).map((point) => {
      const [a, b] = [before.latencyMs[kind][point], after.latencyMs[kind][point]]
      const of = point === 'p50' ? (block: Block) => block.p50Ms : (block: Block) => block.p99Ms
      const metric = judged(`${kind} ${point}`, 'ms', a, b, noise(a, b, latencyTolerances[point], errorOf(before, after, of)), 'lower')
      if (!late || metric.move === 'same') return metric
      return {
        ...metric,
        move: 'unknown',
        remark: `the generator's event loop was late by more than ${loopDelayMaxMs} ms (p99): the move may be its own`,
      }
    }),
  )
}

function rateMetrics(before: Summary, after: Summary): ComparedMetric[] {
  const { throughput: a } = before
  const { throughput: b } = after
  const messages = errorOf(before, after, (block) => block.messagesPerSecond)
  const bytes = errorOf(before, after, (block) => block.bytesPerSecond)
  const [loopA, loopB] = [before.generator.loopDelayP99Ms, after.generator.loopDelayP99Ms]
  return [
    judged(
      'throughput',
      'messages/s',
      a.messagesPerSecond,
      b.messagesPerSecond,
      noise(a.messagesPerSecond, b.messagesPerSecond, rateTolerance, messages),
      'higher',
    ),
    judged('goodput', 'B/s', a.bytesPerSecond, b.bytesPerSecond, noise(a.bytesPerSecond, b.bytesPerSecond, rateTolerance, bytes), 'higher'),
    judged('generator_loop_delay p99', 'ms', loopA, loopB, noise(loopA, loopB, loopTolerance, 0), 'lower'),
  ]
}

const actTimes = { stall: 'stallMs', detect: 'detectMs', failover: 'failoverMs', recover_to_rate: 'recoverToRateMs' } as const

/** By row of `Faults`: the worst of its acts, which is what a limit on it sees. */
function actMetrics(before: Summary, after: Summary): ComparedMetric[] {
  const faults = [...new Set(before.failovers.map(({ fault }) => fault))]
  return faults.flatMap((fault) =>
    Object.entries(actTimes).flatMap(([name, field]) =>
      (['p50', 'p99', 'max'] as const).map((point) => {
        const worst = (summary: Summary): number | null => worstOf(summary.failovers, fault, (one) => one[field][point])
        const [a, b] = [worst(before), worst(after)]
        const error = Math.hypot(spreadOf(before, fault, field), spreadOf(after, fault, field))
        return judged(`${fault} ${name} ${point}`, 'ms', a, b, noise(a, b, actTolerances[point], error), 'lower')
      }),
    ),
  )
}

function worstOf(failovers: readonly FailoverRecord[], fault: string, of: (one: FailoverRecord) => number | null): number | null {
  const values = failovers
    .filter((one) => one.fault === fault)
    .map(of)
    .filter((value) => value !== null)
  return values.length === 0 ? null : Math.max(...values)
}

/** How far the connections of one act lie apart, over the root of how many there are: few connections leave its figures to chance. */
function spreadOf(summary: Summary, fault: string, field: (typeof actTimes)[keyof typeof actTimes]): number {
  const spread = worstOf(summary.failovers, fault, ({ [field]: { p50, max }, connections }) =>
    p50 === null || max === null ? null : (max - p50) / Math.sqrt(Math.max(1, connections)),
  )
  return spread ?? 0
}

/** A limit that held and holds no more is worse, whatever the noise: it is where somebody drew a line. */
function limitMetrics(before: Summary, after: Summary): ComparedMetric[] {
  return before.limits.flatMap((one): ComparedMetric[] => {
    const other = after.limits.find(({ limit, metric }) => limit === one.limit && metric === one.metric)
    if (other === undefined) return []
    const moves: Record<string, Move> = { 'true false': 'worse', 'false true': 'better', 'true null': 'unknown', 'null false': 'worse' }
    const move = moves[`${one.held} ${other.held}`] ?? 'same'
    const said = (held: boolean | null): string => (held === null ? 'not measured' : held ? 'held' : 'broken')
    const remark = move === 'same' ? '' : `${said(one.held)} before, ${said(other.held)} now`
    return [{ metric: `limit ${one.limit}`, unit: one.unit, before: one.measured, after: other.measured, noise: 0, move, remark }]
  })
}

function judged(
  metric: string,
  unit: string,
  before: number | null,
  after: number | null,
  noise: number,
  good: 'lower' | 'higher',
): ComparedMetric {
  const base = { metric, unit, before, after, noise: rounded(noise) }
  if (before === null && after === null) return { ...base, move: 'same', remark: 'measured in neither run' }
  if (before === null || after === null)
    return { ...base, move: 'unknown', remark: `measured only in the ${before === null ? 'second' : 'first'} run` }
  if (Math.abs(after - before) <= noise) return { ...base, move: 'same', remark: '' }
  return { ...base, move: after < before === (good === 'lower') ? 'better' : 'worse', remark: '' }
}

function noise(before: number | null, after: number | null, { share, least }: Tolerance, error: number): number {
  return Math.max(errorsMax * error, share * Math.max(Math.abs(before ?? 0), Math.abs(after ?? 0)), least)
}

/** The standard error of the difference of the means of both runs' blocks; 0 when they are too few to say. */
function errorOf(before: Summary, after: Summary, of: (block: Block) => number | null): number {
  const [a, b] = [before, after].map((summary) => varianceOfMean((summary.blocks ?? []).map(of).filter((value) => value !== null)))
  return a === undefined || b === undefined ? 0 : Math.sqrt(a + b)
}

function varianceOfMean(values: readonly number[]): number | undefined {
  if (values.length < blocksMin) return undefined
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1) / values.length
}

/** What makes two runs different tests. */
function differences(before: Summary, after: Summary): string[] {
  const faults = ({ failovers }: Summary): string => failovers.map((one) => `${one.fault} ${one.action}`).join(', ') || 'none'
  const rows: [string, string | number, string | number][] = [
    ['engine', before.engine, after.engine],
    ['clients planned', before.clients.planned, after.clients.planned],
    ['connections planned', before.connections.planned, after.connections.planned],
    ['faults', faults(before), faults(after)],
  ]
  const found = rows.filter(([, a, b]) => a !== b).map(([what, a, b]) => `${what}: ${a} before, ${b} now`)
  if (Math.abs(before.durationMs - after.durationMs) > 0.1 * Math.max(before.durationMs, after.durationMs))
    found.push(`duration: ${before.durationMs} ms before, ${after.durationMs} ms now`)
  for (const [which, { exitCode }] of [['first', before] as const, ['second', after] as const])
    if (exitCode === exitCodes.interrupted) found.push(`the ${which} run was interrupted`)
  return found
}

function notesOf(before: Summary, after: Summary): string[] {
  const notes: string[] = []
  const differ = (what: string, a: string | number, b: string | number): void => {
    if (a !== b) notes.push(`${what}: ${a} before, ${b} now`)
  }
  differ('name', before.name, after.name)
  differ('seed', before.seed, after.seed)
  if (before.seed === after.seed && before.planHash !== after.planHash) notes.push('the plans differ (another workbook or scale)')
  for (const fact of new Set([...Object.keys(before.environment), ...Object.keys(after.environment)]))
    differ(fact, before.environment[fact] ?? 'not said', after.environment[fact] ?? 'not said')
  const few = [before, after].some(({ blocks }) => (blocks ?? []).length < blocksMin)
  if (few) notes.push(`noise is a rule of thumb: a run has fewer than ${blocksMin} blocks of measured seconds`)
  return notes
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}
