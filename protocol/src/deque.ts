/**
 * A first-in-first-out queue whose every operation is O(1) amortised; `Array.shift` moves the whole array once it is long. A ring: a queue that is
 * filled and emptied again and again, as most of a connection's are with each message, allocates nothing for that.
 */

/** Places of the first ring; a power of two, as all of them. */
const ringMin = 4
/** A ring of more places is given back, half of it at a time, when few of them are used. */
const ringKept = 64

export class Deque<T> {
  private ring: (T | undefined)[] = []
  private head = 0
  private count = 0

  get length(): number {
    return this.count
  }

  push(item: T): void {
    if (this.count === this.ring.length) this.resize(Math.max(ringMin, this.count * 2))
    this.ring[(this.head + this.count) & (this.ring.length - 1)] = item
    this.count += 1
  }

  shift(): T | undefined {
    if (this.count === 0) return undefined
    const { ring, head } = this
    const item = ring[head]
    ring[head] = undefined
    this.head = (head + 1) & (ring.length - 1)
    this.count -= 1
    if (ring.length > ringKept && this.count * 4 <= ring.length) this.resize(ring.length / 2)
    return item
  }

  first(): T | undefined {
    return this.count === 0 ? undefined : this.ring[this.head]
  }

  /** The item so many places behind the first one. */
  at(place: number): T | undefined {
    return place < this.count ? this.ring[(this.head + place) & (this.ring.length - 1)] : undefined
  }

  clear(): void {
    this.ring = []
    this.head = 0
    this.count = 0
  }

  private resize(places: number): void {
    const ring = new Array<T | undefined>(places).fill(undefined)
    for (let place = 0; place < this.count; place++) ring[place] = this.ring[(this.head + place) & (this.ring.length - 1)]
    this.ring = ring
    this.head = 0
  }
}
