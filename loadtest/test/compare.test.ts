/** Two runs compared: a change of the test set's figures is told from what such a run strays by itself. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { compareRuns } from '../src/verdict/compare.ts'
import { readSummary } from '../src/verdict/read-summary.ts'
import type { Summary } from '../src/verdict/run-result.ts'
import { type FakeRun, fakeRun } from './fixtures/fake-run.ts'
import { planOf, type Sheets, smallDrill } from './fixtures/sheets.ts'

const drill = (more: Sheets = {}): Sheets =>
  smallDrill({
    Limits: [
      ['limit', 'metric', 'stat', 'op', 'value'],
      ['fast', 'stall', 'p(99)', '<=', '50ms'],
    ],
    ...more,
  })
const summary = (options: Partial<FakeRun> = {}, sheets: Sheets = drill()): Summary => fakeRun({ plan: planOf(sheets), ...options }).summary
/** Latencies that wander, the same way for the same salt. */
const wandering =
  (base: number, amplitude: number, salt: number) =>
  (direction: number, index: number): number =>
    base + amplitude * ((Math.imul(direction * 7919 + index * 104_729 + salt, 2_654_435_761) >>> 8) / 2 ** 24)

const base = summary()
const moved = (before: Summary, after: Summary): string[] =>
  compareRuns(before, after)
    .metrics.filter(({ move }) => move !== 'same')
    .map(({ move, metric }) => `${move} ${metric}`)

describe('compareRuns', () => {
  it('finds nothing between a run and itself', () => {
    expect(compareRuns(base, base)).toMatchObject({ exitCode: 0, notComparable: [], notes: [] })
    expect(moved(base, base)).toEqual([])
    expect(base.blocks).toHaveLength(13)
  })

  it('finds nothing between two runs that differ by chance', () => {
    const runs = [1, 2, 3].map((salt) => summary({ latencyMs: wandering(2, 6, salt) }))
    for (const after of runs.slice(1)) expect(moved(runs[0]!, after)).toEqual([])
  })

  it('finds a latency that rose, and says better the other way round', () => {
    const slow = summary({ latencyMs: () => 4 })
    expect(moved(base, slow)).toEqual(expect.arrayContaining(['worse response p50', 'worse response p99', 'worse service p50']))
    expect(compareRuns(base, slow).exitCode).toBe(99)
    expect(moved(slow, base)).toEqual(expect.arrayContaining(['better response p50', 'better response p99']))
    expect(compareRuns(slow, base).exitCode).toBe(0)
  })

  it('holds a rise for noise where both runs stray by as much', () => {
    const gusty = (salt: number): NonNullable<FakeRun['latencyMs']> => {
      const second = wandering(2, 40, salt)
      return (_direction, _index, dueMs) => second(0, Math.floor(dueMs / 1000))
    }
    const [a, b] = [summary({ latencyMs: gusty(1) }), summary({ latencyMs: gusty(2) })]
    const p50 = compareRuns(a, b).metrics.find(({ metric }) => metric === 'response p50')!
    expect(Math.abs(p50.after! - p50.before!)).toBeGreaterThan(0.2)
    expect(p50.noise).toBeGreaterThan(0.05 * Math.max(p50.before!, p50.after!))
    expect(p50.move).toBe('same')
  })

  it('finds a stall that grew and the limit that it broke', () => {
    const after = summary({ stallMs: (_action, since) => Math.max(0, 120 - since) })
    expect(moved(base, after)).toEqual(expect.arrayContaining(['worse F1 stall p99', 'worse limit fast']))
    expect(compareRuns(base, after).exitCode).toBe(99)
  })

  it('leaves to chance what a fault did to very few connections', () => {
    const stalled = (p50: number, max: number, connections: number): Summary => ({
      ...base,
      failovers: base.failovers.map((one) => ({ ...one, connections, stallMs: { p50, p90: max, p99: max, max } })),
    })
    expect(moved(stalled(10, 10, 2), stalled(10, 470, 2))).toEqual([])
    expect(moved(stalled(10, 10, 400), stalled(10, 470, 400))).toEqual(['worse F1 stall p99', 'worse F1 stall max'])
  })

  it('gives 120 for bytes that are damaged now, 121 for a connection that did not come back, whatever else', () => {
    const corrupt = summary({
      meddle: (bytes, direction, index) => {
        if (direction === 0 && index === 200) bytes[bytes.length - 1]! ^= 1
        return [bytes]
      },
    })
    expect(compareRuns(base, corrupt)).toMatchObject({ exitCode: 120 })
    expect(moved(base, corrupt)).toContain('worse corrupted')
    expect(compareRuns(corrupt, base).exitCode).toBe(0)
    const gone = summary({ before: (recorder) => recorder.activePath(13_999, 0, 'listener', null), open: [0] })
    expect(compareRuns(base, gone).exitCode).toBe(121)
  })

  it('calls another test, or one that was broken off, not comparable', () => {
    const smaller = summary(
      {},
      drill({
        Clients: [
          ['client', 'count'],
          ['c', 4],
        ],
      }),
    )
    expect(compareRuns(base, smaller)).toMatchObject({
      exitCode: 122,
      notComparable: ['clients planned: 6 before, 4 now', 'connections planned: 3 before, 2 now'],
    })
    expect(compareRuns(base, summary({ interrupted: true })).notComparable).toEqual(['the second run was interrupted'])
  })

  it('does not blame latency on what it measured with a late event loop', () => {
    const late = compareRuns(base, summary({ latencyMs: () => 9, loopDelayMs: () => 30 }))
    expect(late.metrics.find(({ metric }) => metric === 'response p99')).toMatchObject({ move: 'unknown' })
    expect(late.metrics.filter(({ move }) => move === 'worse').map(({ metric }) => metric)).toContain('generator_loop_delay p99')
  })

  it('reads summaries of before blocks, and says that noise is a guess', () => {
    const { blocks: _blocks, ...old } = base
    expect(compareRuns(old, old)).toMatchObject({ exitCode: 0, notes: [expect.stringMatching(/rule of thumb/)] })
  })
})

describe('readSummary', () => {
  it('takes a file or its folder, and says what is wrong with anything else', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sennit-compare-'))
    try {
      const file = join(folder, 'summary.json')
      writeFileSync(file, JSON.stringify(base))
      expect(readSummary(file)).toEqual(base)
      expect(readSummary(folder)).toEqual(base)
      mkdirSync(join(folder, 'empty'))
      expect(() => readSummary(join(folder, 'empty'))).toThrow(/expected the summary.json of a run, or the folder/)
      for (const [text, says] of [
        ['{', /expected JSON/],
        ['null', /expected verdict to be a string; found nothing/],
        [
          JSON.stringify({ ...base, integrity: { ...base.integrity, lost: 'none' } }),
          /expected integrity.lost to be a number; found string/,
        ],
        [JSON.stringify({ ...base, failovers: [null] }), /expected detectMs in every failover/],
        [JSON.stringify({ ...base, limits: [{}] }), /expected a name in every limit/],
      ] as const) {
        writeFileSync(file, text)
        expect(() => readSummary(file)).toThrow(says)
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
