// The text twin of a workbook (`NAME.sennit.yaml`, or `.json`), for git and for programs: the same cells, one row a line.
//
//     sennit: 1
//     sheets:
//       Clients:
//         columns: [ client, count, tags ]
//         rows:
//           - { client: cam-1, tags: measured }
//           - 2                                  # two rows that are blank
//           - { client: cam-2, count: { formula: 1+2, value: 3 } }
//       '# Help':                                # a sheet that is no table: a grid, row by row
//         grid:
//           - [ How to fill it in ]
//
// A cell is a text, a number, true or false; or a map of `value`, `format` (the spreadsheet's number format), `formula`, `error`, where there is more
// to a cell. Pure: cells in, a plain value out, and back.
import { sheetColumns } from './columns.ts'
import { columnsMax, rowsMax } from './workbook-limits.ts'

export type CellScalar = string | number | boolean

/** All that is kept of a cell. */
export interface FullCell {
  readonly value?: CellScalar
  /** The number format, when it is not General. */
  readonly format?: string
  readonly formula?: string
  /** Such as `#REF!`. */
  readonly error?: string
}

export interface FullSheet {
  readonly name: string
  /** By row (1-based), then by column (0-based). Blank cells are absent. */
  readonly rows: ReadonlyMap<number, ReadonlyMap<number, FullCell>>
}

type TwinCell = CellScalar | null | Map<string, CellScalar>
type TwinRow = Map<string, TwinCell> | TwinCell[] | number
type TwinSheet = Map<'columns' | 'rows' | 'grid', string[] | TwinRow[]>

/** The twin as maps and lists, in the order in which it is written. */
export type Twin = Map<'sennit' | 'sheets', number | Map<string, TwinSheet>>

const twinVersion = 1

/** What a twin says of itself is wrong: a sentence. */
export class TwinError extends Error {}

export function toTwin(sheets: readonly FullSheet[]): Twin {
  return new Map<'sennit' | 'sheets', number | Map<string, TwinSheet>>([
    ['sennit', twinVersion],
    ['sheets', new Map(sheets.map((sheet) => [sheet.name, twinSheet(sheet)]))],
  ])
}

function twinSheet({ name, rows }: FullSheet): TwinSheet {
  const columns = headerOf(name, rows)
  if (columns === undefined) return new Map([['grid', withBlanks(rows, 1, (cells) => gridRow(cells))]])
  const record = (cells: ReadonlyMap<number, FullCell>): Map<string, TwinCell> =>
    new Map([...cells].sort(([a], [b]) => a - b).map(([column, cell]) => [columns[column]!, twinCell(cell)]))
  return new Map<'columns' | 'rows', string[] | TwinRow[]>([
    ['columns', columns],
    ['rows', withBlanks(rows, 2, record)],
  ])
}

/** The column names of a sheet that is a table: every cell stands under a name, no name twice. */
function headerOf(name: string, rows: FullSheet['rows']): string[] | undefined {
  if (!Object.keys(sheetColumns).some((known) => known.toLowerCase() === name.toLowerCase())) return undefined
  const header = rows.get(1)
  if (header === undefined) return undefined
  const names = Array.from({ length: header.size }, (_, column) => {
    const cell = header.get(column)
    return cell !== undefined && typeof twinCell(cell) === 'string' ? (cell.value as string) : undefined
  })
  if (names.some((one) => one === undefined) || new Set(names).size !== names.length) return undefined
  const widest = [...rows.values()].reduce((most, cells) => Math.max(most, ...cells.keys()), 0)
  return widest < names.length ? (names as string[]) : undefined
}

function withBlanks<Row extends TwinRow>(
  rows: FullSheet['rows'],
  first: number,
  make: (cells: ReadonlyMap<number, FullCell>) => Row,
): TwinRow[] {
  const made: TwinRow[] = []
  let next = first
  for (const [row, cells] of [...rows].sort(([a], [b]) => a - b)) {
    if (row < first || cells.size === 0) continue
    if (row > next) made.push(row - next)
    made.push(make(cells))
    next = row + 1
  }
  return made
}

function gridRow(cells: ReadonlyMap<number, FullCell>): TwinCell[] {
  return Array.from({ length: Math.max(...cells.keys()) + 1 }, (_, column) => {
    const cell = cells.get(column)
    return cell === undefined ? null : twinCell(cell)
  })
}

function twinCell(cell: FullCell): TwinCell {
  const { value, format, formula, error } = cell
  if (value !== undefined && format === undefined && formula === undefined && error === undefined) return value
  const entries = Object.entries({ formula, value, error, format }).filter((entry): entry is [string, CellScalar] => entry[1] !== undefined)
  return new Map(entries)
}

/** Reads the plain value of a twin. Throws a TwinError that says what is expected where. */
export function fromTwin(twin: unknown): FullSheet[] {
  const top = mapAt(twin, 'the file', ['sennit', 'sheets'])
  if (top.get('sennit') !== twinVersion)
    throw new TwinError(`expected "sennit: ${twinVersion}", the version of this form; found ${described(top.get('sennit'))}`)
  const sheets: FullSheet[] = []
  let total = 0
  for (const [name, sheet] of mapAt(top.get('sheets'), 'sheets')) {
    const rows = sheetRows(mapAt(sheet, `sheets.${name}`, ['columns', 'rows', 'grid']), name)
    total += rows.size
    if (total > rowsMax) throw new TwinError(`it has more than ${rowsMax} rows`)
    sheets.push({ name, rows })
  }
  return sheets
}

function sheetRows(sheet: ReadonlyMap<string, unknown>, name: string): Map<number, Map<number, FullCell>> {
  const where = `sheets.${name}`
  if (sheet.has('grid')) {
    if (sheet.size > 1) throw new TwinError(`${where}: expected either grid, or columns and rows; found both`)
    return placed(listAt(sheet.get('grid'), `${where}.grid`), 1, `${where}.grid`, (row, here) =>
      cellsOf(
        listAt(row, here).map((cell, column) => [column, cell] as const),
        here,
      ),
    )
  }
  const columns = listAt(sheet.get('columns'), `${where}.columns`)
  for (const [index, column] of columns.entries())
    if (typeof column !== 'string' || column === '' || columns.indexOf(column) !== index)
      throw new TwinError(`${where}.columns: expected different names; found ${described(column)}`)
  if (columns.length > columnsMax) throw new TwinError(`${where}.columns: expected at most ${columnsMax}; found ${columns.length}`)
  const index = new Map(columns.map((column, at) => [column as string, at]))
  const rows = placed(listAt(sheet.get('rows') ?? [], `${where}.rows`), 2, `${where}.rows`, (row, here) =>
    cellsOf(
      [...mapAt(row, here)].map(([column, cell]) => {
        const at = index.get(column)
        if (at === undefined) throw new TwinError(`${here}: expected a column of columns; found "${column.slice(0, 60)}"`)
        return [at, cell] as const
      }),
      here,
    ),
  )
  if (columns.length > 0) rows.set(1, new Map(columns.map((column, at) => [at, { value: column as string }])))
  return rows
}

/** Rows where they belong; a number stands for so many that are blank. */
function placed(
  list: readonly unknown[],
  first: number,
  where: string,
  read: (row: unknown, where: string) => Map<number, FullCell>,
): Map<number, Map<number, FullCell>> {
  const rows = new Map<number, Map<number, FullCell>>()
  let next = first
  for (const [index, row] of list.entries()) {
    const here = `${where}[${index}]`
    if (typeof row === 'number') {
      if (!Number.isInteger(row) || row < 1) throw new TwinError(`${here}: expected a row, or a number of blank rows; found ${row}`)
      next += row
    } else {
      const cells = read(row, here)
      if (cells.size > 0) rows.set(next, cells)
      next += 1
    }
    if (next > rowsMax + 2) throw new TwinError(`${where}: expected at most ${rowsMax} rows`)
  }
  return rows
}

function cellsOf(cells: readonly (readonly [number, unknown])[], where: string): Map<number, FullCell> {
  const read = new Map<number, FullCell>()
  for (const [column, cell] of cells) {
    if (cell === null || cell === undefined || cell === '') continue
    if (column >= columnsMax) throw new TwinError(`${where}: expected at most ${columnsMax} cells`)
    read.set(column, cellOf(cell, where))
  }
  return read
}

function cellOf(cell: unknown, where: string): FullCell {
  if (isScalar(cell)) return { value: cell }
  const parts = mapAt(cell, `${where}: a cell`, ['value', 'format', 'formula', 'error'])
  const value = parts.get('value')
  const text = (key: string): string | undefined => {
    const found = parts.get(key)
    if (found !== undefined && typeof found !== 'string')
      throw new TwinError(`${where}: expected a text as ${key}; found ${described(found)}`)
    return found
  }
  const [format, formula, error] = [text('format'), text('formula'), text('error')]
  if (value !== undefined && !isScalar(value))
    throw new TwinError(`${where}: expected a text, number, true or false as value; found ${described(value)}`)
  if (value === undefined && formula === undefined && error === undefined)
    throw new TwinError(`${where}: expected a value, formula or error in a cell`)
  return {
    ...(value === undefined ? {} : { value }),
    ...(format === undefined ? {} : { format }),
    ...(formula === undefined ? {} : { formula }),
    ...(error === undefined ? {} : { error }),
  }
}

function isScalar(value: unknown): value is CellScalar {
  return typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))
}

function mapAt(value: unknown, where: string, keys?: readonly string[]): ReadonlyMap<string, unknown> {
  if (!(value instanceof Map)) throw new TwinError(`${where}: expected names with values; found ${described(value)}`)
  for (const key of value.keys()) {
    if (typeof key !== 'string') throw new TwinError(`${where}: expected texts as names; found ${described(key)}`)
    if (keys !== undefined && !keys.includes(key)) throw new TwinError(`${where}: expected ${keys.join(', ')}; found "${key.slice(0, 60)}"`)
  }
  return value as ReadonlyMap<string, unknown>
}

function listAt(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new TwinError(`${where}: expected a list; found ${described(value)}`)
  return value
}

function described(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  if (typeof value === 'string') return `"${value.slice(0, 60)}"`
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'names with values' : String(value)
}
