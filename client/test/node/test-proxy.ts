/** A small outbound proxy as firewalls have them: CONNECT, absolute form, basic auth, and the bad habits of holding bodies back. */

import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'

export interface TestProxy {
  /** `http://127.0.0.1:port`, without credentials. */
  readonly url: string
  readonly port: number
  /** What passed: `CONNECT host:port`, `POST http://…`. */
  readonly seen: string[]
  /** Cuts everything that is open. */
  cut(): void
  close(): Promise<void>
}

export interface TestProxyOptions {
  /** `user:password` demanded of every request. */
  readonly login?: string
  /** CONNECT answers 403. */
  readonly refuseConnect?: boolean
  /** A request is passed on only when its body is whole. */
  readonly holdsRequests?: boolean
  /** A response is passed on only when its body is whole. */
  readonly holdsResponses?: boolean
}

export async function startTestProxy(options: TestProxyOptions = {}): Promise<TestProxy> {
  const seen: string[] = []
  const open = new Set<Duplex>()
  const keep = (socket: Duplex): void => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    socket.on('error', () => {})
  }
  const allowed = (request: http.IncomingMessage): boolean =>
    options.login === undefined || request.headers['proxy-authorization'] === `Basic ${Buffer.from(options.login).toString('base64')}`
  const server = http.createServer({ requestTimeout: 0 }, (request, response) => {
    seen.push(`${request.method} ${request.url}`)
    if (!allowed(request)) {
      response.writeHead(407).end('login wanted')
      return
    }
    const { 'proxy-authorization': _login, ...headers } = request.headers
    const onward = http.request(request.url!, { method: request.method!, headers, agent: false })
    onward.on('socket', keep)
    onward.on('error', () => response.destroy())
    response.on('close', () => onward.destroy())
    onward.on('response', (answer) => {
      const pass = (): void => {
        response.writeHead(answer.statusCode!, answer.headers)
        response.flushHeaders()
      }
      answer.on('error', () => response.destroy())
      if (!options.holdsResponses) {
        pass()
        answer.pipe(response)
        return
      }
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part))
      answer.on('end', () => {
        pass()
        response.end(Buffer.concat(parts))
      })
    })
    if (!options.holdsRequests) {
      request.pipe(onward)
      return
    }
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => onward.end(Buffer.concat(parts)))
  })
  server.on('connection', keep)
  server.on('connect', (request: http.IncomingMessage, socket: Duplex, head: Buffer) => {
    seen.push(`CONNECT ${request.url}`)
    if (!allowed(request)) return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
    if (options.refuseConnect) return void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    const [host, port] = request.url!.split(':')
    const onward = net.connect(Number(port), host!, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      onward.write(head)
      socket.pipe(onward)
      onward.pipe(socket)
    })
    keep(onward)
    onward.on('close', () => socket.destroy())
    socket.on('close', () => onward.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const port = (server.address() as AddressInfo).port
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    seen,
    cut() {
      for (const socket of open) socket.destroy()
    },
    async close() {
      for (const socket of open) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
