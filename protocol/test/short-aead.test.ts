/** Our own ChaCha20-Poly1305 for short texts against OpenSSL's and the vectors of RFC 8439. */

import { createCipheriv } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { hex, unhex, utf8 } from '../src/index.ts'
import { poly1305, ShortAead, shortBytesMax } from '../src/node/short-aead.ts'
import { seededRandom } from './seeded-random.ts'

function openssl(key: Uint8Array, nonce: Uint8Array, associatedData: Uint8Array, plaintext: Uint8Array): string {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 })
  cipher.setAAD(associatedData, { plaintextLength: plaintext.length })
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]).toString('hex')
}

const random = seededRandom(8439)
/** Random bytes, and one time in three only 0x00 or 0xff, where carries go farthest. */
const bytes = (length: number): Uint8Array => {
  const extreme = random() < 1 / 3
  return Uint8Array.from({ length }, () => (extreme ? (random() < 0.7 ? 255 : 0) : Math.floor(random() * 256)))
}

describe('the short cipher', () => {
  it('gives the ciphertext and tag of RFC 8439 §2.8.2', () => {
    const aead = new ShortAead(unhex('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f'))
    const text = utf8("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.")
    const nonce = unhex('070000004041424344454647')
    const associated = unhex('50515253c0c1c2c3c4c5c6c7')
    const sealed = aead.seal(nonce, associated, [text], text.length)
    expect(hex(sealed.subarray(0, 16))).toBe('d31a8d34648e60db7b86afbc53ef7ec2')
    expect(hex(sealed.subarray(text.length))).toBe('1ae10b594f09e26a7e902ecbd0600691')
    expect(aead.open(nonce, associated, sealed)).toEqual(text)
  })

  it('is OpenSSL, byte for byte, at every length', () => {
    for (let length = 0; length <= shortBytesMax; length += 1) {
      for (const associatedLength of [0, 29, Math.floor(random() * 65)]) {
        const [key, nonce, associated, text] = [bytes(32), bytes(12), bytes(associatedLength), bytes(length)]
        const aead = new ShortAead(key)
        const cut = Math.floor(random() * length)
        const sealed = aead.seal(nonce, associated, [text.subarray(0, cut), text.subarray(cut)], length)
        expect(hex(sealed), `${length} bytes`).toBe(openssl(key, nonce, associated, text))
        expect(aead.open(nonce, associated, sealed)).toEqual(text)
      }
    }
  })

  it('is OpenSSL also for thousands of keys and texts, one key used again and again', () => {
    for (let round = 0; round < 300; round += 1) {
      const key = bytes(32)
      const aead = new ShortAead(key)
      for (let use = 0; use < 20; use += 1) {
        const [nonce, associated, text] = [bytes(12), bytes(Math.floor(random() * 65)), bytes(Math.floor(random() * (shortBytesMax + 1)))]
        expect(hex(aead.seal(nonce, associated, [text], text.length))).toBe(openssl(key, nonce, associated, text))
      }
    }
  })

  it('opens nothing that differs in any one bit', () => {
    const [key, nonce, associated, text] = [bytes(32), bytes(12), bytes(29), bytes(70)]
    const aead = new ShortAead(key)
    const sealed = aead.seal(nonce, associated, [text], text.length)
    for (const part of [sealed, nonce, associated]) {
      for (let bit = 0; bit < part.length * 8; bit += 1) {
        part[bit >> 3]! ^= 1 << (bit & 7)
        expect(aead.open(nonce, associated, sealed)).toBeUndefined()
        part[bit >> 3]! ^= 1 << (bit & 7)
      }
    }
    expect(aead.open(nonce, associated, sealed)).toEqual(text)
  })
})

describe('its Poly1305 gives the tags of RFC 8439 A.3 that carry farthest', () => {
  const ff = 'ff'.repeat(16)
  const zero = '00'.repeat(16)
  const first = (byte: string, rest = '00'): string => byte + rest.repeat(15)
  for (const [why, key, text, tag] of [
    ['2^130 - 5 is 0', first('02') + zero, ff, first('03')],
    ['the sum with the key passes 2^128', first('02') + ff, first('02'), first('03')],
    ['limbs in the middle overflow', first('01') + zero, ff + first('f0', 'ff') + first('11'), first('05')],
    ['the result is the modulus itself', first('01') + zero, ff + first('fb', 'fe') + '01'.repeat(16), zero],
    ['the result is just under the modulus', first('02') + zero, first('fd', 'ff'), first('fa', 'ff')],
    [
      'the highest limb overflows at the end',
      `01000000000000000400000000000000${zero}`,
      'e33594d7505e43b900000000000000003394d7505e4379cd01000000000000000000000000000000000000000000000001000000000000000000000000000000',
      '14000000000000005500000000000000',
    ],
    [
      'the highest limb overflows before the end',
      `01000000000000000400000000000000${zero}`,
      'e33594d7505e43b900000000000000003394d7505e4379cd010000000000000000000000000000000000000000000000',
      '13000000000000000000000000000000',
    ],
  ] as const) {
    it(why, () => {
      const words = new Uint32Array(4)
      poly1305(words, unhex(key), unhex(text), text.length / 2)
      expect(hex(new Uint8Array(words.buffer))).toBe(tag)
    })
  }
})
