// Who is due when, the earliest first. A thousand senders that wait cost nothing until one of them is due.
import { WakeHeap } from '@sennit/protocol'

/** Each item waits once, for the earliest time it was put in for. */
export class DueQueue<T> {
  #heap = new WakeHeap<T>()
  /** When each item is due: an entry of another time was overtaken and is skipped. */
  readonly #atMs = new Map<T, number>()

  /** Items that wait. */
  get size(): number {
    return this.#atMs.size
  }

  /** When the first is due; Infinity when nobody waits. */
  get nextMs(): number {
    return this.#heap.nextMs(this.#holds) ?? Number.POSITIVE_INFINITY
  }

  /** It is due then, or earlier where it was put in for an earlier time already. Never, for Infinity. */
  put(item: T, atMs: number): void {
    if (atMs >= (this.#atMs.get(item) ?? Number.POSITIVE_INFINITY)) return
    this.#atMs.set(item, atMs)
    this.#heap.push(atMs, item)
  }

  /** Takes one out that is due. */
  take(nowMs: number): T | undefined {
    for (let entry = this.#heap.popDue(nowMs); entry !== undefined; entry = this.#heap.popDue(nowMs)) {
      if (!this.#holds(entry)) continue
      this.#atMs.delete(entry.item)
      return entry.item
    }
    return undefined
  }

  remove(item: T): void {
    this.#atMs.delete(item)
  }

  clear(): void {
    this.#heap = new WakeHeap()
    this.#atMs.clear()
  }

  readonly #holds = ({ atMs, item }: { readonly atMs: number; readonly item: T }): boolean => this.#atMs.get(item) === atMs
}
