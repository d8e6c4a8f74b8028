// Names of one sheet that other sheets point at: unique without case, found without case, and with the nearest one in the error.
import { name } from './grammar.ts'
import { listed, nearest } from './problems.ts'
import type { Table, TableRow } from './table.ts'

export class Names<T> {
  readonly #table: Table
  readonly #column: string
  readonly #values = new Map<string, T>()
  readonly #written: string[] = []

  constructor(table: Table, column: string) {
    this.#table = table
    this.#column = column
  }

  /** Adds what a row stands for; a second one of the same name is wrong. */
  add(row: TableRow, written: string, value: T): void {
    const key = written.toLowerCase()
    if (this.#values.has(key)) row.wrong('W113', this.#column, 'expected a name that is not used above', `"${written}" again`)
    else {
      this.#values.set(key, value)
      this.#written.push(written)
    }
  }

  /** Adds a default that stands in no row. */
  addDefault(written: string, value: T): void {
    this.#values.set(written.toLowerCase(), value)
    this.#written.push(written)
  }

  get(written: string): T | undefined {
    return this.#values.get(written.toLowerCase())
  }

  all(): T[] {
    return [...this.#values.values()]
  }

  names(): readonly string[] {
    return this.#written
  }

  /** Such as `Profiles!A2:A6`. */
  range(): string {
    return this.#table.range(this.#column)
  }

  /** What a cell of another sheet points at; blank gives the fallback, a name that is not here is wrong. */
  find(row: TableRow, column: string, fallback: T): T {
    if (!row.has(column)) return fallback
    const written = row.text(column)
    const value = this.get(written)
    if (value !== undefined) return value
    const near = nearest(written, this.#written)
    const names = this.#written.length === 0 ? 'none' : listed(this.#written)
    const found = row.cell(column)?.kind === 'date' ? undefined : `"${written.slice(0, 60)}"`
    row.wrong(
      'W110',
      column,
      `expected one of the names in ${this.range()} (${names})`,
      found,
      near === undefined ? '' : `Nearest: ${near}`,
    )
    return fallback
  }
}

/** The name in the first column of a row; undefined when it is wrong or missing. */
export function rowName(row: TableRow, column: string): string | undefined {
  return row.need(column, name)
}
