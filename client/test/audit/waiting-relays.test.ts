import { type Frame, PACKET_KIND } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { type Side, World, type WorldOptions } from '../connection/world.ts'
import { HostilePeer } from './hostile-peer.ts'

const plan = { epoch: 1, order: ['r1', 'r2', 'r3'], activeSend: 'r1', activeReceive: 'r1', standby: 'r2' }

/** A world in the middle of a transfer from the caller, with r1 active. */
function flowing(options: Partial<WorldOptions> = {}, seed = 7): World {
  const world = new World({ seed, openFirst: ['r1', 'r2'], ...options })
  world.run(200)
  world.usePlan(plan)
  world.run(400)
  world.start(0, { messages: 600, messageBytes: [1_000, 8_000], everyMs: 5, perTurn: 3, streams: 2, streamBytes: 300_000 })
  world.run(600)
  return world
}

function settles(world: World, withinMs: number): void {
  const sinceMs = world.nowMs
  world.run(sinceMs + withinMs, () => world.settled())
  for (const end of world.ends) expect(end.closed, world.describe()).toBeUndefined()
  expect(world.settled(), `${world.describe()}\n${world.log.slice(-30).join('\n')}`).toBe(true)
}

describe('a relay that says "please wait" for ever (rule 10)', () => {
  it('loses its packets to another path after five seconds', () => {
    const world = flowing()
    world.wait('r1', true)
    settles(world, 30_000)
    const whys = world.ends.flatMap((end) => end.events.map(({ event }) => (event.type === 'failover' ? event.why : undefined)))
    expect(whys).toContain('relay_wait')
  })

  it('does not keep what was on it when the plan had moved on before', () => {
    const world = flowing()
    world.wait('r1', true)
    world.run(world.nowMs + 50)
    world.usePlan({ ...plan, epoch: 2, order: ['r2', 'r1'], activeSend: 'r2', activeReceive: 'r2', standby: 'r1' })
    settles(world, 30_000)
  })

  it('does not as standby keep a silent active path from being judged', () => {
    const world = flowing({ openFirst: ['r1', 'r2', 'r3'] })
    world.usePlan({ ...plan, epoch: 2 })
    world.wait('r2', true)
    world.freeze('r1')
    settles(world, 10_000)
  })

  it('does not hold the connection as the only standby when the active one goes silent', () => {
    const world = flowing()
    world.wait('r2', true)
    world.run(world.nowMs + 100)
    world.freeze('r1')
    settles(world, 30_000)
  })

  it.each([1, 2, 3])('stops nothing when all but one do, seed %i', (seed) => {
    const world = flowing({ openFirst: ['r1', 'r2', 'r3'] }, seed)
    world.wait('r1', true)
    world.wait('r2', true)
    settles(world, 40_000)
  })
})

describe('a relay that withholds credit', () => {
  const withhold = (world: World, side: Side, relayId: string): void => {
    const { machine } = world.ends[side]
    const credit = machine.pathCredit.bind(machine)
    machine.pathCredit = (nowMs, pathId, limit, wait) => {
      const path = machine.status().paths.find((other) => other.pathId === pathId)
      if (path?.relayId !== relayId) credit(nowMs, pathId, limit, wait)
    }
  }

  it('and never says "please wait" loses the connection to another path', () => {
    const world = flowing({ creditBytes: 80_000 })
    withhold(world, 0, 'r1')
    settles(world, 40_000)
  })

  it('as standby does not keep a silent active path from being judged', () => {
    const world = flowing({ creditBytes: 200_000 })
    withhold(world, 0, 'r2')
    // Use up what the standby gives.
    world.usePlan({ ...plan, epoch: 2, activeSend: 'r2', activeReceive: 'r2', standby: 'r1' })
    world.run(world.nowMs + 400)
    world.usePlan({ ...plan, epoch: 3 })
    world.run(world.nowMs + 400)
    world.join('r3')
    world.run(world.nowMs + 400)
    world.freeze('r1')
    settles(world, 40_000)
  })
})

describe('a relay with memory for one packet only', () => {
  it('gets the largest packet that was lost elsewhere, though its last grant is less: it grants no more before it got something', () => {
    const peer = new HostilePeer()
    peer.open(1)
    peer.say(1, 'control', [{ type: 'credit', streamId: 0, limit: 2 ** 30, consumed: 0 }])
    peer.machine.streams.offerMessage(new Uint8Array(8_000_000))
    const newest = () => peer.sent.findLast(({ header }) => header.kind === PACKET_KIND.data)!
    const size = (frame: Frame | undefined): number => (frame?.type === 'stream' ? frame.data.length : 0)
    for (let turn = 0; turn < 60 && size(newest()?.frames[0]) < 60_000; turn += 1) {
      peer.nowMs += 2
      peer.say(1, 'loose', [{ type: 'ack', cumulative: peer.machine.status().kept.sent, ranges: [], delayMs: 0 }])
      peer.machine.pathCredit(peer.nowMs, 1, 2 ** 30, false)
      peer.drain()
    }
    expect(size(newest().frames[0])).toBeGreaterThan(60_000)
    peer.machine.pathOpened(peer.nowMs, { pathId: 2, relayId: 'r2', creditBytes: 65_536, sentBytes: 20_000, proved: true })
    peer.machine.pathClosed(peer.nowMs, 1, 'killed')
    peer.drain()
    const moved = peer.sent.filter(({ pathId, header }) => pathId === 2 && header.kind === PACKET_KIND.data)
    expect(moved, 'one, and no more than the slack of one packet').toHaveLength(1)
    expect(size(moved[0]?.frames[0])).toBeGreaterThan(60_000)
  })
})
