/** What a relay machine has for its shell beside the writes of links: taken in the order in which it came. */
import type { LogLevel, RelayEffect } from './effects.ts'

export class EffectQueue {
  private readonly effects: RelayEffect[] = []
  private head = 0

  close(key: number, reason: string): void {
    this.effects.push({ type: 'close', key, reason })
  }

  log(level: LogLevel, event: string, fields: Readonly<Record<string, unknown>>): void {
    this.effects.push({ type: 'log', level, event, fields })
  }

  take(): RelayEffect | undefined {
    const effect = this.effects[this.head]
    if (effect !== undefined) {
      this.head += 1
      return effect
    }
    if (this.head > 0) {
      this.effects.length = 0
      this.head = 0
    }
    return undefined
  }
}
