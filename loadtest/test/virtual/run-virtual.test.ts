import { describe, expect, it } from 'vitest'
import { type FaultAct, freezePlan, type Plan } from '../../src/plan.ts'
import type { RunStatus } from '../../src/verdict/index.ts'
import { runVirtual } from '../../src/virtual/index.ts'

const environment = { sennit: 'test', node: 'any', platform: 'simulated', cpus: 0, memoryBytes: 0 }

/** A plan of `pairs` connections over three relays, both ends sending; acts as given, the rest by default. */
function planOf(wishes: {
  acts?: Partial<FaultAct>[]
  pairs?: number
  perSecond?: number
  durationMs?: number
  rttMs?: number
  seed?: number
}): Plan {
  const { pairs = 2, perSecond = 20, durationMs = 12_000, rttMs = 0, seed = 7 } = wishes
  const relays = ['r1', 'r2', 'r3']
  const client = (index: number): Plan['clients'][number] => ({
    client: `c${index + 1}`,
    row: index + 2,
    tags: [],
    zone: 'home',
    user: `c${index + 1}`,
    label: '',
    application: 'test',
    profile: 'p',
    relays,
    carrier: 'auto',
    proxy: '',
    paths: '',
    attachAtMs: index * 10,
    detachAtMs: null,
    passive: false,
    note: '',
  })
  const direction = (flow: number, back: 0 | 1): Plan['flows'][number]['directions'][number] => ({
    direction: 2 * flow + back,
    flow,
    from: 2 * flow + back,
    to: 2 * flow + 1 - back,
    bursts: perSecond,
    burst: 1,
    messagesPerSecond: perSecond,
    size: { kind: 'uniform', from: 100, to: 400 },
    dataLimitBytes: null,
    readBytesPerSecond: null,
    check: 'full',
  })
  return freezePlan({
    version: 1,
    name: 'a plan',
    seed,
    run: { durationMs, warmupMs: 1_000, drainMs: 10_000, percentiles: [50, 99], clockErrorMaxMs: 5, loopDelayP99MaxMs: 50, reports: [] },
    zones: [{ zone: 'home', label: 'home' }],
    links: [{ from: 'home', to: 'home', rttMs, jitterMs: 0 }],
    relays: relays.map((relay) => ({ relay, zone: 'home', url: '', managed: true, weight: 1, failureDomain: '' })),
    clients: Array.from({ length: pairs * 2 }, (_, index) => client(index)),
    flows: Array.from({ length: pairs }, (_, flow) => ({
      flow,
      caller: 2 * flow,
      listener: 2 * flow + 1,
      application: 'test',
      openAtMs: 500,
      closeAtMs: null,
      directions: [direction(flow, 0), direction(flow, 1)],
    })),
    acts: (wishes.acts ?? []).map((act, index) => ({
      act: index,
      fault: `F${index + 1}`,
      action: 'kill',
      target: { kind: 'busiest', among: relays },
      atMs: 4_000,
      durationMs: 2_000,
      heal: 'auto',
      latencyMs: 0,
      jitterMs: 0,
      direction: 'both',
      corruptOneIn: 0,
      expect: 'survive',
      ...act,
    })),
    limits: [],
  })
}

describe('a plan in the simulated world', () => {
  it('passes when nothing goes wrong, with latencies of the links', async () => {
    const { summary } = await runVirtual({ plan: planOf({ rttMs: 40 }), environment })
    expect(summary).toMatchObject({ verdict: 'pass', exitCode: 0, engine: 'virtual', clients: { planned: 4, attached: 4, rejected: 0 } })
    expect(summary.integrity).toMatchObject({ lost: 0, duplicated: 0, reordered: 0, corrupted: 0, unexpected: 0, unknown: 0 })
    expect(summary.integrity.messages).toBeGreaterThan(800)
    // One way through the relay: half a round trip of each end.
    expect(summary.latencyMs.response.p50).toBeGreaterThan(39)
    expect(summary.latencyMs.response.p50).toBeLessThan(45)
  })

  it('gives the same result twice, to the letter', async () => {
    const plan = planOf({ acts: [{ action: 'kill' }] })
    const [first, second] = [await runVirtual({ plan, environment }), await runVirtual({ plan, environment })]
    expect(JSON.stringify(second)).toBe(JSON.stringify(first))
  })

  it('tells where it stands once a second, and ends when it is interrupted', async () => {
    const told: RunStatus[] = []
    const controller = new AbortController()
    const { summary } = await runVirtual({
      plan: planOf({ durationMs: 600_000, perSecond: 1 }),
      environment,
      signal: controller.signal,
      onStatus: (status) => {
        told.push(status)
        if (told.length === 5) controller.abort()
      },
    })
    expect(told.length).toBeGreaterThanOrEqual(5)
    expect(told[3]).toMatchObject({ attached: 4, connected: 2 })
    expect(summary).toMatchObject({ exitCode: 105 })
  })

  it.each<[string, Partial<FaultAct>, number]>([
    ['kill', { action: 'kill' }, 50],
    ['pause', { action: 'pause' }, 500],
    ['blackhole', { action: 'blackhole' }, 500],
    ['one way up', { action: 'one_way', direction: 'up' }, 500],
    ['one way down', { action: 'one_way', direction: 'down' }, 500],
    ['reset_peer', { action: 'reset_peer', durationMs: 0 }, 50],
    ['term', { action: 'term' }, 50],
    ['restart', { action: 'restart' }, 50],
    ['latency', { action: 'latency', latencyMs: 30, jitterMs: 10 }, 500],
    ['corrupt', { action: 'corrupt', corruptOneIn: 2_000 }, 500],
    ['partition', { action: 'partition', target: { kind: 'clients', clients: ['c1'], name: 'client:c1' } }, 3_500],
    ['isolate_one', { action: 'isolate_one' }, 500],
    ['swizzle_clog', { action: 'swizzle_clog', durationMs: 4_000, target: { kind: 'zone', zone: 'home' } }, 5_000],
    ['flap', { action: 'flap', durationMs: 8_000, downMs: 2_000, upMs: 2_000 }, 500],
    ['flap by cuts', { action: 'flap', durationMs: 4_000, downMs: 500, upMs: 500, how: 'cut' }, 100],
    ['cut', { action: 'cut' }, 50],
    ['refuse', { action: 'refuse' }, 10],
    ['reset_peer again and again', { action: 'reset_peer', durationMs: 5_000, everyMs: 1_000 }, 50],
    ['half_open', { action: 'half_open', durationMs: 0 }, 500],
    ['slow_close', { action: 'slow_close', delayMs: 1_000 }, 10],
    ['loss', { action: 'loss', share: 0.02, delayMs: 200 }, 500],
    ['bandwidth', { action: 'bandwidth', bytesPerSecond: 30_000 }, 5_000],
    ['slice', { action: 'slice', bytes: 64, delayMs: 1 }, 500],
    ['mtu', { action: 'mtu', bytes: 300 }, 500],
    ['limit_data', { action: 'limit_data', bytes: 20_000 }, 100],
    ['duplicate_frame', { action: 'duplicate_frame', share: 0.1 }, 10],
    ['reorder_frame', { action: 'reorder_frame', share: 0.1, delayMs: 40 }, 100],
    ['captive', { action: 'captive' }, 100],
    ['nat_rebind', { action: 'nat_rebind', durationMs: 0, how: 'silent' }, 500],
    ['nat_rebind with resets', { action: 'nat_rebind', durationMs: 0, how: 'reset' }, 50],
    [
      'the address of one client',
      { action: 'nat_rebind', durationMs: 0, target: { kind: 'clients', clients: ['c1'], name: 'client:c1' } },
      4_500,
    ],
    ['dns_gone', { action: 'dns_gone' }, 10],
    ['cpu_hog', { action: 'cpu_hog', share: 0.8, downMs: 100 }, 500],
    ['clock_drift', { action: 'clock_drift', drift: 0.01 }, 10],
    ['clock_offset', { action: 'clock_offset', offsetMs: 3_600_000 }, 10],
    ['clock_offset and a new start', { action: 'clock_offset', offsetMs: -3_600_000, how: 'restart' }, 50],
    ['drain', { action: 'drain' }, 50],
    ['restart with a new key', { action: 'restart', how: 'new_key' }, 50],
    [
      'sleep for four seconds',
      { action: 'sleep', durationMs: 4_000, target: { kind: 'clients', clients: ['c1'], name: 'client:c1' } },
      4_500,
    ],
    ['a zone cut off', { action: 'blackhole', target: { kind: 'zone', zone: 'home' } }, 3_500],
  ])('survives %s of the relay in use without losing a byte', async (_name, act, stallMs) => {
    const { summary, reasons } = await runVirtual({ plan: planOf({ acts: [act], perSecond: 110, pairs: 1 }), environment })
    expect(reasons).toEqual([])
    expect(summary).toMatchObject({ verdict: 'pass', connections: { opened: 1, failed: 0, neverRecovered: 0, reset: 0 } })
    const [failover] = summary.failovers
    expect(failover?.actualAtMs).toBe(4_000)
    expect(failover?.healedAtMs).not.toBeNull()
    expect(failover?.connections).toBe(1)
    expect(failover?.stallMs.max).toBeLessThanOrEqual(stallMs)
  })

  const asleep = (durationMs: number): Partial<FaultAct> => ({
    action: 'sleep',
    durationMs,
    target: { kind: 'clients', clients: ['c1'], name: 'client:c1' },
    expect: 'outage',
  })

  it('goes on after a machine slept for a minute and a half', async () => {
    const { summary } = await runVirtual({ plan: planOf({ acts: [asleep(90_000)], durationMs: 120_000 }), environment })
    expect(summary).toMatchObject({ verdict: 'pass', connections: { opened: 2, neverRecovered: 0, reset: 0 } })
    expect(summary.integrity).toMatchObject({ lost: 0, duplicated: 0, reordered: 0, corrupted: 0, unexpected: 0, unknown: 0 })
    expect(summary.latencyMs.response.max).toBeGreaterThan(85_000)
  })

  it('tells both ends after a machine slept for ten minutes, and calls nothing lost', async () => {
    const result = await runVirtual({ plan: planOf({ acts: [asleep(600_000)], durationMs: 640_000, perSecond: 5 }), environment })
    expect(result.summary).toMatchObject({ exitCode: 121, connections: { opened: 2, neverRecovered: 1, reset: 1 } })
    expect(result.summary.integrity).toMatchObject({ lost: 0, duplicated: 0, reordered: 0, corrupted: 0, unexpected: 0 })
    expect(result.summary.errors.map(({ code }) => code)).toEqual(['timeout'])
  })

  it.each([
    // It sends, so it misses answers at once, on all its attachments: also on those that carry nothing yet.
    ['sender', 'c1', 22_000, 4_000],
    ['sender', 'c1', 30_000, 4_000],
    // It only receives, so nobody tells it: it asks when what came in has stopped for two seconds. It may be back before its relay knows that its old
    // attachment is dead: its JOIN takes the place of the old path, also of one that came by the call (8.6 s before both ends told the relay its tag).
    ['receiver', 'c2', 22_000, 6_000],
    ['receiver', 'c2', 24_000, 6_000],
    ['receiver', 'c2', 30_000, 6_000],
  ])('finds its %s again when all connections of %s die without a word after %d ms, within %d ms', async (_who, client, atMs, withinMs) => {
    const act: Partial<FaultAct> = {
      action: 'nat_rebind',
      durationMs: 0,
      atMs,
      target: { kind: 'clients', clients: [client], name: client },
    }
    const plan = structuredClone(planOf({ acts: [act], durationMs: 50_000, pairs: 1, perSecond: 50 })) as {
      -readonly [K in keyof Plan]: Plan[K]
    }
    plan.flows = plan.flows.map((flow) => ({ ...flow, directions: flow.directions.slice(0, 1) }))
    const { summary } = await runVirtual({ plan, environment })
    expect(summary).toMatchObject({ verdict: 'pass', connections: { neverRecovered: 0, reset: 0 } })
    expect(summary.latencyMs.response.max).toBeGreaterThan(1_000)
    expect(summary.latencyMs.response.max).toBeLessThan(withinMs)
  })

  it('refuses before the run what a simulated process cannot suffer', async () => {
    await expect(runVirtual({ plan: planOf({ acts: [{ action: 'disk_full' }] }), environment })).rejects.toThrow(
      'fault F1 (disk_full) cannot be done here',
    )
  })

  it('moves before it breaks in a rolling restart, even after a freeze that made one relay suspect', async () => {
    const relay = (name: string): Partial<FaultAct> => ({
      action: 'rolling_restart',
      target: { kind: 'relay', relay: name },
      durationMs: 0,
    })
    const { summary } = await runVirtual({
      plan: planOf({
        durationMs: 24_000,
        pairs: 2,
        perSecond: 110,
        acts: [
          { action: 'pause', atMs: 4_000, durationMs: 2_000 },
          { ...relay('r1'), atMs: 10_000 },
          { ...relay('r2'), atMs: 14_000 },
          { ...relay('r3'), atMs: 18_000 },
        ],
      }),
      environment,
    })
    expect(summary.verdict).toBe('pass')
    for (const failover of summary.failovers.slice(1)) expect(failover.stallMs.max ?? 0).toBeLessThan(10)
  })

  // Before clients redialled such a relay at an even pace, the same twelve restarts stalled connections for up to 3.1 s: the back-off of a failed relay
  // grew with every restart, until all three were away.
  it.each([1, 2, 3])('stalls nobody when relays restart as fast as they can, round after round (seed %i)', async (seed) => {
    const acts = Array.from(
      { length: 12 },
      (_, index): Partial<FaultAct> => ({
        action: 'rolling_restart',
        target: { kind: 'relay', relay: `r${(index % 3) + 1}` },
        durationMs: 0,
        atMs: 4_000 + index * 1_500,
      }),
    )
    const { summary } = await runVirtual({
      plan: planOf({ seed, acts, pairs: 3, perSecond: 110, rttMs: 10, durationMs: 26_000 }),
      environment,
    })
    expect(summary).toMatchObject({ verdict: 'pass', connections: { reset: 0, neverRecovered: 0 } })
    expect(summary.failovers.filter(({ connections }) => connections > 0).length).toBeGreaterThan(6)
    expect(Math.max(...summary.failovers.map(({ stallMs }) => stallMs.max ?? 0))).toBeLessThan(10)
  })

  it('calls what no relay is left for unknown, never lost', async () => {
    const never = ['r1', 'r2', 'r3'].map((relay) => ({
      action: 'kill' as const,
      target: { kind: 'relay' as const, relay },
      heal: 'never' as const,
      expect: 'outage' as const,
    }))
    const { summary } = await runVirtual({ plan: planOf({ acts: never }), environment })
    expect(summary.exitCode).toBe(121)
    expect(summary.integrity.lost).toBe(0)
    expect(summary.integrity.unknown).toBeGreaterThan(0)
    expect(summary.connections.neverRecovered).toBe(2)
  })
})
