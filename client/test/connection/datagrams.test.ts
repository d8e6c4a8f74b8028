/** Datagrams between two connection machines in the virtual world: once or not at all, never a wrong byte, and nothing else suffers by them. */
import { concat, datagramBytesMax, PACKET_KIND } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import type { ConnectionEffect } from '../../src/core/connection/index.ts'
import { keystream, type Side, World } from './world.ts'

/** Sends one datagram a `everyMs`, whose first four bytes are its number and the rest its keystream. @returns how many left */
function stream(world: World, side: Side, options: { everyMs: number; bytes: number; untilMs: number }): { offered: number; sent: number } {
  const count = { offered: 0, sent: 0 }
  const turn = (): void => {
    if (world.nowMs >= options.untilMs) return
    world.input(side, () => {
      if (world.ends[side].machine.sendDatagram(world.nowMs, datagram(count.offered, options.bytes))) count.sent += 1
    })
    count.offered += 1
    world.after(options.everyMs, turn)
  }
  turn()
  return count
}

function datagram(number: number, bytes: number): Uint8Array {
  const data = keystream(number, 0, bytes)
  new DataView(data.buffer).setUint32(0, number)
  return data
}

/** The numbers that came; every byte is checked, and that none came twice. */
function arrived(world: World, side: Side): number[] {
  const numbers = world.ends[side].datagramsGot.map((data) => {
    const number = new DataView(data.buffer, data.byteOffset).getUint32(0)
    expect(Buffer.compare(data, datagram(number, data.length))).toBe(0)
    return number
  })
  expect(new Set(numbers).size).toBe(numbers.length)
  return numbers
}

describe('datagrams', () => {
  it('arrive both ways, whole and in order, when nothing goes wrong', () => {
    const world = new World({ seed: 1 })
    world.run(100)
    const counts = ([0, 1] as const).map((side) => stream(world, side, { everyMs: 2, bytes: 1_200, untilMs: 2_000 }))
    world.run(3_000)
    for (const side of [0, 1] as const) {
      const { sent, offered } = counts[side]!
      expect(sent).toBe(offered)
      expect(arrived(world, side === 0 ? 1 : 0)).toEqual(Array.from({ length: sent }, (_, number) => number))
      expect(world.ends[side].machine.status().datagrams).toEqual({ sent, dropped: 0, received: counts[1 - side]!.sent, missing: 0 })
    }
  })

  it.each([0, 1, 1_200, datagramBytesMax])('of %i bytes go in one packet', (bytes) => {
    const world = new World({ seed: 2 })
    world.run(100)
    world.input(0, () => expect(world.ends[0].machine.sendDatagram(world.nowMs, keystream(1, 0, bytes))).toBe(true))
    world.run(200)
    expect(world.ends[1].datagramsGot).toEqual([keystream(1, 0, bytes)])
  })

  it('longer than a packet are refused', () => {
    const world = new World({ seed: 2 })
    world.run(100)
    expect(() => world.ends[0].machine.sendDatagram(world.nowMs, new Uint8Array(datagramBytesMax + 1))).toThrow(
      expect.objectContaining({ code: 'too_large' }),
    )
  })

  it('come once, however often a relay repeats them', () => {
    const world = new World({ seed: 3 })
    for (const relay of world.relays.values()) relay.duplicates = 1
    world.run(100)
    const { sent } = stream(world, 0, { everyMs: 2, bytes: 100, untilMs: 1_000 })
    world.run(2_000)
    expect(arrived(world, 1)).toHaveLength(world.ends[0].machine.status().datagrams.sent)
    expect(sent).toBeGreaterThan(0)
  })

  it('are dropped without a path, and while the relay says "please wait", and both are counted', () => {
    const world = new World({ seed: 4, openFirst: [], joins: false })
    world.input(0, () => expect(world.ends[0].machine.sendDatagram(world.nowMs, new Uint8Array(10))).toBe(false))
    expect(world.ends[0].machine.status().datagrams.dropped).toBe(1)

    const waiting = new World({ seed: 4, openFirst: ['r1'], joins: false })
    waiting.run(100)
    waiting.wait('r1', true)
    waiting.input(0, () => expect(waiting.ends[0].machine.sendDatagram(waiting.nowMs, new Uint8Array(10))).toBe(false))
    expect(waiting.ends[0].machine.status().datagrams).toMatchObject({ sent: 0, dropped: 1 })
  })

  it('never overrun what a relay gave credit for: the rest is dropped and counted', () => {
    const world = new World({ seed: 5, openFirst: ['r1'], creditBytes: 200_000 })
    world.run(100)
    world.freeze('r1')
    const { machine } = world.ends[0]
    let left = 0
    for (let number = 0; number < 1_000; number += 1) if (machine.sendDatagram(world.nowMs, new Uint8Array(1_000))) left += 1
    expect(left).toBeGreaterThan(150)
    expect(left).toBeLessThan(200)
    expect(machine.status().datagrams).toMatchObject({ sent: left, dropped: 1_000 - left })
  })

  it('lost with a killed relay are missed, not resent; those after it go on by the next within milliseconds', () => {
    const world = new World({ seed: 6, relays: { r1: 5, r2: 5 } })
    world.run(100)
    const counts = stream(world, 0, { everyMs: 2, bytes: 1_200, untilMs: 3_000 })
    world.run(1_000)
    world.kill(world.ends[0].machine.status().active.send!)
    world.run(4_000)
    const numbers = arrived(world, 1)
    const { sent } = world.ends[0].machine.status().datagrams
    expect(sent - numbers.length).toBeLessThan(10)
    expect(world.ends[1].machine.status().datagrams.missing).toBe(sent - numbers.length)
    expect(counts.offered - numbers.length).toBeLessThan(20)
    expect(world.ends[0].machine.status().kept.resent).toBe(0)
  })

  it('find a frozen relay by themselves: the flow moves within half a second and a few round trips', () => {
    const world = new World({ seed: 7, relays: { r1: 5, r2: 5 } })
    world.run(100)
    stream(world, 0, { everyMs: 5, bytes: 1_200, untilMs: 6_000 })
    world.run(3_000)
    const frozen = world.ends[0].machine.status().active.send!
    world.freeze(frozen)
    const before = world.ends[1].datagramsGot.length
    world.run(4_000, () => world.ends[1].datagramsGot.length > before + 2)
    expect(world.nowMs - 3_000).toBeLessThan(800)
    expect(world.ends[0].machine.status().active.send).not.toBe(frozen)
    world.run(7_000)
    arrived(world, 1)
  })

  it('of a relay that flips bits never reach the application', () => {
    const world = new World({ seed: 8, relays: { r1: 5 }, openFirst: ['r1'] })
    world.run(100)
    world.relay('r1').corrupts = 0.3
    stream(world, 0, { everyMs: 2, bytes: 500, untilMs: 2_000 })
    world.run(3_000)
    const numbers = arrived(world, 1)
    expect(numbers.length).toBeLessThan(world.ends[0].machine.status().datagrams.sent)
    expect(numbers.length).toBeGreaterThan(100)
  })

  it('let epochs end though nothing else is sent, and old keys go', () => {
    const world = new World({ seed: 9, tuning: { epochMs: 1_000 } })
    world.run(100)
    stream(world, 0, { everyMs: 20, bytes: 100, untilMs: 20_000 })
    world.run(21_000)
    expect(world.ends[0].machine.status().epoch.send).toBeGreaterThan(10)
    // The newest counts as received with its first kept packet, which ends it.
    expect(world.ends[1].machine.status().epoch.receive).toBeGreaterThanOrEqual(world.ends[0].machine.status().epoch.send - 1)
    expect(arrived(world, 1)).toHaveLength(world.ends[0].machine.status().datagrams.sent)
  })

  it('do not disturb messages and streams beside them, nor the paths', () => {
    const world = new World({ seed: 10 })
    world.run(100)
    stream(world, 0, { everyMs: 1, bytes: 8_000, untilMs: 3_000 })
    world.start(0, { messages: 300, streams: 2, streamBytes: 500_000 })
    world.start(1, { messages: 300 })
    world.run(60_000, () => world.settled())
    expect(world.settled()).toBe(true)
    expect(world.ends[0].machine.status().failovers).toBe(0)
    arrived(world, 1)
  })

  it('are neither sent nor given out after the end', () => {
    const world = new World({ seed: 11 })
    world.run(100)
    world.input(0, () => world.ends[0].machine.abort(world.nowMs, '', ''))
    world.input(0, () => expect(world.ends[0].machine.sendDatagram(world.nowMs, new Uint8Array(1))).toBe(false))
    const got = world.ends[0].datagramsGot.length
    world.input(1, () => world.ends[1].machine.sendDatagram(world.nowMs, new Uint8Array(1)))
    world.run(1_000)
    expect(world.ends[0].datagramsGot).toHaveLength(got)
  })

  it('replayed by a relay after 4 096 newer ones are refused', () => {
    const world = new World({ seed: 12, openFirst: ['r1'] })
    world.run(100)
    const { machine } = world.ends[0]
    machine.sendDatagram(world.nowMs, Uint8Array.of(1))
    let first: Extract<ConnectionEffect, { type: 'send' }> | undefined
    for (let effect = machine.poll(); effect !== undefined; effect = machine.poll()) {
      if (effect.type === 'send' && effect.header.kind === PACKET_KIND.datagram) first ??= effect
    }
    const pathId = world.ends[1].machine.status().paths[0]!.pathId
    const replay = (): void =>
      world.input(1, () => world.ends[1].machine.packet(world.nowMs, pathId, first!.header, [concat(first!.pieces)]))
    replay()
    expect(world.ends[1].datagramsGot).toEqual([Uint8Array.of(1)])
    stream(world, 0, { everyMs: 0.1, bytes: 10, untilMs: 700 })
    world.run(1_000)
    expect(world.ends[1].datagramsGot.length).toBeGreaterThan(5_000)
    const got = world.ends[1].datagramsGot.length
    replay()
    expect(world.ends[1].datagramsGot).toHaveLength(got)
  })
})
