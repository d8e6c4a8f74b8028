// What the recorder keeps about one direction of one flow: counts, the checker, and enough of the recent past to say what was normal before a
// fault. All of it is of fixed size.
import type { FlowDirection } from '../plan.ts'
import { type CheckerState, FlowChecker, type Incident } from './checker.ts'
import { percentileOf } from './histogram.ts'

/** Response times remembered for the median before a fault: a second's worth at the 100 messages/s which a stall needs. */
const recentLatencies = 128
/** Whole seconds of due messages remembered, to say what the rate before a fault was. */
const rateSeconds = 8
/** Send times remembered, by index. A message that overtakes so many gives no service time. */
const sentTimesMin = 64
const sentTimesMax = 4096

/** A datagram that has not come so long after the last one was sent does not come any more. */
const datagramPatienceMs = 1_000

/** What the sending end knows of a direction. */
export interface SenderState {
  readonly messages: number
  readonly bytes: number
  readonly dropped: number
}

/** What the receiving end knows of a direction. */
export interface ReceiverState {
  readonly messages: number
  readonly damagedBytes: number
  readonly checker: CheckerState
}

export class DirectionRecord {
  readonly plan: FlowDirection
  readonly checker: FlowChecker
  sentMessages = 0
  sentBytes = 0
  receivedMessages = 0
  damagedBytes = 0
  unknownBytes = 0
  worstStallMs: number | null = null
  /** Datagrams that were dropped at the sender: the way was full, or there was none. */
  droppedDatagrams = 0
  /** Messages that an ended connection left under way, and that have not come since; and how many had been sent when the last one ended so. */
  #underWay = 0
  #cutIndex = 0
  #lastSentMs = Number.NEGATIVE_INFINITY
  readonly #latencies = new Float64Array(recentLatencies)
  #latencyCount = 0
  readonly #sentTimes: Float64Array
  readonly #dueCounts = new Uint32Array(rateSeconds)
  #dueSecond = -1
  #firstDueMs = Number.POSITIVE_INFINITY

  constructor(seed: number, plan: FlowDirection, onIncident: (incident: Incident) => void) {
    this.plan = plan
    const { direction, check, content = 'noise' } = plan
    this.checker = new FlowChecker({ seed, direction, check, content, datagrams: plan.mode === 'datagram', onIncident })
    const twoSeconds = 2 ** Math.ceil(Math.log2(Math.max(1, plan.messagesPerSecond * 2)))
    this.#sentTimes = new Float64Array(Math.min(sentTimesMax, Math.max(sentTimesMin, twoSeconds)))
  }

  /** All that was sent has arrived; of datagrams, all that ever will. */
  settled(nowMs: number): boolean {
    if (this.receivedMessages + this.#underWay >= this.sentMessages) return true
    return this.plan.mode === 'datagram' && nowMs - this.#lastSentMs >= datagramPatienceMs
  }

  sent(nowMs: number, bytes: number, dueMs: number): void {
    this.#lastSentMs = nowMs
    this.#sentTimes[this.sentMessages % this.#sentTimes.length] = nowMs
    this.sentMessages += 1
    this.sentBytes += bytes
    if (dueMs < this.#firstDueMs) this.#firstDueMs = dueMs
    this.#countDue(Math.floor(dueMs / 1000))
  }

  sender(): SenderState {
    return { messages: this.sentMessages, bytes: this.sentBytes, dropped: this.droppedDatagrams }
  }

  receiver(): ReceiverState {
    return { messages: this.receivedMessages, damagedBytes: this.damagedBytes, checker: this.checker.state() }
  }

  /** Takes over what the agents of its two ends know; what is not given stays. */
  adopt(sender: SenderState | undefined, receiver: ReceiverState | undefined): void {
    if (sender !== undefined) {
      this.sentMessages = sender.messages
      this.sentBytes = sender.bytes
      this.droppedDatagrams = sender.dropped
    }
    if (receiver === undefined) return
    this.receivedMessages = receiver.messages
    this.damagedBytes = receiver.damagedBytes
    this.checker.adopt(receiver.checker)
  }

  /** A connection of the flow ended on purpose, and not in good order: what is under way may come or not. */
  cut(): void {
    this.#underWay = this.sentMessages - this.receivedMessages
    this.#cutIndex = this.sentMessages
    this.checker.cut(this.sentMessages, this.sentBytes)
  }

  /** A message came for the first time. */
  received(index: number): void {
    this.receivedMessages += 1
    if (index < this.#cutIndex && this.#underWay > 0) this.#underWay -= 1
  }

  /** When the message was handed to the connection, or undefined when that is forgotten. */
  sentAtMs(index: number): number | undefined {
    if (index >= this.sentMessages || index < this.sentMessages - this.#sentTimes.length) return undefined
    return this.#sentTimes[index % this.#sentTimes.length]
  }

  latency(ms: number): void {
    this.#latencies[this.#latencyCount % recentLatencies] = ms
    this.#latencyCount += 1
  }

  /** Median response time of the last messages; null before the first. */
  medianLatencyMs(): number | null {
    return percentileOf([...this.#latencies.subarray(0, Math.min(recentLatencies, this.#latencyCount))], 50)
  }

  /** Messages a second that were due in the whole seconds before `atMs` (at most 5); 0 when none is whole. */
  rateBefore(atMs: number): number {
    const until = Math.floor(atMs / 1000)
    let seconds = 0
    let messages = 0
    for (let second = until - 1; second >= Math.max(0, until - 5); second--) {
      if (second * 1000 < this.#firstDueMs || second <= this.#dueSecond - rateSeconds) break
      seconds += 1
      messages += second > this.#dueSecond ? 0 : this.#dueCounts[second % rateSeconds]!
    }
    return seconds === 0 ? 0 : messages / seconds
  }

  #countDue(second: number): void {
    if (second > this.#dueSecond) {
      for (let at = Math.max(this.#dueSecond + 1, second - rateSeconds + 1); at <= second; at++) this.#dueCounts[at % rateSeconds] = 0
      this.#dueSecond = second
    }
    if (second > this.#dueSecond - rateSeconds) this.#dueCounts[second % rateSeconds]! += 1
  }
}
