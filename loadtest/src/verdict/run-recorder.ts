// The recorder: the runner (live or virtual) tells it everything that happens, in order of time; at the end it gives the result, from which
// the verdict and every report are made. Memory is bounded by the plan: histograms, one row a second, one record a flow and act.
//
// All times are milliseconds after the start of the run, from one monotonic clock, fractions welcome.
import { relayOf } from '@sennit/client/core'
import type { FaultAct } from '../plan.ts'
import { ActRecord } from './act-record.ts'
import { ConnectionRecorder } from './connection-recorder.ts'
import type { DirectionRecord } from './direction-record.ts'
import { isExpected } from './expectations.ts'
import { makeResult } from './make-result.ts'
import { StatusMaker } from './make-status.ts'
import type { MessageHeader } from './message.ts'
import { isAt, type Side } from './recorded.ts'
import type { EndedEarly, RunResult, Summary } from './run-result.ts'
import type { RunStatus } from './run-status.ts'
import type { MessageTimes } from './windowed-metrics.ts'

export type { ClientRecord, FlowRecord, RecorderOptions, RelaySample, Side } from './recorded.ts'
export type { RunStatus } from './run-status.ts'

/** A message that was due in the ten seconds after a fault is taken into account up to the life of a connection without a path (120 s) later. */
const actMemoryMs = 140_000
const sides = ['caller', 'listener'] as const

export class RunRecorder extends ConnectionRecorder {
  readonly #statuses: StatusMaker = new StatusMaker(this)
  #gone: ReadonlySet<number> = new Set()
  /** Acts whose messages may still arrive. */
  #recentActs: ActRecord[] = []

  // Messages

  /** A message was handed to the connection. Messages of a direction are told in order of their index. */
  messageSent(nowMs: number, direction: number, bytes: number, dueMs: number): void {
    this.at(nowMs)
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
    this.at(nowMs)
    this.directions[direction]!.droppedDatagrams += 1
  }

  /** What compression did to the messages that one end of a connection sent. Once, before it is closed. */
  compressed(bytesBefore: number, bytesAfter: number): void {
    this.compression = { bytesBefore: this.compression.bytesBefore + bytesBefore, bytesAfter: this.compression.bytesAfter + bytesAfter }
  }

  /** A message came out at the receiving application. The bytes are checked during the call and not kept. Returns its header, if it has one. */
  messageReceived(nowMs: number, direction: number, bytes: Uint8Array): MessageHeader | undefined {
    this.at(nowMs)
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
  busiestRelay(among: readonly string[], trafficOf?: (relay: string) => number): string | undefined {
    const own = trafficOf === undefined ? this.traffic() : undefined
    const held = new Set(this.acts.filter((act) => act.startMs !== null && act.endMs === null).map((act) => act.target))
    let best: string | undefined
    let most = -1
    for (const relay of among) {
      if (held.has(relay)) continue
      const traffic = trafficOf?.(relay) ?? own?.get(relay) ?? 0
      if (traffic > most) {
        best = relay
        most = traffic
      }
    }
    return best
  }

  /** Messages a second, as planned, of the ends here that send over each relay now; a relay that none does is not in it. */
  traffic(): Map<string, number> {
    const traffic = new Map<string, number>()
    for (let flow = 0; flow < this.flows.length; flow++) {
      const { state, activeRelay } = this.flows[flow]!
      if (state !== 'open') continue
      const { caller, directions } = this.plan.flows[flow]!
      for (const { from, bursts, burst } of directions) {
        const path = from === caller ? activeRelay.caller : activeRelay.listener
        if (path === null) continue
        const relay = relayOf(path)
        traffic.set(relay, (traffic.get(relay) ?? 0) + bursts * burst)
      }
    }
    return traffic
  }

  /** Relays that an end of a flow sends over now; none when it has no path. */
  linksOf(flow: number, side: Side): readonly string[] {
    const active = this.flows[flow]!.activeRelay[side]
    return [...(active === null ? [] : [active]), ...(this.carriers?.(flow, side) ?? [])]
  }

  /**
   * An act begins, *before* it is carried out. `target` is the relay, or `zone:eu`, `link:eu>us`; for those `carried` says which flows go through it
   * (left out: the flows that the relay carries).
   */
  faultStarted(nowMs: number, act: number, target: string, receipt: string, carried?: (flow: number) => boolean): void {
    this.at(nowMs)
    const record = this.acts[act]!
    record.begin(nowMs, target, receipt)
    this.#recentActs = [...this.#recentActs.filter((one) => nowMs - (one.startMs ?? 0) < actMemoryMs), record]
    this.timeline.fault(`${record.act.fault} ${record.act.action} ${target}`)
    this.flows.forEach((flow, index) => {
      if (flow.state !== 'open') return
      const hit = carried?.(index) ?? sides.some((side) => this.linksOf(index, side).some((path) => relayOf(path) === target))
      if (!hit && this.endsOf(this.plan.flows[index]!).length === 2) return
      // A datagram that never comes is no pause that could be measured.
      const told = this.plan.flows[index]!.directions.filter(({ mode }) => mode !== 'datagram')
      const directions = told.map(({ direction }) => {
        const one = this.directions[direction]!
        return { direction, medianMs: one.medianLatencyMs(), rate: one.rateBefore(nowMs) }
      })
      const active = sides.filter((side) => isAt(flow.activeRelay[side], target))
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
    this.at(nowMs)
    this.acts[act]!.endMs = nowMs
    this.acts[act]!.healReceipt = receipt
  }

  /** The act could not be carried out: nothing was tested by it. */
  faultFailed(nowMs: number, act: number, why: string): void {
    this.at(nowMs)
    this.acts[act]!.receipt = why
    this.error(nowMs, 'fault_failed', `${this.acts[act]!.act.fault}: ${why}`)
  }

  /** Something was accepted that had to be refused: the run fails. */
  breach(nowMs: number, act: number, what: string): void {
    this.at(nowMs)
    this.breaches.push(`${this.acts[act]!.act.fault}: ${what}`)
  }

  // The generator and its surroundings

  /** One measured delay of the generator's event loop. */
  loopDelay(nowMs: number, delayMs: number): void {
    this.at(nowMs)
    this.loopDelays.record(delayMs)
    this.timeline.loopDelay(delayMs)
    this.windowed.record('generator_loop_delay', nowMs, delayMs)
    for (const act of this.#recentActs) if (act.watches(nowMs)) act.loopDelay(delayMs)
  }

  /** What is happening now. */
  status(nowMs: number): RunStatus {
    this.at(nowMs)
    return this.#statuses.status(nowMs)
  }

  /** The load ends before its time. What was to come after is not missing. */
  endLoad(nowMs: number, why: Omit<EndedEarly, 'atMs'>): void {
    this.at(nowMs)
    if (nowMs >= this.loadEndMs) return
    this.loadEndMs = nowMs
    this.endedEarly = { atMs: nowMs, ...why }
  }

  /** Ends the last, begun second: for an agent, whose coordinator finishes the run. */
  endSeconds(nowMs: number): void {
    this.at(nowMs)
    this.endTimeline(nowMs)
  }

  /** Ends the run. Call it after the drain (or when interrupted), when every connection was closed or given up. */
  finish(
    nowMs: number,
    how: {
      interrupted: boolean /** It was ended before its time, and what was under way may have got lost by that. */
      brokenOff?: boolean
    },
  ): RunResult {
    this.at(nowMs)
    this.endTimeline(nowMs)
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
    const end = this.endOf(index, Math.min(nowMs, this.loadEndMs + drainMs), brokenOff)
    if (end === 'gone' && isExpected(this.plan, this.plan.flows[index]!, 'disconnected')) {
      // Without a path to the end is disconnected too.
      if (flow.state === 'open') flow.broken += 1
    } else if (end === 'gone') {
      flow.neverRecovered = true
      this.windowed.count('never_recovered', nowMs, 1, index)
      this.pathGap(nowMs, index)
      this.lastActOf(index)?.neverRecovered(index)
    } else if (end === 'under_way') flow.underWayBytes = (flow.underWayBytes ?? 0) + this.tailOf(index)
    for (const { direction } of directions) {
      const record = this.directions[direction]!
      // What an agent that was lost had sent is not known, nor what of it is missing.
      if (this.#gone.has(record.plan.from)) continue
      const { unknown } = record.checker.finish(record.sentBytes, end === 'in_order' ? 'lost' : 'unknown')
      record.unknownBytes = unknown
      this.damage.unknown += unknown
      this.windowed.count('unknown', nowMs, unknown, index)
      if (unknown > 0) this.row({ direction, kind: 'unknown', index: -1, offset: record.sentBytes - unknown, bytes: unknown })
    }
  }
}
