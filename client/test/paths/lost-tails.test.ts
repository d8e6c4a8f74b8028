// What is lost at the end of a burst is overtaken by nothing. Probes found it packet by packet, one each probe timeout, until the path was judged.
import { describe, expect, it } from 'vitest'
import { parsePaths, pathsWanted } from '../../src/core/paths/index.ts'
import { type Side, World, type WorldOptions } from '../connection/world.ts'

const relays = { r1: 50, r2: 55, r3: 60 }
const order = Object.keys(relays)
const both: readonly Side[] = [0, 1]

function worldOf(text: string, options: Partial<WorldOptions> = {}): World {
  const paths = parsePaths(text)
  const { send, receive, whenShort } = paths
  const world = new World({ seed: 1, relays, openFirst: order, joins: false, paths, ...options })
  const relaysOf = (mode: typeof send): string[] => order.slice(0, pathsWanted(mode))
  const modes = { send, receive, whenShort, sendRelays: relaysOf(send), receiveRelays: relaysOf(receive) }
  world.usePlan({ epoch: 1, order, activeSend: 'r1', activeReceive: 'r1', standby: 'r3', modes })
  return world
}

describe('the end of a burst that is lost while the relay goes on answering', () => {
  it.each(['best', 'spread'])('is sent again after two probes, and nobody is judged for it: %s', (text) => {
    const world = worldOf(text)
    world.run(500)
    world.relay('r1').swallows = Number.POSITIVE_INFINITY
    const sinceMs = world.nowMs
    world.start(0, { messages: 60, messageBytes: [1_000, 1_000], perTurn: 1, everyMs: 1 })
    world.run(sinceMs + 80)
    world.relay('r1').swallows = 0
    world.run(sinceMs + 60_000, () => world.settled())
    if (!world.settled()) world.fail(`not settled: ${world.describe()}`)
    // The round trips of two probes and of what is sent again, and three probe timeouts; a verdict would need two of each more.
    expect(world.nowMs - sinceMs).toBeLessThan(1_500)
    expect(world.ends[0].events.filter(({ event }) => event.type === 'path_bad')).toEqual([])
  })

  it('is left to a relay that swallows for good until it is judged', () => {
    const world = worldOf('best')
    world.run(500)
    world.relay('r1').swallows = Number.POSITIVE_INFINITY
    world.start(0, { messages: 400, messageBytes: [1_000, 1_000], perTurn: 20, everyMs: 1 })
    world.run(60_000, () => world.settled())
    if (!world.settled()) world.fail(`not settled: ${world.describe()}`)
    expect(world.ends[0].events.filter(({ event }) => event.type === 'path_bad').map(({ event }) => event)).toMatchObject([
      { relayId: 'r1' },
    ])
  })
})

describe('losses of 30 % on all paths', () => {
  it.each([
    ['spread', 2],
    ['spread', 3],
    ['spread', 6],
    ['best', 5],
    ['best', 7],
  ] as const)('are made good within 4 s of their end: %s, seed %i', (text, seed) => {
    const world = worldOf(text, { seed, tuning: { forgedMax: 1e9 } })
    for (const side of both) world.start(side, { messages: 2_000, messageBytes: [100, 100], perTurn: 2, everyMs: 1 })
    world.run(300)
    for (const relay of world.relays.values()) relay.corrupts = 0.3
    world.run(3_000)
    for (const relay of world.relays.values()) relay.corrupts = 0
    world.run(60_000, () => world.settled())
    if (!world.settled()) world.fail(`not settled: ${world.describe()}`)
    expect(world.nowMs).toBeLessThan(7_000)
  })
})
