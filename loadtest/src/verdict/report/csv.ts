// `timeline.csv`: one row a second, as RFC 4180 has it, for whatever draws or sums.
import { escaped } from '../../workbook/write-workbook.ts'
import type { RunResult } from '../run-result.ts'
import { timelineTable } from './timeline-table.ts'

export function timelineCsv({ timeline }: RunResult): string {
  return timelineTable(timeline)
    .map(
      (row) => `${row.map((cell) => (cell === null ? '' : field(typeof cell === 'string' ? escaped(cell) : String(cell)))).join(',')}\r\n`,
    )
    .join('')
}

function field(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text
}
