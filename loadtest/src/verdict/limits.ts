// Measures each limit of the plan and says whether it held. A limit that could not be measured has `held: null` and makes the run
// inconclusive: a pass that could not have failed is not a pass.
import { type Limit, type LimitOperator, type LimitStat, type Metric, metrics } from '../plan.ts'
import type { ActRecord } from './act-record.ts'
import { percentileOf } from './histogram.ts'
import { connectionFilter } from './limit-filter.ts'
import type { RunRecorder } from './run-recorder.ts'
import type { LimitResult } from './run-result.ts'

/** Above this the generator's own pauses would be taken for stalls of the connection. */
const stallLoopDelayMaxMs = 20

interface Measured {
  readonly value: number | null
  readonly remark: string
}

/** Measures all limits of the plan, in its order. */
export function measureLimits(recorder: RunRecorder, endedAtMs: number): LimitResult[] {
  const { endedEarly } = recorder
  return recorder.plan.limits.map((limit) => {
    const result = measureLimit(limit, recorder, endedAtMs)
    if (endedEarly?.limit !== limit.limit || result.held === false) return result
    return { ...result, measured: endedEarly.measured ?? null, held: false, remark: endedEarly.why }
  })
}

/** Measures one limit, as it stands at that time. */
export function measureLimit(limit: Limit, recorder: RunRecorder, nowMs: number): LimitResult {
  const { value, remark } = measure(limit, recorder, nowMs)
  return {
    limit: limit.limit,
    metric: limit.metric,
    stat: limit.statText,
    op: limit.op,
    value: limit.value,
    measured: value,
    held: value === null ? null : compare(value, limit.op, limit.value),
    severity: limit.severity,
    unit: metrics[limit.metric].unit,
    window: limit.windowText,
    remark,
  }
}

/** How a limit stands while the run lasts. `open`: nothing was measured yet, or what it asks for may still come. */
export function limitState({ metric, stat, op, value, severity }: Limit, { held, measured }: LimitResult): 'held' | 'broken' | 'open' {
  if (held === true) return 'held'
  // Counts only grow: what is too few now may be enough in the end. `sometimes` waits for its moment.
  const grows = metrics[metric].kind === 'counter' || metric === 'failover_connections' || stat.kind === 'count'
  const mayCome = grows && (op === '>' || op === '>=' || (op === '=' && (measured ?? 0) < value))
  return held === null || mayCome || severity === 'sometimes' ? 'open' : 'broken'
}

/** Whether a comparison holds. */
export function compare(measured: number, op: LimitOperator, value: number): boolean {
  switch (op) {
    case '<':
      return measured < value
    case '<=':
      return measured <= value
    case '=':
      return measured === value
    case '!=':
      return measured !== value
    case '>=':
      return measured >= value
    case '>':
      return measured > value
  }
}

function measure(limit: Limit, recorder: RunRecorder, endedAtMs: number): Measured {
  switch (metrics[limit.metric].kind) {
    case 'histogram':
      return ofHistogram(limit, recorder, endedAtMs)
    case 'rate':
      return ofRate(limit, recorder, endedAtMs)
    case 'act':
      return ofActs(limit, recorder)
    case 'gauge':
      return ofRelays(limit, recorder)
    case 'seen':
      return ofBytesSeen(limit, recorder)
    case 'shares':
      return ofPathShares(limit, recorder)
    case 'counter':
      return { value: ofCounter(limit, recorder), remark: '' }
    case 'ratio':
      return limit.metric === 'bystander_p99_ratio' ? recorder.bystanders.ratio(limit) : ofRatio(limit.metric, recorder)
  }
}

function ofHistogram(limit: Limit, recorder: RunRecorder, endedAtMs: number): Measured {
  const histogram = recorder.windowed.histogram(limit)
  if (histogram === undefined || histogram.count === 0)
    return { value: null, remark: `nothing was measured in the window ${limit.windowText}` }
  const stat = limit.stat
  if (stat.kind === 'p') return { value: histogram.at(stat.percentile), remark: '' }
  if (stat.kind === 'max') return { value: histogram.max, remark: '' }
  if (stat.kind === 'min') return { value: histogram.min, remark: '' }
  if (stat.kind === 'count') return { value: histogram.count, remark: '' }
  if (stat.kind === 'rate') {
    return {
      value: histogram.count / Math.max(0.1, recorder.windowed.seconds(limit, Math.min(endedAtMs, recorder.loadEndMs))),
      remark: '',
    }
  }
  return { value: histogram.mean, remark: '' }
}

function ofRate(limit: Limit, recorder: RunRecorder, endedAtMs: number): Measured {
  const counts = recorder.windowed.counts(limit)
  const seconds = recorder.windowed.seconds(limit, Math.min(endedAtMs, recorder.loadEndMs))
  if (counts === undefined || seconds === 0) return { value: null, remark: `the window ${limit.windowText} was empty` }
  const amount = limit.metric === 'goodput' ? counts.bytes : counts.messages
  return { value: limit.stat.kind === 'count' ? amount : amount / seconds, remark: '' }
}

function ofRelays(limit: Limit, recorder: RunRecorder): Measured {
  const values = [...recorder.relaySamples]
    .filter(([relay]) => countsRelay(limit, relay))
    .map(([, { rssMaxBytes, cpuMax, descriptorsMax }]) =>
      limit.metric === 'relay_rss' ? rssMaxBytes : limit.metric === 'relay_cpu' ? cpuMax : descriptorsMax,
    )
    .filter((value) => value !== null)
  return values.length === 0 ? { value: null, remark: 'no such relay was sampled' } : { value: Math.max(...values), remark: '' }
}

/** One value for each relay: its part of all active paths, over the seconds of the run. */
function ofPathShares(limit: Limit, recorder: RunRecorder): Measured {
  const shares = recorder.plan.relays
    .filter(({ relay }) => countsRelay(limit, relay))
    .map(({ relay }) => recorder.timeline.pathShare(relay))
    .filter((share) => share !== null)
  return shares.length === 0
    ? { value: null, remark: 'no connection had an active path' }
    : { value: overValues(shares, limit.stat), remark: '' }
}

function ofRatio(metric: Metric, recorder: RunRecorder): Measured {
  if (metric === 'datagram_loss') {
    const { sent, missing } = recorder.datagrams()
    return sent === 0 ? { value: null, remark: 'no datagram was sent' } : { value: missing / sent, remark: '' }
  }
  if (metric === 'compression_ratio') {
    const { bytesBefore, bytesAfter } = recorder.compression
    return bytesBefore === 0 ? { value: null, remark: 'no message was compressed' } : { value: bytesAfter / bytesBefore, remark: '' }
  }
  return { value: null, remark: 'not measured yet' }
}

/** One value for each relay that carried something of a connection, both ways, as the caller counted it. */
function ofBytesSeen(limit: Limit, recorder: RunRecorder): Measured {
  const counts = connectionFilter(recorder.plan, limit) ?? (() => true)
  const seen = [...recorder.bytesSeen].filter(([flow]) => counts(flow)).flatMap(([, relays]) => Object.entries(relays))
  const values = seen.filter(([relay]) => countsRelay(limit, relay)).map(([, bytes]) => bytes)
  return values.length === 0
    ? { value: null, remark: 'no connection said what its relays carried' }
    : { value: overValues(values, limit.stat), remark: '' }
}

function ofCounter(limit: Limit, recorder: RunRecorder): number {
  const whole = limit.window.kind === 'run' && connectionFilter(recorder.plan, limit) === undefined
  return (whole ? undefined : recorder.windowed.amount(limit)) ?? counter(limit.metric, recorder)
}

function countsRelay({ relays = [] }: Limit, relay: string): boolean {
  return relays.length === 0 || relays.includes(relay)
}

function counter(metric: Metric, recorder: RunRecorder): number {
  switch (metric) {
    case 'lost':
    case 'duplicated':
    case 'reordered':
    case 'corrupted':
    case 'unexpected':
    case 'unknown':
      return recorder.damage[metric]
    case 'datagrams_missing':
      return recorder.datagrams().missing
    case 'never_recovered':
      return recorder.flows.filter((flow) => flow.neverRecovered || flow.state === 'broken').length
    case 'dropped_starts':
      return recorder.droppedStarts
    case 'connections_opened':
      return recorder.flows.filter((flow) => flow.state !== 'planned' && flow.state !== 'failed').length
    case 'connections_failed':
      return recorder.flows.filter((flow) => flow.state === 'failed').length
    default:
      return recorder.resets
  }
}

function ofActs(limit: Limit, recorder: RunRecorder): Measured {
  const acts = recorder.acts.filter((record) => counts(limit, record))
  const begun = acts.filter((record) => record.startMs !== null)
  if (begun.length === 0) return { value: null, remark: 'no such fault happened' }
  if (limit.metric === 'failover_connections') {
    return {
      value: overValues(
        begun.map((record) => record.connections),
        limit.stat,
      ),
      remark: '',
    }
  }
  const isMeant = connectionFilter(recorder.plan, limit) ?? (() => true)
  const impacts = begun.flatMap((record) => record.impacts()).filter(({ flow }) => isMeant(flow))
  const values = impacts.map((impact) => impactValue(limit.metric, impact)).filter((value) => value !== null)
  if (values.length === 0) {
    const why =
      impacts.length === 0 ? 'the fault hit no connection' : 'no connection could be measured (a stall needs 100 messages/s each way)'
    return { value: null, remark: why }
  }
  if (limit.metric === 'stall') {
    if (values.length < impacts.length) {
      return {
        value: null,
        remark: `${impacts.length - values.length} of ${impacts.length} connections could not be measured (a stall needs 100 messages/s each way)`,
      }
    }
    const slow = begun.find((record) => (record.loopDelayP99Ms ?? 0) > stallLoopDelayMaxMs)
    if (slow !== undefined) {
      const delay = slow.loopDelayP99Ms!.toFixed(1)
      return {
        value: null,
        remark: `the generator's event loop was late by ${delay} ms at p99 during ${slow.act.fault}: over ${stallLoopDelayMaxMs} ms a stall may be its own`,
      }
    }
    const remark = ownPause(limit, begun, overValues(values, limit.stat))
    if (remark !== undefined) return { value: null, remark }
  }
  return { value: overValues(values, limit.stat), remark: '' }
}

/** A stall that is over its limit by less than the longest pause of the generator itself says nothing about the connection. */
function ownPause(limit: Limit, begun: readonly ActRecord[], value: number | null): string | undefined {
  const holds = (measured: number | null): boolean => measured !== null && compare(measured, limit.op, limit.value)
  if (holds(value)) return undefined
  const stalls = begun.flatMap((record) => record.impacts().map((impact) => ({ impact, pauseMs: record.loopDelayMaxMs })))
  const rest = stalls.filter(({ impact }) => impact.stallMs !== null).map(({ impact, pauseMs }) => Math.max(0, impact.stallMs! - pauseMs))
  if (!holds(overValues(rest, limit.stat))) return undefined
  const longest = Math.max(...stalls.map(({ pauseMs }) => pauseMs)).toFixed(1)
  return `${value?.toFixed(1)} ms, but the generator itself paused for up to ${longest} ms: the stall may be its own`
}

function counts(limit: Limit, { act, target }: ActRecord): boolean {
  if (limit.window.kind === 'during' && act.fault !== limit.window.fault) return false
  if (!countsRelay(limit, target)) return false
  if (limit.actions.length === 0 && limit.faults.length === 0) return true
  return limit.actions.includes(act.action) || limit.faults.includes(act.fault)
}

function impactValue(metric: Metric, impact: ReturnType<ActRecord['impacts']>[number]): number | null {
  switch (metric) {
    case 'stall':
      return impact.stallMs
    case 'detect_time':
      return impact.detectMs
    case 'failover_time':
      return impact.failoverMs
    default:
      return impact.recoverToRateMs
  }
}

function overValues(values: readonly number[], stat: LimitStat): number | null {
  if (stat.kind === 'p') return percentileOf(values, stat.percentile)
  if (stat.kind === 'min') return Math.min(...values)
  if (stat.kind === 'count') return values.length
  if (stat.kind === 'avg') return values.reduce((sum, value) => sum + value, 0) / values.length
  return Math.max(...values)
}
