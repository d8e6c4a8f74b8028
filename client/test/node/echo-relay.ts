/** A stand-in for a relay that speaks the carriers' wire and echoes every byte: enough to test carriers without a hop link. */

import { randomBytes } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { Server as GrpcServer, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js'

export interface EchoRelay {
  readonly url: string
  readonly grpcUrl: string
  /** What the `upgrade`, `http` and `grpc` sessions sent as first bytes, in order of arrival. */
  readonly firsts: string[]
  /** Paths asked for over HTTP. */
  readonly paths: string[]
  /** Addresses that connections came from. */
  readonly peers: Set<string>
  /** Ends every open session in order. */
  endSessions(): void
  close(): Promise<void>
}

export interface EchoRelayOptions {
  /** Answers nothing at all. */
  readonly silent?: boolean
  /** Refuses everything with 503 and this code. */
  readonly refuse?: string
  /** The long response ends after so many bytes, and is continued by a GET. */
  readonly downBytesMax?: number
}

interface HttpSession {
  tail: Buffer
  sent: number
  response: http.ServerResponse | undefined
  polled: boolean
  nextUp: number
  held: Map<number, Buffer>
  ended: boolean
  timer?: NodeJS.Timeout
}

export async function startEchoRelay(options: EchoRelayOptions = {}): Promise<EchoRelay> {
  const firsts: string[] = []
  const paths: string[] = []
  const peers = new Set<string>()
  const sockets = new Set<Duplex>()
  const sessions = new Map<string, HttpSession>()
  const calls = new Set<ServerDuplexStream<Buffer, Buffer>>()
  const server = http.createServer((request, response) => {
    paths.push(`${request.method} ${request.url}`)
    if (options.silent) return
    if (options.refuse !== undefined) {
      response.writeHead(503, { 'Content-Type': 'application/json' })
      response.end(JSON.stringify({ code: options.refuse, message: 'not today' }))
      return
    }
    serveHttp(request, response, sessions, firsts, options)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    peers.add(socket.remoteAddress?.replace(/^::ffff:/, '') ?? '')
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
  })
  server.on('upgrade', (request: http.IncomingMessage, socket: Duplex, head: Buffer) => {
    if (options.silent) return
    if (options.refuse !== undefined) {
      socket.end(`HTTP/1.1 503 No\r\nConnection: close\r\n\r\n${JSON.stringify({ code: options.refuse, message: 'not today' })}`)
      return
    }
    firsts.push(Buffer.from(String(request.headers['sennit-first']), 'base64url').toString())
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: sennit/1\r\n\r\n`)
    socket.write(Buffer.from(firsts.at(-1)!))
    if (head.length > 0) socket.write(head)
    socket.pipe(socket)
  })
  const grpc = new GrpcServer({ 'grpc.max_receive_message_length': -1 })
  const pass = (bytes: Buffer): Buffer => bytes
  grpc.addService(
    {
      attach: {
        path: '/sennit.v1.Relay/Attach',
        requestStream: true,
        responseStream: true,
        requestSerialize: pass,
        requestDeserialize: pass,
        responseSerialize: pass,
        responseDeserialize: pass,
      },
    },
    {
      attach: (call: ServerDuplexStream<Buffer, Buffer>) => {
        if (options.silent) return
        if (options.refuse !== undefined) {
          call.emit('error', Object.assign(new Error(options.refuse), { code: 14, details: options.refuse }))
          return
        }
        calls.add(call)
        peers.add(call.getPeer().replace(/:\d+$/, ''))
        let first = true
        call.on('data', (message: Buffer) => {
          if (first) firsts.push(message.subarray(2).toString())
          first = false
          if (!call.write(message)) {
            call.pause()
            call.once('drain', () => call.resume())
          }
        })
        call.on('end', () => call.end())
        call.on('error', () => {})
      },
    },
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const grpcPort = await new Promise<number>((resolve, reject) =>
    grpc.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => (error ? reject(error) : resolve(port))),
  )
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    grpcUrl: `http://127.0.0.1:${grpcPort}`,
    firsts,
    paths,
    peers,
    endSessions() {
      for (const session of sessions.values()) {
        session.ended = true
        session.response?.end()
      }
      for (const call of calls) call.end()
      for (const socket of sockets) socket.end()
    },
    async close() {
      grpc.forceShutdown()
      for (const session of sessions.values()) clearTimeout(session.timer)
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

function serveHttp(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  sessions: Map<string, HttpSession>,
  firsts: string[],
  options: EchoRelayOptions,
): void {
  const url = new URL(request.url!, 'http://relay')
  const parts = url.pathname.split('/').filter((part) => part !== '')
  const refuse = (status: number, code: string): void => {
    response.writeHead(status, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify({ code, message: code }))
  }
  if (parts.length === 3) {
    collect(request, (first) => {
      firsts.push(first.toString())
      const id = randomBytes(16).toString('hex')
      const session: HttpSession = { tail: first, sent: 0, response: undefined, polled: false, nextUp: 0, held: new Map(), ended: false }
      sessions.set(id, session)
      attachDown(session, response, url.searchParams.get('wait'), id, options)
    })
    return
  }
  const id = parts[3]!
  const session = sessions.get(id)
  if (session === undefined) {
    refuse(404, 'session_unknown')
    return
  }
  if (session.ended) {
    refuse(410, 'session_ended')
    return
  }
  if (parts[4] === 'down') {
    if (Number(url.searchParams.get('from')) !== session.sent) {
      refuse(409, 'session_in_use')
      return
    }
    attachDown(session, response, url.searchParams.get('wait'), id, options)
    return
  }
  if (parts[5] === undefined) {
    request.on('data', (chunk: Buffer) => feed(session, chunk, options))
    request.on('end', () => response.end())
    return
  }
  collect(request, (body) => {
    session.held.set(Number(parts[5]), body)
    for (let next = session.held.get(session.nextUp); next !== undefined; next = session.held.get(session.nextUp)) {
      session.held.delete(session.nextUp)
      session.nextUp += 1
      feed(session, next, options)
    }
    response.writeHead(204).end()
  })
}

function attachDown(session: HttpSession, response: http.ServerResponse, wait: string | null, id: string, options: EchoRelayOptions): void {
  response.writeHead(200, { 'Sennit-Session': id, 'Content-Type': 'application/octet-stream' })
  response.flushHeaders()
  session.response = response
  session.polled = wait !== null
  clearTimeout(session.timer)
  if (wait !== null) session.timer = setTimeout(() => session.response === response && finish(session), Number(wait))
  flush(session, options)
}

function feed(session: HttpSession, bytes: Buffer, options: EchoRelayOptions): void {
  session.tail = Buffer.concat([session.tail, bytes])
  flush(session, options)
}

function flush(session: HttpSession, options: EchoRelayOptions): void {
  const response = session.response
  if (response === undefined || session.tail.length === 0) return
  const bytes = session.tail
  session.tail = Buffer.alloc(0)
  session.sent += bytes.length
  response.write(bytes)
  if (session.polled || (options.downBytesMax !== undefined && bytes.length >= options.downBytesMax)) finish(session)
}

function finish(session: HttpSession): void {
  clearTimeout(session.timer)
  session.response?.end()
  session.response = undefined
}

function collect(request: http.IncomingMessage, done: (body: Buffer) => void): void {
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => parts.push(part))
  request.on('end', () => done(Buffer.concat(parts)))
}
