import { describe, expect, it, test } from 'vitest'
import type { RunStatus } from '../src/verdict/index.ts'
import { type Bins, countOf, LatencyBins, percentileOfBins } from '../src/verdict/latency-bins.ts'
import { fakeRun } from './fixtures/fake-run.ts'
import { planOf, smallDrill } from './fixtures/sheets.ts'

describe('latency bins', () => {
  const of = (...ms: number[]): Bins => {
    const bins = new LatencyBins()
    for (const one of ms) bins.record(one)
    return bins.read()
  }

  test.each([[0.001], [0.05], [1], [17.3], [250], [90_000], [3_600_000]])('say %d ms to about 1 %%', (ms) => {
    expect(percentileOfBins(of(ms), 50)! / ms).toBeGreaterThan(0.985)
    expect(percentileOfBins(of(ms), 50)! / ms).toBeLessThan(1.015)
  })

  it('say nothing of nothing, and count an hour for what is longer', () => {
    expect(percentileOfBins([], 99)).toBeNull()
    expect(percentileOfBins(of(0, -1), 99)! < 0.0011).toBe(true)
    expect(of(1e12)).toEqual(of(1e13))
  })

  it('find percentiles by nearest rank', () => {
    const bins = of(...Array.from({ length: 99 }, () => 2), 40)
    expect(percentileOfBins(bins, 99)).toBeCloseTo(2, 1)
    expect(percentileOfBins(bins, 99.5)).toBeGreaterThan(39)
    expect(countOf(bins)).toBe(100)
  })
})

describe('what is told while a run lasts', () => {
  const statusesOf = (limits: (string | number)[][], stallMs = 30): RunStatus[] => {
    const told: RunStatus[] = []
    const Limits = [['limit', 'metric', 'stat', 'op', 'value', 'window', 'severity'], ...limits]
    const plan = planOf(smallDrill({ Limits }))
    fakeRun({ plan, stallMs: (_action, since) => Math.max(0, stallMs - since), onStatus: (status) => told.push(status) })
    return told
  }

  it('is plain data with everything that a screen needs', () => {
    const told = statusesOf([['L1', 'response_time', 'p(99)', '<=', '50ms', '', '']])
    expect(JSON.parse(JSON.stringify(told))).toEqual(told)
    const at = (second: number): RunStatus => told[second - 1]!
    expect(at(1)).toMatchObject({ stage: 'load', next: [{ fault: 'F1', action: 'kill', target: 'r1', atMs: 2000 }], faults: [] })
    expect(at(4)).toMatchObject({
      clients: { planned: 0, attached: 6, rejected: 0, detached: 0 },
      connections: { planned: 0, open: 3, withoutPath: 0, closed: 0, failed: 0, broken: 0 },
      sentPerSecond: 660,
      messagesPerSecond: 660,
      faults: ['F1 kill r1'],
      next: [],
      relays: [
        { relay: 'r1', state: 'up', rssBytes: 60e6, cpu: 0.2, paths: 0 },
        { relay: 'r2', state: 'up', paths: 4 },
        { relay: 'r3', state: 'up', paths: 2 },
      ],
      limits: [{ limit: 'L1', state: 'held' }],
      generators: [{ id: '', cpu: 0.6 }],
    })
    expect(percentileOfBins(at(4).latencyLastSecond, 50)).toBeCloseTo(2, 1)
    expect(countOf(at(4).latencyLastSecond)).toBe(660)
    expect(countOf(at(4).latency)).toBeGreaterThan(1900)
    expect(percentileOfBins(at(4).generators[0]!.loopDelay, 99)).toBeCloseTo(0.5, 1)
  })

  it.each<[string, (string | number)[], string[]]>([
    ['a limit that is held', ['L', 'response_time', 'max', '<=', '50ms', '', ''], ['held', 'held', 'held']],
    ['one that a fault breaks', ['L', 'response_time', 'max', '<=', '20ms', '', ''], ['held', 'broken', 'broken']],
    ['one of a fault that is still to come', ['L', 'failover_time', 'max', '<=', '5s', '', ''], ['open', 'held', 'held']],
    ['a count that is not reached yet', ['L', 'connections_opened', '', '>=', 4, '', ''], ['open', 'open', 'open']],
    ['a count that is over', ['L', 'connections_opened', '', '<=', 2, '', ''], ['broken', 'broken', 'broken']],
    ['sometimes, before its moment', ['L', 'response_time', 'max', '>=', '20ms', '', 'sometimes'], ['open', 'held', 'held']],
  ])('says of %s how it stands', (_what, limit, states) => {
    const told = statusesOf([limit])
    expect([1, 4, 12].map((second) => told[second]!.limits[0]!.state)).toEqual(states)
  })
})
