/**
 * The relay without its sockets: attachments (one hop link each), matching, joins, circuits, limits and drain. Pure: time comes in as `nowMs`,
 * bytes come in by key, effects are taken with `poll()`. A shell passes in all bytes of one turn and polls afterwards, so that packets of many
 * sources share one record and one write.
 */

import {
  CookieJar,
  type Credential,
  type CredentialVerdict,
  type CryptoProvider,
  type HopControl,
  HopLink,
  type LinkEffect,
  type MeshTrust,
  type RelayIdentity,
  SennitError,
  type UserList,
  verifyUserCertificate,
  WakeHeap,
} from '@sennit/protocol'
import { Admission, type AdmissionRefusal, addressGroup, TokenBucket } from './admission.ts'
import { type Attachment, newAttachment } from './attachment.ts'
import { Circuits } from './circuits.ts'
import type { RelayCore, UserShare } from './core.ts'
import { Counters } from './counters.ts'
import type { LogLevel, RelayEffect, RelayStats } from './effects.ts'
import { Joins } from './joins.ts'
import { defaultLimits, type RelayLimits } from './limits.ts'
import { type HandedList, ListTeller } from './list-teller.ts'
import { instanceOf, Matching } from './matching.ts'
import { type LoadFacts, Overload } from './overload.ts'
import { RunningClients } from './running-clients.ts'

export interface RelayMachineOptions {
  readonly crypto: CryptoProvider
  /** [0, 1), for jitter only. */
  readonly random: () => number
  readonly identity: RelayIdentity
  readonly trust: MeshTrust
  readonly users: UserList
  readonly limits?: Partial<RelayLimits>
  /** The signed relay list to hand out. @default none */
  readonly relayList?: HandedList
  /** @default sennit-relay/0.1.0 */
  readonly software?: string
}

/** Where an attachment comes from. */
export interface CarrierFacts {
  readonly carrier: string
  readonly address: string
  /** Its socket entered by `socketOpened` and this attachment takes over its place. @default false: the attachment enters now */
  readonly counted?: boolean
}

/** "Wait" reaches sources when a carrier took nothing for this long; shorter blocks are the normal breath of TCP. */
const blockToldMs = 20

/** How often certificates of live attachments are looked at for their end. */
const sweepMs = 10_000

/** The link's own write deadline stands behind the machine's, which knows of progress inside one write. */
const linkWriteStallMs = 120_000

export class RelayMachine {
  private readonly options: RelayMachineOptions
  private readonly limits: RelayLimits
  private readonly attachments = new Map<number, Attachment>()
  private readonly admission: Admission
  private readonly circuits: Circuits
  private readonly joins: Joins
  private readonly matching: Matching
  private readonly lists: ListTeller
  private readonly overload: Overload
  private readonly refusals = new Counters()
  private readonly answers = new Counters()
  private readonly closes = new Counters()
  private readonly effects: RelayEffect[] = []
  private effectsHead = 0
  private dirty: Attachment[] = []
  private dirtyHead = 0
  private readonly wakes = new WakeHeap<Attachment>()
  private readonly blocked = new Set<Attachment>()
  private readonly unproved = new Set<Attachment>()
  private readonly running = new RunningClients()
  private readonly shares = {
    attachments: new Map<string, number>(),
    listens: new Map<string, number>(),
    circuits: new Map<string, number>(),
  }
  private readonly lookups = new Map<string, TokenBucket>()
  private users: ReadonlyMap<string, number>
  private usersVersion: number
  private nowMs = 0
  private sweepAtMs = Number.POSITIVE_INFINITY
  private draining: { endsAtMs: number; withinMs: number; spreadMs: number } | undefined
  private idleTold = false
  private busy = false
  private readonly cookies: CookieJar

  constructor(options: RelayMachineOptions) {
    this.options = options
    this.limits = { ...defaultLimits, ...options.limits }
    this.admission = new Admission(this.limits)
    this.cookies = new CookieJar(
      options.crypto,
      () => this.busy,
      () => this.refusals.add('cookie_asked'),
    )
    const core = this.shared()
    this.circuits = new Circuits(core)
    this.joins = new Joins(core, this.circuits)
    this.matching = new Matching(core, this.circuits)
    this.lists = new ListTeller(core, options.relayList)
    this.overload = new Overload(core, options.random)
    this.users = usersByName(options.users)
    this.usersVersion = options.users.version
  }

  /** A socket came that may or may not become an attachment; undefined when it may stay. Each that may is followed by `socketClosed`, `socketProved` or `accepted` with `counted`. */
  socketOpened(nowMs: number, address: string): AdmissionRefusal | undefined {
    const refusal = this.admission.enter(nowMs, address)
    if (refusal !== undefined) this.refusals.add(refusal)
    return refusal
  }

  /** A socket that entered ended without an attachment; `refusal` says why, for the count. */
  socketClosed(nowMs: number, address: string, refusal?: string): void {
    this.admission.leave(nowMs, address, false)
    if (refusal !== undefined) this.refusals.add(refusal)
  }

  /** A socket that entered belongs to a known attachment (a further request of the `http` carrier). */
  socketProved(nowMs: number, address: string): void {
    this.admission.leave(nowMs, address, true)
  }

  /** Counts something the shell refused. */
  refused(reason: string): void {
    this.refusals.add(reason)
  }

  /** A carrier is open; `bytes` with the first handshake bytes follows. */
  accepted(nowMs: number, key: number, facts: CarrierFacts): void {
    this.nowMs = nowMs
    const { carrier, address } = facts
    const refusal = facts.counted === true ? undefined : this.admission.enter(nowMs, address)
    const reason =
      refusal ?? (this.attachments.size >= this.limits.attachments ? 'attachments' : this.draining === undefined ? undefined : 'draining')
    if (reason !== undefined) {
      if (refusal === undefined) this.admission.leave(nowMs, address, false)
      this.refusals.add(reason)
      this.effects.push({ type: 'close', key, reason })
      return
    }
    const { crypto, random, identity, trust, software } = this.options
    const link = new HopLink({
      role: 'responder',
      cookies: this.cookies.of(addressGroup(address)),
      crypto,
      random,
      meshId: trust.meshId,
      carrier,
      software: software ?? 'sennit-relay/0.1.0',
      trust,
      relayIdentity: identity,
      writeStallMs: linkWriteStallMs,
      verifyCredential: (credential, _hopKey, atMs) => this.verify(credential, atMs),
    })
    // Its time to shake hands runs from here: who never says a word has no first byte that could start it.
    link.wake(nowMs)
    const attachment = newAttachment(key, carrier, address, link)
    this.attachments.set(key, attachment)
    this.unproved.add(attachment)
    this.touch(attachment)
  }

  /** Room is short: the attachment that has not proved itself for the longest time goes. False when there is none. */
  evictOldest(nowMs: number): boolean {
    this.nowMs = nowMs
    const [oldest] = this.unproved
    if (oldest === undefined) return false
    this.refusals.add('evicted')
    this.end(oldest, 'evicted', true)
    return true
  }

  /** The client of this attachment has proved who it is. */
  isProved(key: number): boolean {
    return this.attachments.get(key)?.who !== undefined
  }

  /** @returns as {@link HopLink.receive}: how many bytes of `chunk` packets still hold; Infinity when nobody can tell */
  bytes(nowMs: number, key: number, chunk: Uint8Array): number {
    this.nowMs = nowMs
    const attachment = this.attachments.get(key)
    let held = Number.POSITIVE_INFINITY
    if (attachment === undefined) return held
    this.guard(attachment, () => {
      held = attachment.link.receive(nowMs, chunk)
    })
    return held
  }

  writable(nowMs: number, key: number, writable: boolean): void {
    this.nowMs = nowMs
    const attachment = this.attachments.get(key)
    if (attachment === undefined || (attachment.blockedSinceMs === undefined) === writable) return
    attachment.blockedSinceMs = writable ? undefined : nowMs
    attachment.blockTold = false
    if (writable) this.blocked.delete(attachment)
    else this.blocked.add(attachment)
    this.guard(attachment, () => attachment.link.carrierWritable(nowMs, writable))
  }

  /** A blocked carrier took some bytes: it is slow, not stalled. */
  progress(nowMs: number, key: number): void {
    const attachment = this.attachments.get(key)
    if (attachment?.blockedSinceMs !== undefined) attachment.blockedSinceMs = nowMs
  }

  /** Attachments whose carrier takes nothing now; the shell looks at them for progress. */
  blockedKeys(): number[] {
    return [...this.blocked].map((attachment) => attachment.key)
  }

  /** The carrier is gone. */
  closed(nowMs: number, key: number, why: string): void {
    this.nowMs = nowMs
    const attachment = this.attachments.get(key)
    if (attachment !== undefined) this.end(attachment, why, false)
  }

  /** A newer list of users is in force: who is revoked, raised in epoch or gone from it is detached at once. An older list is ignored. */
  usersChanged(nowMs: number, users: UserList): void {
    this.nowMs = nowMs
    if (users.version < this.usersVersion) {
      this.log('warn', 'users_list_older', { version: users.version, current: this.usersVersion })
      return
    }
    this.users = usersByName(users)
    this.usersVersion = users.version
    for (const attachment of [...this.attachments.values()]) {
      const { who } = attachment
      if (who === undefined) continue
      const refusal = this.standing(who.user, who.certificateEpoch)
      if (refusal !== undefined) this.hangUp(attachment, refusal.refuse, refusal.message)
    }
    this.matching.usersChanged()
    this.joins.usersChanged()
  }

  /** A newer signed relay list is there: every client that asked hears of it within seconds. */
  relayListChanged(nowMs: number, list: HandedList): void {
    this.nowMs = nowMs
    this.lists.changed(nowMs, list)
  }

  /** The shell's event loop was late by so much: felt by every packet, so it counts as load. */
  loopDelay(delayMs: number): void {
    this.overload.loopDelay(delayMs)
  }

  /** Tells every client to move within `withinMs`, spread over `spreadMs`; takes nobody new; ends with effect `idle`. */
  drain(nowMs: number, plan: { withinMs: number; spreadMs: number }): void {
    this.nowMs = nowMs
    if (this.draining !== undefined) return
    this.draining = { ...plan, endsAtMs: nowMs + plan.withinMs + plan.spreadMs }
    for (const attachment of this.attachments.values()) if (attachment.who !== undefined) this.say(attachment, { type: 'drain', ...plan })
    this.log('info', 'draining', { attachments: this.attachments.size, ...plan })
  }

  wake(nowMs: number): void {
    this.nowMs = nowMs
    for (let due = this.wakes.popDue(nowMs); due !== undefined; due = this.wakes.popDue(nowMs)) {
      const attachment = due.item
      if (!isScheduled(due)) continue
      attachment.scheduledMs = Number.POSITIVE_INFINITY
      this.guard(attachment, () => attachment.link.wake(nowMs))
    }
    for (const attachment of [...this.blocked]) {
      const sinceMs = attachment.blockedSinceMs!
      if (nowMs - sinceMs >= this.limits.writeStallMs) this.end(attachment, 'write_stall', true)
      else if (!attachment.blockTold && nowMs - sinceMs >= blockToldMs) {
        attachment.blockTold = true
        this.circuits.blocked(nowMs, attachment)
      }
    }
    this.circuits.wake(nowMs)
    this.matching.wake(nowMs)
    this.lists.wake(nowMs)
    if (this.draining === undefined) this.overload.wake(nowMs, () => this.loadFacts(), this.attachments.values())
    if (this.sweepAtMs <= nowMs) this.sweep(nowMs)
    if (this.draining !== undefined && this.draining.endsAtMs <= nowMs) {
      for (const attachment of [...this.attachments.values()]) this.hangUp(attachment, 'draining', 'the relay is going away')
    }
  }

  wakeAtMs(): number | undefined {
    let atMs = this.wakes.nextMs(isScheduled) ?? Number.POSITIVE_INFINITY
    for (const attachment of this.blocked) {
      atMs = Math.min(atMs, attachment.blockedSinceMs! + (attachment.blockTold ? this.limits.writeStallMs : blockToldMs))
    }
    atMs = Math.min(atMs, this.circuits.wakeAtMs() ?? atMs, this.matching.wakeAtMs() ?? atMs, this.lists.wakeAtMs())
    if (this.draining === undefined) atMs = Math.min(atMs, this.overload.wakeAtMs())
    if (this.attachments.size > 0) atMs = Math.min(atMs, this.sweepAtMs, this.draining?.endsAtMs ?? atMs)
    return atMs === Number.POSITIVE_INFINITY ? undefined : atMs
  }

  /** The next thing to do, until undefined. After a `write` the shell says at once when the carrier is full. */
  poll(): RelayEffect | undefined {
    for (;;) {
      const effect = this.effects[this.effectsHead]
      if (effect !== undefined) {
        this.effectsHead += 1
        return effect
      }
      if (this.effectsHead > 0) {
        this.effects.length = 0
        this.effectsHead = 0
      }
      const attachment = this.dirty[this.dirtyHead]
      if (attachment === undefined) {
        if (this.dirtyHead > 0) {
          this.dirty = []
          this.dirtyHead = 0
        }
        if (this.draining === undefined || this.idleTold || this.attachments.size > 0) return undefined
        this.idleTold = true
        return { type: 'idle' }
      }
      const linkEffect = attachment.ended ? undefined : attachment.link.poll()
      if (linkEffect === undefined) {
        this.dirtyHead += 1
        attachment.dirty = false
        if (!attachment.ended) this.schedule(attachment)
        continue
      }
      if (linkEffect.type === 'write') return { type: 'write', key: attachment.key, pieces: linkEffect.pieces }
      if (linkEffect.type === 'packet') {
        this.circuits.forward(this.nowMs, attachment, linkEffect.circuit, linkEffect.header, linkEffect.pieces)
        continue
      }
      this.guard(attachment, () => this.onLink(attachment, linkEffect))
    }
  }

  /** Under load a first handshake message costs a cookie and nothing else; who brings it back gets in. */
  setBusy(busy: boolean): void {
    if (this.busy === busy) return
    this.busy = busy
    this.log(busy ? 'warn' : 'info', busy ? 'busy' : 'not_busy', { unauthenticated: this.admission.open })
  }

  /** It takes nobody new. */
  get isDraining(): boolean {
    return this.draining !== undefined
  }

  stats(): RelayStats {
    const attachments: Record<string, number> = {}
    for (const attachment of this.attachments.values()) {
      if (attachment.who !== undefined) attachments[attachment.carrier] = (attachments[attachment.carrier] ?? 0) + 1
    }
    const { circuits } = this
    return {
      attachments,
      unauthenticated: this.admission.open,
      users: this.shares.attachments.size,
      listens: this.matching.listens,
      heldRequests: this.matching.heldCount,
      pendingJoins: this.joins.count,
      circuits: circuits.count,
      forwardedBytes: circuits.forwardedBytes,
      forwardedPackets: circuits.forwardedPackets,
      droppedPackets: circuits.droppedPackets,
      queuedBytes: circuits.queuedBytes,
      promisedBytes: circuits.promisedBytes,
      waitingCircuits: circuits.waiting,
      refusals: this.refusals.snapshot(),
      closes: this.closes.snapshot(),
      answers: this.answers.snapshot(),
      askedToMove: this.overload.asked,
      draining: this.draining !== undefined,
    }
  }

  /** What a client did wrong ends its attachment, nothing else; what we did wrong must be seen. */
  private guard(attachment: Attachment, act: () => void): void {
    try {
      act()
    } catch (cause) {
      if (!(cause instanceof SennitError)) throw cause
      this.refusals.add(cause.code)
      this.end(attachment, cause.code, true)
      return
    }
    this.touch(attachment)
  }

  private onLink(attachment: Attachment, effect: Exclude<LinkEffect, { type: 'write' | 'packet' }>): void {
    switch (effect.type) {
      case 'drained':
        this.circuits.drained(this.nowMs, attachment, effect.circuit, effect.bytes)
        return
      case 'control':
        this.onControl(attachment, effect.message)
        return
      case 'rtt':
        attachment.rttMs = effect.ms
        this.matching.alive(attachment)
        return
      case 'established':
        this.established(attachment, effect)
        return
      case 'closed':
        if (attachment.who === undefined) this.refusals.add(effect.code)
        this.log(attachment.who === undefined ? 'info' : 'debug', 'link_closed', {
          carrier: attachment.carrier,
          code: effect.code,
          message: effect.message,
        })
        this.end(attachment, effect.code, true)
    }
  }

  private established(attachment: Attachment, effect: Extract<LinkEffect, { type: 'established' }>): void {
    const user = effect.user!
    this.unproved.delete(attachment)
    this.admission.leave(this.nowMs, attachment.address, true)
    if (!this.takeShare(user.user, 'attachments')) {
      this.hangUp(attachment, 'limit', 'too many attachments of this user')
      return
    }
    attachment.who = {
      user: user.user,
      label: user.label,
      instance: instanceOf(user.instance),
      applications: user.applications,
      certificateEpoch: user.certificate.epoch,
      certificateEndsMs: user.certificate.notAfterMs,
    }
    this.running.add(attachment)
    // A client that dials again has most likely lost what it had. Whether it has, its other attachments tell within seconds, not at their next heartbeat.
    for (const older of this.running.othersOf(attachment)) {
      older.link.probe(this.nowMs)
      this.touch(older)
    }
    this.sweepAtMs = Math.min(this.sweepAtMs, this.nowMs + sweepMs)
    this.overload.begin(this.nowMs, this.loadFacts())
    this.log('info', 'attached', { carrier: attachment.carrier, user: user.user, label: user.label, software: user.software })
    if (this.draining !== undefined) {
      const { withinMs, spreadMs } = this.draining
      this.say(attachment, { type: 'drain', withinMs, spreadMs })
    }
  }

  private onControl(attachment: Attachment, message: HopControl): void {
    // The link lets nothing pass before the handshake; this only says so to the compiler.
    if (attachment.who === undefined) return
    switch (message.type) {
      case 'listen':
        this.matching.listen(this.nowMs, attachment, message)
        return
      case 'unlisten':
        this.matching.unlisten(this.nowMs, attachment, message.listenId)
        return
      case 'connect':
        this.matching.connect(this.nowMs, attachment, message)
        return
      case 'cancel':
        this.matching.cancel(attachment, message.requestId)
        return
      case 'answer':
        this.matching.answer(this.nowMs, attachment, message.offerId, message.handshake)
        return
      case 'reject':
        this.matching.reject(attachment, message.offerId, message.code)
        return
      case 'join':
        this.joins.join(this.nowMs, attachment, message)
        return
      case 'relayListWanted':
        this.lists.wanted(attachment, message.version)
        return
      case 'leave':
        this.joins.leave(attachment, message.joinId)
        return
      case 'circuitTag':
        this.joins.tagged(attachment, message)
        return
      case 'circuitClose': {
        const half = attachment.circuits.get(message.circuit)
        if (half !== undefined) this.circuits.close(half, message.reason.slice(0, 64), false)
        return
      }
      default:
        // Messages that only a relay sends, and those of a newer client: nothing is harmed by ignoring them.
        return
    }
  }

  private verify(credential: Credential, nowMs: number): CredentialVerdict {
    if (credential.type !== 'certificate') return { refuse: 'not_yet', message: `credentials of type ${credential.type} are not taken yet` }
    if (this.draining !== undefined) return { refuse: 'draining', message: 'the relay is going away' }
    const { trust, crypto } = this.options
    try {
      const certificate = verifyUserCertificate(trust, credential.certificate, nowMs, crypto)
      const { user, applications, epoch } = certificate
      const refusal = this.standing(user, epoch)
      if (refusal !== undefined) return refusal
      if ((this.shares.attachments.get(user) ?? 0) >= this.limits.attachmentsPerUser)
        return { refuse: 'limit', message: `user ${user} has too many attachments` }
      return { user, applications }
    } catch (cause) {
      if (cause instanceof SennitError) return { refuse: cause.code, message: cause.message }
      throw cause
    }
  }

  /** Undefined when the list of users lets this certificate in. */
  private standing(user: string, epoch: number): { refuse: string; message: string } | undefined {
    const required = this.users.get(user)
    if (required === undefined) return { refuse: 'not_registered', message: `user ${user} is not in the relay's list of users` }
    if (epoch < required) return { refuse: 'revoked', message: `the certificate of ${user} is revoked` }
    return undefined
  }

  /** Tells the client why, then ends: the reason rides in the last write. */
  private hangUp(attachment: Attachment, code: string, message: string): void {
    if (attachment.ended) return
    this.refusals.add(code)
    attachment.link.close(code, message)
    // A blocked carrier would keep the reason, and with it the attachment; then it ends without.
    if (attachment.blockedSinceMs !== undefined) {
      this.end(attachment, code, true)
      return
    }
    this.release(attachment, code)
    this.touch(attachment)
  }

  /** Takes everything the attachment had in the relay; its link may still say goodbye. */
  private release(attachment: Attachment, reason: string): void {
    // The other end hears why, as a hint: whether it is over for it, it decides from what all its relays say.
    const hint = reason === 'draining' ? reason : reason === 'revoked' ? 'peer_revoked' : 'peer_detached'
    for (const half of [...attachment.circuits.values()]) this.circuits.close(half, hint, false)
    this.joins.ended(attachment)
    this.lists.ended(attachment)
    this.overload.ended(attachment)
    if (attachment.who !== undefined) this.matching.ended(this.nowMs, attachment)
  }

  private end(attachment: Attachment, reason: string, tellShell: boolean): void {
    if (attachment.ended) return
    attachment.ended = true
    this.attachments.delete(attachment.key)
    this.blocked.delete(attachment)
    if (this.unproved.delete(attachment)) this.admission.leave(this.nowMs, attachment.address, false)
    this.closes.add(reason)
    this.release(attachment, reason)
    const { who } = attachment
    if (who !== undefined) {
      this.running.delete(attachment)
      this.giveShare(who.user, 'attachments')
      this.log('info', 'detached', { carrier: attachment.carrier, user: who.user, label: who.label, reason })
    }
    if (tellShell) this.effects.push({ type: 'close', key: attachment.key, reason })
  }

  private touch(attachment: Attachment): void {
    if (attachment.dirty || attachment.ended) return
    attachment.dirty = true
    this.dirty.push(attachment)
  }

  private schedule(attachment: Attachment): void {
    const atMs = attachment.link.wakeAtMs()
    if (atMs === undefined || atMs >= attachment.scheduledMs) return
    attachment.scheduledMs = atMs
    this.wakes.push(atMs, attachment)
  }

  private sweep(nowMs: number): void {
    this.sweepAtMs = this.attachments.size === 0 ? Number.POSITIVE_INFINITY : nowMs + sweepMs
    for (const attachment of [...this.attachments.values()]) {
      if (attachment.who !== undefined && attachment.who.certificateEndsMs <= nowMs)
        this.hangUp(attachment, 'certificate_expired', 'the certificate has ended')
    }
    this.circuits.sweep(nowMs)
    for (const user of this.lookups.keys()) if (!this.shares.attachments.has(user)) this.lookups.delete(user)
  }

  private say(attachment: Attachment, message: HopControl): void {
    if (attachment.ended) return
    attachment.link.sendControl(message)
    this.touch(attachment)
  }

  private loadFacts(): LoadFacts {
    const { forwardedBytes, queuedBytes } = this.circuits
    return { forwardedBytes, attachments: this.attachments.size, pressure: queuedBytes / this.limits.memoryBytes }
  }

  private log(level: LogLevel, event: string, fields: Readonly<Record<string, unknown>>): void {
    this.effects.push({ type: 'log', level, event, fields })
  }

  private takeShare(user: string, what: UserShare): boolean {
    const max = { attachments: this.limits.attachmentsPerUser, listens: this.limits.listensPerUser, circuits: this.limits.circuitsPerUser }[
      what
    ]
    const used = this.shares[what].get(user) ?? 0
    if (used >= max) return false
    this.shares[what].set(user, used + 1)
    return true
  }

  private giveShare(user: string, what: UserShare): void {
    const used = (this.shares[what].get(user) ?? 0) - 1
    if (used <= 0) this.shares[what].delete(user)
    else this.shares[what].set(user, used)
  }

  private takeLookup(nowMs: number, user: string): boolean {
    let bucket = this.lookups.get(user)
    if (bucket === undefined) {
      bucket = new TokenBucket(this.limits.lookupsPerSecond, this.limits.lookupsBurst, nowMs)
      this.lookups.set(user, bucket)
    }
    return bucket.take(nowMs)
  }

  private shared(): RelayCore {
    return {
      limits: this.limits,
      refusals: this.refusals,
      answers: this.answers,
      touch: (attachment) => this.touch(attachment),
      say: (attachment, message) => this.say(attachment, message),
      othersOf: (attachment) => this.running.othersOf(attachment),
      log: (level, event, fields) => this.log(level, event, fields),
      isRevoked: (user) => this.users.get(user) === Number.POSITIVE_INFINITY,
      isRegistered: (user) => this.users.has(user) && this.users.get(user) !== Number.POSITIVE_INFINITY,
      takeShare: (user, what) => this.takeShare(user, what),
      giveShare: (user, what) => this.giveShare(user, what),
      takeLookup: (nowMs, user) => this.takeLookup(nowMs, user),
      pressure: () => this.circuits.queuedBytes / this.limits.memoryBytes,
    }
  }
}

/** Not of an attachment that is gone, nor replaced by an earlier time. */
function isScheduled(entry: { readonly atMs: number; readonly item: Attachment }): boolean {
  return !entry.item.ended && entry.item.scheduledMs === entry.atMs
}

/** The lowest epoch that is let in, by user; a revoked user has none. */
function usersByName(list: UserList): ReadonlyMap<string, number> {
  return new Map(list.users.map((entry) => [entry.user, entry.revoked ? Number.POSITIVE_INFINITY : entry.epoch]))
}
