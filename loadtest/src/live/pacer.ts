// Senders. In the open model every message has an intended time, whatever the connection does; in the closed model the next is due when the last
// one was answered. One timer for all of them, however many there are.
import { DueTimes } from '../due-times.ts'
import type { Pace } from '../pace.ts'
import type { FlowDirection, Plan } from '../plan.ts'
import { keystreamKey } from '../verdict/keystream.ts'
import { encodeMessage, type MessageHeader } from '../verdict/message.ts'
import { messageSize } from '../verdict/sizes.ts'
import { DueQueue, type Waits } from './due-queue.ts'

/** Finer than this, a timer of Node is late anyway; coarser, bursts would show in the latencies. */
const tickMs = 2
/** What a message touches of its sender, some 10 KB, is used again when the message leaves: that is soon, for so many, also when thousands are due. */
const sendersPerTurn = 64
/** The longest timer of Node is 24 days. */
const timerMaxMs = 2 ** 30
/** A direction that waits for credit holds no more than this many messages; the rest stay due and are sent late, which `send_delay` shows. */
const pendingMessagesMax = 64

export interface PacedSink {
  /**
   * Hands a message to the connection; resolves when it is accepted. A promise that was given before and has resolved says that it is accepted already: the
   * client gives one for all messages that it takes at once, and most are.
   */
  send(bytes: Uint8Array): Promise<void>
}

/** The last promise that was seen to resolve. */
let resolved: Promise<void> | undefined

export interface SenderOptions {
  readonly plan: Plan
  readonly direction: FlowDirection
  readonly paces: readonly Pace[]
  readonly sink: PacedSink
  readonly startMs: number
  /** What was sent on earlier connections of the flow. */
  readonly before: { readonly messages: number; readonly bytes: number }
  readonly onSent: (bytes: number, dueMs: number) => void
  readonly onError: (error: unknown) => void
}

/** One sending end: makes its messages, in order, and stops at the first that cannot be sent. */
class Sender {
  protected readonly options: SenderOptions
  readonly #key: number
  /** Of the next message. */
  readonly #header: { -readonly [Field in keyof MessageHeader]: MessageHeader[Field] }
  #pending = 0
  #stopped = false

  constructor(options: SenderOptions) {
    this.options = options
    this.#key = keystreamKey(options.plan.seed, options.direction.direction)
    const { messages, bytes } = options.before
    this.#header = { direction: options.direction.direction, index: messages, offset: bytes, dueMs: 0, length: 0 }
  }

  get pending(): number {
    return this.#pending
  }

  get stopped(): boolean {
    return this.#stopped
  }

  stop(): void {
    this.#stopped = true
  }

  /** The connection has accepted a message. */
  protected taken(): void {}

  /** Sends the next message; never rejects. Returns undefined when nothing is left to wait for. `length`: what it has; its own size where left out. */
  protected send(dueMs: number, length?: number): Promise<void> | undefined {
    const { plan, direction, sink, onSent } = this.options
    const header = this.#header
    const size = length ?? messageSize(plan.seed, direction, header.index)
    const limit = direction.dataLimitBytes
    if (limit !== null && header.offset + size > limit) {
      this.stop()
      return undefined
    }
    header.dueMs = dueMs
    header.length = size
    const bytes = encodeMessage(this.#key, header, direction.content)
    header.index += 1
    header.offset += size
    onSent(size, dueMs)
    const accepted = sink.send(bytes)
    return accepted === resolved ? undefined : this.#until(accepted)
  }

  #until(accepted: Promise<void>): Promise<void> {
    this.#pending += 1
    return accepted.then(
      () => {
        resolved = accepted
        this.#pending -= 1
        this.taken()
      },
      (error: unknown) => {
        if (!this.#stopped) this.options.onError(error)
        this.stop()
      },
    )
  }
}

/** A sending end that knows what is due. */
export class PacedDirection extends Sender implements Waits {
  /** Where it waits for its pacer. */
  place = -1
  readonly #due: DueTimes
  /** It has sent as much as it may at once: others first. */
  #rests = false
  /** Is told when it may have something to send sooner than it said. */
  onReady: () => void = () => {}

  constructor(options: SenderOptions) {
    super(options)
    const { plan, direction, paces, startMs, before } = options
    this.#due = new DueTimes({ seed: plan.seed, direction, paces, startMs, before: before.messages })
  }

  /** When it has something to send, as far as that is known; Infinity while it waits for an answer or for the connection. */
  get nextMs(): number {
    return this.stopped || this.#rests || this.pending >= pendingMessagesMax ? Number.POSITIVE_INFINITY : this.#due.nextMs
  }

  /** Sends everything that is due, as far as the connection takes it; no more at once than it would hold. */
  pump(nowMs: number): void {
    let atOnce = 0
    while (!this.stopped && this.pending < pendingMessagesMax) {
      if (this.pending + atOnce >= pendingMessagesMax) {
        this.#rest()
        return
      }
      const dueMs = this.#due.nextMs
      if (dueMs > nowMs) return
      if (dueMs >= this.options.plan.run.durationMs) {
        this.stop()
        return
      }
      this.#due.sent()
      if (this.send(dueMs) === undefined) atOnce += 1
    }
  }

  /** What is due yet goes with the next turn of the timer. */
  #rest(): void {
    this.#rests = true
    queueMicrotask(() => {
      this.#rests = false
      this.onReady()
    })
  }

  /** One of its messages was answered. */
  answered(nowMs: number): void {
    this.#due.answered(nowMs)
    this.onReady()
  }

  override stop(): void {
    super.stop()
    this.onReady()
  }

  protected override taken(): void {
    if (this.pending === pendingMessagesMax - 1) this.onReady()
  }
}

/** A sending end that sends one message for each that comes. It needs no pacer. */
export class AnsweringDirection extends Sender {
  /** Resolves when the answer was accepted: whoever waits for it reads no faster than the answers go. */
  async answer({ dueMs, length }: MessageHeader): Promise<void> {
    if (!this.stopped) await this.send(dueMs, length)
  }
}

/** Drives every direction of a run. What it costs goes with the messages that are due, not with the directions that wait. */
export class Pacer {
  readonly #directions = new Set<PacedDirection>()
  readonly #due = new DueQueue<PacedDirection>()
  readonly #now: () => number
  readonly #onTimer = (): void => this.#tick()
  #timer: NodeJS.Timeout | undefined
  #timerAtMs = Number.POSITIVE_INFINITY
  #immediate: NodeJS.Immediate | undefined
  #stopped = false

  constructor(now: () => number) {
    this.#now = now
  }

  add(direction: PacedDirection): void {
    if (this.#stopped) {
      direction.stop()
      return
    }
    this.#directions.add(direction)
    direction.onReady = () => this.#wait(direction)
    this.#wait(direction)
  }

  /** The load is over: nothing is sent any more. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    clearImmediate(this.#immediate)
    for (const direction of this.#directions) direction.stop()
    this.#directions.clear()
    this.#due.clear()
  }

  #wait(direction: PacedDirection): void {
    if (this.#stopped) return
    if (direction.stopped) {
      this.#directions.delete(direction)
      this.#due.remove(direction)
      return
    }
    this.#due.put(direction, direction.nextMs)
    this.#arm()
  }

  #arm(): void {
    const atMs = this.#due.nextMs
    if (atMs >= this.#timerAtMs) return
    clearTimeout(this.#timer)
    this.#timerAtMs = atMs
    this.#timer = setTimeout(this.#onTimer, Math.min(timerMaxMs, Math.max(tickMs, Math.ceil(atMs - this.#now()))))
  }

  #tick(): void {
    const nowMs = this.#now()
    for (let sent = 0; sent < sendersPerTurn; sent += 1) {
      const direction = this.#due.take(nowMs)
      if (direction === undefined) {
        this.#timerAtMs = Number.POSITIVE_INFINITY
        this.#arm()
        return
      }
      direction.pump(nowMs)
      if (direction.stopped) this.#directions.delete(direction)
      else this.#due.put(direction, direction.nextMs)
    }
    // The others when what these said has left, and what came has been read.
    this.#timerAtMs = Number.NEGATIVE_INFINITY
    this.#immediate = setImmediate(this.#onTimer)
  }
}
