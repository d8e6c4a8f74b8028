// The seconds of a run as a table, for the result workbook and for `timeline.csv`.
import type { CellValue } from '../../workbook/write-workbook.ts'
import type { TimelineRow } from '../run-result.ts'

const columns: readonly (readonly [string, (row: TimelineRow) => CellValue])[] = [
  ['second', (row) => row.second],
  ['attached', (row) => row.attached],
  ['connected', (row) => row.connected],
  ['sent_messages', (row) => row.sentMessages],
  ['messages', (row) => row.messages],
  ['bytes', (row) => row.bytes],
  ['p50_ms', (row) => row.p50Ms],
  ['p99_ms', (row) => row.p99Ms],
  ['max_ms', (row) => row.maxMs],
  ['failovers', (row) => row.failovers],
  ['without_path', (row) => row.withoutPath],
  ['damaged_bytes', (row) => row.damagedBytes],
  ['loop_delay_max_ms', (row) => row.loopDelayMaxMs],
  ['faults', (row) => row.faults],
]

/** The header first. */
export function timelineTable(timeline: readonly TimelineRow[]): CellValue[][] {
  return [columns.map(([name]) => name), ...timeline.map((row) => columns.map(([, of]) => of(row)))]
}
