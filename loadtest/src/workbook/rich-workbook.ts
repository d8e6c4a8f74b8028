// The port to the library that writes what a person fills in: notes, drop-down lists, frozen headers. What is read, and every result, goes through
// `xlsx`; this library is young, so nothing but this file knows it.
import { writeXlsx } from 'hucre/xlsx'
import type { CellValue } from './write-workbook.ts'

/** What stands behind a column. */
export interface RichColumn {
  readonly title: string
  /** Shown at the header. */
  readonly note: string
  /** Offered as a drop-down list; other texts may be written too. */
  readonly choices?: readonly string[]
}

export interface RichSheet {
  readonly name: string
  /** Without columns the rows are a text. */
  readonly columns?: readonly RichColumn[]
  readonly rows: readonly (readonly CellValue[])[]
}

/** Rows that a drop-down list covers beyond those written. */
const roomRows = 1_000
/** Excel takes lists of this many characters, commas included. */
const listCharactersMax = 255
const widthMin = 9
const widthMax = 48

/** The bytes of an .xlsx file, the header of each table bold, frozen and annotated. */
export async function writeRichWorkbook(sheets: readonly RichSheet[]): Promise<Uint8Array> {
  return await writeXlsx({
    sheets: sheets.map(({ name, columns, rows }) => {
      const all = columns === undefined ? rows : [columns.map(({ title }) => title), ...rows]
      const width = (column: number): number =>
        Math.min(widthMax, Math.max(widthMin, ...all.map((row) => String(row[column] ?? '').length + 2)))
      const cells = new Map(
        (columns ?? []).map(({ title, note }, column) => [
          `0,${column}`,
          { value: title, type: 'string' as const, style: { font: { bold: true } }, comment: { author: 'sennit', text: note } },
        ]),
      )
      const columnsMax = Math.max(...all.map((row) => row.length))
      return {
        name,
        columns: Array.from({ length: columnsMax }, (_, column) => ({ width: columns === undefined ? 110 : width(column) })),
        rows: all.map((row) => row.map((cell) => (cell === '' ? null : cell))),
        cells,
        dataValidations: (columns ?? []).flatMap(({ choices }, column) => {
          if (choices === undefined || choices.join(',').length > listCharactersMax) return []
          const letters = lettersOf(column)
          return [
            {
              type: 'list' as const,
              values: [...choices],
              range: `${letters}2:${letters}${all.length + roomRows}`,
              allowBlank: true,
              // A list helps and does not forbid: `list(r1,r2)` or `mirror(2)` are not in it.
              showErrorMessage: false,
            },
          ]
        }),
        ...(columns === undefined ? {} : { freezePane: { rows: 1, columns: 1 } }),
      }
    }),
  })
}

function lettersOf(column: number): string {
  return column < 26 ? String.fromCharCode(65 + column) : lettersOf(Math.floor(column / 26) - 1) + lettersOf(column % 26)
}
