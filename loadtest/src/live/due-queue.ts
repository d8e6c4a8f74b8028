// Who is due when, the earliest first. A thousand senders that wait cost nothing until one of them is due, and to wait again allocates nothing: each
// of them keeps its own place.

/** Keeps where it waits. The queue alone writes here, and one is in one queue only. */
export interface Waits {
  /** Place in the queue; -1: it does not wait. */
  place: number
}

const heapSizeMin = 16

/** Each item waits once, for the earliest time it was put in for. A binary heap. */
export class DueQueue<T extends Waits> {
  readonly #items: T[] = []
  /** When the item of the same place is due; at least as long as there are items. */
  #atMs: Float64Array = new Float64Array(heapSizeMin)

  /** Items that wait. */
  get size(): number {
    return this.#items.length
  }

  /** When the first is due; Infinity when nobody waits. */
  get nextMs(): number {
    return this.#items.length === 0 ? Number.POSITIVE_INFINITY : this.#atMs[0]!
  }

  /** It is due then, or earlier where it was put in for an earlier time already. Never, for Infinity. */
  put(item: T, atMs: number): void {
    if (!(atMs < Number.POSITIVE_INFINITY)) return
    if (item.place >= 0) {
      if (atMs < this.#atMs[item.place]!) this.#up(item.place, item, atMs)
      return
    }
    const last = this.#items.length
    if (last === this.#atMs.length) {
      const wider = new Float64Array(last * 2)
      wider.set(this.#atMs)
      this.#atMs = wider
    }
    this.#items.push(item)
    this.#up(last, item, atMs)
  }

  /** Takes one out that is due. */
  take(nowMs: number): T | undefined {
    const first = this.#items[0]
    if (first === undefined || this.#atMs[0]! > nowMs) return undefined
    this.remove(first)
    return first
  }

  remove(item: T): void {
    const { place } = item
    if (place < 0) return
    item.place = -1
    const last = this.#items.pop()!
    if (last === item) return
    // The last one fills the gap, and goes up or down from there.
    const atMs = this.#atMs[this.#items.length]!
    if (place > 0 && atMs < this.#atMs[(place - 1) >> 1]!) this.#up(place, last, atMs)
    else this.#down(place, last, atMs)
  }

  clear(): void {
    for (const item of this.#items) item.place = -1
    this.#items.length = 0
  }

  #up(from: number, item: T, atMs: number): void {
    const times = this.#atMs
    let place = from
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (times[parent]! <= atMs) break
      this.#set(place, this.#items[parent]!, times[parent]!)
      place = parent
    }
    this.#set(place, item, atMs)
  }

  #down(from: number, item: T, atMs: number): void {
    const times = this.#atMs
    const count = this.#items.length
    let place = from
    for (;;) {
      let child = place * 2 + 1
      if (child >= count) break
      if (child + 1 < count && times[child + 1]! < times[child]!) child += 1
      if (times[child]! >= atMs) break
      this.#set(place, this.#items[child]!, times[child]!)
      place = child
    }
    this.#set(place, item, atMs)
  }

  #set(place: number, item: T, atMs: number): void {
    this.#items[place] = item
    this.#atMs[place] = atMs
    item.place = place
  }
}
