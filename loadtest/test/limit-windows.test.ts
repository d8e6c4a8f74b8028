// Limits on a part of a run: a phase, some clients, some relays, those whom nothing hit.
import { describe, expect, it } from 'vitest'
import type { LimitResult } from '../src/verdict/index.ts'
import { runVirtual } from '../src/virtual/index.ts'
import { fakeRun } from './fixtures/fake-run.ts'
import { errorsOf, planOf, type Sheets, smallDrill } from './fixtures/sheets.ts'

const environment = { sennit: 'test', node: 'any', platform: 'simulated', cpus: 0, memoryBytes: 0 }
const columns = ['limit', 'metric', 'filter', 'stat', 'op', 'value', 'window']

/** Clients c1 and c2 are of `far` and tagged `a`, c3–c6 of `near`. Directions 0 and 1 are of the first two. */
const drill = (limits: (string | number)[][], more: Sheets = {}): Sheets =>
  smallDrill({
    Zones: [['zone'], ['far'], ['near']],
    Profiles: [
      ['profile', 'rate', 'packet_size'],
      ['p', '110/s', 100],
      ['q', '110/s', 100],
    ],
    Clients: [
      ['client', 'count', 'zone', 'tags', 'profile'],
      ['f{n}', 2, 'far', 'a', 'p'],
      ['n{n}', 4, 'near', 'b', 'q'],
    ],
    Limits: [columns, ...limits],
    ...more,
  })

/** Far messages take 30 ms, near ones 2 ms; from 8 s on, 5 ms more for all. */
function measured(limits: (string | number)[][], more: Sheets = {}): LimitResult[] {
  const plan = planOf(drill(limits, more))
  return fakeRun({
    plan,
    stallMs: () => 0,
    latencyMs: (direction, _index, dueMs) => (direction < 2 ? 30 : 2) + (dueMs >= 8_000 ? 5 : 0),
  }).summary.limits.slice(0, limits.length) as LimitResult[]
}

describe('a limit on some clients', () => {
  it.each<[string, number]>([
    ['zone:far', 35],
    ['zone:near', 7],
    ['tag:a', 35],
    ['profile:q', 7],
    ['client:f1', 35],
    ['client:n*', 7],
    ['client:n1,n2', 7],
    ['zone:near; tag:b', 7],
    ['zone:far,near', 35],
    ['', 35],
  ])('measures only what %j names', (filter, max) => {
    const [result] = measured([['L', 'response_time', filter, 'max', '<=', '1s', '']])
    expect(result!.measured).toBeCloseTo(max, 0)
  })

  it('gives nothing when no client is all that it names', () => {
    expect(measured([['L', 'response_time', 'zone:near; tag:a', 'max', '<=', '1s', '']])[0]).toMatchObject({ held: null })
  })

  it('counts throughput and connections of those alone', () => {
    const [all, far, opened, openedFar] = measured([
      ['L1', 'throughput', '', '', '>=', '1/s', ''],
      ['L2', 'throughput', 'zone:far', '', '>=', '1/s', ''],
      ['L3', 'connections_opened', '', '', '>=', 1, ''],
      ['L4', 'connections_opened', 'tag:a', '', '>=', 1, ''],
    ])
    expect(far!.measured! / all!.measured!).toBeCloseTo(1 / 3, 1)
    expect([opened!.measured, openedFar!.measured]).toEqual([3, 1])
  })
})

describe('a limit on a phase', () => {
  const Phases = [
    ['phase', 'start', 'duration', 'executor'],
    ['early', '2s', '4s', 'fixed'],
    ['late', '8s', '4s', 'fixed'],
  ]

  it('measures its messages only, and divides by its seconds', () => {
    const [early, late, rate] = measured(
      [
        ['L1', 'response_time', 'zone:near', 'max', '<=', '1s', 'phase:early'],
        ['L2', 'response_time', 'zone:near', 'max', '<=', '1s', 'Phase:LATE'],
        ['L3', 'throughput', '', '', '>=', '1/s', 'phase:late'],
      ],
      { Phases },
    )
    expect(early!.measured).toBeCloseTo(2, 0)
    expect(late!.measured).toBeCloseTo(7, 0)
    expect(rate!.measured).toBeCloseTo(660, -1)
    expect(late!.window).toBe('phase:late')
  })

  it('must be one of the plan', () => {
    expect(errorsOf(drill([['L', 'response_time', '', 'max', '<=', '1s', 'phase:lat']], { Phases }))).toEqual([
      expect.stringMatching(/^Limits!G2 window: expected the name of a phase \(early, late\); found "lat".*Nearest: late/),
    ])
  })
})

describe('a count over a window', () => {
  it('is of its moments only', () => {
    const late: string[] = []
    const plan = planOf(
      drill([
        ['L1', 'duplicated', '', '', '<=', 0, 'during:F1'],
        ['L2', 'duplicated', '', '', '<=', 0, ''],
        ['L3', 'duplicated', 'zone:far', '', '<=', 0, ''],
      ]),
    )
    const { summary } = fakeRun({
      plan,
      meddle: (bytes, direction, index) => {
        // Twice: one that is due in the second of the fault (2 s to 3 s) and one long after, both of near clients.
        const doubled = direction === 2 && (index === 250 || index === 900)
        if (doubled) late.push(String(index))
        return doubled ? [bytes, bytes] : [bytes]
      },
    })
    expect(late).toEqual(['250', '900'])
    expect(summary.limits.slice(0, 3).map(({ measured: value }) => value)).toEqual([100, 200, 0])
  })

  it('refuses what is only known at the end', () => {
    expect(errorsOf(drill([['L', 'lost', '', '', '=', 0, 'during:F1']]))).toEqual([
      expect.stringMatching(/^Limits!G2 window: expected run \(lost is known for the whole run only\)/),
    ])
  })
})

describe('filters of relays', () => {
  it('look at those relays alone', () => {
    const [all, one] = measured([
      ['L1', 'relay_rss', '', 'max', '<=', '1GB', ''],
      ['L2', 'relay_rss', 'relay:r1', 'max', '<=', '1GB', ''],
    ])
    expect([all!.measured, one!.measured]).toEqual([62e6, 60e6])
  })

  it.each<[string, string, RegExp]>([
    ['relay_rss', 'zone:far', /filter: expected relay:…, joined by ;, for relay_rss/],
    ['response_time', 'relay:r1', /filter: expected tag:…, profile:…, zone:…, client:…, joined by ;, for response_time/],
    ['generator_loop_delay', 'zone:far', /filter: expected nothing \(generator_loop_delay cannot be told apart\)/],
    ['response_time', 'zone:fra', /filter: expected what the sheet Zones has \(far, near\); found "fra".*Nearest: far/],
    ['response_time', 'nonsense', /filter: expected tag:…/],
  ])('say of %s what %s should be', (metric, filter, error) => {
    const value = metric === 'relay_rss' ? '1GB' : '1s'
    expect(errorsOf(drill([['L', metric, filter, 'max', '<=', value, '']]))).toEqual([expect.stringMatching(error)])
  })
})

describe('those whom nothing hit', () => {
  const bystanders = ['L', 'bystander_p99_ratio', '', 'value', '<=', 2, '']

  it('are compared with themselves in quiet times', () => {
    const plan = planOf(
      drill([bystanders], {
        Run: [
          ['key', 'value'],
          ['duration', '20s'],
          ['warmup', '1s'],
        ],
      }),
    )
    const run = (slower: number): LimitResult =>
      fakeRun({ plan, stallMs: () => 0, latencyMs: (_direction, _index, dueMs) => (dueMs >= 2_000 && dueMs < 3_000 ? 2 * slower : 2) })
        .summary.limits[0]!
    expect(run(1).measured).toBeCloseTo(1, 1)
    expect(run(4).measured).toBeCloseTo(4, 0)
    expect(run(4).held).toBe(false)
  })

  it('cannot be told from nobody', () => {
    const plan = planOf(
      drill([bystanders], {
        Clients: [
          ['client', 'count', 'zone'],
          ['f', 2, 'far'],
        ],
        Relays: [['relay'], ['r1']],
      }),
    )
    expect(fakeRun({ plan }).summary.limits[0]).toMatchObject({
      held: null,
      remark: expect.stringMatching(/of connections that no fault touched/),
    })
  })
})

describe('times of attaching and of coming back', () => {
  it('are measured in the simulated world as they are live', async () => {
    const plan = planOf(
      drill(
        [
          ['L1', 'handshake_time', '', 'max', '<=', '1s', ''],
          ['L2', 'reconnect_time', '', 'max', '<=', '10s', ''],
        ],
        {
          Run: [
            ['key', 'value'],
            ['duration', '14s'],
            ['warmup', '0s'],
          ],
          Faults: [
            ['fault', 'when', 'duration', 'target', 'action'],
            ['F1', 'at(4s)', '2s', 'relay:*', 'kill'],
          ],
        },
      ),
    )
    const { summary } = await runVirtual({ plan, environment })
    const [handshake, reconnect] = summary.limits
    expect(handshake!.measured).toBeGreaterThan(0)
    expect(handshake!.held).toBe(true)
    // All relays are gone for two seconds.
    expect(reconnect!.measured).toBeGreaterThan(1_900)
    expect(reconnect!.held).toBe(true)
  })
})
