// How much slower a fault or a bad client made those that it did not touch: their p99 while it lasted, against the p99 of quiet times.
import type { Limit, Plan } from '../plan.ts'
import type { ActRecord } from './act-record.ts'
import { type Bins, countOf, LatencyBins, percentileOfBins } from './latency-bins.ts'
import { connectionFilter, filterKey } from './limit-filter.ts'
import { unsettledMs } from './windows.ts'

/** A p99 of fewer messages is the largest of them. */
const messagesMin = 200

/** Limit, quiet times, and while faults lasted: as data. */
export type BystanderState = readonly [string, Bins, Bins]

interface Kept {
  readonly counts: (flow: number) => boolean
  readonly limit: Limit
  readonly quiet: LatencyBins
  readonly during: LatencyBins
}

export class Bystanders {
  readonly #plan: Plan
  readonly #acts: readonly ActRecord[]
  readonly #kept = new Map<string, Kept>()

  constructor(plan: Plan, acts: readonly ActRecord[]) {
    this.#plan = plan
    this.#acts = acts
    for (const limit of plan.limits) {
      if (limit.metric !== 'bystander_p99_ratio') continue
      const counts = connectionFilter(plan, limit) ?? (() => true)
      this.#kept.set(keyOf(limit), { counts, limit, quiet: new LatencyBins(), during: new LatencyBins() })
    }
  }

  /** A message that arrived. It belongs to the moment it was due. */
  message(dueMs: number, flow: number, responseMs: number): void {
    if (this.#kept.size === 0 || dueMs < this.#plan.run.warmupMs) return
    const around = this.#acts.filter(
      ({ startMs, endMs }) => startMs !== null && dueMs >= startMs && dueMs < (endMs ?? Number.POSITIVE_INFINITY) + unsettledMs,
    )
    for (const { counts, limit, quiet, during } of this.#kept.values()) {
      if (!counts(flow)) continue
      if (around.length === 0) quiet.record(responseMs)
      // Who is still recovering from any act is no bystander of this one.
      else if (around.some((act) => isMeant(limit, act)) && !around.some((act) => act.affects(flow))) during.record(responseMs)
    }
  }

  state(): BystanderState[] {
    return [...this.#kept].map(([key, { quiet, during }]) => [key, quiet.read(), during.read()])
  }

  /** Adds what another recorder of the same plan kept. */
  add(states: readonly BystanderState[]): void {
    for (const [key, quiet, during] of states) {
      this.#kept.get(key)?.quiet.add(quiet)
      this.#kept.get(key)?.during.add(during)
    }
  }

  /** null with a word when it cannot be said. */
  ratio(limit: Limit): { readonly value: number | null; readonly remark: string } {
    const kept = this.#kept.get(keyOf(limit))
    if (kept === undefined) return { value: null, remark: 'not kept' }
    const [quiet, during] = [kept.quiet.read(), kept.during.read()]
    const few = (bins: Bins, when: string): string | undefined =>
      countOf(bins) < messagesMin ? `expected at least ${messagesMin} messages ${when}; found ${countOf(bins)}` : undefined
    const remark = few(quiet, 'in quiet times') ?? few(during, 'of connections that no fault touched, while one lasted')
    if (remark !== undefined) return { value: null, remark }
    return { value: percentileOfBins(during, 99)! / percentileOfBins(quiet, 99)!, remark: '' }
  }
}

function isMeant({ actions, faults, window }: Limit, { act }: ActRecord): boolean {
  if (window.kind === 'during' && act.fault !== window.fault) return false
  return actions.length + faults.length === 0 || actions.includes(act.action) || faults.includes(act.fault)
}

function keyOf(limit: Limit): string {
  const { window, actions, faults } = limit
  return [filterKey(limit), window.kind === 'during' ? window.fault : '', actions.join(','), faults.join(',')].join('|')
}
