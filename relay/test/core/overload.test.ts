import { describe, expect, it } from 'vitest'
import { pair, type RawClient, World } from './world.ts'

const lookMs = 5_000

/** So many busy callers at one listener. */
function busy(count: number, limits = {}): { world: World; clients: RawClient[] } {
  const users = ['bob', ...Array.from({ length: count }, (_, index) => `u${index}`)]
  const world = new World({ users, limits })
  const bob = world.attach('bob')
  bob.listen('chat')
  const callers = users.slice(1).map((user) => world.attach(user).connect('bob', 'chat'))
  world.settle()
  for (const offer of bob.controls.filter((control) => control.type === 'offer'))
    bob.say({ type: 'answer', offerId: offer.offerId, handshake: new Uint8Array(8) })
  world.settle()
  return { world, clients: [bob, ...callers] }
}

const asked = (clients: readonly RawClient[]): RawClient[] =>
  clients.filter(({ controls }) => controls.some(({ type }) => type === 'makeRoom'))

describe('a relay over its limit', () => {
  it('asks a tenth of its busy clients at most at one look, nobody twice in a minute, and ends nothing', () => {
    const { world, clients } = busy(40, { busyAttachments: 5 })
    expect(asked(clients)).toHaveLength(0)
    world.pass(lookMs)
    expect(asked(clients).length).toBeGreaterThan(0)
    expect(asked(clients).length).toBeLessThanOrEqual(4)
    for (let look = 0; look < 10; look += 1) world.pass(lookMs)
    const times = clients.map((client) => client.controls.filter((control) => control.type === 'makeRoom').length)
    expect(Math.max(...times)).toBe(1)
    expect(clients.every((client) => client.closed === undefined)).toBe(true)
    expect(world.machine.stats().askedToMove).toBe(asked(clients).length)
  })

  it('gives them time, and a moment of their own', () => {
    const { world, clients } = busy(10, { busyAttachments: 5 })
    world.pass(lookMs)
    expect(asked(clients)[0]!.heard('makeRoom')).toEqual({ type: 'makeRoom', withinMs: 5_000, spreadMs: 5_000, forMs: 60_000 })
  })

  it('asks none that carries nothing', () => {
    const world = new World({ limits: { busyAttachments: 1 } })
    const clients = ['alice', 'bob', 'carol'].map((user) => world.attach(user))
    world.pass(10 * lookMs)
    expect(asked(clients)).toEqual([])
  })
})

describe('a relay whose event loop is late', () => {
  it('tells its delay in steps of two to everybody, and again when it is over', () => {
    const world = new World()
    const { a, b } = pair(world)
    world.machine.loopDelay(60)
    world.machine.loopDelay(80)
    world.pass(lookMs)
    expect([a, b].map((client) => client.heard('load'))).toEqual([
      { type: 'load', queueMs: 50 },
      { type: 'load', queueMs: 50 },
    ])
    const before = a.controls.length
    world.pass(lookMs)
    expect(a.controls.slice(before)).toContainEqual({ type: 'load', queueMs: 0 })
    world.pass(10 * lookMs)
    // The first one was taken out above.
    expect(a.controls.filter((control) => control.type === 'load')).toHaveLength(1)
  })

  it('counts no time in which the process was stopped', () => {
    const world = new World()
    const { a } = pair(world)
    world.machine.loopDelay(30_000)
    world.pass(lookMs)
    expect(a.maybe('load')).toBeUndefined()
  })
})
