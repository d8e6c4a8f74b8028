// What is going to happen, by virtual time; events of one time happen in the order in which they were added.

interface Entry {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

export class EventHeap {
  readonly #heap: Entry[] = []
  #added = 0

  get size(): number {
    return this.#heap.length
  }

  nextAtMs(): number | undefined {
    return this.#heap[0]?.atMs
  }

  add(atMs: number, run: () => void): void {
    const heap = this.#heap
    const entry: Entry = { atMs, order: this.#added, run }
    this.#added += 1
    let index = heap.length
    heap.push(entry)
    while (index > 0) {
      const parent = (index - 1) >> 1
      const above = heap[parent]!
      if (isBefore(above, entry)) break
      heap[index] = above
      index = parent
    }
    heap[index] = entry
  }

  /** Takes the next event out; undefined when nothing is left. */
  take(): (() => void) | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined) return undefined
    if (heap.length > 0) {
      let index = 0
      for (;;) {
        let child = 2 * index + 1
        if (child >= heap.length) break
        if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1
        if (isBefore(last, heap[child]!)) break
        heap[index] = heap[child]!
        index = child
      }
      heap[index] = last
    }
    return first.run
  }
}

function isBefore(left: Entry, right: Entry): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)
}
