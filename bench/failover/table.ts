/** The scorecard as a Markdown table, for the terminal and the page. */
import type { FaultName } from './faults.ts'
import type { Results, Row } from './results.ts'

const order: readonly FaultName[] = ['kill', 'freeze', 'cut', 'term', 'reset']

/** Rows by system, faults in a fixed order. */
export function sortedRows(rows: readonly Row[]): Row[] {
  const systems = [...new Set(rows.map(nameOf))].sort((a, b) => placeOf(a) - placeOf(b) || a.localeCompare(b))
  return systems.flatMap((system) =>
    rows.filter((row) => nameOf(row) === system).sort((a, b) => order.indexOf(a.fault) - order.indexOf(b.fault)),
  )
}

/** A system with the settings that tell its rows apart. */
export function nameOf({ system, carrier, paths, relays }: Pick<Row, 'system' | 'carrier' | 'paths' | 'relays'>): string {
  if (!system.startsWith('Sennit')) return system
  return `${system}, ${paths}, ${carrier}${relays === undefined ? '' : `, ${relays} relays`}`
}

export function tableOf({ rows, missing }: Pick<Results, 'rows' | 'missing'>): string {
  const head = ['system', 'fault', 'survived', 'stall p50', 'p99', 'max ms', 'lost', 'duplicated', 'reordered bytes', 'late']
  const lines = sortedRows(rows).map((row) => [
    nameOf(row),
    row.fault,
    `${row.survived} of ${row.rounds}`,
    ...(row.stallMs === null ? ['cut', '', ''] : [ms(row.stallMs.p50), ms(row.stallMs.p99), ms(row.stallMs.max)]),
    ...[row.lost, row.duplicated, row.reordered].map((bytes) => bytes.toLocaleString('en').replaceAll(',', ' ')),
    row.late === 0 ? '' : `${row.late} of ${row.rounds}`,
  ])
  for (const [system, install] of Object.entries(missing))
    lines.push([system, `not installed: \`${install}\``, '', '', '', '', '', '', '', ''])
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => (line[column] ?? '').length)))
  const row = (cells: readonly string[]): string => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  return [row(head), row(widths.map((width) => '-'.repeat(width))), ...lines.map(row)].join('\n')
}

function ms(value: number): string {
  return value < 100 ? value.toFixed(1) : String(Math.round(value))
}

/** Ours first. */
function placeOf(name: string): number {
  return name.startsWith('Sennit library') ? 0 : name.startsWith('Sennit') ? 1 : 2
}
