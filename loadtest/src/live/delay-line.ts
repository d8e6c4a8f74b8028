// One direction of one proxied connection: bytes come in order, wait as long as the rules say, and go out in order.
import type { Socket } from 'node:net'
import type { LinkRule } from '../network-script.ts'

/** What the rules in force add up to for one direction; absent numbers mean no such rule. */
export type LineRules = Omit<LinkRule, 'directions' | 'refuse' | 'captive' | 'nameless'> &
  Required<Pick<LinkRule, 'latencyMs' | 'jitterMs' | 'held'>>

/** What a line did to bytes, for receipts: a fault that touched nothing proves nothing. */
export type LineEffect = 'flipped' | 'lost' | 'doubled' | 'swapped' | 'sliced' | 'stuck' | 'limited'

export interface LineOptions {
  readonly from: Socket
  readonly to: Socket
  /** In [0, 1). */
  readonly random: () => number
  readonly onEffect?: (effect: LineEffect) => void
  /** It has carried what a rule allows: the connection is to be cut. */
  readonly onLimit?: () => void
}

/** What a line may hold before its source is paused: a long fat link (1 Gbit/s × 60 ms) fits, memory stays bounded. */
const heldBytesMax = 8 * 1024 * 1024
/** A narrow link hands over what it carried about so often. */
const narrowTurnS = 0.005
/** Bytes of one packet on an ordinary path: a large piece is lost as often as all its packets together. */
const packetBytes = 1_448

interface Held {
  readonly dueMs: number
  /** `undefined` is the end of the stream. */
  readonly bytes: Uint8Array | undefined
}

export class DelayLine {
  readonly #options: LineOptions
  #rules: LineRules = { latencyMs: 0, jitterMs: 0, held: false }
  #queue: Held[] = []
  #head = 0
  #heldBytes = 0
  #lastDueMs = 0
  #timer: NodeJS.Timeout | undefined
  #blocked = false
  #stopped = false
  #untilFlip: number | undefined
  #bitsToFlip = 0
  #carried = 0
  /** A piece that the next one overtakes. */
  #stray: { readonly bytes: Uint8Array; readonly timer: NodeJS.Timeout } | undefined
  #stuck = false

  constructor(options: LineOptions) {
    this.#options = options
    options.from.on('data', (bytes) => this.#take(bytes))
    options.from.on('end', () => this.#take(undefined))
    options.to.on('drain', () => {
      this.#blocked = false
      this.#pump()
    })
  }

  setRules(rules: LineRules): void {
    if (rules.corruptOneIn !== this.#rules.corruptOneIn) this.#untilFlip = undefined
    if (rules.flipBits !== this.#rules.flipBits) this.#bitsToFlip = rules.flipBits ?? 0
    if (rules.limitBytes !== this.#rules.limitBytes) this.#carried = 0
    if (rules.reorderShare === undefined) this.#letStrayGo()
    this.#rules = rules
    this.#pump()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    clearTimeout(this.#stray?.timer)
    this.#stray = undefined
    this.#queue = []
    this.#head = 0
    this.#heldBytes = 0
  }

  #take(bytes: Uint8Array | undefined): void {
    if (this.#stopped) return
    if (bytes === undefined) {
      this.#letStrayGo()
      this.#put(undefined, this.#rules.endDelayMs ?? 0)
      this.#pump()
      return
    }
    for (const [piece, extraMs] of this.#sliced(this.#corrupt(this.#flip(bytes)))) this.#order(piece, extraMs)
    this.#pump()
    if (this.#heldBytes > heldBytesMax) this.#options.from.pause()
  }

  /** Cuts up what a rule calls too large; each piece with its distance from the one before. */
  *#sliced(bytes: Uint8Array): Generator<[Uint8Array, number]> {
    const { sliceBytes, sliceDelayMs = 0, bytesPerSecond } = this.#rules
    if (sliceBytes === undefined || bytes.length <= sliceBytes) {
      // What one read of a socket brings is no unit of a narrow link: its first bytes are there long before its last.
      const most = bytesPerSecond === undefined ? bytes.length : Math.max(packetBytes, Math.ceil(bytesPerSecond * narrowTurnS))
      for (let at = 0; at < bytes.length; at += most) yield [bytes.subarray(at, at + most), 0]
      return
    }
    this.#options.onEffect?.('sliced')
    for (let at = 0; at < bytes.length; at += sliceBytes) yield [bytes.subarray(at, at + sliceBytes), at === 0 ? 0 : sliceDelayMs]
  }

  /** Doubles a piece, or lets the next one overtake it. */
  #order(piece: Uint8Array, extraMs: number): void {
    const { random, onEffect } = this.#options
    const { duplicateShare = 0, reorderShare = 0, reorderDelayMs = 0 } = this.#rules
    if (this.#stray !== undefined) {
      this.#put(piece, extraMs)
      this.#letStrayGo()
      return
    }
    if (reorderShare > 0 && random() < reorderShare) {
      onEffect?.('swapped')
      this.#stray = { bytes: piece, timer: setTimeout(() => this.#letStrayGo(), reorderDelayMs) }
      return
    }
    this.#put(piece, extraMs)
    if (duplicateShare > 0 && random() < duplicateShare) {
      onEffect?.('doubled')
      this.#put(piece, 0)
    }
  }

  #letStrayGo(): void {
    const stray = this.#stray
    if (stray === undefined) return
    this.#stray = undefined
    clearTimeout(stray.timer)
    this.#put(stray.bytes, 0)
    this.#pump()
  }

  #put(bytes: Uint8Array | undefined, extraMs: number): void {
    const { random } = this.#options
    const { latencyMs, jitterMs, bytesPerSecond } = this.#rules
    const sendMs = bytesPerSecond === undefined || bytes === undefined ? 0 : (bytes.length * 1000) / bytesPerSecond
    // Never before what came before it: a byte stream is delayed, not reordered.
    this.#lastDueMs = Math.max(this.#lastDueMs, performance.now() + latencyMs + random() * jitterMs) + sendMs + extraMs
    if (bytes !== undefined) this.#lastDueMs += this.#resendMs(bytes.length)
    this.#queue.push({ dueMs: this.#lastDueMs, bytes })
    this.#heldBytes += bytes?.length ?? 0
  }

  /** A lost piece comes when it is sent again, and what follows waits for it: over a byte stream loss is delay. */
  #resendMs(length: number): number {
    const { lossShare = 0, lossDelayMs = 0 } = this.#rules
    if (lossShare === 0 || this.#options.random() >= 1 - (1 - lossShare) ** Math.ceil(length / packetBytes)) return 0
    this.#options.onEffect?.('lost')
    return lossDelayMs
  }

  #pump(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#stopped || this.#rules.held) return
    const { from, to } = this.#options
    const nowMs = performance.now()
    while (this.#head < this.#queue.length && !this.#blocked && !this.#stopped) {
      const next = this.#queue[this.#head]
      if (next === undefined) break
      if (next.dueMs > nowMs) {
        this.#timer = setTimeout(() => this.#pump(), Math.max(1, next.dueMs - nowMs))
        break
      }
      if (this.#isTooLarge(next.bytes)) break
      this.#head += 1
      if (next.bytes === undefined) {
        to.end()
        continue
      }
      this.#heldBytes -= next.bytes.length
      this.#write(next.bytes)
    }
    if (this.#head === this.#queue.length) {
      this.#queue = []
      this.#head = 0
    } else if (this.#head > 1024) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
    if (this.#heldBytes <= heldBytesMax / 2 && from.isPaused()) from.resume()
  }

  #write(bytes: Uint8Array): void {
    const { to, onEffect, onLimit } = this.#options
    const { limitBytes } = this.#rules
    this.#carried += bytes.length
    if (!to.write(bytes)) this.#blocked = true
    if (limitBytes === undefined || this.#carried < limitBytes) return
    onEffect?.('limited')
    onLimit?.()
  }

  #isTooLarge(bytes: Uint8Array | undefined): boolean {
    const { mtuBytes } = this.#rules
    const stuck = mtuBytes !== undefined && bytes !== undefined && bytes.length > mtuBytes
    if (stuck && !this.#stuck) this.#options.onEffect?.('stuck')
    this.#stuck = stuck
    return stuck
  }

  /** Flips one bit in one byte of every so many, at places drawn from the seed. */
  #corrupt(bytes: Uint8Array): Uint8Array {
    const every = this.#rules.corruptOneIn
    if (every === undefined) return bytes
    const { random, onEffect } = this.#options
    let left = this.#untilFlip ?? this.#draw(every)
    let changed = bytes
    let at = 0
    while (bytes.length - at > left) {
      at += left
      if (changed === bytes) changed = Uint8Array.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ (1 << Math.floor(random() * 8))
      onEffect?.('flipped')
      at += 1
      left = this.#draw(every)
    }
    this.#untilFlip = left - (bytes.length - at)
    return changed
  }

  /** Flips what is still to be flipped, one bit in a byte. */
  #flip(bytes: Uint8Array): Uint8Array {
    if (this.#bitsToFlip === 0) return bytes
    const { random, onEffect } = this.#options
    const changed = Uint8Array.from(bytes)
    for (let at = Math.floor(random() * bytes.length); at < changed.length && this.#bitsToFlip > 0; at++) {
      changed[at] = changed[at]! ^ (1 << Math.floor(random() * 8))
      this.#bitsToFlip -= 1
      onEffect?.('flipped')
    }
    return changed
  }

  #draw(every: number): number {
    return Math.floor(this.#options.random() * 2 * every)
  }
}
