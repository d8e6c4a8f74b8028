/** Cuts sealed packets into shares. */

import { totalBytes } from '../bytes.ts'
import { type Aead, type CryptoProvider, keyBytes } from '../crypto.ts'
import { SennitError } from '../errors.ts'
import { type PacketHeader, packetBytesMax } from '../packet.ts'
import type { SessionSecrets } from '../session/secrets.ts'
import { newShare, shareBodyAt, shareForm, shareNonce, wirePieces, wordsOf } from './format.ts'
import { addScaled } from './gf256.ts'
import { fillParity } from './reed-solomon.ts'
import { checkShareScheme, type ShareScheme, shareBytes } from './scheme.ts'
import { shareSecret } from './threshold.ts'

/** One share, ready for a circuit. `pieces` never change. */
export interface Share {
  /** Form 1; kind, epoch and counter of the packet. */
  readonly header: PacketHeader
  readonly index: number
  readonly pieces: Uint8Array[]
  readonly bytes: number
}

/** A key is used for one packet, so its nonce may be the same for all. */
export const packetKeyNonce: Uint8Array = new Uint8Array(12)
const noData = new Uint8Array(0)

/** One per connection: it counts the sets of shares, whose numbers are nonces. */
export class ShareEncoder {
  readonly #crypto: CryptoProvider
  readonly #tags: Aead
  #nextSet = 0

  constructor(crypto: CryptoProvider, secrets: SessionSecrets) {
    this.#crypto = crypto
    this.#tags = crypto.aead(secrets.sendShareKey)
  }

  /**
   * The n shares of a sealed packet, by index, with fresh randomness: a new set, whose shares go with no other's. So a packet that is sent again is
   * encoded again, and a relay that saw share 1 of one set and share 2 of another knows nothing. A single lost share may also be repeated as it
   * is, but over no relay that had another share of its set.
   * @throws SennitError `bad_share_scheme`; `too_large` when a share would be longer than a packet may be
   */
  encode(header: PacketHeader, sealed: readonly Uint8Array[], scheme: ShareScheme): Share[] {
    checkShareScheme(scheme)
    const length = totalBytes(sealed)
    if (length === 0 || shareBytes(scheme, length) > packetBytesMax) {
      throw new SennitError('too_large', `expected a packet of 1 to ${packetBytesMax} bytes with the share's own, found ${length}`, {
        length,
      })
    }
    const set = this.#nextSet
    this.#nextSet += 1
    const shares = Array.from({ length: scheme.n }, (_, index) => newShare(header, { scheme, index, length, set }))
    if (scheme.kind === 'split') this.#split(shares, sealed, length)
    else this.#disperse(shares, sealed, scheme.k)
    const shareHeader = { form: shareForm, kind: header.kind, epoch: header.epoch, counter: header.counter }
    return shares.map((share, index) => {
      const pieces = wirePieces(share, this.#tags.seal(shareNonce(share), share, []))
      return { header: shareHeader, index, pieces, bytes: totalBytes(pieces) }
    })
  }

  /** n − 1 pads, and the packet with all of them added. */
  #split(shares: readonly Uint8Array[], sealed: readonly Uint8Array[], length: number): void {
    const last = shares.at(-1)!
    scatter(sealed, [last], shareBodyAt)
    const sum = wordsOf(last, shareBodyAt)
    for (const share of shares.slice(0, -1)) {
      share.set(this.#crypto.randomBytes(length), shareBodyAt)
      addScaled(sum, wordsOf(share, shareBodyAt), 1)
    }
  }

  #disperse(shares: readonly Uint8Array[], sealed: readonly Uint8Array[], k: number): void {
    const key = this.#crypto.randomBytes(keyBytes)
    const keyShares = shareSecret(key, k, shares.length, this.#crypto.randomBytes(keyBytes * (k - 1)))
    const shardAt = shareBodyAt + keyBytes
    scatter(this.#crypto.aead(key).seal(packetKeyNonce, noData, sealed), shares.slice(0, k), shardAt)
    const data = shares.slice(0, k).map((share) => wordsOf(share, shardAt))
    for (const [index, share] of shares.entries()) {
      share.set(keyShares[index]!, shareBodyAt)
      if (index >= k) fillParity(wordsOf(share, shardAt), index - k, data)
    }
  }
}

/** Lays the pieces out over the targets, each from `from` to its end; the last may stay partly zero. */
function scatter(pieces: readonly Uint8Array[], targets: readonly Uint8Array[], from: number): void {
  let target = 0
  let at = from
  for (const piece of pieces) {
    for (let taken = 0; taken < piece.length; ) {
      const room = targets[target]!.length - at
      if (room === 0) {
        target += 1
        at = from
        continue
      }
      const part = piece.subarray(taken, taken + room)
      targets[target]!.set(part, at)
      taken += part.length
      at += part.length
    }
  }
}
