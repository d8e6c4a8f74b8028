/** Seals and opens the blocks of one direction of an attachment. Its counter is implicit: a carrier neither loses nor reorders. */

import { emptyBytes, utf8 } from '../bytes.ts'
import { type Aead, type CryptoProvider, hkdf, keyBytes, tagBytes } from '../crypto.ts'

/** Records under one key; far under every bound of ChaCha20-Poly1305, so that a key that leaks says little. */
export const recordsPerKey = 65_536

/** The clear length before a block. */
const lengthBytes = 2

const rekeyInfo = utf8('sennit hop rekey 1')

export class RecordCipher {
  readonly #crypto: CryptoProvider
  #key: Uint8Array
  #aead: Aead
  #counter = 0
  // 4 zero bytes and the counter, little endian, as in Noise; the counter stays under 2^17.
  readonly #nonce = new Uint8Array(12)

  constructor(crypto: CryptoProvider, key: Uint8Array) {
    this.#crypto = crypto
    this.#key = key
    this.#aead = crypto.aead(key)
  }

  /** A sealed block with its clear length before it, in one array. */
  seal(block: Uint8Array): Uint8Array {
    // In two steps: taking the nonce may change the key.
    const nonce = this.#nextNonce()
    const sealed = this.#aead.seal(nonce, emptyBytes, [block])
    const length = block.length + tagBytes
    const record = new Uint8Array(lengthBytes + length)
    record[0] = length >>> 8
    record[1] = length
    let at = lengthBytes
    for (const piece of sealed) {
      record.set(piece, at)
      at += piece.length
    }
    return record
  }

  /** The block's plaintext, or undefined when it is forged. */
  open(sealed: Uint8Array): Uint8Array | undefined {
    const nonce = this.#nextNonce()
    return this.#aead.open(nonce, emptyBytes, [sealed])
  }

  #nextNonce(): Uint8Array {
    if (this.#counter === recordsPerKey) {
      this.#key = hkdf(this.#crypto, emptyBytes, this.#key, rekeyInfo, keyBytes)
      this.#aead = this.#crypto.aead(this.#key)
      this.#counter = 0
    }
    const nonce = this.#nonce
    nonce[4] = this.#counter
    nonce[5] = this.#counter >>> 8
    this.#counter += 1
    return nonce
  }
}
