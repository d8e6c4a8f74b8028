// Which moments belong to the window of a limit. Windows of faults follow what really happened, not the plan: an act that began late shades later.
import type { FaultAct, LimitWindow, Plan } from '../plan.ts'

/** What really happened to one act. */
export interface ActTimes {
  readonly act: FaultAct
  startMs: number | null
  endMs: number | null
}

/** After a fault the run is not `steady` again until this long after it was healed: the time in which a stall is looked for. */
export const unsettledMs = 10_000

/** Whether a moment (the time a message was due, or now) lies in the window, as far as is known now. */
export function inWindow(window: LimitWindow, atMs: number, plan: Plan, acts: readonly ActTimes[]): boolean {
  if (atMs < plan.run.warmupMs || atMs >= plan.run.durationMs) return false
  switch (window.kind) {
    case 'run':
      return true
    case 'steady':
      return !acts.some(
        ({ startMs, endMs }) => startMs !== null && atMs >= startMs && atMs < (endMs ?? Number.POSITIVE_INFINITY) + unsettledMs,
      )
    case 'during':
      return acts.some(
        ({ act, startMs, endMs }) =>
          act.fault === window.fault && startMs !== null && atMs >= startMs && atMs < (endMs ?? Number.POSITIVE_INFINITY),
      )
    case 'phase':
      return plan.phases?.some(({ phase, startMs, endMs }) => phase === window.phase && atMs >= startMs && atMs < endMs) ?? false
    case 'after':
      return isAfter(window.fault, window.delayMs, atMs, acts)
  }
}

/** The newest act of the fault that is healed and waited for decides; any act that began since ends its window. */
function isAfter(fault: string, delayMs: number, atMs: number, acts: readonly ActTimes[]): boolean {
  let from = Number.NEGATIVE_INFINITY
  for (const { act, startMs, endMs } of acts) {
    if (act.fault === fault && startMs !== null && endMs !== null && endMs + delayMs <= atMs) from = Math.max(from, endMs)
  }
  return from !== Number.NEGATIVE_INFINITY && !acts.some(({ startMs }) => startMs !== null && startMs >= from && startMs <= atMs)
}

/** `expect survive` is broken by a connection that is longer than this without a path. */
export const survivalMs = 10_000
