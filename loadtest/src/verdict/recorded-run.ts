// Everything that is kept of a run while it lasts, and who keeps it up to date with the time. Memory is bounded by the plan: histograms, one row a second,
// one record a flow and act.
import { relayOf } from '@sennit/client/core'
import type { Flow, Plan } from '../plan.ts'
import { ActRecord } from './act-record.ts'
import { Bystanders } from './bystanders.ts'
import type { Incident } from './checker.ts'
import type { DamageKind } from './damage.ts'
import { DirectionRecord } from './direction-record.ts'
import { DurationHistogram } from './histogram.ts'
import { LatencyBins } from './latency-bins.ts'
import { PhaseRecords } from './phase-records.ts'
import type { ClientRecord, FlowRecord, RecorderOptions, RelaySample, Side } from './recorded.ts'
import type { AgentResult, EndedEarly, IncidentRow } from './run-result.ts'
import { type SecondFacts, Timeline } from './timeline.ts'
import { WindowedMetrics } from './windowed-metrics.ts'

/** Incidents kept for the Integrity sheet; more are only counted. */
const incidentsMax = 1000
/** Distinct error codes kept. */
const errorCodesMax = 200

/** The records of a run, and the time up to which they go. */
export abstract class RecordedRun {
  readonly plan: Plan
  readonly options: RecorderOptions
  readonly clients: ClientRecord[]
  readonly flows: FlowRecord[]
  /** By direction number; undefined where nothing is sent. */
  readonly directions: (DirectionRecord | undefined)[] = []
  readonly acts: ActRecord[]
  readonly windowed: WindowedMetrics
  readonly bystanders: Bystanders
  readonly phases: PhaseRecords
  readonly timeline: Timeline = new Timeline()
  readonly response: DurationHistogram = new DurationHistogram()
  /** The same as `response`, as snapshots carry it. */
  readonly responseBins: LatencyBins = new LatencyBins()
  readonly service: DurationHistogram = new DurationHistogram()
  readonly loopDelays: DurationHistogram = new DurationHistogram()
  readonly damage: Record<DamageKind | 'unknown', number> = {
    lost: 0,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
    unexpected: 0,
    unknown: 0,
  }
  readonly incidents: IncidentRow[] = []
  incidentsLeftOut = 0
  /** What was accepted and had to be refused. */
  readonly breaches: string[] = []
  readonly errors: Map<string, { count: number; message: string }> = new Map()
  readonly relaySamples: Map<string, { rssMaxBytes: number | null; cpuMax: number | null; descriptorsMax: number | null }> = new Map()
  /** Bytes of each connection that each relay carried. */
  readonly bytesSeen: Map<number, Readonly<Record<string, number>>> = new Map()
  /** Longest time without a path per act of a fault that was expected to be survived. */
  readonly pathGaps: Map<number, number> = new Map()
  /** Of messages that were compressed. */
  compression: { readonly bytesBefore: number; readonly bytesAfter: number } = { bytesBefore: 0, bytesAfter: 0 }
  messages = 0
  bytes = 0
  sentMessages = 0
  sentBytes = 0
  droppedStarts = 0
  rampPaused = false
  /** When the load ends, or ended. */
  loadEndMs: number
  /** Why it ended before its time. */
  endedEarly: EndedEarly | undefined
  resets = 0
  failovers = 0
  cpuMax: number | null = null
  /** Cores that the generator used up to its last sample. */
  cpuNow: number | null = null
  /** What was said of each relay last. */
  readonly relaysNow: Map<string, RelaySample> = new Map()
  /** The processes that ran the clients, when this recorder puts together what they told (recorder-state.ts). */
  agents: AgentResult[] | undefined
  /** Whoever runs the connections says over which relays an end sends now; more than the active one where its mode uses several at once. */
  carriers: ((flow: number, side: Side) => readonly string[]) | undefined
  /** Clients whose agent was lost. */
  lostClients: readonly number[] = []
  #nowMs = 0

  constructor(plan: Plan, options: RecorderOptions) {
    this.plan = plan
    this.options = options
    this.loadEndMs = plan.run.durationMs
    this.clients = plan.clients.map(() => ({ state: 'planned', attachMs: null, error: '' }))
    this.flows = plan.flows.map(() => ({
      state: 'planned',
      code: '',
      activeRelay: { caller: null, listener: null },
      withoutPathSinceMs: null,
      failovers: 0,
      neverRecovered: false,
      opened: 0,
      failed: 0,
      broken: 0,
    }))
    for (const flow of plan.flows) {
      if (this.endsOf(flow).length === 0) continue
      for (const direction of flow.directions) {
        this.directions[direction.direction] = new DirectionRecord(plan.seed, direction, (incident) => this.#incident(incident))
      }
    }
    this.acts = plan.acts.map((act) => new ActRecord(act))
    this.windowed = new WindowedMetrics(plan, this.acts)
    this.bystanders = new Bystanders(plan, this.acts)
    this.phases = new PhaseRecords(plan)
  }

  /** The ends of a connection that are in this process. */
  endsOf({ caller, listener }: Pick<Flow, 'caller' | 'listener'>): Side[] {
    const { mine } = this.options
    if (mine === undefined) return ['caller', 'listener']
    return [...(mine.has(caller) ? (['caller'] as const) : []), ...(mine.has(listener) ? (['listener'] as const) : [])]
  }

  /** Sending ends that use each relay now; a relay that none does is not in it. */
  sendingEnds(): Map<string, number> {
    const ends = new Map<string, number>()
    const add = (path: string | null): void => {
      if (path === null) return
      const relay = relayOf(path)
      ends.set(relay, (ends.get(relay) ?? 0) + 1)
    }
    for (const { state, activeRelay } of this.flows) {
      if (state !== 'open') continue
      add(activeRelay.caller)
      add(activeRelay.listener)
    }
    return ends
  }

  /** Cores the generator used since the last sample, and what the relays used. Once a second. */
  sample(nowMs: number, cpu: number | undefined, relays: readonly RelaySample[]): void {
    this.at(nowMs)
    if (cpu !== undefined) {
      this.cpuNow = cpu
      this.cpuMax = Math.max(this.cpuMax ?? 0, cpu)
    }
    for (const sample of relays) {
      const { relay, rssBytes, cpu: relayCpu, descriptors } = sample
      this.relaysNow.set(relay, sample)
      const kept = this.relaySamples.get(relay) ?? { rssMaxBytes: null, cpuMax: null, descriptorsMax: null }
      if (rssBytes !== undefined) kept.rssMaxBytes = Math.max(kept.rssMaxBytes ?? 0, rssBytes)
      if (descriptors !== undefined) kept.descriptorsMax = Math.max(kept.descriptorsMax ?? 0, descriptors)
      if (relayCpu !== undefined) kept.cpuMax = Math.max(kept.cpuMax ?? 0, relayCpu)
      this.relaySamples.set(relay, kept)
    }
  }

  /** What each relay carried of a connection, both ways, since it began. Once for each time that it was opened, before it is closed. */
  relayBytesSeen(flow: number, seen: Readonly<Record<string, number>>): void {
    const sums: Record<string, number> = { ...this.bytesSeen.get(flow) }
    for (const [relay, bytes] of Object.entries(seen)) sums[relay] = (sums[relay] ?? 0) + bytes
    this.bytesSeen.set(flow, sums)
  }

  error(_nowMs: number, code: string, message: string): void {
    const known = this.errors.get(code)
    if (known !== undefined) known.count += 1
    else if (this.errors.size < errorCodesMax) this.errors.set(code, { count: 1, message })
  }

  /** The newest act that hit the flow. */
  protected lastActOf(flow: number): ActRecord | undefined {
    return this.acts.filter((act) => act.affects(flow)).sort((a, b) => (b.startMs ?? 0) - (a.startMs ?? 0))[0]
  }

  protected pathGap(nowMs: number, flow: number): void {
    const since = this.flows[flow]!.withoutPathSinceMs
    const act = since === null ? undefined : this.lastActOf(flow)
    if (since === null || act === undefined) return
    this.pathGaps.set(act.act.act, Math.max(this.pathGaps.get(act.act.act) ?? 0, nowMs - since))
  }

  #incident(incident: Incident): void {
    this.damage[incident.kind] += incident.bytes
    this.windowed.count(incident.kind, this.#nowMs, incident.bytes, this.directions[incident.direction]!.plan.flow)
    this.directions[incident.direction]!.damagedBytes += incident.bytes
    this.timeline.damaged(incident.bytes)
    this.row(incident)
  }

  protected row(incident: Omit<Incident, 'kind'> & { kind: DamageKind | 'unknown' }): void {
    if (this.incidents.length >= incidentsMax) {
      this.incidentsLeftOut += 1
      return
    }
    const direction = this.directions[incident.direction]!.plan
    const flow = this.flows[direction.flow]!
    this.incidents.push({
      atMs: Math.round(this.#nowMs),
      kind: incident.kind,
      flow: direction.flow,
      from: this.plan.clients[direction.from]!.client,
      to: this.plan.clients[direction.to]!.client,
      message: incident.index,
      offset: incident.offset,
      bytes: incident.bytes,
      relay: flow.activeRelay[incident.direction % 2 === 0 ? 'caller' : 'listener'] ?? '',
      faults: this.faultsNow().join('; '),
    })
  }

  /** Acts in force, and those whose stalls are still looked for. */
  faultsNow(): string[] {
    return this.acts
      .filter((act) => act.startMs !== null && (act.endMs === null || act.watches(this.#nowMs)))
      .map(({ act, target }) => `${act.fault} ${act.action} ${target}`)
  }

  #counts(): { attached: number; connected: number; withoutPath: number } {
    const { mine } = this.options
    const counts = { attached: 0, connected: 0, withoutPath: 0 }
    for (const { state } of this.clients) if (state === 'attached') counts.attached += 1
    for (let flow = 0; flow < this.flows.length; flow++) {
      const { state, withoutPathSinceMs } = this.flows[flow]!
      if (state !== 'open') continue
      // A connection whose ends are on two agents is counted by the one that called.
      if (mine?.has(this.plan.flows[flow]!.caller) ?? true) counts.connected += 1
      if (withoutPathSinceMs !== null) counts.withoutPath += 1
    }
    return counts
  }

  readonly #facts = (): SecondFacts => {
    const ends = this.sendingEnds()
    return {
      ...this.#counts(),
      faults: this.acts
        .filter((act) => act.startMs !== null && act.endMs === null)
        .map(({ act, target }) => `${act.fault} ${act.action} ${target}`),
      relays: new Map(this.plan.relays.map(({ relay }) => [relay, ends.get(relay) ?? 0])),
    }
  }

  /** Time goes on: ends the seconds that are over. */
  protected at(nowMs: number): void {
    if (nowMs > this.#nowMs) this.#nowMs = nowMs
    this.timeline.advance(this.#nowMs, this.#facts)
  }

  /** Ends the last, begun second. */
  protected endTimeline(nowMs: number): void {
    this.timeline.end(nowMs, this.#facts)
  }
}
