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

/** Ends of connections remembered for the other agent: a flow whose ends are on two agents is connected once, and has hardly ever two. */
const cutsMax = 16

type Cut = readonly [messages: number, bytes: number]

/** What the sending end knows of a direction. */
export interface SenderState {
  readonly messages: number
  readonly bytes: number
  readonly dropped: number
  /** When the last one was sent; null: none was. */
  readonly lastMs: number | null
  /** How much had been sent each time that a connection ended otherwise than in good order; only where the receiving end is on another agent. */
  readonly cuts?: readonly Cut[]
}

/** What the receiving end knows of a direction. */
export interface ReceiverState {
  readonly messages: number
  /** When the last one came for the first time; null: none did. */
  readonly lastMs: number | null
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
  readonly #cuts: Cut[] = []
  #lastSentMs: number | null = null
  #lastReceivedMs: number | null = null
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
    return this.plan.mode === 'datagram' && nowMs - (this.#lastSentMs ?? 0) >= datagramPatienceMs
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
    const cuts = this.#cuts.length === 0 ? {} : { cuts: this.#cuts }
    return { messages: this.sentMessages, bytes: this.sentBytes, dropped: this.droppedDatagrams, lastMs: this.#lastSentMs, ...cuts }
  }

  receiver(): ReceiverState {
    const { receivedMessages: messages, damagedBytes, checker } = this
    return { messages, damagedBytes, checker: checker.state(), lastMs: this.#lastReceivedMs }
  }

  /** Takes over what the agents of its two ends know; what is not given stays. */
  adopt(sender: SenderState | undefined, receiver: ReceiverState | undefined): void {
    if (sender !== undefined) {
      this.sentMessages = sender.messages
      this.sentBytes = sender.bytes
      this.droppedDatagrams = sender.dropped
      this.#lastSentMs = sender.lastMs
      this.#cuts.splice(0, cutsMax, ...(sender.cuts ?? []))
    }
    if (receiver === undefined) return
    this.receivedMessages = receiver.messages
    this.damagedBytes = receiver.damagedBytes
    this.#lastReceivedMs = receiver.lastMs
    this.checker.adopt(receiver.checker)
  }

  /** A connection of the flow ended, and not in good order: what is under way may come or not. */
  cut(): void {
    this.#underWay = Math.max(0, this.sentMessages - this.receivedMessages)
    this.#cutIndex = this.sentMessages
    this.checker.cut(this.sentMessages, this.sentBytes)
  }

  /** The same, where the receiving end is on another agent: whoever puts both halves together applies it. */
  cutElsewhere(): void {
    if (this.sentMessages > 0 && this.#cuts.length < cutsMax) this.#cuts.push([this.sentMessages, this.sentBytes])
  }

  /** Both halves are known. */
  applyCuts(): void {
    for (const [messages, bytes] of this.#cuts) this.checker.excuse(messages, bytes)
  }

  /** Bytes that were sent after the last message that came. */
  get tailBytes(): number {
    return this.checker.tailBytes(this.sentBytes)
  }

  /** When something was sent, or came for the first time, as far as that is known here; null: never. */
  get lastMs(): number | null {
    const known = [this.#lastSentMs, this.#lastReceivedMs].filter((ms) => ms !== null)
    return known.length === 0 ? null : Math.max(...known)
  }

  /** A message came for the first time. */
  received(nowMs: number, index: number): void {
    this.receivedMessages += 1
    this.#lastReceivedMs = nowMs
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
