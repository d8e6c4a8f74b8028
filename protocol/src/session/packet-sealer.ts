/**
 * Seals and opens the packets of one connection.
 *
 * Nonce = u32 kind ‖ u64 counter. Associated data = version(1) ‖ connection id(16) ‖ direction(1: 0 from the caller) ‖ epoch(2) ‖
 * kind(1) ‖ counter(8): nothing that differs per hop, so a sealed packet may be sent again on any path.
 */

import type { Aead, CryptoProvider } from '../crypto.ts'
import { SennitError } from '../errors.ts'
import { PACKET_KIND, type PacketHeader } from '../packet.ts'
import { type EpochKeys, KeyChain } from './key-chain.ts'
import type { SessionSecrets } from './secrets.ts'

/** The end-to-end version in the associated data. */
export const endVersion = 1

const associatedDataBytes = 29
const epochModulus = 0x1_0000

interface ReceiveEpoch {
  readonly epoch: number
  readonly keys: EpochKeys
}

export class PacketSealer {
  readonly #sendFrame: Uint8Array
  readonly #receiveFrame: Uint8Array
  /** The last counter sealed, by kind: sealing twice under one nonce is impossible, not merely avoided. */
  readonly #lastCounter: number[] = [-1, -1, -1, -1, -1]
  #sendChain: KeyChain
  #sendKeys: EpochKeys
  #sendEpoch = 0
  /** Epochs that open now: the newest that authenticated a packet, and the one before it. At most two. */
  #receiveEpochs: ReceiveEpoch[]
  #newestReceive = 0
  #newestChain: KeyChain
  /** One ahead of the newest, derived when first asked for, in use only once a packet authenticated under it. */
  #candidate: { readonly chain: KeyChain; readonly keys: EpochKeys } | undefined

  constructor(crypto: CryptoProvider, secrets: SessionSecrets) {
    this.#sendChain = new KeyChain(crypto, secrets.sendControlKey, secrets.sendDataKey)
    this.#sendKeys = this.#sendChain.keys()
    this.#newestChain = new KeyChain(crypto, secrets.receiveControlKey, secrets.receiveDataKey)
    this.#receiveEpochs = [{ epoch: 0, keys: this.#newestChain.keys() }]
    const calls = secrets.role === 'caller'
    this.#sendFrame = associatedDataOf(secrets.connectionId, calls ? 0 : 1)
    this.#receiveFrame = associatedDataOf(secrets.connectionId, calls ? 1 : 0)
  }

  /** The epoch that headers of new packets must carry: its low 16 bits. */
  get sendEpoch(): number {
    return this.#sendEpoch % epochModulus
  }

  /** The newest epoch of the peer that authenticated a packet, its low 16 bits. */
  get receiveEpoch(): number {
    return this.#newestReceive % epochModulus
  }

  /**
   * Seals one packet. Keep the result for resending: the same counter is never sealed again.
   * @throws SennitError `internal` when the epoch is not {@link sendEpoch}, the kind is never sealed by these keys, or the counter of
   *   this kind did not rise
   */
  seal(header: PacketHeader, plaintext: readonly Uint8Array[]): Uint8Array[] {
    const { kind, counter } = header
    const last = this.#lastCounter[kind]
    if (last === undefined || kind === PACKET_KIND.handshake)
      throw new SennitError('internal', `packets of kind ${kind} are not sealed here`, { kind })
    if (!Number.isSafeInteger(counter) || counter <= last) {
      throw new SennitError('internal', `expected a counter over ${last}, found ${counter}: no nonce may be used twice`, {
        kind,
        last,
        counter,
      })
    }
    if (header.epoch !== this.sendEpoch) {
      throw new SennitError('internal', `expected epoch ${this.sendEpoch}, found ${header.epoch}`, { epoch: header.epoch })
    }
    this.#lastCounter[kind] = counter
    return aeadOf(this.#sendKeys, kind).seal(nonceOf(kind, counter), filled(this.#sendFrame, header), plaintext)
  }

  /** The plaintext, or undefined when nothing that opens now opens it: forged, changed, an epoch too far ahead or one dropped already. */
  open(header: PacketHeader, sealed: readonly Uint8Array[]): Uint8Array | undefined {
    const { kind, counter, epoch } = header
    if (kind === PACKET_KIND.handshake || kind < 0 || kind > PACKET_KIND.datagram) return undefined
    if (!Number.isSafeInteger(counter) || counter < 0 || epoch < 0 || epoch >= epochModulus) return undefined
    for (const known of this.#receiveEpochs) {
      if (known.epoch % epochModulus === epoch) return this.#openWith(known.keys, header, sealed)
    }
    if ((this.#newestReceive + 1) % epochModulus !== epoch) return undefined
    this.#candidate ??= candidateAfter(this.#newestChain)
    const plaintext = this.#openWith(this.#candidate.keys, header, sealed)
    if (plaintext !== undefined) this.#acceptCandidate(this.#candidate)
    return plaintext
  }

  /** Starts the next send epoch and returns it. Call it only when nothing of the epoch before the current one is unacknowledged. */
  advanceSend(): number {
    this.#sendChain = this.#sendChain.next()
    this.#sendKeys = this.#sendChain.keys()
    this.#sendEpoch += 1
    return this.sendEpoch
  }

  /**
   * Forgets the receive keys of an older epoch: every kept packet of it has arrived. The newest is never dropped. It also happens by
   * itself when the peer reaches the epoch after the next, which it may do only when we acknowledged everything of this one.
   */
  dropReceive(epoch: number): void {
    this.#receiveEpochs = this.#receiveEpochs.filter((known) => known.epoch === this.#newestReceive || known.epoch % epochModulus !== epoch)
  }

  /** What {@link open} can do for an epoch: try it, or nothing because its keys were `dropped`, or because it is too far `ahead`. */
  receiveState(epoch: number): 'open' | 'dropped' | 'ahead' {
    if (this.#receiveEpochs.some((known) => known.epoch % epochModulus === epoch)) return 'open'
    const distance = (epoch - (this.#newestReceive % epochModulus) + epochModulus) % epochModulus
    if (distance === 1) return 'open'
    // Half the ring is behind: an epoch takes at least a round trip, so nothing is ever that late.
    return distance < epochModulus / 2 && distance > 0 ? 'ahead' : 'dropped'
  }

  #openWith(keys: EpochKeys, header: PacketHeader, sealed: readonly Uint8Array[]): Uint8Array | undefined {
    return aeadOf(keys, header.kind).open(nonceOf(header.kind, header.counter), filled(this.#receiveFrame, header), sealed)
  }

  #acceptCandidate(candidate: { readonly chain: KeyChain; readonly keys: EpochKeys }): void {
    const previous = this.#newestReceive
    this.#newestReceive += 1
    this.#newestChain = candidate.chain
    this.#candidate = undefined
    this.#receiveEpochs = this.#receiveEpochs.filter((known) => known.epoch === previous)
    this.#receiveEpochs.unshift({ epoch: this.#newestReceive, keys: candidate.keys })
  }
}

function candidateAfter(chain: KeyChain): { readonly chain: KeyChain; readonly keys: EpochKeys } {
  const next = chain.next()
  return { chain: next, keys: next.keys() }
}

function aeadOf(keys: EpochKeys, kind: number): Aead {
  return kind === PACKET_KIND.data || kind === PACKET_KIND.datagram ? keys.data : keys.control
}

function associatedDataOf(connectionId: Uint8Array, direction: 0 | 1): Uint8Array {
  if (connectionId.length !== 16) throw new SennitError('internal', `expected a connection id of 16 bytes, found ${connectionId.length}`)
  const bytes = new Uint8Array(associatedDataBytes)
  bytes[0] = endVersion
  bytes.set(connectionId, 1)
  bytes[17] = direction
  return bytes
}

/** Writes the changing fields into the direction's own associated data: one array per direction for ever, since providers read it at once. */
function filled(frame: Uint8Array, header: PacketHeader): Uint8Array {
  frame[18] = header.epoch >>> 8
  frame[19] = header.epoch
  frame[20] = header.kind
  writeU64(frame, 21, header.counter)
  return frame
}

function nonceOf(kind: number, counter: number): Uint8Array {
  const nonce = new Uint8Array(12)
  nonce[3] = kind
  writeU64(nonce, 4, counter)
  return nonce
}

function writeU64(target: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000)
  const low = value >>> 0
  target[at] = high >>> 24
  target[at + 1] = high >>> 16
  target[at + 2] = high >>> 8
  target[at + 3] = high
  target[at + 4] = low >>> 24
  target[at + 5] = low >>> 16
  target[at + 6] = low >>> 8
  target[at + 7] = low
}
