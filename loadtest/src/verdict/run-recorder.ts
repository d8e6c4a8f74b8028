// The recorder: the runner (live or virtual) tells it everything that happens, in order of time; at the end it gives the result, from which
// the verdict and every report are made. Memory is bounded by the plan: histograms, one row a second, one record a flow and act.
//
// All times are milliseconds after the start of the run, from one monotonic clock, fractions welcome.
import type { FaultAct, Flow, Plan } from '../plan.ts'
import { ActRecord } from './act-record.ts'
import { Bystanders } from './bystanders.ts'
import type { Incident } from './checker.ts'
import type { DamageKind } from './damage.ts'
import { DirectionRecord } from './direction-record.ts'
import { isExpected } from './expectations.ts'
import { type FlowEnd, flowEnd } from './flow-end.ts'
import { DurationHistogram } from './histogram.ts'
import { LatencyBins } from './latency-bins.ts'
import { makeResult } from './make-result.ts'
import { StatusMaker } from './make-status.ts'
import type { MessageHeader } from './message.ts'
import { PhaseRecords } from './phase-records.ts'
import type { ClientRecord, FlowRecord, RecorderOptions, RelaySample, Side } from './recorded.ts'
import type { AgentResult, EndedEarly, IncidentRow, RunResult, Summary } from './run-result.ts'
import type { RunStatus } from './run-status.ts'
import { type SecondFacts, Timeline } from './timeline.ts'
import { type MessageTimes, WindowedMetrics } from './windowed-metrics.ts'

export type { ClientRecord, FlowRecord, RecorderOptions, RelaySample, Side } from './recorded.ts'
export type { RunStatus } from './run-status.ts'

/** Incidents kept for the Integrity sheet; more are only counted. */
const incidentsMax = 1000
/** Distinct error codes kept. */
const errorCodesMax = 200
/** A message that was due in the ten seconds after a fault is taken into account up to the life of a connection without a path (120 s) later. */
const actMemoryMs = 140_000
const sides = ['caller', 'listener'] as const

/** What a timer is late by is no wait. */
const heldMsMin = 100

export class RunRecorder {
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
  readonly #statuses: StatusMaker
  /** The processes that ran the clients, when this recorder puts together what they told (recorder-state.ts). */
  agents: AgentResult[] | undefined
  /** Whoever runs the connections says over which relays an end sends now; more than the active one where its mode uses several at once. */
  carriers: ((flow: number, side: Side) => readonly string[]) | undefined
  /** Clients whose agent was lost. */
  lostClients: readonly number[] = []
  #gone: ReadonlySet<number> = new Set()
  #nowMs = 0
  /** Acts whose messages may still arrive. */
  #recentActs: ActRecord[] = []

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
    this.#statuses = new StatusMaker(this)
  }

  // Clients

  /** `tookMs`: from the first dial to the first relay that let it in. */
  clientAttached(nowMs: number, client: number, tookMs?: number): void {
    this.#at(nowMs)
    const record = this.clients[client]!
    if (record.attachMs === null) record.attachMs = nowMs
    if (tookMs !== undefined) this.windowed.recordClient('handshake_time', nowMs, tookMs, client)
    if (record.state !== 'attached') this.phases.attached(nowMs, client)
    record.state = 'attached'
  }

  /** Its turn came so late: what began before it took longer than was planned. */
  clientHeld(nowMs: number, client: number, heldMs: number): void {
    this.#at(nowMs)
    if (heldMs >= heldMsMin) this.clients[client]!.heldMs = heldMs
  }

  /** Refused for good, or given up. */
  clientRejected(nowMs: number, client: number, code: string, message: string): void {
    this.#at(nowMs)
    this.clients[client]!.state = 'rejected'
    this.clients[client]!.error = code
    this.error(nowMs, code, message)
  }

  /** It ended as planned, or with a code when it did not. */
  clientDetached(nowMs: number, client: number, code = ''): void {
    this.#at(nowMs)
    if (this.clients[client]!.state === 'attached') this.phases.detached(nowMs, client)
    this.clients[client]!.state = 'detached'
    if (code !== '') this.clients[client]!.error = code
  }

  /** A start that was due could not even be tried. */
  startDropped(nowMs: number, why: string): void {
    this.#at(nowMs)
    this.droppedStarts += 1
    this.error(nowMs, 'start_dropped', why)
  }

  // Connections

  /** The ends of a connection that are in this process. */
  endsOf({ caller, listener }: Pick<Flow, 'caller' | 'listener'>): Side[] {
    const { mine } = this.options
    if (mine === undefined) return ['caller', 'listener']
    return [...(mine.has(caller) ? (['caller'] as const) : []), ...(mine.has(listener) ? (['listener'] as const) : [])]
  }

  /** A connection of which only the listening end is here was accepted. */
  connectionAccepted(nowMs: number, flow: number): void {
    this.#at(nowMs)
    this.flows[flow]!.state = 'open'
  }

  /** The connections that the flow had are over, and another one comes: what was sent over them and has not come yet may come or not. */
  connectionReplaced(nowMs: number, flow: number): void {
    this.#at(nowMs)
    this.#cut(flow)
  }

  /** `connectMs` is from the call of `connect` to the connection. */
  connectionOpened(nowMs: number, flow: number, connectMs: number): void {
    this.#at(nowMs)
    const record = this.flows[flow]!
    if (record.state === 'broken') {
      // The next session hides nothing: the last one did not come back.
      if (!isExpected(this.plan, this.plan.flows[flow]!, 'disconnected')) record.neverRecovered = true
      this.#cut(flow)
    }
    // Those of the last one are nobody's ends any more.
    if (record.opened > 0) record.withoutPathSinceMs = null
    record.opened += 1
    record.state = 'open'
    this.windowed.record('connect_time', nowMs, connectMs, flow)
    this.windowed.count('connections_opened', nowMs, 1, flow)
  }

  /** It never came to be. */
  connectionFailed(nowMs: number, flow: number, code: string, message: string): void {
    this.#at(nowMs)
    this.flows[flow]!.failed += 1
    this.flows[flow]!.state = 'failed'
    this.windowed.count('connections_failed', nowMs, 1, flow)
    this.flows[flow]!.code = code
    this.error(nowMs, code, message)
  }

  /** Over which relay an end sends now; null when it has no path. Say it at the first path and at every change. */
  activePath(nowMs: number, flow: number, side: Side, relay: string | null): void {
    this.#at(nowMs)
    const record = this.flows[flow]!
    const before = record.activeRelay[side]
    if (before !== null && before !== relay) for (const act of this.acts) act.moved(nowMs, flow, side, before)
    record.activeRelay[side] = relay
    if (relay === null) {
      record.withoutPathSinceMs ??= nowMs
    } else if (this.endsOf(this.plan.flows[flow]!).every((end) => record.activeRelay[end] !== null)) {
      this.#pathGap(nowMs, flow)
      if (record.withoutPathSinceMs !== null) this.windowed.record('reconnect_time', nowMs, nowMs - record.withoutPathSinceMs, flow)
      record.withoutPathSinceMs = null
    }
  }

  /** An end gave a path up for another one. `fromRelay` may be one it had already lost. */
  failover(nowMs: number, flow: number, side: Side, fromRelay: string, toRelay: string): void {
    this.#at(nowMs)
    this.failovers += 1
    this.flows[flow]!.failovers += 1
    this.timeline.failover()
    for (const act of this.acts) act.moved(nowMs, flow, side, fromRelay)
    this.activePath(nowMs, flow, side, toRelay)
  }

  /** It was closed by the plan, all in order. */
  connectionClosed(nowMs: number, flow: number): void {
    this.#at(nowMs)
    const record = this.flows[flow]!
    if (record.state !== 'open') return
    record.state = 'closed'
    if (this.plan.flows[flow]!.sessions === undefined) return
    record.withoutPathSinceMs = null
    record.activeRelay.caller = null
    record.activeRelay.listener = null
  }

  /**
   * It was ended by the plan, and not in good order (reset, or gone without a word): what is under way may come or not, and counts as unknown when
   * it does not.
   */
  connectionCut(nowMs: number, flow: number): void {
    this.#at(nowMs)
    const record = this.flows[flow]!
    if (record.state !== 'open') return
    record.state = 'closed'
    record.withoutPathSinceMs = null
    record.activeRelay.caller = null
    record.activeRelay.listener = null
    this.#cut(flow)
  }

  #cut(flow: number): void {
    const whole = this.endsOf(this.plan.flows[flow]!).length === 2
    for (const { direction } of this.plan.flows[flow]!.directions) {
      if (whole) this.directions[direction]!.cut()
      else this.directions[direction]!.cutElsewhere()
    }
  }

  /**
   * It is to be closed by the plan, and nobody waits any longer for what has not come. A connection that is gone counts as broken; what was still
   * under way on one that lives counts as unknown, and makes the run inconclusive.
   */
  connectionGivenUp(nowMs: number, flow: number): void {
    this.#at(nowMs)
    const record = this.flows[flow]!
    if (record.state !== 'open') return
    const end = this.#endOf(flow, nowMs, false)
    if (end === 'gone') {
      const why = record.withoutPathSinceMs !== null ? 'had no path' : 'was silent'
      this.connectionBroken(nowMs, flow, 'no_path', `flow ${flow} ${why} when it was to be closed`)
      return
    }
    record.underWayBytes = (record.underWayBytes ?? 0) + this.#tailOf(flow)
    this.connectionCut(nowMs, flow)
  }

  /** It is closed in good order by an end that cannot ask whether all has arrived: the other one is on another agent. */
  connectionUnchecked(flow: number): void {
    this.flows[flow]!.unchecked = true
  }

  #tailOf(flow: number): number {
    return this.plan.flows[flow]!.directions.reduce((sum, { direction }) => sum + this.directions[direction]!.tailBytes, 0)
  }

  /** @param waitedUntilMs so long it was waited for what was under way */
  #endOf(flow: number, waitedUntilMs: number, brokenOff: boolean): FlowEnd {
    const silences = this.plan.flows[flow]!.directions.flatMap(({ direction }) => {
      const record = this.directions[direction]!
      return record.tailBytes > 0 ? [waitedUntilMs - (record.lastMs ?? waitedUntilMs)] : []
    })
    return flowEnd({ record: this.flows[flow]!, tailBytes: this.#tailOf(flow), silentMs: Math.max(0, ...silences), brokenOff })
  }

  /** The application saw it end otherwise (reset, timeout, superseded …): its missing bytes are unknown, and it counts as never recovered. */
  connectionBroken(nowMs: number, flow: number, code: string, message: string): void {
    this.#at(nowMs)
    const record = this.flows[flow]!
    if (record.state !== 'open') return
    record.state = 'broken'
    record.code = code
    record.broken += 1
    this.error(nowMs, code, message)
    if (isExpected(this.plan, this.plan.flows[flow]!, 'disconnected')) return
    // Where its ends are on two agents both see it, and one counts it.
    if (this.endsOf(this.plan.flows[flow]!).includes('caller')) this.windowed.count('connections_reset', nowMs, 1, flow)
    this.resets += 1
  }

  // Messages

  /** A message was handed to the connection. Messages of a direction are told in order of their index. */
  messageSent(nowMs: number, direction: number, bytes: number, dueMs: number): void {
    this.#at(nowMs)
    this.sentMessages += 1
    this.sentBytes += bytes
    this.timeline.sent()
    this.directions[direction]!.sent(nowMs, bytes, dueMs)
    // An answer is due when its question was: that is no delay of ours.
    if (this.directions[direction]!.plan.role !== 'answers')
      this.windowed.record('send_delay', dueMs, nowMs - dueMs, this.directions[direction]!.plan.flow)
    this.phases.sent(nowMs, this.directions[direction]!.plan, dueMs)
  }

  /** The datagram that was sent last was dropped at once: the way was full, or there was none. */
  datagramDropped(nowMs: number, direction: number): void {
    this.#at(nowMs)
    this.directions[direction]!.droppedDatagrams += 1
  }

  /** What compression did to the messages that one end of a connection sent. Once, before it is closed. */
  compressed(bytesBefore: number, bytesAfter: number): void {
    this.compression = { bytesBefore: this.compression.bytesBefore + bytesBefore, bytesAfter: this.compression.bytesAfter + bytesAfter }
  }

  /** A message came out at the receiving application. The bytes are checked during the call and not kept. Returns its header, if it has one. */
  messageReceived(nowMs: number, direction: number, bytes: Uint8Array): MessageHeader | undefined {
    this.#at(nowMs)
    const record = this.directions[direction]!
    const { header, fresh } = record.checker.received(bytes)
    if (header === undefined || !fresh) return header
    const times = this.#timesOf(nowMs, record, header)
    const { oneWayMs, responseMs, serviceMs } = times
    this.messages += 1
    this.bytes += header.length
    record.received(nowMs, header.index)
    record.latency(oneWayMs)
    this.timeline.received(header.length, responseMs)
    const atMs = record.plan.role === 'answers' ? nowMs - oneWayMs : header.dueMs
    for (const act of this.#recentActs) act.message(nowMs, record.plan.flow, direction, atMs, oneWayMs)
    this.phases.received(record.plan, header.dueMs, responseMs, serviceMs)
    if (header.dueMs >= this.plan.run.warmupMs) {
      if (responseMs !== undefined) {
        this.response.record(responseMs)
        this.responseBins.record(responseMs)
      }
      if (serviceMs !== undefined) this.service.record(serviceMs)
      if (responseMs !== undefined) this.bystanders.message(header.dueMs, record.plan.flow, responseMs)
      this.windowed.message(header.dueMs, record.plan.flow, header.length, times)
    }
    return header
  }

  /**
   * How long a message took. One that asks is answered by its own answer, so only that one has a response time: from when the question was due. In
   * the closed model a question is due when it is sent, so that service and response time are the same.
   */
  #timesOf(nowMs: number, { plan }: DirectionRecord, { index, dueMs }: MessageHeader): MessageTimes {
    const sentAtMs = this.directions[plan.direction]!.sentAtMs(index)
    const sinceDueMs = Math.max(0, nowMs - dueMs)
    const sinceSentMs = sentAtMs === undefined ? undefined : nowMs - sentAtMs
    if (plan.role === undefined) return { oneWayMs: sinceDueMs, responseMs: sinceDueMs, serviceMs: sinceSentMs }
    if (plan.role === 'asks') return { oneWayMs: sinceDueMs, responseMs: undefined, serviceMs: undefined }
    const { flow, direction } = plan
    const asked = this.directions[direction - 1]!
    // Answers count as questions do, unless a connection ended between a question and its answer.
    const askedAtMs = this.plan.flows[flow]!.sessions === undefined ? asked.sentAtMs(index) : undefined
    const serviceMs = asked.plan.think !== undefined ? sinceDueMs : askedAtMs === undefined ? undefined : nowMs - askedAtMs
    return { oneWayMs: sinceSentMs ?? sinceDueMs, responseMs: sinceDueMs, serviceMs }
  }

  /** Datagrams so far: those dropped at the sender are among the missing. */
  datagrams(): Summary['datagrams'] {
    // Of a connection whose one end was lost nobody knows both numbers.
    const known = (one: DirectionRecord): boolean => this.flows[one.plan.flow]!.orphaned !== true
    const directions = this.directions.filter((one) => one?.plan.mode === 'datagram' && known(one))
    const sum = (of: (one: DirectionRecord) => number): number => directions.reduce((total, one) => total + of(one!), 0)
    const sent = sum((one) => one.sentMessages)
    const delivered = sum((one) => one.receivedMessages)
    return { sent, delivered, dropped: sum((one) => one.droppedDatagrams), missing: sent - delivered }
  }

  // Faults

  /** An act that the plan does not have. */
  addAct(act: Omit<FaultAct, 'act'>): FaultAct {
    const added: FaultAct = { ...act, act: this.acts.length, unplanned: true }
    this.acts.push(new ActRecord(added))
    return added
  }

  /**
   * The relay among these that carries the most traffic as planned (messages a second of the ends that send over it), and is not held by another
   * act: what `busiest(…)` means. undefined when none is left.
   */
  busiestRelay(among: readonly string[], trafficOf: (relay: string) => number = (relay) => this.trafficOf(relay)): string | undefined {
    const held = new Set(this.acts.filter((act) => act.startMs !== null && act.endMs === null).map((act) => act.target))
    let best: string | undefined
    let most = -1
    for (const relay of among) {
      if (held.has(relay)) continue
      const traffic = trafficOf(relay)
      if (traffic > most) {
        best = relay
        most = traffic
      }
    }
    return best
  }

  /** Messages a second, as planned, of the ends here that send over the relay now. */
  trafficOf(relay: string): number {
    let perSecond = 0
    for (const [flow, { state, activeRelay }] of this.flows.entries()) {
      if (state !== 'open') continue
      const { caller, directions } = this.plan.flows[flow]!
      for (const { from, bursts, burst } of directions)
        if ((from === caller ? activeRelay.caller : activeRelay.listener) === relay) perSecond += bursts * burst
    }
    return perSecond
  }

  /** Sending ends that use the relay now. */
  pathsOf(relay: string): number {
    let paths = 0
    for (const { state, activeRelay } of this.flows) {
      if (state !== 'open') continue
      if (activeRelay.caller === relay) paths++
      if (activeRelay.listener === relay) paths++
    }
    return paths
  }

  /** Relays that an end of a flow sends over now; none when it has no path. */
  relaysOf(flow: number, side: Side): readonly string[] {
    const active = this.flows[flow]!.activeRelay[side]
    return [...(active === null ? [] : [active]), ...(this.carriers?.(flow, side) ?? [])]
  }

  /**
   * An act begins, *before* it is carried out. `target` is the relay, or `zone:eu`, `link:eu>us`; for those `carried` says which flows go through it
   * (left out: the flows that the relay carries).
   */
  faultStarted(nowMs: number, act: number, target: string, receipt: string, carried?: (flow: number) => boolean): void {
    this.#at(nowMs)
    const record = this.acts[act]!
    record.begin(nowMs, target, receipt)
    this.#recentActs = [...this.#recentActs.filter((one) => nowMs - (one.startMs ?? 0) < actMemoryMs), record]
    this.timeline.fault(`${record.act.fault} ${record.act.action} ${target}`)
    this.flows.forEach((flow, index) => {
      if (flow.state !== 'open') return
      const hit = carried?.(index) ?? sides.some((side) => this.relaysOf(index, side).includes(target))
      if (!hit && this.endsOf(this.plan.flows[index]!).length === 2) return
      // A datagram that never comes is no pause that could be measured.
      const told = this.plan.flows[index]!.directions.filter(({ mode }) => mode !== 'datagram')
      const directions = told.map(({ direction }) => {
        const one = this.directions[direction]!
        return { direction, medianMs: one.medianLatencyMs(), rate: one.rateBefore(nowMs) }
      })
      const active = sides.filter((side) => flow.activeRelay[side] === target)
      record.affect(index, directions, active, hit)
    })
  }

  /** Its row says that it must not be: it does not begin, or is about to be healed. */
  faultHalted(act: number, why: string): void {
    const record = this.acts[act]!
    record.halted = why
    this.faultReceipt(act, record.startMs === null ? `not begun: ${why}` : `healed early: ${why}`)
  }

  /** Adds to what is told about an act that has begun, such as how long the process took to go. */
  faultReceipt(act: number, receipt: string): void {
    this.acts[act]!.receipt = [this.acts[act]!.receipt, receipt].filter((text) => text !== '').join('; ')
  }

  /** The target works again (a restarted relay answers; the rule is gone). Not called for `heal = never`. */
  faultHealed(nowMs: number, act: number, receipt: string): void {
    this.#at(nowMs)
    this.acts[act]!.endMs = nowMs
    this.acts[act]!.healReceipt = receipt
  }

  /** The act could not be carried out: nothing was tested by it. */
  faultFailed(nowMs: number, act: number, why: string): void {
    this.#at(nowMs)
    this.acts[act]!.receipt = why
    this.error(nowMs, 'fault_failed', `${this.acts[act]!.act.fault}: ${why}`)
  }

  /** Something was accepted that had to be refused: the run fails. */
  breach(nowMs: number, act: number, what: string): void {
    this.#at(nowMs)
    this.breaches.push(`${this.acts[act]!.act.fault}: ${what}`)
  }

  // The generator and its surroundings

  /** One measured delay of the generator's event loop. */
  loopDelay(nowMs: number, delayMs: number): void {
    this.#at(nowMs)
    this.loopDelays.record(delayMs)
    this.timeline.loopDelay(delayMs)
    this.windowed.record('generator_loop_delay', nowMs, delayMs)
    for (const act of this.#recentActs) if (act.watches(nowMs)) act.loopDelay(delayMs)
  }

  /** Cores the generator used since the last sample, and what the relays used. Once a second. */
  sample(nowMs: number, cpu: number | undefined, relays: readonly RelaySample[]): void {
    this.#at(nowMs)
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

  /** What is happening now. */
  status(nowMs: number): RunStatus {
    this.#at(nowMs)
    return this.#statuses.status(nowMs)
  }

  /** The load ends before its time. What was to come after is not missing. */
  endLoad(nowMs: number, why: Omit<EndedEarly, 'atMs'>): void {
    this.#at(nowMs)
    if (nowMs >= this.loadEndMs) return
    this.loadEndMs = nowMs
    this.endedEarly = { atMs: nowMs, ...why }
  }

  /** Ends the last, begun second: for an agent, whose coordinator finishes the run. */
  endSeconds(nowMs: number): void {
    this.#at(nowMs)
    this.timeline.end(nowMs, this.#facts)
  }

  /** Ends the run. Call it after the drain (or when interrupted), when every connection was closed or given up. */
  finish(
    nowMs: number,
    how: {
      interrupted: boolean /** It was ended before its time, and what was under way may have got lost by that. */
      brokenOff?: boolean
    },
  ): RunResult {
    this.#at(nowMs)
    this.timeline.end(nowMs, this.#facts)
    this.#gone = new Set(this.lostClients)
    for (const flow of this.plan.flows) {
      if (this.#gone.has(flow.caller) || this.#gone.has(flow.listener)) this.flows[flow.flow]!.orphaned = true
      this.#finishFlow(nowMs, flow.flow, flow.directions, how.interrupted || how.brokenOff === true)
    }
    for (const act of this.acts) {
      act.settle()
      for (const { flow, stallMs } of act.impacts()) {
        if (stallMs === null) continue
        for (const { direction } of this.plan.flows[flow]!.directions) {
          const record = this.directions[direction]!
          record.worstStallMs = Math.max(record.worstStallMs ?? 0, stallMs)
        }
      }
    }
    return makeResult(this, nowMs, how.interrupted)
  }

  /** What is missing is lost where the connection says so (flow-end.ts), else unknown. */
  #finishFlow(nowMs: number, index: number, directions: readonly { direction: number }[], brokenOff: boolean): void {
    const flow = this.flows[index]!
    const { drainMs } = this.plan.run
    for (const { direction } of directions) this.directions[direction]!.applyCuts()
    const end = this.#endOf(index, Math.min(nowMs, this.loadEndMs + drainMs), brokenOff)
    if (end === 'gone' && isExpected(this.plan, this.plan.flows[index]!, 'disconnected')) {
      // Without a path to the end is disconnected too.
      if (flow.state === 'open') flow.broken += 1
    } else if (end === 'gone') {
      flow.neverRecovered = true
      this.windowed.count('never_recovered', nowMs, 1, index)
      this.#pathGap(nowMs, index)
      this.#lastActOf(index)?.neverRecovered(index)
    } else if (end === 'under_way') flow.underWayBytes = (flow.underWayBytes ?? 0) + this.#tailOf(index)
    for (const { direction } of directions) {
      const record = this.directions[direction]!
      // What an agent that was lost had sent is not known, nor what of it is missing.
      if (this.#gone.has(record.plan.from)) continue
      const { unknown } = record.checker.finish(record.sentBytes, end === 'in_order' ? 'lost' : 'unknown')
      record.unknownBytes = unknown
      this.damage.unknown += unknown
      this.windowed.count('unknown', nowMs, unknown, index)
      if (unknown > 0) this.#row({ direction, kind: 'unknown', index: -1, offset: record.sentBytes - unknown, bytes: unknown })
    }
  }

  /** The newest act that hit the flow. */
  #lastActOf(flow: number): ActRecord | undefined {
    return this.acts.filter((act) => act.affects(flow)).sort((a, b) => (b.startMs ?? 0) - (a.startMs ?? 0))[0]
  }

  #pathGap(nowMs: number, flow: number): void {
    const since = this.flows[flow]!.withoutPathSinceMs
    const act = since === null ? undefined : this.#lastActOf(flow)
    if (since === null || act === undefined) return
    this.pathGaps.set(act.act.act, Math.max(this.pathGaps.get(act.act.act) ?? 0, nowMs - since))
  }

  #incident(incident: Incident): void {
    this.damage[incident.kind] += incident.bytes
    this.windowed.count(incident.kind, this.#nowMs, incident.bytes, this.directions[incident.direction]!.plan.flow)
    this.directions[incident.direction]!.damagedBytes += incident.bytes
    this.timeline.damaged(incident.bytes)
    this.#row(incident)
  }

  #row(incident: Omit<Incident, 'kind'> & { kind: DamageKind | 'unknown' }): void {
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
    return {
      attached: this.clients.filter((client) => client.state === 'attached').length,
      // A connection whose ends are on two agents is counted by the one that called.
      connected: this.flows.filter(({ state }, flow) => state === 'open' && (mine?.has(this.plan.flows[flow]!.caller) ?? true)).length,
      withoutPath: this.flows.filter((flow) => flow.state === 'open' && flow.withoutPathSinceMs !== null).length,
    }
  }

  readonly #facts = (): SecondFacts => ({
    ...this.#counts(),
    faults: this.acts
      .filter((act) => act.startMs !== null && act.endMs === null)
      .map(({ act, target }) => `${act.fault} ${act.action} ${target}`),
    relays: new Map(this.plan.relays.map(({ relay }) => [relay, this.pathsOf(relay)])),
  })

  /** Time goes on: ends the seconds that are over. */
  #at(nowMs: number): void {
    if (nowMs > this.#nowMs) this.#nowMs = nowMs
    this.timeline.advance(this.#nowMs, this.#facts)
  }
}
