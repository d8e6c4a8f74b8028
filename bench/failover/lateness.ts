/** Whether a process that should act every few milliseconds did: what it was late is charged to nobody in silence. */
import { Arrivals } from './arrivals.ts'
import { nowMs } from './clock.ts'

/** How often a watched process acts. Small enough that the pace itself makes no gap worth measuring. */
export const tickMs = 2

export class Lateness {
  readonly #ticks = new Arrivals()

  /** It acts now. */
  tick(atMs: number): void {
    this.#ticks.add(atMs)
  }

  /** How long it was late at most in `(fromMs, toMs]`. */
  longestMs(fromMs: number, toMs: number): number {
    return Math.max(0, this.#ticks.longestGap(fromMs, toMs).gapMs - tickMs)
  }
}

/** Watches this process. */
export function watchLateness(): Lateness {
  const lateness = new Lateness()
  setInterval(() => lateness.tick(nowMs()), tickMs).unref()
  return lateness
}
