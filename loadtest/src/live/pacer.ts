// Open-model senders: every message has an intended time, whatever the connection does. One timer for all of them, however many there are.
import { dueAtMs, type Pace } from '../pace.ts'
import type { FlowDirection, Plan } from '../plan.ts'
import { keystreamKey } from '../verdict/keystream.ts'
import { encodeMessage } from '../verdict/message.ts'
import { messageSize } from '../verdict/sizes.ts'

/** Finer than this, a timer of Node is late anyway; coarser, bursts would show in the latencies. */
const tickMs = 2
/** A direction that waits for credit holds no more than this many messages; the rest stay due and are sent late, which `send_delay` shows. */
const pendingMessagesMax = 64

export interface PacedSink {
  /** Hands a message to the connection; resolves when it is accepted. */
  send(bytes: Uint8Array): Promise<void>
}

/** One sending end: knows what is due, sends it in order. */
export class PacedDirection {
  readonly direction: FlowDirection
  readonly #plan: Plan
  readonly #sink: PacedSink
  readonly #key: number
  readonly #startMs: number
  readonly #phase: number
  readonly #pace: Pace | undefined
  readonly #onSent: (bytes: number, dueMs: number) => void
  readonly #onError: (error: unknown) => void
  #index = 0
  #offset = 0
  #dueMs: number
  #pending = 0
  #stopped = false

  constructor(options: {
    plan: Plan
    direction: FlowDirection
    sink: PacedSink
    startMs: number
    /** In [0, 1): where in its interval the first burst lies, so that a thousand senders do not beat as one. */
    phase: number
    /** How its rate changes over time; undefined: it does not. */
    pace: Pace | undefined
    onSent: (bytes: number, dueMs: number) => void
    onError: (error: unknown) => void
  }) {
    this.#plan = options.plan
    this.direction = options.direction
    this.#sink = options.sink
    this.#key = keystreamKey(options.plan.seed, options.direction.direction)
    this.#startMs = options.startMs
    this.#phase = options.phase
    this.#pace = options.pace
    this.#dueMs = this.#dueOfNext()
    this.#onSent = options.onSent
    this.#onError = options.onError
  }

  /** Sends everything that is due, as far as the connection takes it. */
  pump(nowMs: number): void {
    while (!this.#stopped && this.#pending < pendingMessagesMax) {
      const dueMs = this.#dueMs
      if (dueMs > nowMs) return
      if (dueMs >= this.#plan.run.durationMs) {
        this.stop()
        return
      }
      const length = messageSize(this.#plan.seed, this.direction, this.#index)
      const limit = this.direction.dataLimitBytes
      if (limit !== null && this.#offset + length > limit) {
        this.stop()
        return
      }
      const header = { direction: this.direction.direction, index: this.#index, offset: this.#offset, dueMs, length }
      const bytes = encodeMessage(this.#key, header, this.direction.content)
      this.#index += 1
      this.#dueMs = this.#dueOfNext()
      this.#offset += length
      this.#pending += 1
      this.#onSent(length, dueMs)
      this.#sink.send(bytes).then(
        () => {
          this.#pending -= 1
        },
        (error: unknown) => {
          if (!this.#stopped) this.#onError(error)
          this.stop()
        },
      )
    }
  }

  stop(): void {
    this.#stopped = true
  }

  get stopped(): boolean {
    return this.#stopped
  }

  #dueOfNext(): number {
    return dueAtMs(this.direction, this.#pace, this.#startMs, this.#phase, this.#index)
  }
}

/** Drives every direction of a run. */
export class Pacer {
  readonly #directions = new Set<PacedDirection>()
  readonly #now: () => number
  #timer: NodeJS.Timeout | undefined

  constructor(now: () => number) {
    this.#now = now
  }

  add(direction: PacedDirection): void {
    this.#directions.add(direction)
    this.#timer ??= setInterval(() => this.#tick(), tickMs)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    for (const direction of this.#directions) direction.stop()
    this.#directions.clear()
  }

  #tick(): void {
    const nowMs = this.#now()
    for (const direction of this.#directions) {
      direction.pump(nowMs)
      if (direction.stopped) this.#directions.delete(direction)
    }
  }
}
