/** gRPC on the one port: sockets that begin with the HTTP/2 preface (or ALPN `h2`) are given to @grpc/grpc-js, which never listens itself. */

import type { Http2Server, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { Server, ServerCredentials, type ServerDuplexStream, status, type UntypedServiceImplementation } from '@grpc/grpc-js'
import { GrpcCarrier } from './grpc-carrier.ts'
import { attachMethod, type Chunk } from './grpc-service.ts'
import type { RelayShell } from './relay-shell.ts'
import type { SocketTicket } from './socket-ticket.ts'

/** What a client may send on one stream before we answer. grpc-js leaves HTTP/2's 65 535, which caps an upload at 64 KiB per round trip. */
export const streamWindowBytes: number = 4 * 1024 * 1024

/** The same for all streams of one connection together. */
export const sessionWindowBytes: number = 8 * 1024 * 1024

/** Before anybody is authenticated nobody needs more. */
const streamsMax = 8
const headerListBytesMax = 8192

/**
 * Streams of one socket in all its life. A client makes one for its attachment; whoever opens and resets them without end (the "rapid reset"
 * flood) buys a call, a handshake state and their clean-up with each 100 bytes: ten sockets held the loop for two seconds.
 */
const streamsInAll = 16

/** A session without any call ends after this. */
const idleSessionMs = 30_000

/** Largest gRPC message taken: a hop record and what surrounds it. */
const messageBytesMax: number = 512 * 1024

/** The parts of grpc-js's server that its options do not reach; the pin is exact and a test guards them. */
interface ServerInsides {
  commonServerOptions: { settings?: Record<string, number> }
  http2Servers: Map<Http2Server, unknown>
}

export class GrpcFront {
  private readonly shell: RelayShell
  private readonly server: Server
  private readonly injector: ReturnType<Server['createConnectionInjector']>
  /** Sockets by the name grpc-js gives a peer. */
  private readonly tickets = new Map<string, SocketTicket>()

  constructor(shell: RelayShell) {
    this.shell = shell
    this.server = new Server({
      'grpc.max_concurrent_streams': streamsMax,
      'grpc.max_receive_message_length': messageBytesMax,
      'grpc.max_send_message_length': -1,
      'grpc.max_connection_idle_ms': idleSessionMs,
      'grpc.enable_channelz': 0,
      'grpc.default_compression_algorithm': 0,
      'grpc.keepalive_time_ms': 15_000,
      'grpc.keepalive_timeout_ms': 5000,
    })
    const insides = this.server as unknown as ServerInsides
    insides.commonServerOptions.settings = {
      ...insides.commonServerOptions.settings,
      initialWindowSize: streamWindowBytes,
      maxHeaderListSize: headerListBytesMax,
    }
    const implementation: UntypedServiceImplementation = { Attach: (call: ServerDuplexStream<Chunk, Chunk>) => this.attach(call) }
    this.server.addService({ Attach: attachMethod }, implementation)
    this.injector = this.server.createConnectionInjector(ServerCredentials.createInsecure())
    for (const http2 of insides.http2Servers.keys()) {
      http2.on('session', (session: ServerHttp2Session) => session.setLocalWindowSize(sessionWindowBytes))
      this.countStreams(http2)
    }
  }

  handle(socket: Socket, ticket: SocketTicket): void {
    const peer = `${socket.remoteAddress}:${socket.remotePort}`
    this.tickets.set(peer, ticket)
    socket.once('close', () => this.tickets.delete(peer))
    this.injector.injectConnection(socket)
  }

  close(): void {
    this.injector.destroy()
    this.server.forceShutdown()
  }

  /** Puts a count before grpc-js's own handler. Streams of one read are announced one by one, also after their session was destroyed. */
  private countStreams(http2: Http2Server): void {
    const counts = new WeakMap<object, number>()
    const handlers = http2.listeners('stream') as ((stream: ServerHttp2Stream, ...rest: unknown[]) => void)[]
    http2.removeAllListeners('stream')
    http2.on('stream', (stream: ServerHttp2Stream, ...rest: unknown[]) => {
      const { session } = stream
      if (session === undefined || session.destroyed) return
      const count = (counts.get(session) ?? 0) + 1
      counts.set(session, count)
      if (count <= streamsInAll) {
        for (const handler of handlers) handler.call(http2, stream, ...rest)
        return
      }
      this.shell.machine.refused('http2_streams')
      session.destroy()
    })
  }

  private attach(call: ServerDuplexStream<Chunk, Chunk>): void {
    if (this.shell.machine.isDraining) {
      this.shell.machine.refused('draining')
      call.emit('error', { code: status.UNAVAILABLE, details: 'draining' })
      return
    }
    const ticket = this.tickets.get(call.getPeer())
    const address = ticket?.address ?? call.getPeer().replace(/:\d+$/, '')
    this.shell.attach(new GrpcCarrier(call, address), ticket?.take() ?? false)
  }
}
