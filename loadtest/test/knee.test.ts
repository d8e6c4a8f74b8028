/** The search for the knee: as a table on the pure machine, and once on a mesh that has one. */
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { findKnee } from '../src/knee/find-knee.ts'
import { type KneeOutcome, KneeSearch, type KneeSearchOptions } from '../src/knee/knee-search.ts'
import { runVirtual } from '../src/virtual/index.ts'
import { checkWorkbook } from '../src/workbook/index.ts'
import { environment } from './fixtures/fake-run.ts'

function searched(
  of: (factor: number, run: number) => KneeOutcome,
  options: KneeSearchOptions = {},
): { search: KneeSearch; tried: number[] } {
  const search = new KneeSearch(options)
  const tried: number[] = []
  for (let factor = search.next(); factor !== undefined; factor = search.next()) {
    tried.push(factor)
    search.took(factor, of(factor, tried.length))
  }
  return { search, tried }
}

const breaksOver =
  (knee: number) =>
  (factor: number): KneeOutcome =>
    factor > knee ? 'bad' : 'good'

describe('KneeSearch', () => {
  it.each([0.013, 0.49, 0.99, 1, 1.7, 9.3, 300])('finds a knee at %d, within its precision', (knee) => {
    const { search, tried } = searched(breaksOver(knee))
    expect(search.end).toBe('found')
    expect(search.good).toBeLessThanOrEqual(knee)
    expect(search.bad).toBeGreaterThan(knee)
    expect(search.bad! / search.good!).toBeLessThanOrEqual(1.05)
    expect(tried.length).toBeLessThanOrEqual(24)
  })

  it.each<[string, (factor: number, run: number) => KneeOutcome, KneeSearchOptions, Partial<Record<'end' | 'good' | 'bad', unknown>>]>([
    ['says so when nothing breaks', () => 'good', { spanMax: 8 }, { end: 'unbroken', good: 8, bad: undefined }],
    ['says so when all breaks', () => 'bad', { spanMax: 8 }, { end: 'never_good', good: undefined, bad: 0.125 }],
    ['is unsure when the generator gives up before the mesh', (f) => (f > 3 ? 'unsure' : 'good'), {}, { end: 'unsure', bad: undefined }],
    ['finds a knee below what could not be measured', (f) => (f > 3 ? 'unsure' : f > 1.5 ? 'bad' : 'good'), {}, { end: 'found' }],
    ['stops at its runs', breaksOver(1.234), { runsMax: 3 }, { end: 'runs' }],
    ['believes no single bad moment', (f, run) => (run === 2 ? 'bad' : breaksOver(5)(f)), { confirm: true }, { end: 'found' }],
    ['begins where it is told to', breaksOver(0.1), { from: 0.08 }, { end: 'found' }],
  ])('%s', (_name, of, options, wanted) => {
    const { search } = searched(of, options)
    expect({ end: search.end, good: search.good, bad: search.bad }).toMatchObject(wanted)
  })

  it('asks again before it believes a break', () => {
    expect(searched(breaksOver(1.5), { confirm: true, precision: 1 }).tried).toEqual([1, 2, 2])
  })
})

describe('findKnee', { timeout: 60_000 }, () => {
  it('finds what two narrow ways carry together, and stops when it is told to', async () => {
    const { plan } = await checkWorkbook(fileURLToPath(new URL('../../scenarios/03-ramp-to-knee.xlsx', import.meta.url)), { scale: 0.5 })
    const run = (step: typeof plan & object) => runVirtual({ plan: step, environment })
    const knee = await findKnee({ plan: plan!, run, stepMs: 8_000, precision: 0.2 })
    expect(knee.end).toBe('found')
    // 600 messages of 1 000 bytes and their headers over 2 × 400 KB/s.
    expect(knee.lastGood!.asked).toBeGreaterThan(500)
    expect(knee.firstBad!.asked).toBeLessThan(1_000)
    expect(knee.firstBad!.reason).toMatch(/response_time|send_delay/)
    const stop = new AbortController()
    const stopped = await findKnee({ plan: plan!, run, stepMs: 3_000, signal: stop.signal, onStep: () => stop.abort() })
    expect(stopped).toMatchObject({ end: 'stopped', firstBad: undefined, steps: [{ factor: 1 }] })
  })

  it('compares with a run without load when the workbook has no limit on latency', async () => {
    const { plan } = await checkWorkbook(fileURLToPath(new URL('../../scenarios/03-ramp-to-knee.xlsx', import.meta.url)), { scale: 0.5 })
    const bare = { ...plan!, limits: [] }
    const steps: number[] = []
    const knee = await findKnee({
      plan: bare,
      run: (step) => runVirtual({ plan: step, environment }),
      stepMs: 5_000,
      precision: 1.1,
      onStep: ({ factor }) => steps.push(factor),
    })
    expect(steps[0]).toBeLessThan(0.5)
    expect(knee).toMatchObject({ end: 'found', firstBad: { factor: 2, reason: expect.stringMatching(/messages\/s arrived|ten times/) } })
  })
})
