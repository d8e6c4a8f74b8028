// Several links to one relay: each local address of a client is a path of its own, and none of them is another relay.
import { parsePaths } from '@sennit/client/core'
import { describe, expect, it } from 'vitest'
import { type ClientWishes, MeshWorld, type WorldClient } from './mesh-world.ts'

const two = ['10.0.0.1', '10.1.0.1'] as const

interface Pair {
  readonly world: MeshWorld
  readonly alice: WorldClient
  readonly bob: WorldClient
}

interface Wishes {
  readonly relays?: readonly string[]
  readonly paths?: string
  readonly alice?: ClientWishes
  readonly bob?: ClientWishes
  /** Before the call. */
  readonly first?: (pair: Pair) => void
  readonly seed?: number
}

/** Alice, on two links unless said otherwise, has called bob, on one. */
function pairOf({ relays = ['r1'], paths, alice: wishes = { localAddresses: two }, bob: others = {}, first, seed = 1 }: Wishes): Pair {
  const world = new MeshWorld({ relays, users: ['alice', 'bob'], seed })
  const bob = world.client('bob', others)
  bob.echoes = true
  bob.listen('chat')
  const alice = world.client('alice', wishes)
  first?.({ world, alice, bob })
  world.run(2_000)
  alice.connectTo({ user: 'bob', application: 'chat', ...(paths === undefined ? {} : { paths: parsePaths(paths) }) })
  if (world.runUntil(() => alice.connection !== undefined, 20_000) === undefined) throw new Error('no connection')
  world.run(5_000)
  return { world, alice, bob }
}

function openPaths(client: WorldClient): string[] {
  const [connection] = client.machine.status().connections
  return connection!.paths
    .filter((path) => path.state === 'open')
    .map((path) => path.relay)
    .sort()
}

function whole(client: WorldClient): boolean {
  return client.machine.status().connections[0]!.modes.whole
}

/** The longest wait for an echo, of a message each 10 ms for `forMs`; each is answered, in order. */
function longestEchoMs({ world, alice }: Pair, forMs: number, faultAtMs: number, fault: () => void): number {
  const handle = alice.connection!
  let longest = 0
  const sent: string[] = []
  for (let sinceMs = 0; sinceMs < forMs; sinceMs += 10) {
    if (sinceMs === faultAtMs) fault()
    sent.push(`message ${sent.length}`)
    alice.send(handle, sent.at(-1)!)
    const took = world.runUntil(() => alice.received(handle).length === sent.length, 10_000)
    if (took === undefined) throw new Error(`message ${sent.length} was never answered`)
    longest = Math.max(longest, took)
    world.run(Math.max(0, 10 - took))
  }
  expect(alice.received(handle)).toEqual(sent)
  return longest
}

describe('a client with two local addresses', () => {
  it('attaches to each relay once from each, and shows both links', () => {
    const { alice } = pairOf({ relays: ['r1', 'r2'] })
    const shown = alice.machine.status().attachments.map(({ relay, localAddress }) => [relay, localAddress])
    expect(shown).toHaveLength(4)
    expect(Object.fromEntries(shown)).toEqual({ r1: two[0], 'r1#2': two[1], r2: two[0], 'r2#2': two[1] })
  })

  it.each([
    ['of the caller', { localAddresses: two }, {}],
    ['of the listener', {}, { localAddresses: two }],
    ['of both', { localAddresses: two }, { localAddresses: two }],
  ])('mirrors over the two links %s to the one relay there is; a cut one is not felt', (_whose, alice, bob) => {
    const pair = pairOf({ paths: 'mirror(2)', alice, bob })
    expect(openPaths(pair.alice)).toEqual(['r1', 'r1#2'])
    expect(openPaths(pair.bob)).toEqual(['r1', 'r1#2'])
    expect([whole(pair.alice), whole(pair.bob)]).toEqual([true, true])
    const cut = 'localAddresses' in alice ? pair.alice : pair.bob
    expect(longestEchoMs(pair, 3_000, 500, () => cut.cutLink(two[0]))).toBeLessThan(60)
  })

  it('keeps one link as the standby of the other, and fails over to it like to another relay', () => {
    const pair = pairOf({})
    const { send } = pair.alice.machine.status().connections[0]!.active
    const [active, other] = send === 'r1' ? two : [two[1], two[0]]
    expect(longestEchoMs(pair, 8_000, 500, () => pair.alice.cutLink(active))).toBeLessThan(700)
    expect(openPaths(pair.alice)).toEqual([send === 'r1' ? 'r1#2' : 'r1'])
    // Mended, it stands by for the other one.
    pair.alice.mendLink(active)
    expect(pair.world.runUntil(() => openPaths(pair.alice).length === 2, 30_000)).toBeDefined()
    expect(pair.alice.machine.status().attachments.map(({ localAddress }) => localAddress)).toContain(other)
  })

  it('goes on when only links of different numbers are left at both ends', () => {
    const pair = pairOf({ alice: { localAddresses: two }, bob: { localAddresses: two } })
    const fault = (): void => {
      pair.alice.cutLink(two[0])
      pair.bob.cutLink(two[1])
    }
    expect(longestEchoMs(pair, 30_000, 500, fault)).toBeLessThan(10_000)
  })

  it('spreads the paths over its links again after they shared one', () => {
    const pair = pairOf({ alice: { localAddresses: two }, bob: { localAddresses: two } })
    pair.alice.cutLink(two[0])
    pair.bob.cutLink(two[1])
    pair.world.run(30_000)
    pair.alice.mendLink(two[0])
    pair.bob.mendLink(two[1])
    pair.world.run(30_000)
    expect(openPaths(pair.alice)).toEqual(['r1', 'r1#2'])
    // Whichever link goes now, the path over the other one carries on without a pause beyond the usual fail-over.
    expect(longestEchoMs(pair, 3_000, 500, () => pair.alice.cutLink(two[1]))).toBeLessThan(700)
  })

  it('calls over its second link when the first is dead from the start, and both ends call the path the same', () => {
    const { alice, bob } = pairOf({ first: (pair) => pair.alice.cutLink(two[0]) })
    expect(openPaths(alice)).toEqual(['r1#2'])
    expect(openPaths(bob)).toEqual(['r1#2'])
  })

  it.each([0, 1])('is found again by callers after link %i of the relay it listens at was cut', (place) => {
    const world = new MeshWorld({ relays: ['r1'], users: ['alice', 'bob'] })
    const bob = world.client('bob', { localAddresses: two })
    bob.listen('chat')
    world.run(3_000)
    bob.cutLink(two[place]!)
    world.run(15_000)
    const alice = world.client('alice')
    alice.connect('bob', 'chat')
    expect(world.runUntil(() => alice.connection !== undefined, 10_000)).toBeDefined()
  })
})

describe('two links to one relay are one relay', () => {
  it.each([
    ['disperse(2,3)', ['r1', 'r2'], false],
    ['disperse(2,3)', ['r1', 'r2', 'r3'], true],
    ['split(2)', ['r1'], false],
    ['split(2)', ['r1', 'r2'], true],
    ['rotate', ['r1'], false],
    ['mirror(2)', ['r1'], true],
    ['pair', ['r1'], true],
  ])('%s over %j: whole is %s', (paths, relays, expected) => {
    const { alice } = pairOf({ paths, relays })
    expect(whole(alice)).toBe(expected)
  })

  it('a share of disperse never meets another at its relay, nor in its failure domain, while links come and go', () => {
    const pair = pairOf({ paths: 'disperse(2,3)', relays: ['r1', 'r2', 'r3'] })
    const { world, alice } = pair
    const size = 4_000
    const before = alice.machine.status().connections[0]!.relayBytesSeen
    alice.cutLink(two[0])
    let sent = 0
    for (let step = 0; step < 200; step += 1) {
      alice.send(alice.connection!, 'x'.repeat(size))
      sent += size
      world.run(50)
    }
    expect(world.runUntil(() => alice.received(alice.connection!).length === 200, 20_000)).toBeDefined()
    const after = alice.machine.status().connections[0]!.relayBytesSeen
    // A share is half a packet: a relay that saw a whole direction, out or back, saw two shares of some packet.
    for (const relay of ['r1', 'r2', 'r3']) expect((after[relay] ?? 0) - (before[relay] ?? 0)).toBeLessThan(2 * sent * 0.75)
  })

  it('mirror(2) takes two relays where there are two, and not two links to the better one', () => {
    const { alice } = pairOf({ paths: 'mirror(2)', relays: ['r1', 'r2'], alice: { localAddresses: two, legs: { r1: 2, r2: 20 } } })
    const [connection] = alice.machine.status().connections
    const seen = connection!.relayBytesSeen
    expect(Object.keys(seen).sort()).toEqual(['r1', 'r2'])
    expect(whole(alice)).toBe(true)
    const handle = alice.connection!
    alice.send(handle, 'x'.repeat(10_000))
    alice.machine.status()
    expect(openPaths(alice).map((id) => id.replace(/#.*/, ''))).toEqual(expect.arrayContaining(['r1', 'r2']))
  })
})
