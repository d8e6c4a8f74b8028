/**
 * ChaCha20-Poly1305 (RFC 8439) for short texts, in plain JavaScript. One call into OpenSSL makes and frees so many objects that a header of
 * 40 bytes costs as much there as 10 KB do; here it costs a sixth. Long texts belong to OpenSSL, which is far faster per byte.
 *
 * Nothing here branches on secret bytes or looks anything up by them. Poly1305 counts in six limbs of 22 bits, whose products and sums stay below
 * 2^53 and so are exact. Tests hold it against OpenSSL for every length and against the vectors of the RFC.
 */

import { tagBytes } from '../crypto.ts'

/** Texts up to this are sealed and opened here: beyond it the bytes cost more than OpenSSL's objects. */
export const shortBytesMax = 256

const associatedBytesMax = 64
const blockBytes = 64
const limb = 0x40_0000
const word = 0x1_0000_0000

/** The byte order of the machine: the key stream is written as words and read as bytes. */
export const shortAeadWorks: boolean = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1

/** One key. Its working memory is its own and used up within a call. */
export class ShortAead {
  readonly #key = new Uint32Array(8)
  readonly #stream = new Uint32Array((1 + shortBytesMax / blockBytes) * 16)
  readonly #streamBytes = new Uint8Array(this.#stream.buffer)
  readonly #mac = new Uint8Array(associatedBytesMax + shortBytesMax + 16)
  readonly #tag = new Uint32Array(4)
  readonly #tagBytes = new Uint8Array(this.#tag.buffer)

  constructor(key: Uint8Array) {
    for (let index = 0; index < 8; index += 1) this.#key[index] = readWord(key, index * 4)
  }

  /** Whether texts of these lengths may be given to the others. */
  static takes(textBytes: number, associatedBytes: number): boolean {
    return shortAeadWorks && textBytes <= shortBytesMax && associatedBytes <= associatedBytesMax
  }

  /** Ciphertext and tag. */
  seal(nonce: Uint8Array, associatedData: Uint8Array, plaintext: readonly Uint8Array[], bytes: number): Uint8Array {
    this.#makeStream(nonce, bytes)
    const sealed = new Uint8Array(bytes + tagBytes)
    const stream = this.#streamBytes
    let at = 0
    for (const piece of plaintext) {
      for (let index = 0; index < piece.length; index += 1, at += 1) sealed[at] = piece[index]! ^ stream[blockBytes + at]!
    }
    this.#makeTag(associatedData, sealed, bytes)
    sealed.set(this.#tagBytes, bytes)
    return sealed
  }

  /** The plaintext of `sealed`, ciphertext and tag; undefined when it was not sealed so. */
  open(nonce: Uint8Array, associatedData: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const bytes = sealed.length - tagBytes
    this.#makeStream(nonce, bytes)
    this.#makeTag(associatedData, sealed, bytes)
    let difference = 0
    for (let index = 0; index < tagBytes; index += 1) difference |= this.#tagBytes[index]! ^ sealed[bytes + index]!
    if (difference !== 0) return undefined
    const plaintext = new Uint8Array(bytes)
    const stream = this.#streamBytes
    for (let index = 0; index < bytes; index += 1) plaintext[index] = sealed[index]! ^ stream[blockBytes + index]!
    return plaintext
  }

  /** Block 0 is the key of the tag, the text begins at block 1 (RFC 8439 §2.6, §2.8). */
  #makeStream(nonce: Uint8Array, bytes: number): void {
    const n0 = readWord(nonce, 0)
    const n1 = readWord(nonce, 4)
    const n2 = readWord(nonce, 8)
    for (let block = 0; block * blockBytes < blockBytes + bytes; block += 1)
      chachaBlock(this.#stream, block * 16, this.#key, block, n0, n1, n2)
  }

  /** Of `associatedData` and the first `bytes` of `text`, into `#tag`. */
  #makeTag(associatedData: Uint8Array, text: Uint8Array, bytes: number): void {
    const mac = this.#mac
    const textAt = (associatedData.length + 15) & ~15
    const lengthsAt = textAt + ((bytes + 15) & ~15)
    mac.fill(0, 0, lengthsAt + 16)
    mac.set(associatedData)
    for (let index = 0; index < bytes; index += 1) mac[textAt + index] = text[index]!
    // Both lengths are far below 2^16.
    mac[lengthsAt] = associatedData.length
    mac[lengthsAt + 8] = bytes
    mac[lengthsAt + 9] = bytes >>> 8
    poly1305(this.#tag, this.#streamBytes, mac, lengthsAt + 16)
  }
}

function readWord(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
}

/** One block of the key stream (RFC 8439 §2.3). */
function chachaBlock(target: Uint32Array, at: number, key: Uint32Array, counter: number, n0: number, n1: number, n2: number): void {
  const k0 = key[0]! | 0
  const k1 = key[1]! | 0
  const k2 = key[2]! | 0
  const k3 = key[3]! | 0
  const k4 = key[4]! | 0
  const k5 = key[5]! | 0
  const k6 = key[6]! | 0
  const k7 = key[7]! | 0
  let x0 = 0x61707865
  let x1 = 0x3320646e
  let x2 = 0x79622d32
  let x3 = 0x6b206574
  let x4 = k0
  let x5 = k1
  let x6 = k2
  let x7 = k3
  let x8 = k4
  let x9 = k5
  let x10 = k6
  let x11 = k7
  let x12 = counter | 0
  let x13 = n0
  let x14 = n1
  let x15 = n2
  for (let round = 0; round < 10; round += 1) {
    x0 = (x0 + x4) | 0
    x12 ^= x0
    x12 = (x12 << 16) | (x12 >>> 16)
    x8 = (x8 + x12) | 0
    x4 ^= x8
    x4 = (x4 << 12) | (x4 >>> 20)
    x0 = (x0 + x4) | 0
    x12 ^= x0
    x12 = (x12 << 8) | (x12 >>> 24)
    x8 = (x8 + x12) | 0
    x4 ^= x8
    x4 = (x4 << 7) | (x4 >>> 25)
    x1 = (x1 + x5) | 0
    x13 ^= x1
    x13 = (x13 << 16) | (x13 >>> 16)
    x9 = (x9 + x13) | 0
    x5 ^= x9
    x5 = (x5 << 12) | (x5 >>> 20)
    x1 = (x1 + x5) | 0
    x13 ^= x1
    x13 = (x13 << 8) | (x13 >>> 24)
    x9 = (x9 + x13) | 0
    x5 ^= x9
    x5 = (x5 << 7) | (x5 >>> 25)
    x2 = (x2 + x6) | 0
    x14 ^= x2
    x14 = (x14 << 16) | (x14 >>> 16)
    x10 = (x10 + x14) | 0
    x6 ^= x10
    x6 = (x6 << 12) | (x6 >>> 20)
    x2 = (x2 + x6) | 0
    x14 ^= x2
    x14 = (x14 << 8) | (x14 >>> 24)
    x10 = (x10 + x14) | 0
    x6 ^= x10
    x6 = (x6 << 7) | (x6 >>> 25)
    x3 = (x3 + x7) | 0
    x15 ^= x3
    x15 = (x15 << 16) | (x15 >>> 16)
    x11 = (x11 + x15) | 0
    x7 ^= x11
    x7 = (x7 << 12) | (x7 >>> 20)
    x3 = (x3 + x7) | 0
    x15 ^= x3
    x15 = (x15 << 8) | (x15 >>> 24)
    x11 = (x11 + x15) | 0
    x7 ^= x11
    x7 = (x7 << 7) | (x7 >>> 25)
    x0 = (x0 + x5) | 0
    x15 ^= x0
    x15 = (x15 << 16) | (x15 >>> 16)
    x10 = (x10 + x15) | 0
    x5 ^= x10
    x5 = (x5 << 12) | (x5 >>> 20)
    x0 = (x0 + x5) | 0
    x15 ^= x0
    x15 = (x15 << 8) | (x15 >>> 24)
    x10 = (x10 + x15) | 0
    x5 ^= x10
    x5 = (x5 << 7) | (x5 >>> 25)
    x1 = (x1 + x6) | 0
    x12 ^= x1
    x12 = (x12 << 16) | (x12 >>> 16)
    x11 = (x11 + x12) | 0
    x6 ^= x11
    x6 = (x6 << 12) | (x6 >>> 20)
    x1 = (x1 + x6) | 0
    x12 ^= x1
    x12 = (x12 << 8) | (x12 >>> 24)
    x11 = (x11 + x12) | 0
    x6 ^= x11
    x6 = (x6 << 7) | (x6 >>> 25)
    x2 = (x2 + x7) | 0
    x13 ^= x2
    x13 = (x13 << 16) | (x13 >>> 16)
    x8 = (x8 + x13) | 0
    x7 ^= x8
    x7 = (x7 << 12) | (x7 >>> 20)
    x2 = (x2 + x7) | 0
    x13 ^= x2
    x13 = (x13 << 8) | (x13 >>> 24)
    x8 = (x8 + x13) | 0
    x7 ^= x8
    x7 = (x7 << 7) | (x7 >>> 25)
    x3 = (x3 + x4) | 0
    x14 ^= x3
    x14 = (x14 << 16) | (x14 >>> 16)
    x9 = (x9 + x14) | 0
    x4 ^= x9
    x4 = (x4 << 12) | (x4 >>> 20)
    x3 = (x3 + x4) | 0
    x14 ^= x3
    x14 = (x14 << 8) | (x14 >>> 24)
    x9 = (x9 + x14) | 0
    x4 ^= x9
    x4 = (x4 << 7) | (x4 >>> 25)
  }
  target[at] = x0 + 0x61707865
  target[at + 1] = x1 + 0x3320646e
  target[at + 2] = x2 + 0x79622d32
  target[at + 3] = x3 + 0x6b206574
  target[at + 4] = x4 + k0
  target[at + 5] = x5 + k1
  target[at + 6] = x6 + k2
  target[at + 7] = x7 + k3
  target[at + 8] = x8 + k4
  target[at + 9] = x9 + k5
  target[at + 10] = x10 + k6
  target[at + 11] = x11 + k7
  target[at + 12] = x12 + counter
  target[at + 13] = x13 + n0
  target[at + 14] = x14 + n1
  target[at + 15] = x15 + n2
}

/** The tag of `bytes` bytes of `text`, a multiple of 16, under the one-time key in the first 32 bytes of `key` (RFC 8439 §2.5). */
export function poly1305(tag: Uint32Array, key: Uint8Array, text: Uint8Array, bytes: number): void {
  // r, clamped, in limbs of 22 bits; sN is rN × 20, for products that pass 2^132 = 4 × 2^130, and 2^130 is 5.
  const c3 = key[3]! & 15
  const c4 = key[4]! & 252
  const c7 = key[7]! & 15
  const c8 = key[8]! & 252
  const c11 = key[11]! & 15
  const c12 = key[12]! & 252
  const c15 = key[15]! & 15
  const r0 = key[0]! | (key[1]! << 8) | ((key[2]! & 0x3f) << 16)
  const r1 = (key[2]! >>> 6) | (c3 << 2) | (c4 << 10) | ((key[5]! & 0x0f) << 18)
  const r2 = (key[5]! >>> 4) | (key[6]! << 4) | (c7 << 12) | ((c8 & 3) << 20)
  const r3 = (c8 >>> 2) | (key[9]! << 6) | (key[10]! << 14)
  const r4 = c11 | (c12 << 8) | ((key[13]! & 0x3f) << 16)
  const r5 = (key[13]! >>> 6) | (key[14]! << 2) | (c15 << 10)
  const s1 = r1 * 20
  const s2 = r2 * 20
  const s3 = r3 * 20
  const s4 = r4 * 20
  const s5 = r5 * 20
  let h0 = 0
  let h1 = 0
  let h2 = 0
  let h3 = 0
  let h4 = 0
  let h5 = 0
  for (let at = 0; at < bytes; at += 16) {
    h0 += text[at]! | (text[at + 1]! << 8) | ((text[at + 2]! & 0x3f) << 16)
    h1 += (text[at + 2]! >>> 6) | (text[at + 3]! << 2) | (text[at + 4]! << 10) | ((text[at + 5]! & 0x0f) << 18)
    h2 += (text[at + 5]! >>> 4) | (text[at + 6]! << 4) | (text[at + 7]! << 12) | ((text[at + 8]! & 3) << 20)
    h3 += (text[at + 8]! >>> 2) | (text[at + 9]! << 6) | (text[at + 10]! << 14)
    h4 += text[at + 11]! | (text[at + 12]! << 8) | ((text[at + 13]! & 0x3f) << 16)
    h5 += (text[at + 13]! >>> 6) | (text[at + 14]! << 2) | (text[at + 15]! << 10) | (1 << 18)
    // Each h is under 2^23 + 2^14, each s under 2^27, so each sum is under 2^53.
    const d0 = h0 * r0 + h1 * s5 + h2 * s4 + h3 * s3 + h4 * s2 + h5 * s1
    let d1 = h0 * r1 + h1 * r0 + h2 * s5 + h3 * s4 + h4 * s3 + h5 * s2
    let d2 = h0 * r2 + h1 * r1 + h2 * r0 + h3 * s5 + h4 * s4 + h5 * s3
    let d3 = h0 * r3 + h1 * r2 + h2 * r1 + h3 * r0 + h4 * s5 + h5 * s4
    let d4 = h0 * r4 + h1 * r3 + h2 * r2 + h3 * r1 + h4 * r0 + h5 * s5
    let d5 = h0 * r5 + h1 * r4 + h2 * r3 + h3 * r2 + h4 * r1 + h5 * r0
    let carry = Math.floor(d0 / limb)
    h0 = d0 - carry * limb
    d1 += carry
    carry = Math.floor(d1 / limb)
    h1 = d1 - carry * limb
    d2 += carry
    carry = Math.floor(d2 / limb)
    h2 = d2 - carry * limb
    d3 += carry
    carry = Math.floor(d3 / limb)
    h3 = d3 - carry * limb
    d4 += carry
    carry = Math.floor(d4 / limb)
    h4 = d4 - carry * limb
    d5 += carry
    carry = Math.floor(d5 / limb)
    h5 = d5 - carry * limb
    h0 += carry * 20
    carry = Math.floor(h0 / limb)
    h0 -= carry * limb
    h1 += carry
  }
  // All limbs into their bounds, the highest (20 bits up to 2^130) first.
  for (let pass = 0; pass < 2; pass += 1) {
    let carry = Math.floor(h5 / 0x10_0000)
    h5 -= carry * 0x10_0000
    h0 += carry * 5
    carry = Math.floor(h0 / limb)
    h0 -= carry * limb
    h1 += carry
    carry = Math.floor(h1 / limb)
    h1 -= carry * limb
    h2 += carry
    carry = Math.floor(h2 / limb)
    h2 -= carry * limb
    h3 += carry
    carry = Math.floor(h3 / limb)
    h3 -= carry * limb
    h4 += carry
    carry = Math.floor(h4 / limb)
    h4 -= carry * limb
    h5 += carry
  }
  // h − (2^130 − 5) = h + 5 − 2^130: taken when h + 5 reaches 2^130, without a branch.
  let g0 = h0 + 5
  let carry = g0 >>> 22
  g0 &= limb - 1
  let g1 = h1 + carry
  carry = g1 >>> 22
  g1 &= limb - 1
  let g2 = h2 + carry
  carry = g2 >>> 22
  g2 &= limb - 1
  let g3 = h3 + carry
  carry = g3 >>> 22
  g3 &= limb - 1
  let g4 = h4 + carry
  carry = g4 >>> 22
  g4 &= limb - 1
  const g5 = h5 + carry
  const take = -(g5 >>> 20)
  const t0 = (h0 & ~take) | (g0 & take)
  const t1 = (h1 & ~take) | (g1 & take)
  const t2 = (h2 & ~take) | (g2 & take)
  const t3 = (h3 & ~take) | (g3 & take)
  const t4 = (h4 & ~take) | (g4 & take)
  const t5 = (h5 & ~take) | (g5 & 0xf_ffff & take)
  // Words of 32 bits, plus the second half of the key, modulo 2^128.
  let sum = ((t0 | (t1 << 22)) >>> 0) + (readWord(key, 16) >>> 0)
  tag[0] = sum
  sum = (((t1 >>> 10) | (t2 << 12)) >>> 0) + (readWord(key, 20) >>> 0) + Math.floor(sum / word)
  tag[1] = sum
  sum = (((t2 >>> 20) | (t3 << 2) | (t4 << 24)) >>> 0) + (readWord(key, 24) >>> 0) + Math.floor(sum / word)
  tag[2] = sum
  sum = (((t4 >>> 8) | (t5 << 14)) >>> 0) + (readWord(key, 28) >>> 0) + Math.floor(sum / word)
  tag[3] = sum
}
