// Where words go: results to stdout (JSON lines only, with `--json`), everything else to stderr.
import { Option } from 'commander'

/** `--json`, on every command; `SENNIT_JSON=1` sets it for all. */
export function jsonOption(): Option {
  return new Option('--json', 'JSON lines only on stdout, logs on stderr').env('SENNIT_JSON')
}

export interface Output {
  readonly json: boolean
  /** One result: a JSON line with `--json`, else the text. */
  result(value: object, text: string): void
  /** Something worth knowing on the way; never on stdout when that carries JSON. */
  note(text: string, facts?: object): void
}

export function createOutput(json: boolean): Output {
  return {
    json,
    result(value, text) {
      process.stdout.write(json ? `${JSON.stringify(value)}\n` : text === '' ? '' : `${text}\n`)
    },
    note(text, facts) {
      process.stderr.write(json ? `${JSON.stringify({ note: text, ...facts })}\n` : `${text}\n`)
    },
  }
}

/** A table of padded columns; plain, so that it pipes well. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  return [line(head), ...rows.map(line)].join('\n')
}
