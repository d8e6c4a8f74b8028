/**
 * Clients and relays in one process with virtual time: the real machines over byte pipes with latency. Relays can be killed, frozen, thawed,
 * started and drained; clients can be killed and started. One seed, no real clock, no sleeps.
 */
import type { ClientMachineOptions } from '@sennit/client/core'
import {
  type CryptoProvider,
  issueMesh,
  issueRelayCertificate,
  issueUserCertificate,
  type NewMesh,
  type RelayEntry,
  type RelayIdentity,
  simulatorCrypto,
  type UserCertificateRequest,
  type UserIdentity,
  type UserList,
} from '@sennit/protocol'
import { EventQueue } from './event-queue.ts'
import { seeded } from './seeded.ts'
import { WorldClient } from './world-client.ts'
import { WorldRelay } from './world-relay.ts'

export const startMs = 1_800_000_000_000

export interface WorldOptions {
  readonly seed?: number
  readonly relays: readonly string[]
  readonly users: readonly string[]
  /** One way between any client and any relay. @default 5 */
  readonly legMs?: number
}

/** What a test wants of a client; the rest has defaults. */
export interface ClientWishes extends Partial<Omit<ClientMachineOptions, 'relays'>> {
  /** Its list. @default all of the mesh */
  readonly relays?: readonly string[]
  /** One way to single relays, in ms. */
  readonly legs?: Readonly<Record<string, number>>
}

export class MeshWorld {
  readonly crypto: CryptoProvider
  readonly mesh: NewMesh
  readonly queue: EventQueue = new EventQueue()
  readonly relays = new Map<string, WorldRelay>()
  readonly clients: WorldClient[] = []
  readonly random: () => number
  users: UserList
  readonly #blocked = new Map<string, (() => void)[]>()
  /** Dials over these are never answered. */
  readonly blockedCarriers = new Set<string>()
  nowMs = startMs
  events = 0
  readonly #identities = new Map<string, UserIdentity>()
  readonly #legMs: number
  readonly #legs = new Map<string, number>()

  constructor(options: WorldOptions) {
    this.random = seeded(options.seed ?? 1)
    this.crypto = simulatorCrypto(this.random)
    this.mesh = issueMesh(this.crypto, startMs)
    this.#legMs = options.legMs ?? 5
    for (const user of options.users) this.#identities.set(user, this.issueUser(user))
    this.users = this.#userList(options.users)
    for (const relayId of options.relays) this.relays.set(relayId, new WorldRelay(this, relayId, this.#issueRelay(relayId)))
  }

  /** What the credential of a user holds. */
  identity(user: string): UserIdentity {
    return this.#identities.get(user)!
  }

  relay(relayId: string): WorldRelay {
    return this.relays.get(relayId)!
  }

  /** A client process. */
  client(user: string, wishes: ClientWishes = {}): WorldClient {
    const { relays, legs, ...options } = wishes
    const list = relays ?? [...this.relays.keys()]
    const client = new WorldClient(this, this.#identities.get(user)!, list.map(entryOf), options)
    for (const [relayId, ms] of Object.entries(legs ?? {})) this.#legs.set(`${client.number}/${relayId}`, ms)
    this.clients.push(client)
    client.touch()
    return client
  }

  /** Registers users from now on (relays hear at once). */
  setUsers(users: readonly string[]): void {
    for (const user of users) if (!this.#identities.has(user)) this.#identities.set(user, this.issueUser(user))
    this.users = this.#userList(users)
    for (const relay of this.relays.values()) relay.usersChanged()
  }

  legMs(client: WorldClient, relay: WorldRelay): number {
    return this.#legs.get(`${client.number}/${relay.relayId}`) ?? this.#legMs
  }

  /** Nothing passes between them in that direction until {@link unblock}; as in TCP, what was sent arrives then. */
  block(client: WorldClient, relay: WorldRelay, direction: 'up' | 'down'): void {
    const key = `${client.number}/${relay.relayId}/${direction}`
    if (!this.#blocked.has(key)) this.#blocked.set(key, [])
  }

  unblock(client: WorldClient, relay: WorldRelay, direction: 'up' | 'down'): void {
    const key = `${client.number}/${relay.relayId}/${direction}`
    const waiting = this.#blocked.get(key)
    this.#blocked.delete(key)
    for (const run of waiting ?? []) run()
  }

  /** Runs what the network brings, or keeps it while the way is blocked. */
  arrive(client: WorldClient, relay: WorldRelay, direction: 'up' | 'down', run: () => void): void {
    const waiting = this.#blocked.get(`${client.number}/${relay.relayId}/${direction}`)
    if (waiting === undefined) run()
    else waiting.push(run)
  }

  at(atMs: number, run: () => void): void {
    this.queue.add(Math.max(atMs, this.nowMs), run)
  }

  run(forMs: number): void {
    this.runUntil(() => false, forMs)
  }

  /** Runs until `done`, at most `withinMs`; how long it took, or undefined when it did not happen. */
  runUntil(done: () => boolean, withinMs: number): number | undefined {
    const sinceMs = this.nowMs
    const untilMs = sinceMs + withinMs
    while (!done()) {
      const nextMs = this.queue.nextAtMs()
      if (nextMs === undefined || nextMs > untilMs) {
        this.nowMs = untilMs
        return done() ? withinMs : undefined
      }
      this.nowMs = nextMs
      this.events += 1
      this.queue.take()!.run()
    }
    return this.nowMs - sinceMs
  }

  #userList(users: readonly string[]): UserList {
    return { version: 1, expiresMs: startMs + 1e11, users: users.map((user) => ({ user, epoch: 0, revoked: false })) }
  }

  /** New keys, and a certificate of `mesh` over them. */
  issueUser(user: string, wishes: Partial<UserCertificateRequest> = {}, mesh: NewMesh = this.mesh): UserIdentity {
    const { crypto } = this
    const [identityKey, hopKey, endKey] = [crypto.generateEd25519(), crypto.generateX25519(), crypto.generateX25519()]
    const certificate = issueUserCertificate(crypto, mesh.keys.userIssuer.privateKey, {
      meshId: mesh.trust.meshId,
      user,
      identityKey: identityKey.publicKey,
      hopKey: hopKey.publicKey,
      endKey: endKey.publicKey,
      notBeforeMs: startMs - 1_000,
      notAfterMs: startMs + 1e10,
      ...wishes,
    })
    return { user, identityKey, hopKey, endKey, certificate }
  }

  #issueRelay(relayId: string): RelayIdentity {
    const { crypto, mesh } = this
    const staticKey = crypto.generateX25519()
    const certificate = issueRelayCertificate(crypto, mesh.keys.relayIssuer.privateKey, {
      meshId: mesh.trust.meshId,
      relayId,
      staticKey: staticKey.publicKey,
      notBeforeMs: startMs - 1_000,
      notAfterMs: startMs + 1e10,
    })
    return { relayId, staticKey, certificate }
  }
}

function entryOf(relayId: string): RelayEntry {
  return { relayId, urls: [`http://${relayId}:80`] }
}

export { seeded } from './seeded.ts'
export type { WorldClient } from './world-client.ts'
export type { WorldRelay } from './world-relay.ts'
