/** A client that runs is given another credential of its user, or one that is not: what it takes, and what goes on. */
import { issueMesh, type NewMesh, type UserIdentity } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { MeshWorld, startMs, type WorldClient } from './mesh-world.ts'

const hour = 3_600_000

/** As `sennit user renew` writes it. */
function issued(world: MeshWorld, user: string, wishes: { notBeforeMs?: number; notAfterMs?: number } = {}, mesh?: NewMesh): UserIdentity {
  return world.issueUser(
    user,
    { applications: [], epoch: 1, notBeforeMs: startMs - hour, notAfterMs: startMs + 100 * hour, ...wishes },
    mesh,
  )
}

function meeting(alice: (world: MeshWorld) => UserIdentity | undefined = () => undefined): {
  world: MeshWorld
  alice: WorldClient
  bob: WorldClient
} {
  const world = new MeshWorld({ relays: ['r1', 'r2'], users: ['alice', 'bob'] })
  const bob = world.client('bob')
  bob.listen('chat')
  bob.listen('mail')
  const identity = alice(world)
  const caller = world.client('alice', identity === undefined ? {} : { identity })
  caller.connect('bob', 'chat')
  expect(world.runUntil(() => caller.connection !== undefined && bob.connection !== undefined, 10_000)).toBeDefined()
  world.run(2_000)
  return { world, alice: caller, bob }
}

describe('a renewed credential', () => {
  it('is what the relays and the peer see from the next handshake on; the connection goes on past the end of the old certificate', () => {
    const { world, alice, bob } = meeting((world) => issued(world, 'alice', { notAfterMs: startMs + 20_000 }))
    const first = alice.connection!
    const notAfterMs = startMs + 50 * hour
    expect(alice.machine.renew(world.nowMs, issued(world, 'alice', { notAfterMs }))).toBe(notAfterMs)
    // Both relays have ended what was attached with the old one by now.
    world.run(40_000)
    const attached = alice.machine.status().attachments.map(({ relay }) => relay)
    expect(attached.sort()).toEqual(['r1', 'r2'])
    alice.send(first, 'still here')
    alice.connect('bob', 'mail')
    expect(world.runUntil(() => bob.all('connection').length === 2, 10_000)).toBeDefined()
    world.run(2_000)
    expect(bob.received(bob.all('connection')[0]!.handle)).toEqual(['still here'])
    expect([...alice.all('connectionClosed'), ...bob.all('connectionClosed')]).toEqual([])
  })

  it('lets a client in again that the relays had sent away', () => {
    const { world, alice } = meeting((world) => issued(world, 'alice', { notAfterMs: startMs + 10_000 }))
    world.run(60_000)
    expect(alice.machine.status().attachments).toEqual([])
    alice.machine.renew(world.nowMs, issued(world, 'alice'))
    alice.touch()
    expect(world.runUntil(() => alice.machine.status().attachments.length > 0, 5_000)).toBeDefined()
  })

  const right = (world: MeshWorld): UserIdentity => issued(world, 'alice')
  it.each<[string, string, (world: MeshWorld) => UserIdentity]>([
    ['another user', 'name_mismatch', (world) => issued(world, 'bob')],
    ['another user under the right name', 'name_mismatch', (world) => ({ ...issued(world, 'bob'), user: 'alice' })],
    ['another mesh', 'certificate_foreign', (world) => issued(world, 'alice', {}, issueMesh(world.crypto, startMs))],
    ['a certificate that has ended', 'certificate_expired', (world) => issued(world, 'alice', { notAfterMs: startMs + 1 })],
    ['one that has not begun', 'certificate_not_yet_valid', (world) => issued(world, 'alice', { notBeforeMs: startMs + hour })],
    ['a key that is not the certified one', 'key_mismatch', (world) => ({ ...right(world), endKey: right(world).endKey })],
    ['a stranger to relays', 'key_mismatch', (world) => ({ ...right(world), hopKey: right(world).hopKey })],
    ['another identity', 'key_mismatch', (world) => ({ ...right(world), identityKey: right(world).identityKey })],
  ])('is not taken when it is that of %s, and the old one stays', (_what, code, offered) => {
    const { world, alice, bob } = meeting()
    const identity = offered(world)
    expect(() => alice.machine.renew(world.nowMs, identity)).toThrow(expect.objectContaining({ code }))
    alice.connect('bob', 'mail')
    expect(world.runUntil(() => bob.all('connection').length === 2, 10_000)).toBeDefined()
  })
})
