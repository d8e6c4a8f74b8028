/** Small pure helpers over `Uint8Array`. */

import { ProtocolError } from './errors.ts'

const encoder = new TextEncoder()
// ignoreBOM keeps a leading U+FEFF, so that decoding and encoding again gives the same bytes.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Names and ids are shorter and ASCII: a loop is several times faster for them than a call into the encoder. */
const shortText = 64

/** No bytes at all. */
export const emptyBytes: Uint8Array = new Uint8Array(0)

/** The sum of the lengths of `pieces`. */
export function totalBytes(pieces: readonly Uint8Array[]): number {
  let total = 0
  for (const piece of pieces) total += piece.length
  return total
}

/** One array with all pieces in order. A single piece is returned as it is, not copied. */
export function concat(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0]!
  const joined = new Uint8Array(totalBytes(pieces))
  let offset = 0
  for (const piece of pieces) {
    joined.set(piece, offset)
    offset += piece.length
  }
  return joined
}

/** Whether both hold the same bytes. Takes the same time wherever they differ, so that it may compare tags. */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false
  let difference = 0
  for (let index = 0; index < left.length; index += 1) difference |= left[index]! ^ right[index]!
  return difference === 0
}

/** Order by bytes, then by length: negative, zero or positive like every comparator. */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const shared = Math.min(left.length, right.length)
  for (let index = 0; index < shared; index += 1) {
    const difference = left[index]! - right[index]!
    if (difference !== 0) return difference
  }
  return left.length - right.length
}

/** UTF-8 bytes of `text`. */
export function utf8(text: string): Uint8Array {
  if (text.length > shortText) return encoder.encode(text)
  const bytes = new Uint8Array(text.length)
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code > 0x7f) return encoder.encode(text)
    bytes[index] = code
  }
  return bytes
}

/** Text of UTF-8 bytes. @throws ProtocolError `malformed` when they are not UTF-8 */
export function textOf(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new ProtocolError('malformed', 'expected UTF-8 text, found bytes that are not', {}, cause)
  }
}

const hexDigits: readonly string[] = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, '0'))

/** Lower-case hex. */
export function hex(bytes: Uint8Array): string {
  let text = ''
  for (const value of bytes) text += hexDigits[value]!
  return text
}

/** Bytes of hex text. @throws ProtocolError `malformed` */
export function unhex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text))
    throw new ProtocolError('malformed', 'expected hex text of an even length', { text })
  const bytes = new Uint8Array(text.length / 2)
  for (let index = 0; index < bytes.length; index += 1) bytes[index] = Number.parseInt(text.slice(index * 2, index * 2 + 2), 16)
  return bytes
}

const base64Alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Base64url without padding (RFC 4648 §5). */
export function base64url(bytes: Uint8Array): string {
  let text = ''
  for (let index = 0; index < bytes.length; index += 3) {
    const left = bytes.length - index
    const word = (bytes[index]! << 16) | ((bytes[index + 1] ?? 0) << 8) | (bytes[index + 2] ?? 0)
    text += base64Alphabet[(word >> 18) & 63]! + base64Alphabet[(word >> 12) & 63]!
    if (left > 1) text += base64Alphabet[(word >> 6) & 63]!
    if (left > 2) text += base64Alphabet[word & 63]!
  }
  return text
}

/** Bytes of base64url text, without padding. Only the one canonical spelling is accepted. @throws ProtocolError `malformed` */
export function unbase64url(text: string): Uint8Array {
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4))
  let word = 0
  let bits = 0
  let length = 0
  for (let index = 0; index < text.length; index += 1) {
    const value = base64Alphabet.indexOf(text[index]!)
    if (value < 0) throw new ProtocolError('malformed', 'expected base64url text, found another character', { at: index })
    word = ((word << 6) | value) & 0xffffff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      bytes[length] = (word >> bits) & 0xff
      length += 1
    }
  }
  if (bits >= 6 || (word & ((1 << bits) - 1)) !== 0)
    throw new ProtocolError('malformed', 'expected whole base64url text, found a cut one', {})
  return bytes
}
