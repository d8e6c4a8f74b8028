// Durations counted in bins of 2 % width: what snapshots carry. Plain numbers that add up, so that the snapshots of several processes merge, and
// cheap: one logarithm and one addition a message. The verdict itself is made from the finer histograms.

/** Bins of each doubling: 2.2 % wide, so a percentile is right to about 1 %. */
const binsPerDoubling = 32
/** Durations are counted from a microsecond to an hour; what is longer counts as an hour. */
const binsMax = Math.ceil(Math.log2(3_600_000_000) * binsPerDoubling) + 1

/** Bin, count, bin, count …: only bins that have something, in their order. */
export type Bins = readonly number[]

/** Counts durations in milliseconds. */
export class LatencyBins {
  readonly #counts = new Float64Array(binsMax)

  record(ms: number): void {
    const bin = ms <= 0.001 ? 0 : Math.min(binsMax - 1, Math.floor(Math.log2(ms * 1000) * binsPerDoubling))
    this.#counts[bin]! += 1
  }

  /** Adds what was counted elsewhere. */
  add(bins: Bins): void {
    for (let at = 0; at + 1 < bins.length; at += 2) {
      const bin = bins[at]!
      if (bin >= 0 && bin < binsMax) this.#counts[bin]! += bins[at + 1]!
    }
  }

  /** What was counted so far. */
  read(): Bins {
    const bins: number[] = []
    for (let bin = 0; bin < binsMax; bin++) if (this.#counts[bin]! > 0) bins.push(bin, this.#counts[bin]!)
    return bins
  }

  /** What was counted, to begin anew. */
  take(): Bins {
    const bins = this.read()
    this.#counts.fill(0)
    return bins
  }
}

export function countOf(bins: Bins): number {
  let count = 0
  for (let at = 1; at < bins.length; at += 2) count += bins[at]!
  return count
}

/** The duration in ms at a percentile (0–100), to about 1 %; null when nothing was counted. */
export function percentileOfBins(bins: Bins, percentile: number): number | null {
  const count = countOf(bins)
  if (count === 0) return null
  let left = Math.max(1, Math.ceil((percentile / 100) * count))
  for (let at = 0; at < bins.length; at += 2) {
    left -= bins[at + 1]!
    if (left <= 0) return 2 ** ((bins[at]! + 0.5) / binsPerDoubling) / 1000
  }
  return null
}
