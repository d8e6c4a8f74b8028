// Who is due when, the earliest first. A thousand senders that wait cost nothing until one of them is due.

interface Entry<T> {
  readonly atMs: number
  readonly item: T
}

/** A binary heap in which each item stands once, with the earliest time it was put in for. */
export class DueQueue<T> {
  readonly #entries: Entry<T>[] = []
  /** When each item is due: an entry of another time was overtaken and is skipped. */
  readonly #atMs = new Map<T, number>()

  /** Items that wait. */
  get size(): number {
    return this.#atMs.size
  }

  /** When the first is due, at the earliest; Infinity when nobody waits. */
  get nextMs(): number {
    return this.#entries[0]?.atMs ?? Number.POSITIVE_INFINITY
  }

  /** It is due then, or earlier where it was put in for an earlier time already. Never, for Infinity. */
  put(item: T, atMs: number): void {
    if (atMs >= (this.#atMs.get(item) ?? Number.POSITIVE_INFINITY)) return
    this.#atMs.set(item, atMs)
    const entries = this.#entries
    const entry = { atMs, item }
    let index = entries.length
    entries.push(entry)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (entries[parent]!.atMs <= atMs) break
      entries[index] = entries[parent]!
      index = parent
    }
    entries[index] = entry
  }

  /** Takes one out that is due. */
  take(nowMs: number): T | undefined {
    for (;;) {
      const first = this.#entries[0]
      if (first === undefined || first.atMs > nowMs) return undefined
      this.#removeFirst()
      if (this.#atMs.get(first.item) !== first.atMs) continue
      this.#atMs.delete(first.item)
      return first.item
    }
  }

  remove(item: T): void {
    this.#atMs.delete(item)
  }

  clear(): void {
    this.#entries.length = 0
    this.#atMs.clear()
  }

  #removeFirst(): void {
    const entries = this.#entries
    const last = entries.pop()!
    if (entries.length === 0) return
    let index = 0
    for (;;) {
      let child = index * 2 + 1
      if (child >= entries.length) break
      if (child + 1 < entries.length && entries[child + 1]!.atMs < entries[child]!.atMs) child += 1
      if (entries[child]!.atMs >= last.atMs) break
      entries[index] = entries[child]!
      index = child
    }
    entries[index] = last
  }
}
