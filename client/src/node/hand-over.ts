/** A queue between events and an async iterator: what nobody waits for waits itself, up to a bound. */
export class HandOver<T> implements AsyncIterable<T> {
  readonly #waiting: T[] = []
  readonly #takers: { resolve(result: IteratorResult<T, undefined>): void; reject(error: unknown): void }[] = []
  #over: { error?: unknown } | undefined

  /** Things that wait for a taker. */
  get size(): number {
    return this.#waiting.length
  }

  push(value: T): void {
    const taker = this.#takers.shift()
    if (taker !== undefined) taker.resolve({ value, done: false })
    else if (this.#over === undefined) this.#waiting.push(value)
  }

  /** No more comes. What waits is still handed over; after it, takers get the end, or the error. */
  end(error?: unknown): void {
    if (this.#over !== undefined) return
    this.#over = error === undefined ? {} : { error }
    for (const taker of this.#takers.splice(0)) this.#finish(taker)
  }

  /** Everything that waits, at once. */
  takeAll(): T[] {
    return this.#waiting.splice(0)
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length > 0) resolve({ value: this.#waiting.shift()!, done: false })
      else if (this.#over !== undefined) this.#finish({ resolve, reject })
      else this.#takers.push({ resolve, reject })
    })
  }

  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    // Leaving the loop early ends only the loop: the rest waits for the next one.
    return { next: () => this.next(), return: async () => ({ value: undefined, done: true }) }
  }

  #finish(taker: { resolve(result: IteratorResult<T, undefined>): void; reject(error: unknown): void }): void {
    if (this.#over?.error !== undefined) taker.reject(this.#over.error)
    else taker.resolve({ value: undefined, done: true })
  }
}
