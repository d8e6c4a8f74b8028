/** One suite for every carrier and every way out: what is written comes back whole, and every end is told with its reason. */

import { randomBytes } from 'node:crypto'
import net, { type AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { type Carrier, type CarrierEvents, type DialRequest, dialDeadlines } from '../../src/node/carrier.ts'
import { Dialler } from '../../src/node/dial.ts'
import { type EchoRelay, startEchoRelay } from './echo-relay.ts'
import { startTestProxy, type TestProxyOptions } from './test-proxy.ts'
import { startTestSocks, type TestSocks, type TestSocksOptions } from './test-socks.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const carriers = ['upgrade', 'http', 'grpc'] as const

describe.each(carriers)('carrier %s', (carrier) => {
  it('brings the first bytes to the relay and opens', async () => {
    const relay = await echoRelay()
    const dialled = dial(relay, carrier)
    await dialled.opened
    expect(relay.firsts).toEqual(['first'])
    expect((await dialled.received(5)).toString()).toBe('first')
  })

  it('carries 8 MiB both ways in order, and says when it takes no more', async () => {
    const relay = await echoRelay()
    const dialled = dial(relay, carrier)
    await dialled.opened
    await dialled.received(5)
    const sent = randomBytes(8 * 1024 * 1024)
    let blocked = 0
    for (let at = 0; at < sent.length; at += 100_000) {
      const piece = sent.subarray(at, at + 100_000)
      if (dialled.carrier.write([piece.subarray(0, 10), piece.subarray(10)])) continue
      blocked += 1
      await dialled.drained()
    }
    const back = await dialled.received(5 + sent.length)
    expect(back.subarray(5).equals(sent)).toBe(true)
    expect(blocked).toBeGreaterThan(0)
  })

  it('dials from the local address it is given, also by name', async () => {
    const relay = await echoRelay()
    const named = (url: string): string => url.replace('127.0.0.1', 'localhost')
    for (const [localAddress, { url, grpcUrl }] of [
      ['127.0.0.2', relay],
      ['127.0.0.3', { url: named(relay.url), grpcUrl: named(relay.grpcUrl) }],
    ] as const) {
      const dialled = dial({ url, grpcUrl }, carrier, { localAddress })
      await dialled.opened
      expect((await dialled.received(5)).toString()).toBe('first')
    }
    expect([...relay.peers]).toEqual(['127.0.0.2', '127.0.0.3'])
  })

  it('tells that the local address is not one of this machine', async () => {
    const relay = await echoRelay()
    const closed = await dial(relay, carrier, { localAddress: '192.0.2.1' }).closed
    expect(closed.code).toBe('dial_failed')
    expect(closed.message).toMatch(/EADDRNOTAVAIL.*192\.0\.2\.1/)
  })

  it('tells that nothing listens', async () => {
    const port = await freePort()
    const dialled = dial({ url: `http://127.0.0.1:${port}`, grpcUrl: `http://127.0.0.1:${port}` }, carrier)
    expect((await dialled.closed).code).toBe('dial_failed')
  })

  it('gives up on a relay that never answers', async () => {
    const relay = await echoRelay({ silent: true })
    const dialled = dial(relay, carrier, { deadlines: { resolveMs: 200, stepMs: 100 } })
    expect((await dialled.closed).code).toBe('dial_timeout')
  })

  it('tells what the relay refused with', async () => {
    const relay = await echoRelay({ refuse: 'too_many' })
    const closed = await dial(relay, carrier).closed
    expect(closed.code).toBe('dial_refused')
    expect(closed.message).toContain('too_many')
  })

  it('tells that the relay ended it', async () => {
    const relay = await echoRelay()
    const dialled = dial(relay, carrier)
    await dialled.opened
    relay.endSessions()
    expect((await dialled.closed).code).toMatch(/^carrier_(ended|lost)$/)
  })

  it('goes through a CONNECT proxy with a login, named by option or by the environment', async () => {
    for (const how of ['option', 'environment']) {
      const relay = await echoRelay()
      const proxy = await testProxy({ login: 'ann:s3cret' })
      const named = `http://ann:s3cret@127.0.0.1:${proxy.port}`
      const dialled = dial(relay, carrier, { proxy: how === 'option' ? { proxy: named, env: {} } : { env: { http_proxy: named } } })
      await dialled.opened
      dialled.carrier.write([randomBytes(300_000)])
      await dialled.received(5 + 300_000)
      expect(proxy.seen[0]).toMatch(carrier === 'http' ? /^POST http:/ : /^CONNECT /)
    }
  })

  it('tells that the proxy refuses', async () => {
    const relay = await echoRelay()
    const proxy = await testProxy({ login: 'ann:s3cret' })
    const closed = await dial(relay, carrier, { proxy: { proxy: proxy.url } }).closed
    expect(closed.code).toBe({ upgrade: 'proxy_refused', http: 'dial_refused', grpc: 'proxy_failed' }[carrier])
    if (carrier !== 'grpc') expect(closed.message).toContain('407')
  })

  it('closes without a word and leaves nothing open', async () => {
    const relay = await echoRelay()
    const dialled = dial(relay, carrier)
    await dialled.opened
    dialled.carrier.close()
    dialled.carrier.close()
    expect(dialled.carrier.write([new Uint8Array(3)])).toBe(true)
    expect(dialled.told).toEqual(['open'])
  })
})

describe('carrier http where bodies are held back', () => {
  it('continues a response that ended where it stopped', async () => {
    const relay = await echoRelay({ downBytesMax: 1 })
    const dialled = dial(relay, 'http')
    await dialled.opened
    const sent = randomBytes(200_000)
    for (let at = 0; at < sent.length; at += 20_000) {
      dialled.carrier.write([sent.subarray(at, at + 20_000)])
      await dialled.received(5 + at + 20_000)
    }
    expect((await dialled.received(5 + sent.length)).subarray(5).equals(sent)).toBe(true)
    expect(relay.paths.filter((path) => path.includes('/down?from=')).length).toBeGreaterThan(1)
  })

  it('learns that requests are held back, and sends numbered POSTs on the next dial', async () => {
    const relay = await echoRelay()
    const proxy = await testProxy({ holdsRequests: true })
    const dialler = new Dialler()
    const first = dial(relay, 'http', { proxy: { proxy: proxy.url } }, dialler)
    await first.opened
    first.carrier.write([new Uint8Array(10)])
    expect((await first.closed).code).toBe('carrier_buffered')
    const second = dial(relay, 'http', { proxy: { proxy: proxy.url } }, dialler)
    await second.opened
    const sent = randomBytes(3_000_000)
    for (let at = 0; at < sent.length; at += 100_000) {
      if (!second.carrier.write([sent.subarray(at, at + 100_000)])) await second.drained()
    }
    expect((await second.received(5 + sent.length)).subarray(5).equals(sent)).toBe(true)
    expect(relay.paths.some((path) => /\/up\/3$/.test(path))).toBe(true)
  })

  it('asks in short polls where responses are held back', async () => {
    const relay = await echoRelay()
    const proxy = await testProxy({ holdsResponses: true, holdsRequests: true })
    const dialler = new Dialler()
    const first = dial(relay, 'http', { proxy: { proxy: proxy.url } }, dialler)
    await first.opened
    first.carrier.write([new Uint8Array(10)])
    expect((await first.closed).code).toBe('carrier_buffered')
    const second = dial(relay, 'http', { proxy: { proxy: proxy.url } }, dialler)
    await second.opened
    const sent = randomBytes(1_000_000)
    second.carrier.write([sent])
    expect((await second.received(5 + sent.length)).subarray(5).equals(sent)).toBe(true)
  })
})

describe('a proxy that refuses CONNECT', () => {
  it.each([
    ['upgrade', 'proxy_refused'],
    ['http', 'open'],
    ['grpc', 'proxy_failed'],
  ] as const)('%s: %s', async (carrier, outcome) => {
    const relay = await echoRelay()
    const proxy = await testProxy({ refuseConnect: true })
    const dialled = dial(relay, carrier, { proxy: { proxy: proxy.url } })
    expect(await Promise.race([dialled.opened.then(() => 'open'), dialled.closed.then((closed) => closed.code)])).toBe(outcome)
  })
})

describe.each(['upgrade', 'http'] as const)('carrier %s through SOCKS5', (carrier) => {
  async function socks(options: TestSocksOptions): Promise<TestSocks> {
    const server = await startTestSocks(options)
    cleanups.push(() => server.close())
    return server
  }

  it.each([
    ['the proxy resolves names with socks5h', 'socks5h', 'relay.example', /^name relay\.example:/],
    ['we do with socks5', 'socks5', 'localhost', /^address 127\.0\.0\.1:/],
    ['an address is an address', 'socks5h', '127.0.0.1', /^address 127\.0\.0\.1:/],
  ])('carries bytes both ways; %s', async (_why, scheme, host, seen) => {
    const relay = await echoRelay()
    const server = await socks({ login: 'ann:s3c ret' })
    const url = relay.url.replace('127.0.0.1', host)
    const env = { ALL_PROXY: `${scheme}://ann:s3c%20ret@127.0.0.1:${server.port}` }
    const dialled = dial({ url, grpcUrl: url }, carrier, { proxy: { env } })
    await Promise.race([dialled.opened, dialled.closed.then((end) => Promise.reject(new Error(end.message)))])
    dialled.carrier.write([randomBytes(300_000)])
    await dialled.received(5 + 300_000)
    expect(server.seen[0]).toMatch(seen)
  })

  it.each<[string, TestSocksOptions, string, string]>([
    ['a wrong login', { login: 'ann:other' }, 'ann:s3cret@', 'proxy_refused'],
    ['no login where one is wanted', { login: 'ann:s3cret' }, '', 'proxy_refused'],
    ['a destination that is not allowed', { refuses: true }, '', 'proxy_refused'],
  ])('tells of %s', async (_why, options, login, code) => {
    const relay = await echoRelay()
    const server = await socks(options)
    const closed = await dial(relay, carrier, { proxy: { proxy: `socks5://${login}127.0.0.1:${server.port}` } }).closed
    expect(closed.code).toBe(code)
    expect(closed.message).not.toContain('s3cret')
  })

  it('tells that no proxy is there, or that it is none', async () => {
    const relay = await echoRelay()
    const gone = await dial(relay, carrier, { proxy: { proxy: `socks5://127.0.0.1:${await freePort()}` } }).closed
    expect(gone.code).toBe('proxy_failed')
    const http = await testProxy({})
    const other = await dial(relay, carrier, { proxy: { proxy: `socks5://127.0.0.1:${http.port}` } }).closed
    expect(other.code).toBe('proxy_failed')
  })
})

it('says that grpc cannot go through SOCKS', async () => {
  const relay = await echoRelay()
  expect((await dial(relay, 'grpc', { proxy: { proxy: 'socks5://127.0.0.1:1' } }).closed).code).toBe('bad_proxy')
})

async function echoRelay(options: Parameters<typeof startEchoRelay>[0] = {}): Promise<EchoRelay> {
  const relay = await startEchoRelay(options)
  cleanups.push(() => relay.close())
  return relay
}

async function testProxy(options: TestProxyOptions): Promise<Awaited<ReturnType<typeof startTestProxy>>> {
  const proxy = await startTestProxy(options)
  cleanups.push(() => proxy.close())
  return proxy
}

interface Dialled {
  carrier: Carrier
  told: string[]
  opened: Promise<void>
  closed: Promise<{ code: string; message: string }>
  drained(): Promise<void>
  received(bytes: number): Promise<Buffer>
}

function dial(
  relay: Pick<EchoRelay, 'url' | 'grpcUrl'>,
  carrier: string,
  options: Partial<DialRequest> = {},
  dialler: Dialler = new Dialler(),
): Dialled {
  const told: string[] = []
  const chunks: Buffer[] = []
  let bytes = 0
  let look = (): void => {}
  let drained = (): void => {}
  let resolveOpen!: () => void
  let resolveClosed!: (closed: { code: string; message: string }) => void
  const events: CarrierEvents = {
    onOpen() {
      told.push('open')
      resolveOpen()
    },
    onBytes(chunk) {
      chunks.push(Buffer.from(chunk))
      bytes += chunk.length
      look()
    },
    onDrain: () => drained(),
    onClose(code, message) {
      told.push(code)
      resolveClosed({ code, message })
    },
  }
  const result: Dialled = {
    told,
    opened: new Promise((resolve) => {
      resolveOpen = resolve
    }),
    closed: new Promise((resolve) => {
      resolveClosed = resolve
    }),
    drained: () =>
      new Promise((resolve) => {
        drained = resolve
      }),
    received: (wanted) =>
      new Promise((resolve) => {
        look = () => bytes >= wanted && resolve(Buffer.concat(chunks))
        look()
      }),
    carrier: dialler.dial(
      {
        url: carrier === 'grpc' ? relay.grpcUrl : relay.url,
        carrier,
        first: () => Buffer.from('first'),
        proxy: { env: {} },
        deadlines: dialDeadlines,
        ...options,
      },
      events,
    ),
  }
  cleanups.push(() => result.carrier.close())
  return result
}

async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}
