/** HTTP/1.1 on the one port: `Upgrade: sennit/1`, and the requests of the `http` carrier. Everything else is an error with a JSON body. */

import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { SennitError, unbase64url } from '@sennit/protocol'
import { headerBytesMax } from './first-bytes.ts'
import { answerError, targetOf } from './http-answers.ts'
import { HttpSessions } from './http-sessions.ts'
import { ReadBlocks } from './read-blocks.ts'
import type { RelayShell } from './relay-shell.ts'
import type { SocketTicket } from './socket-ticket.ts'
import { UpgradeCarrier } from './upgrade-carrier.ts'

/** Proxies that keep a connection for numbered POSTs close an idle one after a minute or so; we are a little later. */
const keepAliveMs = 65_000

/** Where attachments are made. */
const basePath = '/sennit/v1'

export class HttpFront {
  private readonly shell: RelayShell
  private readonly server: Server
  private readonly sessions: HttpSessions
  private readonly tickets = new WeakMap<object, SocketTicket>()
  private readonly refused = new WeakSet<object>()
  private readonly blocks = new ReadBlocks()

  constructor(shell: RelayShell, randomBytes: (length: number) => Uint8Array) {
    this.shell = shell
    this.sessions = new HttpSessions(shell, randomBytes)
    this.server = createServer({ maxHeaderSize: headerBytesMax, requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: keepAliveMs })
    this.server.on('request', (request, response) => this.onRequest(request, response))
    this.server.on('upgrade', (request, socket, head) => this.onUpgrade(request, socket as Socket, head))
    this.server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.onClientError(error, socket as Socket))
  }

  /** Takes a socket whose first bytes were put back. */
  handle(socket: Socket, ticket: SocketTicket): void {
    this.tickets.set(socket, ticket)
    this.server.emit('connection', socket)
  }

  close(): void {
    this.sessions.close()
    this.server.closeAllConnections()
  }

  private onUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const ticket = this.tickets.get(socket)
    const refuse = (status: number, code: string, message: string): void => {
      this.shell.machine.refused(code)
      ticket?.blamed()
      const body = JSON.stringify({ code, message })
      socket.end(
        `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      )
      setTimeout(() => socket.destroy(), 1000).unref()
    }
    if (targetOf(request).pathname !== basePath || request.method !== 'GET') {
      refuse(404, 'not_found', `expected GET ${basePath}`)
      return
    }
    if (request.headers.upgrade?.toLowerCase() !== 'sennit/1') {
      refuse(426, 'upgrade_unknown', 'expected "Upgrade: sennit/1"')
      return
    }
    const firstText = request.headers['sennit-first']
    if (typeof firstText !== 'string') {
      refuse(400, 'first_missing', 'expected header Sennit-First with the first bytes in base64url')
      return
    }
    if (this.shell.machine.isDraining) {
      refuse(503, 'draining', 'this relay is going away; use another one')
      return
    }
    let first: Uint8Array
    try {
      first = unbase64url(firstText)
    } catch (cause) {
      if (!(cause instanceof SennitError)) throw cause
      refuse(400, 'first_malformed', 'header Sennit-First is not base64url')
      return
    }
    socket.setTimeout(0)
    socket.write(`HTTP/1.1 101 ${STATUS_CODES[101]}\r\nConnection: Upgrade\r\nUpgrade: sennit/1\r\n\r\n`)
    const bytes = head.length === 0 ? first : Buffer.concat([first, head])
    const counted = ticket?.take() ?? false
    this.shell.attach(new UpgradeCarrier(socket, bytes, ticket?.address ?? socket.remoteAddress ?? '', this.blocks), counted)
  }

  private onRequest(request: IncomingMessage, response: ServerResponse): void {
    const path = targetOf(request).pathname
    const ticket = this.tickets.get(request.socket)
    if (path === `${basePath}/http` || path.startsWith(`${basePath}/http/`)) {
      this.sessions.handle(request, response, path.slice(`${basePath}/http`.length), ticket)
      return
    }
    const known = path === basePath
    const code = known ? 'upgrade_required' : 'not_found'
    this.shell.machine.refused(code)
    ticket?.blamed()
    answerError(request, response, known ? 426 : 404, code, known ? 'expected "Upgrade: sennit/1"' : 'nothing here')
    // What else comes on it is not looked at.
    request.socket.destroySoon()
  }

  private onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
    // The parser complains of every further chunk; one answer is enough, and what follows is not read at all.
    if (this.refused.has(socket)) return
    this.refused.add(socket)
    socket.pause()
    const tooLarge = error.code === 'HPE_HEADER_OVERFLOW'
    const ticket = this.tickets.get(socket)
    const peerGone = error.code === 'ECONNRESET' || error.code === 'EPIPE'
    if (!peerGone) this.shell.machine.refused(tooLarge ? 'headers_too_large' : 'http_malformed')
    ticket?.blamed()
    // Once a response has begun (the `http` carrier's), an error text would be read as its body.
    if (socket.writable && ticket !== undefined && socket.bytesWritten === 0)
      socket.end(
        `HTTP/1.1 ${tooLarge ? '431 Request Header Fields Too Large' : '400 Bad Request'}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
      )
    setTimeout(() => socket.destroy(), 1000).unref()
  }
}
