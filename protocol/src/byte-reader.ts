/** Reads fields of a byte string in order. Every read past the end is a {@link ProtocolError}; nothing is copied or allocated by a claimed size. */

import { textOf } from './bytes.ts'
import { ProtocolError } from './errors.ts'

export class ByteReader {
  readonly bytes: Uint8Array
  offset: number
  readonly #end: number

  constructor(bytes: Uint8Array, offset = 0, end: number = bytes.length) {
    this.bytes = bytes
    this.offset = offset
    this.#end = end
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.#end - this.offset
  }

  u8(): number {
    return this.bytes[this.#advance(1)]!
  }

  u16(): number {
    const at = this.#advance(2)
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!
  }

  u32(): number {
    return this.#u32At(this.#advance(4))
  }

  /** A 64-bit number; over 2⁵³ − 1 it is malformed. */
  u64(): number {
    const at = this.#advance(8)
    return safe(this.#u32At(at) * 0x1_0000_0000 + this.#u32At(at + 4))
  }

  /** A variable-length integer; over 2⁵³ − 1 it is malformed. */
  varint(): number {
    const at = this.#advance(1)
    const first = this.bytes[at]!
    const value = first & 0x3f
    switch (first >> 6) {
      case 0:
        return value
      case 1:
        return (value << 8) | this.bytes[this.#advance(1)]!
      case 2: {
        this.#advance(3)
        return value * 0x100_0000 + ((this.bytes[at + 1]! << 16) | (this.bytes[at + 2]! << 8) | this.bytes[at + 3]!)
      }
      default: {
        this.#advance(7)
        return safe(((this.#u32At(at) & 0x3fff_ffff) >>> 0) * 0x1_0000_0000 + this.#u32At(at + 4))
      }
    }
  }

  /** The next `length` bytes, not copied. */
  take(length: number): Uint8Array {
    const at = this.#advance(length)
    return this.bytes.subarray(at, at + length)
  }

  /** All that is left, not copied. */
  rest(): Uint8Array {
    return this.take(this.left)
  }

  /** Text: varint length, then UTF-8. */
  text(bytesMax: number): string {
    const length = this.varint()
    if (length > bytesMax)
      throw new ProtocolError('malformed', `expected text of at most ${bytesMax} bytes, found ${length}`, { bytesMax, length })
    return length === 0 ? '' : textOf(this.take(length))
  }

  /** A yes/no byte: 1 or 0, nothing else. */
  flag(): boolean {
    const value = this.u8()
    if (value > 1) throw new ProtocolError('malformed', `expected 0 or 1, found ${value}`, { value })
    return value === 1
  }

  /** Demands that everything was read. */
  end(): void {
    if (this.left !== 0) throw new ProtocolError('malformed', `expected the end, found ${this.left} bytes more`, { left: this.left })
  }

  #u32At(at: number): number {
    const { bytes } = this
    return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  }

  #advance(length: number): number {
    const at = this.offset
    if (length > this.#end - at) {
      throw new ProtocolError('malformed', `expected ${length} bytes more, found ${this.#end - at}`, { length, left: this.#end - at })
    }
    this.offset = at + length
    return at
  }
}

function safe(value: number): number {
  if (!Number.isSafeInteger(value)) throw new ProtocolError('malformed', 'expected a number under 2^53', {})
  return value
}
