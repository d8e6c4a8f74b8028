/** The sending half of a connection's messages: keeps the order of calls, and settles each when it was accepted or delivered. */

import { SennitError } from '@sennit/protocol'
import { type MessageCompression, messageTooLargeCode, type StreamSet } from '../core/streams/index.ts'
import type { MessageCompressor } from './compression.ts'

/** An upper bound of flags, length and size in front of a message. */
const messageHeadBytesMax = 24

const settled = Promise.resolve()

/** When `send` resolves. */
export type SendUntil = 'accepted' | 'delivered'

interface Waiting {
  readonly data: Uint8Array
  readonly compression: MessageCompression | undefined
  readonly until: SendUntil
  index: number
  resolve(): void
  reject(error: unknown): void
  /** Removes the abort listener. */
  forget(): void
}

export interface MessageSenderHost {
  /** Of what the other end takes, when somebody wants it. */
  readonly compressor: MessageCompressor | undefined
  readonly streams: StreamSet
  touch(): void
  ended(): SennitError | undefined
  /** A message that was accepted, and that nobody waits for, was refused by the other end. */
  onRefused(code: string, errorCode: number): void
}

export class MessageSender {
  readonly #host: MessageSenderHost
  /** Not offered yet: the machine's queue is full. */
  readonly #unoffered: Waiting[] = []
  /** Offered, by index, oldest first: wait for the event of their `until`. */
  readonly #accepting: Waiting[] = []
  readonly #delivering: Waiting[] = []
  /** Accepted while much had not left. */
  #crowding: { resolve(): void; reject(error: unknown): void }[] = []
  #drained: (() => void)[] = []
  /** Of the newest message that was not accepted at once. */
  #lastIndex = -1

  constructor(host: MessageSenderHost) {
    this.#host = host
  }

  send(message: Uint8Array, until: SendUntil, signal: AbortSignal | undefined): Promise<void> {
    const { streams, ended: endOf } = this.#host
    const ended = endOf()
    if (ended !== undefined) return Promise.reject(ended)
    if (signal?.aborted) return Promise.reject(signal.reason)
    const packed = this.#host.compressor?.pack(message)
    const data = packed?.bytes ?? message
    const compression = packed?.compression
    const plain = until === 'accepted' && signal === undefined && this.#unoffered.length === 0
    if (plain && data.length <= streams.writableBytes(0) - messageHeadBytesMax) {
      // Credit is there: it is accepted now, and costs no more than one promise for all.
      try {
        streams.offerMessage(data, compression === undefined ? undefined : { compression })
      } catch (error) {
        return Promise.reject(error)
      }
      this.#host.touch()
      if (!streams.crowded(0)) return settled
      // Taken, but the next had better wait: else a loop of sends would never let anything leave.
      return new Promise((resolve, reject) => this.#crowding.push({ resolve, reject }))
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => this.#abort(waiting, signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      const forget = (): void => signal?.removeEventListener('abort', onAbort)
      const waiting: Waiting = { data, compression, until, index: -1, resolve, reject, forget }
      if (this.#unoffered.length > 0 || this.#host.streams.messageQueueFull()) this.#unoffered.push(waiting)
      else this.#offer(waiting)
    })
  }

  /** Resolves when the next `send` would be taken at once. */
  drained(): Promise<void> {
    const ended = this.#host.ended()
    if (ended !== undefined) return Promise.reject(ended)
    if (this.#hasRoom()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#drained.push(() => {
        const over = this.#host.ended()
        if (over === undefined) resolve()
        else reject(over)
      })
    })
  }

  /** All messages up to `index` are within the peer's credit. */
  accepted(index: number): void {
    while (this.#accepting.length > 0 && this.#accepting[0]!.index <= index) settle(this.#accepting.shift()!)
    while (this.#unoffered.length > 0 && !this.#host.streams.messageQueueFull()) this.#offer(this.#unoffered.shift()!)
    if (this.#hasRoom()) for (const resolve of this.#drained.splice(0)) resolve()
  }

  /** Some message is not accepted yet: the other end's credit does not cover it. */
  get pending(): boolean {
    return this.#unoffered.length > 0 || this.#host.streams.messageAcceptedIndex() < this.#lastIndex
  }

  /** What was taken has left, mostly. */
  roomCame(): void {
    for (const { resolve } of this.#crowding.splice(0)) resolve()
    if (this.#hasRoom()) for (const resolve of this.#drained.splice(0)) resolve()
  }

  /** Bytes of messages that are taken now without waiting. */
  get writableBytes(): number {
    const { streams } = this.#host
    return this.#unoffered.length > 0 || streams.crowded(0) ? 0 : streams.writableBytes(0)
  }

  /** The other application took all messages up to `index`. */
  delivered(index: number): void {
    while (this.#delivering.length > 0 && this.#delivering[0]!.index <= index) settle(this.#delivering.shift()!)
  }

  refused(index: number, errorCode: number): void {
    const tooLarge = errorCode === messageTooLargeCode
    const code = tooLarge ? 'message_too_large' : 'message_refused'
    const queue = [this.#accepting, this.#delivering].find((list) => list.some((waiting) => waiting.index === index))
    if (queue === undefined) {
      this.#host.onRefused(code, errorCode)
      return
    }
    const [waiting] = queue.splice(
      queue.findIndex((each) => each.index === index),
      1,
    )
    const why = tooLarge ? 'it is longer than the other end takes; send it as a stream' : `code ${errorCode}`
    waiting!.forget()
    waiting!.reject(new SennitError(code, `the other end refused the message: ${why}`, { errorCode, bytes: waiting!.data.length }))
  }

  /** The connection is over: everything that waits fails with `error`. */
  end(error: SennitError): void {
    for (const waiting of [...this.#accepting.splice(0), ...this.#delivering.splice(0), ...this.#unoffered.splice(0)]) {
      waiting.forget()
      waiting.reject(error)
    }
    for (const { reject } of this.#crowding.splice(0)) reject(error)
    for (const resolve of this.#drained.splice(0)) resolve()
  }

  #hasRoom(): boolean {
    return this.#unoffered.length === 0 && !this.#host.streams.messageQueueFull() && !this.#host.streams.crowded(0)
  }

  #offer(waiting: Waiting): void {
    const { streams } = this.#host
    try {
      const { data, compression, until } = waiting
      waiting.index = streams.offerMessage(data, {
        reportDelivery: until === 'delivered',
        ...(compression === undefined ? {} : { compression }),
      })
      this.#lastIndex = waiting.index
    } catch (error) {
      waiting.forget()
      waiting.reject(error)
      return
    }
    this.#host.touch()
    if (waiting.until === 'delivered') this.#delivering.push(waiting)
    else if (streams.messageAcceptedIndex() >= waiting.index) settle(waiting)
    else this.#accepting.push(waiting)
  }

  /** A message that was offered goes on its way all the same; only the wait for it ends. */
  #abort(waiting: Waiting, reason: unknown): void {
    for (const list of [this.#unoffered, this.#accepting, this.#delivering]) {
      const at = list.indexOf(waiting)
      if (at >= 0) list.splice(at, 1)
    }
    waiting.reject(reason)
  }
}

function settle(waiting: Waiting): void {
  waiting.forget()
  waiting.resolve()
}
