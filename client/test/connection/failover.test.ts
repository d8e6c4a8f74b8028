import { describe, expect, it } from 'vitest'
import { type Side, World, type WorldOptions } from './world.ts'

const loopback: WorldOptions = { seed: 1, relays: { r1: 0.3, r2: 0.4, r3: 0.5 } }
/** Traffic at 1 000 messages a second for about three seconds. */
const flow = { messages: 3_000, messageBytes: [100, 100], perTurn: 1, everyMs: 1 } as const

/** Runs a flow with a fault one second in, and gives the longest wait for a message at the receiving side. */
function stallOf(options: WorldOptions, directions: readonly Side[], fault: (world: World) => void): { world: World; stallMs: number } {
  const world = new World(options)
  world.usePlan({ epoch: 1, order: ['r1', 'r2', 'r3'], activeSend: 'r1', activeReceive: 'r1', standby: 'r2' })
  for (const side of directions) world.start(side, flow)
  world.run(1_000)
  expect(world.ends.map((end) => end.machine.status().active.send)).toEqual(['r1', 'r1'])
  fault(world)
  world.run(60_000, () => world.settled())
  if (!world.settled()) world.fail(`not settled: ${world.describe()}`)
  const stallMs = Math.max(...directions.map((side) => world.ends[side === 0 ? 1 : 0].longestGapMs))
  return { world, stallMs }
}

describe('two ends', () => {
  it('carry messages and streams both ways', () => {
    const world = new World({ seed: 1 })
    world.start(0, { messages: 200, streams: 3, streamBytes: 300_000 })
    world.start(1, { messages: 200, streams: 3, streamBytes: 300_000 })
    world.run(30_000, () => world.settled())
    expect(world.describe()).toBe(
      'side 0: messages 200/200 streams 1:300000/300000 3:300000/300000 5:300000/300000; side 1: messages 200/200 streams 2:300000/300000 4:300000/300000 6:300000/300000',
    )
    expect(world.settled()).toBe(true)
  })
})

// The promise: a killed relay costs ≤ 50 ms on loopback, a silent one ≤ 500 ms + 3 RTT; whichever way the data flows.
describe.each([
  ['from the caller', [0]],
  ['from the listener', [1]],
  ['both ways', [0, 1]],
] as [string, Side[]][])('a flow %s', (_name, directions) => {
  it('survives the kill of its relay within milliseconds', () => {
    const { world, stallMs } = stallOf(loopback, directions, (w) => w.kill('r1'))
    expect(stallMs).toBeLessThan(10)
    expect(world.ends[0].machine.status().failovers + world.ends[1].machine.status().failovers).toBeGreaterThan(0)
  })

  it('survives a frozen relay in less than 300 ms', () => {
    const { stallMs } = stallOf(loopback, directions, (w) => w.freeze('r1'))
    expect(stallMs).toBeLessThan(300)
  })

  it('survives a relay frozen and thawed', () => {
    const { stallMs } = stallOf(loopback, directions, (w) => {
      w.freeze('r1')
      w.after(700, () => w.thaw('r1'))
    })
    expect(stallMs).toBeLessThan(300)
  })

  it.each([0, 1] as const)('survives the death of what side %i sends', (side) => {
    const { stallMs } = stallOf(loopback, directions, (w) => w.block('r1', side, true))
    expect(stallMs).toBeLessThan(300)
  })

  it('survives a freeze with one path only', () => {
    const { stallMs } = stallOf({ ...loopback, openFirst: ['r1'] }, directions, (w) => w.freeze('r1'))
    expect(stallMs).toBeLessThan(400)
  })

  it('survives the freeze of the active relay and the standby at once', () => {
    const { stallMs } = stallOf(loopback, directions, (w) => {
      w.freeze('r1')
      w.freeze('r2')
    })
    expect(stallMs).toBeLessThan(600)
  })

  it('leaves a relay that flips bits', () => {
    const { world } = stallOf(loopback, directions, (w) => {
      w.relay('r1').corrupts = 0.5
    })
    for (const end of world.ends) expect(end.machine.status().active.send).not.toBe('r1')
  })

  it('survives a path that flaps every 2 s', () => {
    const { world } = stallOf(loopback, directions, (w) => {
      let frozen = false
      const flip = (): void => {
        frozen = !frozen
        if (frozen) w.freeze('r1')
        else w.thaw('r1')
        if (w.nowMs < 20_000) w.after(2_000, flip)
      }
      flip()
    })
    for (const end of world.ends) expect(end.machine.status().failovers).toBeLessThan(3)
  })

  it('goes on when all relays were gone for 20 s', () => {
    const { world } = stallOf(loopback, directions, (w) => {
      for (const relayId of w.relays.keys()) w.kill(relayId)
      w.after(20_000, () => w.revive('r2'))
    })
    expect(world.ends[0].closed).toBeUndefined()
  })

  it('sleeps through the pause of one end without a verdict', () => {
    const { world } = stallOf(loopback, directions, (w) => w.pause(0, 5_000))
    expect(world.ends[0].events.filter(({ event }) => event.type === 'path_bad' && event.why === 'silent')).toEqual([])
  })
})

describe('an idle connection', () => {
  it('stays for an hour and sends little', () => {
    const world = new World({ seed: 3 })
    world.run(3_600_000)
    expect(world.ends.map((end) => end.closed)).toEqual([undefined, undefined])
    expect(world.packets).toBeLessThan(1_000)
  })

  it('that freezes everywhere ends on both sides after 120 s, with counts', () => {
    const world = new World({ seed: 3, joins: false })
    world.start(0, { messages: 5, messageBytes: [1_000, 1_000] })
    world.run(10_000)
    for (const relayId of world.relays.keys()) world.kill(relayId)
    const end = world.ends[0]
    end.machine.streams.offerMessage(new Uint8Array(700))
    end.machine.changed(world.nowMs)
    world.run(200_000)
    for (const { closed } of world.ends) expect(closed).toMatchObject({ code: 'timeout', remote: false })
    const [counts] = end.closed!.counts
    expect(counts!.accepted - counts!.received).toBeGreaterThan(699)
  })
})

describe('an abort', () => {
  it('tells the peer at once, over whatever path is left, with its reason', () => {
    const world = new World({ seed: 5 })
    world.start(0, flow)
    world.run(500)
    world.freeze(world.ends[0].machine.status().active.send!)
    world.input(0, () => world.ends[0].machine.abort(world.nowMs, 'superseded', 'a newer one came'))
    expect(world.ends[0].closed).toMatchObject({ code: 'superseded', remote: false })
    world.run(2_000)
    expect(world.ends[1].closed).toMatchObject({ code: 'superseded', message: 'a newer one came', remote: true })
    world.run(20_000)
    expect(world.ends.map((end) => end.machine.status().paths)).toEqual([[], []])
    expect(world.ends.map((end) => end.machine.wakeAtMs())).toEqual([undefined, undefined])
  })

  it('is answered by the tombstone when the peer comes back later', () => {
    const world = new World({ seed: 5, joins: false })
    world.run(500)
    for (const relayId of world.relays.keys()) world.kill(relayId)
    world.run(600)
    world.input(0, () => world.ends[0].machine.abort(world.nowMs, 'aborted', ''))
    world.run(30_000)
    expect(world.ends[1].closed).toBeUndefined()
    world.revive('r3')
    world.join('r3')
    world.run(40_000)
    expect(world.ends[1].closed).toMatchObject({ code: 'aborted', remote: true })
  })
})
