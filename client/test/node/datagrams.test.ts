/** Datagrams over real relays in this process: `sendDatagram` and `datagrams()` as an application meets them. */

import { randomBytes } from 'node:crypto'
import type { Client, Connection } from '@sennit/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DatagramInbox } from '../../src/node/datagram-inbox.ts'
import { startMesh, type TestMesh } from './mesh.ts'

async function pair(alice: Client, bob: Client, application: string): Promise<[Connection, Connection]> {
  const listener = await bob.listen({ application })
  const [caller, taken] = await Promise.all([alice.connect({ user: 'bob', application }), listener[Symbol.asyncIterator]().next()])
  await listener.close()
  // A datagram waits for nothing, so not for the first path to prove itself either.
  await Promise.all([caller.ping(), taken.value!.ping()])
  return [caller, taken.value!]
}

describe.each(['upgrade', 'http', 'grpc'])('datagrams by %s', (carrier) => {
  let mesh: TestMesh
  let alice: Client
  let bob: Client
  beforeAll(async () => {
    mesh = await startMesh(1)
    alice = await mesh.client('alice', { carriers: [carrier] })
    bob = await mesh.client('bob', { carriers: [carrier] })
  })
  afterAll(() => mesh.close())

  it('come as they were sent, text and bytes, both ways; the loop ends with the connection', async () => {
    const [caller, listener] = await pair(alice, bob, `both-${carrier}`)
    const big = randomBytes(65_280)
    const ends = [
      [caller, listener],
      [listener, caller],
    ] as const
    for (const [from, to] of ends) {
      expect(from.sendDatagram('hello')).toBe(true)
      expect(from.sendDatagram(big)).toBe(true)
      const got: Uint8Array[] = []
      for await (const data of to.datagrams()) {
        got.push(data)
        if (got.length === 2) break
      }
      expect(Buffer.from(got[0]!).toString()).toBe('hello')
      expect(Buffer.compare(got[1]!, big)).toBe(0)
    }
    expect(caller.status()?.datagrams).toEqual({ sent: 2, dropped: 0, received: 2, missing: 0 })
    const rest = (async () => {
      for await (const _data of listener.datagrams()) return 'more'
      return 'ended'
    })()
    await caller.close()
    expect(await rest).toBe('ended')
    expect(() => caller.sendDatagram('late')).toThrow(expect.objectContaining({ code: 'closed' }))
  })

  it('drops what the way cannot take, counts it, and answers pings meanwhile', async () => {
    const [caller, listener] = await pair(alice, bob, `flood-${carrier}`)
    const data = randomBytes(60_000)
    let left = 0
    for (let number = 0; number < 2_000; number += 1) if (caller.sendDatagram(data)) left += 1
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThan(2_000)
    expect(caller.status()?.datagrams).toMatchObject({ sent: left, dropped: 2_000 - left })
    await caller.ping()
    await caller.send('a message after the flood', { until: 'accepted' })
    expect(Buffer.from((await listener.receive({ timeoutMs: 5_000 }))!).toString()).toBe('a message after the flood')
    await caller.close()
  })

  it('refuses what is longer than a packet', async () => {
    const [caller] = await pair(alice, bob, `long-${carrier}`)
    expect(() => caller.sendDatagram(new Uint8Array(65_281))).toThrow(expect.objectContaining({ code: 'too_large' }))
    await caller.close()
  })
})

describe('datagrams that wait for a reader', () => {
  it('make way for newer ones beyond 1 MiB, and are counted', async () => {
    const inbox = new DatagramInbox()
    for (let number = 0; number < 100; number += 1) inbox.push(new Uint8Array(50_000).fill(number))
    inbox.end()
    const numbers: number[] = []
    for await (const data of inbox) numbers.push(data[0]!)
    expect(numbers).toEqual(Array.from({ length: 20 }, (_, index) => 80 + index))
    expect(inbox.overrun).toBe(80)
  })

  it('make way beyond 4 096 of them, however small', async () => {
    const inbox = new DatagramInbox()
    for (let number = 0; number < 5_000; number += 1) inbox.push(new Uint8Array(0))
    expect(inbox.overrun).toBe(5_000 - 4_096)
  })

  it('go to whoever waited first', async () => {
    const inbox = new DatagramInbox()
    const takers = [inbox[Symbol.asyncIterator]().next(), inbox[Symbol.asyncIterator]().next()]
    inbox.push(Uint8Array.of(1))
    inbox.end()
    expect(await Promise.all(takers)).toEqual([
      { value: Uint8Array.of(1), done: false },
      { value: undefined, done: true },
    ])
  })
})
