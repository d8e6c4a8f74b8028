/** Packets that wait to be sent again, the lowest number first, because the lowest gap holds up the most. */
import { Deque } from '@sennit/protocol'
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

  /** Takes out the next one that holds only words of the connection itself: data before it may have to wait where it need not. */
  takeOwn(): KeptPacket | undefined {
    let found: KeptPacket | undefined
    for (let place = 0; place < this.#packets.length && found === undefined; place += 1) {
      const packet = this.#packets.at(place)!
      if (packet.own && !packet.acked) found = packet
    }
    if (found === undefined) return undefined
    for (let left = this.#packets.length; left > 0; left -= 1) {
      const packet = this.#packets.shift()!
      if (packet !== found) this.#packets.push(packet)
    }
    found.waitsToBeResent = false
    return found
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
