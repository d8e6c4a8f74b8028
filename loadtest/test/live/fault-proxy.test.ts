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
async function echoThroughProxy(
  base?: LinkRule,
): Promise<{ proxy: FaultProxy; client: Socket; received: () => Buffer; until: (bytes: number) => Promise<Buffer> }> {
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
    received: () => Buffer.concat(parts),
    until: async (bytes) => {
      while (total < bytes) await new Promise<void>((done) => waiters.push(done))
      return Buffer.concat(parts)
    },
  }
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
})
