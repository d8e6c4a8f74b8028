// When the messages of one sender are due, one after the other: at a rate that may change over time, or so long after the last answer.
import { dueAtMs, type Pace } from './pace.ts'
import type { FlowDirection } from './plan.ts'
import { keystreamKey } from './verdict/keystream.ts'
import { sample } from './verdict/sizes.ts'

export interface DueTimesOptions {
  readonly seed: number
  readonly direction: FlowDirection
  /** Those of the plan. */
  readonly paces: readonly Pace[]
  /** When the sender begins. */
  readonly startMs: number
  /** How many messages it has sent on earlier connections. */
  readonly before?: number
}

const phaseSteps = 0x1_0000_0000

export class DueTimes {
  readonly #options: DueTimesOptions
  readonly #pace: Pace | undefined
  /** In [0, 1): drawn from the seed, so that a thousand senders do not beat as one and a run repeats. */
  readonly #phase: number
  readonly #thinkKey: number
  #count = 0
  #answers = 0
  #nextMs: number

  constructor(options: DueTimesOptions) {
    const { seed, direction, paces } = options
    this.#options = options
    this.#pace = direction.pace === undefined ? undefined : paces[direction.pace]
    this.#phase = keystreamKey(seed ^ 0x5bd1e995, direction.direction) / phaseSteps
    this.#thinkKey = keystreamKey(seed ^ 0x2c1b3c6d, direction.direction)
    this.#nextMs = direction.think === undefined ? this.#atRate() : options.startMs + this.#phase * this.#thought()
  }

  /** When the next message is due; Infinity while it waits for an answer, or when it never is. */
  get nextMs(): number {
    return this.#nextMs
  }

  /** The next message was sent. */
  sent(): void {
    this.#count += 1
    const { think, burst } = this.#options.direction
    if (think === undefined) this.#nextMs = this.#atRate()
    else if (this.#count % burst === 0) this.#nextMs = Number.POSITIVE_INFINITY
  }

  /** A message was answered. In the closed model the last one of a burst makes the next burst due. */
  answered(nowMs: number): void {
    const { think } = this.#options.direction
    if (think === undefined) return
    this.#answers += 1
    if (this.#answers === this.#count && !Number.isFinite(this.#nextMs)) this.#nextMs = nowMs + this.#thought()
  }

  #atRate(): number {
    const { direction, startMs } = this.#options
    return dueAtMs(direction, this.#pace, startMs, this.#phase, this.#count)
  }

  #thought(): number {
    const { think, burst } = this.#options.direction
    const { before = 0 } = this.#options
    return think === undefined ? 0 : Math.max(0, sample(think, this.#thinkKey, (before + this.#count) / burst))
  }
}
