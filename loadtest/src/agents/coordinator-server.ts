// The coordinator's door: agents dial in over HTTP/1.1 or HTTPS with the token of the run. Whoever does not know it learns nothing, not even whether there is a run.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { SennitError } from '@sennit/protocol'
import type { Refusal } from './coordinator-machine.ts'
import type { CoordinatorTls } from './coordinator-tls.ts'
import {
  bodyMax,
  type Clock,
  type Finished,
  type Join,
  type JoinAsked,
  type Joined,
  type ListsAsked,
  type Order,
  ordersHoldMs,
  type Ready,
  type Share,
  type Snapshot,
} from './messages.ts'

/** What the door leads to. Sessions it is called with are known. */
export interface Desk {
  join(session: string, join: Join, isLocal: boolean): { readonly rank: number } | Refusal
  isKnown(session: string): boolean
  /** A sign of life. */
  heard(session: string): void
  share(session: string): Share
  /** In base64. @throws SennitError when they are none that it may have */
  lists(session: string, asked: ListsAsked): Promise<readonly string[]>
  ready(session: string, clock: Ready): void
  snapshot(session: string, snapshot: Snapshot): void
  /** A part of what it recorded came. */
  telling(session: string): void
  finished(session: string, finished: Finished): void
  /** Milliseconds of the clock that the run goes by. */
  now(): number
}

/** Orders of one agent that it may not have got yet; the first of all has number 1. */
interface Orders {
  readonly list: Order[]
  waiting: (() => void) | undefined
}

/** A body that comes slower than this is no agent's. */
const requestMaxMs = 60_000
/** Agents have two connections each; others are let in to be told off. */
const connectionsMax = 4_096
/** Orders kept for an agent: two for each act, and a few more. */
const ordersMax = 100_000

export class CoordinatorServer {
  readonly #server: Server
  readonly #desk: Desk
  readonly #tokenHash: Buffer
  readonly #orders = new Map<string, Orders>()
  /** Who joined, by attempt. */
  readonly #joined = new Map<string, Joined>()
  readonly #sockets = new Set<Socket>()
  /** Wrong tokens so far. */
  strangers = 0

  private constructor(desk: Desk, token: string, tls: CoordinatorTls | undefined) {
    this.#desk = desk
    this.#tokenHash = hashOf(token)
    const serve = (request: IncomingMessage, response: ServerResponse): void => {
      this.#serve(request, response).catch((error: unknown) => {
        refuse(response, 400, 'malformed', error instanceof Error ? error.message : String(error))
      })
    }
    const deadlines = { requestTimeout: requestMaxMs, headersTimeout: 10_000, keepAliveTimeout: 30_000 }
    this.#server =
      tls === undefined
        ? createServer(deadlines, serve)
        : createSecureServer(
            {
              ...deadlines,
              cert: tls.certificate,
              key: tls.key,
              minVersion: 'TLSv1.2',
              ALPNProtocols: ['http/1.1'],
              handshakeTimeout: 10_000,
            },
            serve,
          )
    this.#server.maxConnections = connectionsMax
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  /** @throws SennitError `listen_failed` */
  static async listen(options: {
    readonly desk: Desk
    readonly token: string
    readonly host: string
    readonly port: number
    /** Absent: plain HTTP. */
    readonly tls?: CoordinatorTls
  }): Promise<CoordinatorServer> {
    const server = new CoordinatorServer(options.desk, options.token, options.tls)
    const { host, port } = options
    await new Promise<void>((done, fail) => {
      server.#server.once('error', (cause) =>
        fail(new SennitError('listen_failed', `--coordinator: cannot listen on ${host}:${port}: ${cause.message}`, {}, cause)),
      )
      server.#server.listen({ host, port }, done)
    })
    return server
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Gives an order to an agent; it hears of it at once, or when it asks next. */
  order(session: string, order: Order): void {
    const orders = this.#ordersOf(session)
    if (orders.list.length < ordersMax) orders.list.push(order)
    orders.waiting?.()
  }

  /** Resolves when no agent waits for orders any more, so that the last ones got out, or after `withinMs`. */
  async close(withinMs: number): Promise<void> {
    for (const { waiting } of this.#orders.values()) waiting?.()
    await new Promise<void>((done) => {
      const timer = setTimeout(done, withinMs)
      this.#server.close(() => {
        clearTimeout(timer)
        done()
      })
      this.#server.closeIdleConnections()
    })
    for (const socket of this.#sockets) socket.destroy()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const arrivedMs = this.#desk.now()
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://coordinator')
    if (!this.#knows(request)) {
      this.strangers += 1
      refuse(response, 401, 'token_wrong', 'the token is wrong: expected the one that the coordinator was started with (--token, TOKEN)')
      return
    }
    // A proxy before this door may have put something before the path.
    const what = `${request.method} ${/\/v1\/[a-z]{1,20}$/.exec(pathname)?.[0] ?? ''}`
    if (what === 'POST /v1/join') {
      await this.#join(request, response)
      return
    }
    const session = String(request.headers['sennit-session'] ?? '')
    if (!this.#desk.isKnown(session)) {
      refuse(response, 409, 'agent_refused', 'this run does not know this agent (any more)')
      return
    }
    this.#desk.heard(session)
    switch (what) {
      case 'GET /v1/orders':
        await this.#giveOrders(session, Number(searchParams.get('after') ?? 0), response)
        return
      case 'GET /v1/share':
        answer(response, this.#desk.share(session))
        return
      case 'POST /v1/clock': {
        await bodyOf(request, bodyMax.small)
        const clock: Clock = { receivedMs: arrivedMs, answeredMs: this.#desk.now() }
        answer(response, clock)
        return
      }
      case 'POST /v1/lists':
        answer(response, await this.#desk.lists(session, (await bodyOf(request, bodyMax.snapshot)) as ListsAsked))
        return
      case 'POST /v1/ready':
        this.#desk.ready(session, (await bodyOf(request, bodyMax.small)) as Ready)
        answer(response, {})
        return
      case 'POST /v1/snapshot':
        this.#desk.snapshot(session, (await bodyOf(request, bodyMax.snapshot)) as Snapshot)
        answer(response, {})
        return
      case 'POST /v1/finished':
        this.#desk.finished(session, (await bodyOf(request, bodyMax.finished, () => this.#desk.telling(session))) as Finished)
        answer(response, {})
        return
      default:
        refuse(response, 404, 'unknown', `there is no ${request.method} ${pathname.slice(0, 100)} here`)
    }
  }

  async #join(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = await bodyOf(request, bodyMax.small)
    const join = joinOf(asked)
    const attempt = attemptOf(asked)
    const before = this.#joined.get(attempt)
    if (before !== undefined && this.#desk.isKnown(before.session)) {
      answer(response, before)
      return
    }
    const session = randomBytes(16).toString('hex')
    const joined = this.#desk.join(session, join, isLocal(request.socket))
    if ('status' in joined) {
      refuse(response, joined.status, joined.code, joined.message)
      return
    }
    const answered: Joined = { session, rank: joined.rank }
    if (attempt !== '' && this.#joined.size < connectionsMax) this.#joined.set(attempt, answered)
    answer(response, answered)
  }

  async #giveOrders(session: string, after: number, response: ServerResponse): Promise<void> {
    const orders = this.#ordersOf(session)
    if (!Number.isSafeInteger(after) || after < 0) throw new Error('expected after=N, a whole number')
    if (orders.list.length <= after)
      await new Promise<void>((done) => {
        orders.waiting?.()
        const go = (): void => {
          clearTimeout(timer)
          orders.waiting = undefined
          done()
        }
        const timer = setTimeout(go, ordersHoldMs)
        orders.waiting = go
        response.once('close', go)
      })
    this.#desk.heard(session)
    answer(response, orders.list.slice(after))
  }

  #ordersOf(session: string): Orders {
    const known = this.#orders.get(session)
    if (known !== undefined) return known
    const orders: Orders = { list: [], waiting: undefined }
    this.#orders.set(session, orders)
    return orders
  }

  /** Compares digests, which takes the same time whatever the token is. */
  #knows(request: IncomingMessage): boolean {
    const given = /^Bearer (.{1,512})$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
    return timingSafeEqual(hashOf(given), this.#tokenHash)
  }
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

/** The other end is a process of this machine. */
function isLocal({ remoteAddress = '', localAddress = '' }: Socket): boolean {
  return remoteAddress === localAddress || /^(::ffff:)?127\.|^::1$/.test(remoteAddress)
}

function answer(response: ServerResponse, value: unknown): void {
  if (response.writableEnded || response.destroyed) return
  const bytes = Buffer.from(JSON.stringify(value))
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes.length, 'cache-control': 'no-store' })
  response.end(bytes)
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  if (response.headersSent || response.destroyed) return
  const bytes = Buffer.from(JSON.stringify({ error: { code, message } }))
  // What a refused request still sends is not read.
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length, connection: 'close' })
  response.end(bytes)
}

async function bodyOf(request: IncomingMessage, bytesMax: number, onPart?: () => void): Promise<unknown> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > bytesMax) throw new Error(`expected a body of at most ${bytesMax} bytes`)
    onPart?.()
    chunks.push(chunk)
  }
  return length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString('utf8'))
}

/** '' : it names none, and each time that it asks is another one. */
function attemptOf(value: unknown): string {
  const { attempt } = value as Partial<JoinAsked>
  return typeof attempt === 'string' && /^[0-9a-f]{32}$/.test(attempt) ? attempt : ''
}

/** What an agent says of itself is shown to people: it is looked at first. */
function joinOf(value: unknown): Join {
  const { version, protocol, zone, rank, size, host, pid } = value as Record<string, unknown>
  const text = (what: unknown, max: number): string => {
    if (typeof what !== 'string' || what.length > max || /[^\x20-\x7e]/.test(what))
      throw new Error(`expected printable text of at most ${max} letters`)
    return what
  }
  const number = (what: unknown): number => {
    if (!Number.isSafeInteger(what) || (what as number) < 0) throw new Error('expected whole numbers')
    return what as number
  }
  const maybe = (what: unknown): number | null => (what === null ? null : number(what))
  return {
    version: text(version, 40),
    protocol: number(protocol),
    zone: text(zone, 64),
    rank: maybe(rank),
    size: maybe(size),
    host: text(host, 255),
    pid: number(pid),
  }
}
