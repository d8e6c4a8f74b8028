/** A first-in-first-out queue whose every operation is O(1) amortised; `Array.shift` moves the whole array once it is long. */
export class Deque<T> {
  private items: (T | undefined)[] = []
  private head = 0

  get length(): number {
    return this.items.length - this.head
  }

  push(item: T): void {
    this.items.push(item)
  }

  shift(): T | undefined {
    if (this.head === this.items.length) return undefined
    const item = this.items[this.head]
    this.items[this.head++] = undefined
    if (this.head === this.items.length) {
      this.items = []
      this.head = 0
    } else if (this.head >= 64 && this.head * 2 >= this.items.length) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
    return item
  }

  first(): T | undefined {
    return this.items[this.head]
  }

  /** The item so many places behind the first one. */
  at(place: number): T | undefined {
    return this.items[this.head + place]
  }

  clear(): void {
    this.items = []
    this.head = 0
  }
}
