// The ramp: what is due at a time of the plan, later by as long as the ramp was paused before. It holds nothing but what the plan asks for.

/** Runs `what` at a time of the run, or soon when that is over. */
export type At = (atMs: number, what: () => void) => void

export class Ramp {
  readonly #now: () => number
  readonly #at: At
  readonly #waiting: { readonly atMs: number; readonly what: () => void }[] = []
  #pausedSinceMs: number | undefined
  #shiftMs = 0

  constructor(now: () => number, at: At) {
    this.#now = now
    this.#at = at
  }

  get paused(): boolean {
    return this.#pausedSinceMs !== undefined
  }

  /** Runs it at its time, later by every pause before. */
  add(atMs: number, what: () => void): void {
    this.#at(atMs + this.#shiftMs, () => this.#due(atMs, what))
  }

  pause(): void {
    this.#pausedSinceMs ??= this.#now()
  }

  resume(): void {
    if (this.#pausedSinceMs === undefined) return
    this.#shiftMs += this.#now() - this.#pausedSinceMs
    this.#pausedSinceMs = undefined
    for (const { atMs, what } of this.#waiting.splice(0)) this.add(atMs, what)
  }

  #due(atMs: number, what: () => void): void {
    if (this.paused) this.#waiting.push({ atMs, what })
    // It was paused after this was armed.
    else if (this.#now() < atMs + this.#shiftMs - 1) this.add(atMs, what)
    else what()
  }
}
