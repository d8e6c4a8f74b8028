/**
 * One port for everything: a socket is sorted by its first bytes. 0x16 is TLS (sorted again inside, by ALPN or first bytes), the HTTP/2 preface
 * goes to gRPC, all else to HTTP/1.1, once its header is whole. Either may come in pieces.
 */

import net, { type AddressInfo, type Server, type Socket } from 'node:net'
import tls, { type TLSSocket } from 'node:tls'
import type { AdmissionRefusal } from '../core/index.ts'
import { firstBytes, prefaceBytes } from './first-bytes.ts'
import type { RelayShell } from './relay-shell.ts'
import { type PreAuthDeadlines, SocketTicket } from './socket-ticket.ts'

/** Who gets a sorted socket. */
export interface Protocols {
  http1(socket: Socket, ticket: SocketTicket): void
  http2(socket: Socket, ticket: SocketTicket): void
}

export interface OnePortOptions {
  readonly listen: readonly { readonly host: string; readonly port: number }[]
  readonly tls: { readonly certificate: Buffer; readonly key: Buffer } | undefined
  readonly deadlines: PreAuthDeadlines
}

/** Connections the kernel may hold before we accept them: a drained neighbour's clients come at once. */
const backlog = 4096

export class OnePort {
  private readonly options: OnePortOptions
  private readonly shell: RelayShell
  private readonly protocols: Protocols
  private readonly servers: Server[] = []
  private readonly sockets = new Set<Socket>()
  /** Sockets that have not become an attachment, the oldest first. */
  private readonly waiting = new Set<SocketTicket>()
  private readonly tlsServer: tls.Server | undefined
  /** Tickets of sockets in a TLS handshake, by their remote port, because the TLS server hands out another object. */
  private readonly inTls = new Map<string, SocketTicket>()

  constructor(options: OnePortOptions, shell: RelayShell, protocols: Protocols) {
    this.options = options
    this.shell = shell
    this.protocols = protocols
    if (options.tls !== undefined) {
      this.tlsServer = tls.createServer({
        cert: options.tls.certificate,
        key: options.tls.key,
        ALPNProtocols: ['h2', 'http/1.1'],
        minVersion: 'TLSv1.2',
        handshakeTimeout: options.deadlines.tlsMs,
      })
      this.tlsServer.on('secureConnection', (socket) => this.onSecure(socket))
      this.tlsServer.on('tlsClientError', (_error, socket) => {
        this.inTls.get(wayOf(socket))?.destroy('tls_failed')
        socket.destroy()
      })
    }
  }

  /** Listens on all addresses; rejects, with none listening, when one of them cannot be had. */
  async listen(): Promise<AddressInfo[]> {
    try {
      for (const { host, port } of this.options.listen) {
        const server = net.createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 }, (socket) =>
          this.onSocket(socket),
        )
        await new Promise<void>((resolve, reject) => {
          server.once('error', reject)
          server.listen({ host, port, backlog }, () => {
            server.off('error', reject)
            resolve()
          })
        })
        server.on('error', () => this.shell.machine.refused('accept_failed'))
        this.servers.push(server)
      }
    } catch (cause) {
      await this.close()
      throw cause
    }
    return this.servers.map((server) => server.address() as AddressInfo)
  }

  /** Stops listening and destroys every socket. */
  async close(): Promise<void> {
    const ends = this.servers.splice(0).map((server) => new Promise<void>((resolve) => server.close(() => resolve())))
    for (const socket of this.sockets) socket.destroy()
    await Promise.all(ends)
  }

  private onSocket(socket: Socket): void {
    const address = socket.remoteAddress
    // A socket whose peer is gone already has no address.
    if (address === undefined || !this.admits(address)) {
      socket.on('error', () => {})
      socket.destroy()
      return
    }
    this.sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => this.sockets.delete(socket))
    const ticket = new SocketTicket(this.shell, socket, address, (settled) => this.waiting.delete(settled))
    this.waiting.add(ticket)
    ticket.deadline(this.options.deadlines.firstByteMs, 'first_byte_late')
    this.sort(socket, ticket, true)
  }

  /** Where all places are taken, the oldest stranger goes: a client is through within moments, so it is one who only waits. */
  private admits(address: string): boolean {
    const enter = (): AdmissionRefusal | undefined => this.shell.act((machine, nowMs) => machine.socketOpened(nowMs, address))
    const refusal = enter()
    if (refusal !== 'open_unauthenticated') return refusal === undefined
    const [oldest] = this.waiting
    if (oldest !== undefined) oldest.evict()
    else if (!this.shell.act((machine, nowMs) => machine.evictOldest(nowMs))) return false
    return enter() === undefined
  }

  private onSecure(socket: TLSSocket): void {
    const way = wayOf(socket)
    const ticket = this.inTls.get(way)
    this.inTls.delete(way)
    if (ticket === undefined) {
      socket.destroy()
      return
    }
    socket.on('error', () => socket.destroy())
    ticket.deadline(this.options.deadlines.attachMs, 'attach_late')
    if (socket.alpnProtocol === 'h2') this.protocols.http2(socket, ticket)
    else this.sort(socket, ticket, false)
  }

  private sort(socket: Socket, ticket: SocketTicket, outermost: boolean): void {
    let seen: Buffer = Buffer.alloc(0)
    let begun = !outermost
    const onReadable = (): void => {
      const chunk = socket.read() as Buffer | null
      if (chunk === null) return
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk])
      const first = firstBytes(seen)
      // A preface that stops half-way said nothing yet.
      if (!begun && (first.kind !== 'more' || seen.length >= prefaceBytes)) {
        begun = true
        ticket.deadline(this.options.deadlines.attachMs, 'attach_late')
      }
      if (first.kind === 'more') return
      socket.off('readable', onReadable)
      socket.off('end', onEnd)
      if (first.kind === 'refuse') {
        this.shell.machine.refused(first.reason)
        ticket.blamed()
        if (first.answer !== '') socket.write(first.answer)
        socket.destroySoon()
        return
      }
      socket.unshift(first.bytes < seen.length ? seen.subarray(0, first.bytes) : seen)
      if (first.kind === 'http1') this.protocols.http1(socket, ticket)
      else if (first.kind === 'http2') this.protocols.http2(socket, ticket)
      else this.enterTls(socket, ticket, outermost)
    }
    const onEnd = (): void => ticket.destroy('ended_early')
    socket.on('readable', onReadable)
    socket.on('end', onEnd)
  }

  private enterTls(socket: Socket, ticket: SocketTicket, outermost: boolean): void {
    if (this.tlsServer === undefined || !outermost) {
      ticket.destroy('tls_unexpected')
      return
    }
    const way = wayOf(socket)
    this.inTls.set(way, ticket)
    socket.once('close', () => this.inTls.delete(way))
    ticket.deadline(this.options.deadlines.tlsMs, 'tls_late')
    this.tlsServer.emit('connection', socket)
  }
}

function wayOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`
}
