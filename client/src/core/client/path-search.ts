/**
 * The search of a connection for paths: which are wanted now, over which link of ours each of them goes, the joins that stand for those it lacks,
 * and whether it is in vain. It outlives the connection for a while, for the sake of a peer that has not heard its end.
 */
import { joinTag } from '@sennit/protocol'
import type { Attachment } from '../attach/attachment.ts'
import { relayOf } from '../attach/links.ts'
import type { Circuit } from './circuits.ts'
import type { ConnectionFacts } from './connection-facts.ts'
import type { ConnectionHost } from './connection-host.ts'
import { JoinKeeper, type WantedPath } from './joins.ts'
import { LastWord } from './last-word.ts'
import type { PathAgreement } from './path-agreement.ts'
import type { PathCircuits } from './path-circuits.ts'
import { Revocation, type RevocationVerdict } from './revocation.ts'
import type { Shortage } from './shortage.ts'

export interface PathSearchContext {
  readonly host: ConnectionHost
  readonly facts: ConnectionFacts
  readonly agreement: PathAgreement
  readonly shortage: Shortage
  readonly circuits: PathCircuits
  nextJoinId(): number
  isOpen(): boolean
  /** It ended, and nobody acknowledged that. */
  isUnheard(): boolean
}

/** A path that should have answered by now, where every path is silent. */
const againMs = 3_000
/** Relays of the plan that are opened beyond active and standby when these are in doubt. */
const nextRelays = 2

export class PathSearch {
  readonly #context: PathSearchContext
  readonly #joins: JoinKeeper
  readonly #lastWord = new LastWord()
  readonly #revocation = new Revocation()

  constructor(context: PathSearchContext) {
    this.#context = context
    const { host, facts, nextJoinId } = context
    this.#joins = new JoinKeeper({
      random: host.random,
      retryMs: host.tuning.joinRetryMs,
      nextJoinId,
      tag: (relayId) => joinTag(host.crypto, facts.secrets, relayId),
      peer: facts.peer,
    })
  }

  /** Adds the relays where there is a path, or one is wanted. */
  addRelaysInUse(relays: Set<string>): void {
    const { circuits, agreement, isOpen } = this.#context
    for (const circuit of circuits.all()) relays.add(relayOf(circuit.relayId))
    for (const relayId of this.#joins.relays()) relays.add(relayOf(relayId))
    if (isOpen()) for (const relayId of agreement.inForce.plannedRelays(0, 0)) relays.add(relayOf(relayId))
  }

  /** Brings joins in line with what is wanted now. */
  sync(nowMs: number): void {
    this.#joins.sync(nowMs, this.#wanted(nowMs), (relayId) => this.#has(nowMs, relayId))
  }

  /** The relay coupled a JOIN. @returns the path, unless nobody waits for it any more */
  joined(nowMs: number, joinId: number): string | undefined {
    const relayId = this.#joins.joined(joinId)
    return this.#context.isOpen() || this.#isUnheard(nowMs) ? relayId : undefined
  }

  refused(nowMs: number, attachment: Attachment, joinId: number, code: string): void {
    this.#revocation.told(attachment.relayId, code)
    this.#joins.refused(nowMs, joinId)
  }

  /** There is a path at that relay. */
  found(relayId: string): void {
    this.#revocation.forget(relayId)
  }

  /** The relay ended a path, and said why. */
  lost(relayId: string, reason: string): void {
    this.#revocation.told(relayId, reason)
  }

  /** The attachment went, and its JOINs with it. */
  detached(attachment: Attachment): void {
    this.#joins.detached(attachment)
    this.#revocation.forget(attachment.relayId)
  }

  /** Every relay says that one of the two ends may not come back: with no path left, the connection is over now, not when its time is. */
  inVain(): RevocationVerdict | undefined {
    const { host, facts } = this.#context
    return this.#revocation.verdict(host.attachments, facts.peerName)
  }

  /** What stands still for want of a relay does not wait for the back-off of one that may be back. */
  dialAll(): void {
    const { host } = this.#context
    host.attachments.stoodStill(this.#shared())
    host.needsSync()
  }

  /** The connection is over: nobody is waited for any more. */
  stop(): void {
    this.#joins.leaveAll()
    this.#lastWord.end()
  }

  /** The connection is over, and its peer is to hear so should it come looking. */
  stayForLastWord(nowMs: number): void {
    this.#lastWord.begin(nowMs)
  }

  /** @returns whether {@link sync} is due */
  wake(nowMs: number): boolean {
    return this.#lastWord.wake(nowMs, this.#joins.wakeAtMs()) || (this.#context.isOpen() && nowMs >= this.#joins.wakeAtMs())
  }

  wakeAtMs(): number {
    const atMs = this.#joins.wakeAtMs()
    return this.#context.isOpen() ? atMs : this.#lastWord.wakeAtMs(atMs)
  }

  /**
   * A path that goes over another link of ours than the one it is named by (the call came there, or ours was dead), while others carry: two paths
   * over one link would fail together.
   */
  misplaced(nowMs: number): Circuit | undefined {
    const { host, agreement, shortage, circuits, isOpen } = this.#context
    if (!isOpen() || shortage.validated < 2 || !agreement.inForce.settled) return undefined
    for (const circuit of circuits.all()) {
      const named = host.attachments.byId(circuit.relayId)
      if (named === undefined || named === circuit.attachment || !named.usable) continue
      if (agreement.inForce.plannedRelays(nowMs, 0).includes(circuit.relayId)) return circuit
    }
    return undefined
  }

  /** Paths that answered. */
  open(): Set<string> {
    const { circuits, shortage } = this.#context
    const relays = new Set<string>()
    for (const { pathId, relayId } of circuits.all()) if (shortage.isValidated(pathId)) relays.add(relayId)
    return relays
  }

  /** Relays that both ends could use. */
  *#shared(): Iterable<string> {
    const { host, facts, agreement } = this.#context
    for (const { relayId, entry } of host.attachments.all())
      if (facts.policy.allows(entry) && agreement.planner.peerKnows(relayId)) yield relayId
  }

  #wanted(nowMs: number): WantedPath[] {
    const { agreement, shortage, isOpen } = this.#context
    if (!isOpen()) return this.#isUnheard(nowMs) ? this.#everywhere() : []
    const search = shortage.search(nowMs)
    if (search === 'everywhere') return this.#everywhere()
    const names = search === 'all' ? agreement.relays.names() : agreement.inForce.plannedRelays(nowMs, search === 'next' ? nextRelays : 0)
    return this.#over(names, false)
  }

  /** Where ours and theirs of one id are not both alive, any two of one relay do. */
  #everywhere(): WantedPath[] {
    return this.#over(this.#context.agreement.relays.names(), true)
  }

  #over(names: readonly string[], anyLink: boolean): WantedPath[] {
    const { host, facts } = this.#context
    const paths: WantedPath[] = []
    for (const relayId of names) {
      const attachment = host.attachments.linkFor(relayId, anyLink)
      if (attachment !== undefined && facts.policy.allows(attachment.entry)) paths.push({ relayId, attachment })
    }
    return paths
  }

  /** There is a path of that name, and no reason to ask for it anew. */
  #has(nowMs: number, relayId: string): boolean {
    const { agreement, shortage, circuits } = this.#context
    // Without any path and with links to choose from, what stays silent is asked for anew: it may go over a dead link of the other end.
    const doubted = shortage.pathlessSinceMs !== undefined && agreement.relays.hasLinks(relayId)
    for (const circuit of circuits.all()) if (circuit.relayId === relayId && (!doubted || nowMs < circuit.openedAtMs + againMs)) return true
    return false
  }

  #isUnheard(nowMs: number): boolean {
    const { circuits, isUnheard } = this.#context
    return this.#lastWord.wanted(nowMs, circuits.size === 0 && isUnheard())
  }
}
