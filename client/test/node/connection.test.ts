/** Client to client over real relays in this process. */

import { randomBytes } from 'node:crypto'
import type { Client, Connection } from '@sennit/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startMesh, type TestMesh } from './mesh.ts'

describe('a connection over one relay', () => {
  let mesh: TestMesh
  let alice: Client
  let bob: Client
  beforeAll(async () => {
    mesh = await startMesh(1)
    alice = await mesh.client('alice')
    bob = await mesh.client('bob')
  })
  afterAll(() => mesh.close())

  /** A fresh pair of ends for an application of its own. */
  async function pair(application: string): Promise<[Connection, Connection]> {
    const listener = await bob.listen({ application })
    const [caller, taken] = await Promise.all([alice.connect({ user: 'bob', application }), listener[Symbol.asyncIterator]().next()])
    await listener.close()
    return [caller, taken.value!]
  }

  it('tells both ends who they are', async () => {
    const [caller, listener] = await pair('who')
    expect(caller.peer.user).toBe('bob')
    expect(listener.peer.user).toBe('alice')
    expect(listener.id).toBe(caller.id)
    expect(listener.application).toBe('who')
  })

  it.each([0, 1, 100, 65_280, 65_536, 1_000_000, 20_000_000])('carries a message of %d bytes both ways', async (bytes) => {
    const [caller, listener] = await pair(`size-${bytes}`)
    const message = randomBytes(bytes)
    for (const [from, to] of [
      [caller, listener],
      [listener, caller],
    ] as const) {
      const sent = from.send(message, { until: 'delivered' })
      const received = await to.receive({ timeoutMs: 20_000 })
      expect(Buffer.compare(received!, message)).toBe(0)
      await sent
    }
    await caller.close()
  })
})
