/** Which outbound proxy (HTTP or SOCKS5) a URL goes through: by option, or by the usual environment variables. */

import { SennitError } from '@sennit/protocol'

/** Where outbound proxies come from. */
export interface ProxySettings {
  /** `http://[user:password@]host:port`, `socks5://…` or `socks5h://…` (the proxy resolves names) for every relay; `'none'` for no proxy whatever the environment says. */
  readonly proxy?: string
  /** Read for HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY (lower case first, as curl does). @default process.env */
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** One proxy, ready to be dialled. */
export interface ProxyServer {
  /** `socks5h`: the proxy resolves the relay's name; `socks5`: we do. */
  readonly kind: 'http' | 'socks5' | 'socks5h'
  readonly host: string
  readonly port: number
  /** The value of `Proxy-Authorization`, when the proxy URL has a user. */
  readonly authorization?: string
  /** The same for SOCKS. */
  readonly login?: { readonly user: string; readonly password: string }
}

/**
 * The proxy for `url`, or undefined to go straight.
 * @throws SennitError `bad_proxy` when the proxy URL cannot be used
 */
export function proxyFor(url: URL, settings: ProxySettings): ProxyServer | undefined {
  if (settings.proxy === 'none') return undefined
  if (settings.proxy !== undefined && settings.proxy !== '') return parseProxy(settings.proxy)
  const env = settings.env ?? process.env
  if (bypassesProxy(url, env.no_proxy ?? env.NO_PROXY ?? '')) return undefined
  // HTTP_PROXY in capitals is honoured too: nothing here runs as a CGI program, where a request header could set it.
  const named = url.protocol === 'https:' ? (env.https_proxy ?? env.HTTPS_PROXY) : (env.http_proxy ?? env.HTTP_PROXY)
  const chosen = named ?? env.all_proxy ?? env.ALL_PROXY
  return chosen === undefined || chosen === '' ? undefined : parseProxy(chosen)
}

/** Schemes as curl has them. */
const kinds: Readonly<Record<string, ProxyServer['kind']>> = {
  'http:': 'http',
  'socks5:': 'socks5',
  'socks5h:': 'socks5h',
  'socks:': 'socks5h',
}

/** Host and port of a proxy URL; a bare `host:port` counts as http. @throws SennitError `bad_proxy` */
export function parseProxy(text: string): ProxyServer {
  const url = parseUrl(text.includes('://') ? text : `http://${text}`)
  if (url === null || url.hostname === '') {
    throw new SennitError('bad_proxy', `expected a proxy like http://host:3128, found ${JSON.stringify(withoutPassword(text))}`)
  }
  const kind = kinds[url.protocol]
  if (kind === undefined) {
    throw new SennitError('bad_proxy', `expected an http://, socks5:// or socks5h:// proxy, found ${url.protocol}//`)
  }
  const port = url.port === '' ? (kind === 'http' ? 80 : 1080) : Number(url.port)
  const server = { kind, host: url.hostname.replace(/^\[|\]$/g, ''), port }
  if (url.username === '') return server
  const login = { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) }
  if (kind !== 'http') return { ...server, login }
  return { ...server, authorization: `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}` }
}

/**
 * Whether NO_PROXY names the host: `*`, a name (its subdomains too, with or without a leading dot), an address, each with an optional port.
 * Network ranges (10.0.0.0/8) are understood for IPv4.
 */
export function bypassesProxy(url: URL, noProxy: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase()
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port
  return noProxy
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => entryCovers(entry.toLowerCase(), host, port))
}

function entryCovers(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true
  const range = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(entry)
  if (range !== null) return inRange(host, range[1]!, Number(range[2]))
  const match = /^\[?(.+?)\]?(?::(\d+))?$/.exec(entry)
  // A bare IPv6 address has colons of its own, so it is compared whole first.
  if (entry === host) return true
  if (match === null || (match[2] !== undefined && match[2] !== port)) return false
  const name = match[1]!.replace(/^\*?\./, '')
  return host === name || host.endsWith(`.${name}`)
}

function inRange(host: string, network: string, bits: number): boolean {
  const left = ipv4Number(host)
  const right = ipv4Number(network)
  if (left === undefined || right === undefined || bits > 32) return false
  const size = 2 ** (32 - bits)
  return Math.floor(left / size) === Math.floor(right / size)
}

function ipv4Number(text: string): number | undefined {
  const parts = text.split('.').map(Number)
  if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255)) return undefined
  return parts.reduce((sum, part) => sum * 256 + part, 0)
}

function parseUrl(text: string): URL | null {
  try {
    return new URL(text)
  } catch {
    return null
  }
}

function withoutPassword(text: string): string {
  return text.replace(/\/\/[^@/]*@/, '//…@')
}
