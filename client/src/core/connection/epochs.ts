/**
 * Key epochs. The sender starts e + 1 only when nothing of e − 1 is unacked (so the receiver never needs three keys) and something of e is
 * acked (so the receiver has derived e, and e + 1 is one ahead). The receiver drops a key when every kept packet of its epoch has arrived.
 */
import type { PacketSealer } from '@sennit/protocol'
import type { KeptPacket, SendBuffer } from './send-buffer.ts'
import type { ConnectionTuning } from './tuning.ts'

export class Epochs {
  /** Counted from 0; the wire carries its low 16 bits. */
  sendEpoch = 0
  readonly #sealer: PacketSealer
  readonly #tuning: ConnectionTuning
  #startedAtMs: number
  #packets = 0
  #bytes = 0
  #ackedOne = false
  /** Low 16 bits of the epoch of the newest packet taken in order. */
  #orderedEpoch = 0

  constructor(nowMs: number, sealer: PacketSealer, tuning: ConnectionTuning) {
    this.#sealer = sealer
    this.#tuning = tuning
    this.#startedAtMs = nowMs
  }

  get receiveEpoch(): number {
    return this.#orderedEpoch
  }

  onSealed(bytes: number): void {
    this.#packets += 1
    this.#bytes += bytes
  }

  onAcked(packet: KeptPacket): void {
    if (packet.epoch === this.sendEpoch) this.#ackedOne = true
  }

  /** The epoch is as old or as full as it should get. */
  due(nowMs: number): boolean {
    const { epochMs, epochPackets, epochBytes } = this.#tuning
    return nowMs - this.#startedAtMs >= epochMs || this.#packets >= epochPackets || this.#bytes >= epochBytes
  }

  /** Starts the next epoch if it is time and allowed. Call before sealing a new packet. @returns whether it did */
  advance(nowMs: number, buffer: SendBuffer): boolean {
    if (!this.due(nowMs)) return false
    if (!this.#ackedOne) return false
    const oldest = buffer.oldest()
    if (oldest !== undefined && oldest.epoch < this.sendEpoch) return false
    this.#sealer.advanceSend()
    this.sendEpoch += 1
    this.#startedAtMs = nowMs
    this.#packets = 0
    this.#bytes = 0
    this.#ackedOne = false
    return true
  }

  /** A kept packet of this epoch was taken, and every one before it. */
  onOrdered(epoch: number): void {
    if (epoch === this.#orderedEpoch) return
    this.#sealer.dropReceive(this.#orderedEpoch)
    this.#orderedEpoch = epoch
  }
}
