// Zones whose clocks are wrong: every machine of them, relays and clients, goes by the same wrong time. What measures goes by the right one.
import type { Plan } from './plan.ts'

/** How wrong a clock is. */
export interface Clock {
  /** Ahead of the right time. */
  readonly offsetMs: number
  /** 0.01 gains 10 ms a second. */
  readonly drift: number
}

/** The clock of a zone; undefined when it is right. */
export function clockOfZone({ zones }: Pick<Plan, 'zones'>, zone: string): Clock | undefined {
  const found = zones.find((one) => one.zone === zone)
  if (found?.clockOffsetMs === undefined && found?.clockDrift === undefined) return undefined
  return { offsetMs: found.clockOffsetMs ?? 0, drift: found.clockDrift ?? 0 }
}
