/**
 * Joins of one connection: for every path that is wanted and not open, one JOIN with that path's tag stands at its relay until the peer's
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

/** A path by its name, and the link of ours that it goes over. */
export interface WantedPath {
  readonly relayId: string
  readonly attachment: Attachment
}

type Join =
  | { readonly type: 'asked'; readonly joinId: number; readonly attachment: Attachment }
  | { readonly type: 'retry'; readonly atMs: number; readonly attachment: Attachment }

export class JoinKeeper {
  readonly #context: JoinContext
  readonly #joins = new Map<string, Join>()

  constructor(context: JoinContext) {
    this.#context = context
  }

  /** Paths with a JOIN standing or to be repeated. */
  relays(): Iterable<string> {
    return this.#joins.keys()
  }

  /** Brings the standing JOINs in line: one at each of `wanted` that is usable and has no open path. */
  sync(nowMs: number, wanted: Iterable<WantedPath>, hasPath: (relayId: string) => boolean): void {
    // Made when something is kept: mostly every path is there, and nothing is asked for.
    let keep: Set<string> | undefined
    for (const path of wanted) {
      const { attachment, relayId } = path
      if (!attachment.usable || hasPath(relayId)) continue
      keep ??= new Set()
      keep.add(relayId)
      const join = this.#joins.get(relayId)
      if (join?.attachment === attachment) {
        if (join.type === 'asked' || nowMs < join.atMs) continue
      } else if (join?.type === 'asked') join.attachment.sendControl({ type: 'leave', joinId: join.joinId })
      this.#ask(path)
    }
    for (const [relayId, join] of this.#joins) {
      if (keep?.has(relayId) === true) continue
      this.#joins.delete(relayId)
      if (join.type === 'asked') join.attachment.sendControl({ type: 'leave', joinId: join.joinId })
    }
  }

  /** The connection is over: nobody waits for it any more. */
  leaveAll(): void {
    for (const join of this.#joins.values()) if (join.type === 'asked') join.attachment.sendControl({ type: 'leave', joinId: join.joinId })
    this.#joins.clear()
  }

  /** The relay coupled it: the path, if it was still wanted. */
  joined(joinId: number): string | undefined {
    const relayId = this.#asked(joinId)?.[0]
    if (relayId !== undefined) this.#joins.delete(relayId)
    return relayId
  }

  /** The relay refused it: asked again with full jitter. */
  refused(nowMs: number, joinId: number): void {
    const found = this.#asked(joinId)
    if (found === undefined) return
    const [relayId, { attachment }] = found
    this.#joins.set(relayId, { type: 'retry', atMs: nowMs + this.#context.random() * this.#context.retryMs, attachment })
  }

  /** The attachment went, and its JOINs with it. */
  detached(attachment: Attachment): void {
    for (const [relayId, join] of this.#joins) if (join.attachment === attachment) this.#joins.delete(relayId)
  }

  wakeAtMs(): number {
    let atMs = Number.POSITIVE_INFINITY
    if (this.#joins.size === 0) return atMs
    for (const join of this.#joins.values()) if (join.type === 'retry') atMs = Math.min(atMs, join.atMs)
    return atMs
  }

  #ask({ relayId, attachment }: WantedPath): void {
    const joinId = this.#context.nextJoinId()
    this.#joins.set(relayId, { type: 'asked', joinId, attachment })
    const { user, label } = this.#context.peer
    attachment.sendControl({ type: 'join', joinId, tag: this.#context.tag(relayId), user, label })
  }

  #asked(joinId: number): readonly [string, Join] | undefined {
    for (const [relayId, join] of this.#joins) if (join.type === 'asked' && join.joinId === joinId) return [relayId, join]
    return undefined
  }
}
