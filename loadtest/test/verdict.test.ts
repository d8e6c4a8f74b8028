import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import * as xlsx from 'xlsx'
import { RunRecorder, reportHtml, writeReports } from '../src/verdict/index.ts'
import { decide } from '../src/verdict/verdict.ts'
import { type ActTimes, inWindow } from '../src/verdict/windows.ts'
import { checkWorkbookBytes } from '../src/workbook/index.ts'
import { escaped } from '../src/workbook/write-workbook.ts'
import { environment, fakeRun } from './fixtures/fake-run.ts'
import { file, planOf, type Sheets, smallDrill } from './fixtures/sheets.ts'

const limitColumns = ['limit', 'metric', 'filter', 'stat', 'op', 'value', 'window', 'severity']
const drill = (limits: (string | number)[][] = [], more: Sheets = {}): Sheets => smallDrill({ Limits: [limitColumns, ...limits], ...more })

test.each([
  ['nothing', {}, 0, 'pass'],
  ['inconclusive', { inconclusive: ['x'] }, 122, 'inconclusive'],
  ['a limit before inconclusive', { inconclusive: ['x'], limits: ['x'] }, 99, 'fail'],
  ['never recovered before a limit', { limits: ['x'], neverRecovered: ['x'], inconclusive: ['x'] }, 121, 'fail'],
  ['integrity before never recovered', { integrity: ['x'], neverRecovered: ['x'], limits: ['x'] }, 120, 'fail'],
  ['interrupted before all', { interrupted: true, integrity: ['x'], neverRecovered: ['x'] }, 105, 'fail'],
  ['interrupted alone proves nothing', { interrupted: true }, 105, 'inconclusive'],
])('the exit code: %s', (_why, findings, exitCode, verdict) => {
  const none = { interrupted: false, integrity: [], neverRecovered: [], limits: [], inconclusive: [] }
  expect(decide({ ...none, ...findings })).toMatchObject({ exitCode, verdict })
})

test('windows follow what happened', () => {
  const plan = planOf(drill())
  const acts: ActTimes[] = [{ act: plan.acts[0]!, startMs: 2100, endMs: 3100 }]
  const times = (window: Parameters<typeof inWindow>[0]): number[] =>
    [500, 1500, 2100, 3000, 3100, 5200, 13_200].filter((at) => inWindow(window, at, plan, acts))
  expect(times({ kind: 'run' })).toEqual([1500, 2100, 3000, 3100, 5200, 13_200])
  expect(times({ kind: 'steady' })).toEqual([1500, 13_200])
  expect(times({ kind: 'during', fault: 'F1' })).toEqual([2100, 3000])
  expect(times({ kind: 'after', fault: 'F1', delayMs: 2000 })).toEqual([5200, 13_200])
})

describe('limits', () => {
  const rows: [string, (string | number)[], Parameters<typeof fakeRun>[0] extends infer R ? Partial<R> : never, object][] = [
    ['a stall that holds', ['L', 'stall', 'action:kill', 'p(99)', '<=', '50ms', '', ''], {}, { held: true, exitCode: 0 }],
    [
      'a stall that is broken',
      ['L', 'stall', '', 'p(99)', '<=', '50ms', '', ''],
      { stallMs: (_a, since) => Math.max(0, 90 - since) },
      { held: false, exitCode: 99 },
    ],
    [
      'a stall in a slow generator',
      ['L', 'stall', '', 'p(99)', '<=', '50ms', '', ''],
      { loopDelayMs: () => 25 },
      { held: null, exitCode: 122 },
    ],
    [
      'a stall that one long pause of the generator explains',
      ['L', 'stall', '', 'max', '<=', '50ms', '', ''],
      { stallMs: (_a, since) => Math.max(0, 90 - since), loopDelayMs: (at) => (at === 2000 ? 60 : 0.5) },
      { held: null, exitCode: 122 },
    ],
    [
      'a stall that a shorter pause does not explain',
      ['L', 'stall', '', 'max', '<=', '50ms', '', ''],
      { stallMs: (_a, since) => Math.max(0, 90 - since), loopDelayMs: (at) => (at === 2000 ? 30 : 0.5) },
      { held: false, exitCode: 99 },
    ],
    ['a third of all paths each', ['L', 'path_share', '', 'max', '<=', '60%', '', ''], {}, { held: true, exitCode: 0 }],
    ['more than each has', ['L', 'path_share', '', 'min', '>=', '60%', '', ''], {}, { held: false, exitCode: 99 }],
    ['a warning', ['L', 'response_time', '', 'max', '<=', '1ms', '', 'warn'], {}, { held: false, exitCode: 0 }],
    ['sometimes, held', ['L', 'failover_connections', '', 'max', '>=', 1, '', 'sometimes'], {}, { held: true, exitCode: 0 }],
    ['sometimes, never', ['L', 'failover_connections', '', 'max', '>=', 9, '', 'sometimes'], {}, { held: false, exitCode: 122 }],
    ['slow only during the fault', ['L', 'response_time', '', 'max', '>', '20ms', 'during:F1', ''], {}, { held: true, exitCode: 0 }],
    ['quick when steady', ['L', 'response_time', '', 'max', '<=', '3ms', 'steady', ''], {}, { held: true, exitCode: 0 }],
    ['a rate', ['L', 'throughput', '', '', '>=', '600/s', '', ''], {}, { held: true, exitCode: 0 }],
    ['a generator over its limit', ['L', 'lost', '', '', '=', 0, '', ''], { loopDelayMs: () => 60 }, { held: true, exitCode: 122 }],
  ]
  test.each(rows)('%s', (_why, limit, options, { held, exitCode }: { held?: boolean | null; exitCode?: number }) => {
    const { summary } = fakeRun({ plan: planOf(drill([limit])), ...options })
    expect(summary.limits[0]).toMatchObject({ held })
    expect(summary.exitCode).toBe(exitCode)
  })

  test('under 100 messages/s a stall is null and its limit inconclusive', () => {
    const sheets = drill([['L', 'stall', '', 'p(99)', '<=', '50ms', '', '']], {
      Clients: [
        ['client', 'rate'],
        ['a', '50/s'],
        ['b', '50/s'],
        ['c', ''],
        ['d', ''],
      ],
    })
    const { summary } = fakeRun({ plan: planOf(sheets) })
    expect(summary.failovers[0]).toMatchObject({ connections: 1, stallMs: { p50: null, max: null }, unmeasured: 1 })
    expect(summary.exitCode).toBe(122)
  })
})

test('a connection without a path at the end: never recovered, its bytes unknown, exit 121', () => {
  const plan = planOf(drill())
  const { summary } = fakeRun({
    plan,
    meddle: (bytes, direction, index) => (direction === 0 && index > 150 ? [] : [bytes]),
    before: (recorder) => recorder.activePath(13_999, 0, 'listener', null),
    open: [0],
  })
  expect(summary).toMatchObject({ exitCode: 121, verdict: 'fail', connections: { neverRecovered: 1 }, integrity: { lost: 0 } })
  expect(summary.integrity.unknown).toBeGreaterThan(1000)
  expect(summary.failovers[0]).toMatchObject({ neverRecovered: 1 })
})

test('interrupted: 105', () => {
  expect(fakeRun({ plan: planOf(drill()), interrupted: true }).summary.exitCode).toBe(105)
})

test('the recorder finds the busiest relay that is not held', () => {
  const plan = planOf(drill())
  let busiest: (string | undefined)[] = []
  fakeRun({
    plan,
    before: (recorder) => {
      for (const side of ['caller', 'listener'] as const) for (const flow of [0, 1]) recorder.activePath(13_990, flow, side, 'r3')
      const first = recorder.busiestRelay(['r1', 'r2', 'r3'])
      recorder.faultStarted(13_995, 0, 'r3', '')
      recorder.acts[0]!.endMs = null
      busiest = [first, recorder.busiestRelay(['r1', 'r2', 'r3']), recorder.busiestRelay(['r3'])]
    },
  })
  expect(busiest).toEqual(['r3', 'r1', undefined])
})

test('a fault hits every connection that sends a part over its relay, and only who was active there has to notice it', () => {
  const plan = planOf(drill([['L', 'detect_time', '', 'max', '<=', '50ms', '', '']]))
  const recorder = new RunRecorder(plan, { engine: 'fake', environment, startedAt: '2026-01-01T00:00:00.000Z' })
  // The second connection is split: r2 is its active relay, r1 has a share of each packet.
  recorder.carriers = (flow) => (flow === 1 ? ['r2', 'r1'] : [])
  const { summary } = fakeRun({
    plan,
    recorder,
    // Its share arrives late; nobody moves.
    latencyMs: (direction, _index, dueMs) => (direction === 2 && dueMs > 2000 && dueMs < 2100 ? 402 : 2),
    before: () => {
      recorder.activePath(12_000, 1, 'caller', 'r1')
      recorder.failover(12_500, 1, 'caller', 'r1', 'r3')
    },
  })
  expect(summary.failovers[0]).toMatchObject({ connections: 2, stallMs: { max: 400 }, detectMs: { max: 12 } })
  expect(recorder.acts[0]!.impacts().map(({ detectMs }) => detectMs)).toEqual([12, null])
  expect(summary.limits[0]).toMatchObject({ held: true, measured: 12 })
})

describe('reports', () => {
  const plan = planOf(drill([['fast', 'stall', '', 'p(99)', '<=', '50ms', '', '']]))
  const result = fakeRun({ plan, before: (recorder) => recorder.error(0, '=cmd', '=HYPERLINK("http://x") <script>alert(1)</script>') })

  test('summary.json has the promised shape', () => {
    expect(Object.keys(result.summary)).toEqual(
      expect.arrayContaining(['verdict', 'exitCode', 'seed', 'planHash', 'engine', 'durationMs', 'environment', 'clients', 'connections']),
    )
    expect(result.summary).toMatchObject({
      clients: { planned: 6, attached: 6, rejected: 0 },
      connections: { planned: 3, opened: 3, failed: 0, neverRecovered: 0 },
      failovers: [
        {
          fault: 'F1',
          action: 'kill',
          target: 'r1',
          plannedAtMs: 2000,
          actualAtMs: 2000,
          healedAtMs: 3001,
          connections: 1,
          neverRecovered: 0,
        },
      ],
      latencyMs: { response: { p50: 2 } },
      limits: [
        { limit: 'fast', metric: 'stall', stat: 'p(99)', op: '<=', value: 50, held: true },
        { limit: 'F1 survived', held: true },
      ],
      generator: { loopDelayP99Ms: 0.5 },
    })
    // 30 ms at the fault itself; the first message was due up to 9 ms later.
    expect(result.summary.failovers[0]!.stallMs.max).toBeGreaterThan(20)
    expect(result.summary.failovers[0]!.stallMs.max).toBeLessThan(30)
    expect(result.timeline).toHaveLength(15)
  })

  test('the page is one file: no script, no address, all charts with names, faults shaded', () => {
    const page = reportHtml(result)
    expect(page).not.toMatch(/<script|src=|href="[^#]|https?:(?!\/\/x&quot;)|@import|url\(/)
    expect(page).toContain("default-src 'none'")
    expect(page.match(/<svg [^>]*role="(?:img|group)" aria-labelledby=/g)).toHaveLength(5)
    expect(page.match(/<svg/g)).toHaveLength(5)
    expect(page.match(/class="shade kill"/g)).toHaveLength(4)
    expect(page).toContain('&lt;script&gt;')
    expect(page).toContain('prefers-color-scheme: dark')
    expect(page).not.toMatch(/NaN|undefined|Infinity/)
  })

  test('the result workbook keeps the scenario, adds the sheets, escapes what looks like a formula, and can be run again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sennit-report-'))
    try {
      const input = file(drill())
      const written = await writeReports({ result, outDir: join(folder, 'deep/er'), workbook: input })
      expect(JSON.parse(readFileSync(written.summary, 'utf8'))).toEqual(result.summary)
      const bytes = readFileSync(written.workbook!)
      const book = xlsx.read(bytes)
      expect(book.SheetNames).toEqual([
        'Run',
        'Profiles',
        'Clients',
        'Faults',
        'Limits',
        'Summary',
        'Timeline',
        'Latency',
        'Failovers',
        'FaultLog',
        'ClientResults',
        'Integrity',
        'Agents',
        'Errors',
      ])
      expect(book.Sheets.Clients).toEqual(xlsx.read(input).Sheets.Clients)
      expect(book.Sheets.Errors!.A2.v).toBe("'=cmd")
      expect(book.Sheets.Summary!.B2.v).toBe('pass')
      expect((await checkWorkbookBytes(bytes, 'again.xlsx')).errors).toBeUndefined()
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test.each(['=1+1', '+1', '-1', '@x', '\tx'])('%j is escaped', (text) => expect(escaped(text)).toBe(`'${text}`))
})
