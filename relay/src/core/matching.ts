/**
 * Matching: who listens on which name, and who asks for whom. A relay forwards a request to a live listener or holds it; it decides alone only
 * self, not registered, not allowed and both passive (connection.md 14). "Exists" and "rejected" are the other end's words, passed on.
 */

import { compareBytes, type HopControl, hex, type ResultCode, utf8 } from '@sennit/protocol'
import { type Attachment, mayUse } from './attachment.ts'
import type { Circuits } from './circuits.ts'
import type { RelayCore } from './core.ts'
import { newConnectionShare } from './joins.ts'

/** One listening: an application of a client, for everybody (`*`) or one user. */
export interface Listener {
  readonly attachment: Attachment
  readonly listenId: number
  readonly application: string
  readonly from: string
}

/** One request of a caller, held or offered to a listener. */
export interface Request {
  readonly attachment: Attachment
  readonly ask: ConnectMessage
  readonly target: string
  state:
    | { readonly type: 'held' }
    | { readonly type: 'offered'; readonly to: Attachment; readonly offerId: number; readonly crossing: boolean }
}

type ConnectMessage = Extract<HopControl, { type: 'connect' }>
type ListenMessage = Extract<HopControl, { type: 'listen' }>

/** A name in use: one client instance holds it, with one listener per `from`. */
interface Name {
  readonly instance: string
  readonly listeners: Map<string, Listener>
  claim: Claim | undefined
}

/** Another instance wants a held name: the holder is being probed. */
interface Claim {
  readonly attachment: Attachment
  readonly message: ListenMessage
  readonly deadlineMs: number
}

/** A silent holder loses its name after this, or four round trips if that is longer (connection.md 17). */
const probeMs = 2000

/** Longest application id and label; both travel in many messages. */
const nameCharactersMax = 128

export class Matching {
  private readonly core: RelayCore
  private readonly circuits: Circuits
  private readonly names = new Map<string, Name>()
  private readonly held = new Map<string, Set<Request>>()
  private readonly claims = new Set<string>()
  listens = 0
  heldCount = 0

  constructor(core: RelayCore, circuits: Circuits) {
    this.core = core
    this.circuits = circuits
  }

  listen(nowMs: number, attachment: Attachment, message: ListenMessage): void {
    const who = attachment.who!
    const { application, from } = message
    if (!goodName(application) || application === '' || !goodName(from) || from === '') {
      this.refuseListen(attachment, message, 'not_allowed', 'the application id or user name is malformed')
      return
    }
    if (!mayUse(who, application)) {
      this.refuseListen(attachment, message, 'not_allowed', `the certificate of ${who.user} does not allow ${application}`)
      return
    }
    if (this.mutuallyPassive(attachment, application, from)) {
      this.refuseListen(attachment, message, 'both_passive', `${from} listens for ${who.user} already; one of you has to connect`)
      return
    }
    const key = nameOf(who.user, who.label, application)
    const name = this.names.get(key)
    if (name !== undefined && name.instance !== who.instance) {
      this.claim(nowMs, key, name, attachment, message)
      return
    }
    this.register(nowMs, key, attachment, message)
  }

  unlisten(nowMs: number, attachment: Attachment, listenId: number): void {
    const listener = attachment.listens.get(listenId)
    if (listener !== undefined) {
      this.unregister(nowMs, listener)
      return
    }
    for (const key of this.claims) {
      const name = this.names.get(key)
      if (name?.claim?.attachment === attachment && name.claim.message.listenId === listenId) this.dropClaim(key, name)
    }
  }

  connect(nowMs: number, attachment: Attachment, ask: ConnectMessage): void {
    const who = attachment.who!
    const old = attachment.requests.get(ask.requestId)
    if (old !== undefined) this.forget(old)
    const { user, label, application } = ask
    if (user === '*') {
      this.answerCode(attachment, ask, 'both_passive', 'a request names one user; "*" is for listening')
      return
    }
    if (user === who.user && label === who.label) {
      this.answerCode(attachment, ask, 'self', 'cannot connect a client to itself')
      return
    }
    if (!goodName(application) || application === '' || !goodName(label)) {
      this.answerCode(attachment, ask, 'not_allowed', 'the application id or label is malformed')
      return
    }
    if (!this.core.isRegistered(user)) {
      this.answerCode(attachment, ask, 'not_registered', `user ${user} is not registered`)
      return
    }
    if (!mayUse(who, application)) {
      this.answerCode(attachment, ask, 'not_allowed', `the certificate of ${who.user} does not allow ${application}`)
      return
    }
    const { limits } = this.core
    if (ask.handshake.length > limits.handshakeBytes || attachment.requests.size >= limits.requestsPerAttachment) {
      this.answerCode(attachment, ask, 'limit', 'too many or too large requests on this attachment')
      return
    }
    if (!this.core.takeLookup(nowMs, who.user)) {
      this.answerCode(attachment, ask, 'limit', 'too many requests a second')
      return
    }
    if (this.core.pressure() > newConnectionShare) {
      this.answerCode(attachment, ask, 'limit', 'the relay is short of memory')
      return
    }
    const target = nameOf(user, label, application)
    const request: Request = { attachment, ask, target, state: { type: 'held' } }
    const listeners = this.names.get(target)?.listeners
    if (listeners !== undefined) {
      const listener = listenerFor(listeners, who.user)
      if (listener === undefined) {
        this.answerCode(attachment, ask, 'not_allowed', `${user} does not listen for ${who.user}`)
        return
      }
      if (listener.attachment.offers.size < limits.offersPerAttachment) {
        attachment.requests.set(ask.requestId, request)
        this.offer(request, listener.attachment, listener.listenId, false)
        // An elder that listens and calls lets nobody go first: its own held request must reach the younger, or both wait for ever.
        this.crossing(request)
        return
      }
    }
    if (this.heldCount >= limits.heldRequests) {
      this.answerCode(attachment, ask, 'limit', 'the relay holds too many requests')
      return
    }
    attachment.requests.set(ask.requestId, request)
    this.hold(request)
    this.crossing(request)
  }

  cancel(attachment: Attachment, requestId: number): void {
    const request = attachment.requests.get(requestId)
    if (request !== undefined) this.forget(request)
  }

  answer(nowMs: number, attachment: Attachment, offerId: number, handshake: Uint8Array): void {
    const request = attachment.offers.get(offerId)
    if (request === undefined) return
    this.forget(request)
    const caller = request.attachment
    if (handshake.length > this.core.limits.handshakeBytes) {
      this.answerCode(caller, request.ask, 'rejected', 'the answer of the other end is too large')
      return
    }
    const pair = this.circuits.open(nowMs, caller, attachment)
    if (pair === undefined) {
      this.answerCode(caller, request.ask, 'limit', 'one of both ends has too many circuits')
      return
    }
    this.core.answers.add('connected')
    const { requestId } = request.ask
    this.core.say(attachment, { type: 'opened', offerId, circuit: pair.second.circuit, credit: pair.second.limitBytes })
    this.core.say(caller, { type: 'connected', requestId, circuit: pair.first.circuit, credit: pair.first.limitBytes, handshake })
    this.offerNext(attachment)
  }

  reject(attachment: Attachment, offerId: number, code: string): void {
    const request = attachment.offers.get(offerId)
    if (request === undefined || request.state.type !== 'offered') return
    if (request.state.crossing) {
      this.takeBack(request)
      this.hold(request)
    } else {
      this.forget(request)
      this.answerCode(request.attachment, request.ask, rejectCodes.get(code) ?? 'rejected', code.slice(0, nameCharactersMax))
    }
    this.offerNext(attachment)
  }

  /** The attachment answered a probe: whoever claims one of its names is refused. */
  alive(attachment: Attachment): void {
    for (const key of this.claims) {
      const name = this.names.get(key)
      if (name?.claim === undefined || ![...name.listeners.values()].some((listener) => listener.attachment === attachment)) continue
      const { claim } = name
      this.dropClaim(key, name)
      this.refuseListen(claim.attachment, claim.message, 'name_taken', 'another client holds this name and is alive')
    }
  }

  ended(nowMs: number, attachment: Attachment): void {
    for (const key of this.claims) {
      const name = this.names.get(key)
      if (name?.claim?.attachment === attachment) this.dropClaim(key, name)
    }
    for (const request of [...attachment.requests.values()]) this.forget(request)
    for (const listener of [...attachment.listens.values()]) this.unregister(nowMs, listener)
    for (const request of [...attachment.offers.values()]) {
      this.takeBack(request)
      this.hold(request)
      this.offerHeld(request.target)
    }
  }

  /** The list of users changed: requests for somebody who is no longer in it end. */
  usersChanged(): void {
    for (const requests of [...this.held.values()]) {
      for (const request of [...requests]) {
        if (this.core.isRegistered(request.ask.user)) continue
        this.forget(request)
        this.answerCode(request.attachment, request.ask, 'not_registered', `user ${request.ask.user} is not registered`)
      }
    }
  }

  wakeAtMs(): number | undefined {
    let nextMs: number | undefined
    for (const key of this.claims) {
      const deadlineMs = this.names.get(key)?.claim?.deadlineMs
      if (deadlineMs !== undefined && (nextMs === undefined || deadlineMs < nextMs)) nextMs = deadlineMs
    }
    return nextMs
  }

  wake(nowMs: number): void {
    for (const key of this.claims) {
      const name = this.names.get(key)
      if (name?.claim === undefined || name.claim.deadlineMs > nowMs) continue
      this.core.log('info', 'name_superseded', { name: key.replaceAll('\0', '/') })
      // Taking the last listener away hands the name to the claim.
      for (const listener of [...name.listeners.values()]) this.unregister(nowMs, listener)
    }
  }

  private register(nowMs: number, key: string, attachment: Attachment, message: ListenMessage): void {
    const who = attachment.who!
    const { listenId, application, from } = message
    const sameId = attachment.listens.get(listenId)
    if (sameId !== undefined && keyOf(sameId) !== key) this.unregister(nowMs, sameId)
    const name = this.names.get(key) ?? { instance: who.instance, listeners: new Map(), claim: undefined }
    this.names.set(key, name)
    // What is replaced under this name goes without giving the name on.
    for (const replaced of [attachment.listens.get(listenId), name.listeners.get(from)])
      if (replaced !== undefined) this.take(name, replaced)
    if (!this.core.takeShare(who.user, 'listens')) {
      this.refuseListen(attachment, message, 'limit', `${who.user} listens on too many names`)
      this.giveOn(nowMs, key, name)
      return
    }
    const listener: Listener = { attachment, listenId, application, from }
    name.listeners.set(from, listener)
    attachment.listens.set(listenId, listener)
    this.listens += 1
    this.core.say(attachment, { type: 'listening', listenId })
    this.offerHeld(key)
  }

  private unregister(nowMs: number, listener: Listener): void {
    const key = keyOf(listener)
    const name = this.names.get(key)
    if (name === undefined || !this.take(name, listener)) return
    this.giveOn(nowMs, key, name)
  }

  /** Takes a listener out of its name and its attachment. */
  private take(name: Name, listener: Listener): boolean {
    const { attachment, listenId, from } = listener
    if (name.listeners.get(from) !== listener) return false
    name.listeners.delete(from)
    if (attachment.listens.get(listenId) === listener) attachment.listens.delete(listenId)
    this.listens -= 1
    this.core.giveShare(attachment.who!.user, 'listens')
    return true
  }

  /** A name without listeners goes to whoever claims it. */
  private giveOn(nowMs: number, key: string, name: Name): void {
    if (name.listeners.size > 0) return
    this.names.delete(key)
    this.claims.delete(key)
    const { claim } = name
    if (claim !== undefined && !claim.attachment.ended) this.register(nowMs, key, claim.attachment, claim.message)
  }

  private claim(nowMs: number, key: string, name: Name, attachment: Attachment, message: ListenMessage): void {
    if (name.claim !== undefined && name.claim.attachment.who!.instance !== attachment.who!.instance) {
      this.refuseListen(attachment, message, 'name_taken', 'another client holds this name')
      return
    }
    const holders = new Set([...name.listeners.values()].map((listener) => listener.attachment))
    let rttMs = 0
    for (const holder of holders) {
      rttMs = Math.max(rttMs, holder.rttMs ?? 0)
      holder.link.probe(nowMs)
      this.core.touch(holder)
    }
    name.claim = { attachment, message, deadlineMs: nowMs + Math.max(probeMs, 4 * rttMs) }
    this.claims.add(key)
  }

  private dropClaim(key: string, name: Name): void {
    name.claim = undefined
    this.claims.delete(key)
  }

  /** Both listen for exactly each other and neither has asked: they would wait for ever. */
  private mutuallyPassive(attachment: Attachment, application: string, from: string): boolean {
    const who = attachment.who!
    if (from === '*' || from === who.user) return false
    const theirs = this.names.get(nameOf(from, '', application))?.listeners.get(who.user)
    if (theirs === undefined) return false
    const asks = (asker: Attachment, user: string) =>
      [...asker.requests.values()].some((request) => request.ask.user === user && request.ask.application === application)
    return !asks(attachment, from) && !asks(theirs.attachment, who.user)
  }

  private offerHeld(key: string): void {
    for (const request of [...(this.held.get(key) ?? [])]) {
      const listener = listenerFor(this.names.get(key)?.listeners ?? new Map(), request.attachment.who!.user)
      if (listener === undefined || listener.attachment.offers.size >= this.core.limits.offersPerAttachment) continue
      this.takeBack(request)
      this.offer(request, listener.attachment, listener.listenId, false)
    }
  }

  /** A place at a listener is free again. */
  private offerNext(attachment: Attachment): void {
    if (attachment.offers.size + 1 < this.core.limits.offersPerAttachment || this.heldCount === 0 || attachment.ended) return
    const who = attachment.who!
    for (const listener of [...attachment.listens.values()]) this.offerHeld(nameOf(who.user, who.label, listener.application))
  }

  /** Two callers ask for each other and neither listens here: the elder's request (the smaller name) is offered to the younger. */
  private crossing(request: Request): void {
    const who = request.attachment.who!
    for (const other of this.held.get(nameOf(who.user, who.label, request.ask.application)) ?? []) {
      const them = other.attachment.who!
      if (them.user !== request.ask.user || them.label !== request.ask.label) continue
      const elderIsOther = compareBytes(utf8(`${them.user}/${them.label}`), utf8(`${who.user}/${who.label}`)) < 0
      const [elder, younger] = elderIsOther ? [other, request] : [request, other]
      if (elder.state.type !== 'held') continue
      this.takeBack(elder)
      this.offer(elder, younger.attachment, 0, true)
      return
    }
  }

  private offer(request: Request, to: Attachment, listenId: number, crossing: boolean): void {
    const { ask, attachment } = request
    const who = attachment.who!
    const offerId = to.nextOffer
    to.nextOffer += 1
    to.offers.set(offerId, request)
    request.state = { type: 'offered', to, offerId, crossing }
    this.core.answers.add('offered')
    this.core.say(to, {
      type: 'offer',
      offerId,
      listenId,
      user: who.user,
      label: who.label,
      application: ask.application,
      connectionId: ask.connectionId,
      attempt: ask.attempt,
      instance: ask.instance,
      ...(ask.previous === undefined ? {} : { previous: ask.previous }),
      handshake: ask.handshake,
    })
  }

  private hold(request: Request): void {
    request.state = { type: 'held' }
    const requests = this.held.get(request.target) ?? new Set()
    this.held.set(request.target, requests)
    requests.add(request)
    this.heldCount += 1
    this.answerCode(request.attachment, request.ask, 'wait', `${request.ask.user} is not here yet`)
  }

  /** Takes a request out of where it waits, held or offered. */
  private takeBack(request: Request): void {
    if (request.state.type === 'offered') {
      request.state.to.offers.delete(request.state.offerId)
      return
    }
    const requests = this.held.get(request.target)
    if (requests?.delete(request) !== true) return
    this.heldCount -= 1
    if (requests.size === 0) this.held.delete(request.target)
  }

  private forget(request: Request): void {
    this.takeBack(request)
    const { requests } = request.attachment
    if (requests.get(request.ask.requestId) === request) requests.delete(request.ask.requestId)
  }

  private answerCode(attachment: Attachment, ask: ConnectMessage, code: ResultCode, message: string): void {
    this.core.answers.add(code)
    if (code === 'limit' || code === 'not_allowed') this.core.refusals.add(`connect_${code}`)
    this.core.say(attachment, { type: 'result', requestId: ask.requestId, code, message })
  }

  private refuseListen(
    attachment: Attachment,
    message: ListenMessage,
    code: 'name_taken' | 'not_allowed' | 'limit' | 'both_passive',
    text: string,
  ): void {
    this.core.refusals.add(`listen_${code}`)
    this.core.say(attachment, { type: 'listenRefused', listenId: message.listenId, code, message: text })
  }
}

/** Words of a listener that have a result code of their own; all others are `rejected` with the word as message. */
const rejectCodes: ReadonlyMap<string, ResultCode> = new Map([
  ['exists', 'exists'],
  ['not_allowed', 'not_allowed'],
  ['limit', 'limit'],
  ['self', 'self'],
])

function listenerFor(listeners: ReadonlyMap<string, Listener>, user: string): Listener | undefined {
  return listeners.get(user) ?? listeners.get('*')
}

function keyOf(listener: Listener): string {
  const who = listener.attachment.who!
  return nameOf(who.user, who.label, listener.application)
}

/** The parts cannot contain NUL (`goodName`), so no two names share a key. */
function nameOf(user: string, label: string, application: string): string {
  return `${user}\0${label}\0${application}`
}

function goodName(text: string): boolean {
  return text.length <= nameCharactersMax && !text.includes('\0')
}

/** Hex of an instance id, as names are compared by it. */
export function instanceOf(instance: Uint8Array): string {
  return hex(instance)
}
