/**
 * The sending half: new packets, copies, resends, and what acks do to them. A packet is sent again only on evidence: its path closed or was
 * judged bad, a later packet of the same path arrived (a path is first-in-first-out), or a probe asked for it.
 */
import { type AckState, ackRangesMax, type Frame, type Share } from '@sennit/protocol'
import type { StreamSet } from '../streams/index.ts'
import type { Epochs } from './epochs.ts'
import { Flights, isFlying } from './flights.ts'
import type { Outbox } from './outbox.ts'
import type { PacketBuilder } from './packet-builder.ts'
import type { Path } from './path.ts'
import { ResendQueue } from './resend-queue.ts'
import { type Flight, type KeptPacket, SendBuffer, type ShareSet } from './send-buffer.ts'
import type { ConnectionTuning } from './tuning.ts'
import type { WaitReason } from './types.ts'

/** Room kept for control frames beyond every limit on data. */
const controlReserveBytes = 65_536
/** Seal and frame overhead, when a packet is cut to the credit that is left. */
const packetMarginBytes = 64
/** Credit smaller than this is not worth a packet of data: a path that has no more is no room for something new. */
const creditWorthBytes = 1_200

export interface SenderNeeds {
  readonly tuning: ConnectionTuning
  readonly outbox: Outbox
  readonly builder: PacketBuilder
  readonly epochs: Epochs
  readonly streams: StreamSet
  /** An ack that waits and may go inside of data on this path. */
  ackInside(nowMs: number, path: Path): Frame | undefined
  /** It went. */
  ackWent(): void
}

/** What an ack told about one path. */
export interface AckNews {
  /** Some packet was newly acked. */
  progress: boolean
  /** The newest packet, sent once and on the path the ack came by, with its round trip. */
  proof: { readonly path: Path; readonly rttMs: number; readonly sentAtMs: number } | undefined
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
  /**
   * Packets go out on several paths at once, and the peer says of each path what arrived there (`seen`): an ack says that a packet arrived
   * somewhere, which tells nothing of any one path.
   */
  echoed = false
  /** Sends a packet in another way than whole on one path; undefined does that. */
  wrapped: ((nowMs: number, packet: KeptPacket) => void) | undefined
  readonly #needs: SenderNeeds
  readonly #resends: ResendQueue = new ResendQueue()
  readonly flights: Flights = new Flights(this.#resends)

  constructor(needs: SenderNeeds) {
    this.#needs = needs
  }

  /** Whether something waits to be sent or acked. */
  get idle(): boolean {
    const { builder } = this.#needs
    return this.buffer.unackedPackets === 0 && !builder.hasControl() && !builder.hasData()
  }

  /** Bytes of the packet that waits to be sent again, 0 when none does. */
  get resendBytes(): number {
    return this.#resends.first()?.bytes ?? 0
  }

  /** Something of the machine itself, of the streams, or a resend waits to be sent. */
  get hasWork(): boolean {
    const { builder } = this.#needs
    return builder.hasControl() || builder.hasData() || this.#resends.first() !== undefined
  }

  /** Sends what the machine itself has to say (never what the application does) whole on `path`, what was lost of it first. */
  stepOwn(nowMs: number, path: Path): boolean {
    const { builder } = this.#needs
    if (!builder.hasOwn() && this.#resends.first() === undefined) return false
    if (!this.#controlMayGo(nowMs, path)) return false
    const lost = this.#resends.takeOwn()
    if (lost !== undefined) {
      this.resentPackets += 1
      this.transmit(nowMs, lost, path)
      return true
    }
    if (!builder.hasOwn()) return false
    this.rekey(nowMs)
    const packet = builder.control(this.buffer.next, false)
    if (packet === undefined) return false
    this.buffer.add(packet)
    this.transmit(nowMs, packet, path)
    return true
  }

  /** Whether a packet of so many bytes may go on `path` now. */
  hasRoom(path: Path, bytes: number): boolean {
    return path.waiting === undefined && creditCovers(path, bytes) && path.inFlightBytes < path.capBytes()
  }

  /** Whether what goes next may go on `path`, again or for the first time: a little credit left is no room for something new. */
  hasRoomForNext(path: Path): boolean {
    return this.hasRoom(path, Math.max(this.resendBytes, creditWorthBytes))
  }

  /** Sends one more packet on `path` if there is one and it may. @returns whether to call again */
  step(nowMs: number, path: Path, bytesMax: number = path.rate.packetBytes()): boolean {
    const { builder } = this.#needs
    this.blockedBy = undefined
    if (builder.hasControl() && this.#controlMayGo(nowMs, path)) {
      this.rekey(nowMs)
      const packet = builder.control(this.buffer.next)
      if (packet !== undefined) return this.#sendNew(nowMs, packet, path)
    }
    const resend = this.#resends.first()
    if (resend !== undefined) {
      if (!this.#mayGo(nowMs, path, resend.bytes)) return false
      this.#resends.shift()
      this.resentPackets += 1
      this.#send(nowMs, resend, path)
      return true
    }
    if (!builder.hasData()) {
      path.applicationLimitedUntil = path.deliveredBytes + path.inFlightBytes
      return false
    }
    return this.sendData(nowMs, path, bytesMax)
  }

  /** Sends one new packet of data on `path` if it may. */
  sendData(nowMs: number, path: Path, bytesMax: number): boolean {
    const { builder, tuning } = this.#needs
    if (this.buffer.unackedBytes >= tuning.unackedBytesMax || this.buffer.span >= tuning.unackedPacketsMax) {
      this.blockedBy = 'memory'
      return false
    }
    if (path.creditLeft() < creditWorthBytes) return this.#starves(nowMs, path)
    if (path.inFlightBytes >= path.capBytes()) return false
    this.rekey(nowMs)
    const ack = this.wrapped === undefined ? this.#needs.ackInside(nowMs, path) : undefined
    const packet = builder.data(this.buffer.next, Math.min(bytesMax, path.creditLeft() - packetMarginBytes), ack)
    if (packet === undefined) return false
    if (ack !== undefined) this.#needs.ackWent()
    return this.#sendNew(nowMs, packet, path)
  }

  /** Sends a packet that is in the buffer on `path`, first time or again, whatever the limits say. */
  transmit(nowMs: number, packet: KeptPacket, path: Path): void {
    const flight = this.#flight(nowMs, packet, path, packet.bytes, undefined)
    packet.shares = undefined
    packet.timesSent += 1
    this.lastSent = packet
    if (packet.flight === undefined || !isFlying(packet)) {
      packet.flight = flight
      packet.more = undefined
    } else if (packet.more === undefined) packet.more = [flight]
    else packet.more.push(flight)
    this.#needs.outbox.send(path, packet.header, packet.pieces, packet.bytes)
  }

  /** A packet that is in the buffer goes out in shares; each is handed to {@link transmitShare} when its path has room. */
  beginShares(packet: KeptPacket, shares: ShareSet): void {
    packet.shares = shares
    packet.flight = undefined
    packet.more = undefined
    // More than once: no single flight says when its packet arrived.
    packet.timesSent += 2
    this.lastSent = packet
  }

  transmitShare(nowMs: number, packet: KeptPacket, shares: ShareSet, share: Share, path: Path): void {
    const flight = this.#flight(nowMs, packet, path, share.bytes, shares)
    if (packet.shares === shares) {
      if (packet.flight === undefined) packet.flight = flight
      else if (packet.more === undefined) packet.more = [flight]
      else packet.more.push(flight)
    }
    this.#needs.outbox.send(path, share.header, share.pieces, share.bytes)
  }

  /** A share that waited for its path will never go. */
  dropShare(packet: KeptPacket, shares: ShareSet): void {
    shares.left -= 1
    if (packet.shares === shares && this.flights.mustBeResent(packet)) this.#resends.add([packet])
  }

  #flight(nowMs: number, packet: KeptPacket, path: Path, bytes: number, shares: ShareSet | undefined): Flight {
    const flight: Flight = {
      packet,
      path,
      bytes,
      shares,
      order: path.nextOrder,
      sentAtMs: nowMs,
      deliveredBytes: path.deliveredBytes,
      deliveredAtMs: path.inFlightBytes === 0 ? nowMs : path.deliveredAtMs,
      applicationLimited: path.applicationLimitedUntil > path.deliveredBytes,
      live: true,
    }
    path.nextOrder += 1
    path.inFlightBytes += bytes
    path.packetsSent += 1
    path.flights.push(flight)
    return flight
  }

  /** A copy of `packet` on another path, if its credit allows and it may be seen whole there. */
  copy(nowMs: number, packet: KeptPacket, path: Path): boolean {
    if (packet.acked || !this.#mayGoWhole(packet) || !creditCovers(path, packet.bytes)) return false
    this.transmit(nowMs, packet, path)
    return true
  }

  #mayGoAlone({ live, packet }: Flight): boolean {
    return live && !packet.acked && this.#mayGoWhole(packet)
  }

  #mayGoWhole(packet: KeptPacket): boolean {
    return this.wrapped === undefined || packet.own
  }

  /** Takes an ack state in. @throws ProtocolError when it names what was never sent */
  onAck(nowMs: number, ack: AckState, via: Path, delayMs: number | undefined): AckNews {
    const round: AckRound = { newest: undefined, touched: [] }
    const before = this.buffer.unackedPackets
    this.buffer.acknowledge(ack, (packet) => this.#onPacketAcked(nowMs, packet, round))
    // Beyond the last range of a full list the ack says nothing.
    const silentFrom = ack.ranges.length < ackRangesMax ? Number.POSITIVE_INFINITY : ack.ranges.at(-1)![1]
    this.flights.told(silentFrom)
    for (const path of round.touched) this.flights.dropLost(path, silentFrom)
    this.ackedPackets += before - this.buffer.unackedPackets

    const { newest } = round
    if (newest === undefined) return { progress: before !== this.buffer.unackedPackets, proof: undefined }
    const { path } = newest
    const rttMs = Math.max(0, nowMs - newest.sentAtMs - (delayMs ?? 0))
    path.rate.sample(path.deliveredBytes - newest.deliveredBytes, nowMs - newest.deliveredAtMs, newest.applicationLimited)
    return { progress: true, proof: path === via && delayMs !== undefined ? { path, rttMs, sentAtMs: newest.sentAtMs } : undefined }
  }

  /** Sends the oldest packet of a path again on the same path: a probe was answered and this was not. */
  resendOldest(nowMs: number, path: Path): void {
    let flight = path.oldestFlight()
    while (flight?.packet.acked) {
      this.flights.land(flight)
      flight = path.oldestFlight()
    }
    // What may not go whole is no reason to keep back what may: a plan that was swallowed may name the relays that the rest waits for.
    for (let place = 1; flight !== undefined && !this.#mayGoAlone(flight); place += 1) flight = path.flights.at(place)
    if (flight === undefined || path.creditLeft() < flight.packet.bytes) return
    this.flights.land(flight)
    this.resentPackets += 1
    this.transmit(nowMs, flight.packet, path)
  }

  /** Makes a packet of the control frames that wait, whatever the limits say, and sends it on `path` or, without one, as soon as there is one. */
  sendControlNow(nowMs: number, path: Path | undefined): KeptPacket | undefined {
    const packet = this.#needs.builder.control(this.buffer.next)
    if (packet === undefined) return undefined
    if (path !== undefined) {
      this.buffer.add(packet)
      this.transmit(nowMs, packet, path)
    } else {
      this.buffer.add(packet)
      this.#resends.add([packet])
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
    this.#send(nowMs, packet, path)
    return true
  }

  #send(nowMs: number, packet: KeptPacket, path: Path): void {
    if (this.wrapped === undefined) this.transmit(nowMs, packet, path)
    else this.wrapped(nowMs, packet)
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

  #onPacketAcked(nowMs: number, packet: KeptPacket, round: AckRound): void {
    const { epochs, streams, builder } = this.#needs
    epochs.onAcked(packet)
    const { flight } = packet
    if (flight !== undefined && !this.echoed) {
      if (packet.timesSent === 1) this.#onSentOnceAcked(nowMs, flight, round)
      this.flights.land(flight)
      if (packet.more !== undefined) for (const other of packet.more) this.flights.land(other)
    }
    if (!builder.sealed) streams.onAcked(packet.frames)
  }

  #onSentOnceAcked(nowMs: number, flight: Flight, round: AckRound): void {
    const { path } = flight
    path.deliveredBytes += flight.bytes
    path.deliveredAtMs = nowMs
    path.progressAtMs = nowMs
    path.swallowed = 0
    if (flight.order > path.ackedOrder) path.ackedOrder = flight.order
    if (!round.touched.includes(path)) round.touched.push(path)
    round.newest = flight
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
