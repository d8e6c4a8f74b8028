/** When bytes of a stream arrived: enough to say how long it stood still in any window of the last minutes. */

/** Arrivals closer than this to the first of their group are one: a stall is longer, and memory stays small. */
const groupMs = 0.25
/** Older ones go: a round takes less. */
const keptMs = 120_000

export class Arrivals {
  #times: number[] = []

  add(nowMs: number): void {
    const last = this.#times.at(-1)
    if (last !== undefined && nowMs - last < groupMs) return
    this.#times.push(nowMs)
    if (this.#times.length % 10_000 === 0) this.#times = this.#times.filter((time) => time > nowMs - keptMs)
  }

  /**
   * The longest time without an arrival that ends in `(fromMs, toMs]`, and when it began. A gap that began before the window counts whole; one that
   * has not ended by `toMs` counts up to there.
   */
  longestGap(fromMs: number, toMs: number): { readonly gapMs: number; readonly atMs: number } {
    let previous = Number.NEGATIVE_INFINITY
    let longest = { gapMs: 0, atMs: fromMs }
    const end = (time: number): void => {
      const atMs = previous === Number.NEGATIVE_INFINITY ? fromMs : previous
      if (time > fromMs && time - atMs > longest.gapMs) longest = { gapMs: time - atMs, atMs }
    }
    for (const time of this.#times) {
      if (time > toMs) break
      // What is before the first arrival is no gap, unless nothing arrived at all.
      if (previous !== Number.NEGATIVE_INFINITY) end(time)
      previous = time
    }
    end(toMs)
    return longest
  }
}
