/** What each end is told when a caller cannot prove who it is, and how a listener that nobody can reach comes back. */
import { verifyUserCertificate } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { LegEstimator } from '../../src/core/plan/estimator.ts'
import { Hysteresis } from '../../src/core/plan/hysteresis.ts'
import { MeshWorld } from './mesh-world.ts'

const three = ['r1', 'r2', 'r3']

describe.each([
  ['end-to-end key', 'key_mismatch', (world: MeshWorld) => ({ endKey: world.crypto.generateX25519() })],
  ['identity key', 'identity_unproved', (world: MeshWorld) => ({ identityKey: world.crypto.generateEd25519() })],
] as const)('a caller that holds another %s than its certificate names', (_which, code, otherKey) => {
  const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
  const bob = world.client('bob')
  bob.listen('chat')
  world.run(2_000)
  const alice = world.client('alice', { identity: { ...world.identity('alice'), ...otherKey(world) } })
  const call = alice.connect('bob', 'chat', 30_000)
  const tookMs = world.runUntil(() => alice.all('connectFailed').length > 0, 60_000)

  it('is told why at once, not when its time is over', () => {
    expect(tookMs).toBeLessThan(10_000)
    expect(alice.all('connectFailed')).toMatchObject([{ connectHandle: call, code }])
    expect(alice.all('connectFailed')[0]?.message).toContain('refuses this caller')
  })

  it('is named at the listener, which gets no connection', () => {
    const told = bob.all('event').map(({ event }) => event)
    const refusals = told.filter((event) => event.type === 'caller_refused')
    expect(refusals.length).toBeGreaterThan(0)
    expect(refusals[0]).toMatchObject({ peer: 'alice', application: 'chat', code })
    expect(bob.connection).toBeUndefined()
  })

  it('was known to the relays by a certificate that is right', () => {
    const { certificate } = world.identity('alice')
    expect(verifyUserCertificate(world.mesh.trust, certificate, world.nowMs, world.crypto).user).toBe('alice')
  })
})

describe.each([
  ['end-to-end key', 'key_mismatch', (world: MeshWorld) => ({ endKey: world.crypto.generateX25519() })],
  ['identity key', 'identity_unproved', (world: MeshWorld) => ({ identityKey: world.crypto.generateEd25519() })],
] as const)('a listener that holds another %s than its certificate names', (_which, code, otherKey) => {
  const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
  const bob = world.client('bob', { identity: { ...world.identity('bob'), ...otherKey(world) } })
  bob.listen('chat')
  world.run(2_000)
  const alice = world.client('alice')
  alice.connect('bob', 'chat', 30_000)
  world.runUntil(() => alice.all('connectFailed').length > 0, 60_000)
  world.run(1_000)

  it('is refused by the caller, with the reason', () => {
    expect(alice.all('connectFailed')).toMatchObject([{ code }])
  })

  it('is told so too, and gets no connection', () => {
    const refusals = bob
      .all('event')
      .map(({ event }) => event)
      .filter((event) => event.type === 'refused_by_caller')
    expect(refusals[0]).toMatchObject({ peer: 'alice', application: 'chat', code })
    expect(bob.connection).toBeUndefined()
  })
})

describe('a listener that no relay serves', () => {
  it('is back within seconds of the first relay, however long all were gone', () => {
    const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
    const bob = world.client('bob')
    bob.listen('chat')
    world.run(2_000)
    for (const relayId of three) world.relay(relayId).kill()
    world.run(900_000)
    world.relay('r1').start()
    // Full jitter up to 5 s, and one more draw when a dial was under way.
    const tookMs = world.runUntil(() => bob.machine.relays().some((relay) => relay.state === 'attached'), 60_000)
    expect(tookMs).toBeLessThan(7_000)
  })
})

describe('the first pings of a process', () => {
  it('say nothing of the relay as long as they only come late', () => {
    const leg = new LegEstimator()
    leg.sample(0, 380)
    leg.sample(10, 290)
    leg.sample(400, 5)
    leg.sample(1_500, 6)
    expect(leg.estimate(1_500)).toMatchObject({ rttMs: 5 })
    leg.sample(3_000, 80)
    expect(leg.estimate(3_000)?.rttMs).toBe(80)
  })
})

describe('the first choice of a relay', () => {
  const ranked = (relayId: string, costMs: number) => ({ relayId, costMs, ownRttMs: 1, peerRttMs: 1, why: '', failureDomain: undefined })
  const better = [ranked('r1', 22.5), ranked('r2', 32.5)]

  it.each([
    ['is provisional for some seconds: a third less in two rounds takes its place', [2_000, 4_000], 'r1'],
    ['is not given up for one round', [2_000], 'r2'],
    ['is firm after ten seconds', [12_000, 35_000, 58_000, 81_000], 'r2'],
  ])('%s', (_name, rounds, expected) => {
    const hysteresis = new Hysteresis(() => 0)
    hysteresis.choose(0, [ranked('r2', 32), ranked('r1', 40)], false)
    for (const atMs of rounds) hysteresis.choose(atMs, better, true)
    expect(hysteresis.current).toBe(expected)
  })
})
