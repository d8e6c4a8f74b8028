/** Which numbers of the peer arrived: kept ones dense and in order, loose ones once each. */
import { type AckRange, type AckState, ackRangesMax } from '@sennit/protocol'

/** Loose packets this far behind the newest are refused as replays. */
const looseWindow = 4_096

/** Kept packets: dense numbers; what comes early is held until the gap before it is filled. */
export class KeptNumbers<T> {
  /** All below arrived, and were taken in order. */
  next = 0
  readonly #ranges: AckRange[] = []
  readonly #held = new Map<number, T>()
  readonly #windowPackets: number

  /** @param windowPackets numbers further ahead of `next` than this are not taken */
  constructor(windowPackets: number) {
    this.#windowPackets = windowPackets
  }

  /** Whether some number is missing below one that arrived. */
  get hasGap(): boolean {
    return this.#ranges.length > 0
  }

  has(number: number): boolean {
    if (number < this.next) return true
    const at = this.#rangeBefore(number)
    return at >= 0 && number < this.#ranges[at]![1]
  }

  accepts(number: number): boolean {
    return number < this.next + this.#windowPackets
  }

  /** Takes a number that is next in order. Call {@link takeHeld} afterwards until it gives nothing. */
  advance(): void {
    this.next += 1
  }

  /** Holds a number that came before its turn. Not for numbers that {@link has} knows. */
  hold(number: number, item: T): void {
    this.#held.set(number, item)
    const at = this.#rangeBefore(number)
    const before = at >= 0 ? this.#ranges[at]! : undefined
    const after = this.#ranges[at + 1]
    const joinsBefore = before !== undefined && before[1] === number
    const joinsAfter = after !== undefined && after[0] === number + 1
    if (joinsBefore && joinsAfter) {
      before[1] = after[1]
      this.#ranges.splice(at + 1, 1)
    } else if (joinsBefore) before[1] = number + 1
    else if (joinsAfter) after[0] = number
    else this.#ranges.splice(at + 1, 0, [number, number + 1])
  }

  /** The held item whose turn has come. */
  takeHeld(): T | undefined {
    const first = this.#ranges[0]
    if (first === undefined || first[0] !== this.next) return undefined
    const item = this.#held.get(this.next)
    this.#held.delete(this.next)
    this.next += 1
    first[0] += 1
    if (first[0] === first[1]) this.#ranges.shift()
    return item
  }

  /** The lowest ranges, because the lowest gaps hold up the most; the sender knows that more may follow when all are used. */
  state(): AckState {
    return { cumulative: this.next, ranges: this.#ranges.slice(0, ackRangesMax).map(([from, to]) => [from, to]) }
  }

  /** Index of the last range that starts at or before `number`, or -1. */
  #rangeBefore(number: number): number {
    let low = 0
    let high = this.#ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#ranges[middle]![0] <= number) low = middle + 1
      else high = middle
    }
    return low - 1
  }
}

/** Loose packets: a window of bits behind the newest number. */
export class LooseNumbers {
  readonly #bits = new Uint32Array(looseWindow / 32)
  #next = 0

  /** Above the newest. */
  get next(): number {
    return this.#next
  }

  /** Whether `counter` is new; it is not a second time. Ask only after the seal was found good. */
  take(counter: number): boolean {
    if (counter < this.#next - looseWindow) return false
    if (counter >= this.#next) {
      const steps = Math.min(counter - this.#next + 1, looseWindow)
      for (let at = counter - steps + 1; at <= counter; at += 1) this.#clear(at % looseWindow)
      this.#next = counter + 1
    }
    const index = counter % looseWindow
    const mask = 1 << (index & 31)
    const word = index >>> 5
    if ((this.#bits[word]! & mask) !== 0) return false
    this.#bits[word]! |= mask
    return true
  }

  #clear(index: number): void {
    this.#bits[index >>> 5]! &= ~(1 << (index & 31))
  }
}
