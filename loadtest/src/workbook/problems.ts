// What is wrong with a workbook: all of it at once, each with the cell, what was expected, what was found and what to do.
import { columnLetters } from './raw-workbook.ts'

export interface Problem {
  /** Stable, `W1xx`. */
  readonly code: string
  readonly sheet: string
  /** Such as `H17`; '' when it is about the whole sheet or file. */
  readonly cell: string
  /** Of the text twin in which it stands, 1-based; absent: it was found in a workbook, or no row has it. */
  readonly line?: number
  readonly text: string
}

/** Where a problem is. */
export interface Place {
  readonly sheet: string
  /** 1-based. */
  readonly row: number
  /** 0-based. */
  readonly column: number
  /** Name of the column or, in `Run`, of the key. */
  readonly name: string
}

/** More are only counted: nobody reads them, and most follow from the first. */
const problemsMax = 200

/** Collects problems in the order in which they are found. */
export class Problems {
  readonly #problems: { readonly problem: Problem; readonly row: number; readonly column: number }[] = []
  #leftOut = 0

  get count(): number {
    return this.#problems.length
  }

  get leftOut(): number {
    return this.#leftOut
  }

  /** `Clients!H17 rate: <expectation>; found <found>. <hint> [W101]` */
  add(code: string, place: Place, expectation: string, found: string, hint = ''): void {
    const cell = `${columnLetters(place.column)}${place.row}`
    const end = hint === '' ? '' : /^[a-z]/.test(hint) ? `, ${hint}` : `. ${hint}`
    const text = `${place.sheet}!${cell} ${place.name}: ${expectation}; found ${found}${end} [${code}]`
    this.#push({ code, sheet: place.sheet, cell, text }, place.row, place.column)
  }

  /** About a sheet as a whole. */
  addSheet(code: string, sheet: string, sentence: string): void {
    this.#push({ code, sheet, cell: '', text: `${sheet}: ${sentence} [${code}]` }, 0, 0)
  }

  /** In order of sheets as they were read, of rows and of columns. */
  list(): Problem[] {
    const sheets = [...new Set(this.#problems.map(({ problem }) => problem.sheet))]
    const order = new Map(sheets.map((sheet, index) => [sheet, index]))
    return [...this.#problems]
      .sort((a, b) => order.get(a.problem.sheet)! - order.get(b.problem.sheet)! || a.row - b.row || a.column - b.column)
      .map(({ problem }) => problem)
  }

  #push(problem: Problem, row: number, column: number): void {
    if (this.#problems.length < problemsMax) this.#problems.push({ problem, row, column })
    else this.#leftOut += 1
  }
}

/** The candidate nearest to what was written, when it is near enough to be meant. */
export function nearest(written: string, candidates: readonly string[]): string | undefined {
  const word = written.toLowerCase().slice(0, 64)
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(word.length / 2)) + 1
  for (const candidate of candidates.slice(0, 2000)) {
    const distance = editDistance(word, candidate.toLowerCase().slice(0, 64))
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Insertions, deletions, changes and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let cost = Math.min(change, last[j]! + 1, row[j - 1]! + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2]! + 1)
      row.push(cost)
    }
    before = last
    last = row
  }
  return last[b.length]!
}

/** A list for a sentence: `a, b, c` and how many more. */
export function listed(names: readonly string[], max = 12): string {
  return names.length <= max ? names.join(', ') : `${names.slice(0, max).join(', ')} and ${names.length - max} more`
}
