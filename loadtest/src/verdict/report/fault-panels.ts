// What each fault did, connection by connection. A panel is shown when its fault is clicked (or followed by keyboard) in a chart or in the table: the
// address of the page names it, so that it works without a script and can be sent to somebody. On paper all are shown.
import type { ActImpacts, FaultLogRow, ImpactRow, RunResult } from '../run-result.ts'
import { count, duration, html, moment } from './format.ts'
import { badge, facts, table } from './table.ts'

/** Where the panel of an act stands. */
export function panelLink(act: number): string {
  return `#act-${act}`
}

export function faultPanels({ faultLog, impacts }: RunResult): string {
  return `<p class="soft small screen">Click a fault in a chart, or its name in the table, to see its fail-overs.</p>
${faultLog.map((row, index) => panel(row, impacts[index])).join('\n')}`
}

function panel(row: FaultLogRow, impacts: ActImpacts | undefined): string {
  const { act } = row
  const name = `${act.fault} ${act.action} ${row.target}`
  const { rows, leftOut } = impacts ?? { rows: [], leftOut: 0 }
  const healed = act.heal === 'never' ? 'never, as planned' : moment(row.healedAtMs)
  return `<section class="act box" id="act-${act.act}" aria-label="${html(`fail-overs of ${name}`)}">
<h3>${html(name)}</h3>
${facts([
  ['planned', `at ${moment(act.atMs)}${act.durationMs > 0 ? ` for ${duration(act.durationMs)}` : ''}, expect ${act.expect}`],
  ['begun', row.actualAtMs === null ? 'it did not happen' : moment(row.actualAtMs)],
  ['healed', healed],
  ['receipt', [row.receipt, row.healReceipt].filter((text) => text !== '').join('; ') || '–'],
])}
${rows.length === 0 ? '<p class="soft">It hit no connection.</p>' : connections(rows, leftOut, name)}
<p class="small screen"><a href="#time">Back to the charts</a></p>
</section>`
}

function connections(rows: readonly ImpactRow[], leftOut: number, name: string): string {
  const more = leftOut === 0 ? '' : `, the worst ${rows.length} of ${rows.length + leftOut}`
  return table(
    `Connections that ${name} hit${more}: times after it began`,
    [
      { name: 'caller', cell: (row) => row.caller },
      { name: 'listener', cell: (row) => row.listener },
      { name: 'detected', kind: 'n', cell: (row) => duration(row.detectMs) },
      { name: 'first message', kind: 'n', cell: (row) => duration(row.failoverMs) },
      { name: 'back to rate', kind: 'n', cell: (row) => duration(row.recoverToRateMs) },
      { name: 'stall', kind: 'n', cell: (row) => duration(row.stallMs) },
      { name: 'fail-overs in the run', kind: 'n', cell: (row) => count(row.failovers) },
      {
        name: '',
        kind: 'html',
        cell: ({ neverRecovered }) => (neverRecovered ? badge('never recovered', 'bad') : badge('recovered', 'good')),
      },
    ],
    rows,
  )
}
