// Choosing by more than round trips: what policies cost, pin and prefer, and what a relay may say of itself.
import type { RelayEntry, RelayTraits } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { criteria, neutralWeights } from '../../src/core/plan/criteria.ts'
import type { LegEstimate } from '../../src/core/plan/estimator.ts'
import { type OwnFacts, Planner } from '../../src/core/plan/planner.ts'
import { formatPolicy, mergePolicies, PolicyView, parsePolicy, type RelayPolicy } from '../../src/core/plan/policy.ts'
import { MeshWorld, type WorldClient } from './mesh-world.ts'

const first = () => 0
const leg = (rttMs: number): LegEstimate => ({ rttMs, varMs: 0, loss: 0, ageMs: 0 })

function relay(relayId: string, traits: RelayTraits = {}, more: Partial<RelayEntry> = {}): RelayEntry {
  return { relayId, urls: [], traits, ...more }
}

describe('the text of a policy', () => {
  it.each<[string, RelayPolicy]>([
    ['pin=r1+region:eu', { pin: ['r1', 'region:eu'] }],
    ['prefer=zone:a,avoid=domain:rack-3', { prefer: ['zone:a'], avoid: ['domain:rack-3'] }],
    ['region=eu,price=2,rating=0.5', { region: 'eu', weights: { price: 2, rating: 0.5 } }],
    ['region=3', { weights: { region: 3 } }],
    ['', {}],
  ])('%s', (text, policy) => {
    expect(parsePolicy(text)).toEqual(policy)
    expect(parsePolicy(formatPolicy(policy))).toEqual(policy)
  })

  it.each(['pin', 'pin=', 'pin=r1+', 'colour=red', 'price=-1', 'price=1001', 'price=cheap', 'pin=R1 r2', 'prefer=planet:mars'])(
    "'%s' is refused, with what is allowed",
    (text) => {
      expect(() => parsePolicy(text)).toThrowError(
        expect.objectContaining({ code: 'bad_policy', message: expect.stringContaining('For example') }),
      )
    },
  )

  it('of a connection takes the place of what it names', () => {
    const merged = mergePolicies(parsePolicy('pin=r1,avoid=r9,price=2,rating=1'), parsePolicy('pin=r2,price=0'))
    expect(merged).toEqual({ pin: ['r2'], avoid: ['r9'], weights: { price: 0, rating: 1 } })
  })
})

describe('a criterion', () => {
  it.each([
    ['speed', relay('r1', { speedMbps: 10 }), 52.224],
    ['speed', relay('r1'), 0],
    ['uptime', relay('r1', { uptime: 0.99 }), 10],
    ['rating', relay('r1', { securityRating: 80 }), 20],
    ['rating', relay('r1'), 100],
    ['price', relay('r1', { price: 4 }), 4],
    ['region', relay('r1', { region: 'us' }), 50],
    ['region', relay('r1', { region: 'eu' }), 0],
    ['qos', relay('r1', { qos: 9 }), 0],
    ['qos', relay('r1'), 45],
  ])('%s of %o costs %d ms', (name, entry, costMs) => {
    const found = criteria.find((criterion) => criterion.name === name)!
    expect(found.costMs(entry, { region: 'eu' })).toBeCloseTo(costMs)
  })

  it('has a weight each, and none else has', () => {
    expect(Object.keys(neutralWeights).sort()).toEqual(['errors', 'latency', ...criteria.map(({ name }) => name)].sort())
  })

  it('of the application counts beside the table, and says nothing when it gives no number', () => {
    const coloured = { name: 'colour', costMs: ({ relayId }: RelayEntry) => (relayId === 'r1' ? 7 : Number.NaN) }
    const view = new PolicyView({ criteria: [coloured], weights: { colour: 3 } })
    expect(view.verdict(relay('r1'))).toEqual({ policyMs: 21, parts: ['21 colour'] })
    expect(view.verdict(relay('r2'))).toEqual({ policyMs: 0, parts: [] })
  })
})

describe('the captain', () => {
  const entries = [relay('r1', { price: 40 }), relay('r2', { region: 'eu' }), relay('r3', { securityRating: 90 })]
  const own: OwnFacts[] = entries.map((entry) => ({ relayId: entry.relayId, leg: leg(10), reachable: true, open: true, entry }))
  const report = (more: Record<string, { policyMs?: number; reachable?: boolean }> = {}) =>
    entries.map(({ relayId }) => ({ relayId, rttMs: 10, varMs: 0, loss: 0, ageMs: 0, reachable: true, ...more[relayId] }))

  function activeUnder(policy: string, more = {}): string | undefined {
    const planner = new Planner(first, new PolicyView(parsePolicy(policy)))
    planner.peerReport(0, report(more))
    return planner.look(0, own, true)?.plan.activeFromCaller
  }

  it.each([
    ['', 'r1', 'nothing is asked: all are equal'],
    ['price=1', 'r2', 'the dear one costs 40 ms'],
    ['rating=1', 'r3', 'the only one with a rating'],
    ['avoid=r1+r2', 'r3', 'what is left'],
    ['prefer=r2', 'r2', 'preferred'],
    ['region=eu', 'r2', 'the only one there'],
    ['pin=r3', 'r3', 'pinned'],
  ])("with '%s' chooses %s: %s", (policy, expected) => {
    expect(activeUnder(policy)).toBe(expected)
  })

  it('counts what the policy of the peer costs, and leaves out what the peer cannot use', () => {
    expect(activeUnder('', { r1: { policyMs: 100 } })).toBe('r2')
    expect(activeUnder('', { r1: { reachable: false }, r2: { reachable: false } })).toBe('r3')
  })

  it('says what each relay costs, and why one is left out', () => {
    const planner = new Planner(first, new PolicyView(parsePolicy('pin=r1+r2,price=1')))
    planner.peerReport(0, report({ r2: { policyMs: 30 } }))
    planner.look(0, own, true)
    const { ranked, excluded } = planner.ranking
    expect(ranked.map(({ relayId, costMs, why }) => [relayId, costMs, why])).toEqual([
      ['r2', 40, '½(10 + 10) + 2·0 variation + 30 policy of the peer = 40 ms'],
      ['r1', 50, '½(10 + 10) + 2·0 variation + 40 price = 50 ms'],
    ])
    expect(excluded).toMatchObject([{ relayId: 'r3', why: 'not pinned' }])
  })

  it('leaves at once a relay that asks for it, here or at the peer, and stays when there is no other', () => {
    for (const asked of ['here', 'peer']) {
      const planner = new Planner(first)
      planner.peerReport(0, report())
      expect(planner.look(0, own, true)?.plan.activeFromCaller).toBe('r1')
      if (asked === 'peer') planner.peerReport(1, report({ r1: { policyMs: 500 } }))
      const crowded = own.map((facts) => (asked === 'here' && facts.relayId === 'r1' ? { ...facts, crowded: true } : facts))
      const moved = planner.look(1, crowded, false)
      expect(moved).toMatchObject({ plan: { activeFromCaller: 'r2' }, why: 'r1 asks us to use others' })
      const alone = new Planner(first)
      alone.peerReport(0, report())
      expect(alone.look(0, [crowded[0]!], true)?.plan.activeFromCaller).toBe('r1')
    }
  })

  it('lets a relay that talks of its load only lose by it', () => {
    const planner = new Planner(first)
    planner.peerReport(0, report())
    const loaded = own.map((facts) => ({ ...facts, queueMs: facts.relayId === 'r1' ? 25 : -100 }))
    expect(planner.look(0, loaded, true)?.plan.activeFromCaller).toBe('r2')
    expect(planner.ranking.ranked.at(-1)).toMatchObject({
      relayId: 'r1',
      why: '½(10 + 10) + 2·0 variation + 25 load the relay tells = 35 ms',
    })
  })
})

const four = ['r1', 'r2', 'r3', 'r4']

function pair(callerPolicy: string, listenerPolicy = ''): { world: MeshWorld; alice: WorldClient; bob: WorldClient } {
  const world = new MeshWorld({ relays: [...four, 'r8', 'r9'], users: ['alice', 'bob'] })
  const bob = world.client('bob', { relays: four, policy: parsePolicy(listenerPolicy) })
  bob.listen('chat')
  const alice = world.client('alice', { relays: four })
  world.run(1_000)
  alice.connectTo({ user: 'bob', application: 'chat', policy: parsePolicy(callerPolicy) })
  world.run(5_000)
  return { world, alice, bob }
}

function pathsOf(client: WorldClient): string[] {
  return client.machine
    .status()
    .connections.flatMap(({ paths }) => paths.map(({ relay: name }) => name))
    .sort()
}

describe('a connection', () => {
  it('with pins uses no other relay, not even to meet, and waits when they are gone', () => {
    const { world, alice } = pair('pin=r3+r4')
    expect(pathsOf(alice)).toEqual(['r3', 'r4'])
    world.relay('r3').kill()
    world.relay('r4').kill()
    world.run(20_000)
    expect(alice.machine.status().connections).toMatchObject([{ state: 'no_path', paths: [] }])
    world.relay('r4').start()
    expect(world.runUntil(() => pathsOf(alice).join() === 'r4', 10_000)).toBeDefined()
  })

  it('obeys the pins of the listener as well', () => {
    const { alice } = pair('', 'pin=r2')
    expect(pathsOf(alice)).toEqual(['r2'])
  })

  it('avoids what the listener avoids', () => {
    const { alice } = pair('', 'avoid=r1+r2')
    expect(pathsOf(alice)).toEqual(['r3', 'r4'])
  })
})

describe('attach', () => {
  it("'all' stays at every relay of a long list; 'all-first' measures them and keeps the best three", () => {
    const relays = Array.from({ length: 12 }, (_, index) => `r${index + 1}`)
    const world = new MeshWorld({ relays, users: ['alice', 'bob'], legMs: 40 })
    const legs = { r7: 2, r9: 3, r12: 4 }
    const all = world.client('alice', { attach: 'all', legs })
    const allFirst = world.client('bob', { attach: 'all-first', legs })
    const attached = (client: WorldClient) => client.machine.status().attachments.map((each) => each.relay)
    world.run(3_000)
    expect([attached(all).length, attached(allFirst).length]).toEqual([12, 12])
    world.run(30_000)
    expect(attached(all)).toHaveLength(12)
    // A survey holds one of the others for a moment.
    expect(attached(allFirst).slice(0, 3)).toEqual(['r7', 'r9', 'r12'])
    expect(attached(allFirst).length).toBeLessThanOrEqual(4)
  })
})

describe('a new list', () => {
  const entry = (relayId: string, more: Partial<RelayEntry> = {}): RelayEntry => ({ relayId, urls: [`http://${relayId}:80`], ...more })

  it.each([
    ['without the relay in use', ['r2', 'r3', 'r4'].map((id) => entry(id))],
    ['that says it goes', [entry('r1', { draining: true }), entry('r2'), entry('r3'), entry('r4')]],
  ])('%s moves the connection without a pause, and the relay is left', (_name, relays) => {
    const { world, alice, bob } = pair('prefer=r1')
    expect(alice.machine.status().connections[0]?.active.send).toBe('r1')
    for (const client of [alice, bob]) client.relaysChanged(relays)
    expect(world.runUntil(() => !pathsOf(alice).includes('r1'), 5_000)).toBeDefined()
    expect(alice.machine.status().connections).toMatchObject([{ state: 'open', failovers: 0 }])
    world.run(15_000)
    expect(world.relay('r1').pipes.size).toBe(0)
    expect(alice.all('connectionClosed')).toEqual([])
  })

  it('of relays that are all lies leaves the connection where it is', () => {
    const { world, alice, bob } = pair('prefer=r1')
    for (const relayId of ['r8', 'r9']) world.relay(relayId).kill()
    for (const client of [alice, bob]) client.relaysChanged([entry('r8'), entry('r9')])
    world.run(120_000)
    expect(alice.machine.status().connections).toMatchObject([{ state: 'open', failovers: 0 }])
    expect(pathsOf(alice)).toContain('r1')
    for (const client of [alice, bob]) client.relaysChanged(four.map((id) => entry(id)))
    world.run(30_000)
    expect(pathsOf(alice)).toHaveLength(2)
  })

  it('with a relay more reaches it at the next need', () => {
    const world = new MeshWorld({ relays: ['r1', 'r2'], users: ['alice', 'bob'] })
    const bob = world.client('bob', { relays: ['r1'] })
    bob.listen('chat')
    const alice = world.client('alice', { relays: ['r1'] })
    alice.connect('bob', 'chat')
    world.run(5_000)
    expect(alice.machine.status().connections).toMatchObject([{ standby: null }])
    for (const client of [alice, bob]) client.relaysChanged(['r1', 'r2'].map((id) => entry(id)))
    expect(world.runUntil(() => pathsOf(alice).join() === 'r1,r2', 2_000)).toBeDefined()
  })
})
