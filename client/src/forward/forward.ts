/** A local TCP port that reaches an application of the mesh: all sockets share one connection, one stream each. */

import net, { type AddressInfo } from 'node:net'
import { SennitError } from '@sennit/protocol'
import type { Client } from '../node/client.ts'
import type { Connection } from '../node/connection.ts'
import { adoptBulk, type BulkSocket, bulkServerOptions } from './bulk-socket.ts'
import { endSoon, type ForwardLog } from './expose.ts'
import { KeptConnection } from './kept-connection.ts'
import { ReadBlocks } from './read-blocks.ts'
import { splice, spliceCodes } from './splice.ts'

/** Sockets that wait for the peer; more are reset at once, as a full backlog would. */
const heldMax = 1024

/** How long a socket waits for the peer. @see ForwardOptions.waitMs */
const waitMsDefault = 30_000

export interface ForwardOptions {
  readonly client: Client
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number }
  /** `bob`, or `bob/laptop`. */
  readonly user: string
  readonly application: string
  /** How long a socket is held while the peer is not there, in milliseconds; then it is reset. @default 30 000 */
  readonly waitMs?: number
  /** @default nothing is told */
  readonly log?: ForwardLog
}

/** A running `forward`. */
export interface Forwarded {
  readonly port: number
  /** Local sockets that are open now, the waiting ones among them. */
  readonly sockets: number
  /** The connection that carries them, when there is one. */
  readonly connection: Connection | undefined
  /** Stops listening; open sockets are reset. The client stays open. */
  close(): Promise<void>
}

interface Held {
  readonly bulk: BulkSocket
  readonly timer: NodeJS.Timeout
}

/** Resolves when the port listens; the peer need not be there. @throws SennitError `listen_failed` when the port cannot be had */
export async function forward(options: ForwardOptions): Promise<Forwarded> {
  const { client, user, application, waitMs = waitMsDefault, log = () => {} } = options
  const peer = `${user}/${application}`
  const held = new Set<Held>()
  const blocks = new ReadBlocks()
  /** Spliced sockets, and how each is reset. */
  const open = new Map<BulkSocket, () => void>()
  const kept = new KeptConnection({
    client,
    user,
    application,
    waitMs,
    log,
    onUsable: () => useHeld(),
    onRefused: (why) => refuseHeld(why),
  })

  const server = net.createServer(bulkServerOptions, (accepted) => {
    const bulk = adoptBulk(accepted, blocks)
    if (kept.usable !== undefined) return join(bulk, kept.usable)
    if (held.size >= heldMax) return refuse(bulk, `${heldMax} sockets wait already`)
    const waiting: Held = {
      bulk,
      timer: setTimeout(() => {
        held.delete(waiting)
        refuse(bulk, `the peer was not there within ${waitMs} ms${kept.lastFailure === '' ? '' : ` (${kept.lastFailure})`}`)
      }, waitMs),
    }
    held.add(waiting)
    bulk.socket.once('close', () => {
      clearTimeout(waiting.timer)
      held.delete(waiting)
    })
    kept.hurry()
  })

  function join(bulk: BulkSocket, connection: Connection): void {
    try {
      const stream = connection.openStreamNow()
      const cut = splice(bulk, stream, (errorCode) => {
        open.delete(bulk)
        if (errorCode === undefined) return
        const why = errorCode === spliceCodes.refused ? 'the service refused the connection' : 'the socket or the connection broke'
        log(`a socket to ${peer} was reset: ${why}`, {
          peer,
          code: errorCode === spliceCodes.refused ? 'target_refused' : 'socket_reset',
          errorCode,
        })
      })
      open.set(bulk, cut)
    } catch (error) {
      refuse(bulk, error instanceof Error ? error.message : String(error))
    }
  }

  function useHeld(): void {
    for (const waiting of [...held]) {
      if (kept.usable === undefined) return
      clearTimeout(waiting.timer)
      held.delete(waiting)
      join(waiting.bulk, kept.usable)
    }
  }

  function refuseHeld(why: string): void {
    for (const waiting of [...held]) {
      clearTimeout(waiting.timer)
      held.delete(waiting)
      refuse(waiting.bulk, why)
    }
  }

  function refuse(bulk: BulkSocket, why: string): void {
    log(`a socket to ${peer} was reset: ${why}`, { peer, code: 'socket_refused', why })
    bulk.socket.resetAndDestroy()
  }

  await new Promise<void>((resolve, reject) => {
    const { host, port } = options.listen
    server.once('error', (error) =>
      reject(new SennitError('listen_failed', `cannot listen on ${host}:${port}: ${error.message}`, {}, error)),
    )
    server.listen(port, host, resolve)
  })
  kept.start()

  return {
    port: (server.address() as AddressInfo).port,
    get sockets() {
      return held.size + open.size
    },
    get connection() {
      return kept.connection
    },
    async close() {
      server.close()
      for (const { bulk, timer } of [...held]) {
        clearTimeout(timer)
        bulk.socket.resetAndDestroy()
      }
      for (const cut of [...open.values()]) cut()
      const connection = kept.close()
      if (connection !== undefined) await endSoon(connection)
    },
  }
}
