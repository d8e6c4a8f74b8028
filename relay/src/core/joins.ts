/** JOIN: couples two attachments that show the same tag and name each other. The tag is secret to the pair and differs per relay (connection.md 19). */

import { hex } from '@sennit/protocol'
import type { Attachment } from './attachment.ts'
import type { Circuits } from './circuits.ts'
import type { RelayCore } from './core.ts'

/** A JOIN that waits for its other half. */
export interface PendingJoin {
  readonly attachment: Attachment
  readonly joinId: number
  readonly tag: string
  readonly user: string
  readonly label: string
}

/** Said of what makes way for the same client's newer attachment. */
const replaced = 'replaced'

/** A tag is a 16-byte value that two clients derive. */
const tagBytes = 16

/** Strangers who guess or replay one tag may wait beside its owners, but not without end. */
const waitersPerTagMax = 8

export class Joins {
  private readonly core: RelayCore
  private readonly circuits: Circuits
  private readonly waiting = new Map<string, PendingJoin[]>()
  count = 0

  constructor(core: RelayCore, circuits: Circuits) {
    this.core = core
    this.circuits = circuits
  }

  join(nowMs: number, attachment: Attachment, message: { joinId: number; tag: Uint8Array; user: string; label: string }): void {
    const { joinId, user, label } = message
    const tag = hex(message.tag)
    const old = attachment.joins.get(joinId)
    if (old !== undefined) this.forget(old)
    if (message.tag.length !== tagBytes) {
      this.refuse(attachment, joinId, 'malformed')
      return
    }
    if (this.core.isRevoked(user)) {
      this.refuse(attachment, joinId, 'peer_revoked')
      return
    }
    const who = attachment.who!
    this.replaceOlder(attachment, tag, message)
    const waiters = this.waiting.get(tag) ?? []
    // A client that asks again under another number means its newest.
    for (const waiter of waiters) if (waiter.attachment === attachment) this.forget(waiter)
    const match = waiters.find(
      (waiter) =>
        waiter.attachment !== attachment &&
        waiter.user === who.user &&
        waiter.label === who.label &&
        waiter.attachment.who!.user === user &&
        waiter.attachment.who!.label === label,
    )
    if (match === undefined) {
      const room = attachment.joins.size < this.core.limits.joinsPerAttachment && waiters.length < waitersPerTagMax
      if (!room || this.core.pressure() > newConnectionShare) {
        this.refuse(attachment, joinId, 'limit')
        return
      }
      const pending: PendingJoin = { attachment, joinId, tag, user, label }
      attachment.joins.set(joinId, pending)
      this.waiting.set(tag, [...(this.waiting.get(tag) ?? []), pending])
      this.count += 1
      return
    }
    this.forget(match)
    const pair = this.circuits.open(nowMs, match.attachment, attachment)
    if (pair === undefined) {
      this.refuse(match.attachment, match.joinId, 'limit')
      this.refuse(attachment, joinId, 'limit')
      return
    }
    for (const [half, id] of [
      [pair.first, match.joinId],
      [pair.second, joinId],
    ] as const) {
      half.tag = tag
      this.core.say(half.attachment, { type: 'joined', joinId: id, circuit: half.circuit, credit: half.limitBytes })
    }
  }

  /**
   * A client whose attachment died without a word is back on a new one before we know that the old one is dead. What the old one holds under this
   * tag would keep both ends apart until then, so it makes way: the other end hears it, and its next JOIN meets this one. Nobody else can do that:
   * it takes the same user, label and instance, proved by the hop handshake, and a tag that only the two ends of the connection can derive.
   */
  private replaceOlder(attachment: Attachment, tag: string, { user, label }: { user: string; label: string }): void {
    for (const older of this.core.othersOf(attachment)) {
      for (const pending of [...older.joins.values()]) {
        if (pending.tag !== tag || pending.user !== user || pending.label !== label) continue
        this.forget(pending)
        this.refuse(older, pending.joinId, replaced)
      }
      for (const half of [...older.circuits.values()]) {
        const peer = half.other.attachment.who!
        if (half.tag === tag && peer.user === user && peer.label === label) this.circuits.close(half, replaced, true)
      }
    }
  }

  /**
   * What began with a call is named as if it had begun with a JOIN, so that the same client's next JOIN takes its place. It says so of its own half
   * only: a wrong tag can end nothing but what is its own.
   */
  tagged(attachment: Attachment, { circuit, tag }: { circuit: number; tag: Uint8Array }): void {
    const half = attachment.circuits.get(circuit)
    if (half !== undefined && tag.length === tagBytes) half.tag = hex(tag)
  }

  leave(attachment: Attachment, joinId: number): void {
    const pending = attachment.joins.get(joinId)
    if (pending !== undefined) this.forget(pending)
  }

  /** Who waits for somebody that was revoked waits in vain, and hears it. */
  usersChanged(): void {
    for (const waiters of [...this.waiting.values()])
      for (const pending of waiters) {
        if (!this.core.isRevoked(pending.user)) continue
        this.forget(pending)
        this.refuse(pending.attachment, pending.joinId, 'peer_revoked')
      }
  }

  /** The attachment is gone, and with it all it waited for. */
  ended(attachment: Attachment): void {
    for (const pending of [...attachment.joins.values()]) this.forget(pending)
  }

  private forget(pending: PendingJoin): void {
    if (!pending.attachment.joins.delete(pending.joinId)) return
    this.count -= 1
    const rest = (this.waiting.get(pending.tag) ?? []).filter((other) => other !== pending)
    if (rest.length === 0) this.waiting.delete(pending.tag)
    else this.waiting.set(pending.tag, rest)
  }

  private refuse(attachment: Attachment, joinId: number, code: string): void {
    this.core.refusals.add(`join_${code}`)
    this.core.say(attachment, { type: 'joinRefused', joinId, code })
  }
}

/** Above this share of memory nothing new is coupled. */
export const newConnectionShare = 0.85
