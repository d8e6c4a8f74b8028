/** How closely the round trip to a relay is watched beside its heartbeat: thrice right after attaching, and while something of ours goes through it. */

/** One sample is noise, three in two seconds are a first opinion. */
const earlyProbesMs = [0, 400, 1_500] as const

/** A relay in use is pinged this often even when its heartbeat is slow: the pace of a normal one. */
const busyProbeMs = 15_000

export class LegWatch {
  readonly #changed: () => void
  #saver = false
  #busy = false
  #earlyDone = 0
  #lastAtMs = 0

  /** @param changed tells that {@link nextAtMs} may be another one */
  constructor(changed: () => void) {
    this.#changed = changed
  }

  /** Slow heartbeats for the far ones, from the next dial on. */
  set saver(saver: boolean) {
    if (saver === this.#saver) return
    this.#saver = saver
    this.#changed()
  }

  /** Something of ours goes through it: it is watched closely, whatever its heartbeat. */
  set busy(busy: boolean) {
    if (busy === this.#busy) return
    this.#busy = busy
    this.#changed()
  }

  get heartbeat(): 'normal' | 'saver' {
    return this.#saver ? 'saver' : 'normal'
  }

  /** Attached anew: the early ones begin. */
  restart(): void {
    this.#earlyDone = 0
  }

  /** One that was due is done. */
  done(): void {
    this.#earlyDone += 1
  }

  measured(nowMs: number): void {
    this.#lastAtMs = nowMs
  }

  nextAtMs(attachedAtMs: number): number {
    const early = earlyProbesMs[this.#earlyDone]
    if (early !== undefined) return attachedAtMs + early
    return this.#busy && this.#saver ? this.#lastAtMs + busyProbeMs : Number.POSITIVE_INFINITY
  }
}
