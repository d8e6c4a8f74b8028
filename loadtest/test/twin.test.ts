/** The text twin of a workbook: it says the same to the test set, and nothing of a cell is lost on the way there and back. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { planHash } from '../src/plan.ts'
import { convertWorkbook, type WorkbookForm } from '../src/workbook/convert.ts'
import { checkWorkbook } from '../src/workbook/index.ts'
import { fullWorkbook, readFullSheets } from '../src/workbook/sheet-cells.ts'
import type { FullCell, FullSheet } from '../src/workbook/twin.ts'
import { fileBytesMax } from '../src/workbook/workbook-limits.ts'

const scenarios = fileURLToPath(new URL('../../scenarios/', import.meta.url))
const shipped = readdirSync(scenarios).filter((name) => name.endsWith('.xlsx'))

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sennit-twin-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function turned(file: string, form: WorkbookForm): Promise<string> {
  const target = `${file}.${form}`
  writeFileSync(target, await convertWorkbook(file, form))
  return target
}

/** In an order of their own, so that two can be compared. */
function ordered(sheets: readonly FullSheet[]): unknown {
  return sheets.map(({ name, rows }) => [
    name,
    [...rows]
      .filter(([, cells]) => cells.size > 0)
      .sort(([a], [b]) => a - b)
      .map(([row, cells]) => [row, [...cells].sort(([a], [b]) => a - b)]),
  ])
}

async function cellsOf(file: string): Promise<unknown> {
  const outcome = await readFullSheets(readFileSync(file), file)
  if ('error' in outcome) throw new Error(outcome.error)
  return ordered(outcome.sheets)
}

describe.each(['yaml', 'json'] as const)('as %s', (form) => {
  // JSON differs in the last step only.
  it.each(form === 'yaml' ? shipped : shipped.slice(0, 2))('%s comes back byte for byte, and its twin is the same test', async (name) => {
    const file = join(folder, name)
    writeFileSync(file, readFileSync(join(scenarios, name)))
    const twin = await turned(file, form)
    expect(Buffer.compare(await convertWorkbook(twin, 'xlsx'), readFileSync(file))).toBe(0)
    const [a, b] = [await checkWorkbook(file), await checkWorkbook(twin)]
    expect(b.errors).toBeUndefined()
    expect({ ...b.plan!, name: '' }).toEqual({ ...a.plan!, name: '' })
  })

  it('keeps any cells: texts that look like something else, formulas, formats, errors, gaps, sheets that are no table', {
    timeout: 120_000,
  }, async () => {
    const text = fc.oneof(
      fc.constantFrom(
        'yes',
        'no',
        'null',
        '~',
        '0x10',
        '1e3',
        '-',
        '- a',
        'a: b',
        '#1',
        '{n}',
        '[1]',
        '2026-01-01',
        '12:30',
        "it's",
        '"',
        '\\',
        '&a',
        '*a',
        '<<',
        '=1+1',
        ' x ',
        'line\nline',
        '__proto__',
      ),
      fc
        .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
        .filter((one) => !/[\p{Control}\p{Surrogate}\ufffe\uffff]|_x[0-9a-f]{4}_/iu.test(one)),
    )
    const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((one) => (one === 0 ? 0 : one))
    const cell: fc.Arbitrary<FullCell> = fc.oneof(
      { weight: 6, arbitrary: text.map((value) => ({ value })) },
      { weight: 2, arbitrary: fc.oneof(fc.integer(), number).map((value) => ({ value })) },
      fc.boolean().map((value) => ({ value })),
      fc.record({ value: fc.integer({ min: 1, max: 60_000 }), format: fc.constantFrom('0%', 'yyyy-mm-dd', 'h:mm', '0.00') }),
      fc.record({ value: fc.integer(), formula: fc.constantFrom('40+2', 'A1&"x"', 'SUM(A1:A3)') }),
      fc.record({ error: fc.constantFrom('#REF!', '#N/A', '#DIV/0!') }),
      fc.record({ formula: fc.constant('A1+1') }),
    )
    const rows = fc.uniqueArray(
      fc.tuple(
        fc.integer({ min: 1, max: 40 }),
        fc.uniqueArray(fc.tuple(fc.nat(6), cell), { selector: ([column]) => column, maxLength: 5 }),
      ),
      {
        selector: ([row]) => row,
        maxLength: 8,
      },
    )
    const table = fc
      .tuple(fc.uniqueArray(text, { minLength: 7, maxLength: 7 }), rows)
      .map(([header, below]) => [
        [1, header.map((value, column) => [column, { value }] as [number, FullCell])] as [number, [number, FullCell][]],
        ...below.map(([row, cells]) => [row + 1, cells] as [number, [number, FullCell][]]),
      ])
    const sheets = fc
      .record({ Clients: table, Run: rows, '# Help': rows, 'Any name': fc.oneof(rows, table) })
      .map((all) => Object.entries(all).map(([name, list]) => ({ name, rows: new Map(list.map(([row, cells]) => [row, new Map(cells)])) })))
    let round = 0
    await fc.assert(
      fc.asyncProperty(sheets, async (made) => {
        const file = join(folder, `any-${form}-${round++}.xlsx`)
        writeFileSync(file, fullWorkbook(made))
        const before = await cellsOf(file)
        expect(before).toEqual(ordered(made))
        expect(await cellsOf(await turned(await turned(file, form), 'xlsx'))).toEqual(before)
      }),
      { numRuns: 8, seed: 7 },
    )
  })
})

it('one row is one line, in columns by name', async () => {
  const file = join(scenarios, 'relay-failover.xlsx')
  const text = new TextDecoder().decode(await convertWorkbook(file, 'yaml'))
  expect(text).toMatch(/^# A Sennit test workbook/)
  expect(text).toMatch(/^ {6}- \{ client: c01, count: 1, enabled: "yes", tags: measured,.*\}$/m)
  expect(text.split('\n').length).toBeLessThan(140)
})

describe('by hand', () => {
  const written = async (text: string, name = 'hand.sennit.yaml'): Promise<string> => {
    const file = join(folder, name)
    writeFileSync(file, text)
    return file
  }

  it('a test of a few lines is a test, named after its file', async () => {
    const file = await written(`
sennit: 1
sheets:
  Run:
    columns: [key, value]
    rows:
      - { key: duration, value: 5s }
  Clients:
    columns: [client, count, rate]
    rows:
      - { client: 'c-{n}', count: 4, rate: 5/s }   # comments stay with the text
      - 2
      - { client: '# not yet' }
`)
    const { plan, errors } = await checkWorkbook(file)
    expect(errors).toBeUndefined()
    expect(plan).toMatchObject({ name: 'hand', clients: { length: 4 }, flows: { length: 2 }, run: { durationMs: 5000 } })
    expect(planHash(plan!)).toMatch(/^[0-9a-f]{64}$/)
  })

  it('what is wrong is told by its line, past blank rows, comments and other sheets, and by its place in the workbook', async () => {
    const file = await written(`# a twin
sennit: 1
sheets:
  notes:
    grid:
      - [anything]
  Run:
    columns: [key, value]
    rows:
      - { key: seed, value: many } # line 10
  Clients:
    columns:
      - client
      - rat
    rows:
      - { client: a }
      - 3
      # not a row
      - { client: b, rat: x }
      - client: b
        rat: y
`)
    const result = await checkWorkbook(file)
    expect(result.errors?.map(({ line, cell, text }) => [line, cell, text.startsWith(`${file}:${line}: `)])).toEqual([
      [4, '', true],
      [13, 'B1', true],
      [20, 'A7', true],
      [10, 'B2', true],
    ])
    expect(result.errors?.[2]?.text).toContain(`${file}:20: Clients!A7 client: expected a name that is not used above`)
  })

  it('what is wrong with a cell is said as in a workbook', async () => {
    const file = await written(
      'sennit: 1\nsheets:\n  Clients:\n    columns: [client, rate]\n    rows: [{ client: a, rate: 10 per sec }, { client: b }]\n',
    )
    expect((await checkWorkbook(file)).errors?.map((one) => one.text)).toEqual([
      `${file}:5: Clients!B2 rate: expected a rate such as 10/s or 600/min; found "10 per sec". Did you mean 10/s? [W101]`,
    ])
    const json = await written(
      '{"sennit":1,"sheets":{"Clients":{"columns":["client","rate"],"rows":[{"client":"a","rate":"x"},{"client":"b"}]}}}',
      'hand.json',
    )
    expect((await checkWorkbook(json)).errors?.[0]).toMatchObject({
      cell: 'B2',
      line: 1,
      text: expect.stringMatching(/hand.json:1: Clients!B2 rate/),
    })
  })

  it('the lines of JSON are told as those of YAML', async () => {
    const file = await written(
      `{ "sennit": 1,
  "sheets": {
    "no\\"tes": { "grid": [["x,]}"]] },
    "Run": { "columns": ["key", "value"],
      "rows": [
        { "key": "seed", "value": "many" }
      ] },
    "Clients": {
      "columns": [
        "client", "rat" ],
      "rows": [
        { "client": "a" },
        3,
        { "client": "b", "rat": true },
        {
          "client": "b" }
      ]
    }
  } }`,
      'hand.json',
    )
    expect((await checkWorkbook(file)).errors?.map(({ line, cell }) => [line, cell])).toEqual([
      [3, ''],
      [9, 'B1'],
      [15, 'A7'],
      [6, 'B2'],
    ])
  })

  it.each([
    ['what is no JSON', '{\n "sennit": 1,\n "sheets": }', /: line 3: Unexpected token/],
    ['a comma too many', '{ "sennit": 1,\n "sheets": { "Run": { "grid": [[1, "\\"]"],\n\n] } } }', /: line 4: /],
    ['a text without an end', '{ "sennit": 1,\n "sheets": {\n "Run', /: line 3: /],
    ['a text over two lines', '{ "sennit": 1,\n "sheets": { "R\nun": {} },\n "x": 1 }', /: line 2: /],
    ['a long text before the mistake', `{ "sennit": "${'x'.repeat(fileBytesMax - 100)}",\n\n 7 }`, /: line 3: /],
    ['two documents', '{ "sennit": 1 }\n{}', /: line 2: /],
    ['what ends too soon', '{ "sennit": 1,\n\n', /: line 3: /],
    [
      'a column that is not there',
      '{ "sennit": 1, "sheets": { "Clients": {\n"columns": ["client"],\n"rows": [\n{ "clinet": "a" }] } } }',
      /: line 4: sheets.Clients.rows\[0\]: expected a column of columns; found "clinet"/,
    ],
    ['a word that is none', '{ "sennit": 1, "sheets": {},\n "more": [1, [2]] }', /expected sennit, sheets; found "more"/],
    ['a cell that is none', '{ "sennit": 1, "sheets": {\n "Run": { "grid": [[1], [2,\n[3]]] } } }', /: line 2: sheets.Run.grid\[1\]/],
  ])('%s is told with its line in JSON', async (_why, text, says) => {
    const { errors } = await checkWorkbook(await written(text, 'bad.json'))
    expect(errors).toHaveLength(1)
    expect(errors![0]!.text).toMatch(says)
  })

  it.each([
    ['no YAML', 'a: [', /line \d+: /],
    ['nothing', '', /the file: expected names with values; found nothing/],
    ['another version', 'sennit: 2\nsheets: {}', /expected "sennit: 1"/],
    ['a word that is none', 'sennit: 1\nsheets: {}\nmore: 1', /expected sennit, sheets; found "more"/],
    [
      'a column that is not there',
      'sennit: 1\nsheets: { Clients: { columns: [client], rows: [{ clinet: a }] } }',
      /sheets.Clients.rows\[0\]: expected a column of columns; found "clinet"/,
    ],
    ['a column twice', 'sennit: 1\nsheets: { Clients: { columns: [a, a] } }', /expected different names; found "a"/],
    ['a sheet twice', 'sennit: 1\nsheets: { Run: { grid: [] }, Run: { grid: [] } }', /keys must be unique/i],
    ['a grid and rows', 'sennit: 1\nsheets: { Run: { grid: [], rows: [] } }', /either grid, or columns and rows/],
    ['a list as a cell', 'sennit: 1\nsheets: { Run: { grid: [[[1]]] } }', /found a list/],
    ['too many blanks', 'sennit: 1\nsheets: { Run: { grid: [1000000000000] } }', /at most 50000 rows/],
    ['aliases', 'sennit: 1\nsheets: { Run: { grid: [&a [1], *a] } }', /alias/i],
    ['infinity', 'sennit: 1\nsheets: { Run: { grid: [[.inf]] } }', /found Infinity/],
  ])('%s gives one clear sentence', async (_why, text, says) => {
    const { errors } = await checkWorkbook(await written(text))
    expect(errors).toHaveLength(1)
    expect(errors![0]!.text).toMatch(says)
    expect(errors![0]!.text).toMatch(/^[^\n]{1,600} \[W100\]$/)
  })

  it('JSON that is none, too large a file', async () => {
    expect((await checkWorkbook(await written('{', 'bad.json'))).errors![0]!.text).toMatch(/cannot be read as the text twin/)
    expect((await checkWorkbook(await written(' '.repeat(fileBytesMax + 1), 'large.yaml'))).errors![0]!.text).toMatch(
      /a workbook has at most/,
    )
  })
})
