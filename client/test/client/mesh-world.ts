/**
 * Clients and relays in one process with virtual time: the real machines over byte pipes with latency. Relays can be killed, frozen, thawed,
 * started and drained; clients can be killed and started. One seed, no real clock, no sleeps.
 */
import { type ClientEffect, ClientMachine, type ClientMachineOptions } from '@sennit/client/core'
import {
  type CryptoProvider,
  issueMesh,
  issueRelayCertificate,
  issueUserCertificate,
  type NewMesh,
  type RelayEntry,
  type RelayIdentity,
  simulatorCrypto,
  type UserIdentity,
  type UserList,
} from '@sennit/protocol'
import { RelayMachine } from '@sennit/relay/core'
import { EventQueue } from './event-queue.ts'

export const startMs = 1_800_000_000_000

export interface WorldOptions {
  readonly seed?: number
  readonly relays: readonly string[]
  readonly users: readonly string[]
  /** One way between any client and any relay. @default 5 */
  readonly legMs?: number
}

/** One byte pipe between a client and a relay. */
interface Pipe {
  readonly key: number
  readonly client: WorldClient
  readonly relay: WorldRelay
  open: boolean
  /** Known to the relay under its own number. */
  relayKey: number | undefined
  lastUpMs: number
  lastDownMs: number
}

export class MeshWorld {
  readonly crypto: CryptoProvider
  readonly mesh: NewMesh
  readonly queue: EventQueue = new EventQueue()
  readonly relays = new Map<string, WorldRelay>()
  readonly clients: WorldClient[] = []
  readonly random: () => number
  users: UserList
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
    for (const user of options.users) this.#identities.set(user, this.#issueUser(user))
    this.users = this.#userList(options.users)
    for (const relayId of options.relays) this.relays.set(relayId, new WorldRelay(this, relayId, this.#issueRelay(relayId)))
  }

  relay(relayId: string): WorldRelay {
    return this.relays.get(relayId)!
  }

  /** A client process; `relays` is its list, all of the mesh if not given. */
  client(
    user: string,
    wishes: { relays?: readonly string[]; legs?: Record<string, number> } & Partial<ClientMachineOptions> = {},
  ): WorldClient {
    const { relays, legs, ...options } = wishes as {
      relays?: readonly string[]
      legs?: Record<string, number>
    } & Partial<ClientMachineOptions>
    const list = (relays ?? [...this.relays.keys()]) as readonly string[]
    const client = new WorldClient(this, this.#identities.get(user)!, list.map(entryOf), options)
    for (const [relayId, ms] of Object.entries(legs ?? {})) this.#legs.set(`${client.number}/${relayId}`, ms)
    this.clients.push(client)
    client.touch()
    return client
  }

  /** Registers users from now on (relays hear at once). */
  setUsers(users: readonly string[]): void {
    for (const user of users) if (!this.#identities.has(user)) this.#identities.set(user, this.#issueUser(user))
    this.users = this.#userList(users)
    for (const relay of this.relays.values()) relay.usersChanged()
  }

  legMs(client: WorldClient, relay: WorldRelay): number {
    return this.#legs.get(`${client.number}/${relay.relayId}`) ?? this.#legMs
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

  #issueUser(user: string): UserIdentity {
    const { crypto, mesh } = this
    const [identityKey, hopKey, endKey] = [crypto.generateEd25519(), crypto.generateX25519(), crypto.generateX25519()]
    const certificate = issueUserCertificate(crypto, mesh.keys.userIssuer.privateKey, {
      meshId: mesh.trust.meshId,
      user,
      identityKey: identityKey.publicKey,
      hopKey: hopKey.publicKey,
      endKey: endKey.publicKey,
      notBeforeMs: startMs - 1_000,
      notAfterMs: startMs + 1e10,
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

export class WorldRelay {
  readonly relayId: string
  readonly pipes = new Map<number, Pipe>()
  readonly #world: MeshWorld
  readonly #identity: RelayIdentity
  machine: RelayMachine | undefined
  state: 'up' | 'frozen' | 'dead' = 'up'
  #waiting: (() => void)[] = []
  #keys = 0
  #wakes = 0

  constructor(world: MeshWorld, relayId: string, identity: RelayIdentity) {
    this.#world = world
    this.relayId = relayId
    this.#identity = identity
    this.start()
  }

  start(): void {
    const { crypto, random, mesh, users } = this.#world
    this.state = 'up'
    // The limits per address are for strangers; here all come from one.
    const limits = { newPerSecond: 1e6, newBurst: 1e6, openPerAddress: 1e6 }
    this.machine = new RelayMachine({ crypto, random, identity: this.#identity, trust: mesh.trust, users, limits })
    this.touch()
  }

  /** As by kill -9: its sockets are reset. */
  kill(): void {
    this.state = 'dead'
    this.machine = undefined
    this.#waiting = []
    for (const pipe of this.pipes.values()) pipe.client.reset(pipe, 'connection_reset')
    this.pipes.clear()
  }

  /** As by SIGSTOP: sockets stay, nothing moves. */
  freeze(): void {
    this.state = 'frozen'
  }

  thaw(): void {
    this.state = 'up'
    const waiting = this.#waiting
    this.#waiting = []
    for (const run of waiting) run()
    this.touch()
  }

  drain(withinMs: number, spreadMs: number): void {
    this.machine?.drain(this.#world.nowMs, { withinMs, spreadMs })
    this.touch()
  }

  usersChanged(): void {
    this.machine?.usersChanged(this.#world.nowMs, this.#world.users)
    this.touch()
  }

  dialled(pipe: Pipe, carrier: string, first: Uint8Array): void {
    if (this.state === 'dead') {
      pipe.client.reset(pipe, 'connection_refused')
      return
    }
    this.do(() => {
      if (!pipe.open || this.machine === undefined) return
      this.#keys += 1
      pipe.relayKey = this.#keys
      this.pipes.set(pipe.relayKey, pipe)
      pipe.client.opened(pipe)
      this.machine.accepted(this.#world.nowMs, pipe.relayKey, { carrier, address: '127.0.0.1' })
      this.machine.bytes(this.#world.nowMs, pipe.relayKey, first)
    })
  }

  bytes(pipe: Pipe, chunk: Uint8Array): void {
    this.do(() => {
      if (pipe.relayKey !== undefined && this.pipes.has(pipe.relayKey)) this.machine?.bytes(this.#world.nowMs, pipe.relayKey, chunk)
    })
  }

  closed(pipe: Pipe): void {
    this.do(() => {
      if (pipe.relayKey !== undefined && this.pipes.delete(pipe.relayKey)) this.machine?.closed(this.#world.nowMs, pipe.relayKey, 'reset')
    })
  }

  do(run: () => void): void {
    if (this.state === 'dead') return
    if (this.state === 'frozen') {
      this.#waiting.push(run)
      return
    }
    run()
    this.touch()
  }

  touch(): void {
    const { machine } = this
    if (machine === undefined || this.state !== 'up') return
    for (let effect = machine.poll(); effect !== undefined; effect = machine.poll()) {
      if (effect.type === 'write') {
        const pipe = this.pipes.get(effect.key)
        if (pipe !== undefined) for (const piece of effect.pieces) pipe.client.receive(pipe, piece)
      } else if (effect.type === 'close') {
        const pipe = this.pipes.get(effect.key)
        this.pipes.delete(effect.key)
        if (pipe !== undefined) pipe.client.reset(pipe, 'closed')
      }
    }
    this.#wakes += 1
    const wake = this.#wakes
    const atMs = machine.wakeAtMs()
    if (atMs === undefined) return
    this.#world.at(atMs, () => {
      if (wake !== this.#wakes || this.machine !== machine) return
      this.do(() => machine.wake(this.#world.nowMs))
    })
  }
}

export class WorldClient {
  readonly number: number
  readonly machine: ClientMachine
  readonly effects: ClientEffect[] = []
  /** Messages as they came, by connection handle. */
  readonly messages = new Map<number, string[]>()
  alive = true
  /** Whether messages are taken as they come. */
  reads = true
  /** Sends every message back. */
  echoes = false
  readonly #world: MeshWorld
  readonly #pipes = new Map<number, Pipe>()
  #wakes = 0
  #spinMs = 0
  #spins = 0

  constructor(world: MeshWorld, identity: UserIdentity, relays: RelayEntry[], options: Partial<ClientMachineOptions>) {
    this.#world = world
    this.number = world.clients.length + 1
    const { crypto, random, mesh } = world
    this.machine = new ClientMachine({ crypto, random, identity, trust: mesh.trust, relays, carriers: ['upgrade'], ...options })
  }

  // What an application does.

  listen(application: string, from = '*'): number {
    return this.#do(() => this.machine.listen(this.#world.nowMs, { application, from }))
  }

  connect(user: string, application: string, waitMs = 30_000): number {
    return this.#do(() => this.machine.connect(this.#world.nowMs, { user, application, waitMs }))
  }

  send(handle: number, text: string): void {
    this.#do(() => {
      this.machine.connection(handle)!.streams.offerMessage(new TextEncoder().encode(text))
      this.machine.changed(this.#world.nowMs, handle)
    })
  }

  close(handle: number): void {
    this.#do(() => this.machine.closeConnection(this.#world.nowMs, handle, 'closed', 'done'))
  }

  received(handle: number): string[] {
    return this.messages.get(handle) ?? []
  }

  /** Effects of one type. */
  all<T extends ClientEffect['type']>(type: T): Extract<ClientEffect, { type: T }>[] {
    return this.effects.filter((effect): effect is Extract<ClientEffect, { type: T }> => effect.type === type)
  }

  /** The newest connection told of. */
  get connection(): number | undefined {
    return this.all('connection').at(-1)?.handle
  }

  /** As by kill -9. */
  kill(): void {
    this.alive = false
    for (const pipe of this.#pipes.values()) {
      pipe.open = false
      this.#world.at(this.#world.nowMs + this.#world.legMs(this, pipe.relay), () => pipe.relay.closed(pipe))
    }
    this.#pipes.clear()
  }

  // What the network does.

  opened(pipe: Pipe): void {
    this.#later(pipe, () => this.machine.carrierOpened(this.#world.nowMs, pipe.key))
  }

  receive(pipe: Pipe, chunk: Uint8Array): void {
    this.#later(pipe, () => this.machine.carrierBytes(this.#world.nowMs, pipe.key, chunk))
  }

  reset(pipe: Pipe, code: string): void {
    this.#later(pipe, () => {
      pipe.open = false
      this.#pipes.delete(pipe.key)
      this.machine.carrierClosed(this.#world.nowMs, pipe.key, code, `${pipe.relay.relayId}: ${code}`)
    })
  }

  touch(): void {
    if (!this.alive) return
    for (let effect = this.machine.poll(); effect !== undefined; effect = this.machine.poll()) this.#effect(effect)
    this.#wakes += 1
    const wake = this.#wakes
    const atMs = this.machine.wakeAtMs()
    if (atMs === undefined) return
    if (atMs <= this.#world.nowMs) this.#spinning()
    this.#world.at(atMs, () => {
      if (wake === this.#wakes && this.alive) this.#do(() => this.machine.wake(this.#world.nowMs))
    })
  }

  #do<T>(run: () => T): T {
    const result = run()
    this.touch()
    return result
  }

  #later(pipe: Pipe, run: () => void): void {
    pipe.lastDownMs = Math.max(pipe.lastDownMs, this.#world.nowMs + this.#world.legMs(this, pipe.relay))
    this.#world.at(pipe.lastDownMs, () => {
      if (this.alive && pipe.open) this.#do(run)
    })
  }

  #effect(effect: ClientEffect): void {
    if (effect.type === 'dial') {
      this.#dial(effect)
      return
    }
    if (effect.type === 'write') {
      const pipe = this.#pipes.get(effect.key)
      if (pipe !== undefined) for (const piece of effect.pieces) this.#up(pipe, () => pipe.relay.bytes(pipe, piece))
      return
    }
    if (effect.type === 'hangUp') {
      const pipe = this.#pipes.get(effect.key)
      this.#pipes.delete(effect.key)
      if (pipe === undefined) return
      pipe.open = false
      this.#up(pipe, () => pipe.relay.closed(pipe))
      return
    }
    this.effects.push(effect)
    if (effect.type === 'streamEvent' && effect.event.type === 'message' && this.reads) this.#read(effect.handle)
  }

  #read(handle: number): void {
    const { streams } = this.machine.connection(handle)!
    const messages = this.messages.get(handle) ?? []
    this.messages.set(handle, messages)
    for (let message = streams.takeMessage(); message !== undefined; message = streams.takeMessage()) {
      messages.push(new TextDecoder().decode(message))
      if (this.echoes) streams.offerMessage(message.slice())
    }
    this.machine.changed(this.#world.nowMs, handle)
  }

  #dial(effect: Extract<ClientEffect, { type: 'dial' }>): void {
    const relay = this.#world.relay(effect.relayId)
    const pipe: Pipe = { key: effect.key, client: this, relay, open: true, relayKey: undefined, lastUpMs: 0, lastDownMs: 0 }
    this.#pipes.set(effect.key, pipe)
    this.#up(pipe, () => relay.dialled(pipe, effect.carrier, effect.first))
  }

  #up(pipe: Pipe, run: () => void): void {
    pipe.lastUpMs = Math.max(pipe.lastUpMs, this.#world.nowMs + this.#world.legMs(this, pipe.relay))
    this.#world.at(pipe.lastUpMs, run)
  }

  /** A machine that wants to be woken at once, again and again, would burn a processor in production. */
  #spinning(): void {
    if (this.#spinMs !== this.#world.nowMs) this.#spins = 0
    this.#spinMs = this.#world.nowMs
    this.#spins += 1
    if (this.#spins > 1_000) throw new Error('the client machine asks to be woken at once for ever')
  }
}

/** mulberry32: small, good enough for worlds. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let word = state
    word = Math.imul(word ^ (word >>> 15), word | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return ((word ^ (word >>> 14)) >>> 0) / 4_294_967_296
  }
}
