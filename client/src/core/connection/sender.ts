/**
 * The sending half: new packets, copies, resends, and what acks do to them. A packet is sent again only on evidence: its path closed or was
 * judged bad, a later packet of the same path arrived (a path is first-in-first-out), or a probe asked for it.
 */
import { type AckState, ackRangesMax } from '@sennit/protocol'
import { Deque } from '../streams/deque.ts'
import type { StreamSet } from '../streams/index.ts'
import type { Epochs } from './epochs.ts'
import type { Outbox } from './outbox.ts'
import type { PacketBuilder } from './packet-builder.ts'
import type { Path } from './path.ts'
import { type Flight, type KeptPacket, SendBuffer } from './send-buffer.ts'
import type { ConnectionTuning } from './tuning.ts'
import type { WaitReason } from './types.ts'

/** Room kept for control frames beyond every limit on data. */
const controlReserveBytes = 65_536
/** Seal and frame overhead, when a packet is cut to the credit that is left. */
const packetMarginBytes = 64
/** Credit smaller than this is not worth a packet of data. */
const creditWorthBytes = 1_200

export interface SenderNeeds {
  readonly tuning: ConnectionTuning
  readonly outbox: Outbox
  readonly builder: PacketBuilder
  readonly epochs: Epochs
  readonly streams: StreamSet
}

/** What an ack told about one path. */
export interface AckNews {
  /** Some packet was newly acked. */
  progress: boolean
  /** The newest packet, sent once and on the path the ack came by, with its round trip. */
  proof: { readonly path: Path; readonly rttMs: number } | undefined
}

/** Gathered while one ack is taken in. */
interface AckRound {
  /** The newest flight that was the only one of its packet. */
  newest: Flight | undefined
  /** Paths on which something arrived. */
  readonly touched: Path[]
}

export class Sender {
  readonly buffer: SendBuffer = new SendBuffer()
  /** Why data waits, or undefined. */
  blockedBy: WaitReason | undefined
  resentPackets = 0
  /** Numbers acked by the peer, counted. */
  ackedPackets = 0
  /** The packet sent last, first time or again. */
  lastSent: KeptPacket | undefined
  readonly #needs: SenderNeeds
  readonly #resends: Deque<KeptPacket> = new Deque()
  /** Number of the last packet put there. */
  #lastResend = 0

  constructor(needs: SenderNeeds) {
    this.#needs = needs
  }

  /** Whether something waits to be sent or acked. */
  get idle(): boolean {
    const { builder } = this.#needs
    return this.buffer.unackedPackets === 0 && !builder.hasControl() && !builder.hasData()
  }

  /** Sends one more packet on `path` if there is one and it may. @returns whether to call again */
  step(nowMs: number, path: Path): boolean {
    const { builder } = this.#needs
    this.blockedBy = undefined
    if (builder.hasControl() && this.#controlMayGo(nowMs, path)) {
      this.rekey(nowMs)
      const packet = builder.control(this.buffer.next)
      if (packet !== undefined) return this.#sendNew(nowMs, packet, path)
    }
    const resend = this.#nextResend()
    if (resend !== undefined) {
      if (!this.#mayGo(nowMs, path, resend.bytes)) return false
      this.#resends.shift()
      resend.waitsToBeResent = false
      this.resentPackets += 1
      this.transmit(nowMs, resend, path)
      return true
    }
    if (!builder.hasData()) {
      path.applicationLimitedUntil = path.deliveredBytes + path.inFlightBytes
      return false
    }
    return this.sendData(nowMs, path)
  }

  /** Sends one new packet of data on `path` if it may. */
  sendData(nowMs: number, path: Path): boolean {
    const { builder, tuning } = this.#needs
    if (this.buffer.unackedBytes >= tuning.unackedBytesMax || this.buffer.span >= tuning.unackedPacketsMax) {
      this.blockedBy = 'memory'
      return false
    }
    if (path.creditLeft() < creditWorthBytes) return this.#starves(nowMs, path)
    if (path.inFlightBytes >= path.capBytes()) return false
    this.rekey(nowMs)
    const packet = builder.data(this.buffer.next, Math.min(path.rate.packetBytes(), path.creditLeft() - packetMarginBytes))
    return packet === undefined ? false : this.#sendNew(nowMs, packet, path)
  }

  /** Sends a packet that is in the buffer on `path`, first time or again, whatever the limits say. */
  transmit(nowMs: number, packet: KeptPacket, path: Path): void {
    const flight: Flight = {
      packet,
      path,
      order: path.nextOrder,
      sentAtMs: nowMs,
      deliveredBytes: path.deliveredBytes,
      deliveredAtMs: path.inFlightBytes === 0 ? nowMs : path.deliveredAtMs,
      applicationLimited: path.applicationLimitedUntil > path.deliveredBytes,
      live: true,
    }
    path.nextOrder += 1
    path.inFlightBytes += packet.bytes
    path.packetsSent += 1
    path.flights.push(flight)
    packet.timesSent += 1
    this.lastSent = packet
    if (packet.flight === undefined || !isFlying(packet)) {
      packet.flight = flight
      packet.more = undefined
    } else if (packet.more === undefined) packet.more = [flight]
    else packet.more.push(flight)
    this.#needs.outbox.send(path, packet.header, packet.pieces, packet.bytes)
  }

  /** A copy of `packet` on another path, if its credit allows. */
  copy(nowMs: number, packet: KeptPacket, path: Path): boolean {
    if (!creditCovers(path, packet.bytes)) return false
    this.transmit(nowMs, packet, path)
    return true
  }

  /** Takes an ack state in. @throws ProtocolError when it names what was never sent */
  onAck(nowMs: number, ack: AckState, via: Path, delayMs: number | undefined): AckNews {
    const round: AckRound = { newest: undefined, touched: [] }
    const before = this.buffer.unackedPackets
    this.buffer.acknowledge(this.#planted(ack), (packet) => this.#onPacketAcked(nowMs, packet, round))
    // Beyond the last range of a full list the ack says nothing.
    const silentFrom = ack.ranges.length < ackRangesMax ? Number.POSITIVE_INFINITY : ack.ranges.at(-1)![1]
    for (const path of round.touched) this.#dropLost(path, silentFrom)
    this.ackedPackets += before - this.buffer.unackedPackets

    const { newest } = round
    if (newest === undefined) return { progress: before !== this.buffer.unackedPackets, proof: undefined }
    const { path } = newest
    const rttMs = Math.max(0, nowMs - newest.sentAtMs - (delayMs ?? 0))
    path.rate.sample(path.deliveredBytes - newest.deliveredBytes, nowMs - newest.deliveredAtMs, newest.applicationLimited)
    return { progress: true, proof: path === via && delayMs !== undefined ? { path, rttMs } : undefined }
  }

  /** The path is gone or not to be trusted: all that was only on it waits to be sent again. @returns how many packets */
  losePath(path: Path): number {
    const lost: KeptPacket[] = []
    for (let flight = path.flights.shift(); flight !== undefined; flight = path.flights.shift()) {
      if (this.#ground(flight)) lost.push(flight.packet)
    }
    path.inFlightBytes = 0
    this.#queueResends(lost)
    return lost.length
  }

  /** Sends the oldest packet of a path again on the same path: a probe was answered and this was not. */
  resendOldest(nowMs: number, path: Path): void {
    const flight = path.oldestFlight()
    if (flight === undefined || path.creditLeft() < flight.packet.bytes) return
    path.flights.shift()
    flight.live = false
    path.inFlightBytes -= flight.packet.bytes
    this.resentPackets += 1
    this.transmit(nowMs, flight.packet, path)
  }

  /** Makes a packet of the control frames that wait, whatever the limits say, and sends it on `path` or, without one, as soon as there is one. */
  sendControlNow(nowMs: number, path: Path | undefined): KeptPacket | undefined {
    const packet = this.#needs.builder.control(this.buffer.next)
    if (packet === undefined) return undefined
    if (path !== undefined) this.#sendNew(nowMs, packet, path)
    else {
      this.buffer.add(packet)
      this.#queueResends([packet])
    }
    return packet
  }

  /** The connection is over: nothing but `kept` is ever sent again. */
  abandon(kept: KeptPacket | undefined): void {
    this.#resends.clear()
    for (let number = this.buffer.base; number < this.buffer.next; number += 1) {
      const packet = this.buffer.get(number)
      if (packet === undefined || packet === kept) continue
      packet.flight?.path.flights.clear()
      packet.pieces = []
      packet.frames = []
    }
  }

  #sendNew(nowMs: number, packet: KeptPacket, path: Path): boolean {
    this.buffer.add(packet)
    this.transmit(nowMs, packet, path)
    return true
  }

  /** Starts the next key epoch if it is time and allowed. Before every packet that is sealed under the keys of an epoch. */
  rekey(nowMs: number): void {
    const { epochs, outbox } = this.#needs
    if (epochs.advance(nowMs, this.buffer)) outbox.event({ type: 'rekeyed', epoch: epochs.sendEpoch })
  }

  #controlMayGo(nowMs: number, path: Path): boolean {
    const { tuning } = this.#needs
    if (this.buffer.unackedBytes >= tuning.unackedBytesMax + controlReserveBytes) return false
    if (this.buffer.span >= 2 * tuning.unackedPacketsMax) return false
    if (path.creditLeft() <= 0) return this.#starves(nowMs, path)
    return path.inFlightBytes < path.capBytes() + controlReserveBytes
  }

  #mayGo(nowMs: number, path: Path, bytes: number): boolean {
    if (!creditCovers(path, bytes)) return this.#starves(nowMs, path)
    return path.inFlightBytes < path.capBytes()
  }

  /** Something waits for the relay's credit. */
  #starves(nowMs: number, path: Path): false {
    this.blockedBy = 'relay_wait'
    path.starvedSinceMs ??= nowMs
    return false
  }

  #nextResend(): KeptPacket | undefined {
    let packet = this.#resends.first()
    while (packet?.acked) {
      this.#resends.shift()
      packet = this.#resends.first()
    }
    return packet
  }

  #onPacketAcked(nowMs: number, packet: KeptPacket, round: AckRound): void {
    const { epochs, streams, builder } = this.#needs
    epochs.onAcked(packet)
    const { flight } = packet
    if (flight !== undefined) {
      if (packet.timesSent === 1) this.#onSentOnceAcked(nowMs, flight, round)
      this.#land(flight)
      if (packet.more !== undefined) for (const other of packet.more) this.#land(other)
    }
    if (!builder.sealed) streams.onAcked(packet.frames)
  }

  #onSentOnceAcked(nowMs: number, flight: Flight, round: AckRound): void {
    const { path } = flight
    path.deliveredBytes += flight.packet.bytes
    path.deliveredAtMs = nowMs
    path.progressAtMs = nowMs
    path.swallowed = 0
    if (flight.order > path.ackedOrder) path.ackedOrder = flight.order
    if (!round.touched.includes(path)) round.touched.push(path)
    round.newest = flight
  }

  #land(flight: Flight): void {
    if (!flight.live) return
    flight.live = false
    flight.path.inFlightBytes -= flight.packet.bytes
  }

  /** Flights overtaken by an arrived one of the same path are lost there; they are at the front of the queue. */
  #dropLost(path: Path, silentFrom: number): void {
    const lost: KeptPacket[] = []
    for (let flight = path.oldestFlight(); flight !== undefined; flight = path.oldestFlight()) {
      if (flight.order >= path.ackedOrder || flight.packet.number >= silentFrom) break
      path.flights.shift()
      path.packetsLost += 1
      if (this.#ground(flight)) lost.push(flight.packet)
    }
    this.#queueResends(lost)
  }

  /** @returns whether the packet has no flight left and must be sent again */
  #ground(flight: Flight): boolean {
    const { packet } = flight
    if (!flight.live) return false
    this.#land(flight)
    if (packet.acked || packet.waitsToBeResent) return false
    return !isFlying(packet)
  }

  #queueResends(lost: KeptPacket[]): void {
    if (lost.length === 0) return
    for (const packet of lost) packet.waitsToBeResent = true
    if (this.#resends.length === 0 || this.#lastResend < lost[0]!.number) {
      for (const packet of lost) this.#resends.push(packet)
      this.#lastResend = lost.at(-1)!.number
      return
    }
    // Two losses at once: lowest first again, because the lowest gap holds up the most.
    const all = [...lost]
    for (let packet = this.#resends.shift(); packet !== undefined; packet = this.#resends.shift()) all.push(packet)
    all.sort((left, right) => left.number - right.number)
    for (const packet of all) this.#resends.push(packet)
    this.#lastResend = all.at(-1)!.number
  }

  #planted(ack: AckState): AckState {
    if (!this.#needs.tuning.plantEarlyFree) return ack
    return { cumulative: Math.min(ack.cumulative + 1, this.buffer.next), ranges: [] }
  }
}

/**
 * Whether a packet of its given size may go. On a path with nothing in flight it also goes when only some credit is left, since a relay that
 * has shrunk its window to one packet grants no more before it got something; the excess is less than the one packet relays allow for.
 */
function creditCovers(path: Path, bytes: number): boolean {
  const left = path.creditLeft()
  return left >= bytes || (left > 0 && path.oldestFlight() === undefined)
}

function isFlying(packet: KeptPacket): boolean {
  return packet.flight?.live === true || packet.more?.some((other) => other.live) === true
}
