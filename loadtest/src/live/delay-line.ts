// One direction of one proxied connection: bytes come in order, wait as long as the rules say, and go out in order.
import type { Socket } from 'node:net'

export interface LineRules {
  readonly latencyMs: number
  readonly jitterMs: number
  readonly held: boolean
  readonly corruptOneIn: number | undefined
  readonly bytesPerSecond: number | undefined
}

/** What a line may hold before its source is paused: a long fat link (1 Gbit/s × 60 ms) fits, memory stays bounded. */
const heldBytesMax = 8 * 1024 * 1024

interface Held {
  readonly dueMs: number
  /** `undefined` is the end of the stream. */
  readonly bytes: Uint8Array | undefined
}

export class DelayLine {
  readonly #from: Socket
  readonly #to: Socket
  readonly #random: () => number
  #rules: LineRules = { latencyMs: 0, jitterMs: 0, held: false, corruptOneIn: undefined, bytesPerSecond: undefined }
  #queue: Held[] = []
  #head = 0
  #heldBytes = 0
  #lastDueMs = 0
  #timer: NodeJS.Timeout | undefined
  #blocked = false
  #stopped = false
  #untilFlip: number | undefined

  constructor(from: Socket, to: Socket, random: () => number) {
    this.#from = from
    this.#to = to
    this.#random = random
    from.on('data', (bytes) => this.#take(bytes))
    from.on('end', () => this.#take(undefined))
    to.on('drain', () => {
      this.#blocked = false
      this.#pump()
    })
  }

  setRules(rules: LineRules): void {
    if (rules.corruptOneIn !== this.#rules.corruptOneIn) this.#untilFlip = undefined
    this.#rules = rules
    this.#pump()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#queue = []
    this.#head = 0
    this.#heldBytes = 0
  }

  #take(bytes: Uint8Array | undefined): void {
    if (this.#stopped) return
    const nowMs = performance.now()
    const { latencyMs, jitterMs, bytesPerSecond } = this.#rules
    const sendMs = bytesPerSecond === undefined || bytes === undefined ? 0 : (bytes.length * 1000) / bytesPerSecond
    // Never before what came before it: a byte stream is delayed, not reordered.
    this.#lastDueMs = Math.max(this.#lastDueMs + sendMs, nowMs + latencyMs + this.#random() * jitterMs)
    this.#queue.push({ dueMs: this.#lastDueMs, bytes: bytes === undefined ? undefined : this.#corrupt(bytes) })
    this.#heldBytes += bytes?.length ?? 0
    this.#pump()
    if (this.#heldBytes > heldBytesMax) this.#from.pause()
  }

  #pump(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#stopped || this.#rules.held) return
    const nowMs = performance.now()
    while (this.#head < this.#queue.length && !this.#blocked) {
      const next = this.#queue[this.#head]
      if (next === undefined) break
      if (next.dueMs > nowMs) {
        this.#timer = setTimeout(() => this.#pump(), Math.max(1, next.dueMs - nowMs))
        break
      }
      this.#head += 1
      if (next.bytes === undefined) {
        this.#to.end()
        continue
      }
      this.#heldBytes -= next.bytes.length
      if (!this.#to.write(next.bytes)) this.#blocked = true
    }
    if (this.#head === this.#queue.length) {
      this.#queue = []
      this.#head = 0
    } else if (this.#head > 1024) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
    if (this.#heldBytes <= heldBytesMax / 2 && this.#from.isPaused()) this.#from.resume()
  }

  /** Flips one bit in one byte of every so many, at places drawn from the seed. */
  #corrupt(bytes: Uint8Array): Uint8Array {
    const every = this.#rules.corruptOneIn
    if (every === undefined) return bytes
    let left = this.#untilFlip ?? this.#draw(every)
    let changed = bytes
    let at = 0
    while (bytes.length - at > left) {
      at += left
      if (changed === bytes) changed = Uint8Array.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ (1 << Math.floor(this.#random() * 8))
      at += 1
      left = this.#draw(every)
    }
    this.#untilFlip = left - (bytes.length - at)
    return changed
  }

  #draw(every: number): number {
    return Math.floor(this.#random() * 2 * every)
  }
}
