/** How a program dials out over HTTP the way clients do: through the proxy that it is told of or that its environment names, with TLS where the URL says so. */
import type { Socket } from 'node:net'
import { dialDeadlines, type TlsSettings } from './carrier.ts'
import { openSocket } from './open-socket.ts'
import { type ProxySettings, proxyFor } from './proxy.ts'

/** The way to one server. */
export interface Outbound {
  /** A new connection, secured for `https:`. @throws SennitError with a code of `carrierCodes` */
  dial(signal: AbortSignal): Promise<Socket>
  /** Requests name the whole URL, because an HTTP proxy reads them; with what they say to it. undefined: they do not. */
  readonly forward: { readonly authorization: string | undefined } | undefined
}

/** @throws SennitError `bad_proxy` when the proxy URL cannot be used */
export function outbound(url: URL, settings: ProxySettings & { readonly tls?: TlsSettings } = {}): Outbound {
  const proxy = proxyFor(url, settings)
  const forward = proxy?.kind === 'http' && url.protocol === 'http:'
  return {
    dial: (signal) =>
      openSocket({
        url,
        ...(proxy === undefined ? {} : { proxy }),
        ...(forward ? { proxyManner: 'forward' } : {}),
        ...(settings.tls === undefined ? {} : { tls: settings.tls }),
        deadlines: dialDeadlines,
        signal,
      }),
    forward: forward ? { authorization: proxy.authorization } : undefined,
  }
}
