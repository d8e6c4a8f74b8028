/**
 * The relay without its sockets: attachments (one hop link each), matching, joins, circuits, limits and drain. Pure: time comes in as `nowMs`,
 * bytes come in by key, effects are taken with `poll()`. A shell passes in all bytes of one turn and polls afterwards, so that packets of many
 * sources share one record and one write.
 */

import { type HopControl, type LinkEffect, SennitError, type UserList } from '@sennit/protocol'
import type { AdmissionRefusal } from './admission.ts'
import type { Attachment } from './attachment.ts'
import { BlockedCarriers } from './blocked-carriers.ts'
import { Circuits } from './circuits.ts'
import type { RelayCore } from './core.ts'
import { Counters } from './counters.ts'
import { Door } from './door.ts'
import { Drain, type DrainPlan } from './drain.ts'
import { EffectQueue } from './effect-queue.ts'
import type { RelayEffect, RelayStats } from './effects.ts'
import { Joins } from './joins.ts'
import { defaultLimits, type RelayLimits } from './limits.ts'
import { LinkAgenda } from './link-agenda.ts'
import { type HandedList, ListTeller } from './list-teller.ts'
import { instanceOf, Matching } from './matching.ts'
import type { CarrierFacts, RelayMachineOptions } from './options.ts'
import { type LoadFacts, Overload } from './overload.ts'
import { Requests } from './requests.ts'
import { RunningClients } from './running-clients.ts'
import { UserShares } from './user-shares.ts'
import { UsersInForce } from './users-in-force.ts'

/** How often certificates of live attachments are looked at for their end. */
const sweepMs = 10_000

export class RelayMachine {
  private readonly limits: RelayLimits
  private readonly attachments = new Map<number, Attachment>()
  private readonly door: Door
  private readonly circuits: Circuits
  private readonly joins: Joins
  private readonly matching: Matching
  private readonly lists: ListTeller
  private readonly requests: Requests
  private readonly overload: Overload
  private readonly refusals = new Counters()
  private readonly answers = new Counters()
  private readonly closes = new Counters()
  private readonly effects = new EffectQueue()
  private readonly agenda = new LinkAgenda()
  private readonly blocked: BlockedCarriers
  private readonly running = new RunningClients()
  private readonly shares: UserShares
  private readonly users: UsersInForce
  private nowMs = 0
  private sweepAtMs = Number.POSITIVE_INFINITY
  private draining: Drain | undefined

  constructor(options: RelayMachineOptions) {
    this.limits = { ...defaultLimits, ...options.limits }
    this.shares = new UserShares(this.limits)
    this.users = new UsersInForce(options.users)
    this.blocked = new BlockedCarriers(this.limits.writeStallMs)
    const { limits, refusals, users, shares } = this
    this.door = new Door({ options, limits, refusals, users, shares, isDraining: () => this.draining !== undefined })
    const core = this.shared()
    this.circuits = new Circuits(core)
    this.joins = new Joins(core, this.circuits)
    this.matching = new Matching(core, this.circuits)
    this.lists = new ListTeller(core, options.relayList)
    this.requests = new Requests(this.circuits, this.joins, this.matching, this.lists)
    this.overload = new Overload(core, options.random)
  }

  /** A socket came that may or may not become an attachment; undefined when it may stay. Each that may is followed by `socketClosed`, `socketProved` or `accepted` with `counted`. */
  socketOpened(nowMs: number, address: string): AdmissionRefusal | undefined {
    return this.door.socketOpened(nowMs, address)
  }

  /** A socket that entered ended without an attachment; `refusal` says why, for the count. */
  socketClosed(nowMs: number, address: string, refusal?: string): void {
    this.door.socketClosed(nowMs, address, refusal)
  }

  /** A socket that entered belongs to a known attachment (a further request of the `http` carrier). */
  socketProved(nowMs: number, address: string): void {
    this.door.socketProved(nowMs, address)
  }

  /** Counts something the shell refused. */
  refused(reason: string): void {
    this.refusals.add(reason)
  }

  /** A carrier is open; `bytes` with the first handshake bytes follows. */
  accepted(nowMs: number, key: number, facts: CarrierFacts): void {
    this.nowMs = nowMs
    const attachment = this.door.accept(nowMs, key, facts, this.attachments.size)
    if (typeof attachment === 'string') {
      this.effects.close(key, attachment)
      return
    }
    this.attachments.set(key, attachment)
    this.agenda.touch(attachment)
  }

  /** Room is short: the attachment that has not proved itself for the longest time goes. False when there is none. */
  evictOldest(nowMs: number): boolean {
    this.nowMs = nowMs
    const { oldest } = this.door
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
    if (attachment === undefined || !this.blocked.writable(nowMs, attachment, writable)) return
    this.guard(attachment, () => attachment.link.carrierWritable(nowMs, writable))
  }

  /** A blocked carrier took some bytes: it is slow, not stalled. */
  progress(nowMs: number, key: number): void {
    const attachment = this.attachments.get(key)
    if (attachment !== undefined) this.blocked.progress(nowMs, attachment)
  }

  /** Attachments whose carrier takes nothing now; the shell looks at them for progress. */
  blockedKeys(): number[] {
    return this.blocked.keys()
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
    if (!this.users.change(users)) {
      this.effects.log('warn', 'users_list_older', { version: users.version, current: this.users.version })
      return
    }
    for (const attachment of [...this.attachments.values()]) {
      const { who } = attachment
      if (who === undefined) continue
      const refusal = this.users.refusalOf(who.user, who.certificateEpoch)
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
  drain(nowMs: number, plan: DrainPlan): void {
    this.nowMs = nowMs
    if (this.draining !== undefined) return
    this.draining = new Drain(nowMs, plan)
    const { notice } = this.draining
    for (const attachment of this.attachments.values()) if (attachment.who !== undefined) this.say(attachment, notice)
    this.effects.log('info', 'draining', { attachments: this.attachments.size, ...plan })
  }

  wake(nowMs: number): void {
    this.nowMs = nowMs
    for (let attachment = this.agenda.due(nowMs); attachment !== undefined; attachment = this.agenda.due(nowMs)) this.wakeLink(attachment)
    this.blocked.wake(
      nowMs,
      (attachment) => this.circuits.blocked(nowMs, attachment),
      (attachment) => this.end(attachment, 'write_stall', true),
    )
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
    let atMs = this.agenda.wakeAtMs()
    atMs = Math.min(atMs, this.blocked.wakeAtMs())
    atMs = Math.min(atMs, this.circuits.wakeAtMs() ?? atMs, this.matching.wakeAtMs() ?? atMs, this.lists.wakeAtMs())
    if (this.draining === undefined) atMs = Math.min(atMs, this.overload.wakeAtMs())
    if (this.attachments.size > 0) atMs = Math.min(atMs, this.sweepAtMs, this.draining?.endsAtMs ?? atMs)
    return atMs === Number.POSITIVE_INFINITY ? undefined : atMs
  }

  /** The next thing to do, until undefined. After a `write` the shell says at once when the carrier is full. */
  poll(): RelayEffect | undefined {
    for (;;) {
      const effect = this.effects.take()
      if (effect !== undefined) return effect
      const attachment = this.agenda.next()
      if (attachment === undefined) {
        const idle = this.draining !== undefined && this.attachments.size === 0 && this.draining.idle()
        return idle ? { type: 'idle' } : undefined
      }
      const linkEffect = attachment.ended ? undefined : attachment.link.poll()
      if (linkEffect === undefined) {
        this.agenda.settled(attachment)
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
    if (this.door.setBusy(busy)) this.effects.log(busy ? 'warn' : 'info', busy ? 'busy' : 'not_busy', { unauthenticated: this.door.open })
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
      unauthenticated: this.door.open,
      users: this.shares.users,
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
    this.agenda.touch(attachment)
  }

  private onLink(attachment: Attachment, effect: Exclude<LinkEffect, { type: 'write' | 'packet' }>): void {
    switch (effect.type) {
      case 'drained':
        this.circuits.drained(this.nowMs, attachment, effect.circuit, effect.bytes)
        return
      case 'control':
        this.requests.take(this.nowMs, attachment, effect.message)
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
        this.effects.log(attachment.who === undefined ? 'info' : 'debug', 'link_closed', {
          carrier: attachment.carrier,
          code: effect.code,
          message: effect.message,
        })
        this.end(attachment, effect.code, true)
    }
  }

  private established(attachment: Attachment, effect: Extract<LinkEffect, { type: 'established' }>): void {
    const user = effect.user!
    this.door.proved(this.nowMs, attachment)
    if (!this.shares.take(user.user, 'attachments')) {
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
      this.agenda.touch(older)
    }
    this.sweepAtMs = Math.min(this.sweepAtMs, this.nowMs + sweepMs)
    this.overload.begin(this.nowMs, this.loadFacts())
    this.effects.log('info', 'attached', { carrier: attachment.carrier, user: user.user, label: user.label, software: user.software })
    if (this.draining !== undefined) this.say(attachment, this.draining.notice)
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
    this.agenda.touch(attachment)
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
    this.blocked.ended(attachment)
    this.door.ended(this.nowMs, attachment)
    this.closes.add(reason)
    this.release(attachment, reason)
    const { who } = attachment
    if (who !== undefined) {
      this.running.delete(attachment)
      this.shares.give(who.user, 'attachments')
      this.effects.log('info', 'detached', { carrier: attachment.carrier, user: who.user, label: who.label, reason })
    }
    if (tellShell) this.effects.close(attachment.key, reason)
  }

  private wakeLink(attachment: Attachment): void {
    this.guard(attachment, () => attachment.link.wake(this.nowMs))
  }

  private sweep(nowMs: number): void {
    this.sweepAtMs = this.attachments.size === 0 ? Number.POSITIVE_INFINITY : nowMs + sweepMs
    for (const attachment of [...this.attachments.values()]) {
      if (attachment.who !== undefined && attachment.who.certificateEndsMs <= nowMs)
        this.hangUp(attachment, 'certificate_expired', 'the certificate has ended')
    }
    this.circuits.sweep(nowMs)
    this.shares.sweep()
  }

  private say(attachment: Attachment, message: HopControl): void {
    if (attachment.ended) return
    attachment.link.sendControl(message)
    this.agenda.touch(attachment)
  }

  private loadFacts(): LoadFacts {
    const { forwardedBytes, queuedBytes } = this.circuits
    return { forwardedBytes, attachments: this.attachments.size, pressure: queuedBytes / this.limits.memoryBytes }
  }

  private shared(): RelayCore {
    return {
      limits: this.limits,
      refusals: this.refusals,
      answers: this.answers,
      touch: (attachment) => this.agenda.touch(attachment),
      say: (attachment, message) => this.say(attachment, message),
      othersOf: (attachment) => this.running.othersOf(attachment),
      log: (level, event, fields) => this.effects.log(level, event, fields),
      isRevoked: (user) => this.users.isRevoked(user),
      isRegistered: (user) => this.users.isRegistered(user),
      takeShare: (user, what) => this.shares.take(user, what),
      giveShare: (user, what) => this.shares.give(user, what),
      takeLookup: (nowMs, user) => this.shares.takeLookup(nowMs, user),
      pressure: () => this.circuits.queuedBytes / this.limits.memoryBytes,
    }
  }
}
