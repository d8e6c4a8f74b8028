/** The receiving half of a connection's messages: one is taken from the machine only when somebody asks, so credit follows the reader. */

import { SennitError } from '@sennit/protocol'
import type { StreamSet } from '../core/streams/index.ts'
import { answerOf } from './callbacks.ts'
import { inflated } from './compression.ts'

/** Takes a message. The next one comes when a promise that it returns has resolved, so credit follows it. */
export type OnMessage = (message: Uint8Array) => void | Promise<void>

export interface ReceiveOptions {
  /** Gives up after this long with `receive_timeout`; nothing is lost by it. @default never */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

const noMore: IteratorReturnResult<undefined> = { value: undefined, done: true }

interface Taker {
  resolve(message: Uint8Array | undefined): void
  reject(error: unknown): void
}

export class MessageReceiver {
  readonly #streams: StreamSet
  readonly #touch: () => void
  readonly #onBroken: () => void
  readonly #takers: Taker[] = []
  #listener: OnMessage | undefined
  /** Messages that a listener works on: one, but for a listener that was replaced while it did. */
  #busy = 0
  /** What the machine still held when the connection ended. */
  #left: Uint8Array[] = []
  #over: { error?: SennitError } | undefined
  #broken = false

  /** @param onBroken a compressed message was not what its head says: the other end's own fault */
  constructor(streams: StreamSet, touch: () => void, onBroken: () => void) {
    this.#streams = streams
    this.#touch = touch
    this.#onBroken = onBroken
  }

  receive(options: ReceiveOptions): Promise<Uint8Array | undefined> {
    const { signal, timeoutMs } = options
    if (signal?.aborted) return Promise.reject(signal.reason)
    // Whoever is slower than the sender finds messages waiting: that way costs no more than its promise.
    const message = this.#take()
    if (message !== undefined) return Promise.resolve(message)
    return new Promise((resolve, reject) => {
      if (this.#over !== undefined) return this.#over.error === undefined ? resolve(undefined) : reject(this.#over.error)
      const give = (settle: () => void): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        settle()
      }
      const taker: Taker = {
        resolve: (value) => give(() => resolve(value)),
        reject: (error) => give(() => reject(error)),
      }
      const drop = (error: unknown): void => {
        const at = this.#takers.indexOf(taker)
        if (at >= 0) this.#takers.splice(at, 1)
        taker.reject(error)
      }
      const onAbort = (): void => drop(signal?.reason)
      const late = (): void => drop(new SennitError('receive_timeout', `no message came within ${timeoutMs} ms`, { timeoutMs }))
      const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#takers.push(taker)
    })
  }

  /** {@link receive} for an iterator. */
  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const message = this.#take()
    if (message !== undefined) return Promise.resolve({ value: message, done: false })
    const over = this.#over
    if (over !== undefined) return over.error === undefined ? Promise.resolve(noMore) : Promise.reject(over.error)
    // Not by way of `receive`, which makes five functions and a promise more: whoever reads each message when it comes waits for each.
    return new Promise((resolve, reject) => {
      this.#takers.push({ resolve: (value) => resolve(value === undefined ? noMore : { value, done: false }), reject })
    })
  }

  /** Tells the listener, in place of the one before, of each message: those that wait now, and later ones in the turn they come. */
  listen(listener: OnMessage): void {
    this.#listener = listener
    this.arrived()
  }

  /** The machine has messages. */
  arrived(): void {
    while (this.#takers.length > 0) {
      const message = this.#take()
      if (message === undefined) return
      this.#takers.shift()!.resolve(message)
    }
    while (this.#listener !== undefined && this.#busy === 0) {
      const message = this.#take()
      if (message === undefined) return
      const answer = answerOf(this.#listener, message)
      if (answer === undefined) continue
      this.#busy += 1
      void answer.finally(this.#onAnswered)
    }
  }

  readonly #onAnswered = (): void => {
    this.#busy -= 1
    this.arrived()
  }

  /** The connection is over; what arrived before is still given out, then its end. */
  end(error: SennitError | undefined): void {
    for (let message = this.#next(); message !== undefined; message = this.#next()) this.#left.push(message)
    this.#over = error === undefined ? {} : { error }
    this.arrived()
    for (const taker of this.#takers.splice(0)) {
      if (error === undefined) taker.resolve(undefined)
      else taker.reject(error)
    }
  }

  #take(): Uint8Array | undefined {
    if (this.#over !== undefined) return this.#left.shift()
    const message = this.#next()
    if (message !== undefined && this.#streams.hasControl()) this.#touch()
    return message
  }

  /** The next message as it was sent; none any more after one that is broken. */
  #next(): Uint8Array | undefined {
    if (this.#broken) return undefined
    const message = this.#streams.takeMessage()
    const compression = message === undefined ? undefined : this.#streams.takenCompression()
    if (message === undefined || compression === undefined) return message
    const whole = inflated(message, compression)
    if (whole === undefined) {
      this.#broken = true
      this.#onBroken()
    }
    return whole
  }
}
