/**
 * What `split` and `disperse` have in common: a packet goes out as n shares, each on a path at a relay and in a failure domain of its own, and
 * never whole. Acks name packets, so a packet whose shares cannot make it any more is cut anew, with fresh randomness: shares of two cuts tell
 * nothing together.
 */
import {
  Deque,
  type PacketHeader,
  packetBytesMax,
  type Share,
  type ShareEncoder,
  type ShareScheme,
  shareBytes,
  shareThreshold,
} from '@sennit/protocol'
import type { Path } from '../connection/path.ts'
import type { KeptPacket, ShareSet } from '../connection/send-buffer.ts'
import { firstPaths, type Scheduler, type SchedulerNeeds, takes } from './scheduler.ts'

export interface SharesNeeds extends SchedulerNeeds {
  readonly encoder: ShareEncoder
}

/** A share that waits for room on its path. */
interface LateShare {
  readonly packet: KeptPacket
  readonly shares: ShareSet
  readonly share: Share
}

/** Plaintext of a packet that still fits a payload as one share of `split`. */
const packetBytesMost = 65_280
/** Shares that may wait for one path: it is too slow to matter then, and the oldest are given up. */
const lateMax = 1_024

export class Shares implements Scheduler {
  readonly echoed = true
  /** So many shares must arrive, so fewer paths are none. */
  readonly pathsMin: number
  readonly #needs: SharesNeeds
  readonly #scheme: ShareScheme
  /** Where the shares of the packet in hand go. */
  #ways: readonly Path[] = []
  /** A path that has no room holds up nobody as long as enough others have: its shares wait, unless the packet arrives without them. */
  readonly #late = new Map<Path, Deque<LateShare>>()

  constructor(needs: SharesNeeds, scheme: ShareScheme) {
    this.#needs = needs
    this.#scheme = scheme
    this.pathsMin = shareThreshold(scheme)
    needs.sender.wrapped = (nowMs, packet) => this.#sendShares(nowMs, packet)
  }

  end(): void {
    this.#needs.sender.wrapped = undefined
    for (const path of [...this.#late.keys()]) this.#dropLate(path)
  }

  paths(): readonly Path[] {
    return firstPaths(this.#needs.table, this.#scheme.n, 'domains')
  }

  /** Fewer than all when a path has no room, as long as enough are left. */
  ways(bytes: number): readonly Path[] {
    const least = shareBytes(this.#scheme, bytes)
    const ways = this.paths().filter((path) => takes(path, least))
    return ways.length >= this.pathsMin ? ways : []
  }

  cut(header: PacketHeader, pieces: readonly Uint8Array[]): readonly Share[] {
    return this.#needs.encoder.encode(header, pieces, this.#scheme)
  }

  send(nowMs: number, burst: number): number {
    const { sender } = this.#needs
    if (this.#late.size === 0 && !sender.hasWork) return 0
    const paths = this.paths()
    for (const path of [...this.#late.keys()]) if (!paths.includes(path)) this.#dropLate(path)
    for (const path of paths) this.#sendLate(nowMs, path)
    this.#ways = paths
    let sent = 0
    while (sent < burst && sender.hasWork) {
      const ready = paths.filter((path) => this.#isReady(path))
      // With too few of them only what is allowed beyond all limits goes, and the one that has no room is asked why.
      const tightest = narrowest(ready.length < this.pathsMin ? paths : ready)
      if (tightest === undefined || !sender.step(nowMs, tightest, this.#bytesMax(paths))) break
      sent += 1
    }
    return sent
  }

  /** Room for what goes next: a path that a little credit is left of would stop the others, which have enough. */
  #isReady(path: Path): boolean {
    return !this.#late.has(path) && this.#needs.sender.hasRoomForNext(path)
  }

  /** What fits every path at its own pace: each carries only one share of a packet. */
  #bytesMax(paths: readonly Path[]): number {
    const least = Math.min(...paths.map((path) => path.rate.packetBytes()))
    const scale = this.#scheme.kind === 'disperse' ? this.#scheme.k : 1
    return Math.min(least * scale, packetBytesMost)
  }

  #sendShares(nowMs: number, packet: KeptPacket): void {
    const { sender, encoder } = this.#needs
    // Only the last word of a connection with thousands of streams is so long, and it may go whole.
    if (shareBytes(this.#scheme, packet.bytes) > packetBytesMax) {
      sender.transmit(nowMs, packet, this.#ways[0]!)
      return
    }
    const cut = encoder.encode(packet.header, packet.pieces, this.#scheme)
    const ways = this.#ways
    const ready = ways.filter((path) => this.#isReady(path))
    const enough = ready.length >= this.pathsMin
    const shares: ShareSet = { threshold: this.pathsMin, left: ways.length, flying: enough ? ready.length : ways.length }
    sender.beginShares(packet, shares)
    ways.forEach((path, place) => {
      const share = cut[place]!
      if (!enough || ready.includes(path)) sender.transmitShare(nowMs, packet, shares, share, path)
      else this.#wait(path, { packet, shares, share })
    })
  }

  #wait(path: Path, late: LateShare): void {
    const waiting = this.#late.get(path) ?? new Deque<LateShare>()
    this.#late.set(path, waiting)
    waiting.push(late)
    if (waiting.length <= lateMax) return
    const { packet, shares } = waiting.shift()!
    this.#needs.sender.dropShare(packet, shares)
  }

  #sendLate(nowMs: number, path: Path): void {
    const { sender } = this.#needs
    const waiting = this.#late.get(path)
    if (waiting === undefined) return
    for (let late = waiting.first(); late !== undefined; late = waiting.first()) {
      const { packet, shares, share } = late
      // What has arrived without it, or was cut anew, needs it no more.
      if (!packet.acked && packet.shares === shares) {
        if (!sender.hasRoom(path, share.bytes)) return
        shares.flying += 1
        sender.transmitShare(nowMs, packet, shares, share, path)
      }
      waiting.shift()
    }
    this.#late.delete(path)
  }

  #dropLate(path: Path): void {
    const waiting = this.#late.get(path)
    this.#late.delete(path)
    for (let late = waiting?.shift(); late !== undefined; late = waiting?.shift()) this.#needs.sender.dropShare(late.packet, late.shares)
  }
}

/** The path with the least room. */
function narrowest(paths: readonly Path[]): Path | undefined {
  let found: Path | undefined
  for (const path of paths) if (found === undefined || room(path) < room(found)) found = path
  return found
}

function room(path: Path): number {
  return Math.min(path.creditLeft(), path.capBytes() - path.inFlightBytes)
}
