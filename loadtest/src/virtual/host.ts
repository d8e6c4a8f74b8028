// A simulated process: it takes input in turns as an event loop does, has its own clock, can be paused, can end and start again.
import { Timer } from './event-heap.ts'
import { type World, worldEpochMs } from './world.ts'

/** Two clocks never agree: where a host's clock stands and how it drifts. */
export interface HostClock {
  readonly offsetMs: number
  /** Milliseconds of the host a millisecond of the world. */
  readonly rate: number
}

export interface HostOptions {
  readonly clock?: HostClock
  /** How long a turn of its event loop waits for more input before effects are drained. @default 0 */
  readonly turnMs?: number
}

export abstract class Host {
  readonly world: World
  readonly name: string
  /** `paused`: the process is stopped (SIGSTOP, a sleeping laptop). `down`: there is none. */
  state: 'running' | 'paused' | 'down' = 'running'
  #rate: number
  /** What its machine's clock will be off by when its process starts again: a running one has a steady clock that does not jump. */
  #jumpMs = 0
  readonly #turnMs: number
  #offsetMs: number
  #lastNowMs = 0
  #turnDue = false
  readonly #timer = new Timer(() => this.#timeCame())
  #life = 0
  #waiting: (() => void)[] = []

  constructor(world: World, name: string, options: HostOptions) {
    this.world = world
    this.name = name
    this.#offsetMs = options.clock?.offsetMs ?? 0
    this.#rate = options.clock?.rate ?? 1
    this.#turnMs = options.turnMs ?? 0
  }

  /** What this host takes for the time; never goes back. */
  now(): number {
    this.#lastNowMs = Math.max(this.#lastNowMs, worldEpochMs + this.#offsetMs + this.world.nowMs * this.#rate)
    return this.#lastNowMs
  }

  /** Its clock goes forward at once. */
  jumpClock(ms: number): void {
    this.#offsetMs += ms
  }

  /** The clock of its machine jumps: the process, whose clock is steady, takes that over when it starts again. */
  jumpClockLater(ms: number): void {
    this.#jumpMs += ms
  }

  /** From now on its clocks gain so much: 1.01 is 10 ms a second. */
  drift(rate: number): void {
    const { nowMs } = this.world
    this.#offsetMs += nowMs * (this.#rate - rate)
    this.#rate = rate
    this.touch()
  }

  get running(): boolean {
    return this.state === 'running'
  }

  /** Something came in: effects are drained in this turn. */
  touch(): void {
    if (this.#turnDue || this.state !== 'running') return
    this.#turnDue = true
    const life = this.#life
    const turn = (): void => {
      if (life === this.#life) this.#turn()
    }
    if (this.#turnMs === 0) this.world.atOnce(turn)
    else this.world.after(this.#turnMs, turn)
  }

  /** Runs now, or as soon as the process goes on; never, when it ends before. */
  whenRunning(run: () => void): void {
    if (this.state === 'running') run()
    else if (this.state === 'paused') this.#waiting.push(run)
  }

  protected stopped(): void {
    this.state = 'down'
    this.#forget()
  }

  protected started(): void {
    this.#forget()
    if (this.#jumpMs !== 0) {
      this.#offsetMs += this.#jumpMs
      this.#jumpMs = 0
      // A new process remembers no later time.
      this.#lastNowMs = 0
    }
    this.state = 'running'
    this.touch()
  }

  protected paused(): void {
    this.state = 'paused'
    this.#turnDue = false
    this.#arm(undefined)
    this.#life += 1
  }

  protected resumed(): void {
    this.state = 'running'
    for (const run of this.#waiting.splice(0)) run()
    this.touch()
  }

  protected abstract wakeMachine(nowMs: number): void
  protected abstract wakeAtMs(): number | undefined
  protected abstract drain(): void

  #forget(): void {
    this.#life += 1
    this.#turnDue = false
    this.#arm(undefined)
    this.#waiting = []
  }

  #turn(): void {
    this.#turnDue = false
    if (this.state !== 'running') return
    this.drain()
    if (this.state === 'running') this.#arm(this.wakeAtMs())
  }

  #arm(atMs: number | undefined): void {
    this.world.set(this.#timer, atMs === undefined ? Number.POSITIVE_INFINITY : (atMs - worldEpochMs - this.#offsetMs) / this.#rate)
  }

  #timeCame(): void {
    const dueAtMs = this.wakeAtMs()
    if (dueAtMs === undefined) return
    const nowMs = this.now()
    // The two clocks round differently; a due time within a microsecond has come.
    if (dueAtMs > nowMs + 0.001) {
      this.#arm(dueAtMs)
      return
    }
    this.#lastNowMs = Math.max(nowMs, dueAtMs)
    this.wakeMachine(this.#lastNowMs)
    this.world.happened('wake', this.name)
    this.touch()
  }
}
