// The coordinator's door and the agent's way to it: tokens, bounds, orders that are waited for, and proxies that pass nothing but HTTP.
import { createServer, type IncomingMessage, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CoordinatorLink } from '../../src/agents/coordinator-link.ts'
import { CoordinatorServer, type Desk } from '../../src/agents/coordinator-server.ts'
import { bodyMax, type Clock, type Join, type Order, type Share } from '../../src/agents/messages.ts'

const join: Join = { version: '1.0.0', protocol: 1, zone: 'eu', rank: 3, size: 4, host: 'h', pid: 7 }
const never = new AbortController().signal

let joins: [Join, boolean][]
let session: string
let server: CoordinatorServer
const links: CoordinatorLink[] = []

const desk: Desk = {
  now: () => performance.now(),
  isKnown: (one) => one === session,
  heard: () => {},
  join: (one, asked, isLocal) => {
    session = one
    joins.push([asked, isLocal])
    return { rank: 3 }
  },
  share: () => ({ plan: {}, clients: [1], relays: [], credentials: [['alice', 'secret of alice']] }) as unknown as Share,
  ready: () => {},
  snapshot: () => {},
  finished: () => {},
}

beforeEach(async () => {
  joins = []
  session = ''
  server = await CoordinatorServer.listen({ desk, token: 'right', host: '127.0.0.1', port: 0 })
})
afterEach(async () => {
  for (const link of links.splice(0)) link.close()
  await server.close(0)
})

function link(token = 'right', url = `http://127.0.0.1:${server.port}`): CoordinatorLink {
  const one = new CoordinatorLink(url, token)
  links.push(one)
  return one
}

test('whoever has the token joins, and gets what is for its session', async () => {
  const one = link()
  const joined = await one.join(join, never)
  expect(joins).toEqual([[join, true]])
  expect(joined).toEqual({ session, rank: 3 })
  expect(session).toMatch(/^[0-9a-f]{32}$/)
  expect(await one.long<Share>('GET', '/v1/share')).toMatchObject({ credentials: [['alice', 'secret of alice']] })
  const { receivedMs, answeredMs } = await one.post<Clock>('/v1/clock', {})
  expect(answeredMs).toBeGreaterThanOrEqual(receivedMs)
})

test.each(['x', 'righ', 'right!', 'wrong'])('the token "%s" opens nothing', async (token) => {
  await link().join(join, never)
  const stranger = link(token)
  await expect(stranger.join(join, never)).rejects.toMatchObject({
    code: 'token_wrong',
    message: expect.stringMatching(/the token is wrong/),
  })
  await expect(stranger.get('/v1/share')).rejects.toMatchObject({ code: 'token_wrong' })
  expect(joins).toHaveLength(1)
})

test('the token alone gives no share: sessions of others cannot be guessed', async () => {
  await link().join(join, never)
  await expect(link().get('/v1/share')).rejects.toMatchObject({ code: 'agent_refused' })
})

test('orders come at once when there are some, or as soon as there is one', async () => {
  const one = link()
  await one.join(join, never)
  server.order(session, { do: 'share' })
  expect(await one.get<Order[]>('/v1/orders?after=0')).toEqual([{ do: 'share' }])
  const waiting = one.get<Order[]>('/v1/orders?after=1')
  server.order(session, { do: 'start', atMs: 5 })
  server.order(session, { do: 'stop', why: 'x' })
  expect((await waiting)[0]).toEqual({ do: 'start', atMs: 5 })
  expect(await one.get<Order[]>('/v1/orders?after=2')).toEqual([{ do: 'stop', why: 'x' }])
})

test('bodies have a bound, and what an agent says of itself is looked at', async () => {
  const one = link()
  await expect(one.post('/v1/join', { ...join, host: 'x'.repeat(bodyMax.small!) })).rejects.toMatchObject({
    code: 'coordinator_unreachable',
  })
  await expect(one.post('/v1/join', { ...join, zone: 'a\nb' })).rejects.toMatchObject({ message: expect.stringMatching(/printable text/) })
  await expect(one.post('/v1/join', { ...join, rank: -1 })).rejects.toMatchObject({ message: expect.stringMatching(/whole numbers/) })
  expect(joins).toEqual([])
  await one.join(join, never)
  await expect(one.get('/v1/nothing')).rejects.toMatchObject({ message: expect.stringMatching(/there is no GET/) })
})

test('something that is no coordinator is told from one', async () => {
  const other = createServer((_request, response) => response.end('<html>hello'))
  await new Promise<void>((done) => other.listen(0, '127.0.0.1', done))
  const { port } = other.address() as AddressInfo
  await expect(link('right', `http://127.0.0.1:${port}`).join(join, never)).rejects.toMatchObject({
    code: 'coordinator_unreachable',
    message: expect.stringMatching(/answers 200 in another language/),
  })
  other.closeAllConnections()
  other.close()
})

test.each(['ftp://x', 'http://', '::::'])('%s is no coordinator', (url) => {
  expect(() => new CoordinatorLink(url, 't')).toThrow(/expected a URL such as/)
})

test('agents reach it through a proxy that passes plain HTTP requests and nothing else', async () => {
  const seen: string[] = []
  const proxy = await httpProxy(seen)
  const before = process.env.http_proxy
  process.env.http_proxy = `http://user:word@127.0.0.1:${(proxy.address() as AddressInfo).port}`
  try {
    const one = link('right', `http://coordinator.test:${server.port}/behind`)
    await one.join(join, never)
    server.order(session, { do: 'share' })
    expect(await one.get<Order[]>('/v1/orders?after=0')).toEqual([{ do: 'share' }])
  } finally {
    if (before === undefined) delete process.env.http_proxy
    else process.env.http_proxy = before
    proxy.closeAllConnections()
    proxy.close()
  }
  const login = `Basic ${Buffer.from('user:word').toString('base64')}`
  expect(seen).toEqual([
    `POST http://coordinator.test:${server.port}/behind/v1/join ${login}`,
    `GET http://coordinator.test:${server.port}/behind/v1/orders?after=0 ${login}`,
  ])
})

/** Knows the one name that nobody else does; refuses CONNECT, as it has no handler for it. */
async function httpProxy(seen: string[]): Promise<Server> {
  const proxy = createServer((asked: IncomingMessage, response) => {
    seen.push(`${asked.method} ${asked.url} ${asked.headers['proxy-authorization']}`)
    const { pathname, search, port } = new URL(asked.url ?? '')
    const { 'proxy-authorization': _login, ...headers } = asked.headers
    const onward = request({ host: '127.0.0.1', port, path: pathname + search, method: asked.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    asked.pipe(onward)
  })
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done))
  return proxy
}
