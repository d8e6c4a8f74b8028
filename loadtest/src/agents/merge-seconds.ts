// The seconds of a run, put together from those of its agents: counts are added, latencies come from the sum of the histograms.
import { DurationHistogram } from '../verdict/histogram.ts'
import type { TimelineRow } from '../verdict/run-result.ts'
import type { TimelineSecond } from '../verdict/timeline.ts'

/** @param agents for each agent its seconds, in any order; one that was lost has fewer */
export function mergeSeconds(agents: readonly (readonly TimelineSecond[])[]): Omit<TimelineSecond, 'latency'>[] {
  const bySecond = new Map<number, TimelineSecond[]>()
  for (const second of agents.flat()) {
    const at = second.row.second
    const here = bySecond.get(at)
    if (here === undefined) bySecond.set(at, [second])
    else here.push(second)
  }
  return [...bySecond].sort(([a], [b]) => a - b).map(([, seconds]) => mergeSecond(seconds))
}

function mergeSecond(seconds: readonly TimelineSecond[]): Omit<TimelineSecond, 'latency'> {
  const rows = seconds.map(({ row }) => row)
  const sum = (field: { [K in keyof TimelineRow]: TimelineRow[K] extends number ? K : never }[keyof TimelineRow]): number =>
    rows.reduce((total, row) => total + row[field], 0)
  const latency = new DurationHistogram(2)
  const relays = new Map<string, number>()
  for (const second of seconds) {
    latency.add(second.latency)
    for (const [relay, paths] of second.relays) relays.set(relay, (relays.get(relay) ?? 0) + paths)
  }
  const delays = rows.map((row) => row.loopDelayMaxMs).filter((delay) => delay !== null)
  const row: TimelineRow = {
    second: rows[0]!.second,
    attached: sum('attached'),
    connected: sum('connected'),
    sentMessages: sum('sentMessages'),
    messages: sum('messages'),
    bytes: sum('bytes'),
    p50Ms: latency.at(50),
    p99Ms: latency.at(99),
    maxMs: latency.max,
    failovers: sum('failovers'),
    withoutPath: sum('withoutPath'),
    damagedBytes: sum('damagedBytes'),
    loopDelayMaxMs: delays.length === 0 ? null : Math.max(...delays),
    faults: [...new Set(rows.flatMap(({ faults }) => (faults === '' ? [] : faults.split('; '))))].join('; '),
  }
  return { row, relays: [...relays] }
}
