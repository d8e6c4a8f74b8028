/** What a relay said of itself while we are attached to it: that it goes, that it is over its limit, how late it is. */
import type { ClientTuning } from '../client/tuning.ts'

/** What a relay that goes has told, and whether we moved on account of it. */
export interface Draining {
  readonly leaveAtMs: number
  readonly endAtMs: number
  /** Over which it asked its clients to spread. */
  readonly spreadMs: number
  left: boolean
  /** Nobody but the list said so: it ends only when others carry. @default false */
  readonly byList?: boolean
}

/** What a relay says of its load is believed this long; a relay under load repeats it. */
const loadMs = 30_000
/** No relay can make itself cost more than one that is to be avoided, nor hold us off for longer than this. */
const queueMsMax = 1_000
const crowdedMsMax = 300_000

export class RelayNotices {
  readonly #tuning: ClientTuning
  readonly #random: () => number
  /** From its notice on: leave at `leaveAtMs`, closed at the latest at `endAtMs`. */
  draining: Draining | undefined
  /** It asked us to use others, from then until then. */
  crowded: { readonly fromMs: number; readonly untilMs: number; told: boolean } | undefined
  #load: { readonly queueMs: number; readonly untilMs: number } | undefined

  constructor(tuning: ClientTuning, random: () => number) {
    this.#tuning = tuning
    this.#random = random
  }

  /** The list has it no more, or says that it goes: its circuits move to others, and it is kept for as long as they have none. */
  leaveByList(nowMs: number): void {
    if (this.draining !== undefined) return
    const spreadMs = this.#tuning.leaveSpreadMs
    const leaveAtMs = nowMs + this.#random() * spreadMs
    this.draining = { leaveAtMs, endAtMs: Number.POSITIVE_INFINITY, spreadMs, left: false, byList: true }
  }

  /** The list has it again. */
  stayByList(): void {
    if (this.draining?.byList === true) this.draining = undefined
  }

  /** What the relay says of its own delay. */
  load(nowMs: number, queueMs: number): void {
    this.#load = { queueMs: Math.min(queueMsMax, queueMs), untilMs: nowMs + loadMs }
  }

  queueMs(nowMs: number): number {
    return this.#load !== undefined && nowMs < this.#load.untilMs ? this.#load.queueMs : 0
  }

  /** The relay is over its limit: others are used, if there are any, from a moment of our own on. */
  makeRoom(nowMs: number, spreadMs: number, forMs: number): void {
    const fromMs = nowMs + this.#random() * Math.min(crowdedMsMax, spreadMs)
    this.crowded = { fromMs, untilMs: fromMs + Math.min(crowdedMsMax, forMs), told: false }
  }

  isCrowded(nowMs: number): boolean {
    return this.crowded !== undefined && nowMs >= this.crowded.fromMs && nowMs < this.crowded.untilMs
  }

  /** The attachment is gone, and what was said with it. */
  clear(): void {
    this.draining = undefined
    this.crowded = undefined
    this.#load = undefined
  }
}
