/** Compression of messages: who compresses what, what a liar can do, and that nothing of it shows to the application. */

import { randomBytes } from 'node:crypto'
import zlib from 'node:zlib'
import type { Client, Connection } from '@sennit/client'
import { FEATURE } from '@sennit/protocol'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { deflateFlag, StreamSet, zstdFlag } from '../../src/core/streams/index.ts'
import { type Compress, compressionFeatures, compressionMethods, compressorFor, inflated } from '../../src/node/compression.ts'
import { MessageReceiver } from '../../src/node/message-receiver.ts'
import { startMesh, type TestMesh } from './mesh.ts'

const everything = FEATURE.inflatesDeflate | FEATURE.inflatesZstd
const text = (bytes: number): Uint8Array => Buffer.from('{"name":"rope","strands":7},'.repeat(Math.ceil(bytes / 28)).slice(0, bytes))

describe('two ends', () => {
  const best = compressionMethods[0]
  it.each([
    ['nobody asks', undefined, everything, undefined],
    ['we ask', true, everything, best],
    ['we ask for it where it pays', 'auto', everything, best],
    ['the other end asks', undefined, everything | FEATURE.wantsCompression, best],
    ['the other end asks, and we never do', false, everything | FEATURE.wantsCompression, undefined],
    ['we ask one that knows deflate only', true, FEATURE.inflatesDeflate, 'deflate'],
    ['we ask one that knows nothing of it', true, 0, undefined],
  ] as [string, Compress | undefined, number, string | undefined][])('%s', (_who, compress, peerFeatures, method) => {
    expect(compressorFor(compress, peerFeatures)?.method).toBe(method)
  })

  it('tell what they take and whether they want it', () => {
    expect(compressionFeatures(undefined) & FEATURE.wantsCompression).toBe(0)
    expect(compressionFeatures(false) & FEATURE.wantsCompression).toBe(0)
    expect(compressionFeatures(true) & FEATURE.wantsCompression).not.toBe(0)
    expect(compressionFeatures('auto') & FEATURE.inflatesDeflate).not.toBe(0)
    expect(compressionMethods.includes('zstd')).toBe('zstdCompressSync' in zlib)
  })
})

describe.each(compressionMethods)('a message by %s', (name) => {
  const takes = name === 'zstd' ? FEATURE.inflatesZstd : FEATURE.inflatesDeflate
  const compressor = (compress: Compress) => compressorFor(compress, takes)!

  it('comes out as it went in', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('alpha ', 'beta ', 'gamma '), { minLength: 60, maxLength: 2_000 }), (words) => {
        const data = Buffer.from(words.join(''))
        const packed = compressor(true).pack(data)!
        expect(packed.bytes.length).toBeLessThan(data.length)
        expect(packed.compression).toEqual({ flag: name === 'zstd' ? zstdFlag : deflateFlag, size: data.length })
        expect(Buffer.compare(inflated(packed.bytes, packed.compression)!, data)).toBe(0)
      }),
    )
  })

  it('goes as it is when it is short, too long, or would not get shorter', () => {
    const always = compressor(true)
    expect(always.pack(text(127))).toBeUndefined()
    expect(always.pack(text(128))).toBeDefined()
    expect(always.pack(randomBytes(10_000))).toBeUndefined()
    expect(always.pack(new Uint8Array(8 * 2 ** 20 + 1))).toBeUndefined()
    expect(always).toMatchObject({ messages: 1, bytesBefore: 128 })
  })

  it('is tried less and less, where it should pay and does not, and again as soon as it does', () => {
    const auto = compressor('auto')
    const tried = (data: Uint8Array, times: number): number => {
      let gained = 0
      for (let time = 0; time < times; time += 1) if (auto.pack(data) !== undefined) gained += 1
      return gained
    }
    expect(tried(text(1_023), 10)).toBe(0)
    expect(tried(text(5_000), 10)).toBe(10)
    expect(tried(randomBytes(5_000), 1_000)).toBe(0)
    // At most 64 are left untried before one shows that it pays again.
    expect(tried(text(5_000), 100)).toBeGreaterThanOrEqual(100 - 64)
    // A long one is judged by its beginning.
    expect(auto.pack(Buffer.concat([randomBytes(20_000), text(1_000_000)]))).toBeUndefined()
  })

  it('that inflates to more than its head says is cut short, and so is one that inflates to less', () => {
    const bomb = compressor(true).pack(new Uint8Array(8_000_000))!
    expect(bomb.bytes.length).toBeLessThan(50_000)
    for (const size of [0, 1, 1_000, 7_999_999, 8_000_001]) expect(inflated(bomb.bytes, { ...bomb.compression, size })).toBeUndefined()
    expect(inflated(bomb.bytes, bomb.compression)).toHaveLength(8_000_000)
  })

  it('that is garbage is nothing, whatever it claims', () => {
    const flag = name === 'zstd' ? zstdFlag : deflateFlag
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(2_000), (data, size) => {
        const result = inflated(data, { flag, size })
        expect(result === undefined || result.length === size).toBe(true)
      }),
      { numRuns: 500 },
    )
  })
})

describe('a peer that lies', () => {
  function receiverOf(...messages: { bytes: Uint8Array; size?: number }[]) {
    const [from, to] = [new StreamSet({ role: 'caller' }), new StreamSet({ role: 'listener', inflates: deflateFlag })]
    let broken = 0
    const receiver = new MessageReceiver(
      to,
      () => {},
      () => {
        broken += 1
      },
    )
    for (const { bytes, size } of messages) from.offerMessage(bytes, size === undefined ? {} : { compression: { flag: deflateFlag, size } })
    for (const frame of from.pullData(60_000)) to.onFrame(frame)
    return { receiver, broken: () => broken }
  }

  it('in the head of a compressed message ends the connection, and nothing after it is given out', async () => {
    const bomb = zlib.deflateRawSync(new Uint8Array(1_000_000))
    const { receiver, broken } = receiverOf({ bytes: Buffer.from('one') }, { bytes: bomb, size: 100 }, { bytes: Buffer.from('two') })
    expect(Buffer.from((await receiver.receive({}))!).toString()).toBe('one')
    const next = receiver.receive({})
    expect(broken()).toBe(1)
    receiver.end(undefined)
    expect(await next).toBeUndefined()
    expect(broken()).toBe(1)
  })

  it('about nothing is believed', async () => {
    const { receiver, broken } = receiverOf({ bytes: zlib.deflateRawSync(text(500)), size: 500 })
    expect(Buffer.compare((await receiver.receive({}))!, text(500))).toBe(0)
    expect(broken()).toBe(0)
  })

  it('cannot send what we did not say we take, nor two ways at once', () => {
    const to = new StreamSet({ role: 'listener', inflates: deflateFlag })
    for (const flags of [zstdFlag, deflateFlag | zstdFlag, 8]) {
      const frame = { type: 'stream', streamId: 0, offset: 0, data: Uint8Array.of(flags, 1, 1, 0) } as const
      expect(() => new StreamSet({ role: 'listener', inflates: deflateFlag }).onFrame(frame)).toThrow(
        expect.objectContaining({ code: 'unsupported' }),
      )
    }
    expect(() => to.onFrame({ type: 'stream', streamId: 0, offset: 0, data: Uint8Array.of(deflateFlag, 1, 1, 0) })).not.toThrow()
  })
})

describe('a connection', () => {
  let mesh: TestMesh
  let alice: Client
  let bob: Client
  beforeAll(async () => {
    mesh = await startMesh(1)
    alice = await mesh.client('alice')
    bob = await mesh.client('bob', { streams: { maxMessageBytes: 1_000_000 } })
  })
  afterAll(() => mesh.close())

  async function pair(application: string, compress?: Compress): Promise<[Connection, Connection]> {
    const listener = await bob.listen({ application })
    const [caller, taken] = await Promise.all([
      alice.connect({ user: 'bob', application, ...(compress === undefined ? {} : { compress }) }),
      listener[Symbol.asyncIterator]().next(),
    ])
    await listener.close()
    return [caller, taken.value!]
  }

  it('compresses both ways when its caller asks, keeps order and bytes, and counts', async () => {
    const [caller, listener] = await pair('both', true)
    const messages = [text(300_000), Buffer.from('short'), text(2_000), randomBytes(50_000), new Uint8Array(0)]
    for (const [from, to] of [
      [caller, listener],
      [listener, caller],
    ] as const) {
      const sends = messages.map((message) => from.send(message))
      for (const message of messages) expect(Buffer.compare((await to.receive({ timeoutMs: 5_000 }))!, message)).toBe(0)
      await Promise.all(sends)
      expect(from.compression).toMatchObject({ method: compressionMethods[0], messages: 2, bytesBefore: 302_000 })
      expect(from.compression!.bytesAfter).toBeLessThan(30_000)
    }
    await caller.close()
  })

  it('does not compress unless somebody asks', async () => {
    const [caller, listener] = await pair('off')
    await caller.send(text(10_000))
    expect((await listener.receive())!.length).toBe(10_000)
    expect([caller.compression, listener.compression]).toEqual([undefined, undefined])
    await caller.close()
  })

  it('refuses a bomb by the size it names, before a byte of it is inflated, and goes on', async () => {
    const [caller, listener] = await pair('bomb', true)
    await expect(caller.send(new Uint8Array(5_000_000), { until: 'delivered' })).rejects.toMatchObject({ code: 'message_too_large' })
    const delivered = caller.send(text(900_000), { until: 'delivered' })
    expect((await listener.receive({ timeoutMs: 5_000 }))!.length).toBe(900_000)
    await delivered
    await caller.close()
  })
})
