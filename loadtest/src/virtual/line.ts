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
}

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
  #cleared = 0

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
    this.put({ type: 'bytes', bytes: this.#corrupted(bytes) }, 0)
    if (this.#queuedBytes > this.#options.capacityBytes) this.#full = true
    return !this.#full
  }

  /** Sends an item after what was written before; `extraMs` on top of the delay of the link. */
  put(item: LineItem, extraMs: number): void {
    const { world, rule } = this.#options
    const { latencyMs, jitterMs, bytesPerMs } = rule()
    const sendMs = item.type === 'bytes' ? item.bytes.length / bytesPerMs : 0
    const arrivesMs = world.nowMs + latencyMs + (jitterMs > 0 ? this.#random() * jitterMs : 0) + extraMs
    this.#lastDueMs = Math.max(this.#lastDueMs + sendMs, arrivesMs + sendMs)
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

  /** Hands over what is due; called by itself, and by whoever lifts a hold. */
  pump(): void {
    const { world, rule, ends } = this.#options
    while (this.#head < this.#queue.length && !rule().held && ends.reads()) {
      const { dueMs, item } = this.#queue[this.#head]!
      if (dueMs > world.nowMs) break
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
    const every = this.#options.rule().corruptOneIn
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
