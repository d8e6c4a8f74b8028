import { describe, expect, it } from 'vitest'
import { clientTuning } from '../../src/core/client/tuning.ts'
import { MeshWorld, type WorldClient } from './mesh-world.ts'

const three = ['r1', 'r2', 'r3']

function attached(client: WorldClient): string[] {
  return client.machine
    .status()
    .attachments.map((attachment) => attachment.relay)
    .sort()
}

describe('attachments', () => {
  it('keeps to the best three when it neither listens nor waits', () => {
    const relays = ['r1', 'r2', 'r3', 'r4', 'r5']
    const world = new MeshWorld({ relays, users: ['alice'] })
    const alice = world.client('alice')
    world.run(2_000)
    expect(attached(alice)).toEqual(three)
  })

  it('finds a nearer relay further down its list, and sits on it', () => {
    const relays = ['r1', 'r2', 'r3', 'r4', 'r5']
    const world = new MeshWorld({ relays, users: ['alice'], legMs: 40 })
    const alice = world.client('alice', { legs: { r5: 3 } })
    world.run(60_000)
    expect(attached(alice)).toContain('r5')
    expect(attached(alice)).toHaveLength(3)
  })

  it('takes another relay while one of the three is away', () => {
    const world = new MeshWorld({ relays: ['r1', 'r2', 'r3', 'r4'], users: ['alice'] })
    const alice = world.client('alice')
    world.run(2_000)
    world.relay('r2').kill()
    // Two are left, so it takes its time, that a crowd may not come at once.
    world.run(clientTuning.spareSpreadMs + 1_000)
    expect(attached(alice)).toEqual(['r1', 'r3', 'r4'])
  })

  it('races carriers 250 ms apart and remembers the one that passes here', () => {
    const world = new MeshWorld({ relays: ['r1'], users: ['alice'] })
    world.blockedCarriers.add('upgrade')
    const alice = world.client('alice', { carriers: ['upgrade', 'http'] })
    expect(world.runUntil(() => attached(alice).length === 1, 2_000)).toBeLessThan(250 + 50)
    expect(alice.machine.status().attachments[0]?.carrier).toBe('http')
    world.relay('r1').kill()
    world.run(100)
    world.relay('r1').start()
    expect(world.runUntil(() => attached(alice).length === 1, 2_000)).toBeDefined()
    const dials = alice.all('event').filter(({ event }) => event.type === 'attached')
    expect(dials).toMatchObject([{ event: { carrier: 'http' } }, { event: { carrier: 'http' } }])
  })

  it('gives up a dial that nobody answers after a second and a half, and says so', () => {
    const world = new MeshWorld({ relays: ['r1'], users: ['alice'] })
    world.relay('r1').freeze()
    const alice = world.client('alice')
    const failed = () => alice.all('event').find(({ event }) => event.type === 'dial_failed')
    expect(world.runUntil(() => failed() !== undefined, 5_000)).toBe(1_500)
    expect(failed()).toMatchObject({ event: { relayId: 'r1', code: 'dial_timeout' } })
    expect(alice.machine.relays()).toMatchObject([{ relay: 'r1', state: 'refused', why: expect.stringContaining('dial_timeout') }])
  })

  it('leaves relays that went from the list and tries new ones', () => {
    const world = new MeshWorld({ relays: ['r1', 'r2', 'r3', 'r4'], users: ['alice', 'bob'] })
    const bob = world.client('bob', { relays: ['r1', 'r2'] })
    bob.listen('chat')
    bob.echoes = true
    const alice = world.client('alice', { relays: ['r1', 'r2'] })
    alice.connect('bob', 'chat')
    world.run(3_000)
    const entries = (ids: string[]) => ids.map((relayId) => ({ relayId, urls: [`http://${relayId}`] }))
    for (const client of [alice, bob]) client.relaysChanged(entries(['r3', 'r4']))
    let worst = 0
    for (let turn = 0; turn < 100; turn += 1) {
      alice.send(alice.connection!, `${turn}`)
      const took = world.runUntil(() => alice.received(alice.connection!).includes(`${turn}`), 5_000)
      worst = Math.max(worst, took ?? Number.POSITIVE_INFINITY)
      world.run(150)
    }
    expect(worst).toBeLessThan(500)
    for (const client of [alice, bob]) expect(attached(client)).toEqual(['r3', 'r4'])
    expect(
      alice.machine
        .status()
        .connections[0]?.paths.map((path) => path.relay)
        .sort(),
    ).toEqual(['r3', 'r4'])
  })

  it('says goodbye to every relay when it is closed', () => {
    const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
    const bob = world.client('bob')
    bob.listen('chat')
    const alice = world.client('alice')
    alice.connect('bob', 'chat')
    world.run(3_000)
    alice.shut()
    world.run(1_000)
    expect(alice.all('connectionClosed')).toMatchObject([{ code: 'aborted' }])
    expect(bob.all('connectionClosed')).toMatchObject([{ remote: true }])
    for (const relay of world.relays.values()) expect(relay.machine?.stats().attachments).toEqual({ upgrade: 1 })
    expect(alice.machine.wakeAtMs()).toBeUndefined()
  })
})

describe('long lists', () => {
  it('meet at the relays that the listener’s name points to', () => {
    const all = Array.from({ length: 30 }, (_, index) => `r${index}`)
    for (let seed = 1; seed <= 5; seed += 1) {
      const world = new MeshWorld({ seed, relays: all, users: ['alice', 'bob'] })
      // Each finds other relays near, so that the best three share nothing.
      const near = (ids: string[]) => Object.fromEntries(ids.map((relayId) => [relayId, 1]))
      const bob = world.client('bob', { legs: near(['r0', 'r1', 'r2']) })
      bob.listen('chat')
      world.run(3_000)
      expect(attached(bob).length).toBeLessThanOrEqual(9)
      const alice = world.client('alice', { relays: [...all].reverse(), legs: near(['r27', 'r28', 'r29']) })
      alice.connect('bob', 'chat')
      expect(world.runUntil(() => alice.connection !== undefined, 10_000)).toBeLessThan(3_000)
    }
  })
})

describe('listening', () => {
  it('is refused while another client holds the name and lives, and taken over when it is gone', () => {
    const world = new MeshWorld({ relays: three, users: ['bob'] })
    const holder = world.client('bob')
    holder.listen('chat')
    world.run(2_000)
    const second = world.client('bob')
    second.listen('chat')
    world.run(5_000)
    expect(second.all('listenFailed')).toMatchObject([{ code: 'name_taken' }])
    expect(second.all('listenFailed')[0]?.answers).toHaveLength(3)
    holder.kill()
    const third = world.client('bob')
    third.listen('chat')
    expect(world.runUntil(() => third.all('listening').length === 3, 5_000)).toBeLessThan(1_000)
  })

  it('keeps clients of one user apart by their labels', () => {
    const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
    const home = world.client('bob', { label: 'home' })
    const work = world.client('bob', { label: 'work' })
    home.listen('chat')
    work.listen('chat')
    world.run(2_000)
    const alice = world.client('alice', { label: 'x1' })
    const other = world.client('alice', { label: 'x2' })
    const call = (client: WorldClient, label: string) => client.connectTo({ user: 'bob', label, application: 'chat' })
    call(alice, 'home')
    call(alice, 'work')
    call(other, 'home')
    world.run(3_000)
    expect(alice.all('connection').map((effect) => effect.peer)).toEqual([
      { user: 'bob', label: 'home' },
      { user: 'bob', label: 'work' },
    ])
    expect(home.all('connection').map((effect) => effect.peer)).toEqual([
      { user: 'alice', label: 'x1' },
      { user: 'alice', label: 'x2' },
    ])
    expect(work.all('connection')).toHaveLength(1)
  })
})
