// A sheet as a table: the header in row 1 says which column is which, rows below it are read cell by cell, by kind. What is wrong goes to the
// list of problems and the default is used on, so that one pass finds everything.

import { outputSheets, type SheetName, sheetColumns } from './columns.ts'
import type { Kind } from './grammar.ts'
import { listed, nearest, type Place, type Problems } from './problems.ts'
import { cellText, columnLetters, describeCell, type RawCell, type RawRow, type RawSheet, type RawWorkbook } from './raw-workbook.ts'

/** One row of a table. */
export class TableRow {
  readonly sheet: SheetName
  readonly row: number
  readonly #columns: ReadonlyMap<string, number>
  readonly #cells: ReadonlyMap<number, RawCell>
  readonly #problems: Problems

  constructor(sheet: SheetName, raw: RawRow, columns: ReadonlyMap<string, number>, problems: Problems) {
    this.sheet = sheet
    this.row = raw.row
    this.#columns = columns
    this.#cells = raw.cells
    this.#problems = problems
  }

  cell(column: string): RawCell | undefined {
    const at = this.#columns.get(column)
    return at === undefined ? undefined : this.#cells.get(at)
  }

  has(column: string): boolean {
    return this.cell(column) !== undefined
  }

  /** The text of a cell; '' when it is blank. */
  text(column: string): string {
    const cell = this.cell(column)
    return cell === undefined ? '' : cellText(cell)
  }

  place(column: string): Place {
    return { sheet: this.sheet, row: this.row, column: this.#columns.get(column) ?? 0, name: column }
  }

  /** Such as `Clients!I20`. */
  address(column: string): string {
    const { sheet, row, column: at } = this.place(column)
    return `${sheet}!${columnLetters(at)}${row}`
  }

  /** The value of a cell; the fallback when it is blank or wrong. */
  read<T>(column: string, kind: Kind<T>, fallback: NoInfer<T>): T {
    const cell = this.cell(column)
    if (cell === undefined) return fallback
    return readCell(cell, kind, this.place(column), this.#problems) ?? fallback
  }

  /** The same, but blank is wrong. */
  need<T>(column: string, kind: Kind<T>): T | undefined {
    const cell = this.cell(column)
    if (cell !== undefined) return readCell(cell, kind, this.place(column), this.#problems)
    this.#problems.add('W114', this.place(column), `expected ${kind.expected}`, 'nothing')
    return undefined
  }

  /** Adds a problem of this row. */
  wrong(code: string, column: string, expectation: string, found?: string, hint = ''): void {
    this.#problems.add(code, this.place(column), expectation, found ?? describeCell(this.cell(column)), hint)
  }
}

/** Reads one cell by kind, or says what is wrong with it. */
export function readCell<T>(cell: RawCell, kind: Kind<T>, place: Place, problems: Problems): T | undefined {
  const expectation = `expected ${kind.expected}`
  if (cell.kind === 'error') {
    problems.add('W119', place, expectation, cell.text, 'Correct the formula, or open and save the workbook so that it has a value')
    return undefined
  }
  if (cell.kind === 'date') {
    const format = kind.code === 'W107' && kind.expected.startsWith('a whole number') ? 'Number' : 'Text'
    problems.add('W106', place, expectation, describeCell(cell), `Format the cell as ${format}`)
    return undefined
  }
  const text = cellText(cell)
  const value = kind.parse(text)
  if (value !== undefined) return value
  const guess = kind.guess?.(text)
  problems.add(kind.code, place, expectation, describeCell(cell), guess === undefined || guess === text ? '' : `Did you mean ${guess}?`)
  return undefined
}

/** The rows of one sheet; none when it is absent. */
export class Table {
  readonly sheet: SheetName
  readonly rows: readonly TableRow[]
  readonly present: boolean
  readonly #columns: ReadonlyMap<string, number>

  constructor(sheet: SheetName, raw: RawSheet | undefined, problems: Problems) {
    this.sheet = sheet
    this.present = raw !== undefined
    this.#columns = raw === undefined ? new Map() : readHeader(sheet, raw, problems)
    const columns = this.#columns
    this.rows = (raw?.rows ?? []).filter((row) => row.row > 1 && !isComment(row)).map((row) => new TableRow(sheet, row, columns, problems))
  }

  /** Such as `Profiles!A2:A6`: where the names of this sheet stand. */
  range(column: string): string {
    if (this.rows.length === 0) return `${this.sheet} (it has no rows)`
    const letters = columnLetters(this.#columns.get(column) ?? 0)
    const first = this.rows[0]!.row
    const last = this.rows.at(-1)!.row
    return first === last ? `${this.sheet}!${letters}${first}` : `${this.sheet}!${letters}${first}:${letters}${last}`
  }
}

/** All tables of a workbook, by name of sheet without case. Sheets that nobody knows are problems. */
export function readTables(workbook: RawWorkbook, problems: Problems): Record<SheetName, Table> {
  const names = Object.keys(sheetColumns) as SheetName[]
  const found = new Map<SheetName, RawSheet>()
  for (const sheet of workbook.sheets) {
    const plain = plainName(sheet.name)
    const known = names.find((name) => name.toLowerCase() === plain)
    if (known !== undefined) {
      if (found.has(known)) problems.addSheet('W113', sheet.name, `there are two sheets of the name ${known}`)
      else found.set(known, sheet)
      continue
    }
    if (isFree(sheet.name) || outputSheets.some((name) => plainName(name) === plain) || sheet.rows.length === 0) continue
    const near = nearest(plain, names)
    const hint = near === undefined ? '' : `. Nearest: ${near}`
    problems.addSheet(
      'W116',
      sheet.name,
      `expected one of the sheets ${names.join(', ')}, or a name that begins with x_ or #; found "${sheet.name}"${hint}`,
    )
  }
  return Object.fromEntries(names.map((name) => [name, new Table(name, found.get(name), problems)])) as Record<SheetName, Table>
}

function readHeader(sheet: SheetName, raw: RawSheet, problems: Problems): Map<string, number> {
  const columns = new Map<string, number>()
  const known: readonly string[] = sheetColumns[sheet]
  const header = raw.rows.find((row) => row.row === 1)
  if (header === undefined) {
    if (raw.rows.length > 0)
      problems.addSheet('W117', sheet, `expected the names of the columns in row 1 (${listed(known)}); found an empty row`)
    return columns
  }
  for (const [column, cell] of header.cells) {
    const text = cellText(cell)
    const name = plainName(text)
    const place = { sheet, row: 1, column, name: 'column' }
    if (isFree(text)) continue
    if (!known.includes(name)) {
      const near = nearest(name, known)
      const hint = near === undefined ? '' : `Nearest: ${near}`
      problems.add('W115', place, `expected one of ${listed(known, 30)}, or a name that begins with x_ or #`, describeCell(cell), hint)
    } else if (columns.has(name)) problems.add('W113', place, 'expected each column once', `${name} again`)
    else columns.set(name, column)
  }
  const first = known[0]!
  if (!columns.has(first) && raw.rows.length > 1) {
    problems.addSheet('W117', sheet, `expected a column ${first} in row 1; found ${listed([...columns.keys()]) || 'none of its columns'}`)
  }
  return columns
}

/** Without case, spaces as underscores. */
export function plainName(text: string): string {
  return text
    .trim()
    .toLowerCase()
    .replace(/[\s_]+/g, '_')
}

function isFree(text: string): boolean {
  return text.startsWith('#') || plainName(text).startsWith('x_')
}

function isComment(row: RawRow): boolean {
  const first = row.cells.get(0)
  return first?.kind === 'text' && first.text.trimStart().startsWith('#')
}
