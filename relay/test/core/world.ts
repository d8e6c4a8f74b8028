/** A relay machine and raw clients (one HopLink each) in one process with a clock that only moves when told to. */

import {
  type CryptoProvider,
  type HopControl,
  HopLink,
  issueMesh,
  issueRelayCertificate,
  issueUserCertificate,
  type LinkEffect,
  type NewMesh,
  PACKET_KIND,
  type PacketHeader,
  type RelayIdentity,
  simulatorCrypto,
  type UserEntry,
  type UserIdentity,
  type UserList,
} from '@sennit/protocol'
import { type RelayEffect, type RelayLimits, RelayMachine } from '@sennit/relay/core'

const dayMs = 24 * 3_600_000

/** A small deterministic random source (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface WorldOptions {
  readonly seed?: number
  readonly limits?: Partial<RelayLimits>
  readonly users?: readonly string[]
}

export interface ClientOptions {
  readonly label?: string
  readonly instance?: number
  readonly address?: string
  readonly applications?: readonly string[]
  readonly epoch?: number
  readonly notAfterMs?: number
  readonly carrier?: string
  /** The relay's key is not known: XX. */
  readonly xx?: boolean
}

export class World {
  nowMs = 1_000_000_000_000
  readonly crypto: CryptoProvider
  readonly random: () => number
  readonly mesh: NewMesh
  readonly identity: RelayIdentity
  readonly machine: RelayMachine
  readonly clients = new Map<number, RawClient>()
  readonly effects: RelayEffect[] = []
  entries: UserEntry[]
  version = 1
  private nextKey = 1

  constructor(options: WorldOptions = {}) {
    this.random = seeded(options.seed ?? 1)
    this.crypto = simulatorCrypto(this.random)
    this.mesh = issueMesh(this.crypto, this.nowMs - dayMs)
    const staticKey = this.crypto.generateX25519()
    const certificate = issueRelayCertificate(this.crypto, this.mesh.keys.relayIssuer.privateKey, {
      meshId: this.mesh.trust.meshId,
      relayId: 'r1',
      staticKey: staticKey.publicKey,
      notBeforeMs: this.nowMs - dayMs,
      notAfterMs: this.nowMs + dayMs,
    })
    this.identity = { relayId: 'r1', staticKey, certificate }
    this.entries = (options.users ?? ['alice', 'bob', 'carol']).map((user) => ({ user, epoch: 1, revoked: false }))
    this.machine = new RelayMachine({
      crypto: this.crypto,
      random: this.random,
      identity: this.identity,
      trust: this.mesh.trust,
      users: this.users(),
      limits: options.limits ?? {},
    })
  }

  users(): UserList {
    return { version: this.version, expiresMs: this.nowMs + dayMs, users: this.entries }
  }

  changeUsers(change: (entries: UserEntry[]) => UserEntry[]): void {
    this.entries = change(this.entries)
    this.version += 1
    this.machine.usersChanged(this.nowMs, this.users())
    this.settle()
  }

  identityOf(user: string, options: ClientOptions = {}): UserIdentity {
    const identityKey = this.crypto.generateEd25519()
    const hopKey = this.crypto.generateX25519()
    const endKey = this.crypto.generateX25519()
    const certificate = issueUserCertificate(this.crypto, this.mesh.keys.userIssuer.privateKey, {
      meshId: this.mesh.trust.meshId,
      user,
      identityKey: identityKey.publicKey,
      hopKey: hopKey.publicKey,
      endKey: endKey.publicKey,
      applications: options.applications ?? [],
      epoch: options.epoch ?? 1,
      notBeforeMs: this.nowMs - dayMs,
      notAfterMs: options.notAfterMs ?? this.nowMs + dayMs,
    })
    return { user, identityKey, hopKey, endKey, certificate }
  }

  /** Attaches a client and lets everything settle; look at `client.closed` for a refusal. */
  attach(user: string, options: ClientOptions = {}): RawClient {
    const key = this.nextKey
    this.nextKey += 1
    const carrier = options.carrier ?? 'upgrade'
    const link = new HopLink({
      role: 'initiator',
      crypto: this.crypto,
      random: this.random,
      meshId: this.mesh.trust.meshId,
      carrier,
      software: 'test/1',
      trust: this.mesh.trust,
      relayId: 'r1',
      ...(options.xx === true ? {} : { relayKey: this.identity.staticKey.publicKey }),
      identity: this.identityOf(user, options),
      label: options.label ?? '',
      instance: bytes(16, options.instance ?? key),
    })
    const client = new RawClient(this, key, link)
    this.clients.set(key, client)
    this.machine.accepted(this.nowMs, key, { carrier, address: options.address ?? '192.0.2.1' })
    this.machine.bytes(this.nowMs, key, link.first(this.nowMs))
    this.settle()
    return client
  }

  /** Moves bytes until nobody has anything to say. */
  settle(): void {
    for (let turn = 0; turn < 100_000; turn += 1) {
      let moved = false
      for (let effect = this.machine.poll(); effect !== undefined; effect = this.machine.poll()) {
        moved = true
        this.effects.push(effect)
        if (effect.type === 'write') {
          const client = this.clients.get(effect.key)
          if (client !== undefined) client.take(effect.pieces)
        } else if (effect.type === 'close') this.clients.get(effect.key)?.hungUp(effect.reason)
      }
      for (const client of this.clients.values()) if (client.pump()) moved = true
      if (!moved) return
    }
    throw new Error('the world does not settle')
  }

  /** Moves time in steps, so that deadlines fire in order. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms
    for (;;) {
      let nextMs = this.machine.wakeAtMs() ?? endMs
      for (const client of this.clients.values()) nextMs = Math.min(nextMs, client.wakeAtMs() ?? endMs)
      this.nowMs = Math.min(endMs, Math.max(nextMs, this.nowMs))
      this.machine.wake(this.nowMs)
      for (const client of this.clients.values()) client.wake()
      this.settle()
      if (this.nowMs >= endMs && (this.machine.wakeAtMs() ?? Number.POSITIVE_INFINITY) > endMs) return
    }
  }
}

export class RawClient {
  readonly key: number
  readonly link: HopLink
  private readonly world: World
  readonly controls: HopControl[] = []
  readonly packets: { circuit: number; header: PacketHeader; bytes: number; pieces: Uint8Array[] }[] = []
  established = false
  /** The code of the end, as this client heard it. */
  closed: string | undefined
  /** What the relay's shell was told. */
  hungUpFor: string | undefined
  /** Reads nothing: what comes is kept aside. */
  frozen = false
  /** A full carrier: the relay is told so. */
  private full = false
  private readonly waiting: Uint8Array[] = []

  constructor(world: World, key: number, link: HopLink) {
    this.world = world
    this.key = key
    this.link = link
  }

  say(message: HopControl): this {
    this.link.sendControl(message)
    this.world.settle()
    return this
  }

  send(circuit: number, length: number, kind: number = PACKET_KIND.data, counter = 0): void {
    this.link.sendPacket(circuit, { form: 0, kind, epoch: 0, counter }, [bytes(length, counter)])
  }

  /** The first control message of a type, taken out. */
  heard<Type extends HopControl['type']>(type: Type): Extract<HopControl, { type: Type }> {
    const index = this.controls.findIndex((message) => message.type === type)
    if (index < 0)
      throw new Error(`expected ${type}, heard ${JSON.stringify(this.controls.map((message) => message.type))}, closed ${this.closed}`)
    return this.controls.splice(index, 1)[0] as Extract<HopControl, { type: Type }>
  }

  /** Like `heard`, undefined when there is none. */
  maybe<Type extends HopControl['type']>(type: Type): Extract<HopControl, { type: Type }> | undefined {
    return this.controls.some((message) => message.type === type) ? this.heard(type) : undefined
  }

  listen(application: string, from = '*', listenId = 1): this {
    return this.say({ type: 'listen', listenId, application, from })
  }

  connect(user: string, application: string, extra: Partial<Extract<HopControl, { type: 'connect' }>> = {}): this {
    return this.say({
      type: 'connect',
      requestId: 1,
      user,
      label: '',
      application,
      connectionId: bytes(16, 7),
      attempt: 1,
      instance: bytes(16, this.key),
      handshake: bytes(96, 5),
      ...extra,
    })
  }

  /** The carrier dies. */
  drop(): void {
    this.world.clients.delete(this.key)
    this.closed ??= 'dropped'
    this.world.machine.closed(this.world.nowMs, this.key, 'dropped')
    this.world.settle()
  }

  freeze(): void {
    this.frozen = true
  }

  /** Tells the relay that this client's carrier is full or not. */
  block(full: boolean): void {
    this.full = full
    this.world.machine.writable(this.world.nowMs, this.key, !full)
    if (!full) this.world.settle()
  }

  get isFull(): boolean {
    return this.full
  }

  thaw(): void {
    this.frozen = false
    for (const piece of this.waiting.splice(0)) this.link.receive(this.world.nowMs, piece)
    this.world.settle()
  }

  take(pieces: readonly Uint8Array[]): void {
    for (const piece of pieces) {
      if (this.frozen) this.waiting.push(piece)
      else this.link.receive(this.world.nowMs, piece)
    }
  }

  hungUp(reason: string): void {
    this.hungUpFor = reason
    this.world.clients.delete(this.key)
    this.pump()
    this.closed ??= reason
  }

  pump(): boolean {
    if (this.frozen) return false
    let moved = false
    for (let effect: LinkEffect | undefined = this.link.poll(); effect !== undefined; effect = this.link.poll()) {
      moved = true
      if (effect.type === 'write') for (const piece of effect.pieces) this.world.machine.bytes(this.world.nowMs, this.key, piece)
      else if (effect.type === 'control') this.controls.push(effect.message)
      else if (effect.type === 'established') this.established = true
      else if (effect.type === 'closed') this.closed = effect.code
      else if (effect.type === 'packet') {
        const length = effect.pieces.reduce((sum, piece) => sum + piece.length, 0)
        this.packets.push({ circuit: effect.circuit, header: effect.header, bytes: length, pieces: effect.pieces })
      }
    }
    return moved
  }

  wakeAtMs(): number | undefined {
    return this.frozen ? undefined : this.link.wakeAtMs()
  }

  wake(): void {
    if (!this.frozen) this.link.wake(this.world.nowMs)
  }
}

/** `length` bytes that begin with `value`. */
export function bytes(length: number, value: number): Uint8Array {
  const made = new Uint8Array(length)
  if (length >= 4) new DataView(made.buffer).setUint32(0, value)
  else made.fill(value)
  return made
}

/** Two attached clients with one circuit between them, by connect and answer. */
export function pair(
  world: World,
  first = 'alice',
  second = 'bob',
  instance?: number,
): { a: RawClient; b: RawClient; circuitA: number; circuitB: number; creditA: number } {
  const a = world.attach(first, instance === undefined ? {} : { instance })
  const b = world.attach(second)
  b.listen('chat').heard('listening')
  a.connect(second, 'chat')
  const { offerId } = b.heard('offer')
  b.say({ type: 'answer', offerId, handshake: bytes(64, 9) })
  const opened = b.heard('opened')
  const connected = a.heard('connected')
  return { a, b, circuitA: connected.circuit, circuitB: opened.circuit, creditA: connected.credit }
}
