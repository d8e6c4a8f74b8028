import type { HopControl } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { bytes, type RawClient, World } from './world.ts'

const parts = (client: RawClient): Extract<HopControl, { type: 'relayListPart' }>[] =>
  client.controls.filter((control) => control.type === 'relayListPart')

const versions = (client: RawClient): number[] => parts(client).map(({ version }) => version)

describe('a relay with a signed list', () => {
  it('hands it to who asks and has an older one, and to nobody else', () => {
    const world = new World()
    world.machine.relayListChanged(world.nowMs, { version: 5, bytes: bytes(100, 1) })
    const [old, same, newer, silent] = ['alice', 'bob', 'carol', 'alice'].map((user) => world.attach(user)) as [
      RawClient,
      RawClient,
      RawClient,
      RawClient,
    ]
    old.say({ type: 'relayListWanted', version: 4 })
    same.say({ type: 'relayListWanted', version: 5 })
    newer.say({ type: 'relayListWanted', version: 6 })
    world.settle()
    expect([old, same, newer, silent].map(versions)).toEqual([[5], [], [], []])
  })

  it('tells each change once, and no step back', () => {
    const world = new World()
    const client = world.attach('alice').say({ type: 'relayListWanted', version: 0 })
    for (const version of [2, 3, 2, 3, 4]) {
      world.machine.relayListChanged(world.nowMs, { version, bytes: bytes(50, version) })
      world.pass(100)
    }
    expect(versions(client)).toEqual([2, 3, 4])
  })

  it('cuts a long one into parts that a record holds, in order', () => {
    const world = new World()
    const list = bytes(60_000, 9)
    world.machine.relayListChanged(world.nowMs, { version: 1, bytes: list })
    const client = world.attach('alice').say({ type: 'relayListWanted', version: 0 })
    world.settle()
    const found = parts(client)
    expect(found.map(({ offset }) => offset)).toEqual([0, 12_288, 24_576, 36_864, 49_152])
    expect(Buffer.concat(found.map(({ data }) => data))).toEqual(Buffer.from(list))
    expect(found.every(({ total }) => total === 60_000)).toBe(true)
  })

  it('hands out none that is too long', () => {
    const world = new World()
    world.machine.relayListChanged(world.nowMs, { version: 1, bytes: bytes(262_145, 1) })
    const client = world.attach('alice').say({ type: 'relayListWanted', version: 0 })
    world.settle()
    expect(parts(client)).toEqual([])
  })
})
