/** The least value of the last half minute to minute: two windows of half a minute each, so that nothing is stored (after Linux's `win_minmax`). */

/** Length of one of the two windows: what got larger for good is believed after at most twice this. */
export const minimumWindowMs = 30_000

export class WindowedMinimum {
  /** When the window under way began. */
  startMs = 0
  /** Least of the window under way; Infinity before the first value. */
  current: number = Number.POSITIVE_INFINITY
  /** Least of the window before. */
  previous: number = Number.POSITIVE_INFINITY

  get value(): number | undefined {
    const least = Math.min(this.current, this.previous)
    return least === Number.POSITIVE_INFINITY ? undefined : least
  }

  sample(nowMs: number, value: number): void {
    if (this.current === Number.POSITIVE_INFINITY) this.startMs = nowMs
    else if (nowMs - this.startMs > minimumWindowMs) {
      this.previous = this.current
      this.current = value
      this.startMs = nowMs
      return
    }
    if (value < this.current) this.current = value
  }

  reset(): void {
    this.current = Number.POSITIVE_INFINITY
    this.previous = Number.POSITIVE_INFINITY
  }
}
