/** Writes fields into one growing array: the other side of {@link ByteReader}. */

import { utf8 } from './bytes.ts'
import { SennitError } from './errors.ts'
import { varintBytes, writeVarint } from './varint.ts'

export class ByteWriter {
  #bytes: Uint8Array
  #length = 0

  /** @param sizeHint allocated at once; a right guess saves every later copy */
  constructor(sizeHint = 64) {
    this.#bytes = new Uint8Array(sizeHint)
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length
  }

  u8(value: number): this {
    const at = this.#grow(1)
    this.#bytes[at] = value
    return this
  }

  u16(value: number): this {
    const at = this.#grow(2)
    this.#bytes[at] = value >>> 8
    this.#bytes[at + 1] = value
    return this
  }

  u32(value: number): this {
    const at = this.#grow(4)
    this.#bytes[at] = value >>> 24
    this.#bytes[at + 1] = value >>> 16
    this.#bytes[at + 2] = value >>> 8
    this.#bytes[at + 3] = value
    return this
  }

  u64(value: number): this {
    this.u32(Math.floor(value / 0x1_0000_0000))
    return this.u32(value >>> 0)
  }

  varint(value: number): this {
    const at = this.#grow(varintBytes(value))
    writeVarint(this.#bytes, at, value)
    return this
  }

  bytes(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length)
    this.#bytes.set(bytes, at)
    return this
  }

  /** Text as varint length and UTF-8. @throws SennitError `too_large` over `bytesMax` */
  text(text: string, bytesMax: number): this {
    const encoded = utf8(text)
    if (encoded.length > bytesMax) {
      throw new SennitError('too_large', `expected text of at most ${bytesMax} bytes, found ${encoded.length}`, { bytesMax, text })
    }
    return this.varint(encoded.length).bytes(encoded)
  }

  /** What was written since the start; a view, so nothing may be written after. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #grow(length: number): number {
    const at = this.#length
    const needed = at + length
    if (needed > this.#bytes.length) {
      const bigger = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
      bigger.set(this.#bytes.subarray(0, at))
      this.#bytes = bigger
    }
    this.#length = needed
    return at
  }
}
