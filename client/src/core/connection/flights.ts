/**
 * What is on the way: where each sent packet, copy or share stands, and when nothing of it can arrive any more. A path is first-in-first-out, so
 * what overtakes tells of what was overtaken.
 */
import type { Path } from './path.ts'
import type { ResendQueue } from './resend-queue.ts'
import type { Flight, KeptPacket } from './send-buffer.ts'

/** Flights looked through for the one that arrived: more than a path's packets between two acks. */
const seenScanMax = 2_048

export class Flights {
  /** The newest ack says nothing of numbers from here on. */
  #silentFrom = Number.POSITIVE_INFINITY
  /** On no path any more, and no ack has said yet whether they arrived: not more than there are unacked packets. */
  readonly #untold = new Set<KeptPacket>()
  readonly #resends: ResendQueue

  constructor(resends: ResendQueue) {
    this.#resends = resends
  }

  /** An ack says nothing of numbers from `silentFrom` on; of those before it that are on no path, it says what arrived. */
  told(silentFrom: number): void {
    this.#silentFrom = silentFrom
    if (this.#untold.size === 0) return
    const lost: KeptPacket[] = []
    for (const packet of this.#untold) {
      if (!packet.acked && packet.number >= silentFrom) continue
      this.#untold.delete(packet)
      if (this.mustBeResent(packet)) lost.push(packet)
    }
    this.#resends.add(lost.sort((left, right) => left.number - right.number))
  }

  /**
   * What arrived last on a path, as the peer says beside an ack: all that was sent there before has arrived or is lost. What the ack did not
   * name is lost on this path, unless it was a share. @returns the round trip, when the peer speaks of something new
   */
  onSeen(nowMs: number, path: Path, number: number, delayMs: number): number | undefined {
    const { flights } = path
    let place = 0
    const end = Math.min(flights.length, seenScanMax)
    while (place < end && (flights.at(place)!.packet.number !== number || !flights.at(place)!.live)) place += 1
    if (place === end) return undefined
    const newest = flights.at(place)!
    const lost: KeptPacket[] = []
    for (; place >= 0; place -= 1) {
      const flight = flights.shift()!
      if (!flight.live) continue
      const { packet } = flight
      path.deliveredBytes += flight.bytes
      if (packet.acked) this.land(flight)
      else if (packet.number >= this.#silentFrom) {
        this.land(flight)
        this.#untold.add(packet)
      } else if (flight.shares !== undefined) {
        this.land(flight)
        if (this.mustBeResent(packet)) lost.push(packet)
      } else if (flight === newest) this.land(flight)
      else if (this.#ground(flight)) {
        path.packetsLost += 1
        lost.push(packet)
      }
    }
    this.#resends.add(lost)
    path.deliveredAtMs = nowMs
    path.progressAtMs = nowMs
    path.swallowed = 0
    path.rate.sample(path.deliveredBytes - newest.deliveredBytes, nowMs - newest.deliveredAtMs, newest.applicationLimited)
    return Math.max(0, nowMs - newest.sentAtMs - delayMs)
  }

  /** Acks say what arrived on which path again: what is acked is on no path any more. */
  settle(paths: Iterable<Path>): void {
    for (const { flights } of paths) {
      for (let place = 0; place < flights.length; place += 1) {
        const flight = flights.at(place)!
        if (flight.packet.acked) this.land(flight)
      }
    }
  }

  /** The path is gone or not to be trusted: all that was only on it waits to be sent again. @returns how many packets */
  losePath(path: Path): number {
    const lost: KeptPacket[] = []
    for (let flight = path.flights.shift(); flight !== undefined; flight = path.flights.shift()) {
      if (this.#ground(flight)) lost.push(flight.packet)
    }
    path.inFlightBytes = 0
    this.#resends.add(lost)
    return lost.length
  }

  /** A probe that was sent then was answered, and nothing before it: that counts as lost on this path. */
  loseBefore(path: Path, beforeMs: number): void {
    const lost: KeptPacket[] = []
    for (let flight = path.oldestFlight(); flight !== undefined; flight = path.oldestFlight()) {
      if (flight.sentAtMs >= beforeMs || flight.packet.number >= this.#silentFrom) break
      path.flights.shift()
      path.packetsLost += 1
      if (this.#ground(flight)) lost.push(flight.packet)
    }
    this.#resends.add(lost)
  }

  /** The path is silent: words of the connection itself, which may go whole anywhere, are sent again; all else may still arrive. @returns how many packets */
  loseOwn(path: Path): number {
    const lost: KeptPacket[] = []
    for (let place = 0; place < path.flights.length; place += 1) {
      const flight = path.flights.at(place)!
      if (flight.packet.own && this.#ground(flight)) lost.push(flight.packet)
    }
    this.#resends.add(lost)
    return lost.length
  }

  /** Flights overtaken by an arrived one of the same path are lost there; they are at the front of the queue. */
  dropLost(path: Path, silentFrom: number): void {
    const lost: KeptPacket[] = []
    for (let flight = path.oldestFlight(); flight !== undefined; flight = path.oldestFlight()) {
      if (flight.order >= path.ackedOrder || flight.packet.number >= silentFrom) break
      path.flights.shift()
      path.packetsLost += 1
      if (this.#ground(flight)) lost.push(flight.packet)
    }
    this.#resends.add(lost)
  }

  /** @returns whether the packet has no flight left and must be sent again */
  #ground(flight: Flight): boolean {
    const { packet } = flight
    if (!flight.live) return false
    this.land(flight)
    if (flight.shares !== undefined) flight.shares.left -= 1
    return this.mustBeResent(packet)
  }

  /** Nothing that is on the way can bring the packet any more. */
  mustBeResent(packet: KeptPacket): boolean {
    const { shares } = packet
    if (packet.acked || packet.waitsToBeResent) return false
    return shares === undefined ? !isFlying(packet) : shares.left < shares.threshold || shares.flying === 0
  }

  /** It arrived, or is not waited for any more. */
  land(flight: Flight): void {
    if (!flight.live) return
    flight.live = false
    flight.path.inFlightBytes -= flight.bytes
    if (flight.shares !== undefined) flight.shares.flying -= 1
  }
}

/** Some sending of the whole packet is still on the way. */
export function isFlying(packet: KeptPacket): boolean {
  return packet.flight?.live === true || packet.more?.some((other) => other.live) === true
}
