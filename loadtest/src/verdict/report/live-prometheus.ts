// `/metrics` while a run lasts: the names of `metrics.prom`, as far as they can be said before the end.
import type { Plan } from '../../plan.ts'
import { percentileOfBins } from '../latency-bins.ts'
import type { RunStatus } from '../run-status.ts'
import { family, type Sample, seconds } from './prometheus.ts'

const quantiles = [
  [50, '0.5'],
  [90, '0.9'],
  [99, '0.99'],
  [99.9, '0.999'],
  [100, '1'],
] as const

export function liveMetrics(plan: Plan, status: RunStatus | undefined): string {
  if (status === undefined) return family('running', '1 while the run lasts.', [[{}, 0]])(plan.name)
  const { clients, connections, damage, relays, limits, generators } = status
  const quantilesOf = (bins: RunStatus['latency'], labels: Record<string, string>): Sample[] =>
    quantiles.map(([point, quantile]) => [{ ...labels, quantile }, seconds(percentileOfBins(bins, point))])
  const ofRelay = (of: (relay: RunStatus['relays'][number]) => number | null): Sample[] =>
    relays.map((relay): Sample => [{ relay: relay.relay }, of(relay)])
  const families = [
    family('running', '1 while the run lasts.', [[{}, 1]]),
    family('duration_seconds', 'How long the run took so far.', [[{}, seconds(status.nowMs)]]),
    family('messages', 'Messages that were delivered once, in order and unchanged.', [[{}, status.messages]]),
    family('bytes', 'Payload bytes, by what became of them.', [
      [{ state: 'sent' }, status.sentBytes],
      [{ state: 'delivered' }, status.bytes],
      ...Object.entries(damage).map(([state, bytes]): Sample => [{ state }, bytes]),
    ]),
    family('clients', 'Clients, by state.', [
      [{ state: 'planned' }, plan.clients.length],
      [{ state: 'attached' }, clients.attached],
      [{ state: 'rejected' }, clients.rejected],
      [{ state: 'waiting' }, clients.planned],
      [{ state: 'detached' }, clients.detached],
    ]),
    family('connections', 'Connections, by state.', [
      [{ state: 'planned' }, plan.flows.length],
      [{ state: 'opened' }, connections.open + connections.closed + connections.broken],
      [{ state: 'failed' }, connections.failed],
      [{ state: 'reset' }, connections.broken],
      [{ state: 'open' }, connections.open],
      [{ state: 'without_path' }, connections.withoutPath],
    ]),
    family(
      'latency_seconds',
      'Latency of messages due after the warm-up, from the intended time, so far.',
      quantilesOf(status.latency, { kind: 'response' }),
    ),
    family(
      'latency_last_second_seconds',
      'Latency of the messages of the last second.',
      quantilesOf(status.latencyLastSecond, { kind: 'response' }),
    ),
    family('messages_per_second', 'Messages delivered in the last second.', [[{}, status.messagesPerSecond]]),
    family('bytes_per_second', 'Payload bytes delivered in the last second.', [[{}, status.bytesPerSecond]]),
    family('failovers', 'Ends of connections that gave a path up for another.', [[{}, status.failovers]]),
    family('faults_active', 'Fault acts in force, and those whose stalls are still looked for.', [[{}, status.faults.length]]),
    family('relay_up', '1 when a relay runs, 0 when it is down or paused; absent when it is not ours.', [
      ...ofRelay(({ state }) => (state === 'unknown' ? null : Number(state === 'up'))),
    ]),
    family(
      'relay_resident_memory_bytes',
      'Memory of a relay.',
      ofRelay(({ rssBytes }) => rssBytes),
    ),
    family(
      'relay_cpu_cores',
      'Cores that a relay uses.',
      ofRelay(({ cpu }) => cpu),
    ),
    family(
      'relay_paths',
      'Sending ends that use a relay now.',
      ofRelay(({ paths }) => paths),
    ),
    family(
      'limit_held',
      '1 when a limit holds, 0 when it is broken; absent when nobody can say yet.',
      limits.map(({ limit, severity, state }): Sample => [{ limit, severity }, state === 'open' ? null : Number(state === 'held')]),
    ),
    family(
      'limit_measured',
      'What a limit is about, as measured, in the base unit of its metric.',
      limits.map(({ limit, metric, measured, unit }): Sample => [{ limit, metric }, unit === 'ms' ? seconds(measured) : measured]),
    ),
    family(
      'generator_loop_delay_seconds',
      'Delay of the generator’s event loop in the last second.',
      generators.map(({ id, loopDelay }): Sample => [{ ...named(id), quantile: '0.99' }, seconds(percentileOfBins(loopDelay, 99))]),
    ),
    family(
      'generator_cpu_cores',
      'Cores that the generator uses.',
      generators.map(({ id, cpu }): Sample => [named(id), cpu]),
    ),
  ]
  return families.map((write) => write(plan.name)).join('')
}

function named(id: string): Record<string, string> {
  return id === '' ? {} : { agent: id }
}
