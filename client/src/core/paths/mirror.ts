/**
 * `mirror(n)`: every packet on n paths, and the first to arrive counts, so that the death or freeze of n − 1 relays is not felt. A path that
 * is slower than the others never holds them up: it takes its copies as fast as it can, and leaves out what the peer has acknowledged by then.
 */
import type { Path } from '../connection/path.ts'
import type { KeptPacket } from '../connection/send-buffer.ts'
import { firstPaths, type Scheduler, type SchedulerNeeds, takes } from './scheduler.ts'

/** Copies that one path catches up with at one go, as a share of new packets: it may have all that is unacked before it. */
const copiesPerPacket = 4

export class Mirror implements Scheduler {
  readonly echoed = true
  readonly pathsMin = 1
  readonly #needs: SchedulerNeeds
  readonly #n: number
  /** The next number each path has to look at. */
  readonly #copiedTo = new Map<Path, number>()

  constructor(needs: SchedulerNeeds, n: number) {
    this.#needs = needs
    this.#n = n
  }

  paths(): readonly Path[] {
    return firstPaths(this.#needs.table, this.#n, 'links')
  }

  ways(bytes: number): readonly Path[] {
    return this.paths().filter((path) => takes(path, bytes))
  }

  send(nowMs: number, burst: number): number {
    const { sender } = this.#needs
    const paths = this.paths()
    for (const path of this.#copiedTo.keys()) if (!paths.includes(path)) this.#copiedTo.delete(path)
    const copiesMax = copiesPerPacket * burst
    let sent = 0
    let more = false
    for (;;) {
      for (const path of paths) if (this.#catchUp(nowMs, path, copiesMax)) more = true
      if (sent === burst || more) return burst
      // A path that has not taken all there is takes nothing new, or two full paths would share the packets instead of repeating them.
      const bytes = sender.resendBytes
      const first = paths.find((path) => sender.hasRoomForNext(path) && (bytes > 0 || this.#copiedTo.get(path) === sender.buffer.next))
      const asked = first ?? paths[0]
      if (asked === undefined || !sender.step(nowMs, asked)) return sent
      sent += 1
      const packet = sender.lastSent!
      // What is sent again lies behind the places where the others are.
      for (const path of paths) {
        if (packet.number < (this.#copiedTo.get(path) ?? 0) && !fliesOn(packet, path) && sender.hasRoom(path, packet.bytes))
          sender.transmit(nowMs, packet, path)
      }
    }
  }

  /** @returns whether there is more that may go at once */
  #catchUp(nowMs: number, path: Path, copiesMax: number): boolean {
    const { sender } = this.#needs
    const { buffer } = sender
    let number = Math.max(this.#copiedTo.get(path) ?? 0, buffer.base)
    let copies = 0
    for (; number < buffer.next && copies < copiesMax; number += 1) {
      const packet = buffer.get(number)
      if (packet === undefined || packet.acked || packet.waitsToBeResent || fliesOn(packet, path)) continue
      if (!sender.hasRoom(path, packet.bytes)) break
      sender.transmit(nowMs, packet, path)
      copies += 1
    }
    this.#copiedTo.set(path, number)
    return copies === copiesMax
  }
}

function fliesOn(packet: KeptPacket, path: Path): boolean {
  const { flight, more } = packet
  return (flight?.path === path && flight.live) || (more?.some((other) => other.path === path && other.live) ?? false)
}
