/**
 * What a connection lacks of paths, and since when: none answers, fewer do than its modes need, or some are in doubt. How widely it looks for
 * more follows from that.
 */
import { SilenceWatch } from './silence-watch.ts'

/** What it asks its connection, and tells it. */
export interface ShortageContext {
  /** The connection is on: before and after that nothing is missed. */
  isOpen(): boolean
  /** How many paths its modes need. */
  needed(): number
  /** A path is beyond doubt. */
  someAnswers(): boolean
  /** It stands still from now on. */
  stoodStill(): void
  /** Paths may be wanted elsewhere. */
  changed(): void
}

/** Where paths are looked for: at relays of the plan, also at the next ones, at all of them by their own links, or over whatever link there is. */
export type Search = 'plan' | 'next' | 'all' | 'everywhere'

/** A suspicion keeps the next relays of the plan wanted this long; a verdict or an ack comes well before. */
const suspectMs = 10_000
/** After a loss of all paths, joins stand everywhere until this long after the first one is back: the captain plans meanwhile. */
const everywhereMs = 10_000
/** The path that brought the verdict proves itself within this, or the connection counts as one without a path. */
const validateMs = 1_000

export class Shortage {
  readonly #context: ShortageContext
  /** Paths that answered, by their ids. */
  readonly #validated = new Set<number>()
  readonly #silence = new SilenceWatch()
  #pathlessSinceMs: number | undefined
  #hadPath = false
  /** It had as many paths as its modes need. */
  #hadAll = false
  #everywhereUntilMs = 0
  #suspectUntilMs = 0
  #shortUntilMs = 0
  #validateByMs = Number.POSITIVE_INFINITY

  constructor(context: ShortageContext) {
    this.#context = context
  }

  /** No path answers, since. */
  get pathlessSinceMs(): number | undefined {
    return this.#pathlessSinceMs
  }

  /** Data waits or soon will: no path answers, or fewer than its modes need (it had as many before). */
  get standsStill(): boolean {
    const { isOpen, needed } = this.#context
    return isOpen() && (this.#pathlessSinceMs !== undefined || (this.#hadAll && this.#validated.size < needed()))
  }

  /** Nothing is wrong that would ask for more paths than the plan has. */
  get calm(): boolean {
    return this.#suspectUntilMs === 0 && this.#everywhereUntilMs === 0 && this.#pathlessSinceMs === undefined
  }

  /** How many paths answered. */
  get validated(): number {
    return this.#validated.size
  }

  isValidated(pathId: number): boolean {
    return this.#validated.has(pathId)
  }

  search(nowMs: number): Search {
    if (this.#pathlessSinceMs !== undefined || nowMs < this.#everywhereUntilMs) return 'everywhere'
    if (this.standsStill) return 'all'
    return nowMs < Math.max(this.#suspectUntilMs, this.#shortUntilMs) ? 'next' : 'plan'
  }

  /** The connection is on. */
  begin(nowMs: number): void {
    this.#validateByMs = nowMs + validateMs
  }

  /** A path answered for the first time, or again after it was given up. */
  pathOpened(nowMs: number, pathId: number): void {
    const stoodStill = this.standsStill
    this.#validated.add(pathId)
    if (this.#validated.size >= this.#context.needed()) this.#hadAll = true
    if (stoodStill && this.#hadPath) this.lookEverywhere(nowMs)
    this.#pathlessSinceMs = undefined
    this.#hadPath = true
  }

  /** A path failed, or was closed. */
  pathGone(nowMs: number, pathId: number): void {
    const stoodStill = this.standsStill
    this.#validated.delete(pathId)
    if (!this.#context.isOpen()) return
    if (this.#validated.size === 0) this.#lostAll(nowMs)
    else if (this.standsStill && !stoodStill) this.#context.stoodStill()
  }

  /** We gave a path up ourselves; what that means is told as its end. */
  forget(pathId: number): void {
    this.#validated.delete(pathId)
  }

  /** Something came back over a path. */
  answered(): void {
    this.#silence.answered()
    if (this.#pathlessSinceMs === undefined || this.#validated.size === 0) return
    this.#pathlessSinceMs = undefined
    this.#context.changed()
  }

  /** Some path is in doubt. @returns whether nothing was until now */
  suspect(nowMs: number): boolean {
    const fresh = this.#suspectUntilMs === 0
    this.#suspectUntilMs = nowMs + suspectMs
    this.#silence.suspect(nowMs, this.#suspectUntilMs)
    return fresh
  }

  /** Its modes could use more paths than there are. */
  short(nowMs: number): void {
    this.#shortUntilMs = nowMs + suspectMs
  }

  /** Whatever relay it is may be the one where the peer is found. */
  lookEverywhere(nowMs: number): void {
    this.#everywhereUntilMs = nowMs + everywhereMs
  }

  /** @returns whether it calmed down: what was opened in need may be given up again */
  wake(nowMs: number): boolean {
    if (nowMs >= this.#validateByMs) {
      this.#validateByMs = Number.POSITIVE_INFINITY
      if (this.#validated.size === 0) this.#lostAll(nowMs - validateMs)
    }
    if (nowMs >= this.#silence.wakeAtMs()) {
      const sinceMs = this.#silence.look(nowMs, this.#context.someAnswers())
      if (sinceMs !== undefined) this.#lostAll(sinceMs)
    }
    const suspectOver = this.#suspectUntilMs > 0 && nowMs >= this.#suspectUntilMs
    const everywhereOver = this.#everywhereUntilMs > 0 && nowMs >= this.#everywhereUntilMs
    if (suspectOver) this.#suspectUntilMs = 0
    if (everywhereOver) this.#everywhereUntilMs = 0
    return suspectOver || everywhereOver
  }

  wakeAtMs(): number {
    let atMs = Math.min(this.#validateByMs, this.#silence.wakeAtMs())
    if (this.#suspectUntilMs > 0) atMs = Math.min(atMs, this.#suspectUntilMs)
    if (this.#everywhereUntilMs > 0) atMs = Math.min(atMs, this.#everywhereUntilMs)
    return atMs
  }

  #lostAll(sinceMs: number): void {
    if (this.#pathlessSinceMs === undefined) this.#context.stoodStill()
    this.#pathlessSinceMs ??= sinceMs
    this.#context.changed()
  }
}
