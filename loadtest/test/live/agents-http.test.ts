// The coordinator's door and the agent's way to it: tokens, bounds, orders that are waited for, and proxies that pass nothing but HTTP.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, request, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { tlsCertificate, tlsKey, tlsName } from '../../../client/test/node/tls-fixture.ts'
import { listsOf } from '../../src/agents/agent-mesh.ts'
import { CoordinatorLink } from '../../src/agents/coordinator-link.ts'
import { CoordinatorServer, type Desk } from '../../src/agents/coordinator-server.ts'
import { selfSignedTls, tlsOfFiles } from '../../src/agents/coordinator-tls.ts'
import { bodyMax, type Clock, type Join, type ListsAsked, type Order, type Share } from '../../src/agents/messages.ts'

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
  telling: () => {},
  join: (one, asked, isLocal) => {
    session = one
    joins.push([asked, isLocal])
    return { rank: 3 }
  },
  lists: async (_session, { lists }) => lists.map(() => 'c2lnbmVk'),
  share: () => ({ plan: {}, clients: [1], relays: [], credentials: [['alice', 'secret of alice']] }) as unknown as Share,
  ready: () => {},
  snapshot: () => {},
  finished: () => {},
}

beforeEach(async () => {
  joins = []
  session = ''
  server = await CoordinatorServer.listen(door)
})
afterEach(async () => {
  for (const link of links.splice(0)) link.close()
  await server.close(0)
})

const door = { desk, token: 'right', host: '127.0.0.1', port: 0 }

function link(token = 'right', url = `http://127.0.0.1:${server.port}`, ca?: string): CoordinatorLink {
  const one = new CoordinatorLink(url, token, ca)
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

test('an agent whose answer got lost asks again and has the same place; another one has another', async () => {
  const one = link()
  const joined = await one.join(join, never)
  expect(await one.join(join, never)).toEqual(joined)
  expect(joins).toHaveLength(1)
  expect((await link().join(join, never)).session).not.toBe(joined.session)
  expect(joins).toHaveLength(2)
  // It is known no more: the coordinator took it for lost.
  expect((await one.join(join, never)).session).not.toBe(joined.session)
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

describe('over https', () => {
  const tls = selfSignedTls()
  let secure: CoordinatorServer
  const at = (fingerprint = `#sha256=${tls.fingerprint}`, host = '127.0.0.1'): string => `https://${host}:${secure.port}${fingerprint}`
  beforeEach(async () => {
    secure = await CoordinatorServer.listen({ ...door, tls })
  })
  afterEach(async () => {
    await secure.close(0)
  })

  test('agents know a certificate that was made for the run by its fingerprint', async () => {
    const one = link('right', at())
    await one.join(join, never)
    expect(await one.long<string[]>('POST', '/v1/lists', { body: { version: 10, lists: [[], []] } })).toEqual(['c2lnbmVk', 'c2lnbmVk'])
    expect(joins).toEqual([[join, true]])
  })

  test.each<[string, () => string, string, RegExp]>([
    [
      'another fingerprint',
      () => at(`#sha256=${'A'.repeat(43)}`),
      'certificate_wrong',
      /fingerprint sha256=A{43}; found \S{43}\. Take the URL/,
    ],
    [
      'none, and no authority',
      () => at(''),
      'tls_failed',
      /self-signed certificate.*the URL with #sha256=… that the coordinator printed, or --ca/,
    ],
    ['a server without TLS', () => `https://127.0.0.1:${server.port}`, 'tls_failed', /not with TLS: is its URL http:\/\/127/],
    ['TLS taken for plain HTTP', () => `http://127.0.0.1:${secure.port}`, 'coordinator_unreachable', /is the URL one with https:\/\/\?/],
  ])('the token goes to nobody else: %s', async (_what, url, code, message) => {
    await expect(link('right', url()).join(join, never)).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
    expect(joins).toEqual([])
  })

  test.each(['https://x#sha256=short', 'https://x#other', `http://x#sha256=${'A'.repeat(43)}`])('%s is no URL of one', (url) => {
    expect(() => new CoordinatorLink(url, 't')).toThrow(/expected (#sha256=|https:\/\/)/)
  })

  test('through a proxy that opens tunnels, and with an authority of its own', async () => {
    const folder = mkdtempSync(joinPath(tmpdir(), 'sennit-coordinator-'))
    const tunnels: string[] = []
    const proxy = createServer().on('connect', (asked: IncomingMessage, socket: Socket) => {
      tunnels.push(asked.url ?? '')
      const onward = connect(Number(asked.url?.split(':')[1]), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        socket.pipe(onward).pipe(socket)
      })
      for (const one of [socket, onward]) one.on('error', () => one.destroy())
    })
    await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done))
    const before = process.env.https_proxy
    process.env.https_proxy = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    let named: CoordinatorServer | undefined
    try {
      await link('right', at(undefined, 'coordinator.test')).join(join, never)
      const [certificateFile, keyFile] = [joinPath(folder, 'c.pem'), joinPath(folder, 'k.pem')]
      writeFileSync(certificateFile, tlsCertificate)
      writeFileSync(keyFile, tlsKey)
      expect(() => tlsOfFiles(certificateFile, certificateFile)).toThrow(/expected a certificate in .* and its private key in/)
      named = await CoordinatorServer.listen({ ...door, tls: tlsOfFiles(certificateFile, keyFile) })
      await link('right', `https://${tlsName}:${named.port}`, tlsCertificate).join(join, never)
      await expect(link('right', `https://other.test:${named.port}`, tlsCertificate).join(join, never)).rejects.toMatchObject({
        code: 'tls_failed',
      })
      expect(tunnels.map((to) => to.split(':')[0])).toEqual(['coordinator.test', tlsName, 'other.test'])
    } finally {
      if (before === undefined) delete process.env.https_proxy
      else process.env.https_proxy = before
      await named?.close(0)
      proxy.closeAllConnections()
      proxy.close()
      rmSync(folder, { recursive: true })
    }
  })
})

test.each<[string, ListsAsked, RegExp | undefined]>([
  ['its relays, at proxies of its own', { version: 11, lists: [[{ relayId: 'r1', urls: ['http://127.0.0.1:4711'] }]] }, undefined],
  ['a relay of nobody', { version: 11, lists: [[{ relayId: 'r9', urls: [] }]] }, /expected relays of this run; found "r9"/],
  [
    'an address of another machine',
    { version: 11, lists: [[{ relayId: 'r1', urls: ['http://evil.test'] }]] },
    /found "http:\/\/evil.test"/,
  ],
  ['a version for ever', { version: 2 ** 53, lists: [] }, /a version from 1 to 100/],
])('an agent may have lists signed of %s', (_what, asked, refused) => {
  const key = new Uint8Array([1, 2])
  const known = [{ relayId: 'r1', urls: ['http://r1.test'], key }]
  if (refused !== undefined) expect(() => listsOf(asked, known, 100)).toThrow(refused)
  // The key is the mesh's, whatever the agent says.
  else expect(listsOf(asked, known, 100)).toEqual([[{ relayId: 'r1', urls: ['http://127.0.0.1:4711'], key }]])
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
