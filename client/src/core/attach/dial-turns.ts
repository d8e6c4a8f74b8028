/**
 * When a relay is dialled: in its turn, which the back-off names, or sooner where a connection needs it. Every wait is drawn once and by each client
 * for itself, so that a crowd that lost one relay does not come back in step.
 */
import type { ClientTuning } from '../client/tuning.ts'
import { Backoff, type BackoffFacts, type BackoffStep } from './backoff.ts'

/** When the back-off would have dialled. */
export interface Turn {
  readonly untilMs: number
  readonly resting: boolean
}

/** The next dial is to come. */
export interface Waiting extends Turn {
  readonly type: 'waiting'
  /** For its place in the first race, not for a failure. */
  readonly staggered: boolean
  /** This dial is out of turn, and that is when its turn comes. */
  readonly after?: Turn | undefined
}

export class DialTurns {
  readonly #tuning: ClientTuning
  readonly #random: () => number
  readonly #backoff: Backoff
  #promptedAtMs = Number.NEGATIVE_INFINITY
  #lostAtMs = Number.NEGATIVE_INFINITY

  constructor(tuning: ClientTuning, random: () => number) {
    this.#tuning = tuning
    this.#random = random
    this.#backoff = new Backoff(tuning, random)
  }

  /** What failed before says nothing now. */
  forget(): void {
    this.#backoff.reset()
  }

  attached(nowMs: number): void {
    this.#backoff.established(nowMs)
  }

  /** An attachment was lost that had not said so before. */
  lost(nowMs: number): void {
    this.#lostAtMs = nowMs
  }

  /** A dial failed, or an attachment was lost: the wait for the next one. */
  failed(nowMs: number, facts: BackoffFacts): BackoffStep {
    return this.#backoff.failed(nowMs, facts)
  }

  /** It said that it goes, and over which time its clients should. */
  wentInOrder(nowMs: number, spreadMs: number, facts: BackoffFacts): BackoffStep {
    return this.#backoff.wentInOrder(nowMs, spreadMs, facts)
  }

  /** A connection stands still, or is about to: the urgent cap counts now, and nobody rests. @returns another wait, or undefined: it stays */
  hurried(nowMs: number, wait: Waiting): Waiting | undefined {
    const { backoffUrgentCapMs } = this.#tuning
    // Drawn once: this is asked whenever anything changes, and the least of many draws would be no jitter at all.
    if (!wait.resting && wait.untilMs <= nowMs + backoffUrgentCapMs) return undefined
    const untilMs = Math.min(wait.untilMs, nowMs + this.#random() * backoffUrgentCapMs)
    return { type: 'waiting', untilMs, resting: false, staggered: false }
  }

  /** Lost a moment ago, and a connection needs as many relays as it has left: one that is only being started again is found within a second. */
  returned(nowMs: number, wait: Waiting): Waiting | undefined {
    const { returnWithinMs, returnEveryMs, repairAfterMs } = this.#tuning
    if (nowMs >= this.#lostAtMs + returnWithinMs || wait.untilMs <= nowMs + returnEveryMs) return undefined
    // Not in the moment of the loss: its circuits move first.
    const untilMs = nowMs + repairAfterMs + this.#random() * (returnEveryMs - repairAfterMs)
    return { type: 'waiting', untilMs, resting: false, staggered: false }
  }

  /**
   * A connection stands still from now on, for want of a path or of a relay for its mode: one dial out of turn, at a moment of our own within a
   * quarter second, because what the back-off knows of this relay may be older than its return. When it fails, the back-off goes on as if there had
   * been none.
   */
  prompted(nowMs: number, wait: Waiting): Waiting | undefined {
    const { promptEveryMs, pathlessSpreadMs } = this.#tuning
    const fromMs = Math.max(nowMs, this.#promptedAtMs + promptEveryMs)
    const untilMs = fromMs + this.#random() * pathlessSpreadMs
    if (wait.untilMs <= untilMs) return undefined
    this.#promptedAtMs = untilMs
    const after = wait.after ?? { untilMs: wait.untilMs, resting: wait.resting }
    return { ...wait, untilMs, resting: false, after }
  }

  /** Who listens rests no relay for longer than this; half of it is jitter, as in any rest. */
  restedAtMost(nowMs: number, wait: Waiting, maxMs: number): Waiting | undefined {
    if (!wait.resting || wait.untilMs <= nowMs + maxMs) return undefined
    return { ...wait, untilMs: nowMs + maxMs * (0.5 + 0.5 * this.#random()) }
  }
}

/** The wait that the back-off names. */
export function waitingFor(nowMs: number, step: BackoffStep): Waiting {
  return { type: 'waiting', untilMs: nowMs + step.delayMs, resting: step.type === 'rest', staggered: false }
}
