/** The caller's third handshake message: first on every circuit, and again at growing distances, until the verdict comes (connection.md 13). */
import { PACKET_KIND, type PacketHeader } from '@sennit/protocol'
import type { Circuit } from './circuits.ts'

const handshakeHeader: PacketHeader = { form: 0, kind: PACKET_KIND.handshake, epoch: 0, counter: 0 }

export class ThirdMessage {
  readonly #message: Uint8Array
  #againAtMs: number
  #againAfterMs: number

  constructor(nowMs: number, message: Uint8Array, againAfterMs: number) {
    this.#message = message
    this.#againAfterMs = againAfterMs
    this.#againAtMs = nowMs + againAfterMs
  }

  /** @returns its bytes, which count against the circuit's credit */
  send({ attachment, number }: Circuit): number {
    attachment.sendPacket(number, handshakeHeader, [this.#message])
    return this.#message.length
  }

  /** The verdict came. */
  done(): void {
    this.#againAtMs = Number.POSITIVE_INFINITY
  }

  wake(nowMs: number, circuits: Iterable<Circuit>): void {
    if (nowMs < this.#againAtMs) return
    this.#againAfterMs *= 2
    this.#againAtMs = nowMs + this.#againAfterMs
    for (const circuit of circuits) this.send(circuit)
  }

  wakeAtMs(): number {
    return this.#againAtMs
  }
}
