// The processes that ran the clients, where there were several.
import type { RunResult } from '../run-result.ts'
import { duration } from './format.ts'
import { badge, table } from './table.ts'

/** '' for a run of one process: the plan section says what there is to say of it. */
export function agentsSection({ summary }: RunResult): string {
  const { agents = [] } = summary
  if (agents.length === 0 || (agents.length === 1 && agents[0]!.host === '')) return ''
  return `<section aria-labelledby="agents"><h2 id="agents">Agents</h2>
${table(
  'Processes that ran the clients; clocks are theirs against the coordinator’s',
  [
    { name: 'agent', cell: ({ id }) => id },
    { name: 'zone', cell: ({ zone }) => (zone === '' ? 'any' : zone) },
    { name: 'host', cell: ({ host }) => host },
    { name: 'clients', kind: 'n', cell: ({ clients }) => String(clients) },
    { name: 'event loop p99', kind: 'n', cell: ({ loopDelayP99Ms }) => duration(loopDelayP99Ms) },
    { name: 'CPU, most', kind: 'n', cell: ({ cpu }) => (cpu === null ? '–' : `${cpu} cores`) },
    {
      name: 'clock',
      kind: 'n',
      cell: ({ clockOffsetMs, clockErrorMs }) =>
        clockOffsetMs === null || clockErrorMs === null ? '–' : `${clockOffsetMs.toFixed(2)} ± ${clockErrorMs.toFixed(2)} ms`,
    },
    { name: '', kind: 'html', cell: ({ lost }) => (lost ? badge('lost', 'bad') : badge('told all', 'good')) },
  ],
  agents,
)}</section>`
}
