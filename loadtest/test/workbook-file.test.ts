import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as xlsx from 'xlsx'
import { checkWorkbook, checkWorkbookBytes } from '../src/workbook/index.ts'
import { fileBytesMax, rowsMax } from '../src/workbook/workbook-limits.ts'
import { writeWorkbook } from '../src/workbook/write-workbook.ts'
import { file, type Sheets, twoClients } from './fixtures/sheets.ts'

const shipped = new URL('../../scenarios/relay-failover.xlsx', import.meta.url)
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sennit-workbook-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('what cannot be read gives one clear sentence', () => {
  test.each([
    ['an empty file', new Uint8Array(0), 'is not an .xlsx workbook'],
    ['a text', new TextEncoder().encode('client,rate\na,1/s'), 'is not an .xlsx workbook'],
    ['a zip that is none', new Uint8Array([0x50, 0x4b, 3, 4, 0, 0, 0, 0]), 'cannot be read as a workbook'],
    ['too large a file', new Uint8Array(fileBytesMax + 1), 'a workbook has at most'],
    ['half a file', file(twoClients).subarray(0, 2000), 'cannot be read as a workbook'],
  ])('%s', async (_why, bytes, sentence) => {
    const { errors } = await checkWorkbookBytes(bytes, 'x.xlsx')
    expect(errors).toHaveLength(1)
    expect(errors?.[0]?.text).toContain(sentence)
    expect(errors?.[0]?.code).toBe('W100')
  })

  test('a file that is not there, a folder', async () => {
    expect((await checkWorkbook(join(folder, 'none.xlsx'))).errors?.[0]?.text).toContain('does not exist')
    expect((await checkWorkbook(folder)).errors?.[0]?.text).toContain('is not a file')
  })

  test('more rows than a scenario has', async () => {
    const rows = Array.from({ length: rowsMax + 2 }, (_, i) => [`c${i}`])
    const { errors } = await checkWorkbookBytes(file({ Clients: [['client'], ...rows] }), 'x.xlsx')
    expect(errors?.[0]?.text).toContain('more than 50000 rows')
  })

  test('a claim of more cells than there are costs nothing', async () => {
    const book = xlsx.read(file(twoClients))
    book.Sheets.Clients!['!ref'] = 'A1:Z20000'
    const bytes = new Uint8Array(xlsx.write(book, { type: 'buffer', bookType: 'xlsx', compression: true }))
    expect((await checkWorkbookBytes(bytes, 'x.xlsx')).errors).toBeUndefined()
  })
})

test('cells of a real file: formulas count by their saved value, dates are named, percentages are percentages', async () => {
  const book = xlsx.read(
    file({
      ...twoClients,
      Run: [
        ['key', 'value'],
        ['seed', 7],
        ['warmup', 1],
        ['drain', '1s'],
      ],
    }),
  )
  const sheet = book.Sheets.Run!
  sheet.B2 = { t: 'n', v: 42, f: '40+2' }
  sheet.B3 = { t: 'n', v: 46_000, z: 'yyyy-mm-dd' }
  const bytes = new Uint8Array(xlsx.write(book, { type: 'buffer', bookType: 'xlsx' }))
  const { errors } = await checkWorkbookBytes(bytes, 'x.xlsx')
  expect(errors?.map((error) => error.text)).toEqual([
    'Run!B3 warmup: expected a duration such as 250ms, 30s, 5m or 2h; found a date. Format the cell as Text [W106]',
  ])
})

test('the bad workbook comes back with comments in its cells', async () => {
  const path = join(folder, 'bad.xlsx')
  writeFileSync(
    path,
    file({
      Clients: [
        ['client', 'rate'],
        ['a', '10 per sec'],
        ['b', '1/s'],
      ],
    }),
  )
  const result = await checkWorkbook(path, { mark: true })
  expect(result.plan === undefined && result.checkedFile).toBe(join(folder, 'bad.checked.xlsx'))
  const marked = xlsx.read(readFileSync(join(folder, 'bad.checked.xlsx')))
  expect(marked.Sheets.Clients!.B2.v).toBe('10 per sec')
  expect(marked.Sheets.Clients!.B2.c[0].t).toContain('Did you mean 10/s? [W101]')
})

test('a bad twin comes back as the workbook that it stands for, with comments in its cells', async () => {
  const path = join(folder, 'twin.sennit.yaml')
  writeFileSync(
    path,
    'sennit: 1\nsheets:\n  Clients:\n    columns: [client, rate]\n    rows:\n      - { client: a, rate: 10 per sec }\n      - { client: b }\n',
  )
  const result = await checkWorkbook(path, { mark: true })
  expect(result.plan === undefined && result.checkedFile).toBe(join(folder, 'twin.checked.xlsx'))
  const marked = xlsx.read(readFileSync(join(folder, 'twin.checked.xlsx')))
  expect(marked.Sheets.Clients!.B2.v).toBe('10 per sec')
  expect(marked.Sheets.Clients!.B2.c[0].t).toContain('Did you mean 10/s? [W101]')
})

test('the shipped drill is a good workbook, with all columns, and the same bytes each time', async () => {
  const bytes = readFileSync(shipped)
  const { plan, errors } = await checkWorkbookBytes(bytes, 'relay-failover.xlsx')
  expect(errors).toBeUndefined()
  expect(plan).toMatchObject({ name: 'relay-failover', relays: { length: 3 }, clients: { length: 60 }, flows: { length: 30 } })
  expect(plan!.acts.map((act) => act.action)).toEqual(['kill', 'kill', 'pause', 'rolling_restart', 'rolling_restart', 'rolling_restart'])
  // A stall limit counts only connections that carry enough to see one; those it names by tag must all do.
  const measured = plan!.flows.filter((flow) => plan!.clients[flow.caller]!.tags.includes('measured'))
  expect(measured).toHaveLength(5)
  expect(measured.flatMap((flow) => flow.directions).every((one) => one.messagesPerSecond >= 100)).toBe(true)
  expect(plan!.limits.filter((limit) => limit.metric === 'stall').map((limit) => limit.tags)).toEqual([['measured'], ['measured']])
  const sheets = [{ name: 'Clients', rows: [['client'], ['a'], ['b']] }]
  expect(Buffer.compare(writeWorkbook(sheets), writeWorkbook(sheets))).toBe(0)
})

test('five hundred mutated workbooks give a plan or errors, never a stack trace', async () => {
  const good: Sheets = {
    Run: [
      ['key', 'value'],
      ['seed', 1],
      ['duration', '10s'],
      ['warmup', '1s'],
    ],
    Zones: [['zone'], ['eu'], ['us']],
    Links: [
      ['from', 'to', 'rtt'],
      ['eu', 'us', '80ms'],
    ],
    Relays: [
      ['relay', 'zone', 'managed'],
      ['r1', 'eu', 'yes'],
      ['r2', 'us', 'yes'],
    ],
    Profiles: [
      ['profile', 'rate', 'packet_size'],
      ['p', '100/s', 'mix(64:70%,1500:30%)'],
    ],
    Clients: [
      ['client', 'count', 'peer', 'attach_at'],
      ['c-{n}', 4, '', '1s'],
      ['d', 1, 'e', ''],
      ['e', 1, '', ''],
    ],
    Faults: [
      ['fault', 'when', 'target', 'action', 'duration'],
      ['F1', 'at(3s)', 'one(relay:*)', 'kill', '1s'],
      ['F2', 'after:F1+1s', 'link:eu>us', 'blackhole', ''],
    ],
    Limits: [
      ['limit', 'metric', 'stat', 'op', 'value', 'window'],
      ['a', 'stall', 'p(99)', '<', '1s', 'during:F1'],
    ],
  }
  const nasty = [
    '',
    '=1+1',
    '__proto__',
    'constructor',
    '-1',
    '1e309',
    '999999999999999999',
    'NaN',
    '{n}',
    '*',
    '🜁',
    'a'.repeat(40_000),
    '((((((((',
    'mix(',
    'percent(',
    'one(one(one(',
    'after:F2',
    'link:>',
    'relay:',
    '%',
    'at()',
    '\u0000',
    'list(,,,)',
    -5,
    1e300,
    0.1,
    Number.MAX_SAFE_INTEGER,
  ]
  let state = 12_345
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % below
  }
  const { checkRaw } = await import('../src/workbook/index.ts')
  const { raw } = await import('./fixtures/sheets.ts')
  let plans = 0
  for (let i = 0; i < 600; i++) {
    const sheets: Record<string, (string | number | boolean | null)[][]> = structuredClone(good) as never
    for (let hits = random(4) + 1; hits > 0; hits--) {
      const names = Object.keys(sheets)
      const rows = sheets[names[random(names.length)]!]!
      const row = rows[random(rows.length)]!
      const column = random(row.length + 1)
      const action = random(5)
      if (action === 0) rows.splice(random(rows.length), 1)
      else if (action === 1) rows.push([...row])
      else if (action === 2) row.splice(column, 1)
      else row[column] = nasty[random(nasty.length)]!
      if (rows.length === 0) rows.push([''])
    }
    const result = checkRaw(raw(sheets), 'mutated')
    if (result.plan !== undefined) plans += 1
    for (const error of result.errors ?? []) {
      expect(error.text).toMatch(/^[^\n]{1,1500} \[W1\d\d\]$/)
      expect(error.text).not.toMatch(/undefined|NaN ms|at .*\.ts:/)
    }
  }
  expect(plans).toBeGreaterThan(20)
  expect(plans).toBeLessThan(580)
})

test('mutated bytes of a file give a plan or errors', async () => {
  const bytes = file(twoClients)
  for (let i = 0; i < 12; i++) {
    const copy = bytes.slice()
    for (let hits = 0; hits < 8; hits++) copy[(i * 7919 + hits * 104_729) % copy.length]! ^= 1 << (i % 8)
    const result = await checkWorkbookBytes(copy, 'x.xlsx')
    for (const error of result.errors ?? []) expect(error.text).toMatch(/^[^\n]+ \[W1\d\d\]$/)
  }
})
