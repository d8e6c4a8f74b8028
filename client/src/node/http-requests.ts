/** Requests of carrier `http` to one relay: straight, in absolute form through a proxy (plain HTTP), or in a CONNECT tunnel (https). */

import http from 'node:http'
import type net from 'node:net'
import type { Duplex } from 'node:stream'
import { SennitError } from '@sennit/protocol'
import type { DialRequest } from './carrier.ts'
import { openSocket } from './open-socket.ts'
import { type ProxyServer, proxyFor } from './proxy.ts'

/** 8 numbered POSTs, a long response and a restart of it; more sockets than that would only hide a leak. */
const socketsMax = 12

export interface HttpAsk {
  readonly method: 'GET' | 'POST'
  /** Path and query on the relay. */
  readonly path: string
  readonly headers?: http.OutgoingHttpHeaders
}

export class HttpRequests {
  readonly #url: URL
  readonly #proxy: ProxyServer | undefined
  readonly #agent: TunnelAgent
  readonly #given = new AbortController()

  /** @throws SennitError `bad_proxy` */
  constructor(request: DialRequest) {
    this.#url = new URL(request.url)
    this.#proxy = proxyFor(this.#url, request.proxy)
    const proxy = this.#proxy
    this.#agent = new TunnelAgent(() =>
      openSocket({
        url: this.#url,
        proxyManner: 'forward',
        deadlines: request.deadlines,
        signal: this.#given.signal,
        ...(proxy === undefined ? {} : { proxy }),
        ...(request.tls === undefined ? {} : { tls: request.tls }),
        ...(request.localAddress === undefined ? {} : { localAddress: request.localAddress }),
      }),
    )
  }

  /** Begins a request; the caller writes its body and ends it. Errors of the connection come as its `error`, with our codes where known. */
  begin(ask: HttpAsk): http.ClientRequest {
    const absolute = this.#proxy?.kind === 'http' && this.#url.protocol === 'http:'
    const login = absolute && this.#proxy?.authorization !== undefined ? { 'Proxy-Authorization': this.#proxy.authorization } : {}
    return http.request({
      agent: this.#agent,
      method: ask.method,
      path: absolute ? `${this.#url.origin}${ask.path}` : ask.path,
      setHost: false,
      headers: { Host: this.#url.host, ...login, ...ask.headers },
    })
  }

  /** Ends every socket at once. */
  close(): void {
    this.#given.abort()
    this.#agent.destroy()
  }
}

/** Our code of an error that a request gave. */
export function requestError(error: unknown, code: string): SennitError {
  return error instanceof SennitError ? error : new SennitError(code, error instanceof Error ? error.message : String(error), {}, error)
}

class TunnelAgent extends http.Agent {
  readonly #open: () => Promise<net.Socket>

  constructor(open: () => Promise<net.Socket>) {
    super({ keepAlive: true, maxSockets: socketsMax, maxFreeSockets: socketsMax })
    this.#open = open
  }

  override createConnection(_options: http.ClientRequestArgs, created?: (error: Error | null, socket: Duplex) => void): undefined {
    this.#open().then(
      (socket) => created?.(null, socket),
      // The type demands a socket; Node itself passes none with an error.
      (error: Error) => created?.(error, undefined as unknown as Duplex),
    )
    return undefined
  }
}
