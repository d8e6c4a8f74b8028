// Several recorders of one plan become one: each agent tells what it recorded as data, and the coordinator's recorder takes all of it in, as if one
// process had seen the whole run. Counts are added, histograms are added, never averaged; of a connection whose ends were on two agents each
// tells its half, and what was lost is worked out from both.
import { possibleActs } from '../act-target.ts'
import { type HaltQuantity, type Metric, metrics, type Plan } from '../plan.ts'
import type { ActState } from './act-record.ts'
import type { BystanderState } from './bystanders.ts'
import type { DamageKind } from './damage.ts'
import type { ReceiverState, SenderState } from './direction-record.ts'
import { isExpected } from './expectations.ts'
import type { DurationHistogram, HistogramState } from './histogram.ts'
import type { PhaseState } from './phase-records.ts'
import type { ClientRecord, FlowRecord, Side } from './recorded.ts'
import type { RunRecorder } from './run-recorder.ts'
import type { IncidentRow } from './run-result.ts'
import type { WindowState } from './windowed-metrics.ts'

/** What one agent recorded. Plain data: JSON in, JSON out. */
export interface RecorderState {
  readonly clients: readonly (readonly [number, ClientRecord])[]
  readonly flows: readonly (readonly [number, readonly Side[], FlowRecord])[]
  readonly senders: readonly (readonly [number, SenderState])[]
  readonly receivers: readonly (readonly [number, ReceiverState])[]
  readonly acts: readonly ActState[]
  readonly windows: readonly WindowState[]
  readonly bystanders: readonly BystanderState[]
  readonly phases: readonly PhaseState[]
  readonly response: HistogramState
  readonly service: HistogramState
  readonly loopDelays: HistogramState
  readonly sums: Readonly<Record<Summed, number>>
  readonly compression: { readonly bytesBefore: number; readonly bytesAfter: number }
  readonly damage: Readonly<Record<DamageKind | 'unknown', number>>
  readonly incidents: readonly IncidentRow[]
  readonly breaches: readonly string[]
  readonly errors: readonly (readonly [string, { readonly count: number; readonly message: string }])[]
  readonly bytesSeen: readonly (readonly [number, Readonly<Record<string, number>>])[]
  readonly pathGaps: readonly (readonly [number, number])[]
  readonly cpuMax: number | null
}

/** Fields of the recorder that are added up. */
type Summed = 'messages' | 'bytes' | 'sentMessages' | 'sentBytes' | 'droppedStarts' | 'resets' | 'failovers' | 'incidentsLeftOut'

const summed: readonly Summed[] = [
  'messages',
  'bytes',
  'sentMessages',
  'sentBytes',
  'droppedStarts',
  'resets',
  'failovers',
  'incidentsLeftOut',
]

/** Incidents kept of all agents together. */
const incidentsMax = 1000
/** Distinct error codes kept. */
const errorCodesMax = 200

/** What of it is asked for, besides what is of fixed size. */
export interface StateParts {
  readonly clients: boolean
  readonly connections: boolean
  readonly messages: boolean
  readonly acts: boolean
  readonly bytesSeen: boolean
  /** What only the end of a run asks for: phases, incidents, errors, the histograms of the whole. */
  readonly rest: boolean
}

const nothing: HistogramState = { counts: [], sumMs: 0, maxMs: 0, minMs: null }
const everything: StateParts = { clients: true, connections: true, messages: true, acts: true, bytesSeen: true, rest: true }

/** What limits and conditions of a plan are about while it runs; undefined: it has none. */
export function watchedParts(plan: Plan): StateParts | undefined {
  const asked = possibleActs(plan).flatMap(({ haltIf = [] }) => haltIf)
  if (plan.limits.length + asked.length === 0) return undefined
  const limitIs = (...wanted: Metric[]): boolean => plan.limits.some(({ metric }) => wanted.includes(metric))
  const asks = (...wanted: HaltQuantity[]): boolean => asked.some((one) => 'quantity' in one && wanted.includes(one.quantity))
  return {
    clients: asks('attached'),
    connections:
      asks('never_recovered', 'without_path', 'connected') ||
      limitIs('never_recovered', 'connections_opened', 'connections_failed', 'connections_reset'),
    messages: limitIs('datagrams_missing', 'datagram_loss'),
    acts: plan.limits.some(({ metric }) => metrics[metric].kind === 'act'),
    bytesSeen: limitIs('relay_bytes_seen'),
    rest: false,
  }
}

/** The rows of each recorder's connections: a row holds the record itself, so that it is made once, and told about once a second. */
const rowsOf = new WeakMap<RunRecorder, RecorderState['flows']>()

function flowRows(recorder: RunRecorder): RecorderState['flows'] {
  const known = rowsOf.get(recorder)
  if (known !== undefined) return known
  const rows = recorder.plan.flows.flatMap((flow) => {
    const ends = recorder.endsOf(flow)
    return ends.length === 0 ? [] : [[flow.flow, ends, recorder.flows[flow.flow]!] as const]
  })
  rowsOf.set(recorder, rows)
  return rows
}

/** What this recorder knows of the clients that run here: everything, or those parts. */
export function recorderState(recorder: RunRecorder, nowMs: number, parts: StateParts = everything): RecorderState {
  const { plan } = recorder
  const part = <T>(wanted: boolean, all: () => readonly T[]): readonly T[] => (wanted ? all() : [])
  const histogram = (one: DurationHistogram): HistogramState => (parts.rest ? one.state() : nothing)
  const isMine = (client: number): boolean => recorder.options.mine?.has(client) ?? true
  const directions = parts.messages ? plan.flows.flatMap((flow) => flow.directions) : []
  return {
    clients: part(parts.clients, () => recorder.clients.flatMap((record, client) => (isMine(client) ? [[client, record] as const] : []))),
    flows: part(parts.connections, () => flowRows(recorder)),
    senders: part(parts.messages, () =>
      directions.flatMap(({ direction, from }) => (isMine(from) ? [[direction, recorder.directions[direction]!.sender()] as const] : [])),
    ),
    receivers: part(parts.messages, () =>
      directions.flatMap(({ direction, to }) => (isMine(to) ? [[direction, recorder.directions[direction]!.receiver()] as const] : [])),
    ),
    acts: part(parts.acts, () => recorder.acts.map((act) => act.state())),
    windows: recorder.windowed.state(),
    bystanders: recorder.bystanders.state(),
    phases: part(parts.rest, () => recorder.phases.state(nowMs)),
    response: histogram(recorder.response),
    service: histogram(recorder.service),
    loopDelays: histogram(recorder.loopDelays),
    sums: Object.fromEntries(summed.map((field) => [field, recorder[field]])) as RecorderState['sums'],
    compression: recorder.compression,
    damage: recorder.damage,
    incidents: part(parts.rest, () => recorder.incidents),
    breaches: part(parts.rest, () => recorder.breaches),
    errors: part(parts.rest, () => [...recorder.errors]),
    bytesSeen: part(parts.bytesSeen, () => [...recorder.bytesSeen]),
    pathGaps: part(parts.rest, () => [...recorder.pathGaps]),
    cpuMax: recorder.cpuMax,
  }
}

/**
 * Takes in what one agent recorded. Call it once for each agent, then `finish`.
 * @param told how its receipts are marked, such as `agent 2`
 * @param carriedOut whether agents carry out an act themselves; the times and receipts of others are this recorder's own
 */
export function addRecorderState(
  recorder: RunRecorder,
  state: RecorderState,
  told: string,
  carriedOut: (act: number) => boolean = () => true,
): void {
  for (const [client, record] of state.clients) Object.assign(recorder.clients[client]!, record)
  for (const [flow, ends, record] of state.flows) addFlow(recorder, flow, ends, record)
  for (const [direction, sender] of state.senders) recorder.directions[direction]!.adopt(sender, undefined)
  for (const [direction, receiver] of state.receivers) recorder.directions[direction]!.adopt(undefined, receiver)
  for (const act of state.acts) recorder.acts[act.act]!.add(act, carriedOut(act.act) ? told : undefined)
  recorder.windowed.add(state.windows)
  recorder.bystanders.add(state.bystanders)
  recorder.phases.add(state.phases)
  recorder.response.add(state.response)
  recorder.service.add(state.service)
  recorder.loopDelays.add(state.loopDelays)
  for (const field of summed) recorder[field] += state.sums[field]
  recorder.compressed(state.compression.bytesBefore, state.compression.bytesAfter)
  for (const [kind, bytes] of Object.entries(state.damage)) recorder.damage[kind as DamageKind | 'unknown'] += bytes
  recorder.incidents.push(...state.incidents)
  recorder.incidents.sort((a, b) => a.atMs - b.atMs)
  recorder.incidentsLeftOut += Math.max(0, recorder.incidents.length - incidentsMax)
  recorder.incidents.length = Math.min(recorder.incidents.length, incidentsMax)
  recorder.breaches.push(...state.breaches)
  for (const [code, { count, message }] of state.errors) {
    const known = recorder.errors.get(code)
    if (known !== undefined) known.count += count
    else if (recorder.errors.size < errorCodesMax) recorder.errors.set(code, { count, message })
  }
  for (const [flow, seen] of state.bytesSeen) recorder.relayBytesSeen(flow, seen)
  for (const [act, gapMs] of state.pathGaps) recorder.pathGaps.set(act, Math.max(recorder.pathGaps.get(act) ?? 0, gapMs))
  if (state.cpuMax !== null) recorder.cpuMax = Math.max(recorder.cpuMax ?? 0, state.cpuMax)
}

/** The first of these that one of its ends saw is what became of a connection. */
const stateOrder: readonly FlowRecord['state'][] = ['failed', 'broken', 'open', 'closed', 'planned']

function addFlow(recorder: RunRecorder, index: number, ends: readonly Side[], half: FlowRecord): void {
  const flow = recorder.flows[index]!
  // Both ends saw it break: that is one connection.
  if (flow.state === 'broken' && half.state === 'broken' && !isExpected(recorder.plan, recorder.plan.flows[index]!, 'disconnected'))
    recorder.resets -= 1
  if (stateOrder.indexOf(half.state) < stateOrder.indexOf(flow.state)) {
    flow.state = half.state
    flow.code = half.code
  }
  for (const end of ends) flow.activeRelay[end] = half.activeRelay[end]
  if (half.withoutPathSinceMs !== null)
    flow.withoutPathSinceMs = Math.min(flow.withoutPathSinceMs ?? half.withoutPathSinceMs, half.withoutPathSinceMs)
  flow.failovers += half.failovers
  flow.opened += half.opened
  flow.failed += half.failed
  flow.broken = Math.max(flow.broken, half.broken)
  flow.neverRecovered ||= half.neverRecovered
  if (half.unchecked === true) flow.unchecked = true
  if (half.underWayBytes !== undefined) flow.underWayBytes = (flow.underWayBytes ?? 0) + half.underWayBytes
}
