// The world: one clock, one list of coming events, one source of chance, one mesh. Nothing in it runs in parallel and nothing sleeps; idle
// time costs nothing.
import {
  type CryptoProvider,
  issueMesh,
  issueRelayCertificate,
  issueUserCertificate,
  type NewMesh,
  type RelayIdentity,
  simulatorCrypto,
  type UserIdentity,
  type UserList,
} from '@sennit/protocol'
import { Coverage } from './coverage.ts'
import { Dice } from './dice.ts'
import { Digest } from './digest.ts'
import { EventHeap, type Timer } from './event-heap.ts'
import { Slab } from './slab.ts'
import { Violation } from './violation.ts'

/** The time of day when a world begins (2027); certificates are issued around it. */
export const worldEpochMs = 1_800_000_000_000
/** Certificates of a world are good for longer than any run, whatever its clocks do. */
const certificateLifeMs = 400 * 24 * 3_600_000
/** A host that wants a turn again and again at one instant would burn a processor in production. */
const turnsPerInstantMax = 10_000
/** Thousands of hosts may have something to do at one instant, such as the end of a run. */
const turnsPerHostMax = 100
/** Lines of a trace that are kept. */
const traceLinesMax = 2_000

export interface WorldOptions {
  readonly seed: number
  /** How many hosts there will be, roughly. @default a few hundred */
  readonly hosts?: number
  /** Keeps the last lines of what happened. @default false */
  readonly trace?: boolean
}

export class World {
  readonly dice: Dice
  readonly crypto: CryptoProvider
  readonly mesh: NewMesh
  readonly coverage: Coverage = new Coverage()
  readonly digest: Digest = new Digest()
  readonly slab: Slab = new Slab()
  /** What happened last, when the world is traced. */
  readonly trace: string[] = []
  readonly traced: boolean
  /** Milliseconds since the world began. */
  nowMs = 0
  events = 0
  readonly #heap = new EventHeap()
  readonly #turnsPerInstantMax: number
  readonly #identities = new Map<string, UserIdentity>()
  readonly #atOnce: (() => void)[] = []
  #instantMs = -1
  #instantEvents = 0
  #lastWhat = ''
  #lastWho = ''

  constructor(options: WorldOptions) {
    this.dice = new Dice(options.seed)
    this.traced = options.trace ?? false
    this.#turnsPerInstantMax = Math.max(turnsPerInstantMax, turnsPerHostMax * (options.hosts ?? 0))
    this.crypto = simulatorCrypto(this.dice.fork().next)
    this.mesh = issueMesh(this.crypto, worldEpochMs - certificateLifeMs)
    this.digest.number(options.seed)
  }

  at(atMs: number, run: () => void): void {
    this.#heap.add(Math.max(atMs, this.nowMs), run)
  }

  after(ms: number, run: () => void): void {
    this.#heap.add(this.nowMs + ms, run)
  }

  /** When a timer runs; whatever it was set to before counts no more. Infinity: never. */
  set(timer: Timer, atMs: number): void {
    this.#heap.set(timer, Math.max(atMs, this.nowMs))
  }

  /** Runs when the current event is over, before time goes on. */
  atOnce(run: () => void): void {
    this.#atOnce.push(run)
  }

  /** The next event. False when nothing will ever happen again, or not before `untilMs`; then it is `untilMs`. */
  step(untilMs: number): boolean {
    const atMs = this.#heap.nextAtMs()
    if (atMs === undefined || atMs > untilMs) {
      this.nowMs = Math.max(this.nowMs, untilMs)
      return false
    }
    this.nowMs = atMs
    if (atMs === this.#instantMs) {
      this.#instantEvents += 1
      if (this.#instantEvents > this.#turnsPerInstantMax)
        throw new Violation('time goes on', `events never end, the last one: ${this.#lastWhat} ${this.#lastWho}`)
    } else {
      this.#instantMs = atMs
      this.#instantEvents = 0
    }
    this.#heap.take()!()
    for (let index = 0; index < this.#atOnce.length; index++) this.#atOnce[index]!()
    this.#atOnce.length = 0
    return true
  }

  /** Runs until `done` or until `forMs` are over; whether it was done. */
  runUntil(done: () => boolean, forMs: number): boolean {
    const untilMs = this.nowMs + forMs
    while (!done()) if (!this.step(untilMs)) return done()
    return true
  }

  /**
   * An event: bytes or a carrier's open, close or dial reached a process, a timer fired, an application or the nemesis did something. It counts,
   * and it goes into the digest. What follows from it in the same turn is {@link followed}.
   */
  happened(what: string, who: string, number = 0): void {
    this.events += 1
    this.followed(what, who, number)
  }

  /** What a machine or a process did because of an event (a write, a hang-up, a word to its application): in the digest, not counted. */
  followed(what: string, who: string, number = 0): void {
    this.#lastWhat = what
    this.#lastWho = who
    this.digest.number(this.nowMs)
    this.digest.text(what)
    this.digest.text(who)
    this.digest.number(number)
  }

  /** A line of the trace; `line` is only called when somebody reads it. */
  note(line: () => string): void {
    if (!this.traced) return
    if (this.trace.length >= traceLinesMax * 2) this.trace.splice(0, traceLinesMax)
    this.trace.push(`${(this.nowMs / 1000).toFixed(4).padStart(9)}  ${line()}`)
  }

  /** The keys and certificate of a user, the same each time. */
  identity(user: string): UserIdentity {
    const known = this.#identities.get(user)
    if (known !== undefined) return known
    const { crypto } = this
    const keys = { identityKey: crypto.generateEd25519(), hopKey: crypto.generateX25519(), endKey: crypto.generateX25519() }
    const identity: UserIdentity = { user, ...keys, certificate: this.#certificate(user, keys, worldEpochMs + certificateLifeMs) }
    this.#identities.set(user, identity)
    return identity
  }

  /** The same keys, with a certificate that ends at this time of the world. */
  identityThatEnds(user: string, endsAtMs: number): UserIdentity {
    const identity = this.identity(user)
    return { ...identity, certificate: this.#certificate(user, identity, worldEpochMs + Math.floor(endsAtMs)) }
  }

  #certificate(user: string, keys: Pick<UserIdentity, 'identityKey' | 'hopKey' | 'endKey'>, notAfterMs: number): Uint8Array {
    const { crypto, mesh } = this
    return issueUserCertificate(crypto, mesh.keys.userIssuer.privateKey, {
      meshId: mesh.trust.meshId,
      user,
      identityKey: keys.identityKey.publicKey,
      hopKey: keys.hopKey.publicKey,
      endKey: keys.endKey.publicKey,
      notBeforeMs: worldEpochMs - certificateLifeMs,
      notAfterMs,
    })
  }

  /** `endsAtMs`: the certificate ends at this time of the world. */
  relayIdentity(relayId: string, endsAtMs: number = certificateLifeMs): RelayIdentity {
    const { crypto, mesh } = this
    const staticKey = crypto.generateX25519()
    const certificate = issueRelayCertificate(crypto, mesh.keys.relayIssuer.privateKey, {
      meshId: mesh.trust.meshId,
      relayId,
      staticKey: staticKey.publicKey,
      notBeforeMs: worldEpochMs - certificateLifeMs,
      notAfterMs: worldEpochMs + Math.floor(endsAtMs),
    })
    return { relayId, staticKey, certificate }
  }

  userList(users: readonly string[]): UserList {
    return {
      version: 1,
      expiresMs: worldEpochMs + certificateLifeMs,
      users: [...new Set(users)].map((user) => ({ user, epoch: 0, revoked: false })),
    }
  }
}
