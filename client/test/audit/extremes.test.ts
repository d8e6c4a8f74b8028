import { describe, expect, it } from 'vitest'
import { MeshWorld } from '../client/mesh-world.ts'
import { World } from '../connection/world.ts'

const plan = { epoch: 1, order: ['r1', 'r2', 'r3'], activeSend: 'r1', activeReceive: 'r1', standby: 'r2' }

function settles(world: World, withinMs: number): void {
  world.run(world.nowMs + withinMs, () => world.settled())
  for (const end of world.ends) expect(end.closed, JSON.stringify(end.closed)).toBeUndefined()
  expect(world.settled(), `${world.describe().slice(0, 500)}\n${world.log.slice(-30).join('\n')}`).toBe(true)
}

describe('extremes', () => {
  it('1 024 streams each way outlive two relays', () => {
    const world = new World({ seed: 5 })
    world.usePlan(plan)
    world.start(0, { streams: 1_024, streamBytes: 1_500, everyMs: 20 })
    world.start(1, { streams: 1_024, streamBytes: 900, everyMs: 20 })
    world.run(60)
    world.kill('r1')
    world.run(120)
    world.kill('r2')
    settles(world, 20_000)
  })

  it('messages ten times the receive budget outlive two relays', () => {
    const world = new World({ seed: 6, streams: { receiveBudgetBytes: 262_144 } })
    world.usePlan(plan)
    world.start(0, { messages: 2, messageBytes: [2_600_000, 2_700_000], perTurn: 1 })
    world.start(1, { messages: 40, messageBytes: [1, 100] })
    world.run(100)
    world.kill('r1')
    world.run(200)
    world.kill('r2')
    settles(world, 60_000)
  })

  it('all relays silent for 100 s: nothing is lost, nobody is judged for good, nothing ends', () => {
    const world = new World({ seed: 7 })
    world.usePlan(plan)
    world.start(0, { messages: 400, everyMs: 20 })
    world.start(1, { messages: 400, everyMs: 20 })
    world.run(500)
    for (const relayId of ['r1', 'r2', 'r3']) world.freeze(relayId)
    const before = world.packets
    world.run(100_500)
    expect(world.packets - before, 'probes back off').toBeLessThan(800)
    for (const relayId of ['r1', 'r2', 'r3']) world.thaw(relayId)
    settles(world, 10_000)
  })

  it.each([20_000, 100_000])('an end that sleeps %d ms goes on where it was', (ms) => {
    for (const side of [0, 1] as const) {
      const world = new World({ seed: 8 })
      world.usePlan(plan)
      world.start(0, { messages: 400, everyMs: 20 })
      world.start(1, { messages: 400, everyMs: 20 })
      world.run(500)
      world.pause(side, ms)
      world.run(world.nowMs + ms)
      settles(world, 10_000)
      expect(world.ends[side].machine.status().failovers, 'no verdict out of sleep').toBe(0)
    }
  })

  it('an end that sleeps longer than the other waits is told so', () => {
    const world = new World({ seed: 9 })
    world.usePlan(plan)
    world.start(0, { messages: 400, everyMs: 20 })
    world.run(500)
    world.pause(0, 140_000)
    world.run(160_000, () => world.ends.every((end) => end.closed !== undefined))
    expect(world.ends.map((end) => end.closed?.code)).toEqual(['timeout', 'timeout'])
    expect(world.ends.map((end) => end.closed?.remote)).toEqual([true, false])
  })

  it('a path that flaps every 300 ms does not stop a connection, nor fill its memory', () => {
    const world = new World({ seed: 10, openFirst: ['r1', 'r2'] })
    world.usePlan(plan)
    world.start(0, { messages: 900, everyMs: 10, perTurn: 1 })
    world.start(1, { messages: 900, everyMs: 10, perTurn: 1 })
    for (let flip = 0; flip < 30; flip += 1) {
      const relayId = flip % 2 === 0 ? 'r1' : 'r2'
      world.after(flip * 300, () => world.freeze(relayId))
      world.after(flip * 300 + 290, () => world.thaw(relayId))
    }
    settles(world, 30_000)
  })
})

describe('both call at once (rule 16), whatever the order', () => {
  const offsets = [-420, -260, -250, -20, -10, -5, 0, 5, 10, 20, 250, 260, 420]

  it.each([
    ['both listen', true, ['alice', 'bob'] as const],
    ['nobody listens', false, ['alice', 'bob'] as const],
  ])('%s: one connection, the same at both ends', (_what, listens, [first, second]) => {
    for (const offset of offsets) {
      const world = new MeshWorld({ seed: 500 + offset, relays: ['r1', 'r2'], users: ['alice', 'bob'] })
      const one = world.client(first, { legs: { r1: 3, r2: 9 } })
      const two = world.client(second, { legs: { r1: 11, r2: 2 } })
      if (listens) for (const client of [one, two]) client.listen('chat')
      world.run(2_000)
      world.at(world.nowMs + Math.max(0, offset), () => one.connect(second, 'chat'))
      world.at(world.nowMs + Math.max(0, -offset), () => two.connect(first, 'chat'))
      const done = (): boolean => one.connection !== undefined && two.connection !== undefined
      expect(world.runUntil(done, 12_000), `offset ${offset}`).toBeDefined()
      world.run(3_000)
      const ids = [one, two].map((client) => client.machine.status().connections.map(({ id }) => id))
      expect(ids[0], `offset ${offset}`).toHaveLength(1)
      expect(ids[0]).toEqual(ids[1])
      one.send(one.connection!, 'over')
      two.send(two.connection!, 'back')
      world.run(500)
      expect(two.received(two.connection!), `offset ${offset}`).toEqual(['over'])
      expect(one.received(one.connection!)).toEqual(['back'])
    }
  })
})
