/**
 * Workbooks that somebody spoiled: whatever is in a cell, or in the bytes of the file, the answer is a plan or sentences that name cells; never a stack
 * trace. A seed says what is spoiled how; `npm run test:fuzz` does thousands.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type Plan, planHash } from '../src/plan.ts'
import { encodeSheets, readSheets } from '../src/workbook/convert.ts'
import { checkRaw, checkWorkbookBytes, type Problem } from '../src/workbook/index.ts'
import { rawOf } from '../src/workbook/read-twin.ts'
import type { FullCell, FullSheet } from '../src/workbook/twin.ts'

const folder = fileURLToPath(new URL('../../scenarios/', import.meta.url))
const bases = ['03-ramp-to-knee', '05-bad-clients', '07-geo-region-loss', '10-soak', 'injections', 'kinds-of-traffic']
/** Spoiled by cells; one in twenty as many by bytes, which cost a worker each. */
const count = Number(process.env.SENNIT_FUZZ ?? 300)
const firstSeed = 1

type Draft = { name: string; rows: Map<number, Map<number, FullCell>> }

/** Mulberry32: the same numbers from the same seed everywhere. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const nasty: readonly FullCell[] = [
  ...[
    '1.000,5',
    '1,5/s',
    '10 per sec',
    '½',
    '-1',
    '1e309',
    '0x10',
    'nan',
    'Infinity',
    '__proto__',
    'constructor',
    '{n}',
    '{n}{n}',
    '=1+1',
    '#x',
    'x_y',
  ],
  ...[
    'at()',
    'at(1h',
    'every(0s)',
    'every(1ms)',
    'poisson(1e9/s)',
    'after:kill',
    'after:after:kill',
    'busiest(busiest(relay:*))',
    'relay:',
    'tag:*,*',
  ],
  ...[
    'list()',
    'list(r1,r1)',
    'p(100.1)',
    'p(-1)',
    '99999999999999999999',
    '0.0000001/s',
    '1000000000/s',
    '9999h',
    '0ms',
    '64MiB',
    'mix(1:200%)',
    'uniform(9,1)',
  ],
  ...[
    'disperse(0,0)',
    'mirror(99)',
    'rotate(secret,0s)',
    '\u202eabc',
    'a\u0000b',
    'ß'.repeat(40_000),
    '💥',
    ' ',
    'yes no',
    'ja',
    '１０/s',
    '10\u00a0/s',
  ],
].map((value): FullCell => ({ value }))
const odd: readonly FullCell[] = [
  { value: 1e9 },
  { value: -1 },
  { value: 0.1 + 0.2 },
  { value: 1e300 },
  { value: true },
  { value: 46_000, format: 'yyyy-mm-dd' },
  { value: 0.5, format: 'h:mm' },
  { value: 0.02, format: '0%' },
  { formula: 'A1+1' },
  { value: 3, formula: '1+2' },
  { error: '#REF!' },
  { value: '2', format: '@' },
]

/** One thing spoiled. */
function spoil(sheets: Draft[], random: () => number): void {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const sheet = pick(sheets)
  const rows = [...sheet.rows.keys()]
  const row = pick(rows)
  const cells = sheet.rows.get(row) ?? new Map()
  const column = Math.floor(random() * 30)
  const at = random()
  if (at < 0.55) sheet.rows.set(row, new Map([...cells, [pick([...cells.keys(), column]), pick(random() < 0.8 ? nasty : odd)]]))
  else if (at < 0.65) sheet.rows.set(row, new Map([...cells].filter(() => random() < 0.7)))
  else if (at < 0.72) sheet.rows.delete(row)
  else if (at < 0.79) sheet.rows.set(Math.max(...rows, 1) + 1 + Math.floor(random() * 3), new Map(cells))
  else if (at < 0.83)
    sheet.rows.set(1, new Map([...(sheet.rows.get(1) ?? [])].map(([key, cell]) => [key, random() < 0.2 ? pick(nasty) : cell])))
  else if (at < 0.87) sheet.rows.set(49_000 + Math.floor(random() * 2_000), new Map(cells))
  else if (at < 0.9) sheet.name = pick(['Clients', 'clients ', 'Run', 'Tabelle1', '# notes', 'x_y', '__proto__', 'Limits'])
  else if (at < 0.93) sheets.splice(sheets.indexOf(sheet), 1)
  else if (at < 0.96) sheets.push({ name: sheet.name, rows: new Map(sheet.rows) })
  else for (const [key, line] of sheet.rows) sheet.rows.set(key, new Map([...line].map(([from, cell]) => [from + 1, cell])))
  if (sheets.length === 0) sheets.push({ name: 'Clients', rows: new Map([[1, new Map([[0, pick(nasty)]])]]) })
  for (const one of sheets) if (one.rows.size === 0) one.rows.set(1, new Map([[0, pick(nasty)]]))
}

function judged(answer: { plan?: Plan | undefined; errors?: readonly Problem[] | undefined }): string[] {
  const { plan, errors } = answer
  if (plan !== undefined) {
    const same = planHash(JSON.parse(JSON.stringify(plan)) as Plan) === planHash(plan)
    return same ? [] : ['the plan is not plain data']
  }
  const wrong = (errors ?? []).flatMap(({ text, cell, sheet }) => [
    ...(/\[W\d{3}\]$/.test(text) && text.length < 2_000 && !text.includes('\n') ? [] : [`no clear sentence: ${text.slice(0, 300)}`]),
    ...(/undefined|\[object|\bNaN\b(?!")|^\s+at /.test(text.replace(/"[^"]*"/g, ''))
      ? [`it shows its insides: ${text.slice(0, 300)}`]
      : []),
    ...(cell === '' || (/^[A-Z]{1,3}\d{1,7}$/.test(cell) && sheet !== '') ? [] : [`no cell: ${cell}`]),
  ])
  return errors === undefined || errors.length === 0 || errors.length > 200 ? ['neither a plan nor errors', ...wrong] : wrong
}

function drafts(sheets: readonly FullSheet[]): Draft[] {
  return sheets.map(({ name, rows }) => ({ name, rows: new Map([...rows].map(([row, cells]) => [row, new Map(cells)])) }))
}

test(`${count} spoiled workbooks are answered with a plan or with sentences that name cells`, {
  timeout: 60_000 + count * 200,
}, async () => {
  const whole = await Promise.all(bases.map((name) => readSheets(`${folder}${name}.xlsx`)))
  const wrong: string[] = []
  let plans = 0
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const random = randomOf(seed)
    const sheets = drafts(whole[Math.floor(random() * whole.length)]!)
    for (let times = 1 + Math.floor(random() * 4); times > 0; times--) spoil(sheets, random)
    try {
      const answer = checkRaw(rawOf(sheets), 'spoiled')
      if (answer.plan !== undefined) plans += 1
      wrong.push(...judged(answer).map((one) => `seed ${seed}: ${one}`))
    } catch (error) {
      wrong.push(`seed ${seed} threw: ${String((error as Error).stack).slice(0, 600)}`)
    }
  }
  expect(wrong.slice(0, 20)).toEqual([])
  // Some are harmless, most are not: else nothing was proved.
  expect(plans).toBeGreaterThan(count / 50)
  expect(plans).toBeLessThan(count)
})

test('spoiled files of every form are answered in the same way', { timeout: 60_000 + count * 200 }, async () => {
  const forms = [
    ['x.xlsx', new Uint8Array(readFileSync(`${folder}01-smoke.xlsx`))],
    ['x.sennit.yaml', await encodeSheets(await readSheets(`${folder}01-smoke.xlsx`), 'yaml', 'x')],
    ['x.json', await encodeSheets(await readSheets(`${folder}01-smoke.xlsx`), 'json', 'x')],
  ] as const
  const wrong: string[] = []
  for (let seed = firstSeed; seed < firstSeed + Math.ceil(count / 20); seed++) {
    const random = randomOf(seed)
    const [file, bytes] = forms[seed % forms.length]!
    const spoiled = bytes.slice(0, random() < 0.2 ? Math.floor(random() * bytes.length) : bytes.length)
    for (let times = Math.floor(random() * 12); times >= 0; times--)
      spoiled[Math.floor(random() * spoiled.length)] = Math.floor(random() * 256)
    try {
      wrong.push(...judged(await checkWorkbookBytes(spoiled, file)).map((one) => `seed ${seed} ${file}: ${one}`))
    } catch (error) {
      wrong.push(`seed ${seed} ${file} threw: ${String((error as Error).stack).slice(0, 600)}`)
    }
  }
  expect(wrong.slice(0, 20)).toEqual([])
})
