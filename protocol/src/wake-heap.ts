/** A binary heap of "wake this at that time", where an entry may be stale: the owner checks it when it comes up. Postponing is free, only an earlier time is pushed. */
export class WakeHeap<T> {
  private readonly entries: { atMs: number; item: T }[] = []

  /** The time of the earliest entry that holds; stale ones before it are dropped. */
  nextMs(holds: (entry: { readonly atMs: number; readonly item: T }) => boolean): number | undefined {
    for (;;) {
      const first = this.entries[0]
      if (first === undefined || holds(first)) return first?.atMs
      this.popDue(first.atMs)
    }
  }

  push(atMs: number, item: T): void {
    const entries = this.entries
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

  /** Takes one entry that is due, or nothing. */
  popDue(nowMs: number): { atMs: number; item: T } | undefined {
    const entries = this.entries
    const top = entries[0]
    if (top === undefined || top.atMs > nowMs) return undefined
    const last = entries.pop()!
    if (entries.length > 0) {
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
    return top
  }
}
