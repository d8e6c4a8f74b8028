// The live page: what the terminal screen shows, in a browser, and `/metrics` for a scrape; all from one stream of snapshots. It answers on the
// loopback unless told otherwise, loads nothing from anywhere, and does nothing on a GET.
//
// Who may act: the address of the page holds a random token, which only the person who started the run has seen. Besides, an act must be a POST
// of JSON (which no other site can send without asking first), from this page by its Origin, to a host that is this machine (so that a name that
// somebody points here does not count as ours).
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, isIP } from 'node:net'
import { hostname } from 'node:os'
import { SennitError } from '@sennit/protocol'
import type { Plan } from '../plan.ts'
import type { RunControls } from '../run-controls.ts'
import { liveMetrics } from '../verdict/report/live-prometheus.ts'
import type { Summary } from '../verdict/run-result.ts'
import type { RunStatus } from '../verdict/run-status.ts'
import { act } from './acts.ts'
import { livePage } from './live-page.ts'
import { pointsMax, StatusHistory, type StatusPoint } from './status-history.ts'
import { type StatusView, viewOf } from './status-view.ts'

export interface LivePageOptions {
  readonly plan: Plan
  /** 0: one that is free. */
  readonly port: number
  /** @default '127.0.0.1' Anything else lets others see the run; who has the whole address can stop it. */
  readonly host?: string
}

export interface LivePage {
  /** With the token. */
  readonly url: string
  readonly metricsUrl: string
  /** What may be done; before this, nothing may. */
  control(controls: RunControls): void
  show(status: RunStatus): void
  /** Tells those who look how it ended. */
  over(summary: Summary, reasons: readonly string[]): void
  close(): Promise<void>
}

/** Pages that look at once. A run has a handful of people around it. */
const watchersMax = 16
/** Sockets at once, those of a scrape and of a browser's spare connections included. */
const socketsMax = 64
/** An act is a few words. */
const bodyMax = 1_024
/** A page that does not read for so long that this much waits is dropped: it asks anew by itself. */
const waitingMax = 1_048_576

/** Between two that are told. */
const tellEveryMs = 200

const always = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' }

/** @throws SennitError `usage` when the port cannot be had */
export async function openLivePage({ plan, port, host = '127.0.0.1' }: LivePageOptions): Promise<LivePage> {
  const page = new Page(plan, host)
  await page.listen(port)
  return page
}

class Page implements LivePage {
  readonly #plan: Plan
  readonly #host: string
  readonly #token = randomBytes(24).toString('base64url')
  readonly #server: Server
  readonly #watchers = new Set<ServerResponse>()
  readonly #history = new StatusHistory()
  #controls: RunControls | undefined
  #status: RunStatus | undefined
  #over: string | undefined
  /** Of seconds that were not told yet. */
  readonly #untold: StatusPoint[] = []
  #toldMs = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(plan: Plan, host: string) {
    this.#plan = plan
    this.#host = host
    this.#server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000, maxHeaderSize: 8_192 }, (request, response) => {
      this.#answer(request, response)
    })
    this.#server.maxConnections = socketsMax
  }

  async listen(port: number): Promise<void> {
    await new Promise<void>((done, fail) => {
      this.#server.once('error', (cause: NodeJS.ErrnoException) => {
        const why = cause.code === 'EADDRINUSE' ? 'it is in use' : cause.message
        const message = `the live page: expected port ${port} of ${this.#host} to be free; ${why}. Take another with --live-port, or auto`
        fail(new SennitError('usage', message, {}, cause))
      })
      this.#server.listen(port, this.#host, done)
    })
  }

  get #base(): string {
    const { port } = this.#server.address() as AddressInfo
    const everywhere = this.#host === '0.0.0.0' || this.#host === '::'
    const name = everywhere ? hostname() : isIP(this.#host) === 6 ? `[${this.#host}]` : this.#host
    return `http://${name}:${port}`
  }

  get url(): string {
    return `${this.#base}/${this.#token}/`
  }

  get metricsUrl(): string {
    return `${this.#base}/metrics`
  }

  control(controls: RunControls): void {
    this.#controls = controls
  }

  show(status: RunStatus): void {
    this.#status = status
    this.#untold.push(this.#history.add(status))
    if (this.#untold.length > pointsMax) this.#untold.shift()
    // A simulated run has thousands of seconds a minute, and nobody sees more than a few pictures a second.
    if (this.#timer !== undefined) return
    const waitMs = this.#toldMs + tellEveryMs - performance.now()
    if (waitMs <= 0) this.#tellNow()
    else this.#timer = setTimeout(() => this.#tellNow(), waitMs).unref()
  }

  over({ verdict, exitCode }: Summary, reasons: readonly string[]): void {
    this.#controls = undefined
    this.#tellNow()
    this.#over = `event: over\ndata: ${JSON.stringify({ verdict, exitCode, reasons: reasons.slice(0, 20) })}\n\n`
    this.#tell(this.#over)
  }

  async close(): Promise<void> {
    this.#controls = undefined
    clearTimeout(this.#timer)
    for (const watcher of this.#watchers) watcher.end()
    const closed = new Promise<void>((done) => this.#server.close(() => done()))
    // What was written above has its turn first.
    setImmediate(() => this.#server.closeAllConnections())
    await closed
  }

  #tellNow(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#toldMs = performance.now()
    const points = this.#untold.splice(0)
    if (this.#watchers.size > 0 && this.#status !== undefined) this.#tell(`data: ${JSON.stringify({ ...shown(this.#status), points })}\n\n`)
  }

  #tell(text: string): void {
    for (const watcher of this.#watchers) {
      if (watcher.writableLength > waitingMax) watcher.destroy()
      else watcher.write(text)
    }
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const reply = this.#route(request)
    if (reply === 'events') this.#watch(response)
    else if (reply === 'act') this.#act(request, response)
    else send(response, reply)
  }

  #route(request: IncomingMessage): Reply | 'events' | 'act' {
    const [path = '/'] = (request.url ?? '/').split('?')
    const reads = request.method === 'GET' || request.method === 'HEAD'
    if (path === '/metrics') {
      if (!reads) return refused(405, 'read it with GET', { allow: 'GET, HEAD' })
      return { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: liveMetrics(this.#plan, this.#status) }
    }
    const [, token = '', ...rest] = path.split('/')
    if (!isSame(token, this.#token)) return refused(404, 'not found: open the whole address that the run printed')
    if (!this.#isOurHost(request)) return refused(403, 'this name is not one of this machine')
    const what = rest.join('/')
    if (what === 'act') return request.method === 'POST' ? whyNoAct(request) : refused(405, 'an act is a POST', { allow: 'POST' })
    if (!reads) return refused(405, 'read it with GET', { allow: 'GET, HEAD' })
    switch (what) {
      case '': {
        const { html, policy } = livePage(this.#plan)
        const more = { 'content-security-policy': policy, 'x-frame-options': 'DENY' }
        return { status: 200, type: 'text/html; charset=utf-8', body: html, more }
      }
      case 'status':
        return { status: 200, type: 'application/json', body: JSON.stringify(this.#status ?? null) }
      case 'events':
        if (request.method === 'HEAD') return { status: 200, type: 'text/event-stream', body: '' }
        return this.#watchers.size >= watchersMax ? refused(503, `${watchersMax} pages look already`) : 'events'
      default:
        return refused(404, 'not found')
    }
  }

  #watch(response: ServerResponse): void {
    response.writeHead(200, { ...always, 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' })
    response.write(`retry: 2000\n\n`)
    const drills = this.#plan.drills?.map(({ fault, action, target }) => ({ fault, action, target })) ?? []
    response.write(`event: begin\ndata: ${JSON.stringify({ points: this.#history.points, drills })}\n\n`)
    if (this.#status !== undefined) response.write(`data: ${JSON.stringify({ ...shown(this.#status), points: [] })}\n\n`)
    if (this.#over !== undefined) response.write(this.#over)
    this.#watchers.add(response)
    response.once('close', () => this.#watchers.delete(response))
  }

  #act(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= bodyMax) chunks.push(chunk)
      else if (!response.headersSent) {
        send(response, refused(413, `expected at most ${bodyMax} bytes`, { connection: 'close' }))
        request.destroy()
      }
    })
    request.on('end', () => {
      if (response.headersSent) return
      const { status, text } = act(this.#controls, Buffer.concat(chunks).toString('utf8'))
      send(response, { status, type: 'application/json', body: JSON.stringify({ text }) })
    })
  }

  /** Whether the request came by an address of this machine, or by the name that the page was given. */
  #isOurHost({ headers: { host = '' } }: IncomingMessage): boolean {
    const name = host
      .replace(/:\d+$/, '')
      .replace(/^\[|\]$/g, '')
      .toLowerCase()
    return isIP(name) !== 0 || [`localhost`, this.#host.toLowerCase(), hostname().toLowerCase()].includes(name)
  }
}

/** Without the bins, which the page has as percentiles. */
function shown(status: RunStatus): { readonly status: Partial<RunStatus>; readonly view: StatusView } {
  const { latency: _latency, latencyLastSecond: _last, generators: _generators, relays: _relays, limits: _limits, ...rest } = status
  return { status: rest, view: viewOf(status) }
}

function isSame(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)]
  return a.length === b.length && timingSafeEqual(a, b)
}

interface Reply {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly more?: Readonly<Record<string, string>>
}

/** An act comes from this page, as JSON; a program that is no browser says neither origin nor site. */
function whyNoAct({ headers }: IncomingMessage): Reply | 'act' {
  const { origin, host, 'content-type': type = '', 'sec-fetch-site': site } = headers
  if (origin !== undefined && origin !== `http://${host}`) return refused(403, 'not from this page')
  if (site !== undefined && site !== 'same-origin') return refused(403, 'not from this page')
  return /^application\/json\s*(;|$)/i.test(type) ? 'act' : refused(415, 'expected content-type application/json')
}

function refused(status: number, why: string, more: Readonly<Record<string, string>> = {}): Reply {
  return { status, type: 'text/plain; charset=utf-8', body: `${why}\n`, more }
}

function send(response: ServerResponse, { status, type, body, more }: Reply): void {
  response.writeHead(status, { ...always, ...more, 'content-type': type, 'content-length': Buffer.byteLength(body) })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}
