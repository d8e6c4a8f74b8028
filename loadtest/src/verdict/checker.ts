// The checker of one direction of one flow: every message that arrives goes through `received`, and what was lost, duplicated, reordered,
// corrupted or invented is counted in bytes. It keeps the next expected position and the gaps before it, never a message.
import { type Damage, type DamageKind, describeDamage } from './damage.ts'
import { type Content, findMismatch, keystreamBlockBytes, keystreamKey } from './keystream.ts'
import { encodeMessage, type MessageHeader, messageHeaderBytes, readHeader } from './message.ts'

/** One thing that went wrong. `offset` counts from the first byte of the direction. */
export interface Incident {
  readonly direction: number
  readonly kind: DamageKind
  /** Index of the message, -1 when it belongs to none. */
  readonly index: number
  readonly offset: number
  readonly bytes: number
}

/** Bytes, each counted once and under one name. */
export type DamageCounts = Record<DamageKind, number>

export interface CheckerOptions {
  readonly seed: number
  readonly direction: number
  /** `full` checks every byte, `counter` headers and order, `none` only reads the header. @default 'full' */
  readonly check?: 'full' | 'counter' | 'none'
  /** What messages hold. @default 'noise' */
  readonly content?: Content
  /** Datagrams may overtake each other and may not arrive; none may come twice. @default false */
  readonly datagrams?: boolean
  /** Is told of everything that goes wrong, as it is found. */
  readonly onIncident?: (incident: Incident) => void
}

/** What one message turned out to be. */
export interface Received {
  /** undefined: the bytes belong to no message of this direction. */
  readonly header: MessageHeader | undefined
  /** The first time this message arrived. */
  readonly fresh: boolean
}

/** Where a checker stands: what another one needs to go on, or to end the direction in its place. */
export interface CheckerState {
  readonly nextIndex: number
  readonly nextOffset: number
  readonly receivedBytes: number
  readonly receivedMessages: number
  readonly gaps: readonly Readonly<Gap>[]
  readonly counts: Readonly<DamageCounts>
}

interface Gap {
  fromIndex: number
  toIndex: number
  fromOffset: number
  toOffset: number
  /** What was under way when a connection was ended on purpose: it may come or not. */
  readonly cut?: true
}

/** Gaps remembered per direction. More than this many holes at once is no reordering any more: the oldest is counted as lost. */
const gapsMax = 1024

/** Datagrams that may be overtaken: 8 KiB of bits. One that comes later than this many others is counted as unexpected. */
const datagramWindow = 65_536

const scratch = new Uint8Array(keystreamBlockBytes)

/** Checks one direction. */
export class FlowChecker {
  readonly direction: number
  readonly key: number
  readonly counts: DamageCounts = { lost: 0, duplicated: 0, reordered: 0, corrupted: 0, unexpected: 0 }
  readonly #check: 'full' | 'counter' | 'none'
  readonly #content: Content
  readonly #onIncident: ((incident: Incident) => void) | undefined
  /** Datagrams: whether each of the last ones came, by index. */
  readonly #came: Uint8Array | undefined
  #gaps: Gap[] = []
  #nextIndex = 0
  #nextOffset = 0
  #receivedBytes = 0
  #receivedMessages = 0
  /** Bytes of holes that nobody is to blame for and that are not remembered any more. */
  #forgotten = 0

  constructor(options: CheckerOptions) {
    this.direction = options.direction
    this.key = keystreamKey(options.seed, options.direction)
    this.#check = options.check ?? 'full'
    this.#content = options.content ?? 'noise'
    this.#came = options.datagrams === true ? new Uint8Array(datagramWindow / 8) : undefined
    this.#onIncident = options.onIncident
  }

  /** Bytes of messages that arrived for the first time. */
  get receivedBytes(): number {
    return this.#receivedBytes
  }

  get receivedMessages(): number {
    return this.#receivedMessages
  }

  /** Where it stands. Which of the last datagrams came is not part of it: a checker that adopts it can end the direction, not go on with datagrams. */
  state(): CheckerState {
    return {
      nextIndex: this.#nextIndex,
      nextOffset: this.#nextOffset,
      receivedBytes: this.#receivedBytes,
      receivedMessages: this.#receivedMessages,
      gaps: this.#gaps.map((gap) => ({ ...gap })),
      counts: { ...this.counts },
    }
  }

  /** Takes the place of another checker of this direction. */
  adopt(state: CheckerState): void {
    this.#nextIndex = state.nextIndex
    this.#nextOffset = state.nextOffset
    this.#receivedBytes = state.receivedBytes
    this.#receivedMessages = state.receivedMessages
    this.#gaps = state.gaps.slice(0, gapsMax).map((gap) => ({ ...gap }))
    Object.assign(this.counts, state.counts)
  }

  /** Takes one message as the application got it. The bytes are only read, and only during the call. */
  received(bytes: Uint8Array): Received {
    // The header at the front, or else the one at the end: one of them survives any single damage.
    const front = readHeader(this.key, bytes, 0)
    const header = front ?? readHeader(this.key, bytes, bytes.length - messageHeaderBytes)
    if (header === undefined || header.direction !== this.direction) {
      this.#incident('unexpected', -1, this.#nextOffset, bytes.length)
      return { header: undefined, fresh: false }
    }
    if (this.#check === 'none') {
      this.#count(header)
      this.#nextIndex = Math.max(this.#nextIndex, header.index + 1)
      this.#nextOffset = Math.max(this.#nextOffset, header.offset + header.length)
      return { header, fresh: true }
    }
    const fresh = this.#came === undefined ? this.#place(header) : this.#placeDatagram(this.#came, header)
    const damage = front !== undefined && this.#intact(header, bytes) ? undefined : this.#damageOf(header, bytes)
    if (damage !== undefined) this.#incident(damage.kind, header.index, header.offset + damage.at, damage.bytes)
    return { header, fresh }
  }

  /**
   * A connection of the flow ended on purpose, and not in good order: what of the messages sent so far has not come yet may come or not. What
   * is missing before a message that does come is lost all the same: within a connection order holds.
   */
  cut(sentMessages: number, sentBytes: number): void {
    if (this.#check === 'none' || this.#came !== undefined || sentMessages <= this.#nextIndex) return
    const [fromIndex, fromOffset] = [this.#nextIndex, this.#nextOffset]
    this.#addGap({ fromIndex, toIndex: sentMessages, fromOffset, toOffset: sentBytes, cut: true })
    this.#nextIndex = sentMessages
    this.#nextOffset = sentBytes
  }

  /**
   * A connection that this checker did not see end had ended when so much was sent (the sender's half tells it): what is missing up to there, with
   * nothing of that connection after it, may have come or not.
   */
  excuse(sentMessages: number, sentBytes: number): void {
    if (sentMessages > this.#nextIndex) {
      this.cut(sentMessages, sentBytes)
      return
    }
    const at = this.#gaps.findIndex((gap) => gap.cut !== true && gap.fromIndex < sentMessages && sentMessages <= gap.toIndex)
    const gap = this.#gaps[at]
    if (gap === undefined) return
    const halves: Gap[] = [{ ...gap, toIndex: sentMessages, toOffset: sentBytes, cut: true }]
    if (sentMessages < gap.toIndex) halves.push({ ...gap, fromIndex: sentMessages, fromOffset: sentBytes })
    this.#gaps.splice(at, 1, ...halves)
  }

  /** Of `sentBytes`, those after the last message that came. */
  tailBytes(sentBytes: number): number {
    return this.#check === 'none' || this.#came !== undefined ? 0 : Math.max(0, sentBytes - this.#nextOffset)
  }

  /**
   * Ends the direction, of which `sentBytes` were sent. What is missing before a message that came is lost: within a connection order holds. What is
   * missing after the last one that came is so only if the connection was closed in good order; else (`tail` is `unknown`) it may have been under
   * way, and the caller counts the returned bytes as unknown instead.
   */
  finish(sentBytes: number, tail: 'lost' | 'unknown'): { unknown: number } {
    if (this.#check === 'none') return { unknown: 0 }
    if (this.#nextOffset > sentBytes) this.#incident('unexpected', -1, sentBytes, this.#nextOffset - sentBytes)
    if (this.#came !== undefined) return { unknown: 0 }
    let unknown = this.#forgotten
    for (const { cut, fromIndex, fromOffset, toOffset } of this.#gaps) {
      if (cut === true) unknown += toOffset - fromOffset
      else this.#incident('lost', fromIndex, fromOffset, toOffset - fromOffset)
    }
    this.#gaps = []
    const missing = this.tailBytes(sentBytes)
    if (tail === 'unknown') unknown += missing
    else if (missing > 0) this.#incident('lost', this.#nextIndex, this.#nextOffset, missing)
    return { unknown }
  }

  /** Puts the message into the order. Returns whether it is new. */
  #place(header: MessageHeader): boolean {
    const { index, offset, length } = header
    if (index >= this.#nextIndex) {
      if (index > this.#nextIndex)
        this.#addGap({ fromIndex: this.#nextIndex, toIndex: index, fromOffset: this.#nextOffset, toOffset: offset })
      this.#nextIndex = index + 1
      this.#nextOffset = offset + length
      this.#count(header)
      return true
    }
    const at = this.#gaps.findIndex((gap) => index >= gap.fromIndex && index < gap.toIndex)
    if (at === -1) {
      this.#incident('duplicated', index, offset, length)
      return false
    }
    const gap = this.#gaps[at]!
    const rest: Gap[] = []
    const { cut, ...hole } = gap
    if (gap.fromIndex < index) rest.push({ ...hole, toIndex: index, toOffset: offset })
    if (index + 1 < gap.toIndex) rest.push({ ...gap, fromIndex: index + 1, fromOffset: offset + length })
    this.#gaps.splice(at, 1, ...rest)
    // What an ended connection still hands out comes beside the messages of the next one.
    if (cut !== true) this.#incident('reordered', index, offset, length)
    this.#count(header)
    return true
  }

  /** A datagram may come in any order, once. */
  #placeDatagram(came: Uint8Array, header: MessageHeader): boolean {
    const { index, offset, length } = header
    if (index + datagramWindow < this.#nextIndex) {
      this.#incident('unexpected', index, offset, length)
      return false
    }
    for (let at = Math.max(this.#nextIndex, index - datagramWindow + 1); at <= index; at++) mark(came, at, false)
    if (index < this.#nextIndex && isMarked(came, index)) {
      this.#incident('duplicated', index, offset, length)
      return false
    }
    mark(came, index, true)
    this.#nextIndex = Math.max(this.#nextIndex, index + 1)
    this.#nextOffset = Math.max(this.#nextOffset, offset + length)
    this.#count(header)
    return true
  }

  #addGap(gap: Gap): void {
    this.#gaps.push(gap)
    if (this.#gaps.length <= gapsMax) return
    const oldest = this.#gaps.shift()!
    if (oldest.cut === true) this.#forgotten += oldest.toOffset - oldest.fromOffset
    else this.#incident('lost', oldest.fromIndex, oldest.fromOffset, oldest.toOffset - oldest.fromOffset)
  }

  #count(header: MessageHeader): void {
    this.#receivedMessages += 1
    this.#receivedBytes += header.length
  }

  #damageOf(header: MessageHeader, bytes: Uint8Array): Damage | undefined {
    return describeDamage(encodeMessage(this.key, header, this.#content), bytes)
  }

  /** Of a message whose front header was read: the other one is the same, and so is everything between. */
  #intact(header: MessageHeader, bytes: Uint8Array): boolean {
    if (bytes.length !== header.length) return false
    const end = bytes.length - messageHeaderBytes
    for (let i = 0; i < messageHeaderBytes; i++) if (bytes[i] !== bytes[end + i]) return false
    if (this.#check !== 'full' || end === messageHeaderBytes) return true
    return (
      findMismatch(this.key, header.offset + messageHeaderBytes, bytes.subarray(messageHeaderBytes, end), scratch, this.#content) === -1
    )
  }

  #incident(kind: DamageKind, index: number, offset: number, bytes: number): void {
    this.counts[kind] += bytes
    this.#onIncident?.({ direction: this.direction, kind, index, offset, bytes })
  }
}

function isMarked(bits: Uint8Array, index: number): boolean {
  const at = index % (bits.length * 8)
  return (bits[at >> 3]! & (1 << (at & 7))) !== 0
}

function mark(bits: Uint8Array, index: number, came: boolean): void {
  const at = index % (bits.length * 8)
  const bit = 1 << (at & 7)
  bits[at >> 3] = came ? bits[at >> 3]! | bit : bits[at >> 3]! & ~bit
}
