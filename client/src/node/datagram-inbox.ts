/** Datagrams that came, for whoever iterates. What nobody takes in time makes way for what is newer. */

/** Bytes and number that wait at most: half a second of 16 Mbit/s, and as many small ones as a replay window holds. */
const waitingBytesMax = 1_048_576
const waitingMax = 4_096

type Result = IteratorResult<Uint8Array, undefined>

export class DatagramInbox implements AsyncIterable<Uint8Array> {
  /** Came, and made way for newer ones before anybody took them. */
  overrun = 0
  #waiting: Uint8Array[] = []
  #bytes = 0
  #takers: ((result: Result) => void)[] = []
  #over = false

  push(data: Uint8Array): void {
    const taker = this.#takers.shift()
    if (taker !== undefined) {
      taker({ value: data, done: false })
      return
    }
    this.#waiting.push(data)
    this.#bytes += data.length
    while (this.#waiting.length > waitingMax || (this.#bytes > waitingBytesMax && this.#waiting.length > 1)) {
      this.#bytes -= this.#waiting.shift()!.length
      this.overrun += 1
    }
  }

  /** No more comes; what waits is still given out. */
  end(): void {
    this.#over = true
    for (const taker of this.#takers.splice(0)) taker({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    // Leaving the loop early ends only the loop: the rest waits for the next one.
    return { next: () => this.#next(), return: async () => ({ value: undefined, done: true }) }
  }

  #next(): Promise<Result> {
    const data = this.#waiting.shift()
    if (data !== undefined) {
      this.#bytes -= data.length
      return Promise.resolve({ value: data, done: false })
    }
    if (this.#over) return Promise.resolve({ value: undefined, done: true })
    return new Promise((resolve) => this.#takers.push(resolve))
  }
}
