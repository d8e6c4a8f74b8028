/** What the two ends of a connection learn when one of their users is revoked, and what a relay that lies about it can do: nothing alone. */
import { describe, expect, it } from 'vitest'
import { MeshWorld, type WorldClient } from './mesh-world.ts'

const three = ['r1', 'r2', 'r3']

function met(relays: readonly string[] = three): { world: MeshWorld; alice: WorldClient; bob: WorldClient } {
  const world = new MeshWorld({ relays, users: ['alice', 'bob'] })
  const bob = world.client('bob')
  bob.listen('chat')
  world.run(2_000)
  const alice = world.client('alice')
  alice.connect('bob', 'chat', 30_000)
  expect(world.runUntil(() => alice.connection !== undefined && bob.connection !== undefined, 30_000)).toBeDefined()
  world.run(5_000)
  return { world, alice, bob }
}

/** From now on this relay takes bob for revoked, rightly or not. */
function revokeBob(world: MeshWorld, relayId: string): void {
  const users = world.users.users.map((entry) => ({ ...entry, revoked: entry.user === 'bob' }))
  const relay = world.relay(relayId)
  relay.machine?.usersChanged(world.nowMs, { ...world.users, version: 2, users })
  relay.touch()
}

const closes = (client: WorldClient): { code: string }[] => client.all('connectionClosed')

describe('when a user is revoked', () => {
  it('both ends of its connections hear it within seconds of the last relay, with what was delivered', () => {
    const { world, alice, bob } = met()
    for (const relayId of three) {
      revokeBob(world, relayId)
      world.run(300)
    }
    expect(world.runUntil(() => closes(alice).length + closes(bob).length === 2, 10_000)).toBeDefined()
    expect(closes(alice)).toMatchObject([{ code: 'peer_revoked', remote: false }])
    expect(closes(bob)).toMatchObject([{ code: 'revoked', remote: false }])
  })

  it('one relay is enough where the list has only one', () => {
    const { world, alice } = met(['r1'])
    revokeBob(world, 'r1')
    expect(world.runUntil(() => closes(alice).length === 1, 10_000)).toBeDefined()
    expect(closes(alice)).toMatchObject([{ code: 'peer_revoked' }])
  })
})

describe('relays that lie about a revocation', () => {
  it('end nothing while one honest relay carries the connection', () => {
    const { world, alice, bob } = met()
    revokeBob(world, 'r1')
    revokeBob(world, 'r2')
    world.run(200_000)
    expect([...closes(alice), ...closes(bob)]).toEqual([])
  })

  it('end nothing alone, even when no other relay is left: the connection keeps its 120 s, and goes on when one comes back', () => {
    const { world, alice, bob } = met()
    world.relay('r2').kill()
    world.relay('r3').kill()
    world.run(2_000)
    revokeBob(world, 'r1')
    world.run(100_000)
    expect([...closes(alice), ...closes(bob)]).toEqual([])
    world.relay('r2').start()
    world.run(200_000)
    expect([...closes(alice), ...closes(bob)]).toEqual([])
  })
})
