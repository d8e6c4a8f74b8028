/** One bit flipped anywhere between client and relay: refused or healed, with a reason at both ends, never a wrong byte, never a hang. */
import { createHash } from 'node:crypto'
import { Client, type ClientEvent, type Connection } from '@sennit/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FlipProxy } from './flip-proxy.ts'
import { startMesh, type TestMesh } from './mesh.ts'

const portOf = (url: string): number => Number(new URL(url).port)

describe.each(['upgrade', 'http'])('a flipped bit in the handshake over %s', (carrier) => {
  let mesh: TestMesh
  beforeAll(async () => {
    mesh = await startMesh(1)
  })
  afterAll(() => mesh.close())

  /** Attaches through a proxy that flips once. */
  async function attach(direction: 'up' | 'down', at: number): Promise<{ events: ClientEvent[]; flipped: boolean }> {
    const proxy = await FlipProxy.listen(portOf(mesh.relays[0]!.urls[0]!))
    let flipped = false
    void proxy.flip({ direction, at, bit: at % 8 }).then(() => {
      flipped = true
    })
    const events: ClientEvent[] = []
    const client = await Client.open({
      credential: `${mesh.dir}/users/alice.cred`,
      relays: mesh.dir,
      carriers: [carrier],
      env: {},
      openMs: 0,
      dialThrough: () => proxy.url,
    })
    await new Promise<void>((resolve) => {
      client.on((event) => {
        events.push(event)
        if (event.type === 'attached') resolve()
      })
    })
    await client.close({ waitMs: 1_000 })
    await proxy.close()
    return { events, flipped }
  }

  it.each(['up', 'down'] as const)(
    'on its way %s: the next dial attaches, and the failure has a name',
    { timeout: 60_000 },
    async (direction) => {
      // Answers are shorter than requests.
      const step = direction === 'up' ? 17 : 8
      const places = Array.from({ length: 40 }, (_, index) => index * step)
      const before = Object.values(mesh.running.get('r1')!.stats().closes).reduce((sum, count) => sum + count, 0)
      const outcomes: { at: number; events: ClientEvent[]; flipped: boolean }[] = []
      for (let start = 0; start < places.length; start += 10) {
        outcomes.push(...(await Promise.all(places.slice(start, start + 10).map(async (at) => ({ at, ...(await attach(direction, at)) })))))
      }
      expect(outcomes.filter((outcome) => outcome.flipped).length).toBeGreaterThan(20)
      let failed = 0
      for (const { events } of outcomes) {
        for (const event of events) {
          if (event.type !== 'dial_failed' && event.type !== 'detached') continue
          failed += 1
          expect(event.code).toMatch(/^[a-z_]+$/)
          expect(event.code).not.toBe('internal')
        }
      }
      // Some bits of HTTP itself carry no meaning (a letter's case in a header's name); those of the handshake all do.
      expect(failed).toBeGreaterThan(10)
      const { closes, refusals, unauthenticated } = mesh.running.get('r1')!.stats()
      expect(Object.values(closes).reduce((sum, count) => sum + count, 0) - before).toBeGreaterThan(0)
      expect(Object.keys(refusals).length).toBeGreaterThan(0)
      expect(unauthenticated).toBeLessThan(10)
    },
  )
})

describe('bits flipped in a running connection', () => {
  it('cost time, never a byte: payloads, record heads and acks, both ways', { timeout: 60_000 }, async () => {
    const mesh = await startMesh(2)
    const proxies = new Map<string, FlipProxy>()
    for (const entry of mesh.relays) proxies.set(entry.relayId, await FlipProxy.listen(portOf(entry.urls[0]!)))
    const through = { dialThrough: (url: string, relayId: string) => proxies.get(relayId)?.url ?? url, carriers: ['upgrade'] }
    try {
      const bob = await mesh.client('bob', { carriers: ['upgrade'] })
      const listener = await bob.listen({ application: 'sink' })
      const alice = await mesh.client('alice', through)
      const events: string[] = []
      alice.on((event) => void (event.type === 'detached' && events.push(event.code)))
      const accepted = listener[Symbol.asyncIterator]().next()
      const call = await alice.connect({ user: 'bob', application: 'sink' })
      const answer = (await accepted).value as Connection
      const count = 1_500
      const sent = createHash('sha256')
      const got = createHash('sha256')
      const back = createHash('sha256')
      const receiving = (async () => {
        for (let index = 0; index < count; index += 1) {
          const message = (await answer.receive({ timeoutMs: 30_000 }))!
          got.update(message)
          await answer.send(message)
        }
      })()
      const echoing = (async () => {
        for (let index = 0; index < count; index += 1) back.update((await call.receive({ timeoutMs: 30_000 }))!)
      })()
      let flips = 0
      let over = false
      // Places that move through lengths, sealed heads, payloads and acks of whichever records come next.
      const flipping = (async () => {
        while (!over && flips < 60) {
          const active = proxies.get(call.status()?.active.send ?? 'r1')!
          const direction = flips % 3 === 0 ? 'down' : 'up'
          const done = active.flip({ direction, at: 20_000 + ((flips * 7_919) % 90_000), bit: flips % 8 })
          const moved = new Promise<void>((resolve) => {
            const stop = call.on((event) => {
              if (event.type !== 'path_moved') return
              stop()
              resolve()
            })
          })
          await Promise.race([done, moved])
          flips += 1
        }
      })()
      for (let index = 0; index < count; index += 1) {
        const message = Buffer.alloc(1 + ((index * 7_919) % 20_000), index & 255)
        message.writeUInt8(index % 251, 0)
        sent.update(message)
        await call.send(message)
      }
      await Promise.all([receiving, echoing])
      over = true
      const digest = sent.digest('hex')
      expect(got.digest('hex')).toBe(digest)
      expect(back.digest('hex')).toBe(digest)
      expect(flips).toBeGreaterThan(10)
      for (const code of events) expect(code).toMatch(/^[a-z_]+$/)
      await alice.close({ waitMs: 1_000 })
      void flipping
    } finally {
      await mesh.close()
      for (const proxy of proxies.values()) await proxy.close()
    }
  })
})
