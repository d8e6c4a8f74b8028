/** A queue of events by virtual time; equal times keep their order. */

interface Entry {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

export class EventQueue {
  readonly #heap: Entry[] = []
  #order = 0

  get size(): number {
    return this.#heap.length
  }

  nextAtMs(): number | undefined {
    return this.#heap[0]?.atMs
  }

  add(atMs: number, run: () => void): void {
    const heap = this.#heap
    this.#order += 1
    heap.push({ atMs, order: this.#order, run })
    for (let index = heap.length - 1; index > 0; ) {
      const parent = (index - 1) >> 1
      if (before(heap[parent]!, heap[index]!)) break
      swap(heap, parent, index)
      index = parent
    }
  }

  take(): Entry | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    heap[0] = last
    for (let index = 0; ; ) {
      const left = 2 * index + 1
      if (left >= heap.length) break
      const child = left + 1 < heap.length && before(heap[left + 1]!, heap[left]!) ? left + 1 : left
      if (before(heap[index]!, heap[child]!)) break
      swap(heap, index, child)
      index = child
    }
    return first
  }
}

function before(left: Entry, right: Entry): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)
}

function swap(heap: Entry[], left: number, right: number): void {
  const held = heap[left]!
  heap[left] = heap[right]!
  heap[right] = held
}
