// From a workbook to its text twin and back, and either from the other's bytes.
import { readFileSync, statSync } from 'node:fs'
import { SennitError } from '@sennit/protocol'
import { isTwin, parseTwin } from './read-twin.ts'
import { fullWorkbook, readFullSheets } from './sheet-cells.ts'
import { type FullSheet, toTwin } from './twin.ts'
import { fileBytesMax } from './workbook-limits.ts'

/** The forms a scenario is kept in, by the end of a file's name. */
export type WorkbookForm = 'xlsx' | 'yaml' | 'json'

/** By the end of the name; undefined when it says none. */
export function formOf(file: string): WorkbookForm | undefined {
  if (/\.xlsx$/i.test(file)) return 'xlsx'
  if (/\.ya?ml$/i.test(file)) return 'yaml'
  return /\.json$/i.test(file) ? 'json' : undefined
}

/**
 * The bytes of the other form: the same sheets in the same order, the same cells in the same places, with their values, formulas and number formats.
 * Throws `file_unreadable` and `file_malformed`.
 */
export async function convertWorkbook(file: string, form: WorkbookForm): Promise<Uint8Array> {
  return await encodeSheets(await readSheets(file), form, file)
}

/** Sheets as the bytes of a file; `file` is for messages. */
export async function encodeSheets(sheets: readonly FullSheet[], form: WorkbookForm, file: string): Promise<Uint8Array> {
  switch (form) {
    case 'xlsx':
      return xlsxOf(sheets, file)
    case 'yaml':
      return new TextEncoder().encode(await yamlText(sheets))
    case 'json':
      return new TextEncoder().encode(jsonText(sheets))
  }
}

/** Every sheet and cell of a workbook or of its twin. Throws `file_unreadable` and `file_malformed`. */
export async function readSheets(file: string): Promise<FullSheet[]> {
  let bytes: Uint8Array
  try {
    const { size } = statSync(file)
    if (size > fileBytesMax)
      throw new SennitError('file_malformed', `${file} has ${size} bytes; a workbook has at most ${fileBytesMax}`, { file })
    bytes = readFileSync(file)
  } catch (cause) {
    if (cause instanceof SennitError) throw cause
    throw new SennitError('file_unreadable', `expected a workbook at ${file}; ${(cause as Error).message}`, { file }, cause)
  }
  const outcome = isTwin(file) ? await parseTwin(bytes, file) : await readFullSheets(bytes, file)
  if ('error' in outcome) throw new SennitError('file_malformed', outcome.error, { file })
  return outcome.sheets
}

function xlsxOf(sheets: readonly FullSheet[], file: string): Uint8Array {
  try {
    return fullWorkbook(sheets)
  } catch (cause) {
    // Names of sheets that a spreadsheet does not take, and their like.
    throw new SennitError('file_malformed', `${file} cannot be written as a workbook: ${(cause as Error).message}`, { file }, cause)
  }
}

/** YAML 1.2 that a reader of 1.1 takes the same way, one row a line. */
async function yamlText(sheets: readonly FullSheet[]): Promise<string> {
  const { Document, isCollection, visit } = await import('yaml')
  const document = new Document(toTwin(sheets), { version: '1.2', compat: 'yaml-1.1' })
  document.commentBefore = ' A Sennit test workbook as text: `sennit test convert` makes an .xlsx of it, and back.'
  visit(document, {
    // Depth: document, map of the file, its pair `sheets`, map of sheets, pair of a sheet, its map, pair `rows`, the list, a row.
    Collection(_key, node, path) {
      const collections = path.filter((one) => isCollection(one)).length
      const parent = path.at(-1) as { key?: { value?: unknown } } | undefined
      if (collections >= 4 || (collections === 3 && parent?.key?.value === 'columns')) node.flow = true
    },
  })
  return document.toString({ lineWidth: 0, flowCollectionPadding: true })
}

function jsonText(sheets: readonly FullSheet[]): string {
  const indent = (value: unknown, depth: number): string => {
    const pad = '  '.repeat(depth)
    if (depth >= 5 || value === null || typeof value !== 'object') return JSON.stringify(plain(value))
    const parts = Array.isArray(value)
      ? value.map((item) => indent(item, depth + 1))
      : [...(value as Map<string, unknown>)].map(([key, item]) => `${JSON.stringify(key)}: ${indent(item, depth + 1)}`)
    const [open, close] = Array.isArray(value) ? '[]' : '{}'
    return parts.length === 0 ? `${open}${close}` : `${open}\n${parts.map((part) => `${pad}  ${part}`).join(',\n')}\n${pad}${close}`
  }
  return `${indent(toTwin(sheets), 0)}\n`
}

/** Maps as objects. `Object.fromEntries` sets `__proto__` as a field of its own, as JSON.parse does. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  return value instanceof Map ? Object.fromEntries([...value].map(([key, item]) => [key, plain(item)])) : value
}
