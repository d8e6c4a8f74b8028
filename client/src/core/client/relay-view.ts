/**
 * The relays of one connection as this end sees them: every path there could be, which of them went silent, and what each is worth. Its report for
 * the peer and its facts for the planner are made of that.
 */
import { type ReportFrame, relaysMax } from '@sennit/protocol'
import type { Attachment } from '../attach/attachment.ts'
import type { Attachments } from '../attach/attachments.ts'
import { relayOf } from '../attach/links.ts'
import { hasSpare } from '../paths/apart.ts'
import type { PathsOption } from '../paths/index.ts'
import { crowdedPolicyMs, type OwnFacts, type Planner } from '../plan/planner.ts'
import type { PolicyView } from '../plan/policy.ts'

/** A path judged bad is reported as "not reachable" for this long, or until it is validated anew. */
const badMs = 30_000

export class RelayView {
  readonly #attachments: Attachments
  readonly #policy: PolicyView
  readonly #planner: Planner
  readonly #badUntilMs = new Map<string, number>()

  constructor(attachments: Attachments, policy: PolicyView, planner: Planner) {
    this.#attachments = attachments
    this.#policy = policy
    this.#planner = planner
  }

  /** Every path there can be: one for each link of ours, and for those that only the other end has. */
  names(): string[] {
    const names: string[] = []
    for (const { relayId } of this.#attachments.all()) names.push(relayId)
    // Hardly anybody has several links, and this is asked for with every report of thousands of connections.
    for (const relayId of this.#planner.peerRelays())
      if (relayId !== relayOf(relayId) && !names.includes(relayId) && this.#attachments.linkFor(relayId) !== undefined) names.push(relayId)
    return names
  }

  /** There is one way only, whatever happens to it. */
  get alone(): boolean {
    return this.names().length === 1
  }

  /** One of the ends has several links to the relay of this path. */
  hasLinks(relayId: string): boolean {
    return this.names().filter((name) => relayOf(name) === relayOf(relayId)).length > 1
  }

  /** The path to `relayId` went silent and is not to be planned for a while. */
  isBad(nowMs: number, relayId: string): boolean {
    return nowMs < (this.#badUntilMs.get(relayId) ?? 0)
  }

  wentSilent(nowMs: number, relayId: string): void {
    this.#badUntilMs.set(relayId, nowMs + badMs)
    this.#planner.bad(nowMs, relayId)
  }

  answered(relayId: string): void {
    this.#badUntilMs.delete(relayId)
    this.#planner.recovered(relayId)
  }

  /** A relay that took us in anew lives; what its path did before it went says nothing about it now. @param open paths that answer */
  cameBack(attachment: Attachment, open: ReadonlySet<string>): void {
    for (const relayId of [attachment.relayId, ...this.#badUntilMs.keys()])
      if (!open.has(relayId) && this.#attachments.linkFor(relayId) === attachment) this.answered(relayId)
  }

  /** Paths that a plan could name now. */
  plannable(nowMs: number): string[] {
    return this.names().filter(
      (relayId) => this.#attachments.linkFor(relayId)?.usable === true && !this.isBad(nowMs, relayId) && this.#planner.peerReaches(relayId),
    )
  }

  report(nowMs: number, paths: PathsOption): ReportFrame {
    const relays: ReportFrame['relays'] = []
    const scarce = this.#scarce(nowMs, paths)
    for (const attachment of this.#attachments.all()) {
      if (relays.length === relaysMax) break
      const leg = attachment.leg.estimate(nowMs)
      const policy = this.#policy.verdict(attachment.entry)
      const policyMs = policy.policyMs + (attachment.notices.isCrowded(nowMs) ? crowdedPolicyMs : 0)
      relays.push({
        relayId: attachment.relayId,
        rttMs: leg?.rttMs ?? 0,
        varMs: leg?.varMs ?? 0,
        loss: leg?.loss ?? 0,
        ageMs: Math.round(leg?.ageMs ?? 0),
        reachable: attachment.usable && policy.excluded === undefined && (scarce || !this.isBad(nowMs, attachment.relayId)),
        ...(policyMs > 0 ? { policyMs } : {}),
      })
    }
    return { type: 'report', relays }
  }

  /** @param open paths that answer */
  facts(nowMs: number, open: ReadonlySet<string>): OwnFacts[] {
    const paths = this.names().map((relayId) => ({ relayId, attachment: this.#attachments.linkFor(relayId)! }))
    return paths.map(({ relayId, attachment }) => ({
      relayId,
      leg: attachment.leg.estimate(nowMs),
      reachable: attachment.usable,
      why: attachment.attached ? 'it drains' : unreachableWhy(attachment),
      open: open.has(relayId),
      failureDomain: attachment.entry.failureDomain,
      entry: attachment.entry,
      queueMs: attachment.notices.queueMs(nowMs),
      crowded: attachment.notices.isCrowded(nowMs),
    }))
  }

  /** A relay is on its way, or was not measured yet: the first choice may be another one in a moment. */
  get pending(): boolean {
    for (const attachment of this.#attachments.all())
      if (attachment.attached ? attachment.leg.samples === 0 : attachment.coming) return true
    return false
  }

  /** No relay is left to spare that did not go silent: then the others are offered too, since the captain has no better. */
  #scarce(nowMs: number, paths: PathsOption): boolean {
    const usable = this.#attachments.attached().filter((attachment) => attachment.usable)
    const sound = usable.filter(({ relayId }) => !this.isBad(nowMs, relayId))
    return !hasSpare(
      sound.map(({ relayId, entry: { failureDomain } }) => ({ relayId, failureDomain })),
      paths,
    )
  }
}

function unreachableWhy(attachment: Attachment): string {
  if (attachment.state === 'idle') return 'not attached: further away than the ones in use'
  const failure = attachment.lastFailure
  return failure === undefined ? 'not attached yet' : `not attached: ${failure.code}`
}
