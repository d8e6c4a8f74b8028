/** Writes the pattern at a steady pace. What an outlet cannot take is not made up for later: the pace goes on from there. */
import { nowMs } from '../clock.ts'
import { patternAt } from '../pattern.ts'
import type { Outlet } from './outlet.ts'

/** Small enough that the pace itself makes no gap worth measuring. */
const tickMs = 2
/** A source that was held up writes no more than this at once. */
const burstMs = 10

export class SteadySource {
  readonly #outlet: Outlet
  readonly #bytesPerMs: number
  readonly #timer: NodeJS.Timeout
  #position = 0
  #lastMs: number
  #full = false

  constructor(outlet: Outlet, bytesPerSecond: number) {
    this.#outlet = outlet
    this.#bytesPerMs = bytesPerSecond / 1000
    this.#lastMs = nowMs()
    this.#timer = setInterval(() => this.#tick(), tickMs)
  }

  /** Bytes made so far. */
  get position(): number {
    return this.#position
  }

  get outlet(): Outlet {
    return this.#outlet
  }

  drained(): void {
    this.#full = false
    this.#lastMs = nowMs()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #tick(): void {
    if (this.#full) return
    const now = nowMs()
    const bytes = Math.floor(Math.min(now - this.#lastMs, burstMs) * this.#bytesPerMs)
    if (bytes === 0) return
    this.#lastMs = now
    const block = patternAt(this.#position, bytes)
    this.#position += bytes
    this.#full = !this.#outlet.write(block)
  }
}
