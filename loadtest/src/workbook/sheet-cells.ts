// All that is kept of the cells of an .xlsx file, and such a file from them: what converting needs and checking does not.
import * as xlsx from 'xlsx'
import type { WorkerThreads } from './guarded-worker.ts'
import type { CellScalar, FullCell, FullSheet } from './twin.ts'
import { bytesOf, widthsOf } from './write-workbook.ts'
import { inXlsxWorker, tooLarge, type XlsxInput } from './xlsx-worker.ts'

type Transferred = { name: string; rows: [number, [number, FullCell][]][] }[]

/** Whether a number format shows a date or a time. */
export function isDateFormat(format: string): boolean {
  return xlsx.SSF.is_date(format)
}

/** Every cell with its value, formula and number format; or one sentence. Looks, notes and lists to choose from are not cells and stay behind. */
export async function readFullSheets(bytes: Uint8Array, file: string): Promise<{ sheets: FullSheet[] } | { error: string }> {
  const refused = tooLarge(bytes.length, file)
  if (refused !== undefined) return refused
  const outcome = await inXlsxWorker<{ sheets: Transferred }>(workerMain, bytes, file)
  if ('error' in outcome) return outcome
  return {
    sheets: outcome.sheets.map(({ name, rows }) => ({ name, rows: new Map(rows.map(([row, cells]) => [row, new Map(cells)])) })),
  }
}

/** Runs in the worker, as text: it may use nothing of this file. */
function workerMain(load: (path: string) => unknown, threads: WorkerThreads<XlsxInput>): void {
  const { library, bytes, rowsMax, columnsMax } = threads.workerData
  try {
    // biome-ignore lint/suspicious/noExplicitAny: the library's types cannot be imported into the text of a worker
    const xlsx = load(library) as any
    const book = xlsx.read(bytes, {
      type: 'array',
      dense: true,
      sheetRows: rowsMax + 2,
      cellNF: true,
      cellText: true,
      cellHTML: false,
      cellFormula: true,
    })
    let total = 0
    const sheets = book.SheetNames.map((name: string) => {
      const rows: unknown[] = []
      const grid: unknown[][] = book.Sheets[name]?.['!data'] ?? []
      grid.forEach((line, index) => {
        const cells: unknown[] = []
        // biome-ignore lint/suspicious/noExplicitAny: cells of the library
        ;(line ?? []).forEach((cell: any, column: number) => {
          if (cell === undefined || cell === null || column >= columnsMax) return
          const plain: Record<string, unknown> = {}
          if (cell.t === 'e') plain.error = String(cell.w ?? '#VALUE!')
          else if (cell.v !== undefined && cell.v !== null && cell.v !== '')
            plain.value = cell.t === 's' ? String(cell.v).slice(0, 32_767) : cell.v
          if (cell.f !== undefined) plain.formula = String(cell.f)
          if (cell.z !== undefined && cell.z !== 'General') plain.format = String(cell.z)
          if (plain.value !== undefined || plain.formula !== undefined || plain.error !== undefined) cells.push([column, plain])
        })
        if (cells.length > 0) {
          rows.push([index + 1, cells])
          total += 1
        }
      })
      return { name: String(name), rows }
    })
    threads.parentPort.postMessage(total > rowsMax ? { error: `it has more than ${rowsMax} rows` } : { sheets })
  } catch (error) {
    threads.parentPort.postMessage({
      error: String(error instanceof Error ? error.message : error)
        .split('\n')[0]!
        .slice(0, 200),
    })
  }
}

/** What the library numbers errors by. */
const errorCodes: Readonly<Record<string, number>> = {
  '#NULL!': 0x00,
  '#DIV/0!': 0x07,
  '#VALUE!': 0x0f,
  '#REF!': 0x17,
  '#NAME?': 0x1d,
  '#NUM!': 0x24,
  '#N/A': 0x2a,
  '#GETTING_DATA': 0x2b,
}

/** The bytes of an .xlsx file with these cells, the same each time. */
export function fullWorkbook(sheets: readonly FullSheet[]): Uint8Array {
  const book = xlsx.utils.book_new()
  for (const { name, rows } of sheets) {
    const sheet: xlsx.WorkSheet = {}
    let [lastRow, lastColumn] = [0, 0]
    const texts: (CellScalar | null)[][] = []
    for (const [row, cells] of rows) {
      const line: (CellScalar | null)[] = []
      texts.push(line)
      for (const [column, cell] of cells) {
        lastRow = Math.max(lastRow, row - 1)
        lastColumn = Math.max(lastColumn, column)
        sheet[xlsx.utils.encode_cell({ r: row - 1, c: column })] = libraryCell(cell)
        line[column] = cell.value ?? null
      }
    }
    sheet['!ref'] = xlsx.utils.encode_range({ s: { r: 0, c: 0 }, e: { r: lastRow, c: lastColumn } })
    sheet['!cols'] = widthsOf(texts)
    xlsx.utils.book_append_sheet(book, sheet, name)
  }
  return bytesOf(book)
}

function libraryCell({ value, format, formula, error }: FullCell): xlsx.CellObject {
  const more = { ...(format === undefined ? {} : { z: format }), ...(formula === undefined ? {} : { f: formula }) }
  if (error !== undefined) return { t: 'e', v: errorCodes[error] ?? 0x0f, w: error, ...more }
  if (typeof value === 'number') return { t: 'n', v: value, ...more }
  if (typeof value === 'boolean') return { t: 'b', v: value, ...more }
  return { t: 's', v: value ?? '', ...more }
}
