/** The keys of one direction, epoch by epoch: each epoch's chain gives its keys and the next chain, and not the one before. */

import { utf8 } from '../bytes.ts'
import { type Aead, type CryptoProvider, hkdf, keyBytes } from '../crypto.ts'

/** The ciphers of one direction in one epoch. */
export interface EpochKeys {
  /** For control and loose packets. */
  readonly control: Aead
  /** For data packets and datagrams. */
  readonly data: Aead
}

const noSalt = new Uint8Array(0)
const keyInfo = utf8('sennit epoch key 1')
const nextInfo = utf8('sennit next epoch 1')

/** One link of the chain. `next()` gives the following one; whoever drops a link can not get it back. */
export class KeyChain {
  readonly #crypto: CryptoProvider
  readonly #controlRoot: Uint8Array
  readonly #dataRoot: Uint8Array

  constructor(crypto: CryptoProvider, controlRoot: Uint8Array, dataRoot: Uint8Array) {
    this.#crypto = crypto
    this.#controlRoot = controlRoot
    this.#dataRoot = dataRoot
  }

  keys(): EpochKeys {
    return {
      control: this.#crypto.aead(hkdf(this.#crypto, noSalt, this.#controlRoot, keyInfo, keyBytes)),
      data: this.#crypto.aead(hkdf(this.#crypto, noSalt, this.#dataRoot, keyInfo, keyBytes)),
    }
  }

  next(): KeyChain {
    return new KeyChain(
      this.#crypto,
      hkdf(this.#crypto, noSalt, this.#controlRoot, nextInfo, keyBytes),
      hkdf(this.#crypto, noSalt, this.#dataRoot, nextInfo, keyBytes),
    )
  }
}
