import { addressGroup } from '@sennit/relay/core'
import { describe, expect, it } from 'vitest'
import { pair, World } from './world.ts'

describe('who may attach', () => {
  it('works with the relay key known (IK) and unknown (XX)', () => {
    for (const xx of [false, true]) {
      const world = new World()
      expect(world.attach('alice', { xx }).established).toBe(true)
      expect(world.machine.stats()).toMatchObject({ attachments: { upgrade: 1 }, unauthenticated: 0, users: 1 })
    }
  })

  const rows: { why: string; code: string; attach(world: World): ReturnType<World['attach']> }[] = [
    { why: 'the user is not in the list', code: 'not_registered', attach: (world) => world.attach('mallory') },
    {
      why: 'the user is revoked',
      code: 'revoked',
      attach: (world) => {
        world.changeUsers((entries) => entries.map((entry) => ({ ...entry, revoked: entry.user === 'bob' })))
        return world.attach('bob')
      },
    },
    {
      why: 'the certificate is of an older epoch',
      code: 'revoked',
      attach: (world) => {
        world.changeUsers((entries) => entries.map((entry) => ({ ...entry, epoch: 3 })))
        return world.attach('bob', { epoch: 2 })
      },
    },
    {
      why: 'the certificate has ended',
      code: 'certificate_expired',
      attach: (world) => world.attach('bob', { notAfterMs: world.nowMs - 1 }),
    },
  ]

  it.each(rows)('refuses with $code when $why', ({ attach, code }) => {
    const world = new World()
    const client = attach(world)
    world.settle()
    expect(client.closed).toBe(code)
    expect(client.established && client.hungUpFor === undefined).toBe(false)
    expect(world.machine.stats()).toMatchObject({ attachments: {}, unauthenticated: 0, users: 0 })
    expect(world.machine.stats().refusals[code]).toBeGreaterThan(0)
  })

  it('refuses more attachments of one user than allowed', () => {
    const world = new World({ limits: { attachmentsPerUser: 2 } })
    const clients = [1, 2, 3].map(() => world.attach('alice'))
    expect(clients.map((client) => client.closed)).toEqual([undefined, undefined, 'limit'])
    clients[0]!.drop()
    expect(world.attach('alice').established).toBe(true)
  })
})

describe('a changed list of users', () => {
  it('ends live attachments of the revoked at once, tells them why, and their peers', () => {
    const world = new World()
    const { a, b } = pair(world)
    world.changeUsers((entries) => entries.map((entry) => ({ ...entry, revoked: entry.user === 'bob' })))
    expect(b.closed).toBe('revoked')
    expect(b.hungUpFor).toBe('revoked')
    expect(a.heard('circuitClose').reason).toBe('peer_revoked')
    expect(a.closed).toBeUndefined()
  })

  it('ends them also when their carrier is full', () => {
    const world = new World()
    const { b } = pair(world)
    b.block(true)
    world.changeUsers((entries) => entries.map((entry) => ({ ...entry, epoch: 2 })))
    expect(b.hungUpFor).toBe('revoked')
    expect(world.machine.stats().attachments).toEqual({})
  })

  it('is ignored when it is older than the one in force', () => {
    const world = new World()
    const alice = world.attach('alice')
    world.version = -5
    world.changeUsers(() => [])
    expect(alice.closed).toBeUndefined()
  })

  it('is not needed for a certificate that ends', () => {
    const world = new World()
    const alice = world.attach('alice', { notAfterMs: world.nowMs + 60_000 })
    world.pass(50_000)
    expect(alice.closed).toBeUndefined()
    world.pass(21_000)
    expect(alice.closed).toBe('certificate_expired')
  })
})

describe('before authentication', () => {
  it('counts only the unproved of one address', () => {
    const world = new World({ limits: { openPerAddress: 2 } })
    expect([1, 2, 3, 4].map(() => world.attach('alice').established)).toEqual([true, true, true, true])
    const { machine, nowMs } = world
    expect([1, 2, 3].map(() => machine.socketOpened(nowMs, '192.0.2.1'))).toEqual([undefined, undefined, 'open_per_address'])
    expect(machine.socketOpened(nowMs, '192.0.2.2')).toBeUndefined()
    machine.socketClosed(nowMs, '192.0.2.1', 'first_byte_late')
    expect(machine.socketOpened(nowMs, '192.0.2.1')).toBeUndefined()
    expect(machine.stats().refusals).toMatchObject({ open_per_address: 1, first_byte_late: 1 })
  })

  it('bounds new sockets a second, and gives the token of the proved back', () => {
    const world = new World({ limits: { newPerSecond: 10, newBurst: 3 } })
    const { machine } = world
    const come = (): string | undefined => {
      const refusal = machine.socketOpened(world.nowMs, '2001:db8::1')
      if (refusal === undefined) machine.socketClosed(world.nowMs, '2001:db8::1')
      return refusal
    }
    expect([1, 2, 3, 4].map(come)).toEqual([undefined, undefined, undefined, 'new_per_second'])
    world.nowMs += 100
    expect([1, 2].map(come)).toEqual([undefined, 'new_per_second'])
    for (let turn = 0; turn < 20; turn += 1) expect(world.attach('alice', { address: '2001:db8:5::1' }).established).toBe(true)
  })

  it('ends a handshake that does not come', () => {
    const world = new World()
    world.machine.accepted(world.nowMs, 500, { carrier: 'upgrade', address: '192.0.2.9' })
    world.machine.bytes(world.nowMs, 500, new Uint8Array([0, 1]))
    world.settle()
    expect(world.machine.stats().unauthenticated).toBe(1)
    world.pass(10_100)
    expect(world.effects).toContainEqual(expect.objectContaining({ type: 'close', key: 500 }))
    expect(world.machine.stats().unauthenticated).toBe(0)
  })

  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::6', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ])('groups %s as %s', (address, group) => {
    expect(addressGroup(address)).toBe(group)
  })
})

describe('draining', () => {
  const plan = { withinMs: 5000, spreadMs: 2000 }

  it('tells everybody, takes nobody, and is idle when all have gone', () => {
    const world = new World()
    const { a, b } = pair(world)
    world.machine.drain(world.nowMs, plan)
    world.settle()
    expect(a.heard('drain')).toMatchObject(plan)
    expect(b.heard('drain')).toMatchObject(plan)
    expect(world.attach('carol').established).toBe(false)
    expect(world.machine.stats().refusals.draining).toBe(1)
    a.drop()
    expect(world.effects.some((effect) => effect.type === 'idle')).toBe(false)
    b.drop()
    expect(world.effects.filter((effect) => effect.type === 'idle')).toHaveLength(1)
  })

  it('ends whoever has not gone when the time is over', () => {
    const world = new World()
    const { a, b } = pair(world)
    world.machine.drain(world.nowMs, plan)
    world.pass(6990)
    expect(a.closed).toBeUndefined()
    world.pass(20)
    expect([a.closed, b.closed]).toEqual(['draining', 'draining'])
    expect(world.effects.filter((effect) => effect.type === 'idle')).toHaveLength(1)
    expect(world.machine.wakeAtMs()).toBeUndefined()
  })

  it('is idle at once with nobody there', () => {
    const world = new World()
    world.machine.drain(world.nowMs, plan)
    world.settle()
    expect(world.effects).toContainEqual({ type: 'idle' })
  })
})
