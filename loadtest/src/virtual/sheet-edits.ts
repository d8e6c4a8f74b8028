// Sheets of a workbook with something taken away or changed: what `shrink` tries. Pure: sheets in, sheets out.
import type { CellScalar, FullCell, FullSheet } from '../workbook/twin.ts'

export type Sheets = readonly FullSheet[]

export type Body = readonly (readonly [row: number, cells: ReadonlyMap<number, FullCell>])[]

function same(name: string, other: string): boolean {
  return name.toLowerCase() === other.toLowerCase()
}

function find(sheets: Sheets, sheet: string): FullSheet | undefined {
  return sheets.find(({ name }) => same(name, sheet))
}

export function headerOf(sheets: Sheets, sheet: string): ReadonlyMap<number, FullCell> {
  return find(sheets, sheet)?.rows.get(1) ?? new Map()
}

/** The rows below the header, in order. */
export function bodyOf(sheets: Sheets, sheet: string): Body {
  return [...(find(sheets, sheet)?.rows ?? [])].filter(([row, cells]) => row > 1 && cells.size > 0).sort(([a], [b]) => a - b)
}

/** Where a column of this name stands. */
export function columnOf(sheets: Sheets, sheet: string, column: string): number | undefined {
  return [...headerOf(sheets, sheet)].find(([, { value }]) => same(String(value).trim().replace(/ /g, '_'), column))?.[0]
}

/** The sheet with only these rows, moved together; without any it goes. */
export function withRows(sheets: Sheets, sheet: string, body: Body): Sheets {
  if (body.length === 0) return sheets.filter(({ name }) => !same(name, sheet))
  return replaced(sheets, sheet, new Map([[1, headerOf(sheets, sheet)], ...body.map(([, cells], at) => [at + 2, cells] as const)]))
}

/** The sheet without a column, name and cells. */
export function withoutColumn(sheets: Sheets, sheet: string, column: number): Sheets {
  const rows = find(sheets, sheet)?.rows ?? new Map()
  return replaced(sheets, sheet, new Map([...rows].map(([row, cells]) => [row, without(cells, column)])))
}

/** undefined clears the cell. */
export function withCell(sheets: Sheets, sheet: string, row: number, column: number, value: CellScalar | undefined): Sheets {
  const rows = new Map(find(sheets, sheet)?.rows ?? [])
  const cells = without(rows.get(row) ?? new Map(), column)
  if (value !== undefined) cells.set(column, { value })
  rows.set(row, cells)
  return replaced(sheets, sheet, rows)
}

/** A key of the sheet `Run` set, in its row or a new one; the sheet is made when it is missing. */
export function withRunKey(sheets: Sheets, key: string, value: CellScalar): Sheets {
  const keyAt = columnOf(sheets, 'run', 'key')
  const valueAt = columnOf(sheets, 'run', 'value')
  if (keyAt === undefined || valueAt === undefined) {
    const rows = new Map([
      [
        1,
        new Map<number, FullCell>([
          [0, { value: 'key' }],
          [1, { value: 'value' }],
        ]),
      ],
      [
        2,
        new Map<number, FullCell>([
          [0, { value: key }],
          [1, { value }],
        ]),
      ],
    ])
    return [{ name: 'Run', rows }, ...sheets.filter(({ name }) => !same(name, 'run'))]
  }
  const body = bodyOf(sheets, 'run')
  const row = body.find(([, cells]) => same(String(cells.get(keyAt)?.value ?? '').trim(), key))?.[0]
  if (row !== undefined) return withCell(sheets, 'run', row, valueAt, value)
  const next = (body.at(-1)?.[0] ?? 1) + 1
  return withCell(withCell(sheets, 'run', next, keyAt, key), 'run', next, valueAt, value)
}

/** Rows below headers, and cells in them. */
export function sizeOf(sheets: Sheets): { rows: number; cells: number } {
  const bodies = sheets.flatMap(({ name }) => bodyOf(sheets, name))
  return { rows: bodies.length, cells: bodies.reduce((sum, [, cells]) => sum + cells.size, 0) }
}

/** Whether both say the same. */
export function equalSheets(one: Sheets, other: Sheets): boolean {
  const plain = (sheets: Sheets): string =>
    JSON.stringify(sheets.map(({ name, rows }) => [name, [...rows].map(([row, cells]) => [row, [...cells]])]))
  return plain(one) === plain(other)
}

/** What became less, a sentence for each sheet that changed. */
export function describeLess(before: Sheets, after: Sheets): string[] {
  return before.flatMap(({ name }) => {
    const [was, is] = [bodyOf(before, name), bodyOf(after, name)]
    if (is.length === 0) return was.length === 0 ? [] : [`${name}: all ${was.length} rows`]
    const columns = headerOf(before, name).size - headerOf(after, name).size
    const cells = (body: Body): number => body.reduce((sum, [, row]) => sum + row.size, 0)
    const parts = [
      ...(was.length > is.length ? [`${was.length - is.length} of ${was.length} rows`] : []),
      ...(columns > 0 ? [`${columns} of ${headerOf(before, name).size} columns`] : []),
      ...(was.length === is.length && columns === 0 && cells(was) > cells(is) ? [`${cells(was) - cells(is)} of ${cells(was)} cells`] : []),
    ]
    return parts.length === 0 ? [] : [`${name}: ${parts.join(', ')}`]
  })
}

function replaced(sheets: Sheets, sheet: string, rows: FullSheet['rows']): Sheets {
  return sheets.map((one) => (same(one.name, sheet) ? { ...one, rows } : one))
}

function without(cells: ReadonlyMap<number, FullCell>, column: number): Map<number, FullCell> {
  return new Map([...cells].filter(([at]) => at !== column))
}
