import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { FaultProxy } from '../../src/live/fault-proxy.ts'
import type { LinkRule } from '../../src/network-script.ts'

const open: { close(): void | Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})

/** A server that sends back what it gets, a proxy before it, and a client through the proxy. */
async function echoThroughProxy(base?: LinkRule): Promise<{
  proxy: FaultProxy
  client: Socket
  /** The newest connection as the server has it. */
  far: () => Socket | undefined
  received: () => Buffer
  until: (bytes: number) => Promise<Buffer>
}> {
  const sockets = new Set<Socket>()
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push({
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  })
  let state = 1
  const random = (): number => {
    state = (state * 48271) % 2147483647
    return state / 2147483647
  }
  const proxy = await FaultProxy.listen({
    target: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    random,
    ...(base === undefined ? {} : { base }),
  })
  open.push(proxy)
  const client = connect(proxy.port, '127.0.0.1')
  client.on('error', () => {})
  open.push({ close: () => void client.destroy() })
  await once(client, 'connect')
  const parts: Buffer[] = []
  let total = 0
  const waiters: (() => void)[] = []
  client.on('data', (bytes) => {
    parts.push(bytes as Buffer)
    total += bytes.length
    for (const wake of waiters.splice(0)) wake()
  })
  return {
    proxy,
    client,
    far: () => [...sockets].at(-1),
    received: () => Buffer.concat(parts),
    until: async (bytes) => {
      while (total < bytes) await new Promise<void>((done) => waiters.push(done))
      return Buffer.concat(parts)
    },
  }
}

/** Looks again after each turn of the loop; a test that waits in vain is ended by its time limit. */
async function untilTrue(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((go) => setImmediate(go))
}

/** Unlike `once`, not broken off by the error that comes before a reset socket closes. */
function closeOf(socket: Socket): Promise<void> {
  return new Promise((done) => socket.once('close', () => done()))
}

describe('fault proxy', () => {
  test('without rules every byte passes in order, and so does the end', async () => {
    const { client, until } = await echoThroughProxy()
    const sent = Buffer.alloc(3_000_000, 'abcdefg')
    client.end(sent)
    const ended = once(client, 'end')
    expect((await until(sent.length)).equals(sent)).toBe(true)
    await ended
  })

  test('latency holds bytes back at least so long, each way', async () => {
    const { client, until } = await echoThroughProxy({ directions: ['up', 'down'], latencyMs: 30 })
    const startedMs = performance.now()
    client.write('x')
    await until(1)
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(59)
  })

  test('a blackhole holds bytes of its direction, and healing lets them go in order', async () => {
    const { proxy, client, received, until } = await echoThroughProxy()
    client.write('before')
    await until(6)
    proxy.apply('F1', { directions: ['down'], held: true })
    client.write('during')
    const { client: other, until: otherUntil } = await echoThroughProxy()
    other.write('a full round trip elsewhere')
    await otherUntil(27)
    expect(received().toString()).toBe('before')
    expect(proxy.heal('F1')).toBe(true)
    expect((await until(12)).toString()).toBe('beforeduring')
  })

  test('corrupt flips single bits at about the rate asked for, and nothing else', async () => {
    const { client, until } = await echoThroughProxy({ directions: ['up'], corruptOneIn: 1000 })
    const sent = Buffer.alloc(1_000_000, 0)
    client.write(sent)
    const back = await until(sent.length)
    const wrong = back.filter((byte) => byte !== 0)
    expect(wrong.length).toBeGreaterThan(700)
    expect(wrong.length).toBeLessThan(1300)
    for (const byte of wrong) expect(Math.log2(byte) % 1).toBe(0)
  })

  test('resetAll cuts what lives with a reset; refuse turns new ones away', async () => {
    const { proxy, client, until } = await echoThroughProxy()
    client.write('x')
    await until(1)
    const closed = closeOf(client)
    expect(proxy.resetAll()).toBe(1)
    await closed
    proxy.apply('F2', { directions: ['up', 'down'], refuse: true })
    const late = connect(proxy.port, '127.0.0.1')
    late.on('error', () => {})
    await closeOf(late)
    expect(proxy.connections).toBe(0)
  })

  test('one byte per MB is what it says: single bits, about one in each million', async () => {
    const { proxy, client, until } = await echoThroughProxy({ directions: ['up'], corruptOneIn: 1_000_000 })
    const sent = Buffer.alloc(20_000_000, 0)
    client.write(sent)
    const back = await until(sent.length)
    const wrong = back.filter((byte) => byte !== 0)
    expect(wrong.length).toBeGreaterThan(8)
    expect(wrong.length).toBeLessThan(40)
    for (const byte of wrong) expect(Math.log2(byte) % 1).toBe(0)
    expect(proxy.effects.get('flipped')).toBe(wrong.length)
  })

  test('loss makes bytes late and loses none', async () => {
    const { proxy, client, until } = await echoThroughProxy({ directions: ['up'], lossShare: 1, lossDelayMs: 40 })
    const startedMs = performance.now()
    client.write('late')
    expect((await until(4)).toString()).toBe('late')
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(39)
    expect(proxy.effects.get('lost')).toBe(1)
  })

  test('bandwidth lets no more through than it says', async () => {
    const { client, until } = await echoThroughProxy({ directions: ['up'], bytesPerSecond: 100_000 })
    const startedMs = performance.now()
    for (let part = 0; part < 10; part++) client.write(Buffer.alloc(1_000))
    await until(10_000)
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(90)
  })

  test('a narrow link hands over the first bytes of a large piece long before its last', async () => {
    const { proxy, client, received, until } = await echoThroughProxy()
    proxy.apply('link', { directions: ['down'], bytesPerSecond: 2_000 })
    client.write(Buffer.alloc(20_000))
    // The first packet takes 0.7 s, all of them 10 s, which nobody waits for.
    await until(1_000)
    expect(received().length).toBeLessThan(10_000)
  })

  test('slice brings everything in small pieces, in order', async () => {
    const { proxy, client, until } = await echoThroughProxy({ directions: ['down'], sliceBytes: 10, sliceDelayMs: 2 })
    const startedMs = performance.now()
    client.write('0123456789abcdefghijABCDEFGHIJ')
    expect((await until(30)).toString()).toBe('0123456789abcdefghijABCDEFGHIJ')
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(3.9)
    expect(proxy.effects.get('sliced')).toBeGreaterThan(0)
  })

  test('mtu lets small pieces pass, and holds a large one and all behind it until it is healed', async () => {
    const { proxy, client, received, until } = await echoThroughProxy()
    proxy.apply('F3', { directions: ['up'], mtuBytes: 100 })
    client.write('small')
    await until(5)
    client.write(Buffer.alloc(200, 'L'))
    await untilTrue(() => proxy.effects.get('stuck') === 1)
    client.write('behind')
    const { client: other, until: otherUntil } = await echoThroughProxy()
    other.write('a full round trip elsewhere')
    await otherUntil(27)
    expect(received().toString()).toBe('small')
    proxy.heal('F3')
    expect((await until(211)).toString()).toBe(`small${'L'.repeat(200)}behind`)
  })

  test('limit_data resets a connection that has carried so much', async () => {
    const { proxy, client } = await echoThroughProxy({ limitBytes: 1_000 })
    const closed = closeOf(client)
    client.write(Buffer.alloc(5_000))
    await closed
    expect(proxy.effects.get('limited')).toBeGreaterThan(0)
    expect(proxy.connections).toBe(0)
  })

  test('duplicate_frame brings a piece twice', async () => {
    const { client, until } = await echoThroughProxy({ directions: ['up'], duplicateShare: 1 })
    client.write('twice')
    expect((await until(10)).toString()).toBe('twicetwice')
  })

  test('reorder_frame lets a piece be overtaken by the next, and lets the last one go by itself', async () => {
    const { proxy, client, until } = await echoThroughProxy()
    proxy.apply('F4', { directions: ['up'], reorderShare: 1, reorderDelayMs: 200 })
    client.write('first ')
    await untilTrue(() => proxy.effects.get('swapped') === 1)
    client.write('second ')
    expect((await until(13)).toString()).toBe('second first ')
    client.write('last')
    expect((await until(17)).toString()).toBe('second first last')
  })

  test('slow_close tells the end of a connection late', async () => {
    const { client, until } = await echoThroughProxy({ directions: ['up'], endDelayMs: 50 })
    const ended = once(client, 'end')
    const startedMs = performance.now()
    client.end('x')
    await until(1)
    await ended
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(49)
  })

  test('captive answers everything with a page, whatever was asked', async () => {
    const { proxy } = await echoThroughProxy({ captive: true })
    for (const asked of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '\x16\x03\x01']) {
      const client = connect(proxy.port, '127.0.0.1')
      open.push({ close: () => void client.destroy() })
      let answer = ''
      client.on('data', (bytes) => {
        answer += bytes
      })
      client.write(asked)
      await once(client, 'end')
      expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\nContent-Type: text\/html/)
    }
  })

  test('half_open resets the far end and tells the client nothing', async () => {
    const { proxy, client, far, until } = await echoThroughProxy()
    client.write('x')
    await until(1)
    const closed = closeOf(far()!)
    let told = false
    client.on('close', () => {
      told = true
    })
    expect(proxy.halfOpenAll()).toBe(1)
    await closed
    client.write('nobody hears this')
    const { client: other, until: otherUntil } = await echoThroughProxy()
    other.write('a full round trip elsewhere')
    await otherUntil(27)
    expect(told).toBe(false)
  })

  test('nat_rebind leaves the old connection dead without a word, and a new one comes from another address', async () => {
    const { proxy, client, far, received, until } = await echoThroughProxy()
    client.write('x')
    await until(1)
    expect(far()?.remoteAddress).toBe('127.0.0.1')
    const old = far()
    expect(proxy.rebind('silent')).toBe(1)
    client.write('into the void')
    const again = connect(proxy.port, '127.0.0.1')
    open.push({ close: () => void again.destroy() })
    again.write('y')
    await once(again, 'data')
    expect(far()).not.toBe(old)
    expect(far()?.remoteAddress).toBe('127.0.0.2')
    expect(received().toString()).toBe('x')
    expect(client.destroyed).toBe(false)
  })
})
