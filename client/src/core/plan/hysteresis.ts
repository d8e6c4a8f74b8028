/**
 * When to move: a healthy path is left only for one that is much better, three probe rounds long, and then held (Tailscale netcheck, babeld):
 * without this, two relays of nearly one cost are swapped for ever.
 */
import type { RankedRelay } from './ranking.ts'

/** A move needs new ≤ ⅔·old … */
const moveRatio = 2 / 3
/** … and this many milliseconds less, … */
const moveGainMs = 10
/** … in this many rounds one after the other, … */
const moveRounds = 3
/**
 * The first choice was made on the pings of a cold process, so for its first seconds (three rounds) it is only provisional: what is better by more
 * than noise, twice, takes its place. Without this a relay that is a third dearer, chosen by one late ping, would stay for ever.
 */
const early = { withinMs: 10_000, ratio: 0.9, gainMs: 5, rounds: 2 } as const
/** … and is then kept this long. */
export const holdMs: number = 30_000
/** Costs this close are equal; the choice among them is random, so that a crowd does not move as one. */
const equalBand = 0.1

/** The outcome of one look at the ranking. */
export interface Choice {
  readonly relayId: string
  readonly why: string
}

/** Keeps the chosen relay of one connection and decides when another one takes its place. */
export class Hysteresis {
  readonly #random: () => number
  #current: string | undefined
  #betterRounds = 0
  #firstChosenAtMs = Number.POSITIVE_INFINITY
  #heldUntilMs = Number.NEGATIVE_INFINITY

  constructor(random: () => number) {
    this.#random = random
  }

  /** The relay in use, if one was chosen. */
  get current(): string | undefined {
    return this.#current
  }

  /** The connection moved by itself (a fail-over): that relay is the current one now. */
  moved(nowMs: number, relayId: string): void {
    if (relayId === this.#current) return
    this.#current = relayId
    this.#betterRounds = 0
    this.#heldUntilMs = nowMs + holdMs
  }

  /**
   * Looks at the ranking. `round` says that new measurements stand behind it; looks between rounds never count towards a move.
   * A current relay that is missing from `ranked` (bad, draining, unreachable) is left at once, and so is one that `toLeave` says why to leave
   * while there is another.
   */
  choose(
    nowMs: number,
    ranked: readonly RankedRelay[],
    round: boolean,
    toLeave: (relayId: string) => string | undefined = () => undefined,
  ): Choice | undefined {
    const best = ranked[0]
    if (best === undefined) return undefined
    const current = ranked.find((relay) => relay.relayId === this.#current)
    if (current === undefined) {
      const why = this.#current === undefined ? 'first choice' : `${this.#current} cannot be used any more`
      return this.#take(nowMs, ranked, why, this.#current !== undefined)
    }
    const why = toLeave(current.relayId)
    if (why !== undefined && toLeave(best.relayId) === undefined) return this.#take(nowMs, ranked, `${current.relayId} ${why}`, true)
    const young = nowMs < this.#firstChosenAtMs + early.withinMs
    const ratio = young ? early.ratio : moveRatio
    const better = best.costMs <= current.costMs * ratio && current.costMs - best.costMs >= (young ? early.gainMs : moveGainMs)
    if (!better) this.#betterRounds = 0
    else if (round) this.#betterRounds += 1
    if (better && this.#betterRounds >= (young ? early.rounds : moveRounds) && nowMs >= this.#heldUntilMs)
      return this.#take(
        nowMs,
        ranked,
        `${round1(best.costMs)} ms instead of ${round1(current.costMs)} ms in ${this.#betterRounds} rounds`,
        true,
      )
    return { relayId: current.relayId, why: 'kept' }
  }

  #take(nowMs: number, ranked: readonly RankedRelay[], why: string, hold: boolean): Choice {
    const limit = ranked[0]!.costMs * (1 + equalBand)
    const equals = ranked.filter((relay) => relay.costMs <= limit)
    const chosen = equals[Math.min(equals.length - 1, Math.floor(this.#random() * equals.length))]!
    if (this.#current === undefined) this.#firstChosenAtMs = nowMs
    this.#current = chosen.relayId
    this.#betterRounds = 0
    this.#heldUntilMs = hold ? nowMs + holdMs : nowMs
    return { relayId: chosen.relayId, why }
  }
}

function round1(value: number): number {
  return Math.round(value * 10) / 10
}
