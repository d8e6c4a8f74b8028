/**
 * One dial of one relay: its URLs and carriers raced 250 ms apart, the pair that won last time first (RFC 8305). Each runner has a hop link
 * of its own, because the first handshake bytes name the carrier and ride in the carrier's first request.
 */
import type { HopLink } from '@sennit/protocol'
import type { ClientTuning } from '../client/tuning.ts'

/** One way to reach a relay. */
export interface DialTarget {
  readonly url: string
  readonly carrier: string
}

/** One carrier being opened, or the one that won. */
export interface Runner extends DialTarget {
  readonly key: number
  readonly link: HopLink
  deadlineMs: number
}

/** All ways of an entry in the order to try them: the last winner, then the preferred carrier on every URL, then the next carrier. */
export function dialTargets(urls: readonly string[], carriers: readonly string[], winner: DialTarget | undefined): DialTarget[] {
  const targets = carriers.flatMap((carrier) => urls.map((url) => ({ url, carrier })))
  if (winner === undefined) return targets
  const first = targets.filter((target) => same(target, winner))
  return [...first, ...targets.filter((target) => !same(target, winner))]
}

/** Starts runners one after the other until one is told to have won. */
export class DialRace {
  readonly #tuning: ClientTuning
  readonly #targets: DialTarget[]
  readonly #start: (target: DialTarget) => Runner
  readonly #runners = new Map<number, Runner>()
  #nextAtMs: number
  /** What the last runner that failed said. */
  lastFailure: { code: string; message: string } = { code: 'dial_failed', message: 'the relay has no address' }

  constructor(tuning: ClientTuning, targets: DialTarget[], start: (target: DialTarget) => Runner, nowMs: number) {
    this.#tuning = tuning
    this.#targets = targets
    this.#start = start
    this.#nextAtMs = nowMs
  }

  /** Every runner failed and none is left to start. */
  get lost(): boolean {
    return this.#targets.length === 0 && this.#runners.size === 0
  }

  /** Runners still running. */
  runners(): Iterable<Runner> {
    return this.#runners.values()
  }

  runner(key: number): Runner | undefined {
    return this.#runners.get(key)
  }

  /** The process has too many dials under way for this one to begin, or begins it: until then it cannot be late, and no other carrier would be sooner. */
  waits(nowMs: number, key: number, waits: boolean): void {
    const runner = this.#runners.get(key)
    if (runner === undefined) return
    runner.deadlineMs = waits ? Number.POSITIVE_INFINITY : nowMs + this.#tuning.dialTimeoutMs
    this.#nextAtMs = waits ? Number.POSITIVE_INFINITY : nowMs + this.#tuning.raceStepMs
  }

  /** The carrier is open: the handshake has its own time. */
  opened(nowMs: number, key: number): void {
    const runner = this.#runners.get(key)
    if (runner !== undefined) runner.deadlineMs = nowMs + this.#tuning.establishTimeoutMs
  }

  /** A runner failed; the next one starts at once. Where nothing listens, no other carrier to the same place will find anything either. */
  failed(nowMs: number, key: number, code: string, message: string): void {
    const failed = this.#runners.get(key)
    if (failed === undefined) return
    this.#runners.delete(key)
    if (code === 'dial_failed') {
      const elsewhere = this.#targets.filter((target) => target.url !== failed.url)
      this.#targets.splice(0, this.#targets.length, ...elsewhere)
    }
    this.lastFailure = { code, message }
    this.#nextAtMs = nowMs
  }

  /** Starts what is due and returns the runners whose time is over, already taken out. */
  wake(nowMs: number): Runner[] {
    const late: Runner[] = []
    for (const runner of this.#runners.values()) {
      if (nowMs < runner.deadlineMs) continue
      late.push(runner)
      this.failed(nowMs, runner.key, 'dial_timeout', `no answer from ${runner.url} over ${runner.carrier} in time`)
    }
    while (this.#targets.length > 0 && nowMs >= this.#nextAtMs) {
      const runner = this.#start(this.#targets.shift()!)
      this.#runners.set(runner.key, runner)
      this.#nextAtMs = nowMs + this.#tuning.raceStepMs
    }
    return late
  }

  /** Our own loop stood still: no runner is late because of that. */
  postpone(nowMs: number): void {
    for (const runner of this.#runners.values()) runner.deadlineMs = Math.max(runner.deadlineMs, nowMs + ownPauseMs)
  }

  wakeAtMs(): number {
    let atMs = this.#targets.length > 0 ? this.#nextAtMs : Number.POSITIVE_INFINITY
    for (const runner of this.#runners.values())
      atMs = Math.min(atMs, runner.deadlineMs, runner.link.wakeAtMs() ?? Number.POSITIVE_INFINITY)
    return atMs
  }
}

/** A pause this long is noticed by the shell; sockets are read well within it. */
const ownPauseMs = 500

function same(left: DialTarget, right: DialTarget): boolean {
  return left.url === right.url && left.carrier === right.carrier
}
