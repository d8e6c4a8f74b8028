// All chance of a simulated world comes from one seed, through this.
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'

/** Draws thrown away first: neighbouring seeds start with neighbouring states. */
const warmUpDraws = 24

export class Dice {
  readonly #generator: ReturnType<typeof xoroshiro128plus>

  constructor(seed: number) {
    this.#generator = xoroshiro128plus(Math.imul(seed ^ (seed >>> 15) ^ Math.floor(seed / 0x1_0000_0000), 0x2c1b3c6d) ^ 0x297a2d39)
    for (let draw = 0; draw < warmUpDraws; draw++) this.#generator.next()
  }

  /** A number in [0, 1). Bound, so that it can be handed on. */
  readonly next = (): number => (this.#generator.next() >>> 0) / 0x1_0000_0000

  /** An independent stream: more draws in one place do not move those of another. */
  fork(): Dice {
    return new Dice(this.#generator.next() >>> 0)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** A number in [from, to). */
  between(from: number, to: number): number {
    return from + this.next() * (to - from)
  }

  /** A whole number in [from, to]. */
  int(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1))
  }

  pick<T>(list: readonly T[]): T {
    const item = list[Math.floor(this.next() * list.length)]
    if (item === undefined) throw new Error('cannot pick from an empty list')
    return item
  }

  /** Some of the list, at least `least`, in random order. */
  some<T>(list: readonly T[], least = 1): T[] {
    return this.shuffled(list).slice(0, this.int(Math.min(least, list.length), list.length))
  }

  shuffled<T>(list: readonly T[]): T[] {
    const copy = [...list]
    for (let at = copy.length - 1; at > 0; at--) {
      const other = Math.floor(this.next() * (at + 1))
      const held = copy[at] as T
      copy[at] = copy[other] as T
      copy[other] = held
    }
    return copy
  }
}
