import { describe, expect, it } from 'vitest'
import { MeshWorld, type WorldClient } from './mesh-world.ts'

/** Both sides of a connection that talks. */
function pair(world: MeshWorld, wishes: { caller?: object; listener?: object } = {}): { alice: WorldClient; bob: WorldClient } {
  const bob = world.client('bob', wishes.listener)
  bob.echoes = true
  bob.listen('chat')
  world.run(2_000)
  const alice = world.client('alice', wishes.caller)
  alice.connect('bob', 'chat')
  world.runUntil(() => alice.connection !== undefined, 10_000)
  expect(alice.connection).toBeDefined()
  return { alice, bob }
}

/** The time until an echo came back, or undefined. */
function echo(world: MeshWorld, alice: WorldClient, text: string, withinMs = 1_000): number | undefined {
  const handle = alice.connection!
  alice.send(handle, text)
  return world.runUntil(() => alice.received(handle).includes(text), withinMs)
}

const three = ['r1', 'r2', 'r3']
const eight = ['r1', 'r2', 'r3', 'r4', 'r5', 'r6', 'r7', 'r8']

describe('meeting', () => {
  it('connects a caller to a listener, carries messages both ways and agrees on a plan with a standby', () => {
    const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
    const { alice, bob } = pair(world)
    expect(bob.all('listening').map((effect) => effect.relayId)).toEqual(three)
    expect(echo(world, alice, 'hello')).toBeLessThan(100)
    world.run(3_000)
    const [status] = alice.machine.status().connections
    expect(status?.active.send).toBe(status?.active.receive)
    expect(status?.standby).not.toBeNull()
    expect(status?.paths.map((path) => path.state)).toEqual(['open', 'open'])
    expect(bob.machine.status().connections[0]?.active).toEqual(status?.active)
  })

  it('lets data flow two round trips after the call', () => {
    const world = new MeshWorld({ relays: ['r1'], users: ['alice', 'bob'], legMs: 50 })
    const bob = world.client('bob')
    bob.listen('chat')
    const alice = world.client('alice')
    world.run(2_000)
    alice.connect('bob', 'chat')
    // A round trip between the ends is 200 ms here.
    expect(world.runUntil(() => alice.connection !== undefined, 5_000)).toBeLessThanOrEqual(401)
  })

  it('meets over the only relay that lists of eight share', () => {
    const relays = [...eight, 's1', 's2', 's3', 's4', 's5', 's6', 's7']
    const world = new MeshWorld({ relays, users: ['alice', 'bob'] })
    const { alice } = pair(world, {
      listener: { relays: eight },
      caller: { relays: ['s1', 's2', 's3', 's4', 's5', 's6', 's7', 'r8'] },
    })
    expect(echo(world, alice, 'hello')).toBeLessThan(100)
    expect(alice.machine.status().connections[0]?.active.send).toBe('r8')
  })

  it('says what each relay answered when the lists share none', () => {
    const world = new MeshWorld({ relays: ['r1', 'r2', 's1', 's2'], users: ['alice', 'bob'] })
    const bob = world.client('bob', { relays: ['r1', 'r2'] })
    bob.listen('chat')
    const alice = world.client('alice', { relays: ['s1', 's2'] })
    world.relay('s2').kill()
    alice.connect('bob', 'chat', 5_000)
    expect(world.runUntil(() => alice.all('connectFailed').length > 0, 6_000)).toBe(5_000)
    const [failed] = alice.all('connectFailed')
    expect(failed).toMatchObject({ code: 'no_peer' })
    expect(failed?.answers).toEqual([
      { relayId: 's1', answer: 'please wait' },
      { relayId: 's2', answer: 'not reached: connection_refused: s2: connection_refused' },
    ])
  })

  it('says so when no relay is reached', () => {
    const world = new MeshWorld({ relays: ['r1'], users: ['alice', 'bob'] })
    world.relay('r1').kill()
    const alice = world.client('alice')
    alice.connect('bob', 'chat', 5_000)
    world.run(6_000)
    expect(alice.all('connectFailed')).toMatchObject([{ code: 'no_relay' }])
  })

  it('connects a caller that came first', () => {
    const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
    const alice = world.client('alice')
    alice.connect('bob', 'chat')
    world.run(5_000)
    const bob = world.client('bob')
    bob.listen('chat')
    expect(world.runUntil(() => alice.connection !== undefined, 1_000)).toBeLessThan(400)
  })

  it('asks the next relay when the first one is frozen, before it answered or after', () => {
    for (const afterMs of [0, 25, 35]) {
      const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
      const bob = world.client('bob')
      bob.echoes = true
      bob.listen('chat')
      const alice = world.client('alice')
      world.run(3_000)
      alice.connect('bob', 'chat')
      world.at(world.nowMs + afterMs, () => world.relay('r1').freeze())
      expect(world.runUntil(() => alice.connection !== undefined, 5_000)).toBeLessThan(700)
      expect(echo(world, alice, 'hello', 5_000)).toBeLessThan(1_000)
    }
  })

  it('retries "not registered" for five seconds', () => {
    const world = new MeshWorld({ relays: three, users: ['alice'] })
    const alice = world.client('alice')
    alice.connect('bob', 'chat')
    world.run(2_000)
    world.setUsers(['alice', 'bob'])
    const bob = world.client('bob')
    bob.listen('chat')
    expect(world.runUntil(() => alice.connection !== undefined, 3_000)).toBeDefined()
    alice.connect('carol', 'chat')
    const took = world.runUntil(() => alice.all('connectFailed').length > 0, 10_000)
    expect(took).toBeGreaterThan(4_900)
    expect(took).toBeLessThan(6_000)
    expect(alice.all('connectFailed')[0]).toMatchObject({ code: 'not_registered' })
  })

  it.each([
    ['alice calls first', 0, 3],
    ['bob calls first', 3, 0],
    ['both at the same instant', 0, 0],
    ['bob while the request of alice is under way', 0, 12],
    ['alice while the request of bob is under way', 12, 0],
  ])('makes one connection of two calls that cross: %s', (_name, aliceAtMs, bobAtMs) => {
    for (const listening of [false, true]) {
      const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
      const alice = world.client('alice')
      const bob = world.client('bob')
      if (listening) {
        alice.listen('chat')
        bob.listen('chat')
      }
      world.run(2_000)
      world.at(world.nowMs + aliceAtMs, () => void alice.connect('bob', 'chat'))
      world.at(world.nowMs + bobAtMs, () => void bob.connect('alice', 'chat'))
      world.run(15_000)
      expect(alice.all('connection')).toHaveLength(1)
      expect(bob.all('connection')).toHaveLength(1)
      expect(alice.all('connection')[0]?.id).toBe(bob.all('connection')[0]?.id)
      expect([...alice.all('connectionClosed'), ...bob.all('connectionClosed')]).toEqual([])
      bob.echoes = true
      expect(echo(world, alice, 'hello')).toBeLessThan(100)
    }
  })

  it.each([
    ['connection refused by the peer’s missing listening', 'other', 'no_peer'],
    ['a client itself', 'self', 'self'],
  ])('refuses %s', (_name, what, code) => {
    const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
    const { alice } = pair(world)
    if (what === 'self') alice.connect('alice', 'chat', 3_000)
    else alice.connect('bob', 'other', 3_000)
    world.run(4_000)
    expect(alice.all('connectFailed')).toMatchObject([{ code }])
  })

  it('takes the best key mode that both ends accept, and shows it', () => {
    const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
    const alice = world.client('alice')
    const bob = world.client('bob', { keyModes: ['relay', 'none'] })
    bob.listen('chat')
    world.run(2_000)
    alice.connectTo({ user: 'bob', application: 'chat', keyModes: ['blind', 'relay', 'none'] })
    world.run(2_000)
    for (const end of [alice, bob]) {
      expect(end.all('connection')).toMatchObject([{ keyMode: 'relay' }])
      expect(end.machine.status().connections).toMatchObject([{ keyMode: 'relay' }])
    }
    bob.echoes = true
    expect(echo(world, alice, 'hello')).toBeLessThan(100)
  })

  it('refuses a key mode below what the listener accepts, by its name', () => {
    const world = new MeshWorld({ relays: ['r1'], users: ['alice', 'bob'] })
    const alice = world.client('alice')
    const bob = world.client('bob')
    bob.listen('chat')
    world.run(2_000)
    alice.connectTo({ user: 'bob', application: 'chat', keyModes: ['relay', 'none'] })
    world.run(2_000)
    expect(alice.all('connectFailed')).toMatchObject([{ code: 'key_mode_mismatch' }])
    expect([...alice.all('connection'), ...bob.all('connection')]).toEqual([])
  })

  it('refuses a second connection of one name while the first lives', () => {
    const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
    const { alice } = pair(world)
    alice.connect('bob', 'chat')
    expect(alice.all('connectFailed')).toMatchObject([{ code: 'exists' }])
    const other = world.client('alice')
    world.run(1_000)
    other.connect('bob', 'chat')
    expect(world.runUntil(() => other.all('connectFailed').length > 0, 5_000)).toBeLessThan(200)
    expect(other.all('connectFailed')).toMatchObject([{ code: 'exists' }])
    expect(echo(world, alice, 'still here')).toBeLessThan(100)
  })
})

describe('restarts', () => {
  it('gives a caller that was killed and started again its connection; the old one is superseded', () => {
    for (const legMs of [1, 5, 60]) {
      const world = new MeshWorld({ relays: three, users: ['alice', 'bob'], legMs })
      const { alice, bob } = pair(world)
      echo(world, alice, 'one')
      alice.kill()
      const again = world.client('alice')
      again.connect('bob', 'chat')
      const took = world.runUntil(() => again.connection !== undefined, 10_000)
      expect(took).toBeLessThan(4_000)
      expect(bob.all('connectionClosed')).toMatchObject([{ code: 'superseded' }])
      expect(echo(world, again, 'two')).toBeLessThan(1_000)
    }
  })

  it('tells a caller quickly that its listener was started anew, and connects it again', () => {
    const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
    const { alice, bob } = pair(world)
    echo(world, alice, 'one')
    world.run(3_000)
    bob.kill()
    const again = world.client('bob')
    again.echoes = true
    again.listen('chat')
    const took = world.runUntil(() => alice.all('connectionClosed').length > 0, 10_000)
    expect(took).toBeLessThan(1_500)
    expect(alice.all('connectionClosed')).toMatchObject([{ code: 'peer_restarted' }])
    alice.connect('bob', 'chat')
    expect(world.runUntil(() => alice.all('connection').length === 2, 3_000)).toBeLessThan(500)
    expect(echo(world, alice, 'two')).toBeLessThan(100)
    expect(again.all('connection')).toHaveLength(1)
  })

  it('ends a connection in order at both ends', () => {
    const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
    const { alice, bob } = pair(world)
    alice.close(alice.connection!)
    expect(world.runUntil(() => bob.all('connectionClosed').length + alice.all('connectionClosed').length === 2, 5_000)).toBeLessThan(500)
    expect(alice.all('connectionClosed')).toMatchObject([{ code: 'closed', remote: false }])
    expect(bob.all('connectionClosed')).toMatchObject([{ remote: true }])
    world.run(15_000)
    for (const relay of world.relays.values())
      expect(relay.machine?.stats()).toMatchObject({ circuits: 0, pendingJoins: 0, heldRequests: 0 })
    alice.connect('bob', 'chat')
    expect(world.runUntil(() => alice.all('connection').length === 2, 3_000)).toBeLessThan(500)
  })
})

describe('relays that fail', () => {
  it('survives a killed relay without a pause to speak of, and takes the third as standby', () => {
    const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
    const { alice } = pair(world)
    echo(world, alice, 'one')
    world.run(5_000)
    const active = alice.machine.status().connections[0]!.active.send!
    world.relay(active).kill()
    expect(echo(world, alice, 'two')).toBeLessThan(100)
    world.run(3_000)
    const [status] = alice.machine.status().connections
    expect(status?.failovers).toBe(1)
    expect([status?.active.send, status?.standby].sort()).toEqual(three.filter((relay) => relay !== active))
  })

  it('survives a frozen relay within half a second and three round trips', () => {
    const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
    const { alice } = pair(world)
    echo(world, alice, 'one')
    world.run(5_000)
    const active = alice.machine.status().connections[0]!.active.send!
    world.relay(active).freeze()
    expect(echo(world, alice, 'two', 5_000)).toBeLessThan(560)
    world.run(3_000)
    const [status] = alice.machine.status().connections
    expect(status?.active.send).not.toBe(active)
    expect(status?.standby).not.toBe(active)
    world.relay(active).thaw()
    expect(echo(world, alice, 'three')).toBeLessThan(100)
  })

  it.each([
    ['alice', 'up'],
    ['alice', 'down'],
    ['bob', 'up'],
    ['bob', 'down'],
  ] as const)('survives a one-way hole between %s and the relay in use (%s)', (who, direction) => {
    const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
    const { alice, bob } = pair(world)
    echo(world, alice, 'one')
    world.run(5_000)
    const active = alice.machine.status().connections[0]!.active.send!
    world.block(who === 'alice' ? alice : bob, world.relay(active), direction)
    expect(echo(world, alice, 'two', 5_000)).toBeLessThan(560)
    for (let turn = 0; turn < 50; turn += 1) {
      expect(echo(world, alice, `turn ${turn}`, 5_000)).toBeLessThan(560)
      world.run(100)
    }
    const [status] = alice.machine.status().connections
    expect(status?.active.send).not.toBe(active)
  })

  it('opens the next relays of its plan when active and standby are frozen together', () => {
    const world = new MeshWorld({ relays: ['r1', 'r2', 'r3', 'r4'], users: ['alice', 'bob'] })
    const { alice } = pair(world)
    echo(world, alice, 'one')
    world.run(5_000)
    const { active, standby } = alice.machine.status().connections[0]!
    for (const relayId of [active.send!, standby!]) world.relay(relayId).freeze()
    // The listener has nothing in flight: it learns of it from the caller's request, which names the connection.
    expect(echo(world, alice, 'two', 60_000)).toBeLessThan(4_000)
  })

  it('goes on when all relays were dead for twenty seconds and one is back', () => {
    const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
    const { alice, bob } = pair(world)
    echo(world, alice, 'one')
    for (const relay of world.relays.values()) relay.kill()
    alice.send(alice.connection!, 'two')
    world.run(20_000)
    world.relay('r2').start()
    const took = world.runUntil(() => alice.received(alice.connection!).includes('two'), 20_000)
    expect(took).toBeLessThan(6_000)
    expect(alice.received(alice.connection!)).toEqual(['one', 'two'])
    expect([...alice.all('connectionClosed'), ...bob.all('connectionClosed')]).toEqual([])
  })

  it('ends with a clear error at both ends when all relays stay dead', () => {
    const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
    const { alice, bob } = pair(world)
    echo(world, alice, 'one')
    for (const relay of world.relays.values()) relay.kill()
    world.run(130_000)
    expect(alice.all('connectionClosed')).toMatchObject([{ code: 'timeout' }])
    expect(bob.all('connectionClosed')).toMatchObject([{ code: 'timeout' }])
  })

  it('comes back to a relay that was restarted', () => {
    const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
    const { alice, bob } = pair(world)
    world.relay('r1').kill()
    world.run(2_000)
    world.relay('r1').start()
    world.run(40_000)
    expect(
      bob.machine
        .status()
        .attachments.map((attachment) => attachment.relay)
        .sort(),
    ).toEqual(three)
    expect(echo(world, alice, 'two')).toBeLessThan(100)
  })

  it('moves off a draining relay without a pause', () => {
    const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
    const { alice, bob } = pair(world)
    echo(world, alice, 'one')
    world.run(5_000)
    const active = alice.machine.status().connections[0]!.active.send!
    world.relay(active).drain(10_000, 2_000)
    let worst = 0
    for (let turn = 0; turn < 100; turn += 1) {
      worst = Math.max(worst, echo(world, alice, `message ${turn}`) ?? Number.POSITIVE_INFINITY)
      world.run(100)
    }
    expect(worst).toBeLessThan(45)
    const [status] = alice.machine.status().connections
    expect(status?.active.send).not.toBe(active)
    expect(status?.failovers).toBe(0)
    expect(world.relay(active).machine?.stats().circuits).toBe(0)
    for (const client of [alice, bob])
      expect(client.machine.status().attachments.map((attachment) => attachment.relay)).not.toContain(active)
  })
})

describe('agreeing on a relay', () => {
  it('picks the jointly best of 40/5/90 and 5/60/40, and says why', () => {
    const world = new MeshWorld({ relays: three, users: ['alice', 'bob'] })
    const { alice, bob } = pair(world, {
      caller: { legs: { r1: 20, r2: 2.5, r3: 45 } },
      listener: { legs: { r1: 2.5, r2: 30, r3: 20 } },
    })
    world.run(10_000)
    for (const client of [alice, bob]) {
      const [status] = client.machine.status().connections
      expect(status?.active).toEqual({ send: 'r1', receive: 'r1' })
      expect(status?.standby).toBe('r2')
      expect(status?.ranking.map((row) => row.relay)).toEqual(three)
    }
    const [row] = alice.machine.status().connections[0]!.ranking
    expect(row).toMatchObject({ ownRttMs: 40, peerRttMs: 5 })
    expect(row?.why).toMatch(/^active: ½/)
  })

  it('gives back attachments that serve nothing once the plan is agreed', () => {
    const world = new MeshWorld({ relays: eight, users: ['alice', 'bob'] })
    const alice = world.client('alice')
    alice.connect('bob', 'chat')
    world.run(5_000)
    expect(alice.machine.status().attachments).toHaveLength(8)
    const bob = world.client('bob')
    bob.echoes = true
    bob.listen('chat')
    world.runUntil(() => alice.connection !== undefined, 2_000)
    expect(echo(world, alice, 'one')).toBeLessThan(100)
    world.run(60_000)
    expect(alice.machine.status().attachments.length).toBeLessThanOrEqual(4)
    expect(bob.machine.status().attachments).toHaveLength(8)
    expect(echo(world, alice, 'two')).toBeLessThan(100)
  })
})
