/**
 * Attempts of callers before key confirmation: nothing is registered, displaced or allocated for them beyond the handshake and its answer,
 * which is kept by connection id, so that the same request over another relay is only one more path.
 */
import {
  type CryptoProvider,
  concat,
  type EndHandshakeResult,
  FEATURE,
  type HopControl,
  hex,
  type KeyMode,
  ListenerHandshake,
  type MeshTrust,
  PACKET_KIND,
  type PacketHeader,
  SennitError,
  type UserIdentity,
} from '@sennit/protocol'
import type { Attachment } from '../attach/attachment.ts'
import { isPeerRefusal } from './call-failure.ts'
import type { Circuit, CircuitOwner, CircuitTable } from './circuits.ts'
import type { ManagedConnection } from './managed-connection.ts'
import { fullName } from './names.ts'
import type { ClientTuning } from './tuning.ts'

export type Offer = Extract<HopControl, { type: 'offer' }>

/** Why an offer is taken: somebody listens, or somebody here calls the same peer. */
export type Acceptance = { readonly listenHandle?: number | undefined; readonly keyModes: readonly KeyMode[] } | { readonly reject: string }

/** What incoming attempts need of the client. */
export interface IncomingHost {
  readonly crypto: CryptoProvider
  readonly identity: UserIdentity
  readonly trust: MeshTrust
  readonly instance: Uint8Array
  readonly ownName: string
  /** What this end can, told in every handshake. */
  readonly features: number
  readonly tuning: ClientTuning
  readonly circuits: CircuitTable
  accepts(offer: Offer): Acceptance
  /** A live connection of this id. */
  holds(id: string): ManagedConnection | undefined
  /** A caller's certificate or words were refused. */
  callerRefused(offer: Offer, relayId: string, code: string, message: string): void
  /** A caller does not take us for who we say we are. */
  refusedByCaller(offer: Offer, relayId: string, code: string): void
  /** Key confirmation: decide, and make the connection, or undefined to drop it. */
  decide(nowMs: number, incoming: Incoming, result: EndHandshakeResult): ManagedConnection | undefined
}

/** One attempt of a caller. */
export class Incoming implements CircuitOwner {
  readonly id: string
  readonly offer: Offer
  readonly listenHandle: number | undefined
  readonly expiresAtMs: number
  readonly message2: Uint8Array
  readonly #host: IncomingHost
  readonly #handshake: ListenerHandshake
  readonly #circuits = new Set<Circuit>()
  #connection: ManagedConnection | undefined
  #refused = false

  /** @throws SennitError when the first message is not for us */
  constructor(host: IncomingHost, offer: Offer, acceptance: Exclude<Acceptance, { reject: string }>, nowMs: number) {
    const { listenHandle, keyModes } = acceptance
    this.id = hex(offer.connectionId)
    this.offer = offer
    this.listenHandle = listenHandle
    this.expiresAtMs = nowMs + host.tuning.incomingMs
    this.#host = host
    this.#handshake = new ListenerHandshake({
      crypto: host.crypto,
      identity: host.identity,
      trust: host.trust,
      application: offer.application,
      caller: fullName(offer.user, offer.label),
      listener: host.ownName,
      connectionId: offer.connectionId,
      keyModes,
      features: host.features | FEATURE.acksInData,
      instance: host.instance,
      nowMs,
    })
    this.message2 = this.#handshake.answer(offer.handshake)
  }

  /** What the caller said of itself; authenticated once confirmed. */
  get request(): { readonly attempt: number; readonly previous: Uint8Array | undefined; readonly paths: string } {
    return this.#handshake.request!
  }

  /** The same request over another relay. @throws SennitError when its bytes differ */
  answerAgain(message1: Uint8Array): Uint8Array {
    return this.#handshake.answer(message1)
  }

  opened(nowMs: number, attachment: Attachment, number: number, creditBytes: number): void {
    const circuit = this.#host.circuits.add(attachment, number, this, creditBytes, attachment.relay)
    if (this.#connection !== undefined && this.#connection.stage !== 'over') this.#connection.addCircuit(nowMs, circuit)
    // Confirmed once and over: a repeated third message would make another connection under the same keys and numbers.
    else if (this.#refused || this.#connection !== undefined) this.#host.circuits.close(circuit, 'refused')
    else this.#circuits.add(circuit)
  }

  packet(nowMs: number, circuit: Circuit, header: PacketHeader, pieces: Uint8Array[]): void {
    // Anything else before the third message is under keys that do not exist yet.
    if (header.kind !== PACKET_KIND.handshake) return
    let result: EndHandshakeResult
    try {
      result = this.#handshake.confirm(concat(pieces))
    } catch (error) {
      if (!(error instanceof SennitError)) throw error
      this.#circuits.delete(circuit)
      this.#host.circuits.close(circuit, error.code)
      this.#host.callerRefused(this.offer, circuit.relayId, error.code, error.message)
      return
    }
    this.#connection = this.#host.decide(nowMs, this, result)
    this.#refused = this.#connection === undefined
    for (const path of this.#circuits) {
      if (this.#connection === undefined) this.#host.circuits.close(path, 'refused')
      else this.#connection.addCircuit(nowMs, path, path === circuit)
    }
    this.#circuits.clear()
  }

  credit(_nowMs: number, circuit: Circuit, limit: number): void {
    circuit.creditBytes = limit
  }

  circuitClosed(_nowMs: number, circuit: Circuit, reason: string): void {
    this.#circuits.delete(circuit)
    if (this.#connection === undefined && isPeerRefusal(reason)) this.#host.refusedByCaller(this.offer, circuit.relayId, reason)
  }

  /** Nobody confirmed it in time. */
  expire(): void {
    for (const circuit of this.#circuits) this.#host.circuits.close(circuit, 'not_confirmed')
    this.#circuits.clear()
  }
}

/** All of them, by connection id, bounded in number and time. */
export class IncomingAttempts {
  readonly #host: IncomingHost
  readonly #byId = new Map<string, Incoming>()
  readonly #byOffer = new Map<string, Incoming>()

  constructor(host: IncomingHost) {
    this.#host = host
  }

  offer(nowMs: number, attachment: Attachment, offer: Offer): void {
    const id = hex(offer.connectionId)
    const previous = offer.previous === undefined ? undefined : this.#host.holds(hex(offer.previous))
    if (previous !== undefined && previous.facts.peer.user === offer.user) {
      // The caller lost its paths, not we the connection: it is answered by joins alone.
      previous.joinEverywhere(nowMs)
      this.#reject(attachment, offer, 'held')
      return
    }
    const known = this.#byId.get(id)
    if (known === undefined && this.#host.holds(id) !== undefined) {
      this.#reject(attachment, offer, 'held')
      return
    }
    try {
      const incoming = known ?? this.#begin(nowMs, offer)
      if (typeof incoming === 'string') {
        this.#reject(attachment, offer, incoming)
        return
      }
      const handshake = incoming.answerAgain(offer.handshake)
      this.#byOffer.set(offerKey(attachment, offer.offerId), incoming)
      attachment.sendControl({ type: 'answer', offerId: offer.offerId, handshake })
    } catch (error) {
      if (!(error instanceof SennitError)) throw error
      this.#reject(attachment, offer, error.code)
    }
  }

  opened(nowMs: number, attachment: Attachment, offerId: number, circuit: number, creditBytes: number): void {
    const key = offerKey(attachment, offerId)
    const incoming = this.#byOffer.get(key)
    this.#byOffer.delete(key)
    if (incoming === undefined) attachment.sendControl({ type: 'circuitClose', circuit, reason: 'not_wanted' })
    else incoming.opened(nowMs, attachment, circuit, creditBytes)
  }

  detached(attachment: Attachment): void {
    const prefix = `${attachment.relayId}/`
    for (const key of this.#byOffer.keys()) if (key.startsWith(prefix)) this.#byOffer.delete(key)
  }

  wake(nowMs: number): void {
    // In the order of their making, which is the order of their ends.
    for (const incoming of this.#byId.values()) {
      if (nowMs < incoming.expiresAtMs) break
      this.#forget(incoming)
    }
  }

  wakeAtMs(): number {
    if (this.#byId.size === 0) return Number.POSITIVE_INFINITY
    for (const incoming of this.#byId.values()) return incoming.expiresAtMs
    return Number.POSITIVE_INFINITY
  }

  #begin(nowMs: number, offer: Offer): Incoming | string {
    const acceptance = this.#host.accepts(offer)
    if ('reject' in acceptance) return acceptance.reject
    const incoming = new Incoming(this.#host, offer, acceptance, nowMs)
    if (this.#byId.size >= this.#host.tuning.incomingMax)
      for (const oldest of this.#byId.values()) return this.#replaceOldest(oldest, incoming)
    this.#byId.set(incoming.id, incoming)
    return incoming
  }

  #replaceOldest(oldest: Incoming, incoming: Incoming): Incoming {
    this.#forget(oldest)
    this.#byId.set(incoming.id, incoming)
    return incoming
  }

  #forget(incoming: Incoming): void {
    incoming.expire()
    this.#byId.delete(incoming.id)
    for (const [key, other] of this.#byOffer) if (other === incoming) this.#byOffer.delete(key)
  }

  #reject(attachment: Attachment, offer: Offer, code: string): void {
    attachment.sendControl({ type: 'reject', offerId: offer.offerId, code })
  }
}

function offerKey(attachment: Attachment, offerId: number): string {
  return `${attachment.relayId}/${offerId}`
}
