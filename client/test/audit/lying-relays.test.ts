import { isKept, type PacketHeader } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { type Side, World } from '../connection/world.ts'

type Deliver = (header: PacketHeader, pieces: Uint8Array[], later?: number) => void
type Lie = (header: PacketHeader, pieces: Uint8Array[], deliver: Deliver, world: World) => void

/** Puts a relay that lies between it and both ends. */
function lying(world: World, relayId: string, lie: Lie, sides: readonly Side[] = [0, 1]): void {
  for (const side of sides) {
    const { machine } = world.ends[side]
    const packet = machine.packet.bind(machine)
    machine.packet = (nowMs, pathId, header, pieces) => {
      const path = machine.status().paths.find((other) => other.pathId === pathId)
      if (path?.relayId !== relayId) {
        packet(nowMs, pathId, header, pieces)
        return
      }
      lie(
        header,
        pieces,
        (otherHeader, otherPieces, later = 0) => {
          if (later === 0) packet(nowMs, pathId, otherHeader, otherPieces)
          else world.after(later, () => world.input(side, () => packet(world.nowMs, pathId, otherHeader, otherPieces)))
        },
        world,
      )
    }
  }
}

const plan = { epoch: 1, order: ['r1', 'r2'], activeSend: 'r1', activeReceive: 'r1', standby: 'r2' }

function talks(seed: number, lies: (world: World) => void): World {
  const world = new World({ seed, openFirst: ['r1', 'r2'] })
  world.run(100)
  world.usePlan(plan)
  world.run(200)
  lies(world)
  world.start(0, { messages: 250, messageBytes: [200, 6_000], everyMs: 10, perTurn: 2, streams: 2, streamBytes: 200_000 })
  world.start(1, { messages: 150, messageBytes: [10, 3_000], everyMs: 15, perTurn: 2 })
  return world
}

function settles(world: World, withinMs: number): void {
  world.run(world.nowMs + withinMs, () => world.settled())
  for (const end of world.ends) expect(end.closed, JSON.stringify(end.closed)).toBeUndefined()
  expect(world.settled(), `${world.describe()}\n${world.log.slice(-40).join('\n')}`).toBe(true)
}

const swallowKept: Lie = (header, pieces, deliver) => {
  if (!isKept(header.kind)) deliver(header, pieces)
}
const swallowLoose: Lie = (header, pieces, deliver) => {
  if (isKept(header.kind)) deliver(header, pieces)
}
const swallowHalf: Lie = (header, pieces, deliver, world) => {
  if (!isKept(header.kind) || world.random() < 0.5) deliver(header, pieces)
}
const reorder: Lie = (header, pieces, deliver, world) => deliver(header, pieces, world.random() < 0.3 ? 1 + world.random() * 80 : 0)
const repeat: Lie = (header, pieces, deliver) => {
  deliver(header, pieces)
  deliver(header, pieces, 3)
  deliver(header, pieces, 2_000)
}
const renumber: Lie = (header, pieces, deliver, world) => {
  deliver(header, pieces)
  if (world.random() < 0.05) deliver({ ...header, counter: header.counter + 3 }, pieces)
  if (world.random() < 0.05) deliver({ ...header, epoch: header.epoch + 1 }, pieces)
}

describe('a relay that lies costs time and never a byte', () => {
  it.each<[string, Lie]>([
    ['swallows kept packets and answers probes', swallowKept],
    ['swallows acks and probes', swallowLoose],
    ['swallows half of the kept packets', swallowHalf],
    ['reorders', reorder],
    ['repeats everything at once and two seconds later', repeat],
    ['changes numbers and epochs', renumber],
  ])('when the active one %s', (_what, lie) => {
    for (let seed = 1; seed <= 3; seed += 1)
      settles(
        talks(seed, (world) => lying(world, 'r1', lie)),
        60_000,
      )
  })

  it.each([
    ['swallows kept packets', swallowKept],
    ['swallows acks and probes', swallowLoose],
  ])('when it %s in one direction only', (_what, lie) => {
    for (const side of [0, 1] as const)
      for (let seed = 1; seed <= 2; seed += 1)
        settles(
          talks(seed, (world) => lying(world, 'r1', lie, [side])),
          60_000,
        )
  })

  it('when both swallow half of the kept packets', () => {
    for (let seed = 1; seed <= 2; seed += 1)
      settles(
        talks(seed, (world) => {
          lying(world, 'r1', swallowHalf)
          lying(world, 'r2', swallowHalf)
        }),
        300_000,
      )
  })

  it('when one swallows what the other swallows not: data one way, acks the other', () => {
    for (let seed = 1; seed <= 2; seed += 1)
      settles(
        talks(seed, (world) => {
          lying(world, 'r1', swallowKept, [1])
          lying(world, 'r2', swallowKept, [0])
        }),
        120_000,
      )
  })

  it('when the standby swallows kept packets and the active one goes silent, a third one takes over', () => {
    for (let seed = 1; seed <= 2; seed += 1) {
      const world = talks(seed, (other) => lying(other, 'r2', swallowKept))
      world.run(world.nowMs + 300)
      world.freeze('r1')
      settles(world, 60_000)
    }
  })

  it('does not make two good but slow paths accuse each other (PATH_BAD)', () => {
    const world = new World({ seed: 3, relays: { r1: 200, r2: 200 }, openFirst: ['r1', 'r2'] })
    world.relay('r1').jitterMs = 400
    world.relay('r2').jitterMs = 400
    world.run(2_000)
    world.usePlan(plan)
    world.start(0, { messages: 600, messageBytes: [100, 3_000], everyMs: 20, perTurn: 1 })
    world.start(1, { messages: 600, messageBytes: [100, 3_000], everyMs: 20, perTurn: 1 })
    settles(world, 60_000)
    expect(world.ends.map((end) => end.machine.status().failovers).reduce((sum, count) => sum + count)).toBeLessThan(6)
  })
})
