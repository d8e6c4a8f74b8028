/** Counts by name, for metrics; the set of names is bounded because every name is written in this package. */
export class Counters {
  private readonly counts = new Map<string, number>()

  add(name: string, by = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by)
  }

  get(name: string): number {
    return this.counts.get(name) ?? 0
  }

  snapshot(): Record<string, number> {
    return Object.fromEntries(this.counts)
  }
}
