/**
 * A name that is taken and asked for by a new instance (connection.md 17): the old connection is pinged on all its paths, an answer refuses
 * the new one, silence closes the old one as superseded.
 */
import type { ManagedConnection } from './managed-connection.ts'

export interface ChallengesContext {
  readonly supersedeMinMs: number
  dirty(connection: ManagedConnection): void
  refuse(nowMs: number, fresh: ManagedConnection): void
  supersede(nowMs: number, old: ManagedConnection): void
  confirm(nowMs: number, fresh: ManagedConnection): void
}

interface Challenge {
  readonly old: ManagedConnection
  readonly fresh: ManagedConnection
  readonly startedAtMs: number
  readonly untilMs: number
  /** An answer before this may have been under way when its sender died. */
  readonly countsFromMs: number
}

/** Of the shortest round trip: what was under way when its sender died arrives within half of one, a true answer needs a whole one. */
const staleShare = 0.75

export class Challenges {
  readonly #context: ChallengesContext
  /** By the old connection: of several new ones, the latest counts. */
  readonly #byOld = new Map<ManagedConnection, Challenge>()

  constructor(context: ChallengesContext) {
    this.#context = context
  }

  begin(nowMs: number, old: ManagedConnection, fresh: ManagedConnection): void {
    const earlier = this.#byOld.get(old)
    if (earlier !== undefined) this.#context.refuse(nowMs, earlier.fresh)
    let slowestMs = 0
    let nearestMs = Number.POSITIVE_INFINITY
    for (const path of old.machine.status().paths) {
      slowestMs = Math.max(slowestMs, path.srttMs ?? 0)
      nearestMs = Math.min(nearestMs, path.minRttMs ?? Number.POSITIVE_INFINITY)
    }
    const untilMs = nowMs + Math.max(this.#context.supersedeMinMs, 4 * slowestMs)
    const countsFromMs = nowMs + (Number.isFinite(nearestMs) ? staleShare * nearestMs : 0)
    this.#byOld.set(old, { old, fresh, startedAtMs: nowMs, untilMs, countsFromMs })
    old.machine.probeAll(nowMs)
    this.#context.dirty(old)
  }

  /** Refuses the new ones whose old one has answered. */
  look(nowMs: number): void {
    for (const challenge of this.#byOld.values()) {
      const answeredAtMs = challenge.old.machine.answeredSinceMs
      if (answeredAtMs <= challenge.startedAtMs || answeredAtMs < challenge.countsFromMs) continue
      this.#byOld.delete(challenge.old)
      this.#context.refuse(nowMs, challenge.fresh)
    }
  }

  wake(nowMs: number): void {
    this.look(nowMs)
    for (const { old, untilMs } of [...this.#byOld.values()]) {
      if (nowMs < untilMs) continue
      this.#context.supersede(nowMs, old)
      this.silenced(nowMs, old)
    }
  }

  /** Our own loop stood still: silence in that time says nothing. */
  postpone(nowMs: number): void {
    for (const [old, challenge] of this.#byOld)
      this.#byOld.set(old, { ...challenge, untilMs: Math.max(challenge.untilMs, nowMs + this.#context.supersedeMinMs) })
  }

  wakeAtMs(): number {
    let atMs = Number.POSITIVE_INFINITY
    if (this.#byOld.size === 0) return atMs
    for (const challenge of this.#byOld.values()) atMs = Math.min(atMs, challenge.untilMs)
    return atMs
  }

  /** The old connection is over, for whatever reason: the name is free. */
  silenced(nowMs: number, old: ManagedConnection): void {
    const challenge = this.#byOld.get(old)
    if (challenge === undefined) return
    this.#byOld.delete(old)
    if (challenge.fresh.stage === 'challenging') this.#context.confirm(nowMs, challenge.fresh)
  }

  /** The new connection is over. */
  withdrawn(fresh: ManagedConnection): void {
    for (const challenge of this.#byOld.values()) if (challenge.fresh === fresh) this.#byOld.delete(challenge.old)
  }
}
