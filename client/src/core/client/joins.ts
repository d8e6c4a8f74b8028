/**
 * Joins of one connection: at every relay where a path is wanted and none is open, one JOIN with that relay's tag stands until the peer's
 * JOIN meets it (connection.md 19, 21).
 */
import type { Attachment } from '../attach/attachment.ts'

/** What a join keeper needs from its connection. */
export interface JoinContext {
  readonly random: () => number
  readonly retryMs: number
  nextJoinId(): number
  tag(relayId: string): Uint8Array
  readonly peer: { readonly user: string; readonly label: string }
}

type Join =
  | { readonly type: 'asked'; readonly joinId: number; readonly attachment: Attachment }
  | { readonly type: 'retry'; readonly atMs: number }

export class JoinKeeper {
  readonly #context: JoinContext
  readonly #joins = new Map<string, Join>()

  constructor(context: JoinContext) {
    this.#context = context
  }

  /** Relays with a JOIN standing or to be repeated. */
  relays(): Iterable<string> {
    return this.#joins.keys()
  }

  /** Brings the standing JOINs in line: one at each of `wanted` that is usable and has no open path. */
  sync(nowMs: number, wanted: Iterable<Attachment>, hasPath: (relayId: string) => boolean): void {
    const keep = new Set<string>()
    for (const attachment of wanted) {
      if (!attachment.usable || hasPath(attachment.relayId)) continue
      keep.add(attachment.relayId)
      const join = this.#joins.get(attachment.relayId)
      if (join?.type === 'asked' && join.attachment === attachment) continue
      if (join?.type === 'retry' && nowMs < join.atMs) continue
      this.#ask(attachment)
    }
    for (const [relayId, join] of this.#joins) {
      if (keep.has(relayId)) continue
      this.#joins.delete(relayId)
      if (join.type === 'asked') join.attachment.sendControl({ type: 'leave', joinId: join.joinId })
    }
  }

  /** The connection is over: nobody waits for it any more. */
  leaveAll(): void {
    for (const join of this.#joins.values()) if (join.type === 'asked') join.attachment.sendControl({ type: 'leave', joinId: join.joinId })
    this.#joins.clear()
  }

  /** The relay coupled it: whether it was still wanted. */
  joined(relayId: string, joinId: number): boolean {
    const join = this.#joins.get(relayId)
    if (join?.type !== 'asked' || join.joinId !== joinId) return false
    this.#joins.delete(relayId)
    return true
  }

  /** The relay refused it: asked again with full jitter. */
  refused(nowMs: number, relayId: string, joinId: number): void {
    const join = this.#joins.get(relayId)
    if (join?.type !== 'asked' || join.joinId !== joinId) return
    this.#joins.set(relayId, { type: 'retry', atMs: nowMs + this.#context.random() * this.#context.retryMs })
  }

  /** The attachment went, and its JOIN with it. */
  detached(relayId: string): void {
    this.#joins.delete(relayId)
  }

  wakeAtMs(): number {
    let atMs = Number.POSITIVE_INFINITY
    for (const join of this.#joins.values()) if (join.type === 'retry') atMs = Math.min(atMs, join.atMs)
    return atMs
  }

  #ask(attachment: Attachment): void {
    const joinId = this.#context.nextJoinId()
    this.#joins.set(attachment.relayId, { type: 'asked', joinId, attachment })
    const { user, label } = this.#context.peer
    attachment.sendControl({ type: 'join', joinId, tag: this.#context.tag(attachment.relayId), user, label })
  }
}
