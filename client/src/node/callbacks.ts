/** Throws an error where nobody catches it, as a callback of Node's own would; the caller goes on. */
export function throwAlone(error: unknown): void {
  process.nextTick(() => {
    throw error
  })
}

/** Calls an application's callback. What it throws is the application's fault and must not stop ours: it becomes an uncaught exception. */
export function tell<A extends unknown[]>(callback: ((...values: A) => void) | undefined, ...values: A): void {
  if (callback === undefined) return
  try {
    callback(...values)
  } catch (error) {
    throwAlone(error)
  }
}

/** As {@link tell}, for a callback that may work on: a promise that it returns and that rejects is an unhandled one. @returns that promise */
export function answerOf<A>(callback: (value: A) => void | Promise<void>, value: A): Promise<void> | undefined {
  try {
    const answer: unknown = callback(value)
    return isThenable(answer) ? Promise.resolve(answer) : undefined
  } catch (error) {
    throwAlone(error)
    return undefined
  }
}

function isThenable(value: unknown): value is PromiseLike<void> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

/** Listeners of one kind of event, called in the order they came. */
export class Listeners<E> {
  readonly #listeners = new Set<(event: E) => void>()
  #held: readonly E[] = []

  /** What happened before anybody could listen: told to the first who does, right after it began to. */
  hold(events: readonly E[]): void {
    this.#held = events
  }

  /** @returns a function that takes the listener away again */
  add(listener: (event: E) => void): () => void {
    this.#listeners.add(listener)
    const held = this.#held
    this.#held = []
    if (held.length > 0) {
      queueMicrotask(() => {
        for (const event of held) this.emit(event)
      })
    }
    return () => {
      this.#listeners.delete(listener)
    }
  }

  emit(event: E): void {
    for (const listener of [...this.#listeners]) tell(listener, event)
  }
}
