/** Puts one relay together and runs it: machine, shell, port, admin, users file. */

import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { SennitError } from '@sennit/protocol'
import { ConsulAgent, nodeCrypto } from '@sennit/protocol/node'
import pino, { type Logger } from 'pino'
import type { HandedList, RelayStats } from '../core/index.ts'
import { AdminServer } from './admin-server.ts'
import { steadyClock } from './clock.ts'
import type { RelayConfig } from './config.ts'
import { GrpcFront } from './grpc-front.ts'
import { HttpFront } from './http-front.ts'
import { LogDestination } from './log-destination.ts'
import { watchLoop } from './loop-delay.ts'
import { relayMetrics } from './metrics.ts'
import { OnePort } from './one-port.ts'
import { ConsulRegistration } from './registration/consul-registration.ts'
import { RelayShell } from './relay-shell.ts'
import { readRelaysFile } from './relays-file.ts'
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
  const { relaysFile } = config
  const readRelays = (): HandedList | undefined => {
    if (relaysFile === undefined) return undefined
    try {
      return readRelaysFile(relaysFile, trust, crypto, now())
    } catch (cause) {
      // It is for clients, which have lists of their own: the relay works without one, and hands out nothing that does not verify.
      log.warn({ event: 'relay_list_refused', file: relaysFile, message: (cause as Error).message })
      return undefined
    }
  }
  const relayList = readRelays()
  const shell = new RelayShell(
    {
      crypto,
      random: Math.random,
      identity,
      trust,
      users,
      ...(config.limits === undefined ? {} : { limits: config.limits }),
      ...(relayList === undefined ? {} : { relayList }),
    },
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
  const stopWatching = [watchFile(config.usersFile, reloadUsers)]
  if (relaysFile !== undefined) {
    const reloadRelays = (): void => {
      const list = readRelays()
      if (list === undefined) return
      log.info({ event: 'relay_list_read', version: list.version })
      shell.act((machine, nowMs) => machine.relayListChanged(nowMs, list))
    }
    stopWatching.push(watchFile(relaysFile, reloadRelays))
  }
  const stopClock = watchLoop((delayMs) => shell.machine.loopDelay(delayMs))
  stopWatching.push(stopClock)
  const scheme = config.tls === undefined ? 'http' : 'https'
  const close = async (): Promise<void> => {
    if (state === 'closed') return
    state = 'closed'
    for (const stop of stopWatching) stop()
    const deregistered = registration?.stop()
    shell.stop()
    http.close()
    grpc.close()
    await Promise.all([port.close(), config.admin === undefined ? undefined : admin.close(), deregistered])
    log.info({ event: 'closed' })
    lines.flushSync()
  }
  const ports = addresses.map((address) => address.port)
  const registration = config.directory === undefined ? undefined : await register(config, ports, log)
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
      registration?.drain()
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

/** The relay's entry in its directory. It never fails here: the agent may be away for as long as it likes. */
async function register(config: RelayConfig, ports: readonly number[], log: Logger): Promise<ConsulRegistration> {
  const { consul, ttlMs, zone, failureDomain, urls } = config.directory!
  const scheme = config.tls === undefined ? 'http' : 'https'
  const { relayId } = config.identity
  const { meshId } = config.trust
  return new ConsulRegistration({
    agent: await ConsulAgent.load(consul, meshId),
    relay: {
      meshId,
      relayId,
      urls: urls ?? config.listen.map(({ host }, index) => `${scheme}://${hostIn(host)}:${ports[index]}`),
      ...(config.traits === undefined ? {} : { traits: config.traits }),
      ...(zone === undefined ? {} : { zone }),
      ...(failureDomain === undefined ? {} : { failureDomain }),
    },
    ttlMs,
    log: (level, event, fields) => log[level]({ event, ...fields }),
  })
}

function hostIn(host: string): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return reachable.includes(':') ? `[${reachable}]` : reachable
}
