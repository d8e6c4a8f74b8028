// Histograms of durations: HdrHistogram in microseconds, three digits, up to an hour. Kept instead of samples, so that memory does not grow
// with the run, and added instead of averaged, since percentiles cannot be averaged.
import { build, type JsHistogram } from 'hdr-histogram-js'

/** An hour: no message of a test is later, and anything above is recorded as this. */
const highestUs = 3_600_000_000

export interface Percentiles {
  readonly p50: number | null
  readonly p90: number | null
  readonly p99: number | null
  readonly p999: number | null
  readonly max: number | null
}

/** Everything that a histogram holds, as data that can be added to another one of at least as many digits. */
export interface HistogramState {
  /** A value in microseconds, how often it came, the next value, … ascending. */
  readonly counts: readonly number[]
  readonly sumMs: number
  readonly maxMs: number
  /** null: nothing was recorded. */
  readonly minMs: number | null
}

/** Counts durations in milliseconds. */
export class DurationHistogram {
  readonly #histogram: JsHistogram
  #sumMs = 0
  #maxMs = 0
  #minMs = Number.POSITIVE_INFINITY

  constructor(digits: 1 | 2 | 3 = 3) {
    this.#histogram = build({
      bitBucketSize: 32,
      autoResize: false,
      lowestDiscernibleValue: 1,
      highestTrackableValue: highestUs,
      numberOfSignificantValueDigits: digits,
      useWebAssembly: false,
    }) as JsHistogram
  }

  get count(): number {
    return this.#histogram.totalCount
  }

  record(ms: number): void {
    const clean = Math.max(0, ms)
    this.#sumMs += clean
    if (clean > this.#maxMs) this.#maxMs = clean
    if (clean < this.#minMs) this.#minMs = clean
    this.#histogram.recordValue(Math.min(highestUs, Math.round(clean * 1000)))
  }

  /** The value at a percentile (0–100) in ms, null when nothing was recorded. */
  at(percentile: number): number | null {
    if (this.count === 0) return null
    if (percentile >= 100) return this.#maxMs
    return Math.min(this.#maxMs, this.#histogram.getValueAtPercentile(percentile) / 1000)
  }

  get max(): number | null {
    return this.count === 0 ? null : this.#maxMs
  }

  get min(): number | null {
    return this.count === 0 ? null : this.#minMs
  }

  get mean(): number | null {
    return this.count === 0 ? null : this.#sumMs / this.count
  }

  percentiles(): Percentiles {
    return { p50: this.at(50), p90: this.at(90), p99: this.at(99), p999: this.at(99.9), max: this.max }
  }

  /** What it holds. */
  state(): HistogramState {
    const end = this.count === 0 ? 0 : this.#histogram.countsArrayIndex(this.#histogram.maxValue) + 1
    let used = 0
    for (let index = 0; index < end; index++) if (this.#histogram.getCountAtIndex(index) > 0) used += 1
    // Of its size from the start: grown by one after the other it would be written three times.
    const counts = new Array<number>(used * 2)
    let at = 0
    for (let index = 0; index < end; index++) {
      const count = this.#histogram.getCountAtIndex(index)
      if (count === 0) continue
      counts[at++] = this.#histogram.valueFromIndex(index)
      counts[at++] = count
    }
    return { counts, sumMs: this.#sumMs, maxMs: this.#maxMs, minMs: this.min }
  }

  /** Adds what another one held: as if all of it had been recorded here. */
  add({ counts, sumMs, maxMs, minMs }: HistogramState): void {
    for (let at = 0; at + 1 < counts.length; at += 2)
      this.#histogram.recordValueWithCount(Math.min(highestUs, counts[at]!), counts[at + 1]!)
    this.#sumMs += sumMs
    if (maxMs > this.#maxMs) this.#maxMs = maxMs
    if (minMs !== null && minMs < this.#minMs) this.#minMs = minMs
  }

  reset(): void {
    this.#histogram.reset()
    this.#sumMs = 0
    this.#maxMs = 0
    this.#minMs = Number.POSITIVE_INFINITY
  }
}

/** Percentile of a few exact numbers (nearest rank), for one value per connection; null when there are none. */
export function percentileOf(values: readonly number[], percentile: number): number | null {
  if (values.length === 0) return null
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((percentile / 100) * sorted.length) - 1)]!
}
