import { describe, expect, it } from 'vitest'
import { MeshWorld, type WorldClient } from '../client/mesh-world.ts'

/** Alice’s call went over r1, whose way to bob stopped before bob heard that the circuit is open; it was confirmed over r2. */
function halfOverR1(): { world: MeshWorld; alice: WorldClient; bob: WorldClient } {
  const world = new MeshWorld({ relays: ['r1', 'r2'], users: ['alice', 'bob'] })
  const bob = world.client('bob')
  bob.listen('chat')
  world.run(2_000)
  const alice = world.client('alice', { legs: { r1: 4 } })
  world.run(2_000)
  alice.connect('bob', 'chat')
  world.run(10)
  world.block(bob, world.relay('r1'), 'down')
  expect(
    world.runUntil(() => alice.connection !== undefined && bob.connection !== undefined, 5_000),
    'confirmed over r2',
  ).toBeDefined()
  return { world, alice, bob }
}

describe('an attempt that was confirmed', () => {
  it('never makes a second connection under the same keys when its third message comes again after the end (rules 1, 15)', () => {
    const { world, alice, bob } = halfOverR1()
    alice.close(alice.connection!)
    world.run(2_000)
    expect(bob.all('connectionClosed')).toHaveLength(1)
    world.unblock(bob, world.relay('r1'), 'down')
    world.run(5_000)
    expect(bob.all('connection'), 'no ghost').toHaveLength(1)
  })

  it('takes a late copy over another relay as one more path while it lives', () => {
    const { world, alice, bob } = halfOverR1()
    world.unblock(bob, world.relay('r1'), 'down')
    world.run(1_000)
    expect(bob.all('connection')).toHaveLength(1)
    alice.send(alice.connection!, 'hello')
    world.run(500)
    expect(bob.received(bob.connection!)).toEqual(['hello'])
  })
})

describe('two ends without any relay (rule 21)', () => {
  it('try each relay with full jitter up to five seconds, not more often because more happens', () => {
    const world = new MeshWorld({ relays: ['r1', 'r2', 'r3'], users: ['alice', 'bob'] })
    const bob = world.client('bob')
    bob.listen('chat')
    world.run(2_000)
    const alice = world.client('alice')
    alice.connect('bob', 'chat')
    world.run(5_000)
    for (const relay of world.relays.values()) relay.kill()
    const before = alice.all('event').length
    for (let turn = 0; turn < 1_000; turn += 1) {
      world.run(100)
      if (turn % 10 === 0) alice.send(alice.connection!, 'still there?')
    }
    const tries = alice
      .all('event')
      .slice(before)
      .filter(({ event }) => event.type === 'dial_failed')
    // 100 s at 2.5 s on average for each of three, quicker at first.
    expect(tries.length / 3).toBeGreaterThan(30)
    expect(tries.length / 3).toBeLessThan(60)
  })
})
