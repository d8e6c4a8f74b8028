// What is happening on all agents together, as verdict/run-status.ts says how statuses merge.
import { type Bins, percentileOfBins } from '../verdict/latency-bins.ts'
import type { RunStatus } from '../verdict/run-status.ts'

const stages: readonly RunStatus['stage'][] = ['warmup', 'load', 'drain']

/** @param own what the coordinator says itself: relays' processes, faults, what comes next, and how limits stand */
export function mergeStatuses(own: RunStatus, agents: readonly { readonly id: string; readonly status: RunStatus }[]): RunStatus {
  const statuses = agents.map(({ status }) => status)
  const sum = (of: (status: RunStatus) => number): number => statuses.reduce((total, status) => total + of(status), 0)
  const added = <K extends string>(of: (status: RunStatus) => Readonly<Record<K, number>>): Readonly<Record<K, number>> =>
    Object.fromEntries((Object.keys(of(own)) as K[]).map((key) => [key, sum((status) => of(status)[key])])) as Record<K, number>
  const latencyLastSecond = addBins(statuses.map((status) => status.latencyLastSecond))
  return {
    nowMs: own.nowMs,
    stage: stages[Math.min(...statuses.map(({ stage }) => stages.indexOf(stage)), stages.length - 1)] ?? own.stage,
    phases: [...new Set(statuses.flatMap(({ phases }) => phases))],
    rampPaused: statuses.some(({ rampPaused }) => rampPaused),
    clients: added(({ clients }) => clients),
    connections: added(({ connections }) => connections),
    attached: sum(({ attached }) => attached),
    rejected: sum(({ rejected }) => rejected),
    connected: sum(({ connected }) => connected),
    withoutPath: sum(({ withoutPath }) => withoutPath),
    sentMessages: sum(({ sentMessages }) => sentMessages),
    sentBytes: sum(({ sentBytes }) => sentBytes),
    messages: sum(({ messages }) => messages),
    bytes: sum(({ bytes }) => bytes),
    sentPerSecond: sum(({ sentPerSecond }) => sentPerSecond),
    messagesPerSecond: sum(({ messagesPerSecond }) => messagesPerSecond),
    bytesPerSecond: sum(({ bytesPerSecond }) => bytesPerSecond),
    latencyLastSecond,
    latency: addBins(statuses.map(({ latency }) => latency)),
    p99Ms: percentileOfBins(latencyLastSecond, 99),
    damage: added(({ damage }) => damage),
    failovers: sum(({ failovers }) => failovers),
    faults: [...new Set([...own.faults, ...statuses.flatMap(({ faults }) => faults)])],
    next: own.next,
    relays: own.relays.map((relay) => ({
      ...relay,
      paths: sum(({ relays }) => relays.find((one) => one.relay === relay.relay)?.paths ?? 0),
    })),
    limits: own.limits,
    generators: agents.flatMap(({ id, status }) => status.generators.map((generator) => ({ ...generator, id }))),
  }
}

function addBins(all: readonly Bins[]): Bins {
  const sums = new Map<number, number>()
  for (const bins of all) for (let at = 0; at + 1 < bins.length; at += 2) sums.set(bins[at]!, (sums.get(bins[at]!) ?? 0) + bins[at + 1]!)
  return [...sums].sort(([a], [b]) => a - b).flat()
}
