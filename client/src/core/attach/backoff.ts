/**
 * When to try a relay again: full jitter, rand(0, min(cap, base·2ⁿ)), because a crowd that lost one relay must not come back in step
 * (AWS "Exponential Backoff And Jitter"); a relay that keeps failing rests.
 */
import type { ClientTuning } from '../client/tuning.ts'

/** Circumstances of one decision. */
export interface BackoffFacts {
  /** A connection is without a path, or somebody waits: the low cap, and nobody rests. */
  readonly urgent: boolean
  /** Whether this relay may rest; the last two of a list never do. */
  readonly mayRest: boolean
  /** Somebody listens here: whoever calls may know no other relay, so none rests for long. */
  readonly serving: boolean
}

/** What to do after a failure. */
export type BackoffStep = { readonly type: 'retry'; readonly delayMs: number } | { readonly type: 'rest'; readonly delayMs: number }

/** Counts the failures of one relay and names each delay. */
export class Backoff {
  readonly #tuning: ClientTuning
  readonly #random: () => number
  #failures = 0
  #establishedAtMs: number | undefined
  /** A relay that went in order: asked again at this pace until then. */
  #away: { readonly untilMs: number; readonly paceMs: number } | undefined

  constructor(tuning: ClientTuning, random: () => number) {
    this.#tuning = tuning
    this.#random = random
  }

  /** Failures since the relay was last stable. */
  get failures(): number {
    return this.#failures
  }

  /** The relay is attached; it counts as stable only after `backoffResetMs`. */
  established(nowMs: number): void {
    this.#establishedAtMs = nowMs
    this.#away = undefined
  }

  /**
   * The relay said that it goes, and went: no failure, most likely a restart. Names the delay before the next dial: full jitter over half the
   * time over which the relay wanted its clients to move, because it knows how many they are. One that goes again at once is a failing one.
   */
  wentInOrder(nowMs: number, spreadMs: number, facts: BackoffFacts): BackoffStep {
    const { awayMs, awayPaceMinMs, awayPaceMaxMs, awayAfterMs } = this.#tuning
    if (this.#establishedAtMs === undefined || nowMs - this.#establishedAtMs < awayAfterMs) return this.failed(nowMs, facts)
    this.reset()
    const paceMs = Math.min(awayPaceMaxMs, Math.max(awayPaceMinMs, spreadMs / 2))
    this.#away = { untilMs: nowMs + awayMs, paceMs }
    return { type: 'retry', delayMs: this.#random() * paceMs }
  }

  /** A dial failed or an attachment was lost: names the delay before the next dial. */
  failed(nowMs: number, facts: BackoffFacts): BackoffStep {
    const tuning = this.#tuning
    if (this.#away !== undefined && nowMs < this.#away.untilMs) return { type: 'retry', delayMs: this.#random() * this.#away.paceMs }
    const lost = this.#establishedAtMs !== undefined
    if (this.#establishedAtMs !== undefined && nowMs - this.#establishedAtMs >= tuning.backoffResetMs) this.#failures = 0
    this.#establishedAtMs = undefined
    // What was just lost is not back yet, and its circuits are moving at this moment.
    const waitMs = lost && !facts.urgent ? tuning.repairAfterMs : 0
    const delayMs = waitMs + backoffDelayMs(tuning, this.#failures, facts.urgent, this.#random)
    this.#failures += 1
    const over = this.#failures - tuning.restAfterFailures
    if (over < 0 || facts.urgent || !facts.mayRest) return { type: 'retry', delayMs }
    const restMs = Math.min(facts.serving ? tuning.restServingMaxMs : tuning.restMaxMs, tuning.restStepMs * (over + 1))
    // Half of a rest is jitter too, or relays that failed together would wake together.
    return { type: 'rest', delayMs: restMs * (0.5 + 0.5 * this.#random()) }
  }

  /** Forget the past: the operator named the relay anew. */
  reset(): void {
    this.#failures = 0
    this.#establishedAtMs = undefined
    this.#away = undefined
  }
}

/** The delay before try `failures + 1`: rand(0, min(cap, base·2ⁿ)), with a longer base while other relays carry everything. */
export function backoffDelayMs(tuning: ClientTuning, failures: number, urgent: boolean, random: () => number): number {
  const cap = urgent ? tuning.backoffUrgentCapMs : tuning.backoffCapMs
  const base = urgent ? tuning.backoffBaseMs : tuning.backoffCalmBaseMs
  return random() * Math.min(cap, base * 2 ** Math.min(failures, 20))
}
