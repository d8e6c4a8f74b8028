/**
 * The client: attachments to relays, listening, calls, connections and the agreement on their paths, put together from their machines.
 * Synchronous; all time comes in as `nowMs`, which must be near the time of day (certificates have dates) and never go back.
 */

import type { EndHandshakeResult, KeyMode, RelayEntry, UserIdentity } from '@sennit/protocol'
import { Deque } from '@sennit/protocol'
import type { Attachment } from '../attach/attachment.ts'
import { Attachments } from '../attach/attachments.ts'
import type { ConnectionEffect, ConnectionMachine } from '../connection/index.ts'
import type { PathsOption } from '../paths/index.ts'
import { PolicyView } from '../plan/policy.ts'
import { SmallSet } from '../small-set.ts'
import { AttachmentEvents, type AttachmentListeners } from './attachment-events.ts'
import { CircuitTable } from './circuits.ts'
import type { Verdict } from './connection-host.ts'
import { Connections } from './connections.ts'
import { IncomingAttempts } from './incoming.ts'
import { Listens } from './listens.ts'
import type { ManagedConnection } from './managed-connection.ts'
import { Meeting } from './meeting.ts'
import { fullName } from './names.ts'
import { checkRenewal } from './renewal.ts'
import { linksAndConnections, relayStatus } from './status.ts'
import { clientTuning } from './tuning.ts'
import type { ClientEffect, ClientMachineOptions, ClientStatus, ConnectRequest, ListenRequest, RelayStatus } from './types.ts'

/** Who needs which attachment is looked at again at a wake-up after so long at the latest: what was needed for a while only is given back then. */
const syncEveryMs = 1_000

export class ClientMachine {
  readonly #options: ClientMachineOptions
  /** Who it is: read for each handshake, for a renewed one takes its place. */
  readonly #own: { identity: UserIdentity }
  readonly #attachments: Attachments
  readonly #circuits = new CircuitTable()
  readonly #connections: Connections
  readonly #incoming: IncomingAttempts
  readonly #meeting: Meeting
  readonly #events: AttachmentEvents
  readonly #listeners: AttachmentListeners
  readonly #listens: Listens
  readonly #effects = new Deque<ClientEffect>()
  readonly #dirtyLinks = new SmallSet<Attachment>()
  readonly #dirtyConnections = new SmallSet<ManagedConnection>()
  /** Since the last {@link heard}. */
  #bytesCame = false
  #nowMs = 0
  #ids = 0
  #syncNeeded = true
  #syncedAtMs = 0
  #closed = false
  /** Every relay is attached to until then. */
  #attachAllUntilMs: number
  #listVersion: number | undefined

  constructor(options: ClientMachineOptions) {
    const tuning = { ...clientTuning, ...options.tuning }
    this.#options = options
    this.#listVersion = options.listVersion
    this.#attachAllUntilMs =
      options.attach === 'all' || options.attach === 'all-first' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
    const { crypto, random, trust } = options
    const own = { identity: options.identity }
    this.#own = own
    const policy = new PolicyView(options.policy)
    const label = options.label ?? ''
    const instance = options.instance ?? crypto.randomBytes(16)
    const nextId = () => this.#nextId()
    const emit = (effect: ClientEffect) => void this.#effects.push(effect)
    const needsSync = () => {
      this.#syncNeeded = true
    }
    this.#events = new AttachmentEvents({
      listeners: () => this.#listeners,
      emit,
      dirty: (attachment) => void this.#dirtyLinks.add(attachment),
      needsSync,
      listVersion: () => this.#listVersion,
    })
    this.#attachments = new Attachments(
      {
        crypto,
        random,
        get identity() {
          return own.identity
        },
        trust,
        label,
        instance,
        software: options.software ?? 'sennit',
        carriers: options.carriers,
        carriersOf: options.carriersOf ?? {},
        lentChunks: options.lentChunks ?? false,
        tuning,
        policy,
        sink: this.#events,
        nextKey: nextId,
      },
      options.relays,
      options.localAddresses,
    )
    this.#connections = new Connections(tuning)
    const ownName = fullName(own.identity.user, label)
    const features = options.features ?? 0
    const keyModes: readonly KeyMode[] = options.keyModes ?? ['blind']
    this.#listens = new Listens({ random, attachments: this.#attachments, keyModes, emit, needsSync })
    const listens = this.#listens.byHandle
    const attachments = this.#attachments
    const circuits = this.#circuits
    // Written out, each of them: objects made by spreading others have no shape in common with those of the next client, and every look into
    // one of a thousand shapes goes through V8's slowest way.
    this.#meeting = new Meeting({
      features,
      crypto,
      random,
      get identity() {
        return own.identity
      },
      trust,
      instance,
      ownName,
      tuning,
      policy,
      attachments,
      circuits,
      connections: this.#connections,
      listens,
      paths: options.paths,
      keyModes,
      nextId,
      emit,
      needsSync,
      connectionHost: {
        features,
        crypto,
        random,
        tuning,
        attachments,
        circuits,
        connectionTuning: options.connectionTuning,
        streams: options.streams,
        nextPathId: nextId,
        nextJoinId: (connection) => {
          const joinId = nextId()
          this.#connections.joinAsked(joinId, connection)
          return joinId
        },
        emit,
        needsSync,
        dirty: (connection) => void this.#dirtyConnections.add(connection),
        verdict: (nowMs: number, connection: ManagedConnection, verdict: Verdict) => this.#meeting.verdict(nowMs, connection, verdict),
        unconfirmed: (nowMs: number, connection: ManagedConnection, relayId: string, reason: string) =>
          this.#meeting.unconfirmed(nowMs, connection, relayId, reason),
        ended: (nowMs: number, connection: ManagedConnection, effect: Extract<ConnectionEffect, { type: 'closed' }>) =>
          this.#meeting.ended(nowMs, connection, effect),
      },
    })
    this.#incoming = new IncomingAttempts({
      features,
      crypto,
      get identity() {
        return own.identity
      },
      trust,
      instance,
      ownName,
      tuning,
      circuits,
      accepts: (offer) => this.#meeting.accepts(offer),
      holds: (id) => this.#connections.holds(id),
      callerRefused: ({ user, label, application }, relayId, code, message) =>
        emit({ type: 'event', event: { type: 'caller_refused', relayId, peer: fullName(user, label), application, code, message } }),
      refusedByCaller: ({ user, label, application }, relayId, code) =>
        emit({ type: 'event', event: { type: 'refused_by_caller', relayId, peer: fullName(user, label), application, code } }),
      decide: (nowMs, incoming, result: EndHandshakeResult) => this.#meeting.decide(nowMs, incoming, result),
    })
    this.#listeners = {
      random,
      attachments: this.#attachments,
      circuits: this.#circuits,
      connections: this.#connections,
      incoming: this.#incoming,
      meeting: this.#meeting,
      listens,
    }
  }

  // The shell's side.

  /** The dial waits for its turn in this process, or begins now: only then its time runs. */
  carrierWaits(nowMs: number, key: number, waits: boolean): void {
    this.#now(nowMs)
    this.#attachments.byKey(key)?.carrierWaits(nowMs, key, waits)
  }

  carrierOpened(nowMs: number, key: number): void {
    this.#now(nowMs)
    this.#attachments.byKey(key)?.carrierOpened(nowMs, key)
  }

  /** `chunk` belongs to the machine from now on; with `lentChunks`, only until this returns. */
  carrierBytes(nowMs: number, key: number, chunk: Uint8Array): void {
    this.#now(nowMs)
    this.#bytesCame = true
    this.#attachments.byKey(key)?.carrierBytes(nowMs, key, chunk)
  }

  carrierWritable(nowMs: number, key: number, writable: boolean): void {
    this.#now(nowMs)
    this.#attachments.byKey(key)?.carrierWritable(nowMs, key, writable)
  }

  /** The carrier failed or ended; nothing more comes with this key. */
  carrierClosed(nowMs: number, key: number, code: string, message: string): void {
    this.#now(nowMs)
    const attachment = this.#attachments.byKey(key)
    // What came before the end counts: a relay's last word may be in it.
    attachment?.pump(nowMs)
    this.#attachments.forgetKey(key)
    attachment?.carrierClosed(nowMs, key, code, message)
    this.#syncNeeded = true
  }

  /** Another list is in force. Relays that are gone from it, or go, are left at a moment of our own, and only for others that carry. */
  relaysChanged(nowMs: number, relays: readonly RelayEntry[], listVersion?: number): void {
    this.#now(nowMs)
    if (listVersion !== undefined) this.#listVersion = listVersion
    this.#attachments.relaysChanged(nowMs, relays)
    for (const attachment of this.#attachments.all()) this.#eachConnection((connection) => connection.attachmentChanged(nowMs, attachment))
    this.#syncNeeded = true
  }

  /**
   * Another credential of the same user: handshakes that begin from now on use it, and relays that refused the old one are asked again. Returns
   * when its certificate ends. @throws SennitError why it is not taken; the old one stays then
   */
  renew(nowMs: number, identity: UserIdentity): number {
    this.#now(nowMs)
    const { crypto, trust } = this.#options
    const endsMs = checkRenewal(nowMs, identity, { crypto, trust, user: this.#own.identity.user })
    this.#own.identity = identity
    for (const attachment of this.#attachments.all()) attachment.hurry(nowMs)
    this.#syncNeeded = true
    return endsMs
  }

  /** The shell's loop was late by more than half a second (or the machine slept): no verdicts, probe everything at once. */
  resumedFromPause(nowMs: number): void {
    this.#now(nowMs)
    for (const attachment of this.#attachments.all()) attachment.resumedFromPause(nowMs)
    this.#meeting.resumedFromPause(nowMs)
    for (const connection of this.#connections.all()) {
      connection.machine.resumedFromPause(nowMs)
      this.#dirtyConnections.add(connection)
    }
  }

  wake(nowMs: number): void {
    this.#now(nowMs)
    // Most wake-ups are a late ack of one connection, which changes nothing about who is attached where.
    const attachmentsDue = nowMs >= this.#attachments.syncAtMs()
    if (attachmentsDue || nowMs >= this.#meeting.wakeAtMs() || nowMs >= this.#syncedAtMs + syncEveryMs) this.#syncNeeded = true
    this.#attachments.wake(nowMs)
    this.#connections.wake(nowMs)
    this.#meeting.wake(nowMs)
    this.#incoming.wake(nowMs)
    this.#listens.wake(nowMs)
    if (!attachmentsDue) return
    this.#events.leaveDue(nowMs)
  }

  /** When to call {@link wake}; undefined when nothing is due. Ask after draining {@link poll}. */
  wakeAtMs(): number | undefined {
    if (this.#closed) return undefined
    const allFirst = this.#options.attach === 'all-first' && this.#nowMs < this.#attachAllUntilMs
    let atMs = Math.min(this.#attachments.wakeAtMs(), this.#connections.wakeAtMs(), this.#meeting.wakeAtMs(), this.#incoming.wakeAtMs())
    atMs = Math.min(atMs, this.#listens.wakeAtMs())
    if (allFirst) atMs = Math.min(atMs, this.#attachAllUntilMs)
    return Number.isFinite(atMs) ? atMs : undefined
  }

  /** The next thing to do. Drain it after every input; packets are built only here, so that what one turn wrote shares them. */
  poll(): ClientEffect | undefined {
    for (;;) {
      const effect = this.#effects.shift()
      if (effect !== undefined) return effect
      if (this.#dirtyConnections.size > 0) this.#pumpConnections()
      else if (this.#dirtyLinks.size > 0) this.#dirtyLinks.takeEach(this.#pumpLink)
      else if (this.#syncNeeded) this.#sync()
      else return undefined
    }
  }

  /**
   * As {@link poll}, but builds no packets: what the peer said, for the application. A shell that drains this first, and {@link poll} when the
   * application has answered, sends the answer and the acks in one record.
   */
  heard(): ClientEffect | undefined {
    if (this.#effects.length === 0 && this.#bytesCame) {
      this.#bytesCame = false
      this.#dirtyConnections.forEach(this.#hearConnection)
    }
    return this.#effects.shift()
  }

  // The application's side.

  /** Takes calls for an application, at every relay; the effects name the returned handle. */
  listen(nowMs: number, request: ListenRequest): number {
    this.#now(nowMs)
    const handle = this.#nextId()
    this.#listens.start(handle, request)
    return handle
  }

  unlisten(nowMs: number, handle: number): void {
    this.#now(nowMs)
    this.#listens.stop(handle)
  }

  /** Calls a user for an application; `connection` or `connectFailed` names the returned handle. */
  connect(nowMs: number, request: ConnectRequest): number {
    this.#now(nowMs)
    return this.#meeting.connect(nowMs, request)
  }

  /** Gives a call up; nothing more is said about it. */
  cancel(nowMs: number, handle: number): void {
    this.#now(nowMs)
    this.#meeting.cancel(handle)
  }

  /** The machine of a connection, for its streams; call {@link changed} after using them. */
  connection(handle: number): ConnectionMachine | undefined {
    return this.#connections.byHandle(handle)?.machine
  }

  /** The application used the streams of a connection. */
  changed(nowMs: number, handle: number): void {
    this.#now(nowMs)
    const connection = this.#connections.byHandle(handle)
    if (connection === undefined) return
    connection.machine.changed(nowMs)
    this.#dirtyConnections.add(connection)
  }

  /** A sealed ping on the active path; the connection event `pong` has the returned id. */
  ping(nowMs: number, handle: number): number | undefined {
    this.#now(nowMs)
    const connection = this.#connections.byHandle(handle)
    if (connection === undefined) return undefined
    this.#dirtyConnections.add(connection)
    return connection.machine.ping(nowMs)
  }

  /** Sends a datagram of a connection, at once and once. @returns false when it was dropped. @throws SennitError `too_large` */
  sendDatagram(nowMs: number, handle: number, data: Uint8Array): boolean {
    this.#now(nowMs)
    return this.#connections.byHandle(handle)?.sendDatagram(nowMs, data) ?? false
  }

  /** Changes how a connection uses its relays; either end may. */
  setPaths(nowMs: number, handle: number, paths: PathsOption): void {
    this.#now(nowMs)
    this.#connections.byHandle(handle)?.setPaths(nowMs, paths)
  }

  /** Ends a connection in order; `connectionClosed` follows. */
  closeConnection(nowMs: number, handle: number, reason: string, message: string): void {
    this.#now(nowMs)
    const connection = this.#connections.byHandle(handle)
    if (connection === undefined) return
    connection.machine.close(nowMs, reason, message)
    this.#dirtyConnections.add(connection)
  }

  /** Ends a connection without waiting for anything. */
  abortConnection(nowMs: number, handle: number, reason: string, message: string): void {
    this.#now(nowMs)
    const connection = this.#connections.byHandle(handle)
    if (connection === undefined) return
    connection.machine.abort(nowMs, reason, message)
    this.#dirtyConnections.add(connection)
  }

  /** Ends everything: connections that are still open are aborted, attachments say goodbye. Drain {@link poll} once more. */
  close(nowMs: number): void {
    this.#now(nowMs)
    this.#closed = true
    this.#listens.stopAll()
    this.#meeting.close()
    this.#eachConnection((connection) => connection.machine.abort(nowMs, 'aborted', 'the client was closed'))
    for (const connection of this.#connections.all()) this.#dirtyConnections.add(connection)
    this.#pumpConnections()
    for (const attachment of [...this.#attachments.all()]) {
      attachment.pump(nowMs)
      attachment.unwant(nowMs)
      attachment.release(nowMs, 'closed')
    }
  }

  status(): ClientStatus {
    const { identity, label = '' } = this.#options
    return { user: identity.user, label, ...linksAndConnections(this.#attachments, this.#connections, this.#nowMs) }
  }

  /** Every relay of the list. */
  relays(): RelayStatus[] {
    return relayStatus(this.#attachments, this.#nowMs)
  }

  #nextId(): number {
    this.#ids += 1
    return this.#ids
  }

  #now(nowMs: number): void {
    // The first call of the shell starts the clock of 'all-first'.
    if (this.#nowMs === 0 && this.#options.attach === 'all-first')
      this.#attachAllUntilMs = nowMs + { ...clientTuning, ...this.#options.tuning }.allFirstMs
    this.#nowMs = nowMs
  }

  #eachConnection(visit: (connection: ManagedConnection) => void): void {
    for (const connection of this.#connections.all()) if (connection.stage !== 'over') visit(connection)
  }

  #pumpConnections(): void {
    this.#dirtyConnections.takeEach(this.#pumpConnection)
    this.#meeting.answersCame(this.#nowMs)
  }

  readonly #pumpConnection = (connection: ManagedConnection): void => connection.pump(this.#nowMs)

  readonly #hearConnection = (connection: ManagedConnection): void => connection.pump(this.#nowMs, false)

  readonly #pumpLink = (attachment: Attachment): void => attachment.pump(this.#nowMs)

  #sync(): void {
    this.#syncNeeded = false
    this.#syncedAtMs = this.#nowMs
    if (this.#closed) return
    this.#meeting.recoverPathless(this.#nowMs)
    for (const connection of this.#connections.all()) connection.sync(this.#nowMs)
    const needs = this.#meeting.needs.now(this.#nowMs, this.#listens.byHandle.size > 0, this.#nowMs < this.#attachAllUntilMs)
    this.#attachments.sync(this.#nowMs, needs)
  }
}
