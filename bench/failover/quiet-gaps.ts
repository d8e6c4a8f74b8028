/** The longest gap of a stream without a fault, in as much time as it is compared with: the longest of five seconds is longer than that of one. */

interface Watched {
  readonly tookMs: number
  readonly gapMs: number
}

export class QuietGaps {
  readonly #watched: Watched[] = []

  /** The stream was watched for so long, and nothing was done to it. */
  add(tookMs: number, gapMs: number): void {
    this.#watched.push({ tookMs, gapMs })
  }

  /** The longest gap in the latest watches that together took `tookMs`; in all there are while they are fewer; 0 without any. */
  longestMs(tookMs: number): number {
    let longestMs = 0
    let left = tookMs
    for (let index = this.#watched.length - 1; index >= 0 && left > 0; index--) {
      const watched = this.#watched[index]!
      longestMs = Math.max(longestMs, watched.gapMs)
      left -= watched.tookMs
    }
    return longestMs
  }
}
