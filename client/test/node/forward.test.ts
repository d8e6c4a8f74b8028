/** Port replication with TCP's manners, over real relays: what curl, psql and nginx would see. */

import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import type { Client } from '@sennit/client'
import { type Exposed, expose, type Forwarded, forward } from '@sennit/client/forward'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { freePorts, startMesh, type TestMesh } from './mesh.ts'
import { startTestProxy } from './test-proxy.ts'

let mesh: TestMesh
let alice: Client
let bob: Client
const cleanups: (() => unknown)[] = []
let names = 0

beforeAll(async () => {
  mesh = await startMesh(2)
  alice = await mesh.client('alice')
  bob = await mesh.client('bob')
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})
afterAll(() => mesh.close())

describe('expose and forward', () => {
  it('carry an echo both ways, and a half-close after it', async () => {
    const { port } = await tunnel(await tcpServer((socket) => socket.pipe(socket)))
    const socket = await dial(port)
    const sent = randomBytes(3_000_000)
    const received = collect(socket)
    socket.end(sent)
    expect((await received).equals(sent)).toBe(true)
  })

  it('let the server speak first', async () => {
    const { port } = await tunnel(await tcpServer((socket) => socket.write('220 hello\r\n')))
    const socket = await dial(port)
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    expect(chunk.toString()).toBe('220 hello\r\n')
    socket.destroy()
  })

  it('let a client read on after it ended its own half', async () => {
    const target = await tcpServer((socket) => {
      socket.resume()
      socket.on('end', () => socket.end('all of it'))
    })
    const { port } = await tunnel(target)
    const socket = await dial(port)
    const received = collect(socket)
    socket.end('question')
    expect((await received).toString()).toBe('all of it')
  })

  it('let a server end first and read on', async () => {
    const heard = deferred<string>()
    const target = await tcpServer((socket) => {
      void collect(socket).then((bytes) => heard.resolve(bytes.toString()))
      socket.end('bye')
    })
    const { port } = await tunnel(target)
    const socket = await dial(port)
    expect((await collect(socket)).toString()).toBe('bye')
    socket.end('last words')
    expect(await heard.promise).toBe('last words')
  })

  it('turn a reset of the service into a reset here', async () => {
    const target = await tcpServer((socket) => socket.once('data', () => socket.resetAndDestroy()))
    const { port, log } = await tunnel(target)
    const socket = await dial(port)
    socket.write('x')
    expect(await endOf(socket)).toBe('ECONNRESET')
    expect(log.some((line) => line.includes('reset'))).toBe(true)
  })

  it('turn a reset here into a reset at the service', async () => {
    const ended = deferred<string>()
    const seen = deferred<void>()
    const target = await tcpServer((socket) => {
      socket.once('data', () => seen.resolve())
      void endOf(socket).then(ended.resolve)
    })
    const { port } = await tunnel(target)
    const socket = await dial(port)
    socket.write('x')
    await seen.promise
    socket.resetAndDestroy()
    expect(await ended.promise).toBe('ECONNRESET')
  })

  it('turn a refused connection at the service into a reset, with the reason logged', async () => {
    const [free] = await freePorts(1)
    const { port, log } = await tunnel(free!)
    const socket = await dial(port)
    expect(await endOf(socket)).toBe('ECONNRESET')
    expect(log.some((line) => line.includes('ECONNREFUSED'))).toBe(true)
    expect(log.some((line) => line.includes('the service refused'))).toBe(true)
  })

  it('hold back a writer whose reader stops, and a hundred other sockets go on', async () => {
    const target = await tcpServer((socket) => socket.pipe(socket))
    const { port, service } = await tunnel(target)
    const slow = await dial(port)
    slow.pause()
    const big = randomBytes(64 * 1024 * 1024)
    slow.write(big)
    const others = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const socket = await dial(port)
        const received = collect(socket)
        socket.end(`number ${index}`)
        return (await received).toString()
      }),
    )
    expect(others).toEqual(Array.from({ length: 100 }, (_, index) => `number ${index}`))
    expect(slow.writableLength).toBeGreaterThan(0) // not all of it went anywhere
    await expect.poll(() => service.sockets).toBe(1)
    const received = collect(slow)
    slow.end()
    expect(digest(await received)).toBe(digest(big))
  })

  it('serve HTTP: 50 downloads at once on one connection, and a PUT', async () => {
    const body = randomBytes(2_000_000)
    const server = http.createServer((request, response) => {
      if (request.method === 'GET') return void response.end(body)
      const hash = createHash('sha256')
      request.on('data', (chunk: Buffer) => hash.update(chunk))
      request.on('end', () => response.end(hash.digest('hex')))
    })
    const { port, service } = await tunnel(await listening(server))
    const digests = await Promise.all(Array.from({ length: 50 }, async () => digest(await fetchBytes(port, 'GET'))))
    expect(new Set(digests)).toEqual(new Set([digest(body)]))
    expect((await fetchBytes(port, 'PUT', body)).toString()).toBe(digest(body))
    expect(service.connection).toBeDefined()
  })

  it('hold a socket until the peer is there', async () => {
    const application = freshName()
    const target = await tcpServer((socket) => socket.pipe(socket))
    const service = await forward({ client: alice, listen: { host: '127.0.0.1', port: 0 }, user: 'bob', application, waitMs: 10_000 })
    cleanups.push(() => service.close())
    const socket = await dial(service.port)
    const received = collect(socket)
    socket.end('early bird')
    const exposed = await expose({ client: bob, application, target: { host: '127.0.0.1', port: target } })
    cleanups.push(() => exposed.close())
    expect((await received).toString()).toBe('early bird')
  })

  it('reset a socket when the peer does not come in time', async () => {
    const log: string[] = []
    const service = await forward({
      client: alice,
      listen: { host: '127.0.0.1', port: 0 },
      user: 'bob',
      application: 'never',
      waitMs: 200,
      log: (text) => log.push(text),
    })
    cleanups.push(() => service.close())
    const socket = await dial(service.port)
    expect(await endOf(socket)).toBe('ECONNRESET')
    expect(log.some((line) => line.includes('was not there within 200 ms'))).toBe(true)
  })

  it('reset open sockets when the other end is closed, and serve new ones when it is back', async () => {
    const target = await tcpServer((socket) => socket.pipe(socket))
    const { port, application, exposed } = await tunnel(target)
    const socket = await dial(port)
    socket.write('x')
    await once(socket, 'data')
    const ended = endOf(socket)
    await exposed.close()
    expect(await ended).toBe('ECONNRESET')
    const again = await expose({ client: bob, application, target: { host: '127.0.0.1', port: target } })
    cleanups.push(() => again.close())
    const second = await dial(port)
    const received = collect(second)
    second.end('back')
    expect((await received).toString()).toBe('back')
  })

  it('reset open sockets and serve new ones within 5 s when the other end died without a word and was started again', async () => {
    const application = freshName()
    const target = await tcpServer((socket) => socket.pipe(socket))
    // The proxy is the dying one's only way; cutting it is what the network sees of a kill.
    const proxy = await startTestProxy()
    const dying = await mesh.client('bob', { proxy: proxy.url, label: 'server' })
    await expose({ client: dying, application, target: { host: '127.0.0.1', port: target } })
    const service = await forward({ client: alice, listen: { host: '127.0.0.1', port: 0 }, user: 'bob/server', application })
    cleanups.push(() => service.close())
    const open = await dial(service.port)
    open.write('x')
    await once(open, 'data')
    const ended = endOf(open)
    await proxy.close()
    const startedAtMs = performance.now()
    const again = await mesh.client('bob', { label: 'server' })
    const exposed = await expose({ client: again, application, target: { host: '127.0.0.1', port: target } })
    cleanups.push(() => exposed.close())
    expect(await ended).toBe('ECONNRESET')
    const fresh = await dial(service.port)
    const received = collect(fresh)
    fresh.end('alive')
    expect((await received).toString()).toBe('alive')
    expect(performance.now() - startedAtMs).toBeLessThan(5_000)
  })

  it('carry a download on without a scratch while the relay in use is closed', async () => {
    const body = randomBytes(64 * 1024 * 1024)
    const server = http.createServer((_request, response) => void response.end(body))
    const { port, service } = await tunnel(await listening(server))
    await expect.poll(() => service.connection?.status()?.standby).toBeTruthy()
    const active = service.connection!.status()!.active.receive!
    const lost: string[] = []
    service.connection!.on((event) => event.type === 'path_closed' && lost.push(event.relayId))
    const hash = createHash('sha256')
    let received = 0
    await new Promise<void>((resolve, reject) => {
      const request = http.get({ host: '127.0.0.1', port, agent: false }, (response) => {
        response.on('data', (part: Buffer) => {
          hash.update(part)
          const before = received
          received += part.length
          if (before < 4_000_000 && received >= 4_000_000) void mesh.kill(active)
        })
        response.on('end', resolve)
        response.on('error', reject)
      })
      request.on('error', reject)
    })
    expect(hash.digest('hex')).toBe(digest(body))
    expect(lost).toContain(active)
    await mesh.start(active)
  })
})

interface Tunnel {
  port: number
  application: string
  exposed: Exposed
  service: Forwarded
  log: string[]
}

/** Exposes a local port and forwards to it. */
async function tunnel(targetPort: number): Promise<Tunnel> {
  const application = freshName()
  const log: string[] = []
  const note = (text: string): void => void log.push(text)
  const exposed = await expose({ client: bob, application, target: { host: '127.0.0.1', port: targetPort }, log: note })
  cleanups.push(() => exposed.close())
  const service = await forward({ client: alice, listen: { host: '127.0.0.1', port: 0 }, user: 'bob', application, log: note })
  cleanups.push(() => service.close())
  return { port: service.port, application, exposed, service, log }
}

async function tcpServer(serve: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    cleanups.push(() => socket.destroy())
    serve(socket)
  })
  return listening(server)
}

async function listening(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => server.close())
  return (server.address() as AddressInfo).port
}

async function dial(port: number): Promise<net.Socket> {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  cleanups.push(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

function collect(socket: net.Socket): Promise<Buffer> {
  const parts: Buffer[] = []
  socket.on('data', (part: Buffer) => parts.push(part))
  socket.resume()
  return new Promise((resolve, reject) => {
    socket.on('end', () => resolve(Buffer.concat(parts)))
    socket.on('error', reject)
  })
}

/** How a socket ends: the code of its error, or `in order`. */
function endOf(socket: net.Socket): Promise<string> {
  socket.resume()
  return new Promise((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.once('close', () => resolve('in order'))
  })
}

function fetchBytes(port: number, method: string, body?: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, method, agent: false }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('end', () => resolve(Buffer.concat(parts)))
      response.on('error', reject)
    })
    request.on('error', reject)
    request.end(body)
  })
}

/** Applications of one test never meet those of another. */
function freshName(): string {
  names += 1
  return `app-${names}`
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
