/**
 * The receiving half: opens packets, remembers their numbers, and hands their frames on. Bytes of streams go on as they come, since the
 * streams order them by offset; frames of the agreement are handed on in the order of their packets. PATH_BAD, plans with all that belongs to them, and
 * CLOSE do not wait for a gap to be filled: the first ones are needed to fill it (what is missing may itself wait for relays that only the plan names),
 * and the last may come from an end that dropped what is missing.
 */
import {
  type AckState,
  decodeFrames,
  type Frame,
  PACKET_KIND,
  type PacketHeader,
  type PacketSealer,
  ProtocolError,
  type ShareAssembler,
  totalBytes,
} from '@sennit/protocol'
import { relayOf } from '../attach/links.ts'
import type { AckTracker } from './ack-tracker.ts'
import type { Epochs } from './epochs.ts'
import type { Path } from './path.ts'
import { KeptNumbers, LooseNumbers } from './receive-numbers.ts'

/** Numbers a receiver takes ahead of the first missing one: twice what a sender may have unacked. */
const windowPackets = 65_536
/** Frames of the agreement that may wait behind a gap: honest ends say a few a minute. */
const heldFramesMax = 1_024
/** Frames of one loose packet: ends send one; each may ask for a packet in answer. */
const looseFramesMax = 64

/** A data packet up to this may be one of a few a second; with larger ones a sender may come to wait for its ack. */
const lonePacketBytesMax = 1_200

/** A packet whose turn has not come. */
interface Held {
  readonly epoch: number
  readonly pathId: number
  readonly frames: readonly Frame[]
}

export interface ReceiverNeeds {
  readonly sealer: PacketSealer
  readonly epochs: Epochs
  readonly acks: AckTracker
  /** Made when the first share comes. */
  assembler(): ShareAssembler
  /** A valid packet came by this path. */
  heard(nowMs: number, path: Path): void
  /** Something came that the peer did not seal. */
  forged(nowMs: number, path: Path): void
  /** A frame of the streams, as it came. @throws ProtocolError */
  streamFrame(frame: Frame): void
  /** A frame of the agreement, in order; those that a gap must not hold up as they come. */
  agreementFrame(nowMs: number, pathId: number, frame: Frame): void
  /** A datagram, once. */
  datagram(data: Uint8Array): void
  /** A frame of a loose packet. */
  looseFrame(nowMs: number, path: Path, frame: Frame): void
  /** An ack that stood in front of data. */
  ackInside(nowMs: number, path: Path, ack: AckFrame): void
  /** Data may bring one. */
  readonly acksInData: boolean
}

type AckFrame = Extract<Frame, { type: 'ack' }>

export class Receiver {
  duplicates = 0
  datagramsReceived = 0
  /** Set once the connection is over: only a CLOSE is still taken, anything else new is `refused`. */
  closed = false
  readonly #needs: ReceiverNeeds
  readonly #numbers: KeptNumbers<Held> = new KeptNumbers(windowPackets)
  readonly #loose = new LooseNumbers()
  readonly #datagrams = new LooseNumbers()
  #heldFrames = 0
  /** The packet of the last wish for other paths, and of the last word on how long acks may wait. */
  #wishNumber = -1
  #ackDelayNumber = -1

  constructor(needs: ReceiverNeeds) {
    this.#needs = needs
  }

  get received(): number {
    return this.#numbers.next
  }

  /** Datagrams of the peer that have not come, though later ones did. */
  get datagramsMissing(): number {
    return this.#datagrams.next - this.datagramsReceived
  }

  ackState(): AckState {
    return this.#numbers.state()
  }

  /** @returns false when a new kept packet was refused because the connection is over. @throws ProtocolError */
  packet(nowMs: number, path: Path, header: PacketHeader, pieces: readonly Uint8Array[]): boolean {
    if (header.form === 1) return this.#onShare(nowMs, path, header, pieces)
    if (header.form !== 0) return true
    if (header.kind === PACKET_KIND.loose) this.#onLoose(nowMs, path, header, pieces)
    else if (header.kind === PACKET_KIND.datagram) this.#onDatagram(nowMs, path, header, pieces)
    else if (header.kind === PACKET_KIND.data || header.kind === PACKET_KIND.control) return this.#onKept(nowMs, path, header, pieces)
    return true
  }

  /** A share is as good a sign of life as a packet, and as good a proof of a lie. */
  #onShare(nowMs: number, path: Path, header: PacketHeader, pieces: readonly Uint8Array[]): boolean {
    const outcome = this.#needs.assembler().take(header, pieces, relayOf(path.relayId))
    if (outcome.type === 'forged') {
      this.#needs.forged(nowMs, path)
      return true
    }
    this.#needs.heard(nowMs, path)
    if (outcome.type === 'packet') return this.packet(nowMs, path, outcome.header, [outcome.sealed])
    if (header.kind === PACKET_KIND.data || header.kind === PACKET_KIND.control) {
      path.arrivedNumber = header.counter
      path.arrivedAtMs = nowMs
      this.#needs.acks.onDuplicate(nowMs, path.pathId)
    }
    return true
  }

  #onLoose(nowMs: number, path: Path, header: PacketHeader, pieces: readonly Uint8Array[]): void {
    const frames = this.#open(nowMs, path, header, pieces)
    if (frames === undefined || !this.#loose.take(header.counter)) return
    if (frames.length > looseFramesMax)
      throw new ProtocolError('malformed', `expected at most ${looseFramesMax} frames in a loose packet, found ${frames.length}`, {})
    this.#needs.heard(nowMs, path)
    for (const frame of frames) this.#needs.looseFrame(nowMs, path, frame)
  }

  #onDatagram(nowMs: number, path: Path, header: PacketHeader, pieces: readonly Uint8Array[]): void {
    const frames = this.#open(nowMs, path, header, pieces)
    if (frames === undefined || !this.#datagrams.take(header.counter)) return
    this.datagramsReceived += 1
    this.#needs.heard(nowMs, path)
    const [frame] = frames
    if (frames.length !== 1 || frame?.type !== 'datagram') throw new ProtocolError('malformed', 'expected one datagram in its packet', {})
    if (!this.closed) this.#needs.datagram(frame.data)
  }

  #onKept(nowMs: number, path: Path, header: PacketHeader, pieces: readonly Uint8Array[]): boolean {
    const { acks } = this.#needs
    const number = header.counter
    if (this.#numbers.has(number)) {
      this.duplicates += 1
      path.arrivedNumber = number
      path.arrivedAtMs = nowMs
      acks.onDuplicate(nowMs, path.pathId)
      return true
    }
    if (!this.#numbers.accepts(number)) return true
    const frames = this.#open(nowMs, path, header, pieces)
    if (frames === undefined) return true
    this.#needs.heard(nowMs, path)
    if (this.closed && !frames.some((frame) => frame.type === 'close')) return false

    const inOrder = number === this.#numbers.next
    const hadGap = this.#numbers.hasGap
    const isData = header.kind === PACKET_KIND.data
    const ack = isData ? this.#takeData(frames) : undefined
    const later = isData ? none : this.#takeControl(nowMs, path.pathId, number, frames)
    if (inOrder) {
      this.#numbers.advance()
      this.#inOrder(nowMs, { epoch: header.epoch, pathId: path.pathId, frames: later })
      for (let held = this.#numbers.takeHeld(); held !== undefined; held = this.#numbers.takeHeld()) {
        this.#heldFrames -= held.frames.length
        this.#inOrder(nowMs, held)
      }
    } else {
      this.#heldFrames += later.length
      if (this.#heldFrames > heldFramesMax)
        throw new ProtocolError('malformed', `expected at most ${heldFramesMax} frames to wait for earlier ones`, { number })
      this.#numbers.hold(number, { epoch: header.epoch, pathId: path.pathId, frames: later })
    }
    path.arrivedNumber = number
    path.arrivedAtMs = nowMs
    const lone = isData && totalBytes(pieces) <= lonePacketBytesMax
    acks.onNew(nowMs, path.pathId, hadGap || !inOrder || this.closed, lone)
    if (ack !== undefined) this.#needs.ackInside(nowMs, path, ack)
    return true
  }

  #open(nowMs: number, path: Path, header: PacketHeader, pieces: readonly Uint8Array[]): Frame[] | undefined {
    const { sealer } = this.#needs
    const plaintext = sealer.open(header, pieces)
    if (plaintext !== undefined) return decodeFrames(plaintext)
    // A late loose packet of a dropped epoch, or a kept one too far ahead, is nobody's fault; it is resent if it matters.
    if (sealer.receiveState(header.epoch) === 'open') this.#needs.forged(nowMs, path)
    return undefined
  }

  /** @returns the ack in front of the data */
  #takeData(frames: readonly Frame[]): AckFrame | undefined {
    const [first] = frames
    const ack = first?.type === 'ack' && this.#needs.acksInData ? first : undefined
    for (const frame of frames) {
      if (frame === ack) continue
      if (frame.type !== 'stream') throw new ProtocolError('malformed', `expected stream frames in a data packet, found ${frame.type}`)
      this.#needs.streamFrame(frame)
    }
    return ack
  }

  #takeControl(nowMs: number, pathId: number, number: number, frames: readonly Frame[]): readonly Frame[] {
    let later: Frame[] | undefined
    for (const frame of frames) {
      switch (frame.type) {
        case 'open':
        case 'credit':
        case 'fin':
        case 'reset':
        case 'stop':
        case 'messageRefused':
        case 'messageDelivered':
          if (!this.closed) this.#needs.streamFrame(frame)
          break
        case 'paths':
          // The later wish counts, whichever comes first.
          if (number < this.#wishNumber) break
          this.#wishNumber = number
          this.#needs.agreementFrame(nowMs, pathId, frame)
          break
        case 'ackDelay':
          if (number < this.#ackDelayNumber) break
          this.#ackDelayNumber = number
          this.#needs.acks.mayWait(frame.delayMs)
          break
        case 'plan':
        case 'planOk':
        case 'planNo':
        case 'planModes':
        case 'modesOk':
        case 'pathBad':
        case 'close':
          // Epochs tell an old plan or answer from a new one, and the modes of a plan come in its packet, before it.
          this.#needs.agreementFrame(nowMs, pathId, frame)
          break
        case 'confirm':
        case 'yield':
        case 'exists':
        case 'relayLies':
          if (later === undefined) later = [frame]
          else later.push(frame)
          break
        case 'nothing':
          break
        default:
          throw new ProtocolError('malformed', `expected control frames in a control packet, found ${frame.type}`)
      }
    }
    return later ?? none
  }

  #inOrder(nowMs: number, held: Held): void {
    this.#needs.epochs.onOrdered(held.epoch)
    for (const frame of held.frames) this.#needs.agreementFrame(nowMs, held.pathId, frame)
  }
}

const none: readonly Frame[] = []
