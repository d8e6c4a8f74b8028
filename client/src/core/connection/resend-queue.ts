/** Packets that wait to be sent again, the lowest number first, because the lowest gap holds up the most. */
import { Deque } from '../streams/deque.ts'
import type { KeptPacket } from './send-buffer.ts'

export class ResendQueue {
  readonly #packets: Deque<KeptPacket> = new Deque()
  /** Number of the last packet put here. */
  #last = 0

  /** The next one that is not acked by now. */
  first(): KeptPacket | undefined {
    let packet = this.#packets.first()
    while (packet?.acked) {
      this.#packets.shift()
      packet = this.#packets.first()
    }
    return packet
  }

  /** Takes {@link first} away: it is being sent. */
  shift(): void {
    const packet = this.#packets.shift()
    if (packet !== undefined) packet.waitsToBeResent = false
  }

  clear(): void {
    this.#packets.clear()
  }

  add(lost: readonly KeptPacket[]): void {
    if (lost.length === 0) return
    for (const packet of lost) packet.waitsToBeResent = true
    if (this.#packets.length === 0 || this.#last < lost[0]!.number) {
      for (const packet of lost) this.#packets.push(packet)
      this.#last = lost.at(-1)!.number
      return
    }
    // Two losses at once.
    const all = [...lost]
    for (let packet = this.#packets.shift(); packet !== undefined; packet = this.#packets.shift()) all.push(packet)
    all.sort((left, right) => left.number - right.number)
    for (const packet of all) this.#packets.push(packet)
    this.#last = all.at(-1)!.number
  }
}
