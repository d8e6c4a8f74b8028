/** A relay that goes: since when, how its clients are told, and when it is over. */
import type { HopControl } from '@sennit/protocol'

export interface DrainPlan {
  /** Clients are to have moved by then. */
  readonly withinMs: number
  /** Over which time each chooses its moment. */
  readonly spreadMs: number
}

export class Drain {
  private readonly plan: DrainPlan
  readonly endsAtMs: number
  private idleTold = false

  constructor(nowMs: number, plan: DrainPlan) {
    this.plan = plan
    this.endsAtMs = nowMs + plan.withinMs + plan.spreadMs
  }

  /** What every client hears, also one that came while it began. */
  get notice(): HopControl {
    const { withinMs, spreadMs } = this.plan
    return { type: 'drain', withinMs, spreadMs }
  }

  /** Nobody is attached any more. @returns whether that is to be told: once */
  idle(): boolean {
    const told = this.idleTold
    this.idleTold = true
    return !told
  }
}
