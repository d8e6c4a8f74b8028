/**
 * Variable-length integers of RFC 9000 §16: the top two bits of the first byte give the length (1, 2, 4 or 8 bytes), the rest
 * is the value, big endian. Values go to 2⁵³ − 1 here, what a JavaScript number holds exactly; more is a protocol error.
 */

import { SennitError } from './errors.ts'

/** The greatest value this implementation carries. */
export const varintMax: number = Number.MAX_SAFE_INTEGER

/** How many bytes `value` takes. @throws SennitError `internal` unless it is a whole number from 0 to 2⁵³ − 1 */
export function varintBytes(value: number): 1 | 2 | 4 | 8 {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new SennitError('internal', `expected a whole number from 0, found ${value}`, { value })
  if (value < 0x40) return 1
  if (value < 0x4000) return 2
  return value < 0x4000_0000 ? 4 : 8
}

/** Writes `value` at `offset` and returns the offset after it. */
export function writeVarint(target: Uint8Array, offset: number, value: number): number {
  const length = varintBytes(value)
  if (length === 1) {
    target[offset] = value
  } else if (length === 2) {
    target[offset] = 0x40 | (value >>> 8)
    target[offset + 1] = value
  } else if (length === 4) {
    target[offset] = 0x80 | (value >>> 24)
    target[offset + 1] = value >>> 16
    target[offset + 2] = value >>> 8
    target[offset + 3] = value
  } else {
    const high = Math.floor(value / 0x1_0000_0000)
    const low = value >>> 0
    target[offset] = 0xc0 | (high >>> 24)
    target[offset + 1] = high >>> 16
    target[offset + 2] = high >>> 8
    target[offset + 3] = high
    target[offset + 4] = low >>> 24
    target[offset + 5] = low >>> 16
    target[offset + 6] = low >>> 8
    target[offset + 7] = low
  }
  return offset + length
}

/** The bytes of one value. */
export function encodeVarint(value: number): Uint8Array {
  const bytes = new Uint8Array(varintBytes(value))
  writeVarint(bytes, 0, value)
  return bytes
}
