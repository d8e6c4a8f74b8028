// An ack that waits goes in front of data: one packet less to seal, carry and open.
import { PACKET_KIND } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { World } from './world.ts'

const relays = { r1: 5 }
const plan = { epoch: 1, order: ['r1'], alone: true, activeSend: 'r1', activeReceive: 'r1', standby: '' }
const eachSecond = { messages: 20, messageBytes: [64, 64], everyMs: 1_000, perTurn: 1 } as const

/** What leaves from now on, both ends counted, by kind. */
function counted(world: World): Map<number, number> {
  const byKind = new Map<number, number>()
  for (const { machine } of world.ends) {
    const poll = machine.poll.bind(machine)
    machine.poll = () => {
      const effect = poll()
      if (effect?.type === 'send') byKind.set(effect.header.kind, (byKind.get(effect.header.kind) ?? 0) + 1)
      return effect
    }
  }
  return byKind
}

function conversation(acksInData?: readonly [boolean, boolean]): { readonly world: World; readonly byKind: Map<number, number> } {
  const world = new World({ seed: 3, relays, ...(acksInData === undefined ? {} : { acksInData }) })
  world.usePlan(plan)
  world.run(1_000)
  const byKind = counted(world)
  world.start(0, eachSecond)
  world.run(1_400)
  world.start(1, eachSecond)
  world.run(30_000, () => world.ends.every(({ messagesGot }) => messagesGot === 20))
  return { world, byKind }
}

describe('acks in data packets', () => {
  it('leave nothing else to send to two ends that talk', () => {
    const { world, byKind } = conversation()
    expect(world.ends.map(({ messagesGot }) => messagesGot)).toEqual([20, 20])
    expect(byKind.get(PACKET_KIND.data)).toBe(40)
    expect(byKind.get(PACKET_KIND.loose) ?? 0).toBeLessThanOrEqual(3)
    // All but the last of each end are acked.
    for (const { machine } of world.ends) expect(machine.status().unackedBytes).toBeLessThan(1_000)
  })

  it('are not sent where the two ends did not agree on them', () => {
    const { world, byKind } = conversation([false, false])
    expect(world.ends.map(({ messagesGot }) => messagesGot)).toEqual([20, 20])
    expect(byKind.get(PACKET_KIND.loose)).toBeGreaterThan(30)
  })

  it('end the connection where they were not agreed on: whoever has the key of data could have written them', () => {
    const { world } = conversation([true, false])
    expect(world.ends[1].closed?.code).toBe('protocol_error')
  })

  it('stand in no packet of a bulk, and none says what came beyond a gap', () => {
    const world = new World({ seed: 3, relays })
    world.usePlan(plan)
    world.start(0, { messages: 200, messageBytes: [20_000, 20_000], everyMs: 1, perTurn: 1 })
    world.start(1, { messages: 200, messageBytes: [20_000, 20_000], everyMs: 1, perTurn: 1 })
    const byKind = counted(world)
    world.relay('r1').swallows = 2
    world.run(30_000, () => world.ends.every(({ messagesGot }) => messagesGot === 200))
    expect(world.ends.map(({ messagesGot }) => messagesGot)).toEqual([200, 200])
    expect(byKind.get(PACKET_KIND.loose)).toBeGreaterThan(50)
  })

  it('do not wait behind a bulk that a loose ack overtakes: its sender would take the path for silent', () => {
    const world = new World({ seed: 3, relays: { r1: 5, r2: 8 }, joins: false })
    world.usePlan({ epoch: 1, order: ['r1', 'r2'], activeSend: 'r1', activeReceive: 'r1', standby: 'r2' })
    for (const relay of world.relays.values()) {
      relay.bytesPerMs = 125
      relay.overtakes = true
    }
    world.run(1_000)
    world.start(0, { streams: 1, streamBytes: 3_000_000 })
    world.start(1, { messages: 100, messageBytes: [100, 100], everyMs: 200, perTurn: 1 })
    world.run(21_500)
    expect(world.ends[0].messagesGot).toBe(100)
    const seen = world.ends[1].events.map(({ event }) => event.type)
    expect(seen.filter((type) => type === 'path_bad' || type === 'failover')).toEqual([])
  })

  it('tell no round trip when their packet had to be sent again', () => {
    const world = new World({ seed: 3, relays, joins: false })
    world.usePlan(plan)
    world.run(1_000)
    const rtt = (): number => world.ends[0].machine.status().paths[0]!.srttMs!
    expect(rtt()).toBeLessThan(30)
    world.start(0, { ...eachSecond, messages: 1 })
    world.run(1_050, () => world.ends[1].messagesGot === 1)
    world.relay('r1').swallows = 1
    // The second one shows that the first is missing, which is sent again with the ack as it was.
    world.start(1, { ...eachSecond, messages: 2 })
    const sentAtMs = world.nowMs
    world.run(15_000, () => world.ends[0].messagesGot === 2)
    expect(world.nowMs - sentAtMs).toBeGreaterThan(1_000)
    expect(world.nowMs - sentAtMs).toBeLessThan(1_500)
    expect(world.ends[0].machine.status().unackedBytes).toBe(0)
    expect(rtt()).toBeLessThan(30)
  })
})
