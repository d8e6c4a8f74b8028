/** Where effects wait to be polled, and where loose packets are sealed. */
import { Deque, encodeFrames, type Frame, PACKET_KIND, type PacketHeader, type PacketSealer, totalBytes } from '@sennit/protocol'
import type { Path } from './path.ts'
import type { ConnectionEffect, ConnectionEvent } from './types.ts'

export class Outbox {
  readonly effects: Deque<ConnectionEffect> = new Deque()
  readonly #sealer: PacketSealer
  #looseCounter = 0

  constructor(sealer: PacketSealer) {
    this.#sealer = sealer
  }

  effect(effect: ConnectionEffect): void {
    this.effects.push(effect)
  }

  event(event: ConnectionEvent): void {
    this.effects.push({ type: 'event', event })
  }

  /** Sends a packet as it is sealed. Every byte counts against the relay's credit, whatever its kind. */
  send(path: Path, header: PacketHeader, pieces: Uint8Array[], bytes: number): void {
    path.sentBytes += bytes
    this.effects.push({ type: 'send', pathId: path.pathId, header, pieces })
  }

  /** A loose packet: never acked, never resent, not held up by credit (relays allow it, so that an ack is never held up). */
  loose(path: Path, frames: readonly Frame[]): void {
    const header = { form: 0, kind: PACKET_KIND.loose, epoch: this.#sealer.sendEpoch, counter: this.#looseCounter }
    this.#looseCounter += 1
    const pieces = this.#sealer.seal(header, encodeFrames(frames))
    this.send(path, header, pieces, totalBytes(pieces))
  }
}
