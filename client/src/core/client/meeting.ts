/**
 * Who meets whom: calls of this end, offers of others, the verdict at key confirmation, challenges of a name by a new instance, and the
 * search for a peer whose paths are all gone (connection.md 13 to 17, 21, 21a).
 */
import {
  type CryptoProvider,
  type EndHandshakeResult,
  hex,
  type KeyMode,
  type MeshTrust,
  SennitError,
  type UserIdentity,
} from '@sennit/protocol'
import type { Attachment } from '../attach/attachment.ts'
import type { Attachments } from '../attach/attachments.ts'
import type { ConnectionEffect } from '../connection/index.ts'
import { bestPaths, type PathsOption, parsePaths, turned } from '../paths/index.ts'
import { mergePolicies, PolicyView } from '../plan/policy.ts'
import { Call, type CallConnected, type CallFacts, type CallHost, type CallResult } from './call.ts'
import { failureText } from './call-failure.ts'
import { Challenges } from './challenges.ts'
import type { CircuitTable } from './circuits.ts'
import type { ConnectionFacts } from './connection-facts.ts'
import type { ConnectionHost, Verdict } from './connection-host.ts'
import type { Connections } from './connections.ts'
import { decideMeeting } from './glare.ts'
import type { Acceptance, Incoming, Offer } from './incoming.ts'
import type { Listen } from './listen.ts'
import { ManagedConnection } from './managed-connection.ts'
import { fullName, isElder } from './names.ts'
import { Recoveries } from './recoveries.ts'
import { RelayNeeds } from './relay-needs.ts'
import type { ClientTuning } from './tuning.ts'
import type { ClientEffect, ConnectRequest } from './types.ts'

export interface MeetingContext {
  readonly crypto: CryptoProvider
  readonly random: () => number
  readonly identity: UserIdentity
  readonly trust: MeshTrust
  readonly instance: Uint8Array
  readonly ownName: string
  readonly tuning: ClientTuning
  readonly attachments: Attachments
  readonly circuits: CircuitTable
  readonly connections: Connections
  readonly connectionHost: ConnectionHost
  readonly listens: ReadonlyMap<number, Listen>
  /** What connections are to do with their relays where nothing else is said. */
  readonly paths: PathsOption | undefined
  /** The same for key modes. */
  readonly keyModes: readonly KeyMode[]
  readonly features: number
  /** What this end wants of relays. */
  readonly policy: PolicyView
  nextId(): number
  emit(effect: ClientEffect): void
  needsSync(): void
}

export class Meeting {
  /** What all that meets here needs of relays. */
  readonly needs: RelayNeeds
  readonly #context: MeetingContext
  readonly #callHost: CallHost
  readonly #calls = new Map<number, Call>()
  readonly #recoveries: Recoveries
  readonly #listenOf = new Map<ManagedConnection, number | undefined>()
  readonly #challenges: Challenges
  #attempts = 0

  constructor(context: MeetingContext) {
    this.#context = context
    const { ownName, attachments, circuits } = context
    this.needs = new RelayNeeds({ ownName, attachments, circuits, connections: context.connections, listens: context.listens }, this.#calls)
    this.#challenges = new Challenges({
      supersedeMinMs: context.tuning.supersedeMinMs,
      dirty: (connection) => context.connectionHost.dirty(connection),
      refuse: (nowMs, fresh) => this.#refuse(nowMs, fresh, 'exists'),
      supersede: (nowMs, old) => this.#supersede(nowMs, old),
      confirm: (nowMs, fresh) => this.#confirm(nowMs, fresh),
    })
    // Written out, so that those of all clients are of one shape.
    this.#callHost = {
      crypto: context.crypto,
      random: context.random,
      get identity() {
        return context.identity
      },
      trust: context.trust,
      instance: context.instance,
      ownName: context.ownName,
      features: context.features,
      tuning: context.tuning,
      attachments: context.attachments,
      circuits: context.circuits,
      nextId: () => context.nextId(),
      nextAttempt: () => (this.#attempts += 1),
      needsSync: () => context.needsSync(),
      called: (nowMs, _call, facts) => this.#newConnection(nowMs, facts, 'confirming'),
      callAnswered: (call, relayId, answer) => {
        if (call.facts.recoverOf === undefined)
          context.emit({ type: 'event', event: { type: 'connect_answer', relayId, connectHandle: call.facts.handle, answer } })
      },
      callFailed: (_nowMs, call, code, message) => this.#callFailed(call, code, message),
      lost: (nowMs, call, peerInstance) => this.#recoveries.answered(nowMs, call, peerInstance),
    }
    const { tuning, connections, listens } = context
    this.#recoveries = new Recoveries({ previousAfterMs: tuning.previousAfterMs, connections, listens }, this.#callHost)
  }

  connect(nowMs: number, request: ConnectRequest): number {
    const { tuning, ownName, connections } = this.#context
    const paths = request.paths ?? this.#context.paths
    const label = request.label ?? ''
    const facts: CallFacts = {
      handle: this.#context.nextId(),
      user: request.user,
      label,
      application: request.application,
      keyModes: request.keyModes ?? this.#context.keyModes,
      ...(request.features === undefined ? {} : { features: request.features }),
      paths,
      policy:
        request.policy === undefined ? this.#context.policy : new PolicyView(mergePolicies(this.#context.policy.policy, request.policy)),
      startedAtMs: nowMs,
      deadlineMs: nowMs + (request.waitMs ?? tuning.waitMs),
    }
    const call = new Call(this.#callHost, facts)
    const existing = connections.byName(call.peerName, request.application)
    const same = [...this.#calls.values()].some(
      (other) => other.peerName === call.peerName && other.facts.application === request.application,
    )
    this.#calls.set(facts.handle, call)
    if (call.peerName === ownName) this.#callFailed(call, 'self', failureText('self', ownName))
    else if (same || existing !== undefined) this.#callFailed(call, 'exists', failureText('exists', call.peerName))
    else call.step(nowMs)
    this.#context.needsSync()
    return facts.handle
  }

  cancel(handle: number): void {
    const call = this.#calls.get(handle)
    this.#calls.delete(handle)
    call?.end('cancelled')
    this.#context.needsSync()
  }

  close(): void {
    for (const call of this.#calls.values()) call.end('closed')
    this.#calls.clear()
    this.#recoveries.close()
  }

  result(nowMs: number, attachment: Attachment, result: CallResult): void {
    this.#byRequest(result.requestId)?.result(nowMs, attachment, result)
  }

  connected(nowMs: number, attachment: Attachment, message: CallConnected): void {
    const call = this.#byRequest(message.requestId)
    if (call === undefined) attachment.sendControl({ type: 'circuitClose', circuit: message.circuit, reason: 'not_wanted' })
    else call.connected(nowMs, attachment, message)
  }

  /** Whether an offer is for us: somebody listens, or we call that very peer. */
  accepts(offer: Offer): Acceptance {
    const { listens } = this.#context
    const peerName = fullName(offer.user, offer.label)
    if (peerName === this.#context.ownName) return { reject: 'self' }
    const named = listens.get(offer.listenId)
    const listen = named?.takes(offer.user, offer.application)
      ? named
      : [...listens.values()].find((other) => other.takes(offer.user, offer.application))
    if (listen !== undefined) return { listenHandle: listen.handle, keyModes: listen.keyModes }
    const own = this.#callTo(peerName, offer.application)
    if (own !== undefined) return { keyModes: own.facts.keyModes }
    // We look for that very peer ourselves: its call tells that it was started anew.
    const sought = this.#recoveries.sought(peerName, offer.application)
    if (sought !== undefined) return { keyModes: [sought.facts.keyMode] }
    return { reject: offer.listenId === 0 ? 'not_calling' : 'not_listening' }
  }

  /** Key confirmation of an attempt of another: the one place where a connection of others begins. */
  decide(nowMs: number, incoming: Incoming, result: EndHandshakeResult): ManagedConnection | undefined {
    const { connections, ownName } = this.#context
    const { application } = incoming.offer
    const peerName = fullName(result.peer.user, result.peerLabel)
    const own = this.#callTo(peerName, application)
    const existing = connections.byName(peerName, application)
    const attempt = { attempt: incoming.request.attempt, instance: hex(result.peerInstance) }
    const decision = decideMeeting(attempt, {
      existing:
        existing === undefined
          ? undefined
          : { role: existing.role, attempt: existing.facts.attempt, peerInstance: hex(existing.facts.peerInstance) },
      ownAttempt: own?.open ?? false,
      elder: isElder(ownName, peerName),
    })
    if (decision === 'ignore') return undefined
    const facts = {
      secrets: result.secrets,
      keyMode: result.keyMode,
      peerFeatures: result.peerFeatures,
      peer: { user: result.peer.user, label: result.peerLabel },
      peerName,
      peerInstance: result.peerInstance,
      attempt: attempt.attempt,
      application,
      ...this.#pathsFor(incoming.request.paths),
      policy: this.#context.policy,
    }
    const connection = this.#newConnection(nowMs, facts, 'challenging')
    this.#listenOf.set(connection, incoming.listenHandle)
    if (decision === 'yield') this.#refuse(nowMs, connection, 'yield')
    else if (decision === 'probe') this.#challenges.begin(nowMs, existing!, connection)
    else {
      if (existing !== undefined) this.#supersede(nowMs, existing)
      this.#confirm(nowMs, connection)
    }
    return connection
  }

  /** The caller's word counts; where it says nothing, ours. One of a later version is answered when its plan comes. */
  #pathsFor(asked: string): { readonly paths: PathsOption; readonly wish: boolean } {
    const { paths } = this.#context
    try {
      if (asked !== '') return { paths: turned(parsePaths(asked)), wish: false }
    } catch (error) {
      if (!(error instanceof SennitError)) throw error
    }
    return { paths: paths ?? bestPaths, wish: asked === '' && paths !== undefined }
  }

  /** The peer's verdict on our attempt. */
  verdict(nowMs: number, connection: ManagedConnection, verdict: Verdict): void {
    const call = [...this.#calls.values()].find((other) => other.connection === connection)
    if (call === undefined) {
      connection.discard('not_wanted')
      return
    }
    if (verdict === 'yield') {
      call.yielded(nowMs)
      return
    }
    if (verdict === 'exists') {
      this.#callFailed(call, 'exists', failureText('exists', call.peerName))
      call.end('exists')
      return
    }
    const old = this.#context.connections.byName(connection.facts.peerName, connection.facts.application)
    if (old !== undefined && old !== connection) this.#supersede(nowMs, old)
    this.#calls.delete(call.facts.handle)
    call.succeeded()
    connection.open(nowMs)
    this.#announce(connection, undefined, call.facts.handle)
  }

  /** The peer closed a circuit instead of giving its verdict. */
  unconfirmed(nowMs: number, connection: ManagedConnection, relayId: string, reason: string): void {
    for (const call of this.#calls.values()) if (call.connection === connection) call.refusedByPeer(nowMs, relayId, reason)
  }

  /** A connection said its end. */
  ended(nowMs: number, connection: ManagedConnection, effect: Extract<ConnectionEffect, { type: 'closed' }>): void {
    const { connections, emit, needsSync } = this.#context
    this.#listenOf.delete(connection)
    this.#recoveries.end(connection, 'closed')
    connections.over(nowMs, connection)
    this.#challenges.withdrawn(connection)
    const call = [...this.#calls.values()].find((other) => other.connection === connection)
    if (call !== undefined) call.dropAttempt('closed')
    else if (connection.announced) {
      const { code, message, remote, counts } = effect
      emit({ type: 'connectionClosed', handle: connection.facts.handle, code, message, remote, counts })
    }
    this.#challenges.silenced(nowMs, connection)
    needsSync()
  }

  attachmentChanged(nowMs: number, attachment: Attachment): void {
    for (const call of [...this.#calls.values()]) call.attachmentChanged(nowMs, attachment)
    this.#recoveries.attachmentChanged(nowMs, attachment)
  }

  wake(nowMs: number): void {
    for (const call of [...this.#calls.values()]) if (nowMs >= call.wakeAtMs()) call.step(nowMs)
    this.#recoveries.wake(nowMs)
    this.#challenges.wake(nowMs)
  }

  /** Packets were read: an old connection whose name is challenged may have answered. */
  answersCame(nowMs: number): void {
    this.#challenges.look(nowMs)
  }

  resumedFromPause(nowMs: number): void {
    this.#challenges.postpone(nowMs)
  }

  wakeAtMs(): number {
    let atMs = Math.min(this.#challenges.wakeAtMs(), this.#recoveries.wakeAtMs())
    if (this.#calls.size === 0) return atMs
    for (const call of this.#calls.values()) atMs = Math.min(atMs, call.wakeAtMs())
    return atMs
  }

  /** Whoever is without a path for a while is asked for again beside its joins. */
  recoverPathless(nowMs: number): void {
    this.#recoveries.look(nowMs)
  }

  #byRequest(requestId: number): Call | undefined {
    for (const call of this.#calls.values()) if (call.requestId === requestId) return call
    for (const call of this.#recoveries.calls()) if (call.requestId === requestId) return call
    return undefined
  }

  /** Our own call to that very peer. The label is part of a name: `bob/laptop` never answers a call to `bob`, nor does a relay offer it so. */
  #callTo(peerName: string, application: string): Call | undefined {
    for (const call of this.#calls.values()) if (call.facts.application === application && call.peerName === peerName) return call
    return undefined
  }

  #newConnection(nowMs: number, facts: Omit<ConnectionFacts, 'handle'>, stage: 'confirming' | 'challenging'): ManagedConnection {
    const { connections, connectionHost, nextId } = this.#context
    const connection = new ManagedConnection(connectionHost, withHandle(facts, nextId()), stage, nowMs)
    connections.add(connection)
    return connection
  }

  /** Says yes to an attempt of another; a call of ours for the same peer is answered by it too. */
  #confirm(nowMs: number, connection: ManagedConnection): void {
    const { peerName, application } = connection.facts
    const own = this.#callTo(peerName, application)
    const listenHandle = this.#listenOf.get(connection)
    if (own === undefined && listenHandle === undefined) {
      // It only showed that the old connection was over. Nobody here asked for a new one yet; who does calls, or is called again.
      this.#refuse(nowMs, connection, 'yield')
      return
    }
    this.#listenOf.delete(connection)
    if (own !== undefined) {
      this.#calls.delete(own.facts.handle)
      own.end('answered')
    }
    connection.confirm(nowMs)
    this.#announce(connection, listenHandle, own?.facts.handle)
  }

  #announce(connection: ManagedConnection, listenHandle: number | undefined, connectHandle: number | undefined): void {
    const { connections, emit, needsSync } = this.#context
    connections.opened(connection)
    connection.announce()
    const { handle, peer, application } = connection.facts
    emit({
      type: 'connection',
      handle,
      ...(connectHandle === undefined ? (listenHandle === undefined ? {} : { listenHandle }) : { connectHandle }),
      peer,
      application,
      id: connection.id,
      keyMode: connection.facts.keyMode,
      peerFeatures: connection.facts.peerFeatures,
    })
    needsSync()
  }

  #refuse(nowMs: number, connection: ManagedConnection, verdict: 'yield' | 'exists'): void {
    this.#listenOf.delete(connection)
    connection.refuse(nowMs, verdict)
    this.#context.connections.refused(nowMs, connection)
  }

  #supersede(nowMs: number, old: ManagedConnection): void {
    old.machine.abort(nowMs, 'superseded', 'a new connection of this name took its place')
    old.pump(nowMs)
  }

  #callFailed(call: Call, code: string, message: string): void {
    if (!this.#calls.delete(call.facts.handle)) return
    this.#context.emit({ type: 'connectFailed', connectHandle: call.facts.handle, code, message, answers: call.answers() })
    this.#context.needsSync()
  }
}

/** Written out, so that those of all connections are of one shape. */
function withHandle(facts: Omit<ConnectionFacts, 'handle'>, handle: number): ConnectionFacts {
  const { secrets, keyMode, peerFeatures, peer, peerName, peerInstance, attempt, application, paths, wish, policy, message3 } = facts
  return { handle, secrets, keyMode, peerFeatures, peer, peerName, peerInstance, attempt, application, paths, wish, policy, message3 }
}
