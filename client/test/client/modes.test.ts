import { parsePaths } from '@sennit/client/core'
import { describe, expect, it } from 'vitest'
import { MeshWorld } from './mesh-world.ts'
import { longestEchoMs, modesOf, openRelays, pairOf } from './mode-pair.ts'

describe('a call that says how to use relays', () => {
  it.each([
    ['mirror(2)', 3, 'mirror(2)', 'mirror(2)'],
    ['pair', 3, 'pair', 'pair'],
    ['disperse(2,3)', 4, 'disperse(2,3)', 'disperse(2,3)'],
    ['split(3)', 4, 'split(3)', 'split(3)'],
    ['spread', 4, 'spread', 'spread'],
    ['rotate(secret,10s)', 5, 'rotate(secret,10s)', 'rotate(secret,10s)'],
    ['send=mirror(2),receive=spread', 4, 'mirror(2)', 'spread'],
  ])('%s: both ends open %i relays and know it', (paths, relays, send, receive) => {
    const { world, alice, bob } = pairOf(paths)
    world.run(5_000)
    expect(modesOf(alice)).toEqual({ send, receive, short: 'wait', whole: true })
    expect(modesOf(bob)).toEqual({ send: receive, receive: send, short: 'wait', whole: true })
    expect(openRelays(alice).length).toBeGreaterThanOrEqual(relays)
    expect(openRelays(bob).sort()).toEqual(openRelays(alice).sort())
  })

  it('has its first message answered in that way, also by the listener', () => {
    const { world, alice } = pairOf('mirror(2)')
    const handle = alice.connection!
    alice.send(handle, 'hello')
    expect(world.runUntil(() => alice.received(handle).length === 1, 5_000)).toBeLessThan(2_000)
  })

  it.each(['mirror(2)', 'disperse(2,3)'])('%s: a relay that dies or freezes is not felt, and replaced', (paths) => {
    for (const act of ['kill', 'freeze'] as const) {
      const pair = pairOf(paths)
      pair.world.run(5_000)
      const usualMs = longestEchoMs(pair, 500, 1_000, () => {})
      const victim = pair.alice.machine.status().connections[0]!.active.send!
      const worstMs = longestEchoMs(pair, 3_000, 500, () => pair.world.relay(victim)[act]())
      // Two round trips of 20 ms each at most; the machine of the other path answers as soon as before.
      expect(worstMs).toBeLessThanOrEqual(usualMs + 40)
      pair.world.run(5_000)
      expect(openRelays(pair.alice)).not.toContain(victim)
      expect(pair.alice.machine.connection(pair.alice.connection!)!.status().short).toBe(false)
    }
  })
})

describe('a listener that says how to use relays', () => {
  it('is heard when the caller does not say', () => {
    const { world, alice, bob } = pairOf(undefined, { listener: 'send=mirror(2),receive=spread' })
    world.run(5_000)
    expect(modesOf(bob)).toEqual({ send: 'mirror(2)', receive: 'spread', short: 'wait', whole: true })
    expect(modesOf(alice)).toEqual({ send: 'spread', receive: 'mirror(2)', short: 'wait', whole: true })
  })

  it('is not when the caller does', () => {
    const { world, bob } = pairOf('best', { listener: 'mirror(2)' })
    world.run(5_000)
    expect(modesOf(bob)).toEqual({ send: 'best', receive: 'best', short: 'wait', whole: true })
  })
})

describe('setPaths', () => {
  it.each(['alice', 'bob'] as const)('changes it while it runs, when %s asks', (who) => {
    const pair = pairOf('best')
    const { world, alice, bob } = pair
    world.run(3_000)
    const client = { alice, bob }[who]
    const worstMs = longestEchoMs(pair, 2_000, 300, () => {
      client.machine.setPaths(world.nowMs, client.connection!, parsePaths('send=spread,receive=mirror(2)'))
      client.touch()
    })
    expect(worstMs).toBeLessThan(30)
    expect(modesOf(client)).toEqual({ send: 'spread', receive: 'mirror(2)', short: 'wait', whole: true })
    client.machine.setPaths(world.nowMs, client.connection!, parsePaths('best'))
    client.touch()
    world.run(15_000)
    expect([modesOf(alice), modesOf(bob)]).toEqual([best, best])
    expect(openRelays(alice)).toHaveLength(2)
  })
})

describe('too few relays', () => {
  it('make data wait until there are enough', () => {
    const { world, alice } = pairOf('split(3)', { relays: ['r1', 'r2', 'r3'] })
    world.run(3_000)
    world.relay('r2').kill()
    const handle = alice.connection!
    alice.send(handle, 'hello')
    world.run(20_000)
    expect(alice.received(handle)).toEqual([])
    expect(alice.machine.status().connections[0]!.state).toBe('open')
    world.relay('r2').start()
    expect(world.runUntil(() => alice.received(handle).length === 1, 20_000)).toBeDefined()
  })

  it('because one has been dead for long, leave the others as they are when one of them only falls silent', () => {
    const pair = pairOf('split(2)', { relays: ['r1', 'r2', 'r3'] })
    const { world, alice, bob } = pair
    world.run(5_000)
    world.relay('r3').kill()
    world.run(20_000)
    const victim = openRelays(alice)[0]!
    const judged = (): unknown[] => [alice, bob].flatMap((c) => c.all('connectionEvent').filter(({ event }) => event.type === 'path_bad'))
    const before = judged().length
    const worstMs = longestEchoMs(pair, 6_000, 500, () => {
      world.relay(victim).freeze()
      world.at(world.nowMs + 2_000, () => world.relay(victim).thaw())
    })
    expect(judged().slice(before)).toEqual([])
    expect(worstMs).toBeLessThan(2_200)
  })

  it.each([
    ['split(2)', 3],
    ['disperse(2,3)', 4],
    ['mirror(2)', 3],
  ] as const)('dial one that may be back at once when %s lacks it', (paths, relays) => {
    const pair = pairOf(paths, { relays: ['r1', 'r2', 'r3', 'r4'].slice(0, relays) })
    const { world } = pair
    world.run(5_000)
    world.relay('r1').kill()
    world.run(14_000)
    const worstMs = longestEchoMs(pair, 12_000, 100, () => {
      world.relay('r1').start()
      world.relay('r2').kill()
    })
    expect(worstMs).toBeLessThan(700)
    expect(modesOf(pair.alice)).toMatchObject({ whole: true })
  })

  it('make two ends that sit on different relays of a long list look for each other', () => {
    const near = ['r1', 'r2', 'r3', 'r4']
    const far = ['r5', 'r6', 'r7', 'r8']
    const legs = (relays: readonly string[]): Record<string, number> => Object.fromEntries(relays.map((relayId) => [relayId, 200]))
    const world = new MeshWorld({ relays: [...near, ...far], users: ['alice', 'bob'] })
    const bob = world.client('bob', { legs: legs(near) })
    const listening = bob.listen('chat')
    const alice = world.client('alice', { legs: legs(far) })
    alice.connectTo({ user: 'bob', application: 'chat' })
    if (world.runUntil(() => alice.connection !== undefined, 20_000) === undefined) throw new Error('no connection')
    bob.machine.unlisten(world.nowMs, listening)
    bob.touch()
    // What nobody needs is given back: each end keeps its own best ones, and the two of the connection.
    world.run(60_000)
    alice.machine.setPaths(world.nowMs, alice.connection!, parsePaths('mirror(4)'))
    alice.touch()
    const whole = (): boolean => [alice, bob].every((client) => openRelays(client).length >= 4)
    expect(whole()).toBe(false)
    expect(world.runUntil(whole, 30_000)).toBeDefined()
  })

  it('end the connection at both ends when that is asked for', () => {
    const { world, alice, bob } = pairOf('split(3);short=fail', { relays: ['r1', 'r2'] })
    world.run(30_000)
    expect(alice.all('connectionClosed').map(({ code }) => code)).toEqual(['paths_short'])
    expect(bob.all('connectionClosed').map(({ code }) => code)).toEqual(['paths_short'])
  })
})

const best = { send: 'best', receive: 'best', short: 'wait', whole: true }
