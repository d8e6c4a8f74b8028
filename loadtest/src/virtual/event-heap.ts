// What is going to happen, by virtual time; events of one time happen in the order in which they were added.

interface Entry {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
  /** Where it stands in the heap; -1: nowhere. */
  index: number
}

/** An event that is moved again and again, such as a host's next wake-up: one entry for ever, and none that is out of date. */
export class Timer implements Entry {
  atMs: number = Number.POSITIVE_INFINITY
  order = 0
  index = -1
  readonly run: () => void

  constructor(run: () => void) {
    this.run = run
  }
}

export class EventHeap {
  readonly #heap: Entry[] = []
  #added = 0

  get size(): number {
    return this.#heap.length
  }

  /** Undefined: nothing will ever happen. */
  nextAtMs(): number | undefined {
    const atMs = this.#heap[0]?.atMs
    return atMs === Number.POSITIVE_INFINITY ? undefined : atMs
  }

  add(atMs: number, run: () => void): void {
    const entry: Entry = { atMs, order: this.#added, run, index: this.#heap.length }
    this.#added += 1
    this.#heap.push(entry)
    this.#rise(entry)
  }

  /** Moves a timer, as if it were added now; a time that it has already changes nothing. Infinity: never. */
  set(timer: Timer, atMs: number): void {
    if (timer.index !== -1 && timer.atMs === atMs) return
    timer.atMs = atMs
    timer.order = this.#added
    this.#added += 1
    if (timer.index === -1) {
      timer.index = this.#heap.length
      this.#heap.push(timer)
    }
    this.#rise(timer)
    this.#sink(timer)
  }

  /** Takes the next event out; undefined when nothing is left. */
  take(): (() => void) | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined) return undefined
    first.index = -1
    if (heap.length > 0) {
      heap[0] = last
      last.index = 0
      this.#sink(last)
    }
    return first.run
  }

  #rise(entry: Entry): void {
    const heap = this.#heap
    let { index } = entry
    while (index > 0) {
      const parent = (index - 1) >> 1
      const above = heap[parent]!
      if (isBefore(above, entry)) break
      heap[index] = above
      above.index = index
      index = parent
    }
    heap[index] = entry
    entry.index = index
  }

  #sink(entry: Entry): void {
    const heap = this.#heap
    let { index } = entry
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1
      const below = heap[child]!
      if (isBefore(entry, below)) break
      heap[index] = below
      below.index = index
      index = child
    }
    heap[index] = entry
    entry.index = index
  }
}

function isBefore(left: Entry, right: Entry): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)
}
