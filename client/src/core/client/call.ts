/**
 * One call: asked by rank, 250 ms apart, the same bytes everywhere, until one relay brings the peer and the peer says yes (connection.md 13).
 * A call with `recoverOf` asks for a peer we have lost (21a): its answer tells whether that peer still knows the connection.
 */
import {
  CallerHandshake,
  type CryptoProvider,
  FEATURE,
  type HopControl,
  type KeyMode,
  type MeshTrust,
  SennitError,
  type UserIdentity,
} from '@sennit/protocol'
import type { Attachment } from '../attach/attachment.ts'
import type { Attachments } from '../attach/attachments.ts'
import { bestPaths, formatPaths, type PathsOption } from '../paths/index.ts'
import type { PolicyView } from '../plan/policy.ts'
import { failureText, isPeerRefusal, refusalRank } from './call-failure.ts'
import type { CircuitTable } from './circuits.ts'
import type { ConnectionFacts } from './connection-facts.ts'
import type { ManagedConnection } from './managed-connection.ts'
import { fullName } from './names.ts'
import type { ClientTuning } from './tuning.ts'
import type { RelayAnswer } from './types.ts'

export type CallResult = Extract<HopControl, { type: 'result' }>
export type CallConnected = Extract<HopControl, { type: 'connected' }>

/** What a call needs of the client. */
export interface CallHost {
  readonly crypto: CryptoProvider
  readonly random: () => number
  readonly identity: UserIdentity
  readonly trust: MeshTrust
  readonly instance: Uint8Array
  readonly ownName: string
  /** What this end can, told in every handshake. */
  readonly features: number
  readonly tuning: ClientTuning
  readonly attachments: Attachments
  readonly circuits: CircuitTable
  nextId(): number
  nextAttempt(): number
  /** A connection with its keys, waiting for the verdict. */
  called(nowMs: number, call: Call, facts: Omit<ConnectionFacts, 'handle'>): ManagedConnection
  callAnswered(call: Call, relayId: string, answer: string): void
  callFailed(nowMs: number, call: Call, code: string, message: string): void
  /** The peer completed the handshake, so it holds the lost connection no more. */
  lost(nowMs: number, call: Call, peerInstance: Uint8Array): void
  needsSync(): void
}

/** Whom, for what, and until when. */
export interface CallFacts {
  readonly handle: number
  readonly user: string
  readonly label: string
  readonly application: string
  readonly keyModes: readonly KeyMode[]
  /** What this call tells the peer that we can and want. @default as the client's */
  readonly features?: number
  /** Undefined: not said, so that the other end may. */
  readonly paths: PathsOption | undefined
  /** Which relays it may be asked at, and the connection may use. */
  readonly policy: PolicyView
  readonly startedAtMs: number
  readonly deadlineMs: number
  readonly recoverOf?: ManagedConnection
}

type Ask =
  | { readonly type: 'asked' | 'wait' | 'connected'; readonly attachment: Attachment }
  | { readonly type: 'retry'; readonly atMs: number }
  | { readonly type: 'final'; readonly code: string; readonly message: string }

interface Attempt {
  readonly number: number
  readonly requestId: number
  readonly connectionId: Uint8Array
  readonly handshake: CallerHandshake
  readonly asks: Map<string, Ask>
  connection: ManagedConnection | undefined
}

/** An answer of the peer that never led to a verdict is given up after this long without any path. */
const tentativePathlessMs = 2_000
/** A call that found nobody in this time counts as waiting: the rest of the list is attached. */
const waitsAfterMs = 1_000
/** A relay that is at its limit is asked again after about this long. */
const limitRetryMs = 1_000

export class Call {
  readonly facts: CallFacts
  readonly #host: CallHost
  readonly #answers = new Map<string, string>()
  #attempt: Attempt | undefined
  #nextAskAtMs = 0
  #pausedUntilMs = 0
  #pathlessSinceMs: number | undefined
  #waits = false
  #over = false

  constructor(host: CallHost, facts: CallFacts) {
    this.#host = host
    this.facts = facts
  }

  get peerName(): string {
    return fullName(this.facts.user, this.facts.label)
  }

  /** An attempt is open: asked for, or waiting for the verdict. */
  get open(): boolean {
    return this.#attempt !== undefined
  }

  get requestId(): number | undefined {
    return this.#attempt?.requestId
  }

  get connection(): ManagedConnection | undefined {
    return this.#attempt?.connection
  }

  /** The rest of the list is needed. */
  get waits(): boolean {
    return this.#waits
  }

  /** What every relay of the list said, for the error. */
  answers(): RelayAnswer[] {
    return [...this.#host.attachments.all()].map((attachment) => ({ relayId: attachment.relayId, answer: this.#answerOf(attachment) }))
  }

  /** Asks whoever is due, and ends the call when time or hope is over. */
  step(nowMs: number): void {
    if (this.#over) return
    // Before the pause: a call whose time ends while it lets the elder go first has ended all the same.
    if (nowMs >= this.facts.deadlineMs) {
      this.#timedOut(nowMs)
      return
    }
    if (nowMs < this.#pausedUntilMs) return
    if (nowMs >= this.facts.startedAtMs + waitsAfterMs) this.#waiting()
    if (this.#attempt === undefined && !this.#begin(nowMs)) return
    this.#checkTentative(nowMs)
    if (this.#attempt === undefined) return
    // Also while a verdict is awaited: the relay that brought the answer may have frozen since.
    this.#askDue(nowMs)
    if (this.#attempt.connection === undefined || [...this.#attempt.connection.circuits()].length === 0) this.#giveUpWhenHopeless(nowMs)
  }

  result(nowMs: number, attachment: Attachment, result: CallResult): void {
    const attempt = this.#attempt
    if (attempt === undefined || attempt.requestId !== result.requestId) return
    const answer = result.code === 'wait' ? 'please wait' : result.message === '' ? result.code : `${result.code}: ${result.message}`
    this.#answers.set(attachment.relayId, answer)
    this.#host.callAnswered(this, attachment.relayId, answer)
    attempt.asks.set(attachment.relayId, this.#after(nowMs, attachment, result))
    this.#waiting()
    this.#nextAskAtMs = nowMs
    this.step(nowMs)
  }

  connected(nowMs: number, attachment: Attachment, message: CallConnected): void {
    const attempt = this.#attempt
    if (attempt === undefined || attempt.requestId !== message.requestId) {
      this.#unwanted(attachment, message)
      return
    }
    try {
      const { message3, secrets, peer, peerLabel, peerInstance, keyMode, peerFeatures } = attempt.handshake.answer(message.handshake)
      attempt.asks.set(attachment.relayId, { type: 'connected', attachment })
      this.#answers.set(attachment.relayId, 'connected')
      if (this.facts.recoverOf !== undefined) {
        this.#unwanted(attachment, message)
        this.#host.lost(nowMs, this, peerInstance)
        return
      }
      attempt.connection ??= this.#host.called(nowMs, this, {
        secrets,
        keyMode,
        peerFeatures,
        message3,
        peerInstance,
        peer: { user: peer.user, label: peerLabel },
        peerName: fullName(peer.user, peerLabel),
        attempt: attempt.number,
        application: this.facts.application,
        paths: this.facts.paths ?? bestPaths,
        policy: this.facts.policy,
      })
      const { connection } = attempt
      connection.addCircuit(nowMs, this.#host.circuits.add(attachment, message.circuit, connection, message.credit, attachment.relayId))
    } catch (error) {
      if (!(error instanceof SennitError)) throw error
      this.#unwanted(attachment, message, isPeerRefusal(error.code) ? error.code : undefined)
      attempt.asks.set(attachment.relayId, { type: 'final', code: error.code, message: error.message })
      this.#answers.set(attachment.relayId, `${error.code}: ${error.message}`)
      this.step(nowMs)
    }
  }

  /** The peer left a circuit without a verdict. Only a word about our certificate is an answer; anything else heals over the next circuit. */
  refusedByPeer(nowMs: number, relayId: string, reason: string): void {
    const attempt = this.#attempt
    if (attempt === undefined || !isPeerRefusal(reason)) return
    const message = `${this.peerName} refuses this caller: ${reason}`
    attempt.asks.set(relayId, { type: 'final', code: reason, message })
    this.#answers.set(relayId, message)
    this.step(nowMs)
  }

  /** An attachment came or went. */
  attachmentChanged(nowMs: number, attachment: Attachment): void {
    const ask = this.#attempt?.asks.get(attachment.relayId)
    if (!attachment.attached && ask !== undefined && ask.type !== 'final') this.#attempt!.asks.delete(attachment.relayId)
    this.step(nowMs)
  }

  /** The elder calls too: its attempt goes first, and we ask again if nothing comes of it. */
  yielded(nowMs: number): void {
    this.dropAttempt('yielded')
    this.#pausedUntilMs = nowMs + this.#host.tuning.yieldedAskAgainMs
  }

  /** Takes back what was asked; the call may begin anew. */
  dropAttempt(reason: string): void {
    const attempt = this.#attempt
    this.#attempt = undefined
    this.#pathlessSinceMs = undefined
    if (attempt === undefined) return
    this.#cancelAsks(attempt)
    attempt.connection?.discard(reason)
  }

  /** The verdict was yes: nothing else is needed, and the connection stays. */
  succeeded(): void {
    this.#over = true
    if (this.#attempt !== undefined) this.#cancelAsks(this.#attempt)
    this.#attempt = undefined
  }

  end(reason: string): void {
    this.#over = true
    this.dropAttempt(reason)
  }

  wakeAtMs(): number {
    if (this.#over) return Number.POSITIVE_INFINITY
    if (this.#attempt === undefined) return Math.min(this.facts.deadlineMs, this.#pausedUntilMs)
    let atMs = this.#someoneToAsk() ? Math.min(this.facts.deadlineMs, this.#nextAskAtMs) : this.facts.deadlineMs
    for (const ask of this.#attempt.asks.values()) if (ask.type === 'retry') atMs = Math.min(atMs, ask.atMs)
    if (this.#pathlessSinceMs !== undefined) atMs = Math.min(atMs, this.#pathlessSinceMs + tentativePathlessMs)
    if (!this.#waits) atMs = Math.min(atMs, this.facts.startedAtMs + waitsAfterMs)
    return atMs
  }

  #waiting(): void {
    if (this.#waits) return
    this.#waits = true
    this.#host.needsSync()
  }

  #begin(nowMs: number): boolean {
    const { crypto, identity, trust, instance, ownName } = this.#host
    const { recoverOf, application, keyModes, paths } = this.facts
    const connectionId = crypto.randomBytes(16)
    const number = this.#host.nextAttempt()
    const previous = recoverOf?.facts.secrets.connectionId
    try {
      const handshake = new CallerHandshake({
        crypto,
        identity,
        trust,
        application,
        caller: ownName,
        listener: this.peerName,
        connectionId,
        keyModes,
        features: (this.facts.features ?? this.#host.features) | FEATURE.acksInData,
        nowMs,
        instance,
        attempt: number,
        ...(paths === undefined ? {} : { paths: formatPaths(paths) }),
        ...(previous === undefined ? {} : { previous }),
      })
      this.#attempt = { number, requestId: this.#host.nextId(), connectionId, handshake, asks: new Map(), connection: undefined }
      this.#nextAskAtMs = nowMs
      return true
    } catch (error) {
      if (!(error instanceof SennitError)) throw error
      this.#over = true
      this.#host.callFailed(nowMs, this, error.code, error.message)
      return false
    }
  }

  #askDue(nowMs: number): void {
    const attempt = this.#attempt!
    for (const attachment of this.#host.attachments.askOrder(this.peerName)) {
      if (!attachment.usable || !this.facts.policy.allows(attachment.entry)) continue
      const ask = attempt.asks.get(attachment.relayId)
      const again = ask?.type === 'retry' && nowMs >= ask.atMs
      if (ask !== undefined && !again) continue
      if (!again && nowMs < this.#nextAskAtMs) continue
      if (!again) this.#nextAskAtMs = nowMs + this.#host.tuning.askStepMs
      attempt.asks.set(attachment.relayId, { type: 'asked', attachment })
      attachment.sendControl(this.#message(attempt))
    }
  }

  #message(attempt: Attempt): HopControl {
    const { user, label, application, recoverOf } = this.facts
    return {
      type: 'connect',
      requestId: attempt.requestId,
      user,
      label,
      application,
      connectionId: attempt.connectionId,
      attempt: attempt.number,
      instance: this.#host.instance,
      ...(recoverOf === undefined ? {} : { previous: recoverOf.facts.secrets.connectionId }),
      handshake: attempt.handshake.message1,
    }
  }

  #someoneToAsk(): boolean {
    const attempt = this.#attempt!
    const { policy } = this.facts
    for (const { usable, relayId, entry } of this.#host.attachments.all())
      if (usable && policy.allows(entry) && !attempt.asks.has(relayId)) return true
    return false
  }

  #after(nowMs: number, attachment: Attachment, result: CallResult): Ask {
    const { tuning, random } = this.#host
    if (result.code === 'wait') return { type: 'wait', attachment }
    if (result.code === 'not_registered' && nowMs < this.facts.startedAtMs + tuning.notRegisteredRetryMs)
      return { type: 'retry', atMs: nowMs + tuning.notRegisteredStepMs * (0.5 + random()) }
    if (result.code === 'limit') return { type: 'retry', atMs: nowMs + limitRetryMs * (0.5 + random()) }
    // Whoever looks for a lost peer never takes no for an answer; the connection's own time ends it.
    if (this.facts.recoverOf !== undefined) return { type: 'retry', atMs: nowMs + tuning.previousAgainMs * (0.5 + 0.5 * random()) }
    // The peer's own word on our handshake, passed on by the relay.
    if (result.code === 'rejected' && isPeerRefusal(result.message))
      return { type: 'final', code: result.message, message: failureText(result.message, this.peerName) }
    return { type: 'final', code: result.code, message: result.message }
  }

  /** No verdict yet, and no path to hear it on: the answer came from a peer that has gone since. */
  #checkTentative(nowMs: number): void {
    const connection = this.#attempt?.connection
    if (connection === undefined) return
    const pathless = [...connection.circuits()].length === 0
    if (!pathless) this.#pathlessSinceMs = undefined
    else this.#pathlessSinceMs ??= nowMs
    if (this.#pathlessSinceMs === undefined || nowMs < this.#pathlessSinceMs + tentativePathlessMs) return
    this.dropAttempt('no_path')
    this.#begin(nowMs)
  }

  #giveUpWhenHopeless(nowMs: number): void {
    const attempt = this.#attempt
    if (attempt === undefined || this.facts.recoverOf !== undefined) return
    const finals: Extract<Ask, { type: 'final' }>[] = []
    for (const attachment of this.#host.attachments.all()) {
      if (!this.facts.policy.allows(attachment.entry)) continue
      const ask = attempt.asks.get(attachment.relayId)
      if (ask?.type === 'final') finals.push(ask)
      else if (ask !== undefined || !attachment.failing) return
    }
    if (finals.length === 0) return
    const worst = [...finals].sort((left, right) => refusalRank(left.code) - refusalRank(right.code))[0]!
    this.#fail(nowMs, worst.code, worst.message === '' ? failureText(worst.code, this.peerName) : worst.message)
  }

  #timedOut(nowMs: number): void {
    const reached = [...this.#host.attachments.all()].some((attachment) => attachment.attached)
    const code = this.connection !== undefined ? 'connect_timeout' : reached ? 'no_peer' : 'no_relay'
    this.#fail(nowMs, code, failureText(code, this.peerName))
  }

  #fail(nowMs: number, code: string, message: string): void {
    this.#over = true
    this.#host.callFailed(nowMs, this, code, message)
    this.dropAttempt(code)
  }

  #cancelAsks(attempt: Attempt): void {
    for (const ask of attempt.asks.values())
      if (ask.type === 'asked' || ask.type === 'wait') ask.attachment.sendControl({ type: 'cancel', requestId: attempt.requestId })
  }

  /** @param reason what is wrong with who answered, for whoever answered to hear */
  #unwanted(attachment: Attachment, message: CallConnected, reason = 'not_wanted'): void {
    attachment.sendControl({ type: 'circuitClose', circuit: message.circuit, reason })
  }

  #answerOf(attachment: Attachment): string {
    const answer = this.#answers.get(attachment.relayId)
    if (answer !== undefined) return answer
    if (attachment.attached) return 'not answered'
    const failure = attachment.lastFailure
    return failure === undefined ? 'not reached in time' : `not reached: ${failure.code}: ${failure.message}`
  }
}
