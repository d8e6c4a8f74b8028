// `abort_if` of a fault: what must not be so when it begins, and what ends it at once while it lasts. A drill that makes things worse than it was
// meant to is taken back, not looked on at.
import { conditionQuantities, type FaultAct, type HaltCondition, type HaltQuantity } from '../plan.ts'
import { compare, limitState, measureLimit } from './limits.ts'
import type { RunRecorder } from './run-recorder.ts'
import { survivalMs } from './windows.ts'

/** Why the act must not be, in words; undefined: it may. */
export function whyHalted(recorder: RunRecorder, { haltIf = [] }: Pick<FaultAct, 'haltIf'>, nowMs: number): string | undefined {
  for (const condition of haltIf) {
    const why = 'limit' in condition ? ofLimit(recorder, condition.limit, nowMs) : ofQuantity(recorder, condition, nowMs)
    if (why !== undefined) return why
  }
  return undefined
}

function ofLimit(recorder: RunRecorder, name: string, nowMs: number): string | undefined {
  const limit = recorder.plan.limits.find((one) => one.limit === name)
  if (limit === undefined) return undefined
  const result = measureLimit(limit, recorder, nowMs)
  return limitState(limit, result) === 'broken' ? `limit ${name} is broken` : undefined
}

function ofQuantity(
  recorder: RunRecorder,
  { quantity, op, value, share, text }: Exclude<HaltCondition, { limit: string }>,
  nowMs: number,
): string | undefined {
  const now = quantityNow(recorder, quantity, nowMs)
  if (now === null) return undefined
  const { of } = conditionQuantities[quantity]
  const whole = of === 'clients' ? recorder.plan.clients.length : recorder.plan.flows.length
  const measured = share === true ? now / Math.max(1, whole) : now
  if (!compare(measured, op, value)) return undefined
  return `${quantity} is ${share === true ? `${Math.round(measured * 1000) / 10}%` : Math.round(measured * 100) / 100} (abort_if ${text})`
}

function quantityNow(recorder: RunRecorder, quantity: HaltQuantity, nowMs: number): number | null {
  const { flows, clients, timeline, damage } = recorder
  const last = timeline.rows.at(-1)
  const open = flows.filter(({ state }) => state === 'open')
  switch (quantity) {
    case 'damaged':
      return damage.lost + damage.duplicated + damage.reordered + damage.corrupted + damage.unexpected
    case 'never_recovered':
      return flows.filter(
        ({ state, withoutPathSinceMs }) =>
          state === 'broken' || (state === 'open' && withoutPathSinceMs !== null && nowMs - withoutPathSinceMs > survivalMs),
      ).length
    case 'without_path':
      return open.filter(({ withoutPathSinceMs }) => withoutPathSinceMs !== null).length
    case 'connected':
      return open.length
    case 'attached':
      return clients.filter(({ state }) => state === 'attached').length
    case 'relays_up': {
      const known = [...recorder.relaysNow.values()]
      return known.length === 0 ? null : known.filter(({ state }) => state === 'up').length
    }
    case 'p99':
      return last?.p99Ms ?? null
    case 'throughput':
      return last?.messages ?? null
  }
}
