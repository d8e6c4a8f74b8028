/** Serves a local TCP service to the mesh: every stream that a peer opens becomes a socket to the service. */

import type { Client } from '../node/client.ts'
import type { Connection } from '../node/connection.ts'
import type { Stream } from '../node/stream.ts'
import { type BulkSocket, connectBulk } from './bulk-socket.ts'
import { ReadBlocks } from './read-blocks.ts'
import { splice, spliceCodes } from './splice.ts'

/** The service gets as long as a dial to a relay does, and once more, since it may be busy. */
const connectMs = 3_000

/** Where `expose` and `forward` tell what happened to single sockets. `text` is for people. */
export type ForwardLog = (text: string, facts: Readonly<Record<string, unknown>>) => void

export interface ExposeOptions {
  readonly client: Client
  /** The application id under which others reach the service. */
  readonly application: string
  readonly target: { readonly host: string; readonly port: number }
  /** Who may connect: one user, or `*`. @default '*' */
  readonly from?: string
  /** @default nothing is told */
  readonly log?: ForwardLog
  /** Gives up waiting for the first relay. */
  readonly signal?: AbortSignal
}

/** A running `expose`. */
export interface Exposed {
  /** Sockets to the service that are open now. */
  readonly sockets: number
  /** Takes no more; open sockets are reset. The client stays open. */
  close(): Promise<void>
}

/** Resolves when a relay has taken the listening. @throws SennitError as `client.listen` */
export async function expose(options: ExposeOptions): Promise<Exposed> {
  const { client, application, target, from, signal, log = () => {} } = options
  const listener = await client.listen({
    application,
    ...(from === undefined ? {} : { from }),
    ...(signal === undefined ? {} : { signal }),
  })
  const connections = new Set<Connection>()
  const blocks = new ReadBlocks()
  /** Open sockets, and how each is reset. */
  const sockets = new Map<BulkSocket, () => void>()

  listener.onConnection((connection) => {
    connections.add(connection)
    const peer = nameOf(connection)
    log(`${peer} connected`, { peer, connection: connection.id })
    connection.onStream((stream) => serve(stream, peer))
    void connection.closed.then(({ code, message }) => {
      connections.delete(connection)
      log(`the connection of ${peer} ended: ${code}`, { peer, connection: connection.id, code, message })
    })
  })

  function serve(stream: Stream, peer: string): void {
    const bulk = connectBulk(target.host, target.port, blocks)
    const { socket } = bulk
    const refuse = (why: string): void => {
      clearTimeout(timer)
      sockets.delete(bulk)
      socket.destroy()
      log(`${target.host}:${target.port} could not be reached for ${peer}: ${why}`, { peer, code: 'target_refused', why })
      stream.reset(spliceCodes.refused)
      stream.stop(spliceCodes.refused)
    }
    const timer = setTimeout(() => refuse(`no connection within ${connectMs} ms`), connectMs)
    sockets.set(bulk, () => refuse('this end is closing'))
    const onError = (error: NodeJS.ErrnoException): void => refuse(error.code ?? error.message)
    socket.once('error', onError)
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.removeListener('error', onError)
      const cut = splice(bulk, stream, (errorCode) => {
        sockets.delete(bulk)
        if (errorCode !== undefined) log(`a socket of ${peer} ended badly`, { peer, code: 'socket_reset', errorCode })
      })
      sockets.set(bulk, cut)
    })
  }

  return {
    get sockets() {
      return sockets.size
    },
    async close() {
      await listener.close()
      // The streams first: a close in order would end them in order, and the far side would take cut data for whole.
      for (const cut of [...sockets.values()]) cut()
      await Promise.allSettled([...connections].map((connection) => endSoon(connection)))
    },
  }
}

/** How long the resets of streams get to reach the other end before the connection is cut. */
const endMs = 2_000

/** Closes a connection in order where that is quick, and cuts it where it is not. */
export async function endSoon(connection: Connection): Promise<void> {
  const timer = setTimeout(() => connection.abort(), endMs)
  await connection.close().catch(() => {})
  clearTimeout(timer)
}

function nameOf(connection: Connection): string {
  const { user, label } = connection.peer
  return label === '' ? user : `${user}/${label}`
}
