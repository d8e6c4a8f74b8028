// One way to stop: the first SIGINT or SIGTERM aborts the signal handed out here, the second ends the process at once.
// A command that has an end of its own and did not reach it gives 130; one that serves until it is told to stop did what it was told, and gives 0.
import { codedError, EXIT } from './exit-codes.ts'

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
    controller.abort(codedError('interrupted', `interrupted by ${name}`))
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

/** Runs a command that ends by itself. @throws CodedError `interrupted` when a signal came first, whatever else went wrong because of it */
export async function untilDone(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const interruption = onInterrupt()
  try {
    await work(interruption.signal)
  } catch (error) {
    interruption.signal.throwIfAborted()
    throw error
  } finally {
    interruption.dispose()
  }
  interruption.signal.throwIfAborted()
}

/**
 * Runs a command that serves until it is told to stop. `serve` resolves when it has stopped in order. Stopped before it was ready, it throws
 * as {@link untilDone} does.
 */
export async function untilStopped(serve: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const interruption = onInterrupt()
  try {
    await serve(interruption.signal)
  } catch (error) {
    interruption.signal.throwIfAborted()
    throw error
  } finally {
    interruption.dispose()
  }
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

/** What `promise` gives, or the signal's reason, whichever comes first. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  promise.catch(() => {})
  return Promise.race([promise, aborted(signal).then(() => Promise.reject(signal.reason))])
}
