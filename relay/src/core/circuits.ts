/**
 * Circuits: two attachments of this relay coupled so that packets of one come out at the other. A circuit is two halves, one per source, each
 * with its own hop credit (connection.md 10): absolute, counting the payload bytes of every packet; 1 MiB to start, then twice what was
 * delivered in a round trip, within the destination's and the relay's budgets. Payloads are passed on as the slices that were read.
 */

import { PACKET_KIND, type PacketHeader, packetBytesMax } from '@sennit/protocol'
import type { Attachment } from './attachment.ts'
import type { RelayCore } from './core.ts'
import { UserTraffic } from './user-traffic.ts'

/** One direction of a circuit: from the attachment it faces towards the other half's. */
export interface CircuitHalf {
  readonly attachment: Attachment
  /** Its number on that attachment. */
  readonly circuit: number
  readonly other: CircuitHalf
  /** What the source showed in its JOIN, or said of a circuit that began with a call; undefined while it has not. */
  tag: string | undefined
  /** Payload bytes that came from this attachment. */
  receivedBytes: number
  /** Of those, in kept packets: only they wait for credit, so only they can be over it. */
  keptBytes: number
  /** Payload bytes that still wait at the other attachment's link. */
  queuedBytes: number
  /** Absolute: what the source may have sent. */
  limitBytes: number
  /** How far the limit may run ahead of what was delivered. */
  windowBytes: number
  /** The widest window so far: an honest source never has more waiting here. */
  widestBytes: number
  /** Delivered since the last measurement began. */
  measuredBytes: number
  measuredSinceMs: number
  /** The source is told to wait again at this time; undefined when it need not. */
  waitAtMs: number | undefined
  /** It has been told to wait and not yet to resume. */
  waiting: boolean
}

/** What a source may be over its credit before its circuit is closed: one packet that crossed a message. */
const creditSlackBytes = packetBytesMax

/** Datagrams that may wait for a slow reader on one circuit: a burst of a video's key frame, 20 ms at 100 Mbit/s. */
const datagramQueueBytesMax = 262_144

/** A read block is 256 KiB: a packet under this that waits would hold 64 times its size, and the memory brake would not know. */
const copyBelowBytes = 4096

/** A source whose reader takes nothing is told so after this long: well under its first probe timeout. */
const waitAfterMs = 20

/** "Wait" is repeated so often, so that a lost or late one cannot look like a dead path. */
const waitRepeatMs = 1000

/** Delivery is measured over at least this long; shorter ones measure the batching of event loops. */
const measureMs = 20

/**
 * A round trip counts for at least this: credit also waits for a turn of three busy event loops, which take several milliseconds each as
 * soon as their processor is shared. Less, and credit is what holds a busy machine back.
 */
const turnMs = 25

/** Most circuits are idle most of the time, so credit is promised beyond memory; the brake holds when too many of them use it at once. */
const overcommit = 8

/** Above this share of memory no window grows. */
const growShare = 0.5

/** Above this share of memory no credit is granted; above the second, the fullest circuit is shed. */
const brakeShare = 0.7
const shedShare = 0.95

export class Circuits {
  private readonly core: RelayCore
  private readonly tight = new Set<CircuitHalf>()
  private tightWakeMs: number | undefined
  private promisedTotal = 0
  private braked = false
  private nowMs = 0
  /** Undefined where nothing is limited: the way of every packet does not pay for it. */
  private readonly traffic: UserTraffic | undefined
  count = 0
  queuedBytes = 0
  forwardedBytes = 0
  forwardedPackets = 0
  droppedPackets = 0

  constructor(core: RelayCore) {
    this.core = core
    const traffic = new UserTraffic(core.limits)
    this.traffic = traffic.limited ? traffic : undefined
  }

  get promisedBytes(): number {
    return this.promisedTotal
  }

  get waiting(): number {
    let waiting = 0
    for (const half of this.tight) if (half.waiting) waiting += 1
    return waiting
  }

  /** Couples two attachments; undefined when one of them has no room for another circuit. */
  open(nowMs: number, first: Attachment, second: Attachment): { first: CircuitHalf; second: CircuitHalf } | undefined {
    const max = this.core.limits.circuitsPerAttachment
    if (first.circuits.size >= max || second.circuits.size >= max) return undefined
    const users = [first.who!.user, second.who!.user] as const
    if (users.some((user) => this.traffic?.spent(nowMs, user))) {
      this.core.refusals.add('user_volume')
      return undefined
    }
    if (!this.core.takeShare(users[0], 'circuits')) return undefined
    if (!this.core.takeShare(users[1], 'circuits')) {
      this.core.giveShare(users[0], 'circuits')
      return undefined
    }
    const one = newHalf(first, nowMs)
    const two = newHalf(second, nowMs)
    Object.assign(one, { other: two })
    Object.assign(two, { other: one })
    first.circuits.set(one.circuit, one)
    second.circuits.set(two.circuit, two)
    this.count += 1
    for (const half of [one, two]) {
      this.resize(half, this.core.limits.creditStartBytes)
      half.limitBytes = half.windowBytes
    }
    return { first: one, second: two }
  }

  /** A packet came from an attachment: pass it on. */
  forward(nowMs: number, source: Attachment, circuit: number, header: PacketHeader, pieces: readonly Uint8Array[]): void {
    const half = source.circuits.get(circuit)
    // The client may not have heard yet that the circuit is closed, so this is no fault of it.
    if (half === undefined) return
    let bytes = 0
    for (const piece of pieces) bytes += piece.length
    // Nothing to pass on, and nothing that a link would take.
    if (bytes === 0) return
    half.receivedBytes += bytes
    const { other } = half
    if (this.traffic !== undefined) {
      this.nowMs = nowMs
      const { user } = source.who!
      if (!this.traffic.sent(nowMs, user, bytes)) {
        this.core.refusals.add('user_volume')
        this.close(half, 'limit', true)
        return
      }
      // Datagrams ask for no credit, so they are what a debt drops.
      if (header.kind === PACKET_KIND.datagram && this.traffic.freeAtMs(nowMs, user) > nowMs) {
        this.droppedPackets += 1
        return
      }
    }
    const loose = header.kind >= PACKET_KIND.loose
    if (!loose) half.keptBytes += bytes
    // Loose packets overtake kept ones on their way here, so a count of both would blame the honest.
    if (half.keptBytes > half.limitBytes + creditSlackBytes || half.queuedBytes > 2 * (half.widestBytes + creditSlackBytes)) {
      this.core.refusals.add('credit_exceeded')
      this.close(half, 'credit_exceeded', true)
      return
    }
    // Loose packets do not wait for credit, so a reader that takes nothing must not pile them up. They are never missed: nobody resends or counts them.
    if (loose && half.queuedBytes > half.windowBytes + creditSlackBytes) {
      this.droppedPackets += 1
      return
    }
    // A datagram that would wait behind others for long is worth nothing when it comes; the next one is fresher.
    if (header.kind === PACKET_KIND.datagram && other.attachment.link.queuedDatagramBytes(other.circuit) > datagramQueueBytesMax) {
      this.droppedPackets += 1
      return
    }
    half.queuedBytes += bytes
    this.queuedBytes += bytes
    this.forwardedBytes += bytes
    this.forwardedPackets += 1
    // A slice keeps all that was read with it alive, so small packets that will have to wait are copied; large ones never.
    const waits = bytes < copyBelowBytes && other.attachment.blockedSinceMs !== undefined
    other.attachment.link.sendPacket(other.circuit, header, waits ? [copyOf(pieces, bytes)] : pieces)
    this.core.touch(other.attachment)
    // Whoever has much waiting while memory is short is told to wait, and is a candidate when a circuit must go.
    if (isTight(half) || this.core.pressure() >= brakeShare) this.tighten(half, nowMs + waitAfterMs)
    if (this.core.pressure() > shedShare) this.shed()
  }

  /** An attachment's link handed bytes of a circuit to its carrier. */
  drained(nowMs: number, destination: Attachment, circuit: number, bytes: number): void {
    const half = destination.circuits.get(circuit)?.other
    if (half === undefined) return
    this.nowMs = nowMs
    const taken = Math.min(bytes, half.queuedBytes)
    half.queuedBytes -= taken
    this.queuedBytes -= taken
    half.measuredBytes += bytes
    this.measure(nowMs, half)
    if (this.braked && this.core.pressure() < brakeShare) {
      this.braked = false
      for (const held of this.tight) this.grant(held)
    }
    this.grant(half)
  }

  /** A carrier has taken nothing for a while: the sources that wait for it hear so now, before their probes make them doubt the relay. */
  blocked(nowMs: number, destination: Attachment): void {
    for (const half of destination.circuits.values()) if (half.other.queuedBytes > 0) this.tighten(half.other, nowMs)
  }

  /** Ends a circuit. Both ends are told, unless the one the half faces asked for it (`tellSource` false) or is gone. */
  close(half: CircuitHalf, reason: string, tellSource: boolean): void {
    const { attachment, other } = half
    if (attachment.circuits.get(half.circuit) !== half) return
    this.count -= 1
    this.core.giveShare(attachment.who!.user, 'circuits')
    this.core.giveShare(other.attachment.who!.user, 'circuits')
    for (const side of [half, other]) {
      side.attachment.circuits.delete(side.circuit)
      this.tight.delete(side)
      this.queuedBytes -= side.queuedBytes
      side.queuedBytes = 0
      this.resize(side, 0)
      if (side.attachment.ended) continue
      side.attachment.link.dropCircuit(side.circuit)
      if (side !== half || tellSource) this.core.say(side.attachment, { type: 'circuitClose', circuit: side.circuit, reason })
    }
  }

  /** Forgets accounts of users that have sent nothing for long. */
  sweep(nowMs: number): void {
    this.traffic?.sweep(nowMs)
  }

  wakeAtMs(): number | undefined {
    return this.tight.size === 0 ? undefined : this.tightWakeMs
  }

  wake(nowMs: number): void {
    if (this.tight.size === 0 || this.tightWakeMs === undefined || this.tightWakeMs > nowMs) return
    this.nowMs = nowMs
    let nextMs = Number.POSITIVE_INFINITY
    for (const half of this.tight) {
      const freeAtMs = this.grant(half)
      if (half.waitAtMs === undefined) continue
      if (freeAtMs !== undefined) nextMs = Math.min(nextMs, freeAtMs)
      if (half.waitAtMs <= nowMs) {
        if (half.queuedBytes === 0 && !isTight(half)) {
          this.loosen(half)
          continue
        }
        half.waiting = true
        half.waitAtMs = nowMs + waitRepeatMs
        this.core.say(half.attachment, { type: 'circuitCredit', circuit: half.circuit, limit: half.limitBytes, wait: true })
      }
      nextMs = Math.min(nextMs, half.waitAtMs)
    }
    this.tightWakeMs = nextMs === Number.POSITIVE_INFINITY ? undefined : nextMs
  }

  /** @returns when to ask again, where only the rate of the user stands against it */
  private grant(half: CircuitHalf): number | undefined {
    const target = half.receivedBytes + half.windowBytes - half.queuedBytes
    const step = target - half.limitBytes
    const left = half.limitBytes - half.receivedBytes
    // Where all that may be promised is promised, a window is one packet: who sends little would wait for ever for what it must not send any more.
    const waits = half.waiting || (half.waitAtMs !== undefined && half.waitAtMs <= this.nowMs)
    const enough =
      step >= half.windowBytes >> 2 ||
      (left < packetBytesMax && step >= packetBytesMax / 2) ||
      (waits && step > 0 && half.queuedBytes === 0)
    if (!enough) {
      if (half.waiting && half.queuedBytes === 0 && !isTight(half)) this.loosen(half)
      return undefined
    }
    if (this.core.pressure() >= brakeShare) {
      this.braked = true
      return undefined
    }
    const freeAtMs = this.traffic?.freeAtMs(this.nowMs, half.attachment.who!.user)
    if (freeAtMs !== undefined && freeAtMs > this.nowMs) {
      this.core.refusals.add('user_rate')
      if (this.tight.has(half)) this.tightWakeMs = Math.min(this.tightWakeMs ?? freeAtMs, freeAtMs)
      return freeAtMs
    }
    half.limitBytes = target
    half.waiting = false
    half.waitAtMs = undefined
    this.tight.delete(half)
    this.core.say(half.attachment, { type: 'circuitCredit', circuit: half.circuit, limit: target, wait: false })
    return undefined
  }

  private tighten(half: CircuitHalf, waitAtMs: number): void {
    if (half.waitAtMs !== undefined && half.waitAtMs <= waitAtMs) return
    half.waitAtMs = waitAtMs
    this.tight.add(half)
    if (this.tightWakeMs === undefined || waitAtMs < this.tightWakeMs || this.tight.size === 1) this.tightWakeMs = waitAtMs
  }

  private loosen(half: CircuitHalf): void {
    this.tight.delete(half)
    half.waitAtMs = undefined
    if (!half.waiting) return
    half.waiting = false
    this.core.say(half.attachment, { type: 'circuitCredit', circuit: half.circuit, limit: half.limitBytes, wait: false })
  }

  /** Follows the delivered rate: up at once (at most double), down by a quarter a step and only while a queue stands. */
  private measure(nowMs: number, half: CircuitHalf): void {
    const elapsedMs = nowMs - half.measuredSinceMs
    const rttMs = Math.max(half.attachment.rttMs ?? measureMs, turnMs)
    if (elapsedMs < Math.max(measureMs, rttMs)) return
    const { creditFloorBytes, creditMaxBytes } = this.core.limits
    const delivered = half.measuredBytes
    half.measuredBytes = 0
    half.measuredSinceMs = nowMs
    // A pause of the application says nothing of the path.
    if (elapsedMs > 4 * Math.max(measureMs, rttMs) && half.queuedBytes === 0) return
    const want = Math.min(creditMaxBytes, Math.max(creditFloorBytes, (2 * delivered * rttMs) / elapsedMs))
    if (want > half.windowBytes) this.resize(half, Math.min(want, half.windowBytes * 2))
    else if (half.queuedBytes > want) this.resize(half, Math.max(want, half.windowBytes * 0.75))
  }

  /** Sets a window, as far as the budgets of the destination, of this source at it, and of the relay allow. */
  private resize(half: CircuitHalf, wantBytes: number): void {
    const { destinationBytes, memoryBytes, creditFloorBytes } = this.core.limits
    const destination = half.other.attachment
    const source = half.attachment.key
    const bySource = destination.promisedBySource
    const mine = bySource.get(source) ?? 0
    const before = half.windowBytes
    let after = Math.floor(wantBytes)
    if (after > before) {
      const room = Math.min(
        destinationBytes / 4 - (mine - before),
        destinationBytes - (destination.promisedBytes - before),
        memoryBytes * overcommit - (this.promisedTotal - before),
        // A window that has begun to grow needs memory that is there, not only promised.
        before > 0 && this.core.pressure() > growShare ? before : Number.POSITIVE_INFINITY,
      )
      after = Math.max(before, Math.min(after, Math.floor(room)))
      // Even a crowded destination passes a packet of everybody; circuits are bounded in number.
      if (after < creditFloorBytes) after = Math.min(creditFloorBytes, packetBytesMax)
    }
    half.windowBytes = after
    half.widestBytes = Math.max(half.widestBytes, after)
    const change = after - before
    destination.promisedBytes += change
    this.promisedTotal += change
    if (mine + change <= 0) bySource.delete(source)
    else bySource.set(source, mine + change)
  }

  /** Memory is nearly gone: the circuit with the longest queue ends, which frees the most for the fewest. */
  private shed(): void {
    let fullest: CircuitHalf | undefined
    for (const half of this.tight) if (half.queuedBytes > (fullest?.queuedBytes ?? 0)) fullest = half
    if (fullest === undefined) return
    this.core.refusals.add('memory')
    this.core.log('warn', 'circuit_shed', { user: fullest.attachment.who?.user, queuedBytes: fullest.queuedBytes })
    this.close(fullest, 'memory', true)
  }
}

/**
 * Little credit is left: less than the largest packet, and less than half the window, which may be no more than such a packet. A source cuts new
 * packets to what is left, so that need not be much.
 */
function isTight({ limitBytes, receivedBytes, windowBytes }: CircuitHalf): boolean {
  return limitBytes - receivedBytes < Math.min(packetBytesMax, windowBytes / 2)
}

function newHalf(attachment: Attachment, nowMs: number): CircuitHalf {
  const circuit = attachment.nextCircuit
  attachment.nextCircuit += 1
  return {
    attachment,
    circuit,
    // The other half is put in as soon as both exist.
    other: undefined as unknown as CircuitHalf,
    tag: undefined,
    receivedBytes: 0,
    keptBytes: 0,
    queuedBytes: 0,
    limitBytes: 0,
    windowBytes: 0,
    widestBytes: 0,
    measuredBytes: 0,
    measuredSinceMs: nowMs,
    waitAtMs: undefined,
    waiting: false,
  }
}

function copyOf(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const copy = new Uint8Array(bytes)
  let at = 0
  for (const piece of pieces) {
    copy.set(piece, at)
    at += piece.length
  }
  return copy
}
