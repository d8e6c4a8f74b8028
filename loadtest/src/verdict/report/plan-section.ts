// The plan and the surroundings of a run, so that a reader needs no workbook to know what was tested.
import type { Distribution, Plan } from '../../plan.ts'
import type { RunResult } from '../run-result.ts'
import { bytes, count, duration, moment } from './format.ts'
import { facts, table } from './table.ts'

export function planSection(result: RunResult): string {
  const { plan, summary, startedAt } = result
  const { environment, generator } = summary
  return `<section aria-labelledby="plan"><h2 id="plan">Plan and environment</h2>
<div class="two">
<div class="box"><h3>Run</h3>${facts([
    ['started', startedAt],
    ['duration', `${moment(plan.run.durationMs)} of load, ${moment(plan.run.warmupMs)} of it warm-up`],
    ['drain', `at most ${moment(plan.run.drainMs)}`],
    ['seed', String(summary.seed)],
    ['plan hash', summary.planHash],
    ['again', `the same workbook with --seed ${summary.seed}`],
    [
      'connections',
      `${summary.connections.opened} of ${summary.connections.planned} opened, ${summary.connections.failed} failed, ${summary.connections.reset} reset`,
    ],
    ['clients', `${summary.clients.attached} of ${summary.clients.planned} attached, ${summary.clients.rejected} rejected`],
  ])}</div>
<div class="box"><h3>Environment</h3>${facts([
    ['engine', summary.engine],
    ...Object.entries(environment).map(([name, value]) => [name, name === 'memoryBytes' ? bytes(Number(value)) : String(value)] as const),
    ['event loop p99', duration(generator.loopDelayP99Ms)],
    ['generator CPU, most', generator.cpu === null ? '–' : `${generator.cpu} cores`],
  ])}</div>
</div>
${trafficTable(plan)}
${linkTable(plan)}
</section>`
}

interface Traffic {
  readonly profile: string
  readonly rate: number
  readonly size: string
  readonly paths: string
  readonly carrier: string
  connections: number
}

/** Sending ends that are alike, in one row. */
function trafficTable({ flows, clients }: Plan): string {
  const kinds = new Map<string, Traffic>()
  for (const { from, messagesPerSecond, size } of flows.flatMap(({ directions }) => directions)) {
    const { profile, paths, carrier } = clients[from]!
    const row = { profile, rate: messagesPerSecond, size: sizeText(size), paths: paths || 'best', carrier }
    const key = Object.values(row).join('\n')
    const kept = kinds.get(key) ?? { ...row, connections: 0 }
    kept.connections += 1
    kinds.set(key, kept)
  }
  return table(
    'What clients send, one row for sending ends that are alike',
    [
      { name: 'profile', cell: (row) => row.profile || '–' },
      { name: 'sending ends', kind: 'n', cell: (row) => count(row.connections) },
      { name: 'messages/s each', kind: 'n', cell: (row) => String(Math.round(row.rate * 100) / 100) },
      { name: 'message size', cell: (row) => row.size },
      { name: 'paths', cell: (row) => row.paths },
      { name: 'carrier', cell: (row) => row.carrier },
    ],
    [...kinds.values()],
  )
}

function sizeText(size: Distribution): string {
  switch (size.kind) {
    case 'const':
      return bytes(size.value)
    case 'uniform':
      return `${bytes(size.from)} to ${bytes(size.to)}`
    case 'normal':
      return `${bytes(size.mean)} ± ${bytes(size.deviation)}`
    case 'lognormal':
      return `log-normal around ${bytes(size.median)}`
    case 'exp':
      return `exponential, mean ${bytes(size.mean)}`
    case 'mix':
      return size.parts.map(({ value, share }) => `${Math.round(share * 100)} % ${bytes(value)}`).join(', ')
  }
}

function linkTable({ links, zones }: Plan): string {
  if (links.length === 0) return ''
  const label = (zone: string): string => zones.find((one) => one.zone === zone)?.label || zone
  return table(
    'What is planted between zones',
    [
      { name: 'from', cell: (row) => label(row.from) },
      { name: 'to', cell: (row) => label(row.to) },
      { name: 'round trip', kind: 'n', cell: (row) => duration(row.rttMs) },
      { name: 'jitter', kind: 'n', cell: (row) => duration(row.jitterMs) },
    ],
    links,
  )
}
