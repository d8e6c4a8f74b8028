// One way to stop: the first SIGINT or SIGTERM aborts the signal handed out here, the second ends the process at once.
import { EXIT } from './exit-codes.ts'

export interface Interruption {
  readonly signal: AbortSignal
  /** 'SIGINT' or 'SIGTERM' once it came. */
  readonly by: () => string | undefined
  dispose(): void
}

export function onInterrupt(): Interruption {
  const controller = new AbortController()
  let by: string | undefined
  const stop = (name: string): void => {
    if (by !== undefined) process.exit(EXIT.interrupted)
    by = name
    controller.abort()
  }
  const onInt = (): void => stop('SIGINT')
  const onTerm = (): void => stop('SIGTERM')
  process.on('SIGINT', onInt)
  process.on('SIGTERM', onTerm)
  return {
    signal: controller.signal,
    by: () => by,
    dispose() {
      process.off('SIGINT', onInt)
      process.off('SIGTERM', onTerm)
    },
  }
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
