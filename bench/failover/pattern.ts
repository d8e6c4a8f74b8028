/**
 * Bytes that carry their own position. A stream is a row of 8-byte words; word `i` holds `i`, scrambled, and a check of it, so any whole word
 * that arrives anywhere tells where in the stream it belongs, and a word that was damaged tells that too.
 */

export const wordBytes = 8

/** An odd factor spreads consecutive numbers over all bits; its inverse modulo 2^32 takes it back. */
const spread = 0x9e3779b1
const spreadInverse = 0x0e8b2f51

/** `bytes` bytes of the stream from `position` on, in a buffer of their own. */
export function patternAt(position: number, bytes: number): Buffer {
  const skip = position % wordBytes
  const first = (position - skip) / wordBytes
  const words = Math.ceil((skip + bytes) / wordBytes)
  const values = new Uint32Array(words * 2)
  for (let index = 0; index < words; index += 1) {
    const word = (first + index) >>> 0
    values[2 * index] = Math.imul(word, spread)
    values[2 * index + 1] = checkOf(word)
  }
  return Buffer.from(values.buffer, skip, bytes)
}

/** The position of the word that starts at `offset`, or undefined when no word of the stream reads like this. */
export function positionOf(bytes: Buffer, offset: number): number | undefined {
  if (offset + wordBytes > bytes.length) return undefined
  const word = Math.imul(bytes.readUInt32LE(offset), spreadInverse) >>> 0
  return bytes.readUInt32LE(offset + 4) === checkOf(word) ? word * wordBytes : undefined
}

function checkOf(word: number): number {
  const mixed = Math.imul(word ^ (word >>> 15), 0x85ebca6b)
  return (mixed ^ (mixed >>> 13) ^ 0x5e4e1700) >>> 0
}
