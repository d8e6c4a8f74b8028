/** What a relay machine has for its shell beside the writes of links: taken in the order in which it came. */
import { Deque } from '@sennit/protocol'
import type { LogLevel, RelayEffect } from './effects.ts'

export class EffectQueue {
  private readonly effects = new Deque<RelayEffect>()

  close(key: number, reason: string): void {
    this.effects.push({ type: 'close', key, reason })
  }

  log(level: LogLevel, event: string, fields: Readonly<Record<string, unknown>>): void {
    this.effects.push({ type: 'log', level, event, fields })
  }

  take(): RelayEffect | undefined {
    return this.effects.shift()
  }
}
