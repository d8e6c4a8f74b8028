import { describe, expect, test } from 'vitest'
import { runTest, type TestSheets } from '../src/index.ts'
import { reportHtml } from '../src/verdict/report/html.ts'
import { fakeRun } from './fixtures/fake-run.ts'
import { planOf, smallDrill } from './fixtures/sheets.ts'

/** Ten pairs that send 5 messages a second each way, sped up and slowed down. */
const stages: TestSheets = {
  Run: { duration: '30s', warmup: '1s' },
  Relays: [{ relay: 'r1' }, { relay: 'r2' }],
  Clients: [{ client: 'c-{n}', count: 20, rate: '5/s', packet_size: 100 }],
  Phases: [
    { phase: 'base', duration: '6s' },
    { phase: 'up', duration: '8s', executor: 'ramping_rate', from: '100/s', to: '400/s' },
    { phase: 'steps', duration: '8s', executor: 'stairs', from: '400%', to: '100%', step: '150%' },
    { phase: 'quiet', duration: '4s', executor: 'constant_rate', to: '0/s' },
    { phase: 'end' },
  ],
}

describe('phases in the simulated world', () => {
  test('every rate is held to 1 %, and the windows of the phases are told apart', async () => {
    const { summary, reasons } = await runTest(stages)
    expect(reasons).toEqual([])
    const [base, up, steps, quiet, end] = summary.phases!
    expect(base).toMatchObject({ phase: 'base', startMs: 0, endMs: 6_000, held: null, clients: { wanted: null } })
    expect([up!.wanted, up!.held]).toEqual([250, true])
    expect(Math.abs(up!.reached - 250)).toBeLessThan(3)
    expect([steps!.wanted, steps!.held]).toEqual([250, true])
    expect(quiet).toMatchObject({ wanted: 0, reached: 0, delivered: 0, held: true, latencyMs: { response: { p99: null } } })
    expect(Math.abs(end!.reached - 100)).toBeLessThan(6)
    expect(summary.phases!.reduce((sum, { delivered }) => sum + delivered, 0)).toBe(summary.integrity.messages)
  })
})

describe('a rate that is not reached', () => {
  const plan = planOf({
    ...smallDrill(),
    Phases: [
      ['phase', 'start', 'duration', 'executor', 'to'],
      ['more', '5s', '5s', 'constant_rate', '1000/s'],
    ],
  })
  // Somebody who sends as if there were no phases: 660 messages a second.
  const result = fakeRun({ plan })

  test('makes the run inconclusive, with both rates', () => {
    expect(result.summary).toMatchObject({ verdict: 'inconclusive', exitCode: 122, phases: [{ wanted: 1000, held: false }] })
    expect(result.reasons).toEqual([
      expect.stringMatching(/^phase more: 660 of 1000 messages\/s were sent in time \(must be within 1 %\)$/),
    ])
  })

  test('is shown and not judged where the warm-up is not over before it', () => {
    const warm = fakeRun({ plan: { ...plan, run: { ...plan.run, warmupMs: 10_000 } } })
    expect(warm.summary.phases).toMatchObject([{ wanted: 1000, held: null, remark: '' }])
    expect(warm.reasons.filter((reason) => reason.startsWith('phase'))).toEqual([])
  })

  test('is told in the report, and the phase is marked in the charts', () => {
    const html = reportHtml(result)
    expect(html).toContain('<h2 id="phases">Phases</h2>')
    expect(html).toContain('not reached')
    expect(html.match(/<g class="phase"><title>phase more<\/title>/g)!.length).toBeGreaterThanOrEqual(3)
  })
})
