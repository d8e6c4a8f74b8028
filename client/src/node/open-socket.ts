/** Opens the socket under a carrier: resolve, connect, CONNECT or SOCKS5 through a proxy, TLS; each step with its own deadline. */

import { lookup } from 'node:dns/promises'
import net from 'node:net'
import tls from 'node:tls'
import { SennitError } from '@sennit/protocol'
import { SocksClient } from 'socks'
import { carrierQueueBytes, type DialDeadlines, type TlsSettings } from './carrier.ts'
import type { ProxyServer } from './proxy.ts'
import { ResponseHeadReader, refusalText } from './response-head.ts'

export interface SocketTarget {
  readonly url: URL
  /** The proxy to go through, if any. */
  readonly proxy?: ProxyServer
  /** `tunnel`: CONNECT, then bytes of ours. `forward`: the bytes are requests in absolute form, so nothing is asked first. @default 'tunnel' */
  readonly proxyManner?: 'tunnel' | 'forward'
  /** Connect from this address of ours. */
  readonly localAddress?: string
  readonly tls?: TlsSettings
  readonly deadlines: DialDeadlines
  readonly signal: AbortSignal
  /**
   * Takes every byte of the opened socket, read in large blocks into a memory that others share: a chunk is good until this returns. Without it the socket emits
   * `data` as usual.
   * It is called after the promise resolved or in the same turn, never before.
   */
  readonly onBytes?: (chunk: Uint8Array) => void
}

/**
 * A connected socket to `url` (secured for `https:`), no `data` listener on it unless `onBytes` was given.
 * @throws SennitError with a code of `carrierCodes`; after an abort the socket is gone and the error is `dial_failed`
 */
export async function openSocket(target: SocketTarget): Promise<net.Socket> {
  const { url, proxy } = target
  const secure = url.protocol === 'https:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port)
  if (proxy === undefined) return secure ? connectSecure(target, host, port) : connectPlain(target, host, port, target.onBytes)
  if (proxy.kind !== 'http') {
    const tunnel = await openSocks(target, proxy, host, port)
    if (secure) return secureTunnel(target, tunnel, host)
    if (target.onBytes !== undefined) tunnel.on('data', target.onBytes)
    return tunnel
  }
  if (target.proxyManner === 'forward' && !secure) return connectPlain(target, proxy.host, proxy.port, target.onBytes)
  if (secure) {
    const tunnel = await openTunnel(target, proxy, host, port, undefined)
    return secureTunnel(target, tunnel, host)
  }
  return openTunnel(target, proxy, host, port, target.onBytes)
}

function connectPlain(target: SocketTarget, host: string, port: number, onBytes: SocketTarget['onBytes']): Promise<net.Socket> {
  const reads = onBytes === undefined ? {} : { onread: readsInto(onBytes) }
  return connected(target, host, port, (options) => net.connect({ ...options, ...reads }), 'connect')
}

function connectSecure(target: SocketTarget, host: string, port: number): Promise<net.Socket> {
  const reads = target.onBytes === undefined ? {} : { onread: readsInto(target.onBytes) }
  return connected(target, host, port, (options) => tls.connect({ ...options, ...tlsOptions(target, host), ...reads }), 'secureConnect')
}

/** Name given, connects, and waits for `ready`, the event of the last step. */
function connected(
  target: SocketTarget,
  host: string,
  port: number,
  open: (options: net.TcpNetConnectOpts) => net.Socket,
  ready: 'connect' | 'secureConnect',
): Promise<net.Socket> {
  const viaProxy = target.proxy !== undefined
  const { localAddress } = target
  const { resolveMs, stepMs } = target.deadlines
  return new Promise((resolve, reject) => {
    const socket = open({
      host,
      port,
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress, family: net.isIP(localAddress) }),
      // A host with several addresses gets two tries inside the deadline; Node's own 250 ms gives up on any far relay.
      autoSelectFamilyAttemptTimeout: Math.max(10, Math.floor(stepMs / 2) - 50),
      ...queueOptions,
    } as net.TcpNetConnectOpts)
    socket.on('error', () => {}) // an error between two owners must not end the process; 'close' follows and tells
    const step = new Step(target.signal, socket, reject)
    step.begin(net.isIP(host) === 0 ? resolveMs : stepMs, `${host} did not answer`)
    const failed = (error: NodeJS.ErrnoException): void => step.fail(connectError(error, host, port, viaProxy, localAddress))
    socket.once('lookup', () => step.begin(stepMs, `no connection to ${host}:${port}`))
    socket.once('connect', () => step.begin(stepMs, `no TLS with ${host}:${port}`))
    socket.once('error', failed)
    socket.once('close', () => failed(new Error('closed before it was ready')))
    socket.once(ready, () => {
      step.end()
      socket.removeAllListeners('lookup').removeAllListeners('connect').removeAllListeners('close').removeListener('error', failed)
      resolve(socket)
    })
  })
}

/** SOCKS5 through the proxy. Reads go the ordinary way here: the answers of the proxy are read by the library, from the stream. */
async function openSocks(target: SocketTarget, proxy: ProxyServer, host: string, port: number): Promise<net.Socket> {
  const { stepMs, resolveMs } = target.deadlines
  const address = proxy.kind === 'socks5h' || net.isIP(host) !== 0 ? host : await resolved(host, resolveMs)
  const existing = await connectPlain(target, proxy.host, proxy.port, undefined)
  return new Promise((resolve, reject) => {
    const step = new Step(target.signal, existing, reject)
    const name = `the proxy ${proxy.host}:${proxy.port}`
    step.begin(stepMs, `${name} did not answer SOCKS5`)
    const { login } = proxy
    SocksClient.createConnection({
      command: 'connect',
      proxy: {
        host: proxy.host,
        port: proxy.port,
        type: 5,
        ...(login === undefined ? {} : { userId: login.user, password: login.password }),
      },
      destination: { host: address, port },
      existing_socket: existing,
      // Ours is the one that counts.
      timeout: stepMs * 2,
    }).then(
      ({ socket }) => {
        step.end()
        resolve(socket)
      },
      (error: Error) => {
        const refused = /Authentication failed|rejected connection|no accepted authentication/i.test(error.message)
        const text = refused ? `${name} refuses ${host}:${port}: ${error.message}` : `${name}: ${error.message}`
        step.fail(new SennitError(refused ? 'proxy_refused' : 'proxy_failed', text, {}, error))
      },
    )
  })
}

async function resolved(host: string, withinMs: number): Promise<string> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new SennitError('dial_timeout', `${host} was not resolved within ${withinMs} ms`)), withinMs)
  })
  try {
    return (await Promise.race([lookup(host), late])).address
  } catch (cause) {
    if (cause instanceof SennitError) throw cause
    throw new SennitError('dial_failed', `${host}: ${(cause as Error).message}`, { host }, cause)
  } finally {
    clearTimeout(timer)
  }
}

/** CONNECT through the proxy; resolves with the socket once the proxy said 2xx. */
async function openTunnel(
  target: SocketTarget,
  proxy: ProxyServer,
  host: string,
  port: number,
  onBytes: SocketTarget['onBytes'],
): Promise<net.Socket> {
  const reader = new ResponseHeadReader()
  let take: (chunk: Uint8Array) => void = () => {}
  const viaSlab = onBytes === undefined ? undefined : (chunk: Uint8Array) => take(chunk)
  const socket = await connectPlain(target, proxy.host, proxy.port, viaSlab)
  return new Promise((resolve, reject) => {
    const step = new Step(target.signal, socket, reject)
    step.begin(target.deadlines.stepMs, `the proxy ${proxy.host}:${proxy.port} did not answer CONNECT`)
    const broken = (): void => step.fail(new SennitError('proxy_failed', `the proxy ${proxy.host}:${proxy.port} closed the connection`))
    const data = (chunk: Uint8Array): void => take(chunk)
    take = (chunk) => {
      const head = reader.push(chunk)
      if (head === undefined) return
      if (typeof head === 'string') return step.fail(new SennitError('proxy_failed', `the proxy ${proxy.host}:${proxy.port}: ${head}`))
      if (head.status < 200 || head.status > 299) {
        const why = refusalText(head.status, head.reason, head.rest)
        const message = `the proxy ${proxy.host}:${proxy.port} refuses ${host}:${port}: ${why}`
        return step.fail(new SennitError('proxy_refused', message, { status: head.status }))
      }
      step.end()
      socket.removeListener('error', broken).removeListener('close', broken).removeListener('data', data)
      take = onBytes ?? (() => {})
      if (onBytes === undefined) socket.pause()
      if (head.rest.length > 0) {
        if (onBytes === undefined) socket.unshift(head.rest)
        else queueMicrotask(() => onBytes(head.rest))
      }
      resolve(socket)
    }
    socket.once('error', broken).once('close', broken)
    if (onBytes === undefined) socket.on('data', data)
    const name = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
    const login = proxy.authorization === undefined ? '' : `Proxy-Authorization: ${proxy.authorization}\r\n`
    socket.write(`CONNECT ${name} HTTP/1.1\r\nHost: ${name}\r\n${login}\r\n`)
  })
}

/** TLS inside a tunnel. Reads go the ordinary way here: `onread` works only on a socket that TLS opened itself. */
function secureTunnel(target: SocketTarget, tunnel: net.Socket, host: string): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ ...tlsOptions(target, host), ...queueOptions, socket: tunnel })
    socket.on('error', () => {})
    const step = new Step(target.signal, socket, reject)
    step.begin(target.deadlines.stepMs, `no TLS with ${host} through the proxy`)
    const failed = (error?: Error): void =>
      step.fail(new SennitError('tls_failed', `TLS with ${host}: ${error?.message ?? 'closed'}`, {}, error))
    socket.once('error', failed)
    socket.once('close', () => failed())
    socket.once('secureConnect', () => {
      step.end()
      socket.removeAllListeners('close').removeListener('error', failed)
      if (target.onBytes !== undefined) socket.on('data', target.onBytes)
      resolve(socket)
    })
  })
}

/** One running step of a dial: a deadline, an abort signal, and one failure that destroys the socket. */
class Step {
  readonly #signal: AbortSignal
  readonly #socket: net.Socket
  readonly #reject: (error: SennitError) => void
  readonly #abort: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(signal: AbortSignal, socket: net.Socket, reject: (error: SennitError) => void) {
    this.#signal = signal
    this.#socket = socket
    this.#reject = reject
    this.#abort = () => this.fail(new SennitError('dial_failed', 'the dial was given up'))
    if (signal.aborted) queueMicrotask(this.#abort)
    else signal.addEventListener('abort', this.#abort, { once: true })
  }

  begin(deadlineMs: number, what: string): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.fail(new SennitError('dial_timeout', `${what} within ${deadlineMs} ms`)), deadlineMs)
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#signal.removeEventListener('abort', this.#abort)
  }

  fail(error: SennitError): void {
    this.end()
    this.#socket.destroy()
    this.#reject(error)
  }
}

// The stream below takes them, though the types of net.connect do not list them; TLS knows only the second.
const queueOptions: object = { writableHighWaterMark: carrierQueueBytes, highWaterMark: carrierQueueBytes }

/** One read takes what the kernel holds, up to this. */
const readBytes: number = 256 * 1024

/**
 * One memory for all sockets of the process: libuv asks for it, reads and hands over in one go, so no two sockets are ever in it, and ten thousand
 * quiet ones hold none. On Windows reads are under way while nobody looks: there each socket has its own.
 */
let sharedRead: Buffer | undefined

function readMemory(): Buffer {
  if (process.platform === 'win32') return Buffer.allocUnsafeSlow(readBytes)
  sharedRead ??= Buffer.allocUnsafeSlow(readBytes)
  return sharedRead
}

function readsInto(onBytes: (chunk: Uint8Array) => void): net.OnReadOpts {
  return {
    buffer: readMemory(),
    callback(length, buffer) {
      onBytes(buffer.subarray(0, length))
      return true
    },
  }
}

function tlsOptions(target: SocketTarget, host: string): tls.ConnectionOptions {
  const settings = target.tls ?? {}
  const name = settings.servername ?? (net.isIP(host) === 0 ? host : undefined)
  return {
    ALPNProtocols: ['http/1.1'],
    ...(settings.ca === undefined ? {} : { ca: typeof settings.ca === 'string' ? settings.ca : Buffer.from(settings.ca) }),
    ...(name === undefined ? {} : { servername: name }),
    rejectUnauthorized: settings.insecure !== true,
  }
}

function connectError(
  error: NodeJS.ErrnoException,
  host: string,
  port: number,
  viaProxy: boolean,
  localAddress: string | undefined,
): SennitError {
  const isTls = error.code?.startsWith('ERR_TLS') || error.code?.startsWith('ERR_SSL') || /certificate|self-signed/i.test(error.message)
  const code = isTls ? 'tls_failed' : viaProxy ? 'proxy_failed' : 'dial_failed'
  const from = localAddress === undefined ? '' : ` from ${localAddress}`
  const what = (viaProxy ? `the proxy ${host}:${port}` : `${host}:${port}`) + from
  return new SennitError(code, `${what}: ${error.message === '' ? (error.code ?? 'no connection') : error.message}`, { host, port }, error)
}
