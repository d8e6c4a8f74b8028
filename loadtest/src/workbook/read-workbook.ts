// Reads an .xlsx file, or its text twin, into plain data, in a worker thread with limits of memory and time: a workbook comes from outside.
import { readFileSync, statSync } from 'node:fs'
import type { WorkerThreads } from './guarded-worker.ts'
import type { RawCell, RawWorkbook } from './raw-workbook.ts'
import { isTwin, parseTwin, rawOf } from './read-twin.ts'
import { inXlsxWorker, tooLarge, type XlsxInput } from './xlsx-worker.ts'

type Outcome = { workbook: RawWorkbook } | { error: string }
type Transferred = { name: string; rows: { row: number; cells: [number, RawCell][] }[] }[]

/** Reads the file. Whatever is wrong with it comes back as one sentence. */
export async function readWorkbook(file: string): Promise<Outcome> {
  let bytes: Uint8Array
  try {
    const stat = statSync(file)
    if (!stat.isFile()) return { error: `${file} is not a file` }
    const refused = tooLarge(stat.size, file)
    if (refused !== undefined) return refused
    bytes = readFileSync(file)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    return { error: code === 'ENOENT' ? `${file} does not exist` : `${file} cannot be read (${code ?? String(error)})` }
  }
  return parseWorkbook(bytes, file)
}

/** The same for bytes that are already here; `file` is for the messages. */
export async function parseWorkbook(bytes: Uint8Array, file: string): Promise<Outcome> {
  const refused = tooLarge(bytes.length, file)
  if (refused !== undefined) return refused
  if (isTwin(file)) {
    const twin = await parseTwin(bytes, file)
    return 'error' in twin ? twin : { workbook: rawOf(twin.sheets, twin.lines) }
  }
  const outcome = await inXlsxWorker<{ sheets: Transferred }>(workerMain, bytes, file)
  if ('error' in outcome) return outcome
  return {
    workbook: {
      sheets: outcome.sheets.map(({ name, rows }) => ({ name, rows: rows.map(({ row, cells }) => ({ row, cells: new Map(cells) })) })),
    },
  }
}

/** Runs in the worker, as text: it may use nothing of this file. */
function workerMain(load: (path: string) => unknown, threads: WorkerThreads<XlsxInput>): void {
  const { library, bytes, rowsMax, columnsMax } = threads.workerData
  const answer = (message: unknown): void => threads.parentPort.postMessage(message)
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
      bookVBA: false,
    })
    let total = 0
    const sheets = book.SheetNames.map((name: string) => {
      const sheet = book.Sheets[name] ?? {}
      const rows: unknown[] = []
      const grid: unknown[][] = sheet['!data'] ?? []
      grid.forEach((line, index) => {
        const cells: unknown[] = []
        // biome-ignore lint/suspicious/noExplicitAny: cells of the library
        ;(line ?? []).forEach((cell: any, column: number) => {
          if (cell === undefined || cell === null || column >= columnsMax) return
          const value = cell.v
          if (cell.t === 'e') cells.push([column, { kind: 'error', text: String(cell.w ?? '#VALUE!').slice(0, 40) }])
          else if (typeof value === 'number' && !Number.isFinite(value)) cells.push([column, { kind: 'error', text: 'a damaged number' }])
          else if (value === undefined || value === null || value === '') {
            if (cell.f !== undefined) cells.push([column, { kind: 'error', text: 'a formula without a saved value' }])
          } else if (cell.t === 'b') cells.push([column, { kind: 'boolean', value: Boolean(value) }])
          else if (cell.t === 'd' || (typeof value === 'number' && cell.z !== undefined && xlsx.SSF.is_date(cell.z))) {
            cells.push([
              column,
              { kind: 'date', text: String(cell.w ?? value).slice(0, 40), timeOnly: !/[yd]/i.test(String(cell.z ?? 'y')) },
            ])
          } else if (typeof value === 'number') {
            cells.push([column, { kind: 'number', value, percent: String(cell.z ?? '').includes('%') }])
          } else if (String(value).trim() !== '') cells.push([column, { kind: 'text', text: String(value).slice(0, 32_767) }])
        })
        if (cells.length > 0) {
          rows.push({ row: index + 1, cells })
          total += 1
        }
      })
      return { name: String(name).slice(0, 100), rows }
    })
    answer(total > rowsMax ? { error: `it has more than ${rowsMax} rows` } : { sheets })
  } catch (error) {
    answer({
      error: String(error instanceof Error ? error.message : error)
        .split('\n')[0]!
        .slice(0, 200),
    })
  }
}
