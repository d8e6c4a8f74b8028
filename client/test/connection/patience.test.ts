// Where two ends have one relay only, the ack of a lone small packet waits for a packet that goes the same way.
import { describe, expect, it } from 'vitest'
import { AckTracker } from '../../src/core/connection/ack-tracker.ts'
import { connectionTuning } from '../../src/core/connection/tuning.ts'
import { World } from './world.ts'

const relays = { r1: 0.3, r2: 0.4 }
const aloneAt = { epoch: 1, order: ['r1'], alone: true, activeSend: 'r1', activeReceive: 'r1', standby: '' }
const withStandby = { epoch: 1, order: ['r1', 'r2'], alone: false, activeSend: 'r1', activeReceive: 'r1', standby: 'r2' }
const eachSecond = { messages: 20, messageBytes: [64, 64], everyMs: 1_000, perTurn: 1 } as const

/** Moments at which packets leave, both ends counted, from a second on. */
function departures(world: World): { count: number } {
  const seen = { count: 0 }
  for (const { machine } of world.ends) {
    const poll = machine.poll.bind(machine)
    let lastMs = 0
    machine.poll = () => {
      const effect = poll()
      if (effect?.type === 'send' && world.nowMs > 1_500 && world.nowMs !== lastMs) {
        lastMs = world.nowMs
        seen.count += 1
      }
      return effect
    }
  }
  return seen
}

function talks(plan: typeof aloneAt): { world: World; count: number } {
  const world = new World({ seed: 3, relays, openFirst: plan.order })
  const seen = departures(world)
  world.usePlan(plan)
  world.start(0, eachSecond)
  world.run(400)
  world.start(1, eachSecond)
  world.run(20_000, () => world.ends.every(({ messagesGot }) => messagesGot === 20))
  return { world, count: seen.count }
}

describe('the acks of lone packets', () => {
  it('travel with the messages of the other direction where there is one relay', () => {
    const { world, count } = talks(aloneAt)
    expect(world.ends.map(({ messagesGot }) => messagesGot)).toEqual([20, 20])
    // 18 or 19 messages of each end are left in that time, and no packet but theirs.
    expect(count).toBeLessThanOrEqual(38)
    expect(world.ends.map(({ machine }) => machine.status().unackedBytes > 10_000)).toEqual([false, false])
  })

  it('come by themselves within 25 ms where there is another to go to', () => {
    const { world, count } = talks(withStandby)
    expect(world.ends.map(({ messagesGot }) => messagesGot)).toEqual([20, 20])
    expect(count).toBeGreaterThan(70)
  })

  it('wait no longer as soon as another relay can be had, and when the connection closes', () => {
    const unackedAfter = (act: (world: World) => void): number => {
      const world = new World({ seed: 3, relays, openFirst: ['r1'], joins: false })
      world.usePlan(aloneAt)
      world.run(1_000)
      world.start(0, { ...eachSecond, messages: 1 })
      world.run(1_010)
      act(world)
      world.run(1_100)
      return world.ends[0].closed === undefined ? world.ends[0].machine.status().unackedBytes : -1
    }
    expect(unackedAfter(() => {})).toBeGreaterThan(0)
    expect(
      unackedAfter((world) => {
        world.input(0, () => world.ends[0].machine.relaysKnown(['r1', 'r2'], false))
      }),
    ).toBe(0)
    expect(
      unackedAfter((world) => {
        world.input(0, () => world.ends[0].machine.close(world.nowMs, 'closed', ''))
      }),
    ).toBe(-1)
  })

  it('wait only for what is small, and never longer than two seconds, whatever the peer says', () => {
    const acks = new AckTracker(connectionTuning)
    acks.mayWait(60_000)
    acks.onNew(100, 1, false, true)
    expect(acks.wakeAtMs()).toBe(2_100)
    acks.onNew(110, 1, false, true)
    expect(acks.wakeAtMs(), 'two of them are no lone packet').toBe(110)
    acks.settled()
    acks.onNew(200, 1, false, false)
    expect(acks.wakeAtMs()).toBe(225)
    acks.settled()
    acks.mayWait(0)
    acks.onNew(300, 1, false, true)
    expect(acks.wakeAtMs()).toBe(325)
  })

  it('that are late are asked for: a relay that swallows the only packet there is costs two seconds, not for ever', () => {
    const world = new World({ seed: 3, relays, openFirst: ['r1'], joins: false })
    world.usePlan(aloneAt)
    world.run(1_000)
    world.relay('r1').swallows = 1
    world.start(0, { ...eachSecond, messages: 1 })
    world.run(10_000, () => world.ends[1].messagesGot === 1)
    expect(world.ends[1].messagesGot).toBe(1)
    expect(world.nowMs).toBeLessThan(6_000)
  })
})
