/**
 * Puts shares together again. A share is looked at only when its tag holds, so that memory is given to what the peer really sent, and a share
 * that a relay changed or made up names that relay at once. Late shares are checked too: a relay that lies where it does no harm still lies.
 */

import { equalBytes } from '../bytes.ts'
import { type Aead, type CryptoProvider, keyBytes } from '../crypto.ts'
import { ProtocolError } from '../errors.ts'
import type { PacketHeader } from '../packet.ts'
import type { SessionSecrets } from '../session/secrets.ts'
import { packetKeyNonce } from './encoder.ts'
import { gatherShare, readFields, type ShareFields, shareBodyAt, shareNonce, wordsOf } from './format.ts'
import { addScaled } from './gf256.ts'
import { recoverData } from './reed-solomon.ts'
import { type ShareScheme, shareThreshold } from './scheme.ts'
import { SetWindow } from './set-window.ts'
import { combineSecret } from './threshold.ts'

export type ShareOutcome =
  /** Enough shares are here: the packet as it was sealed, with its header (form 0). */
  | { readonly type: 'packet'; readonly header: PacketHeader; readonly sealed: Uint8Array }
  /** Good; more are needed. */
  | { readonly type: 'waiting' }
  /** Good, but its packet was complete already, or it is a copy, or it is too old. */
  | { readonly type: 'late' }
  /** Not what the peer sent: the relay it came by changed it or made it up. */
  | { readonly type: 'forged' }

export interface ShareAssemblerLimits {
  /** Memory of incomplete sets; over it the oldest is forgotten, and its packet is sent again. Too small: a slow path stops all. @default 32 MiB */
  readonly bytesMax?: number
  /** Incomplete sets. @default 8 192 */
  readonly setsMax?: number
}

/** Paths of 8 MiB in flight (the most a sender allows itself) times the shares of a usual mode. */
const bytesMaxDefault: number = 32 * 2 ** 20
/** 1 200-byte packets of 8 MiB. */
const setsMaxDefault = 8_192
/** What an incomplete set costs beside its shares. */
const setOverheadBytes = 512
/** Relays of one connection that are counted by name. */
const liarsMax = 64

const noData = new Uint8Array(0)
const late: ShareOutcome = { type: 'late' }
const waiting: ShareOutcome = { type: 'waiting' }
const forged: ShareOutcome = { type: 'forged' }

/** The shares of one set that came so far, each behind its context. */
interface ShareSet {
  readonly fields: ShareFields
  readonly shares: Map<number, Uint8Array>
  bytes: number
}

/** One per connection. */
export class ShareAssembler {
  readonly #crypto: CryptoProvider
  readonly #tags: Aead
  readonly #bytesMax: number
  readonly #setsMax: number
  /** In the order in which they began. */
  readonly #sets: Map<number, ShareSet> = new Map()
  readonly #finished = new SetWindow()
  readonly #liars: Map<string, number> = new Map()
  #bytes = 0
  #forgotten = 0

  constructor(crypto: CryptoProvider, secrets: SessionSecrets, limits: ShareAssemblerLimits = {}) {
    this.#crypto = crypto
    this.#tags = crypto.aead(secrets.receiveShareKey)
    this.#bytesMax = limits.bytesMax ?? bytesMaxDefault
    this.#setsMax = limits.setsMax ?? setsMaxDefault
  }

  /** Wrong shares by the relay they came by, since the connection began. */
  get liars(): ReadonlyMap<string, number> {
    return this.#liars
  }

  /** What incomplete sets hold now, and how many were forgotten for lack of memory. */
  get held(): { readonly bytes: number; readonly sets: number; readonly forgotten: number } {
    return { bytes: this.#bytes, sets: this.#sets.size, forgotten: this.#forgotten }
  }

  /**
   * Takes one payload of form 1. The pieces are copied, so that a share that waits holds no read buffer.
   * @throws ProtocolError `malformed` when the peer itself made shares that do not go together
   */
  take(header: PacketHeader, pieces: readonly Uint8Array[], relayId: string): ShareOutcome {
    const gathered = gatherShare(header, pieces)
    if (gathered === undefined) return this.#blame(relayId)
    const { share, tag } = gathered
    if (this.#tags.open(shareNonce(share), share, [tag]) === undefined) return this.#blame(relayId)
    const fields = readFields(share)
    if (fields === undefined) throw malformed('expected the fields of a share')
    if (!this.#finished.isOpen(fields.set)) return late

    const known = this.#sets.get(fields.set)
    if (known === undefined) this.#begin(fields, share)
    else if (!this.#add(known, fields, share)) return late
    const set = known ?? this.#sets.get(fields.set)!
    if (set.shares.size < shareThreshold(fields.scheme)) {
      this.#forget(fields.set)
      return waiting
    }
    this.#finish(fields.set, set)
    const { kind, epoch, counter } = header
    return { type: 'packet', header: { form: 0, kind, epoch, counter }, sealed: this.#assemble(set) }
  }

  #blame(relayId: string): ShareOutcome {
    const count = this.#liars.get(relayId)
    if (count !== undefined || this.#liars.size < liarsMax) this.#liars.set(relayId, (count ?? 0) + 1)
    return forged
  }

  #begin(fields: ShareFields, share: Uint8Array): void {
    const bytes = setOverheadBytes + share.buffer.byteLength
    this.#sets.set(fields.set, { fields, shares: new Map([[fields.index, share]]), bytes })
    this.#bytes += bytes
  }

  /** @returns false for a copy */
  #add(set: ShareSet, fields: ShareFields, share: Uint8Array): boolean {
    if (set.shares.has(fields.index)) return false
    const [first] = set.shares.values()
    if (!goTogether(first!, share)) throw malformed('expected shares of one set to agree on their packet')
    set.shares.set(fields.index, share)
    set.bytes += share.buffer.byteLength
    this.#bytes += share.buffer.byteLength
    return true
  }

  /** Makes room, oldest first, but never from the set that just grew. */
  #forget(newest: number): void {
    for (const [number, set] of this.#sets) {
      if (this.#bytes <= this.#bytesMax && this.#sets.size <= this.#setsMax) return
      if (number === newest) continue
      this.#sets.delete(number)
      this.#bytes -= set.bytes
      this.#forgotten += 1
    }
  }

  #finish(number: number, set: ShareSet): void {
    this.#finished.close(number)
    this.#sets.delete(number)
    this.#bytes -= set.bytes
  }

  #assemble(set: ShareSet): Uint8Array {
    const { scheme, length } = set.fields
    return scheme.kind === 'split' ? joined(set.shares, length) : this.#decrypted(set.shares, scheme, length)
  }

  #decrypted(shares: ReadonlyMap<number, Uint8Array>, scheme: ShareScheme & { readonly kind: 'disperse' }, length: number): Uint8Array {
    const shardAt = shareBodyAt + keyBytes
    const keyShares = new Map<number, Uint8Array>()
    const shards = new Map<number, Uint32Array>()
    for (const [index, share] of shares) {
      keyShares.set(index, share.subarray(shareBodyAt, shardAt))
      shards.set(index, wordsOf(share, shardAt))
    }
    const [first] = shares.values()
    const shardBytes = first!.length - shardAt
    const pieces = recoverData(scheme.k, shards).map((words) => new Uint8Array(words.buffer, words.byteOffset, shardBytes))
    const sealed = this.#crypto.aead(combineSecret(keyShares)).open(packetKeyNonce, noData, cut(pieces, length + 16))
    if (sealed === undefined) throw malformed('expected shares of one packet')
    return sealed
  }
}

/** The sum of all shares. */
function joined(shares: ReadonlyMap<number, Uint8Array>, length: number): Uint8Array {
  let sum: Uint32Array | undefined
  for (const share of shares.values()) {
    const words = wordsOf(share, shareBodyAt)
    if (sum === undefined) sum = words
    else addScaled(sum, words, 1)
  }
  return new Uint8Array(sum!.buffer, sum!.byteOffset, length)
}

/** The first `bytes` bytes. */
function cut(pieces: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes
  return pieces.map((piece) => {
    const part = piece.subarray(0, left)
    left -= part.length
    return part
  })
}

/** Same packet, scheme and length: everything before the body but the index. */
function goTogether(left: Uint8Array, right: Uint8Array): boolean {
  const withoutIndex = (share: Uint8Array): Uint8Array => {
    const head = share.slice(0, shareBodyAt)
    head[13] = 0
    return head
  }
  return equalBytes(withoutIndex(left), withoutIndex(right))
}

function malformed(message: string): ProtocolError {
  return new ProtocolError('malformed', `${message}; the peer made them so`, {})
}
