// Reads the text twin of a workbook: YAML (or JSON, which is read faster) to cells.
import { createRequire } from 'node:module'
import { inWorker, type WorkerThreads } from './guarded-worker.ts'
import { jsonLines, lineOfMistake, lineOfPath } from './json-lines.ts'
import type { RawCell, RawWorkbook, RowLines } from './raw-workbook.ts'
import { isDateFormat } from './sheet-cells.ts'
import { type FullCell, type FullSheet, fromTwin, TwinError } from './twin.ts'
import { fileBytesMax } from './workbook-limits.ts'

/** Whether the name of a file says that it is a twin. */
export function isTwin(file: string): boolean {
  return /\.(ya?ml|json)$/i.test(file)
}

/** The cells of a twin; or one sentence that says what is wrong with it. `file` is for the message and for the kind of text. */
export async function parseTwin(bytes: Uint8Array, file: string): Promise<{ sheets: FullSheet[]; lines?: RowLines } | { error: string }> {
  if (bytes.length > fileBytesMax) return { error: `${file} has ${bytes.length} bytes; a workbook has at most ${fileBytesMax}` }
  const text = new TextDecoder().decode(bytes)
  const read = /\.json$/i.test(file) ? fromJson(text) : await fromYaml(text)
  if ('error' in read) {
    const hint = / took more than /.test(read.error) ? '. YAML of tens of thousands of rows is slow to read: keep it as .json or .xlsx' : ''
    return { error: `${file} cannot be read as the text twin of a workbook: ${read.error}${hint}` }
  }
  try {
    const sheets = fromTwin(read.value)
    return read.lines === undefined ? { sheets } : { sheets, lines: new Map(read.lines.map(([name, rows]) => [name, new Map(rows)])) }
  } catch (error) {
    if (!(error instanceof TwinError)) throw error
    const line = read.places === undefined ? undefined : lineOfPath(read.places, error.message.split(': ')[0]!)
    return { error: `${file} cannot be read as the text twin of a workbook: ${line === undefined ? '' : `line ${line}: `}${error.message}` }
  }
}

/** Lines of rows, by sheet; row 0 is the sheet itself. */
type Lines = [string, [number, number][]][]
type Read = { value: unknown; lines?: Lines; places?: ReadonlyMap<string, number> } | { error: string }

function fromJson(text: string): Read {
  let value: unknown
  try {
    value = asMaps(JSON.parse(text))
  } catch (error) {
    if (error instanceof RangeError) return { error: 'it is nested too deeply' }
    const message = (error as Error).message.split('\n')[0]!.slice(0, 200)
    return { error: `line ${lineOfMistake(text)}: ${message.replace(/ \(line \d+ column \d+\)$/, '')}` }
  }
  const places = jsonLines(text)
  return { value, places, lines: rowLines(value, places) }
}

/** Lines of rows, where `fromTwin` puts them: below the columns, and a number stands for so many that are blank. */
function rowLines(value: unknown, places: ReadonlyMap<string, number>): Lines {
  const sheets = value instanceof Map ? value.get('sheets') : undefined
  return (sheets instanceof Map ? [...sheets] : []).flatMap(([name, sheet]): Lines => {
    const path = `sheets.${name}`
    const own = places.get(path)
    if (!(sheet instanceof Map) || own === undefined) return []
    const kind = sheet.has('grid') ? 'grid' : 'rows'
    const list: unknown = sheet.get(kind)
    const rows: [number, number][] = [
      [0, own],
      [1, places.get(`${path}.columns`) ?? own],
    ]
    let next = kind === 'grid' ? 1 : 2
    for (const [index, item] of (Array.isArray(list) ? list : []).entries()) {
      if (typeof item === 'number') next += item
      else {
        const line = places.get(`${path}.${kind}[${index}]`)
        if (line !== undefined) rows.push([next, line])
        next += 1
      }
    }
    return [[String(name), rows]]
  })
}

/** Objects as maps, as YAML gives them. Numbers as names come first in an object, so a sheet named by a number may change its place. */
function asMaps(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asMaps)
  if (value === null || typeof value !== 'object') return value
  return new Map(Object.entries(value).map(([key, item]) => [key, asMaps(item)]))
}

async function fromYaml(text: string): Promise<Read> {
  const library = createRequire(import.meta.url).resolve('yaml')
  return await inWorker<{ library: string; text: string }, { value: unknown; lines: Lines }>(yamlMain, { library, text })
}

/** Runs in the worker, as text: it may use nothing of this file. */
function yamlMain(load: (path: string) => unknown, threads: WorkerThreads<{ library: string; text: string }>): void {
  const { library, text } = threads.workerData
  try {
    // biome-ignore lint/suspicious/noExplicitAny: the library's types cannot be imported into the text of a worker
    const yaml = load(library) as any
    const lineCounter = new yaml.LineCounter()
    const document = yaml.parseDocument(text, { version: '1.2', schema: 'core', uniqueKeys: true, prettyErrors: true, lineCounter })
    const wrong = document.errors[0]
    if (wrong !== undefined) {
      const at = wrong.linePos?.[0]
      threads.parentPort.postMessage({
        error: `${at === undefined ? '' : `line ${at.line}: `}${String(wrong.message)
          .split('\n')[0]!
          .replace(/ at line \d+, column \d+:?$/, '')
          .slice(0, 200)}`,
      })
      return
    }
    // Rows lie where `fromTwin` puts them: below the columns, and a number stands for so many that are blank.
    // biome-ignore lint/suspicious/noExplicitAny: the same
    const lineOf = (node: any): number => lineCounter.linePos(node.range[0]).line
    const lines: Lines = []
    const sheets = yaml.isMap(document.contents) ? document.contents.get('sheets') : undefined
    for (const { key, value } of yaml.isMap(sheets) ? sheets.items : []) {
      if (!yaml.isScalar(key) || !yaml.isMap(value)) continue
      const columns = value.get('columns', true)
      const rows: [number, number][] = [
        [0, lineOf(key)],
        [1, lineOf(yaml.isNode(columns) ? columns : key)],
      ]
      const list = value.get(value.has('grid') ? 'grid' : 'rows')
      let next = value.has('grid') ? 1 : 2
      for (const item of yaml.isSeq(list) ? list.items : []) {
        if (yaml.isScalar(item) && typeof item.value === 'number') next += item.value
        else {
          if (yaml.isNode(item)) rows.push([next, lineOf(item)])
          next += 1
        }
      }
      lines.push([String(key.value), rows])
    }
    threads.parentPort.postMessage({ value: document.toJS({ mapAsMap: true, maxAliasCount: 0 }), lines })
  } catch (error) {
    threads.parentPort.postMessage({
      error: String(error instanceof Error ? error.message : error)
        .split('\n')[0]!
        .slice(0, 200),
    })
  }
}

/** The cells as the reader of an .xlsx file gives them. */
export function rawOf(sheets: readonly FullSheet[], lines?: RowLines): RawWorkbook {
  return {
    ...(lines === undefined ? {} : { lines }),
    sheets: sheets.map(({ name, rows }) => ({
      name: name.slice(0, 100),
      rows: [...rows]
        .sort(([a], [b]) => a - b)
        .map(([row, cells]) => ({
          row,
          cells: new Map(
            [...cells]
              .map(([column, cell]): [number, RawCell | undefined] => [column, rawCell(cell)])
              .filter((entry): entry is [number, RawCell] => entry[1] !== undefined),
          ),
        }))
        .filter(({ cells }) => cells.size > 0),
    })),
  }
}

function rawCell({ value, format, formula, error }: FullCell): RawCell | undefined {
  if (error !== undefined) return { kind: 'error', text: error.slice(0, 40) }
  if (value === undefined) return formula === undefined ? undefined : { kind: 'error', text: 'a formula without a saved value' }
  if (typeof value === 'boolean') return { kind: 'boolean', value }
  if (typeof value === 'string') return value.trim() === '' ? undefined : { kind: 'text', text: value.slice(0, 32_767) }
  if (format !== undefined && isDateFormat(format)) return { kind: 'date', text: String(value), timeOnly: !/[yd]/i.test(format) }
  return { kind: 'number', value, percent: (format ?? '').includes('%') }
}
