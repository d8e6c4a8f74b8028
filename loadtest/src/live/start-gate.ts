// Who attaches now, and who waits a moment. A handshake costs milliseconds at both ends; where more begin than this machine or the relays carry
// out, all of them run into their timeouts, dial again, and make it worse. So when that shows, the next begins when one before it has ended.

/** So many may always be on their way at once: far below what a timeout of a dial bears, more than a quick network needs. */
const alwaysMax = 16
/** A loop later than this has more to do than it can. */
const lateMs = 50
/** What was late is believed to be late for so long. */
const lateForMs = 1_000
/** Attaches that take this many times the quickest one, and this much longer, wait for each other and not for the network. */
const slowTimes = 2
const slowMs = 250
/** Whoever is under way for longer gives its place up: it waits for a network or a relay that is not there, and holds up nobody who could go on. */
const placeMs = 2_000
/** Share of the newest one in the mean. */
const newest = 0.1

export class StartGate {
  readonly #now: () => number
  readonly #waiting: (() => void)[] = []
  #underWay = 0
  #lateUntilMs = Number.NEGATIVE_INFINITY
  #quickestMs = Number.POSITIVE_INFINITY
  #meanMs = 0
  #over = false

  constructor(now: () => number) {
    this.#now = now
  }

  /** Clients that wait. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** The event loop was late by so much. */
  loopDelay(delayMs: number): void {
    if (delayMs > lateMs) this.#lateUntilMs = this.#now() + lateForMs
  }

  /** Resolves when it may begin, in the order of asking, with what is to be called when it is attached, or has failed. After {@link end}, at once. */
  async enter(): Promise<(attached: boolean) => void> {
    if (!this.#mayBegin()) await new Promise<void>((go) => this.#waiting.push(go))
    this.#underWay += 1
    const beganMs = this.#now()
    let holds = true
    const giveUp = (): void => {
      if (holds) this.#left()
      holds = false
    }
    const timer = setTimeout(giveUp, placeMs)
    return (attached) => {
      clearTimeout(timer)
      if (attached) this.#took(this.#now() - beganMs)
      giveUp()
    }
  }

  /** Nobody waits any more. */
  end(): void {
    this.#over = true
    for (const go of this.#waiting.splice(0)) go()
  }

  #took(tookMs: number): void {
    this.#quickestMs = Math.min(this.#quickestMs, tookMs)
    this.#meanMs += newest * (tookMs - this.#meanMs)
  }

  #left(): void {
    this.#underWay -= 1
    // Those that are let go now count as under way only when they run: one for each that left, and one more while there is room.
    for (let room = this.#mayBegin() ? 2 : 0; room > 0 && this.#waiting.length > 0; room -= 1) this.#waiting.shift()!()
  }

  #mayBegin(): boolean {
    if (this.#over || this.#underWay < alwaysMax) return true
    const slow = this.#meanMs > slowTimes * this.#quickestMs + slowMs
    return !slow && this.#now() >= this.#lateUntilMs
  }
}
