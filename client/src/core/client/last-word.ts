/**
 * The end of a connection that was said into nothing: joins go on standing for a while, so that a peer that still looks for us hears it from
 * the tombstone (connection.md 23) and does not wait for its own time to run out.
 */

/** A peer that heard nothing for so long has ended by itself. */
const sayForMs = 120_000

export class LastWord {
  #untilMs = 0

  begin(nowMs: number): void {
    this.#untilMs = nowMs + sayForMs
  }

  end(): void {
    this.#untilMs = 0
  }

  /** Whether a path is still wanted for it. `unsaid`: nobody acknowledged the end, and there is no path to say it by. */
  wanted(nowMs: number, unsaid: boolean): boolean {
    return unsaid && nowMs < this.#untilMs
  }

  /** @returns whether joins are to be looked at again */
  wake(nowMs: number, joinsAtMs: number): boolean {
    if (nowMs < this.wakeAtMs(joinsAtMs)) return false
    if (nowMs >= this.#untilMs) this.#untilMs = 0
    return true
  }

  wakeAtMs(joinsAtMs: number): number {
    return this.#untilMs === 0 ? Number.POSITIVE_INFINITY : Math.min(this.#untilMs, joinsAtMs)
  }
}
