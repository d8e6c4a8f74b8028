/** CipherState and SymmetricState of the Noise specification (revision 34, §5.1 and §5.2), for 25519, ChaChaPoly and SHA256. */

import { concat, utf8 } from '../bytes.ts'
import { type Aead, type CryptoProvider, hkdf } from '../crypto.ts'
import { ProtocolError } from '../errors.ts'

const noBytes = new Uint8Array(0)

/** SHA-256's length, which is also what a chaining key and a handshake hash have. */
const hashBytes = 32

/** Noise's nonce for ChaChaPoly: 4 zero bytes ‖ little-endian counter. */
export function noiseNonce(counter: number): Uint8Array {
  const nonce = new Uint8Array(12)
  let rest = counter
  for (let at = 4; rest > 0; at += 1) {
    nonce[at] = rest % 256
    rest = Math.floor(rest / 256)
  }
  return nonce
}

export class SymmetricState {
  readonly #crypto: CryptoProvider
  #chainingKey: Uint8Array
  #hash: Uint8Array
  #cipher: Aead | undefined
  #counter = 0

  constructor(crypto: CryptoProvider, protocolName: string) {
    this.#crypto = crypto
    const name = utf8(protocolName)
    if (name.length <= hashBytes) {
      this.#hash = new Uint8Array(hashBytes)
      this.#hash.set(name)
    } else {
      this.#hash = crypto.sha256([name])
    }
    this.#chainingKey = this.#hash
  }

  /** The handshake hash so far. */
  get hash(): Uint8Array {
    return this.#hash
  }

  /** Whether messages are encrypted by now. */
  get keyed(): boolean {
    return this.#cipher !== undefined
  }

  /** An independent copy, so that a message may be tried without spoiling the state when it is forged. */
  clone(): SymmetricState {
    const copy = new SymmetricState(this.#crypto, '')
    copy.#chainingKey = this.#chainingKey
    copy.#hash = this.#hash
    copy.#cipher = this.#cipher
    copy.#counter = this.#counter
    return copy
  }

  mixHash(data: Uint8Array): void {
    this.#hash = this.#crypto.sha256([this.#hash, data])
  }

  mixKey(inputKey: Uint8Array): void {
    const output = hkdf(this.#crypto, this.#chainingKey, inputKey, noBytes, hashBytes * 2)
    this.#chainingKey = output.subarray(0, hashBytes)
    this.#useKey(output.subarray(hashBytes))
  }

  mixKeyAndHash(inputKey: Uint8Array): void {
    const output = hkdf(this.#crypto, this.#chainingKey, inputKey, noBytes, hashBytes * 3)
    this.#chainingKey = output.subarray(0, hashBytes)
    this.mixHash(output.subarray(hashBytes, hashBytes * 2))
    this.#useKey(output.subarray(hashBytes * 2))
  }

  encryptAndHash(plaintext: Uint8Array): Uint8Array {
    let ciphertext = plaintext
    if (this.#cipher !== undefined) {
      ciphertext = concat(this.#cipher.seal(noiseNonce(this.#counter), this.#hash, [plaintext]))
      this.#counter += 1
    }
    this.mixHash(ciphertext)
    return ciphertext
  }

  /** @throws ProtocolError `handshake_forged` */
  decryptAndHash(ciphertext: Uint8Array): Uint8Array {
    let plaintext = ciphertext
    if (this.#cipher !== undefined) {
      const opened = this.#cipher.open(noiseNonce(this.#counter), this.#hash, [ciphertext])
      if (opened === undefined) {
        throw new ProtocolError(
          'handshake_forged',
          'expected a handshake message made for this handshake, found one that does not authenticate: it was changed on the way, or the ends disagree on names, application or mesh',
        )
      }
      plaintext = opened
      this.#counter += 1
    }
    this.mixHash(ciphertext)
    return plaintext
  }

  /** Both transport keys: initiator's first. */
  split(): [Uint8Array, Uint8Array] {
    const output = hkdf(this.#crypto, this.#chainingKey, noBytes, noBytes, hashBytes * 2)
    return [output.slice(0, hashBytes), output.slice(hashBytes)]
  }

  #useKey(key: Uint8Array): void {
    this.#cipher = this.#crypto.aead(key)
    this.#counter = 0
  }
}
