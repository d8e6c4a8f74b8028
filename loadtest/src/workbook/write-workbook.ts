// Writes a workbook: the same cells give the same bytes, on every machine and at every time.
import * as xlsx from 'xlsx'

export type CellValue = string | number | null

export interface WrittenSheet {
  readonly name: string
  /** The header first. Empty texts and null are left out. */
  readonly rows: readonly (readonly CellValue[])[]
}

/** A spreadsheet (or what it exports to) may take a text that begins like this for a formula, so what a run brings in gets an apostrophe. */
const formulaStart = /^[=+\-@\t\r]/

/** The bytes of an .xlsx file. */
export function writeWorkbook(sheets: readonly WrittenSheet[]): Uint8Array {
  const book = xlsx.utils.book_new()
  for (const sheet of sheets) appendSheet(book, sheet)
  return bytesOf(book)
}

/** Adds a sheet to a workbook of the library. */
export function appendSheet(book: xlsx.WorkBook, { name, rows }: WrittenSheet): void {
  const cells = rows.map((row) => row.map((cell) => (cell === '' || cell === null ? undefined : cell)))
  const sheet = xlsx.utils.aoa_to_sheet(cells)
  sheet['!cols'] = widthsOf(rows)
  xlsx.utils.book_append_sheet(book, sheet, name)
}

/** Number formats that every workbook has. */
const formatsAtFirst: Readonly<Record<number, string>> = { ...xlsx.SSF.get_table() }

/** Without a time stamp inside. */
export function bytesOf(book: xlsx.WorkBook): Uint8Array {
  // The library keeps number formats of every workbook it has met in one table, and would write them all.
  const formats = book as { SSF?: unknown }
  formats.SSF ??= { ...formatsAtFirst }
  book.Props = { Application: 'sennit', CreatedDate: new Date(0), ModifiedDate: new Date(0) }
  return new Uint8Array(xlsx.write(book, { type: 'buffer', bookType: 'xlsx', compression: true }) as Uint8Array)
}

/** Texts of a run (names, messages, receipts) for a cell. */
export function escaped(text: string): string {
  const cut = text.length > 32_000 ? `${text.slice(0, 32_000)}…` : text
  return formulaStart.test(cut) ? `'${cut}` : cut
}

/** Wide enough for what is in them. */
export function widthsOf(rows: readonly (readonly (CellValue | boolean)[])[]): { wch: number }[] {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.min(60, Math.max(widths[column] ?? 8, String(cell ?? '').length + 2))
    })
  }
  return widths.map((wch) => ({ wch }))
}
