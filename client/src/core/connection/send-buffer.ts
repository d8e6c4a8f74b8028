/**
 * The resend buffer: every kept packet, as sealed, from its first sending until the other *end* acknowledged it. A ring by number; an ack
 * costs as much as it newly acknowledges, however often its ranges are repeated.
 */
import { type AckState, type PacketHeader, ProtocolError } from '@sennit/protocol'
import type { SentFrame } from '../streams/options.ts'
import type { Path } from './path.ts'

/** What a packet costs beside its bytes. */
const packetOverheadBytes = 256
const ringMin = 64

/** One sending of one packet on one path. */
export interface Flight {
  readonly packet: KeptPacket
  readonly path: Path
  /** What it weighs on the path: a share is smaller than its packet. */
  readonly bytes: number
  /** The set of shares it belongs to; undefined for a whole packet. */
  readonly shares: ShareSet | undefined
  /** Position among the flights of its path; a path is first-in-first-out. */
  readonly order: number
  readonly sentAtMs: number
  /** Bytes the path had delivered when this was sent, and when it delivered them: for the rate. */
  readonly deliveredBytes: number
  readonly deliveredAtMs: number
  readonly applicationLimited: boolean
  /** False once acked, or known to be lost with its path. */
  live: boolean
}

/** The shares of one packet that went out together. */
export interface ShareSet {
  /** So many must arrive. */
  readonly threshold: number
  /** On the way, about to be, or arrived. */
  left: number
  /** On the way. One that waits for a path without room is not: that may take for ever, and the others may have been in vain. */
  flying: number
}

/** One kept packet. `pieces` never change: a resend is the same bytes. */
export interface KeptPacket {
  readonly number: number
  readonly header: PacketHeader
  pieces: Uint8Array[]
  readonly bytes: number
  /** What the streams must hear when it is acked. */
  frames: readonly SentFrame[]
  /** The full epoch it was sealed in. */
  readonly epoch: number
  acked: boolean
  timesSent: number
  /** The first flight; more come only by copies and resends. */
  flight: Flight | undefined
  more: Flight[] | undefined
  /** It went out in shares the last time. */
  shares: ShareSet | undefined
  /** When acked: where the next one not acked may be. */
  skip: number
  /** Words of the connection itself and nothing of the application: it may go whole on any path, whatever the mode promises. */
  readonly own: boolean
  waitsToBeResent: boolean
}

export class SendBuffer {
  #ring: (KeptPacket | undefined)[] = new Array(ringMin)
  /** Everything below is acked. */
  base = 0
  /** The number of the next packet. */
  next = 0
  /** Bytes and overhead of what is not acked. */
  unackedBytes = 0
  unackedPackets = 0

  /** From the oldest number not acked to the next one: what the receiver's window must hold. */
  get span(): number {
    return this.next - this.base
  }

  add(packet: KeptPacket): void {
    if (this.next - this.base === this.#ring.length) this.#grow()
    this.#ring[this.next % this.#ring.length] = packet
    this.next += 1
    this.unackedBytes += packet.bytes + packetOverheadBytes
    this.unackedPackets += 1
  }

  get(number: number): KeptPacket | undefined {
    return number < this.base || number >= this.next ? undefined : this.#ring[number % this.#ring.length]
  }

  /** The packet everybody waits for. */
  oldest(): KeptPacket | undefined {
    return this.get(this.#unackedFrom(this.base))
  }

  /**
   * Takes an ack in; `onAcked` is called once in the life of each packet, in order of numbers.
   * @throws ProtocolError when it names what was never sent
   */
  acknowledge(ack: AckState, onAcked: (packet: KeptPacket) => void): void {
    const last = ack.ranges.at(-1)?.[1] ?? ack.cumulative
    if (ack.cumulative > this.next || last > this.next) {
      throw new ProtocolError('malformed', `expected acks of numbers below ${this.next}, found ${Math.max(last, ack.cumulative)}`, {})
    }
    for (; this.base < ack.cumulative; this.base += 1) {
      const slot = this.base % this.#ring.length
      const packet = this.#ring[slot]!
      this.#ring[slot] = undefined
      if (!packet.acked) this.#mark(packet, onAcked)
    }
    for (const [from, to] of ack.ranges) {
      let number = this.#unackedFrom(Math.max(from, this.base))
      while (number < to) {
        this.#mark(this.#ring[number % this.#ring.length]!, onAcked)
        number = this.#unackedFrom(number + 1)
      }
    }
  }

  #mark(packet: KeptPacket, onAcked: (packet: KeptPacket) => void): void {
    packet.acked = true
    packet.skip = packet.number + 1
    this.unackedBytes -= packet.bytes + packetOverheadBytes
    this.unackedPackets -= 1
    onAcked(packet)
    packet.pieces = []
    packet.frames = []
    packet.flight = undefined
    packet.more = undefined
    packet.shares = undefined
  }

  /** The first number from `number` on that is not acked, or `next`. Shortens the way for those who ask again. */
  #unackedFrom(number: number): number {
    let end = number
    while (end < this.next) {
      const packet = this.#ring[end % this.#ring.length]!
      if (!packet.acked) break
      end = packet.skip
    }
    let at = number
    while (at < end) {
      const packet = this.#ring[at % this.#ring.length]!
      at = packet.skip
      packet.skip = end
    }
    return end
  }

  #grow(): void {
    const larger: (KeptPacket | undefined)[] = new Array(this.#ring.length * 2)
    for (let number = this.base; number < this.next; number += 1) larger[number % larger.length] = this.#ring[number % this.#ring.length]
    this.#ring = larger
  }
}
