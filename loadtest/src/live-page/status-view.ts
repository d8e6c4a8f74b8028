// What the terminal screen and the live page show of a status: the same figures, worked out in one place.
import { type Bins, percentileOfBins } from '../verdict/latency-bins.ts'
import type { LimitStatus, RelayStatus, RunStatus } from '../verdict/run-status.ts'

export interface StatusView {
  /** Response times in ms: `[percentile, in the last second, so far]`. */
  readonly latencies: readonly (readonly [name: string, lastSecond: number | null, soFar: number | null])[]
  readonly damage: string
  /** Of all generators, the worst. */
  readonly loopDelayP99Ms: number | null
  /** Of all generators together. */
  readonly cpu: number | null
  /** `share` of all active paths; null when there are none. */
  readonly relays: readonly (RelayStatus & { readonly share: number | null })[]
  /** The broken first, then those that are open. */
  readonly limits: readonly LimitStatus[]
  readonly limitCounts: Readonly<Record<LimitStatus['state'], number>>
}

const points: readonly (readonly [string, number])[] = [
  ['p50', 50],
  ['p90', 90],
  ['p99', 99],
  ['p99.9', 99.9],
  ['max', 100],
]

const order = { broken: 0, open: 1, held: 2 }

export function viewOf(status: RunStatus): StatusView {
  const { latencyLastSecond, latency, damage, generators, relays, limits } = status
  const wrong = Object.entries(damage).filter(([, bytes]) => bytes > 0)
  const paths = relays.reduce((sum, relay) => sum + relay.paths, 0)
  const cpus = generators.map(({ cpu }) => cpu).filter((cpu) => cpu !== null)
  const limitCounts = { held: 0, broken: 0, open: 0 }
  for (const { state } of limits) limitCounts[state] += 1
  return {
    latencies: points.map(([name, point]) => [name, percentileOfBins(latencyLastSecond, point), percentileOfBins(latency, point)]),
    damage: wrong.length === 0 ? 'nothing lost, doubled, moved or changed' : wrong.map(([kind, bytes]) => `${bytes} B ${kind}`).join(', '),
    loopDelayP99Ms: worst(generators.map(({ loopDelay }) => loopDelay)),
    cpu: cpus.length === 0 ? null : cpus.reduce((sum, cpu) => sum + cpu, 0),
    relays: relays.map((relay) => ({ ...relay, share: paths === 0 ? null : relay.paths / paths })),
    limits: [...limits].sort((a, b) => order[a.state] - order[b.state]),
    limitCounts,
  }
}

function worst(delays: readonly Bins[]): number | null {
  const values = delays.map((bins) => percentileOfBins(bins, 99)).filter((value) => value !== null)
  return values.length === 0 ? null : Math.max(...values)
}
