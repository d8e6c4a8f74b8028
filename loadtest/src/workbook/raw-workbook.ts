// A workbook as plain data, as the reading worker hands it over: what is in which cell, and nothing of the file format.

export type RawCell =
  | { readonly kind: 'text'; readonly text: string }
  /** `percent`: the cell is formatted as a percentage. */
  | { readonly kind: 'number'; readonly value: number; readonly percent: boolean }
  /** A date or time format: `text` is what the spreadsheet shows. */
  | { readonly kind: 'date'; readonly text: string; readonly timeOnly: boolean }
  | { readonly kind: 'boolean'; readonly value: boolean }
  /** `#REF!` and its like, or a formula without a saved value. */
  | { readonly kind: 'error'; readonly text: string }

export interface RawRow {
  /** 1-based, as the spreadsheet shows it. */
  readonly row: number
  /** By 0-based column. */
  readonly cells: ReadonlyMap<number, RawCell>
}

export interface RawSheet {
  readonly name: string
  readonly rows: readonly RawRow[]
}

export interface RawWorkbook {
  readonly sheets: readonly RawSheet[]
  /** Where each row stands in the text it was read from; absent: it was no text with lines. */
  readonly lines?: RowLines
}

/** 1-based lines by name of the sheet and 1-based row; row 0 is the sheet itself. */
export type RowLines = ReadonlyMap<string, ReadonlyMap<number, number>>

/** `0` → `A`, `27` → `AB`. */
export function columnLetters(column: number): string {
  let letters = ''
  for (let rest = column + 1; rest > 0; rest = Math.floor((rest - 1) / 26)) letters = String.fromCharCode(65 + ((rest - 1) % 26)) + letters
  return letters
}

/** A cell as a person would say it in "found …". */
export function describeCell(cell: RawCell | undefined): string {
  if (cell === undefined) return 'nothing'
  switch (cell.kind) {
    case 'text':
      return `"${shorten(cell.text)}"`
    case 'number':
      return cellText(cell)
    case 'date':
      return cell.timeOnly ? 'a time of day' : 'a date'
    case 'boolean':
      return cell.value ? 'TRUE' : 'FALSE'
    case 'error':
      return cell.text
  }
}

/** The text that the cell grammar reads. */
export function cellText(cell: RawCell): string {
  switch (cell.kind) {
    case 'text':
      return cell.text.trim()
    case 'number':
      return cell.percent ? `${Number((cell.value * 100).toPrecision(12))}%` : String(cell.value)
    case 'boolean':
      return cell.value ? 'yes' : 'no'
    default:
      return cell.text
  }
}

/** Long texts are cut: an error message is for reading. */
function shorten(text: string): string {
  const clean = text.replace(/\s+/g, ' ').trim()
  return clean.length <= 60 ? clean : `${clean.slice(0, 57)}…`
}
