/** Which bytes of a stream have arrived: disjoint ranges in order. A sound stream is one range. */

/** A stream in more pieces than this is not worth counting further: it is broken beyond any figure. */
const rangesMax = 100_000

export class Covered {
  /** Starts and ends, `[from, to)`, rising. */
  #ranges: [number, number][] = []

  /** Marks `[from, to)`. @returns how many of its bytes are new */
  add(from: number, to: number): number {
    const last = this.#ranges.at(-1)
    if (last !== undefined && from >= last[0] && from <= last[1]) {
      // The common case: the stream goes on where it was.
      const fresh = Math.max(0, to - last[1])
      last[1] = Math.max(last[1], to)
      return fresh
    }
    let fresh = to - from
    const kept: [number, number][] = []
    const joined: [number, number] = [from, to]
    for (const range of this.#ranges) {
      if (range[1] < from || range[0] > to) kept.push(range)
      else {
        fresh -= Math.max(0, Math.min(range[1], to) - Math.max(range[0], from))
        joined[0] = Math.min(joined[0], range[0])
        joined[1] = Math.max(joined[1], range[1])
      }
    }
    kept.push(joined)
    if (kept.length > rangesMax) throw new Error(`a stream arrived in more than ${rangesMax} pieces`)
    this.#ranges = kept.sort((a, b) => a[0] - b[0])
    return fresh
  }

  /** Bytes of `[0, to)` that have not arrived. */
  missingBelow(to: number): number {
    return this.#ranges.reduce((left, [start, end]) => left - Math.max(0, Math.min(end, to) - start), to)
  }
}
