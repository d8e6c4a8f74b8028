/** What a client machine has for its shell, taken in the order in which it came. */
import type { ClientEffect } from './types.ts'

export class EffectQueue {
  readonly #effects: ClientEffect[] = []
  #taken = 0

  get isEmpty(): boolean {
    return this.#taken === this.#effects.length
  }

  push(effect: ClientEffect): void {
    this.#effects.push(effect)
  }

  take(): ClientEffect | undefined {
    if (this.#taken === this.#effects.length) return undefined
    const effect = this.#effects[this.#taken]
    this.#taken += 1
    if (this.#taken === this.#effects.length) {
      this.#effects.length = 0
      this.#taken = 0
    }
    return effect
  }
}
