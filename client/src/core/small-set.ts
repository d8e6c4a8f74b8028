/** A set that mostly holds one item, in the order of adding. A `Set` makes a new table each time that it is emptied; here the first needs none. */
export class SmallSet<T> {
  #first: T | undefined
  readonly #rest = new Set<T>()

  get size(): number {
    return this.#first === undefined ? 0 : 1 + this.#rest.size
  }

  add(item: T): void {
    if (this.#first === undefined) this.#first = item
    else if (item !== this.#first) this.#rest.add(item)
  }

  /** Visits all, and those that are added meanwhile. */
  forEach(visit: (item: T) => void): void {
    if (this.#first === undefined) return
    visit(this.#first)
    if (this.#rest.size > 0) for (const item of this.#rest) visit(item)
  }

  /** Takes all out, then visits them; those that are added meanwhile are there the next time. */
  takeEach(visit: (item: T) => void): void {
    const first = this.#first
    if (first === undefined) return
    this.#first = undefined
    if (this.#rest.size === 0) {
      visit(first)
      return
    }
    const rest = [...this.#rest]
    this.#rest.clear()
    visit(first)
    for (const item of rest) visit(item)
  }
}
