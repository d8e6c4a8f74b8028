/**
 * Notices that every path went silent at once. No verdict falls then, because each is judged only relative to another (connection.md 20); yet
 * after a while the connection is as good as without a path, and the peer, if it has nothing in flight, knows nothing of it.
 */

/** Paths are looked at this often while one is in doubt. */
const lookEveryMs = 500
/** All of them silent for so long counts as a loss; a probe timer on the longest links we serve is shorter. */
const silentMs = 1_000

export class SilenceWatch {
  #lookAtMs = Number.POSITIVE_INFINITY
  #untilMs = 0
  #silentSinceMs: number | undefined

  /** A path is in doubt: watch until `untilMs`. */
  suspect(nowMs: number, untilMs: number): void {
    this.#untilMs = untilMs
    if (!Number.isFinite(this.#lookAtMs)) this.#lookAtMs = nowMs + lookEveryMs
  }

  /** A path answered. */
  answered(): void {
    this.#silentSinceMs = undefined
  }

  /** Since when all are silent, once that is long enough. Call it at {@link wakeAtMs}; `someAnswers` says whether a path is beyond doubt. */
  look(nowMs: number, someAnswers: boolean): number | undefined {
    this.#lookAtMs = nowMs < this.#untilMs ? nowMs + lookEveryMs : Number.POSITIVE_INFINITY
    if (someAnswers) this.#silentSinceMs = undefined
    else this.#silentSinceMs ??= nowMs
    return this.#silentSinceMs !== undefined && nowMs >= this.#silentSinceMs + silentMs ? this.#silentSinceMs : undefined
  }

  wakeAtMs(): number {
    return this.#lookAtMs
  }
}
