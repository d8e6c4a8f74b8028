// What happened at least once. A world in which nothing interesting happens proves nothing, so every seed tells what it went through.

export class Coverage {
  readonly counts: Map<string, number> = new Map()

  /** Counts an event. */
  hit(what: string, times = 1): void {
    if (times > 0) this.counts.set(what, (this.counts.get(what) ?? 0) + times)
  }

  toJSON(): Record<string, number> {
    return Object.fromEntries([...this.counts].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
  }
}
