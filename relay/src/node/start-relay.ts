/** Puts one relay together and runs it: machine, shell, port, admin, users file. */

import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { SennitError } from '@sennit/protocol'
import { nodeCrypto } from '@sennit/protocol/node'
import pino, { type Logger } from 'pino'
import type { RelayStats } from '../core/index.ts'
import { AdminServer } from './admin-server.ts'
import { steadyClock } from './clock.ts'
import type { RelayConfig } from './config.ts'
import { GrpcFront } from './grpc-front.ts'
import { HttpFront } from './http-front.ts'
import { LogDestination } from './log-destination.ts'
import { relayMetrics } from './metrics.ts'
import { OnePort } from './one-port.ts'
import { RelayShell } from './relay-shell.ts'
import { defaultDeadlines, type PreAuthDeadlines } from './socket-ticket.ts'
import { readUsersFile, watchFile } from './users-file.ts'

/** A relay that is listening. */
export interface RunningRelay {
  readonly id: string
  /** One per listen address, in their order. */
  readonly ports: readonly number[]
  /** `http://host:port` (or https) of the first listen address. */
  readonly url: string
  /** 0 when there is no admin port. */
  readonly adminPort: number
  readonly adminUrl: string | undefined
  stats(): RelayStats
  /** Reads the users file now; it is read by itself within a second of a change. */
  reloadUsers(): void
  /** Tells clients to move, waits until they have or the time is over, then closes. */
  drain(plan?: { readonly withinMs?: number; readonly spreadMs?: number }): Promise<void>
  /** Closes everything at once. */
  close(): Promise<void>
}

/** What an embedder may put in place of the defaults. */
export interface StartRelayOptions {
  /** @default pino to stderr at the configured level */
  readonly log?: Logger
  readonly deadlines?: Partial<PreAuthDeadlines>
}

/** Clients are told to be gone within this. */
const drainWithinMs = 5000

/** And not to move all at one instant. */
const drainSpreadMs = 2000

/** @throws SennitError `listen_failed` when an address cannot be had, or what the users file says */
export async function startRelay(config: RelayConfig, options: StartRelayOptions = {}): Promise<RunningRelay> {
  const { identity, trust } = config
  const crypto = nodeCrypto()
  const now = steadyClock()
  const lines = new LogDestination(2)
  const log = options.log ?? pino({ level: config.logLevel ?? 'info', base: { relay: identity.relayId } }, lines)
  let users = readUsersFile(config.usersFile, trust, crypto, now())
  const shell = new RelayShell(
    { crypto, random: Math.random, identity, trust, users, ...(config.limits === undefined ? {} : { limits: config.limits }) },
    now,
    (level, event, fields) => log[level]({ event, ...fields }),
  )
  const http = new HttpFront(shell, randomBytes)
  const grpc = new GrpcFront(shell)
  const deadlines = { ...defaultDeadlines, ...options.deadlines }
  const port = new OnePort({ listen: config.listen, tls: config.tls, deadlines }, shell, {
    http1: (socket, ticket) => http.handle(socket, ticket),
    http2: (socket, ticket) => grpc.handle(socket, ticket),
  })
  let state: 'running' | 'draining' | 'closed' = 'running'
  const admin = new AdminServer({
    metrics: relayMetrics(identity.relayId, () => shell.stats()),
    notReady: () => (state !== 'running' ? state : users.expiresMs <= now() ? 'the list of users has expired' : undefined),
  })
  let addresses: AddressInfo[]
  let adminPort = 0
  try {
    addresses = await port.listen()
    if (config.admin !== undefined) adminPort = await admin.listen(config.admin)
  } catch (cause) {
    await port.close()
    throw new SennitError('listen_failed', `relay ${identity.relayId} cannot listen: ${(cause as Error).message}`, {}, cause)
  }
  const reloadUsers = (): void => {
    try {
      users = readUsersFile(config.usersFile, trust, crypto, now())
    } catch (cause) {
      if (!(cause instanceof SennitError)) throw cause
      // The old list stays in force: a broken file must not lock everybody out, nor let anybody in.
      log.error({ event: 'users_list_refused', code: cause.code, message: cause.message })
      return
    }
    log.info({ event: 'users_list_read', version: users.version, users: users.users.length })
    shell.act((machine, nowMs) => machine.usersChanged(nowMs, users))
  }
  const stopWatching = watchFile(config.usersFile, reloadUsers)
  const scheme = config.tls === undefined ? 'http' : 'https'
  const close = async (): Promise<void> => {
    if (state === 'closed') return
    state = 'closed'
    stopWatching()
    shell.stop()
    http.close()
    grpc.close()
    await Promise.all([port.close(), config.admin === undefined ? undefined : admin.close()])
    log.info({ event: 'closed' })
    lines.flushSync()
  }
  const ports = addresses.map((address) => address.port)
  log.info({ event: 'listening', ports, adminPort, carriers: ['upgrade', 'http', 'grpc'], tls: config.tls !== undefined })
  return {
    id: identity.relayId,
    ports,
    url: `${scheme}://${hostIn(config.listen[0]!.host)}:${ports[0]}`,
    adminPort,
    adminUrl: config.admin === undefined ? undefined : `http://${hostIn(config.admin.host)}:${adminPort}`,
    stats: () => shell.stats(),
    reloadUsers,
    async drain(plan = {}) {
      if (state !== 'running') return
      state = 'draining'
      const idle = shell.idle()
      shell.act((machine, nowMs) =>
        machine.drain(nowMs, {
          withinMs: plan.withinMs ?? config.drain?.withinMs ?? drainWithinMs,
          spreadMs: plan.spreadMs ?? config.drain?.spreadMs ?? drainSpreadMs,
        }),
      )
      await idle
      await close()
    },
    close,
  }
}

function hostIn(host: string): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return reachable.includes(':') ? `[${reachable}]` : reachable
}
