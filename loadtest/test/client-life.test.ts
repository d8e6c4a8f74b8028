// What clients do over time, in the simulated world: they come and go, ask and wait for answers, end well or badly, and expect to be turned away.
import { describe, expect, test } from 'vitest'
import { runTest, type TestSheets } from '../src/index.ts'
import { type RunResult, reportHtml } from '../src/verdict/index.ts'
import { planOf } from './fixtures/sheets.ts'

const base = (more: TestSheets): TestSheets => ({
  Run: { duration: '20s', warmup: '1s' },
  Relays: [{ relay: 'r1' }, { relay: 'r2' }],
  ...more,
})

const run = async (more: TestSheets): Promise<RunResult> => await runTest(base(more))

const damage = ({ summary: { integrity } }: RunResult): number =>
  integrity.lost + integrity.duplicated + integrity.reordered + integrity.corrupted + integrity.unexpected

describe('sessions', () => {
  test('connections that end in order again and again lose nothing, and nothing is unknown', async () => {
    const result = await run({ Clients: [{ client: 'c-{n}', count: 6, rate: '50/s', session: 'uniform(1s,3s)', reconnect: 'exp(300ms)' }] })
    expect(result.reasons).toEqual([])
    expect(result.summary.connections.sessions).toBeGreaterThan(15)
    expect(result.summary.integrity.unknown).toBe(0)
    expect(result.summary.integrity.deliveredBytes).toBe(result.summary.integrity.sentBytes)
  })

  test.each(['reset', 'vanish'] as const)(
    'a %s leaves what was under way unknown, and neither lost nor never recovered',
    async (disconnect) => {
      const result = await run({
        Zones: [{ zone: 'a' }, { zone: 'b' }],
        Links: [{ from: 'a', to: 'b', rtt: '60ms' }],
        Relays: [
          { relay: 'r1', zone: 'b' },
          { relay: 'r2', zone: 'b' },
        ],
        Clients: [{ client: 'c-{n}', count: 4, zone: 'a', rate: '100/s', session: '3s', reconnect: '500ms', disconnect }],
      })
      expect(result.reasons).toEqual([])
      expect(result.summary).toMatchObject({ verdict: 'pass', connections: { neverRecovered: 0, reset: 0 } })
      expect(damage(result)).toBe(0)
      expect(result.summary.connections.sessions).toBeGreaterThanOrEqual(8)
      expect(result.summary.integrity.unknown).toBeGreaterThan(0)
      expect(result.summary.integrity.unknown).toBeLessThan(result.summary.integrity.sentBytes / 10)
    },
  )

  test('a client that leaves in the middle of its messages has delivered all it sent', async () => {
    const result = await run({
      Clients: [
        { client: 'a', rate: '200/s', detach_at: '5s' },
        { client: 'b', rate: '200/s' },
      ],
    })
    expect(result.reasons).toEqual([])
    expect(result.summary.integrity.deliveredBytes).toBe(result.summary.integrity.sentBytes)
  })

  test('a schedule says when it connects', async () => {
    const result = await run({ Clients: [{ client: 'c-{n}', count: 2, rate: '20/s', connect: 'every(5s)', session: '1s' }] })
    expect(result.reasons).toEqual([])
    expect(result.summary.connections.sessions).toBe(4)
  })

  test('two agents would know half of each: the plan of sessions is the same each time', () => {
    const sheets = {
      Clients: [
        ['client', 'count', 'session', 'disconnect'],
        ['c', 4, 'exp(5s)', 'reset'],
      ],
    }
    expect(planOf(sheets).flows).toEqual(planOf(sheets).flows)
    expect(planOf(sheets).flows[0]!.sessions).not.toEqual(planOf(sheets, { seed: 2 }).flows[0]!.sessions)
  })
})

describe('phases that say how many clients there are', () => {
  test('come and go with the number, within ramp_limit', async () => {
    const result = await run({
      Clients: [{ client: 'c-{n}', count: 20, rate: '10/s' }],
      Phases: [
        { phase: 'up', duration: '8s', executor: 'ramping_clients', to: 20 },
        { phase: 'full', duration: '4s', executor: 'constant_clients', to: 20 },
        { phase: 'down', duration: '4s', executor: 'ramping_clients', from: 20, to: 4 },
        { phase: 'few', executor: 'constant_clients', to: 4 },
      ],
    })
    expect(result.reasons).toEqual([])
    const [up, full, down, few] = result.summary.phases!
    expect(up!.clients.wanted).toBe(10)
    expect(Math.abs(up!.clients.reached - 10)).toBeLessThan(0.5)
    expect([full!.held, down!.held, few!.held]).toEqual([true, true, true])
    expect(Math.abs(few!.clients.reached - 4)).toBeLessThan(0.5)
    expect(Math.abs(full!.reached - 200)).toBeLessThan(10)
  })

  test('who is never called for is not in the plan', () => {
    const plan = planOf({
      Clients: [
        ['client', 'count'],
        ['c', 10],
      ],
      Phases: [
        ['phase', 'executor', 'to'],
        ['p', 'constant_clients', '40%'],
      ],
    })
    expect(plan.clients).toHaveLength(4)
    expect(plan.flows).toHaveLength(2)
  })
})

describe('the closed model', () => {
  test('the next message is due so long after the answer; response and service time are one round trip', async () => {
    const result = await run({
      Zones: [{ zone: 'a' }, { zone: 'b' }],
      Links: [{ from: 'a', to: 'b', rtt: '40ms' }],
      Relays: [{ relay: 'r1', zone: 'b' }],
      Profiles: [{ profile: 'p', think: '100ms' }],
      Clients: [{ client: 'c-{n}', count: 4, zone: 'a', profile: 'p', peer: 'echo' }],
    })
    expect(result.reasons).toEqual([])
    const { latencyMs, integrity } = result.summary
    // There and back through the relay: four times half a round trip.
    expect(latencyMs.response.p50).toBeGreaterThan(80)
    expect(latencyMs.response.p50).toBeLessThan(90)
    expect(latencyMs.service).toEqual(latencyMs.response)
    // Each report says what these figures are.
    expect(reportHtml(result)).toContain('Closed model: a message is due only when the last one was answered')
    expect(result.plan.clients.map(({ client }) => client)).toContain('c-1.echo')
    // 4 clients, one question and one answer every 180 ms.
    expect(Math.abs(integrity.messages - (4 * 2 * 20_000) / 181)).toBeLessThan(50)
  })

  test('Run.model = closed makes the caller of each pair ask, in bursts too, and think as its rate says', async () => {
    const result = await run({
      Run: { duration: '10s', warmup: '1s', model: 'closed' },
      Clients: [{ client: 'c-{n}', count: 2, rate: '20/s', burst: 4 }],
    })
    expect(result.reasons).toEqual([])
    const [asks, answers] = result.plan.flows[0]!.directions
    expect([asks!.role, asks!.think, answers!.role]).toEqual(['asks', { kind: 'const', value: 200 }, 'answers'])
    expect(Math.abs(result.summary.integrity.messages - 2 * 4 * 49)).toBeLessThan(20)
  })

  test('an echo in the open model answers at the rate of the questions', async () => {
    const result = await run({ Clients: [{ client: 'a', rate: '30/s', peer: 'echo' }] })
    expect(result.reasons).toEqual([])
    expect(Math.abs(result.summary.integrity.messages - 2 * 30 * 20)).toBeLessThan(10)
  })
})

describe('what clients expect', () => {
  test('a wrong key that is refused is what was expected; the others are served', async () => {
    const result = await run({
      Clients: [
        { client: 'a', rate: '10/s', peer: 'b' },
        { client: 'b', rate: '10/s' },
        { client: 'thief', peer: 'b', inject: 'once:bad_password', expect: 'rejected' },
      ],
    })
    expect(result.reasons).toEqual([])
    expect(result.summary).toMatchObject({ verdict: 'pass', clients: { rejected: 1 } })
  })

  test('two ends that accept no key mode in common do not meet', async () => {
    const result = await run({
      Clients: [
        { client: 'a', key_mode: 'none', expect: 'rejected' },
        { client: 'b', key_mode: 'blind' },
        { client: 'c', rate: '5/s' },
        { client: 'd', rate: '5/s' },
      ],
    })
    expect(result.reasons).toEqual([])
  })

  test.each(['disconnected', ''])(
    'a connection without a path to the end is not closed in good order, though nothing is missing: expect = "%s"',
    async (expected) => {
      const result = await run({
        Run: { duration: '20s', warmup: '1s', drain: '2s' },
        Clients: [
          { client: 'a', rate: '0/s', expect: expected },
          { client: 'b', rate: '0/s' },
          { client: 'c', rate: '10/s' },
          { client: 'd', rate: '10/s' },
        ],
        Faults: [{ fault: 'F1', when: 'at(10s)', target: 'client:a', action: 'cut', heal: 'never', expect: 'outage' }],
      })
      const gone = ['1 connections never recovered; 0 bytes of them are unknown']
      expect(result.reasons).toEqual(expected === '' ? gone : [])
      expect(result.summary.exitCode).toBe(expected === '' ? 121 : 0)
    },
  )

  test('who is let in that expected not to be fails the run, and so does who keeps what it expected to lose', async () => {
    const result = await run({
      Clients: [
        { client: 'a', rate: '10/s', expect: 'rejected' },
        { client: 'b', rate: '10/s' },
        { client: 'c', rate: '10/s', expect: 'disconnected' },
        { client: 'd', rate: '10/s' },
      ],
    })
    expect(result.summary).toMatchObject({ verdict: 'fail', exitCode: 99 })
    expect(result.reasons).toEqual(['expected to be rejected, and accepted: a', 'expected to be disconnected, and not: c'])
  })
})
