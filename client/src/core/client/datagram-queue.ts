/** Datagrams of one connection that wait for a carrier: as many as are still worth sending, for they are sent once and never again. */
import type { ConnectionMachine } from '../connection/index.ts'
import type { PathCircuits } from './path-circuits.ts'

/** A burst of a video's key frame. What waits behind more would be old when it comes. */
const queueBytesMax = 262_144

export class DatagramQueue {
  readonly #machine: ConnectionMachine
  readonly #circuits: PathCircuits
  readonly #sent: () => void
  /** Not yet given to a link. */
  #bytes = 0

  /** @param sent tells that the machine has something to pump */
  constructor(machine: ConnectionMachine, circuits: PathCircuits, sent: () => void) {
    this.#machine = machine
    this.#circuits = circuits
    this.#sent = sent
  }

  /** @returns false when it was dropped: no path, no credit, or too much before it. @throws SennitError `too_large` */
  send(nowMs: number, data: Uint8Array): boolean {
    const queuedBytes = this.#circuits.queuedDatagramBytes(this.#machine.datagramPathIds(data.length))
    if (Number.isFinite(queuedBytes) && this.#bytes + queuedBytes > queueBytesMax) {
      this.#machine.datagramDropped()
      return false
    }
    const sent = this.#machine.sendDatagram(nowMs, data)
    if (sent) this.#bytes += data.length
    this.#sent()
    return sent
  }

  /** The links have all that was sent. */
  pumped(): void {
    this.#bytes = 0
  }
}
