/** Takes handshake frames out of chunks cut anywhere, within the bytes an unauthenticated peer may send. */

import { emptyBytes } from '../bytes.ts'
import { ProtocolError } from '../errors.ts'
import { handshakeBytesMax } from './handshake-frame.ts'

interface HandshakeFrame {
  readonly type: number
  readonly body: Uint8Array
}

/** Clear length and type. */
const frameHeaderBytes = 3

/** A first message fits it; a longer one grows the buffer by what has really come. */
const firstBufferBytes = 1_024

export class HandshakeReader {
  #buffer: Uint8Array = emptyBytes
  #length = 0
  #earlierBytes = 0

  /** The first whole frame, and the bytes after it; without a frame everything was kept. @throws ProtocolError `handshake_too_large` */
  read(chunk: Uint8Array): { frame?: HandshakeFrame; rest: Uint8Array } {
    let rest = this.#fill(chunk, frameHeaderBytes)
    if (this.#length < frameHeaderBytes) return { rest }
    const frameBytes = 2 + ((this.#buffer[0]! << 8) | this.#buffer[1]!)
    if (frameBytes < frameHeaderBytes || this.#earlierBytes + frameBytes > handshakeBytesMax) {
      throw new ProtocolError(
        'handshake_too_large',
        `expected handshake messages of 1 to ${handshakeBytesMax} bytes, found ${frameBytes}`,
        {},
      )
    }
    rest = this.#fill(rest, frameBytes)
    if (this.#length < frameBytes) return { rest }
    const frame = { type: this.#buffer[2]!, body: this.#buffer.subarray(frameHeaderBytes, frameBytes) }
    this.#earlierBytes += frameBytes
    this.#buffer = emptyBytes
    this.#length = 0
    return { frame, rest }
  }

  /** Takes bytes until `length` are there; returns the others. */
  #fill(chunk: Uint8Array, length: number): Uint8Array {
    const taken = Math.min(Math.max(0, length - this.#length), chunk.length)
    if (this.#length + taken > this.#buffer.length) {
      const bigger = new Uint8Array(Math.max(firstBufferBytes, this.#buffer.length * 2, this.#length + taken))
      bigger.set(this.#buffer.subarray(0, this.#length))
      this.#buffer = bigger
    }
    this.#buffer.set(chunk.subarray(0, taken), this.#length)
    this.#length += taken
    return chunk.subarray(taken)
  }
}
