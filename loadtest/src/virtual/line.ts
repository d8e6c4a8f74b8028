// One direction of one byte pipe: bytes come out in order, after the delay of the link, in chunks of any size. It holds a bounded amount and
// says when it is full, as a socket does. What is held back (a partition, a process that does not read) is late, never lost: that is TCP.
import type { World } from './world.ts'

/** What a link does to bytes of one direction now. */
export interface LineRule {
  readonly latencyMs: number
  readonly jitterMs: number
  /** Infinity: no bound. */
  readonly bytesPerMs: number
  readonly held: boolean
  /** One byte in so many is changed; 0: none. */
  readonly corruptOneIn: number
  /** So many bits are flipped once; absent: none. */
  readonly flipBits?: number
  /** What few faults do; absent most of the time, so that it costs nothing. */
  readonly special?: SpecialRule
}

export interface SpecialRule {
  /** What is larger does not come while the rule lasts. Infinity: all passes (so for the next two). */
  readonly mtuBytes: number
  /** The pipe is reset when it has carried so much. */
  readonly limitBytes: number
  /** What is larger comes in pieces, `sliceDelayMs` apart. */
  readonly sliceBytes: number
  readonly sliceDelayMs: number
  /** Share of packets that come only when they are sent again, `lossDelayMs` later. */
  readonly lossShare: number
  readonly lossDelayMs: number
  /** The end of a pipe is told so much later. */
  readonly endDelayMs: number
}

/** Bytes of one packet on an ordinary path: a large piece is lost as often as all its packets together. */
const packetBytes = 1_448
const noSlices = { sliceBytes: Number.POSITIVE_INFINITY, sliceDelayMs: 0 }

/** What travels. `dial` and `open` are the carrier's own request and answer, `end` is its close or reset. */
export type LineItem =
  | { readonly type: 'dial'; readonly bytes: Uint8Array }
  | { readonly type: 'open' }
  | { readonly type: 'bytes'; readonly bytes: Uint8Array }
  | { readonly type: 'end'; readonly code: string }

/** The two hosts at its ends. */
export interface LineEnds {
  /** Whether the receiving process takes bytes now. */
  reads(): boolean
  take(item: LineItem): void
  /** It was full and the writer may go on. */
  drained(): void
}

export interface LineOptions {
  readonly world: World
  readonly rule: () => LineRule
  readonly ends: LineEnds
  /** More than this makes it full. */
  readonly capacityBytes: number
  /** Share of deliveries that are cut into pieces. */
  readonly cutShare: number
}

interface Held {
  readonly dueMs: number
  readonly item: LineItem
}

export class Line {
  readonly #options: LineOptions
  readonly #random: () => number
  #queue: Held[] = []
  #head = 0
  #queuedBytes = 0
  #full = false
  #lastDueMs = 0
  #scheduledMs = Number.POSITIVE_INFINITY
  #untilFlip: number | undefined
  #flipped = 0
  #cleared = 0
  #carried = 0
  #stranded = false

  constructor(options: LineOptions) {
    this.#options = options
    this.#random = options.world.dice.next
  }

  /** Bytes written and not taken at the other end. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** Nothing is on the way. */
  get empty(): boolean {
    return this.#head === this.#queue.length
  }

  get full(): boolean {
    return this.#full
  }

  get capacityBytes(): number {
    return this.#options.capacityBytes
  }

  /** Puts bytes in, which must not change any more. False: full; `drained` follows. */
  write(bytes: Uint8Array): boolean {
    this.#queuedBytes += bytes.length
    const { sliceBytes, sliceDelayMs } = this.#options.rule().special ?? noSlices
    const changed = this.#corrupted(bytes)
    if (changed.length <= sliceBytes) this.put({ type: 'bytes', bytes: changed }, 0)
    else
      for (let at = 0; at < changed.length; at += sliceBytes) {
        if (at > 0) this.#lastDueMs += sliceDelayMs
        this.put({ type: 'bytes', bytes: changed.subarray(at, at + sliceBytes) }, 0)
      }
    if (this.#queuedBytes > this.#options.capacityBytes) this.#full = true
    return !this.#full
  }

  /** Sends an item after what was written before; `extraMs` on top of the delay of the link. */
  put(item: LineItem, extraMs: number): void {
    const { world, rule } = this.#options
    const { latencyMs, jitterMs, bytesPerMs, special } = rule()
    const sendMs = item.type === 'bytes' ? item.bytes.length / bytesPerMs : 0
    const arrivesMs = world.nowMs + latencyMs + (jitterMs > 0 ? this.#random() * jitterMs : 0) + extraMs
    this.#lastDueMs = Math.max(this.#lastDueMs + sendMs, arrivesMs + sendMs)
    if (special !== undefined) this.#lastDueMs += this.#lateMs(item, special)
    this.#queue.push({ dueMs: this.#lastDueMs, item })
    this.#schedule()
  }

  /** What was on the way is gone (a reset). */
  clear(): void {
    this.#cleared += 1
    this.#queue = []
    this.#head = 0
    this.#queuedBytes = 0
    this.#full = false
  }

  /** Nothing comes out of it ever again; it fills up, and nobody is told. */
  strand(): void {
    this.#stranded = true
  }

  /** Hands over what is due; called by itself, and by whoever lifts a hold. */
  pump(): void {
    const { world, rule, ends } = this.#options
    while (this.#head < this.#queue.length && !this.#stranded && !rule().held && ends.reads()) {
      const { dueMs, item } = this.#queue[this.#head]!
      if (dueMs > world.nowMs || this.#isTooLarge(item)) break
      this.#head += 1
      if (item.type === 'bytes') this.#deliver(item.bytes)
      else ends.take(item)
    }
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0
      this.#head = 0
    } else if (this.#head > 256) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
    this.#schedule()
    if (this.#full && this.#queuedBytes <= this.#options.capacityBytes / 2) {
      this.#full = false
      ends.drained()
    }
  }

  /** A lost piece comes when it is sent again, and what follows waits behind it: over a byte stream loss is delay. */
  #lateMs(item: LineItem, { lossShare, lossDelayMs, endDelayMs }: SpecialRule): number {
    if (item.type === 'end') return endDelayMs
    if (lossShare === 0 || item.type !== 'bytes') return 0
    if (this.#random() >= 1 - (1 - lossShare) ** Math.ceil(item.bytes.length / packetBytes)) return 0
    this.#options.world.coverage.hit('piece lost on a link')
    return lossDelayMs
  }

  #isTooLarge(item: LineItem): boolean {
    const { special } = this.#options.rule()
    if (special === undefined || item.type !== 'bytes' || item.bytes.length <= special.mtuBytes) return false
    this.#options.world.coverage.hit('piece too large for a link')
    return true
  }

  /** Counts what is carried under a limit, and ends the pipe when that was all. */
  #count(length: number): void {
    const { special } = this.#options.rule()
    this.#carried = special === undefined ? 0 : this.#carried + length
    if (special === undefined || this.#carried < special.limitBytes) return
    this.#options.world.coverage.hit('pipe limited')
    this.clear()
    this.put({ type: 'end', code: 'connection_reset' }, 0)
  }

  #deliver(bytes: Uint8Array): void {
    const { world, ends, cutShare } = this.#options
    const cleared = this.#cleared
    let rest = bytes
    if (rest.length > 1 && cutShare > 0 && this.#random() < cutShare) {
      world.coverage.hit('chunk cut')
      for (let cuts = 1 + Math.floor(this.#random() * 3); cuts > 0 && rest.length > 1; cuts--) {
        const at = 1 + Math.floor(this.#random() * (rest.length - 1))
        this.#queuedBytes -= at
        ends.take({ type: 'bytes', bytes: rest.subarray(0, at) })
        rest = rest.subarray(at)
        // What was taken may have ended the pipe.
        if (this.#cleared !== cleared) return
      }
      // The rest comes in a later turn.
      if (ends.reads()) {
        this.#head -= 1
        this.#queue[this.#head] = { dueMs: world.nowMs + this.#random(), item: { type: 'bytes', bytes: rest } }
        return
      }
    }
    this.#queuedBytes -= rest.length
    ends.take({ type: 'bytes', bytes: rest })
    if (this.#cleared === cleared) this.#count(bytes.length)
  }

  #schedule(): void {
    const next = this.#queue[this.#head]
    if (next === undefined || next.dueMs >= this.#scheduledMs) return
    // A hold is lifted by somebody who pumps.
    if (next.dueMs <= this.#options.world.nowMs) return
    this.#scheduledMs = next.dueMs
    const atMs = next.dueMs
    this.#options.world.at(atMs, () => {
      if (this.#scheduledMs !== atMs) return
      this.#scheduledMs = Number.POSITIVE_INFINITY
      this.pump()
    })
  }

  /** `bytes` is our own copy, so that flipping a bit here hurts nobody else's. */
  #corrupted(bytes: Uint8Array): Uint8Array {
    const { corruptOneIn: every, flipBits = 0 } = this.#options.rule()
    if (flipBits === 0) this.#flipped = 0
    for (; this.#flipped < flipBits && bytes.length > 0; this.#flipped++) {
      const at = Math.floor(this.#random() * bytes.length)
      bytes[at] = bytes[at]! ^ (1 << Math.floor(this.#random() * 8))
      this.#options.world.coverage.hit('bit flipped on a link')
    }
    if (every === 0) return bytes
    let left = this.#untilFlip ?? Math.floor(this.#random() * 2 * every)
    let at = 0
    while (bytes.length - at > left) {
      at += left
      bytes[at] = bytes[at]! ^ (1 << Math.floor(this.#random() * 8))
      this.#options.world.coverage.hit('byte flipped on a link')
      at += 1
      left = Math.floor(this.#random() * 2 * every)
    }
    this.#untilFlip = left - (bytes.length - at)
    return bytes
  }
}
