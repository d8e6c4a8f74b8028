// The agent's way to its coordinator: HTTP/1.1 requests over a kept connection, through whatever proxy the environment names. Every answer has a bound, every
// request a deadline.
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type Outbound, outbound } from '@sennit/client'
import { SennitError } from '@sennit/protocol'
import { bodyMax, type Join, type Joined } from './messages.ts'

/** A coordinator answers at once, or (for orders) within a few seconds. */
const answerMaxMs = 15_000
/** Fetching a share of tens of thousands of clients, or telling what they did. */
const longAnswerMaxMs = 60_000

interface Asked {
  readonly body?: unknown
  readonly bytesMax?: number
  readonly deadlineMs?: number
  readonly signal?: AbortSignal
}

/** Requests to one coordinator. Two connections at most: one waits for orders, the other tells. */
export class CoordinatorLink {
  readonly #url: URL
  readonly #token: string
  readonly #way: Outbound
  readonly #agent: Agent
  #session = ''

  /** @throws SennitError `usage` when the URL is none, `bad_proxy` when the environment names no proxy that could be used */
  constructor(url: string, token: string) {
    this.#url = parse(url)
    this.#token = token
    // A proxy would look for the coordinator on its own machine.
    this.#way = outbound(this.#url, /^(localhost|127\..*|\[::1\])$/.test(this.#url.hostname) ? { proxy: 'none' } : {})
    this.#agent = new DialledAgent(this.#way)
  }

  get host(): string {
    return this.#url.host
  }

  async join(join: Join, signal: AbortSignal): Promise<Joined> {
    const joined = await this.post<Joined>('/v1/join', join, { signal })
    this.#session = joined.session
    return joined
  }

  async get<T>(path: string, asked: Asked = {}): Promise<T> {
    return await this.#ask<T>('GET', path, asked)
  }

  async post<T>(path: string, body: unknown, asked: Asked = {}): Promise<T> {
    return await this.#ask<T>('POST', path, { body, ...asked })
  }

  /** As `get` and `post`, for large bodies. */
  async long<T>(method: 'GET' | 'POST', path: string, asked: Asked = {}): Promise<T> {
    return await this.#ask<T>(method, path, { deadlineMs: longAnswerMaxMs, bytesMax: bodyMax.share, ...asked })
  }

  close(): void {
    this.#agent.destroy()
  }

  async #ask<T>(method: string, path: string, asked: Asked): Promise<T> {
    const { body, bytesMax = bodyMax.snapshot, deadlineMs = answerMaxMs, signal } = asked
    const text = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    const { forward } = this.#way
    const base = this.#url.pathname.replace(/\/$/, '')
    const late = AbortSignal.timeout(deadlineMs)
    const { status, bytes } = await new Promise<{ status: number; bytes: Buffer }>((done, fail) => {
      const failed = (error: Error): void => {
        const why = late.aborted ? `no answer within ${deadlineMs / 1000} s` : error.message
        fail(new SennitError('coordinator_unreachable', `the coordinator ${this.#url.host}: ${why}`, {}, error))
      }
      const options = {
        agent: this.#agent,
        method,
        host: this.#url.hostname.replace(/^\[|\]$/g, ''),
        path: forward === undefined ? `${base}${path}` : `${this.#url.origin}${base}${path}`,
        signal: signal === undefined ? late : AbortSignal.any([late, signal]),
        headers: {
          host: this.#url.host,
          authorization: `Bearer ${this.#token}`,
          ...(this.#session === '' ? {} : { 'sennit-session': this.#session }),
          ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': text.length }),
          ...(forward?.authorization === undefined ? {} : { 'proxy-authorization': forward.authorization }),
        },
      }
      const request: ClientRequest = httpRequest(options, (response) => read(response, bytesMax).then(done, failed))
      request.on('error', failed)
      request.end(text)
    })
    return answered<T>(status, bytes, this.#url.host)
  }
}

/** Sockets are opened the way clients open theirs. */
class DialledAgent extends Agent {
  readonly #way: Outbound
  readonly #ended = new AbortController()

  constructor(way: Outbound) {
    super({ keepAlive: true, maxSockets: 4, maxFreeSockets: 2 })
    this.#way = way
  }

  override createConnection(_options: unknown, callback?: (error: Error | null, socket: Duplex) => void): undefined {
    this.#way.dial(this.#ended.signal).then(
      (socket) => callback?.(null, socket),
      (error: Error) => callback?.(error, undefined as unknown as Duplex),
    )
  }

  override destroy(): void {
    this.#ended.abort()
    super.destroy()
  }
}

async function read(response: IncomingMessage, bytesMax: number): Promise<{ status: number; bytes: Buffer }> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > bytesMax) {
      response.destroy()
      throw new Error(`an answer of more than ${bytesMax} bytes`)
    }
    chunks.push(chunk)
  }
  return { status: response.statusCode ?? 0, bytes: Buffer.concat(chunks) }
}

/** Codes with which a coordinator refuses for good: to ask again changes nothing. */
const refusals: ReadonlySet<string> = new Set(['agent_refused', 'version_incompatible', 'token_wrong'])

function answered<T>(status: number, bytes: Buffer, host: string): T {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new SennitError(
      'coordinator_unreachable',
      `expected a coordinator at ${host}; found something that answers ${status} in another language`,
      {},
      cause,
    )
  }
  if (status >= 200 && status < 300) return value as T
  const { code, message } = ((value as { error?: { code?: unknown; message?: unknown } } | null)?.error ?? {}) as Record<string, unknown>
  if (typeof code !== 'string' || typeof message !== 'string')
    throw new SennitError('coordinator_unreachable', `expected a coordinator at ${host}; found something that answers ${status}`)
  throw new SennitError(refusals.has(code) ? code : 'coordinator_unreachable', message)
}

function parse(text: string): URL {
  let url: URL | undefined
  try {
    url = new URL(text.includes('://') ? text : `http://${text}`)
  } catch {
    // Told below.
  }
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '')
    throw new SennitError('usage', `--coordinator: expected a URL such as http://10.0.0.5:7700; found "${text}"`)
  return url
}
