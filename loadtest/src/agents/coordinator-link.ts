// The agent's way to its coordinator: HTTP/1.1 or HTTPS requests over a kept connection, through whatever proxy the environment names. Every answer has a bound, every
// request a deadline.
import { randomBytes } from 'node:crypto'
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { type Outbound, outbound } from '@sennit/client'
import { SennitError } from '@sennit/protocol'
import { fingerprintOf } from './coordinator-tls.ts'
import { bodyMax, type Join, type JoinAsked, type Joined } from './messages.ts'

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
  readonly #attempt = randomBytes(16).toString('hex')

  /**
   * @param ca authorities to trust instead of the system's, PEM. A fingerprint in the URL needs none
   * @throws SennitError `usage` when the URL is none, `bad_proxy` when the environment names no proxy that could be used
   */
  constructor(url: string, token: string, ca?: string) {
    const { url: parsed, fingerprint } = parse(url)
    this.#url = parsed
    this.#token = token
    const tls = fingerprint === undefined ? (ca === undefined ? {} : { ca }) : { insecure: true }
    // A proxy would look for the coordinator on its own machine.
    const isHere = /^(localhost|127\..*|\[::1\])$/.test(parsed.hostname)
    this.#way = outbound(parsed, { tls, ...(isHere ? { proxy: 'none' } : {}) })
    this.#agent = new DialledAgent(this.#way, fingerprint)
  }

  get host(): string {
    return this.#url.host
  }

  async join(join: Join, signal: AbortSignal): Promise<Joined> {
    const asked: JoinAsked = { ...join, attempt: this.#attempt }
    const joined = await this.post<Joined>('/v1/join', asked, { signal })
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

  /** In words that say what to do. */
  #tlsError(error: SennitError): SennitError {
    const { host } = this.#url
    const why = (error.cause as NodeJS.ErrnoException | undefined)?.code ?? ''
    const hint =
      error.code === 'certificate_wrong'
        ? 'Take the URL that this run of the coordinator printed; if it is that one, somebody is between'
        : /^ERR_SSL/.test(why)
          ? `it answers, and not with TLS: is its URL http://${host}?`
          : 'the certificate is none that this machine trusts: take the URL with #sha256=… that the coordinator printed, or --ca FILE'
    return new SennitError(error.code, `the coordinator ${host}: ${error.message}. ${hint}`, error.facts, error)
  }

  async #ask<T>(method: string, path: string, asked: Asked): Promise<T> {
    const { body, bytesMax = bodyMax.snapshot, deadlineMs = answerMaxMs, signal } = asked
    const text = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    const { forward } = this.#way
    const base = this.#url.pathname.replace(/\/$/, '')
    const late = AbortSignal.timeout(deadlineMs)
    const { status, bytes } = await new Promise<{ status: number; bytes: Buffer }>((done, fail) => {
      const failed = (error: Error): void => {
        if (error instanceof SennitError && (error.code === 'certificate_wrong' || isForGood(error))) {
          fail(this.#tlsError(error))
          return
        }
        const why = late.aborted ? `no answer within ${deadlineMs / 1000} s` : error.message
        const hint = this.#session === '' && this.#url.protocol === 'http:' && isSilentEnd(error) ? httpsHint : ''
        fail(new SennitError('coordinator_unreachable', `the coordinator ${this.#url.host}: ${why}${hint}`, {}, error))
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

const httpsHint = ' (a server that speaks TLS ends so: is the URL one with https://?)'

/** The other end hung up instead of an answer. */
function isSilentEnd(error: Error): boolean {
  return ['ECONNRESET', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? '') || /Parse Error/.test(error.message)
}

/** What TLS says of the other end that does not change by asking again. */
function isForGood({ code, cause }: SennitError): boolean {
  const why = (cause as NodeJS.ErrnoException | undefined)?.code ?? ''
  return code === 'tls_failed' && /^(ERR_SSL|ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(why)
}

/** Sockets are opened the way clients open theirs. */
class DialledAgent extends Agent {
  readonly #way: Outbound
  readonly #fingerprint: string | undefined
  readonly #ended = new AbortController()

  constructor(way: Outbound, fingerprint: string | undefined) {
    super({ keepAlive: true, maxSockets: 4, maxFreeSockets: 2 })
    this.#way = way
    this.#fingerprint = fingerprint
  }

  override createConnection(_options: unknown, callback?: (error: Error | null, socket: Duplex) => void): undefined {
    this.#dial().then(
      (socket) => callback?.(null, socket),
      (error: Error) => callback?.(error, undefined as unknown as Duplex),
    )
  }

  async #dial(): Promise<Socket> {
    const socket = await this.#way.dial(this.#ended.signal)
    if (this.#fingerprint === undefined) return socket
    // Nothing was said on it yet: the token goes to nobody else.
    const raw = socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.raw : undefined
    const found = raw === undefined ? 'none' : fingerprintOf(raw)
    if (found === this.#fingerprint) return socket
    socket.destroy()
    throw new SennitError('certificate_wrong', `expected a certificate with the fingerprint sha256=${this.#fingerprint}; found ${found}`)
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

/** The URL, and the fingerprint that it carries: https://10.0.0.5:7700#sha256=… */
function parse(text: string): { readonly url: URL; readonly fingerprint: string | undefined } {
  let url: URL | undefined
  try {
    url = new URL(text.includes('://') ? text : `http://${text}`)
  } catch {
    // Told below.
  }
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '')
    throw new SennitError('usage', `--coordinator: expected a URL such as http://10.0.0.5:7700; found "${text}"`)
  const fragment = url.hash
  url.hash = ''
  if (fragment === '') return { url, fingerprint: undefined }
  const fingerprint = /^#sha256=([A-Za-z0-9_-]{43})$/.exec(fragment)?.[1]
  if (fingerprint === undefined)
    throw new SennitError('usage', `--coordinator: expected #sha256= and the 43 letters that the coordinator printed; found "${fragment}"`)
  if (url.protocol !== 'https:')
    throw new SennitError('usage', `--coordinator: expected https:// with a fingerprint of a certificate; found "${text}"`)
  return { url, fingerprint }
}
