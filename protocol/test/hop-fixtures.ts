/** A mesh with one relay and users, and two hop links joined by a pipe with virtual time; a test sets only what matters to it. */

import {
  type CryptoProvider,
  HopLink,
  type HopLinkOptions,
  issueMesh,
  issueRelayCertificate,
  issueUserCertificate,
  type LinkEffect,
  type NewMesh,
  type PacketHeader,
  type RelayCertificate,
  type RelayIdentity,
  type UserCertificateRequest,
  type UserIdentity,
} from '../src/index.ts'
import { seededRandom } from './seeded-random.ts'

export const startMs = 1_800_000_000_000

export interface HopWorld {
  readonly crypto: CryptoProvider
  readonly mesh: NewMesh
  readonly relay: RelayIdentity
  readonly alice: UserIdentity
}

export function hopWorld(crypto: CryptoProvider): HopWorld {
  const mesh = issueMesh(crypto, startMs)
  return { crypto, mesh, relay: relayOf(crypto, mesh), alice: userOf(crypto, mesh) }
}

export function relayOf(crypto: CryptoProvider, mesh: NewMesh, wishes: Partial<RelayCertificate> = {}): RelayIdentity {
  const staticKey = crypto.generateX25519()
  const certificate = issueRelayCertificate(crypto, mesh.keys.relayIssuer.privateKey, {
    meshId: mesh.trust.meshId,
    relayId: 'r1',
    staticKey: staticKey.publicKey,
    notBeforeMs: startMs - 1_000,
    notAfterMs: startMs + 100_000_000,
    ...wishes,
  })
  return { relayId: wishes.relayId ?? 'r1', staticKey, certificate }
}

export function userOf(crypto: CryptoProvider, mesh: NewMesh, wishes: Partial<UserCertificateRequest> = {}): UserIdentity {
  const [identityKey, hopKey, endKey] = [crypto.generateEd25519(), crypto.generateX25519(), crypto.generateX25519()]
  const certificate = issueUserCertificate(crypto, mesh.keys.userIssuer.privateKey, {
    meshId: mesh.trust.meshId,
    user: 'alice',
    identityKey: identityKey.publicKey,
    hopKey: hopKey.publicKey,
    endKey: endKey.publicKey,
    notBeforeMs: startMs - 1_000,
    notAfterMs: startMs + 100_000_000,
    ...wishes,
  })
  return { user: wishes.user ?? 'alice', identityKey, hopKey, endKey, certificate }
}

export function clientOptions(world: HopWorld, wishes: Partial<HopLinkOptions> = {}): HopLinkOptions {
  return {
    role: 'initiator',
    crypto: world.crypto,
    random: seededRandom(1),
    meshId: world.mesh.trust.meshId,
    carrier: 'upgrade',
    software: 'sennit/0.1.0',
    trust: world.mesh.trust,
    relayId: 'r1',
    identity: world.alice,
    label: 'laptop',
    instance: new Uint8Array(16).fill(7),
    ...wishes,
  }
}

export function relayOptions(world: HopWorld, wishes: Partial<HopLinkOptions> = {}): HopLinkOptions {
  return {
    role: 'responder',
    crypto: world.crypto,
    random: seededRandom(2),
    meshId: world.mesh.trust.meshId,
    carrier: 'upgrade',
    software: 'sennit/0.1.0',
    trust: world.mesh.trust,
    relayIdentity: world.relay,
    ...wishes,
  }
}

type Side = 'client' | 'relay'
type Of<T extends LinkEffect['type']> = Extract<LinkEffect, { type: T }>

/** Changes what one side wrote before the other gets it. */
export type Tamper = (from: Side, bytes: Uint8Array, offset: number) => readonly Uint8Array[]

export const header: PacketHeader = { form: 0, kind: 0, epoch: 0, counter: 0 }

/** Two links, joined. Effects are kept per side. */
export class LinkPair {
  readonly client: HopLink
  readonly relay: HopLink
  readonly effects: Record<Side, LinkEffect[]> = { client: [], relay: [] }
  /** Bytes written so far, by side. */
  readonly written: Record<Side, number> = { client: 0, relay: 0 }
  /** Sides whose bytes get lost. */
  readonly cut = new Set<Side>()
  nowMs = startMs
  readonly #tamper: Tamper

  constructor(client: HopLinkOptions, relay: HopLinkOptions, tamper: Tamper = (_from, bytes) => [bytes]) {
    this.client = new HopLink(client)
    this.relay = new HopLink(relay)
    this.#tamper = tamper
  }

  /** Runs the handshake, and all that follows by itself. */
  start(): this {
    this.#deliver('client', this.client.first(this.nowMs))
    return this.pump()
  }

  /** Moves bytes until both are still. */
  pump(): this {
    let moved = true
    while (moved) {
      moved = this.#drain('client')
      moved = this.#drain('relay') || moved
    }
    return this
  }

  /** Lets time pass, waking both when they ask for it. */
  advance(ms: number): this {
    const untilMs = this.nowMs + ms
    for (;;) {
      const dueMs = Math.min(this.client.wakeAtMs() ?? Number.POSITIVE_INFINITY, this.relay.wakeAtMs() ?? Number.POSITIVE_INFINITY)
      if (dueMs > untilMs) break
      this.nowMs = Math.max(this.nowMs, dueMs)
      this.client.wake(this.nowMs)
      this.relay.wake(this.nowMs)
      this.pump()
    }
    this.nowMs = untilMs
    return this
  }

  of<T extends LinkEffect['type']>(side: Side, type: T): Of<T>[] {
    return this.effects[side].filter((effect): effect is Of<T> => effect.type === type)
  }

  /** The code each side closed with; `<` marks that the other side said so. */
  codes(): { client: string | undefined; relay: string | undefined } {
    const code = (side: Side): string | undefined => {
      const closed = this.of(side, 'closed')[0]
      return closed === undefined ? undefined : `${closed.remote ? '<' : ''}${closed.code}`
    }
    return { client: code('client'), relay: code('relay') }
  }

  #drain(side: Side): boolean {
    let moved = false
    for (let effect = this[side].poll(); effect !== undefined; effect = this[side].poll()) {
      moved = true
      this.effects[side].push(effect)
      if (effect.type === 'write') for (const piece of effect.pieces) this.#deliver(side, piece)
    }
    return moved
  }

  #deliver(from: Side, bytes: Uint8Array): void {
    const offset = this.written[from]
    this.written[from] += bytes.length
    if (this.cut.has(from)) return
    const to = from === 'client' ? this.relay : this.client
    for (const chunk of this.#tamper(from, bytes, offset)) to.receive(this.nowMs, chunk)
  }
}
