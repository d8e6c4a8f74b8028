// How fast the senders of a plan go over time: a factor on their own rate, as points joined by straight lines. When a message is due follows from
// it by exact integration, so that the live pacer, the simulated world and the checker of rates all mean the same moment.

/** A point of the line. Two points of one time are a jump; before the first and after the last point the line goes on level. */
export interface PacePoint {
  readonly atMs: number
  readonly factor: number
}

/** One line with its integral. */
export class Pace {
  readonly #points: readonly PacePoint[]
  /** Factor × ms from the first point up to each point. */
  readonly #sums: Float64Array

  /** @param points at least one, in order of time, no factor below 0 */
  constructor(points: readonly PacePoint[]) {
    this.#points = points
    this.#sums = new Float64Array(points.length)
    for (let i = 1; i < points.length; i++) {
      const [a, b] = [points[i - 1]!, points[i]!]
      this.#sums[i] = this.#sums[i - 1]! + ((a.factor + b.factor) / 2) * (b.atMs - a.atMs)
    }
  }

  /** The largest factor there is. */
  get peak(): number {
    return this.#points.reduce((most, { factor }) => Math.max(most, factor), 0)
  }

  /** The integral of the factor over [fromMs, toMs), in factor × ms. */
  between(fromMs: number, toMs: number): number {
    return this.#upTo(toMs) - this.#upTo(fromMs)
  }

  /** The earliest time by which the integral from `fromMs` on has reached `amount` (> 0); Infinity when it never does. */
  after(fromMs: number, amount: number): number {
    const wanted = this.#upTo(fromMs) + amount
    const points = this.#points
    const last = points.length - 1
    if (wanted > this.#sums[last]!) {
      const { atMs, factor } = points[last]!
      return factor === 0 ? Number.POSITIVE_INFINITY : Math.max(fromMs, atMs + (wanted - this.#sums[last]!) / factor)
    }
    if (wanted <= 0) return Math.max(fromMs, points[0]!.factor === 0 ? points[0]!.atMs : points[0]!.atMs + wanted / points[0]!.factor)
    // The first point at which the sum is reached: the moment lies before it.
    let low = 0
    let high = last
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#sums[middle]! < wanted) low = middle + 1
      else high = middle
    }
    const [a, b] = [points[low - 1]!, points[low]!]
    const slope = (b.factor - a.factor) / (b.atMs - a.atMs)
    const rest = wanted - this.#sums[low - 1]!
    // The root of a·x + slope·x²/2 = rest that does not lose digits when the slope is small. A rest too small for its root is none.
    const steepness = a.factor + Math.sqrt(Math.max(0, a.factor * a.factor + 2 * slope * rest))
    return Math.max(fromMs, steepness === 0 ? a.atMs : a.atMs + (2 * rest) / steepness)
  }

  #upTo(atMs: number): number {
    const points = this.#points
    const first = points[0]!
    if (atMs <= first.atMs) return (atMs - first.atMs) * first.factor
    let low = 0
    let high = points.length - 1
    // The last point that is not later.
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (points[middle]!.atMs <= atMs) low = middle
      else high = middle - 1
    }
    const a = points[low]!
    const b = points[low + 1]
    const x = atMs - a.atMs
    if (b === undefined) return this.#sums[low]! + a.factor * x
    return this.#sums[low]! + a.factor * x + (((b.factor - a.factor) / (b.atMs - a.atMs)) * x * x) / 2
  }
}

/** How a sender goes: `bursts` a second, in time with a pace where it has one. */
export interface Paced {
  readonly bursts: number
  readonly burst: number
}

/** Whether a sender has a rate of its own: who answers, or waits for an answer, has none. */
export function hasRate({ role, think }: { readonly role?: string; readonly think?: unknown }): boolean {
  return role !== 'answers' && think === undefined
}

/**
 * When message `index` of a sender that begins at `startMs` is due: the burst it belongs to is due when the integral of the rate from `startMs`
 * on has reached the number of the burst plus `phase`. Infinity: never.
 *
 * @param phase in [0, 1): where in its interval the first burst lies, so that a thousand senders do not beat as one
 */
export function dueAtMs({ bursts, burst }: Paced, pace: Pace | undefined, startMs: number, phase: number, index: number): number {
  const number = Math.floor(index / burst)
  if (pace === undefined) return startMs + (phase * 1000) / bursts + (number * 1000) / bursts
  return pace.after(startMs, ((number + phase) * 1000) / bursts)
}
