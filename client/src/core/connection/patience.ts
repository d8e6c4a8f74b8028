/**
 * How long the peer may wait with the ack of a lone small packet, as this end tells it (after draft-ietf-quic-ack-frequency). An ack within 25 ms is
 * how a sender of little tells a live relay from one that has fallen silent, so as to go to another one. Whose list has one relay only
 * has none to go to, and an ack that travels alone costs as much as the message: two ends that say something each second then need no other packet.
 */
import type { PacketBuilder } from './packet-builder.ts'
import type { PathTable } from './path-table.ts'
import type { ConnectionTuning } from './tuning.ts'

export interface PatienceNeeds {
  readonly tuning: ConnectionTuning
  readonly table: PathTable
  readonly builder: PacketBuilder
}

export class Patience {
  readonly #needs: PatienceNeeds
  /** What the peer was told. */
  #delayMs: number

  constructor(needs: PatienceNeeds) {
    this.#needs = needs
    this.#delayMs = needs.tuning.ackDelayMs
  }

  /** How much longer an ack may take than it does usually. */
  get extraMs(): number {
    return this.#delayMs - this.#needs.tuning.ackDelayMs
  }

  /** Relays or plans changed, or the connection is about to close, which waits for the last ack. */
  look(closes: boolean): void {
    const { tuning, table, builder } = this.#needs
    const patient = table.alone && table.plan !== undefined && table.plan.modes === undefined
    const delayMs = patient && !closes ? tuning.loneAckDelayMs : tuning.ackDelayMs
    if (delayMs === this.#delayMs) return
    this.#delayMs = delayMs
    // The word itself is acked as soon as ever, and all before it with it.
    builder.queue({ type: 'ackDelay', delayMs })
  }
}
