/** The trap of reused read buffers: a reader that stops and goes on must still get every byte as it was sent. */

import { createHash, randomFillSync } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LiveMesh, liveMesh, livePair } from './live.ts'
import { type Dial, dialUpgrade, type PipeEvents } from './raw-carriers.ts'

/** Hands bytes over in bursts: nothing for some turns, then all that came. Its socket is not read meanwhile only as far as memory here goes, so the relay sees breaks. */
const bursts =
  (dial: Dial): Dial =>
  (url, first, events) => {
    let paused = 0
    let waiting: Uint8Array[] = []
    const flush = (): void => {
      if (paused > 0) {
        paused -= 1
        setImmediate(flush)
        return
      }
      const chunks = waiting
      waiting = []
      for (const chunk of chunks) events.bytes(chunk)
    }
    const slow: PipeEvents = {
      bytes: (chunk) => {
        waiting.push(chunk)
        if (waiting.length > 1) return
        paused = 20
        setImmediate(flush)
      },
      closed: (why) => events.closed(why),
    }
    return dial(url, first, slow)
  }

describe('a slow reader', () => {
  let mesh: LiveMesh
  beforeAll(async () => {
    mesh = await liveMesh({ change: (config) => ({ ...config, limits: { ...config.limits, creditMaxBytes: 4 * 1024 * 1024 } }) })
  })
  afterAll(() => mesh.end())

  it('gets 48 MiB of random bytes unchanged, also when reads are made large on the way', { timeout: 60_000 }, async () => {
    const { a, b, circuitA, credit } = await livePair(mesh, 'upgrade', bursts(dialUpgrade))
    const size = 65_536
    const count = 768
    const sent = createHash('sha256')
    let limit = credit
    let used = 0
    for (let counter = 0; counter < count; counter += 1) {
      const packet = randomFillSync(new Uint8Array(size))
      sent.update(packet)
      while (used + size > limit) limit = Math.max(limit, (await a.heard('circuitCredit')).limit)
      used += size
      a.send(circuitA, { form: 0, kind: 0, epoch: 0, counter }, [packet])
    }
    await b.until(() => b.packets.length === count, `${count} packets`, 30_000)
    const received = createHash('sha256')
    for (const packet of b.packets) for (const piece of packet.pieces) received.update(piece)
    expect(received.digest('hex')).toBe(sent.digest('hex'))
    a.close()
    b.close()
  })
})
