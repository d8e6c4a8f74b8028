/** Calls an application's callback. What it throws is the application's fault and must not stop ours: it becomes an uncaught exception. */
export function tell<A extends unknown[]>(callback: ((...values: A) => void) | undefined, ...values: A): void {
  if (callback === undefined) return
  try {
    callback(...values)
  } catch (error) {
    process.nextTick(() => {
      throw error
    })
  }
}

/** Listeners of one kind of event, called in the order they came. */
export class Listeners<E> {
  readonly #listeners = new Set<(event: E) => void>()

  /** @returns a function that takes the listener away again */
  add(listener: (event: E) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  emit(event: E): void {
    for (const listener of [...this.#listeners]) tell(listener, event)
  }
}
