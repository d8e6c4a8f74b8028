/** Writes the pattern at a steady pace. What an outlet cannot take is not made up for later: the pace goes on from there. */
import { nowMs } from '../clock.ts'
import { Lateness, tickMs } from '../lateness.ts'
import { patternAt } from '../pattern.ts'
import type { Outlet } from './outlet.ts'

/** A source that was held up writes no more than this at once. */
const burstMs = 10

export class SteadySource {
  /** Of the pace itself; an outlet that takes nothing makes nobody late. */
  readonly lateness: Lateness = new Lateness()
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
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #tick(): void {
    const now = nowMs()
    this.lateness.tick(now)
    if (this.#full) return
    const bytes = Math.floor(Math.min(now - this.#lastMs, burstMs) * this.#bytesPerMs)
    if (bytes === 0) return
    this.#lastMs = now
    const block = patternAt(this.#position, bytes)
    this.#position += bytes
    this.#full = !this.#outlet.write(block)
  }
}
