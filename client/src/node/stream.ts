/**
 * One stream of a connection: ordered bytes both ways, each half ending by itself, with its own credit, so that a slow reader here holds up
 * nobody else. Callbacks first (they cost nothing per chunk), Web streams on top.
 */

import { SennitError } from '@sennit/protocol'
import type { StreamSet } from '../core/streams/index.ts'
import { tell } from './callbacks.ts'
import { readableOf, writableOf } from './stream-web.ts'

/** What a stream may hold beyond the peer's credit before `write` throws: room for whoever looks at the result only now and then. */
const overshootBytesMax = 1024 * 1024

/** Taken off the connection at a time: what an application that pauses inside a callback holds besides its credit. */
const readBytesMax = 256 * 1024

/** Given to `onReset` when not the peer reset the stream, but the connection ended under it. */
export const connectionEndedCode = 0xffff_fff0

/** How a stream reaches its connection. */
export interface StreamHost {
  readonly streams: StreamSet
  /** The streams changed: packets may be due. */
  touch(): void
  /** Why the connection ended, if it did. */
  ended(): SennitError | undefined
}

/** A stream. Made by `connection.openStream()`, or handed over by `onStream` and `incomingStreams()`. */
export class Stream {
  /** Odd when the caller opened it, even when the listener did. */
  readonly id: number
  /** What the opener said with the opening: up to 1 KiB, empty when nothing. */
  readonly header: Uint8Array
  readonly #host: StreamHost
  #onData: ((bytes: Uint8Array) => void) | undefined
  #onEnd: (() => void) | undefined
  #onReset: ((errorCode: number) => void) | undefined
  #onStopped: ((errorCode: number) => void) | undefined
  #onDrain: (() => void) | undefined
  #paused = false
  #reading = false
  #sending: 'open' | 'ending' | 'over' = 'open'
  #receiving: 'open' | 'ended' | 'reset' = 'open'
  #resetCode = 0
  #toldReceiving = false
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  /** `write` gave false although nothing is queued: what it took has not left. */
  #drainOwed = false
  /** Data that was taken off the connection when it ended, and not yet given to the application. */
  #left: Uint8Array[] = []
  #readable: ReadableStream<Uint8Array> | undefined
  #writable: WritableStream<Uint8Array> | undefined

  /** @internal */
  constructor(host: StreamHost, id: number, header: Uint8Array) {
    this.#host = host
    this.id = id
    this.header = header
  }

  /**
   * Sends bytes. They are not copied and belong to the stream from now on: never change them.
   * @returns false when they had to queue, or when much has not left yet: stop until `onDrain`. They are taken all the same, unless the other end
   * reads no more: `onStopped` tells.
   * @throws SennitError `stream_closed` after `end`, `reset`, or `onStopped`; `stream_overfull` when more than 1 MiB waits already
   */
  write(bytes: Uint8Array): boolean {
    if (this.#sending !== 'open') throw this.#host.ended() ?? new SennitError('stream_closed', `stream ${this.id} takes no more bytes`)
    if (bytes.length === 0) return this.#queuedBytes === 0
    if (this.#queuedBytes > 0) {
      if (this.#queuedBytes > overshootBytesMax) {
        throw new SennitError(
          'stream_overfull',
          `${this.#queuedBytes} bytes wait on stream ${this.id}; wait for onDrain after write() gave false`,
        )
      }
      this.#enqueue(bytes)
      return false
    }
    // The stop has come and is told at the end of this turn; whoever writes meanwhile cannot know.
    if (!this.#host.streams.writing(this.id)) return false
    const taken = this.#host.streams.write(this.id, bytes)
    this.#host.touch()
    if (taken === bytes.length) {
      this.#drainOwed = this.#host.streams.crowded(this.id)
      return !this.#drainOwed
    }
    this.#enqueue(taken === 0 ? bytes : bytes.subarray(taken))
    return false
  }

  /** No more bytes from us, after those written so far: the other end gets its `onEnd`. The other half goes on. */
  end(): void {
    if (this.#sending !== 'open') return
    this.#sending = 'ending'
    if (this.#queuedBytes === 0) this.#finish()
  }

  /** Gives our half up: what did not arrive yet may never. The other end gets `onReset(code)`. `code` is 0 … 0xfffeffff. @default 0 */
  reset(code = 0): void {
    if (this.#sending === 'over') return
    this.#sending = 'over'
    this.#dropQueue()
    if (this.#host.ended() !== undefined) return
    this.#host.streams.reset(this.id, code)
    this.#host.touch()
  }

  /** Reads no more: what waits is dropped, and the other end is told to stop writing. @default 0 */
  stop(code = 0): void {
    if (this.#receiving !== 'open' || this.#host.ended() !== undefined) return
    this.#onData = undefined
    this.#left = []
    this.#paused = true
    this.#host.streams.stop(this.id, code)
    this.#host.touch()
  }

  /**
   * Gives received bytes, in order; the chunk is the receiver's. Until a callback is set nothing is taken, and the other end waits when its
   * credit is used up. A later callback replaces the former, here and below.
   */
  onData(callback: (bytes: Uint8Array) => void): void {
    this.#onData = callback
    if (!this.#paused) this.takeReadable()
  }

  /** The other end ended its half, and all of it was given to `onData`. */
  onEnd(callback: () => void): void {
    this.#onEnd = callback
    this.#tellReceiving()
  }

  /**
   * The other half ended badly: reset by the other end with its code, or by the end of the connection with {@link connectionEndedCode}
   * (`connection.closed` says why). What was not given to `onData` yet is gone.
   */
  onReset(callback: (errorCode: number) => void): void {
    this.#onReset = callback
    this.#tellReceiving()
  }

  /** The other end reads no more: our half is over, what was not delivered is dropped. */
  onStopped(callback: (errorCode: number) => void): void {
    this.#onStopped = callback
  }

  /** After `write` gave false: there is room again. */
  onDrain(callback: () => void): void {
    this.#onDrain = callback
  }

  /** Takes no more data until `resume`; the other end is held back by its credit. */
  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.takeReadable()
  }

  /**
   * Bytes given to {@link write}, from the first one, that were sealed or copied: their memory may be written to again. It stands still once the
   * stream is over, and what was not sealed by then may be looked at for ever.
   */
  get sealedBytes(): number {
    return this.#host.ended() === undefined ? this.#host.streams.sealedBytes(this.id) : 0
  }

  /** Bytes that wait for credit on our side. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** The receiving half as a Web stream. Use it or `onData`, not both. Cancelling it is `stop`. */
  get readable(): ReadableStream<Uint8Array> {
    this.#readable ??= readableOf(this)
    return this.#readable
  }

  /** The sending half as a Web stream. Use it or `write`, not both. Closing it is `end`, aborting it `reset`. */
  get writable(): WritableStream<Uint8Array> {
    this.#writable ??= writableOf(this)
    return this.#writable
  }

  /** @internal the machine has data */
  takeReadable(): void {
    if (this.#reading) return // a callback resumed inside its own chunk: the loop below goes on by itself
    this.#reading = true
    try {
      while (this.#onData !== undefined && !this.#paused) {
        const chunk = this.#left.shift()
        if (chunk !== undefined) {
          tell(this.#onData, chunk)
          continue
        }
        if (this.#host.ended() !== undefined) break
        this.#left = this.#host.streams.read(this.id, readBytesMax)
        if (this.#left.length === 0) break
        this.#host.touch()
      }
    } finally {
      this.#reading = false
    }
    this.#tellReceiving()
  }

  /** @internal credit came */
  flushQueue(): void {
    if (this.#sending === 'over') return
    if (this.#queuedBytes === 0) {
      this.#drained()
      return
    }
    // Credit and the peer's stop may come together, and the credit is told first.
    if (!this.#host.streams.writing(this.id)) return
    let count = 0
    for (const piece of this.#queue) {
      const taken = this.#host.streams.write(this.id, piece)
      this.#queuedBytes -= taken
      if (taken < piece.length) {
        this.#queue[count] = piece.subarray(taken)
        break
      }
      count += 1
    }
    this.#queue.splice(0, count)
    this.#host.touch()
    if (this.#queuedBytes > 0) return
    if (this.#sending === 'ending') this.#finish()
    else {
      this.#drainOwed = true
      this.#drained()
    }
  }

  /** @internal the peer finished, and everything was read */
  peerFinished(): void {
    if (this.#receiving !== 'open') return
    this.#receiving = 'ended'
    this.#tellReceiving()
  }

  /** @internal */
  peerReset(errorCode: number): void {
    if (this.#receiving !== 'open') return
    this.#receiving = 'reset'
    this.#resetCode = errorCode
    this.#left = []
    this.#tellReceiving()
  }

  /** @internal */
  peerStopped(errorCode: number): void {
    this.#sending = 'over'
    this.#dropQueue()
    tell(this.#onStopped, errorCode)
    // Whoever waits for room must not wait for ever; the next write says why there is none.
    tell(this.#onDrain)
  }

  /** @internal the connection ended; what it still holds for us is taken now */
  connectionEnded(): void {
    if (this.#receiving === 'open') {
      const held = this.#host.streams.read(this.id)
      this.#left.push(...held)
      // Data that waits for a slow reader is whole up to here, but what follows it is unknown: the end is a reset, never an end.
      if (this.#left.length === 0 || this.#onData === undefined) this.peerReset(connectionEndedCode)
      else {
        this.#receiving = 'reset'
        this.#resetCode = connectionEndedCode
        if (!this.#paused) this.takeReadable()
      }
    }
    if (this.#sending !== 'over') {
      this.#sending = 'over'
      this.#dropQueue()
      tell(this.#onStopped, connectionEndedCode)
      tell(this.#onDrain)
    }
  }

  #drained(): void {
    if (!this.#drainOwed || this.#host.streams.crowded(this.id)) return
    this.#drainOwed = false
    tell(this.#onDrain)
  }

  #enqueue(bytes: Uint8Array): void {
    this.#queue.push(bytes)
    this.#queuedBytes += bytes.length
  }

  #dropQueue(): void {
    this.#queue = []
    this.#queuedBytes = 0
  }

  #finish(): void {
    this.#sending = 'over'
    this.#host.streams.finish(this.id)
    this.#host.touch()
  }

  #tellReceiving(): void {
    if (this.#toldReceiving || this.#receiving === 'open' || this.#reading) return
    if (this.#left.length > 0) return
    const callback = this.#receiving === 'ended' ? this.#onEnd : this.#onReset
    if (callback === undefined) return
    this.#toldReceiving = true
    if (this.#receiving === 'ended') tell(this.#onEnd)
    else tell(this.#onReset, this.#resetCode)
  }
}
