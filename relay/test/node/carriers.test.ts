/** One conformance suite for every carrier. */

import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LiveClient, type LiveMesh, liveMesh, livePair } from './live.ts'
import { type Dial, dialGrpc, dialHttpPolls, dialHttpStream, dialUpgrade } from './raw-carriers.ts'

const carriers: { name: string; carrier: string; dial: Dial }[] = [
  { name: 'upgrade', carrier: 'upgrade', dial: dialUpgrade },
  { name: 'http, streaming', carrier: 'http', dial: dialHttpStream },
  { name: 'http, polls and numbered POSTs', carrier: 'http', dial: dialHttpPolls },
  { name: 'grpc', carrier: 'grpc', dial: dialGrpc },
]

describe.each(carriers)('carrier $name', ({ carrier, dial }) => {
  let mesh: LiveMesh
  beforeAll(async () => {
    mesh = await liveMesh()
  })
  afterAll(() => mesh.end())

  it('attaches, counts and detaches', async () => {
    const client = new LiveClient(mesh, await mesh.identity('carol'), carrier, dial)
    await client.until(() => client.established, 'attached')
    expect(mesh.relay.stats().attachments[carrier]).toBe(1)
    expect(mesh.relay.stats().unauthenticated).toBe(0)
    client.close()
  })

  it('carries 16 MiB both ways, byte for byte, with credit', async () => {
    const { a, b, circuitA, circuitB, credit } = await livePair(mesh, carrier, dial)
    const size = 60_000
    const count = 280
    const run = async (from: LiveClient, out: number, to: LiveClient, firstCredit: number): Promise<void> => {
      const sent = createHash('sha256')
      let limit = firstCredit
      let used = 0
      for (let counter = 0; counter < count; counter += 1) {
        const packet = new Uint8Array(size).fill(counter + 1)
        sent.update(packet)
        while (used + size > limit) {
          const grant = await from.heard('circuitCredit')
          if (grant.circuit === out) limit = grant.limit
        }
        used += size
        from.send(out, { form: 0, kind: 0, epoch: 0, counter }, [packet])
      }
      await to.until(() => to.packets.length === count, `${count} packets`, 20_000)
      const received = createHash('sha256')
      for (const packet of to.packets) for (const piece of packet.pieces) received.update(piece)
      expect(received.digest('hex')).toBe(sent.digest('hex'))
      expect(to.packets.map((packet) => packet.header.counter)).toEqual(Array.from({ length: count }, (_, index) => index))
    }
    await Promise.all([run(a, circuitA, b, credit), run(b, circuitB, a, credit)])
    a.close()
    await b.heard('circuitClose')
    b.close()
  })
})
