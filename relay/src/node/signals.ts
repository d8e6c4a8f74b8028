/** What a relay process does on signals, for the program that runs it. */

import type { RunningRelay } from './start-relay.ts'

/** SIGTERM drains; SIGINT, or a second SIGTERM, closes at once. `ended` is called when the relay is down; the caller exits. Returns how to take the handlers away. */
export function endOnSignals(relay: RunningRelay, ended: (signal: NodeJS.Signals) => void): () => void {
  let ending = false
  const onTerminate = (): void => {
    if (ending) {
      onInterrupt('SIGTERM')
      return
    }
    ending = true
    void relay.drain().then(() => ended('SIGTERM'))
  }
  const onInterrupt = (signal: NodeJS.Signals): void => {
    ending = true
    void relay.close().then(() => ended(signal))
  }
  process.on('SIGTERM', onTerminate)
  process.on('SIGINT', onInterrupt)
  return () => {
    process.off('SIGTERM', onTerminate)
    process.off('SIGINT', onInterrupt)
  }
}
