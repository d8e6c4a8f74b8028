/**
 * All relays of the list: which of them are attached to, in what order they are dialled, when an attachment nobody needs is given back,
 * and the survey that measures the others from time to time.
 */
import type { RelayEntry } from '@sennit/protocol'
import type { PolicyView } from '../plan/policy.ts'
import { Attachment } from './attachment.ts'
import type { AttachmentContext } from './attachment-context.ts'
import { type LinkFacts, linkId, linkNumber, relayOf } from './links.ts'
import { bestApart, bestLinks, type Candidate, ownRanking, rendezvousOrder } from './wanted.ts'

/** Why attachments are needed now. */
export interface AttachmentNeeds {
  /** Listening, waiting, or asked to attach to all: the whole list up to `attachedMax`. */
  readonly wide: boolean
  /** Some connection is without a path: dial at once, nobody rests. */
  readonly urgent: boolean
  /** Some connection has no standby: nobody rests. */
  readonly exposed: boolean
  /** Some connection needs every relay it has, at once: what was lost a moment ago is dialled every second. */
  readonly bare: boolean
  /** Somebody listens here and no relay is attached: nobody can call, so no relay rests. */
  readonly unserved: boolean
  /** Somebody listens: whoever calls may reach only a relay that rests, so none rests for long. */
  readonly serving: boolean
  /** A call waits for its peer, which may be found only at a relay that rests: nobody rests. */
  readonly waiting: boolean
  /** Relays that carry or are to carry a circuit, over whatever link. */
  readonly inUse: ReadonlySet<string>
  /** A plan is not acknowledged yet: give nothing back. */
  readonly keepAll: boolean
  /** Names whose rendezvous relays of a long list are needed. */
  readonly names: readonly string[]
  /** So many relays are to carry one connection, with one to stand by. */
  readonly relays: number
  /** The whole list, however long. */
  readonly attachAll: boolean
  /** Of connections and calls: what they pin or prefer is attached to. */
  readonly policies: readonly PolicyView[]
}

/** A survey holds an attachment this long: the three early pings and some. */
const surveyMs = 4_000
/** Between two surveys of one round, so that a long list is not dialled at once. */
const surveyStepMs = 2_000

export class Attachments {
  readonly #context: AttachmentContext
  /** Local addresses; undefined leaves the choice to the system. */
  readonly #localAddresses: readonly (string | undefined)[]
  /** By link id. */
  readonly #byRelay = new Map<string, Attachment>()
  /** The same, as a list for what is asked after every turn. */
  #links: readonly Attachment[] = []
  readonly #byKey = new Map<number, Attachment>()
  readonly #surveyedAtMs = new Map<string, number>()
  #lostAtMs = Number.NEGATIVE_INFINITY
  readonly #rendezvous = new Map<string, string[]>()
  #survey: { readonly attachment: Attachment; readonly untilMs: number } | undefined
  #nextSurveyAtMs = Number.POSITIVE_INFINITY
  /** Where connections that have just begun to stand still may find their peers. */
  readonly #prompt = new Set<string>()

  /** @param localAddresses each is a link of its own to every relay; none: one link, from where the system chooses */
  constructor(context: AttachmentContext, relays: readonly RelayEntry[], localAddresses: readonly string[] = []) {
    this.#context = context
    this.#localAddresses = localAddresses.length === 0 ? [undefined] : localAddresses
    for (const entry of relays) for (const link of this.#linksTo(entry)) this.#byRelay.set(link.id, new Attachment(context, entry, link))
    this.#links = [...this.#byRelay.values()]
  }

  /** All links, in the order of the list. */
  all(): Iterable<Attachment> {
    return this.#byRelay.values()
  }

  /** How many relays there are, however many links to each. */
  get size(): number {
    if (this.#localAddresses.length === 1) return this.#byRelay.size
    return new Set([...this.#byRelay.values()].map(({ relay }) => relay)).size
  }

  byId(linkId: string): Attachment | undefined {
    return this.#byRelay.get(linkId)
  }

  /**
   * The link over which a path of this name goes: that of the id, or one of ours to the same relay where only the other end has so many.
   * @param anyLink one that works, rather than the one of the id
   */
  linkFor(name: string, anyLink = false): Attachment | undefined {
    const own = this.#byRelay.get(name)
    if (own !== undefined && (own.usable || !anyLink)) return own
    const links = [...this.#byRelay.values()].filter(({ relay }) => relay === relayOf(name))
    const usable = links.filter((link) => link.usable)
    return usable[(linkNumber(name) - 1) % usable.length] ?? own ?? links[0]
  }

  /** Another link to the same relay, attached. */
  siblingOf(attachment: Attachment): Attachment | undefined {
    for (const other of this.#byRelay.values()) if (other !== attachment && other.relay === attachment.relay && other.attached) return other
    return undefined
  }

  byKey(key: number): Attachment | undefined {
    return this.#byKey.get(key)
  }

  /** A carrier of `attachment` got this key. */
  registerKey(key: number, attachment: Attachment): void {
    this.#byKey.set(key, attachment)
  }

  forgetKey(key: number): void {
    this.#byKey.delete(key)
  }

  get anyAttached(): boolean {
    for (const attachment of this.#byRelay.values()) if (attachment.attached) return true
    return false
  }

  attached(): Attachment[] {
    return [...this.#byRelay.values()].filter((attachment) => attachment.attached)
  }

  /** Attached ones in the order of own measurements. */
  attachedByRank(): Attachment[] {
    return this.ranked().filter((attachment) => attachment.attached)
  }

  /** All, best first by own measurements. */
  ranked(): Attachment[] {
    return this.#ranking(false).map((relay) => this.#byRelay.get(relay.relayId)!)
  }

  /** The first relays to ask for the listener `name`, best first; the rest follows by rank, and then the further links to all of them. */
  askOrder(name: string): Attachment[] {
    const ranked = this.ranked()
    const relays = new Set<string>()
    const [best, further]: [Attachment[], Attachment[]] = [[], []]
    for (const link of ranked) {
      if (relays.has(link.relay)) further.push(link)
      else best.push(link)
      if (link.usable) relays.add(link.relay)
    }
    if (this.size <= this.#context.tuning.attachedMax) return [...best, ...further]
    const first = new Set(this.#rendezvousOf(name))
    return [...best.filter((link) => first.has(link.relay)), ...best.filter((link) => !first.has(link.relay)), ...further]
  }

  /**
   * A new list: entries that are gone are left, and kept while a connection has nothing else, for a list may be wrong about the others; new
   * ones are tried.
   */
  relaysChanged(nowMs: number, relays: readonly RelayEntry[]): void {
    const kept = new Map<string, Attachment>()
    for (const entry of relays) {
      for (const link of this.#linksTo(entry)) {
        const existing = this.#byRelay.get(link.id)
        existing?.entryChanged(nowMs, entry)
        kept.set(link.id, existing ?? new Attachment(this.#context, entry, link))
      }
    }
    for (const [relayId, attachment] of this.#byRelay) {
      if (kept.has(relayId)) continue
      attachment.unlisted(nowMs)
      if (attachment.attached) kept.set(relayId, attachment)
    }
    this.#byRelay.clear()
    for (const [relayId, attachment] of kept) this.#byRelay.set(relayId, attachment)
    this.#links = [...kept.values()]
    this.#rendezvous.clear()
  }

  /** Brings attachments in line with what is needed now. */
  sync(nowMs: number, needs: AttachmentNeeds): void {
    const ranking = this.#ranking(true)
    const wanted = this.#wanted(nowMs, needs, ranking)
    const anyAttached = this.anyAttached
    let rank = 0
    const ranked = new Set<string>()
    for (const { relayId } of ranking) {
      const attachment = this.#byRelay.get(relayId)!
      attachment.watch.busy = needs.inUse.has(attachment.relay)
      if (!wanted.has(attachment)) {
        this.#giveBack(nowMs, attachment, needs)
        continue
      }
      // The first relay to answer is raced for, 250 ms apart; once there is one, the others need not wait.
      ranked.add(attachment.relay)
      attachment.watch.saver = ranked.size > this.#context.tuning.attachedMin
      attachment.want(nowMs, this.#dialAtMs(nowMs, attachment, needs, anyAttached ? 0 : rank))
      // A connection on its last relay wants its next one back within seconds, not within the half minute of an ordinary back-off.
      const noRest = needs.exposed || needs.waiting
      if (needs.urgent || (noRest && attachment.state === 'resting') || ((needs.exposed || needs.unserved) && attachment.failing))
        attachment.hurry(nowMs)
      if (needs.bare) attachment.returnSoon(nowMs)
      if (needs.serving) attachment.restAtMost(nowMs, this.#context.tuning.restServingMaxMs)
      if (needs.urgent && this.#prompt.has(relayId)) attachment.prompt(nowMs)
      rank += 1
    }
    this.#prompt.clear()
    this.#endDrained(nowMs, needs.inUse)
  }

  /** A relay was lost that others sat on too: whoever replaces it goes at a moment of its own, among equals to one of its own choice. */
  lost(nowMs: number): void {
    this.#lostAtMs = nowMs
    for (const attachment of this.#byRelay.values()) attachment.draw()
  }

  /** A connection stands still from now on, for want of a path or of a relay for its mode: the next {@link sync} has each of these dialled once out of turn. */
  stoodStill(relayIds: Iterable<string>): void {
    for (const relayId of relayIds) this.#prompt.add(relayId)
  }

  wake(nowMs: number): void {
    for (const attachment of this.#byRelay.values()) if (nowMs >= attachment.wakeAtMs()) attachment.wake(nowMs)
  }

  wakeAtMs(): number {
    let atMs = this.syncAtMs()
    for (const attachment of this.#links) atMs = Math.min(atMs, attachment.wakeAtMs())
    return atMs
  }

  /** When {@link sync} is due for time's sake alone: a survey, an attachment to be given back, a draining relay to be left. */
  syncAtMs(): number {
    let atMs = this.#survey?.untilMs ?? this.#nextSurveyAtMs
    for (const attachment of this.#links) atMs = this.#sooner(atMs, attachment)
    return atMs
  }

  /** Whether `attachment` may rest: not one of the last two that could still be tried. */
  mayRest(attachment: Attachment): boolean {
    let awake = 0
    for (const other of this.#byRelay.values()) if (other !== attachment && other.state !== 'resting') awake += 1
    return awake >= 2
  }

  #sooner(atMs: number, attachment: Attachment): number {
    let soonestMs = atMs
    const { unwantedSinceMs, notices } = attachment
    const { draining, crowded } = notices
    if (unwantedSinceMs !== undefined) soonestMs = Math.min(soonestMs, unwantedSinceMs + this.#context.tuning.releaseAfterMs)
    if (draining !== undefined) soonestMs = Math.min(soonestMs, draining.left ? draining.endAtMs : draining.leaveAtMs)
    if (crowded !== undefined) soonestMs = Math.min(soonestMs, crowded.told ? crowded.untilMs : crowded.fromMs)
    return soonestMs
  }

  #wanted(nowMs: number, needs: AttachmentNeeds, ranking: readonly Candidate[]): Set<Attachment> {
    const wanted = new Set<Attachment>()
    const relays = this.#wantedRelays(needs, ranking)
    for (const attachment of this.#byRelay.values()) if (relays.has(attachment.relay)) wanted.add(attachment)
    if (needs.keepAll) for (const attachment of this.#byRelay.values()) if (attachment.attached) wanted.add(attachment)
    const surveyed = this.#surveyed(nowMs, wanted)
    if (surveyed !== undefined) wanted.add(surveyed)
    const served = this.#served()
    for (const attachment of wanted) {
      const { relay, entry, listed } = attachment
      const goes = (!listed || (entry.draining === true && served)) && !needs.inUse.has(relay)
      if (goes || !this.#context.policy.allows(entry)) wanted.delete(attachment)
    }
    return wanted
  }

  /** Relays to sit on; each over all its links. */
  #wantedRelays(needs: AttachmentNeeds, ranking: readonly Candidate[]): Set<string> {
    const { attachedMin, attachedMax } = this.#context.tuning
    const wanted = new Set<string>()
    const { size } = this
    if (needs.attachAll || (needs.wide && size <= attachedMax)) for (const { relay } of this.#byRelay.values()) wanted.add(relay)
    if (size > attachedMax)
      for (const name of needs.names)
        for (const relay of this.#rendezvousOf(name)) {
          if (wanted.size >= 2 * attachedMax) break
          wanted.add(relay)
        }
    for (const { relay } of this.#byRelay.values()) if (needs.inUse.has(relay)) wanted.add(relay)
    // One active, one standby and one spare: what is in use counts, wherever it stands in our own order, and the best is always held.
    const held = Math.min(Math.max(attachedMin, needs.relays), attachedMax)
    for (const [place, best] of bestApart(bestLinks(ranking), held).entries()) {
      if (place > 0 && wanted.size >= held && [...wanted].some((relay) => !needs.inUse.has(relay))) break
      wanted.add(relayOf(best.relayId))
    }
    for (const { relay, entry } of this.#byRelay.values()) {
      if (wanted.size >= 2 * attachedMax) break
      if (needs.policies.some((policy) => policy.wants(entry))) wanted.add(relay)
    }
    return wanted
  }

  *#linksTo({ relayId }: RelayEntry): Iterable<LinkFacts> {
    for (const [place, localAddress] of this.#localAddresses.entries()) {
      const id = linkId(relayId, place + 1)
      if (id !== undefined) yield { id, localAddress }
    }
  }

  #giveBack(nowMs: number, attachment: Attachment, needs: AttachmentNeeds): void {
    attachment.unwant(nowMs)
    const since = attachment.unwantedSinceMs
    const surveyOver = this.#surveyedAtMs.get(attachment.relayId) !== undefined && !needs.wide
    const lingerMs = surveyOver ? 0 : this.#context.tuning.releaseAfterMs
    if (since !== undefined && nowMs >= since + lingerMs) attachment.release(nowMs, 'released')
  }

  #endDrained(nowMs: number, inUse: ReadonlySet<string>): void {
    for (const attachment of this.all()) {
      const { draining } = attachment.notices
      if (draining === undefined || !attachment.attached) continue
      const free = !inUse.has(attachment.relay) && (draining.byList !== true || this.#served())
      if (draining.left && (nowMs >= draining.endAtMs || free)) attachment.release(nowMs, 'drained')
    }
    for (const [relayId, attachment] of this.#byRelay) {
      if (attachment.listed || attachment.attached) continue
      this.#byRelay.delete(relayId)
      this.#surveyedAtMs.delete(relayId)
      this.#links = [...this.#byRelay.values()]
    }
  }

  #surveyed(nowMs: number, wanted: ReadonlySet<Attachment>): Attachment | undefined {
    if (this.#survey !== undefined) {
      if (nowMs < this.#survey.untilMs) return this.#survey.attachment
      this.#survey = undefined
      this.#nextSurveyAtMs = nowMs + surveyStepMs
    }
    const everyMs = this.#context.tuning.surveyEveryMs
    let due: Attachment | undefined
    let nextAtMs = Number.POSITIVE_INFINITY
    for (const attachment of this.#byRelay.values()) {
      if (wanted.has(attachment) || !attachment.listed || !this.#context.policy.allows(attachment.entry)) continue
      // Jitter comes from the first time: surveys of many clients drift apart because their clients started apart.
      const atMs = (this.#surveyedAtMs.get(attachment.relayId) ?? Number.NEGATIVE_INFINITY) + everyMs
      if (nowMs >= atMs && due === undefined) due = attachment
      nextAtMs = Math.min(nextAtMs, atMs)
    }
    if (!this.anyAttached) {
      this.#nextSurveyAtMs = Number.POSITIVE_INFINITY
      return undefined
    }
    if (due === undefined) {
      this.#nextSurveyAtMs = nextAtMs
      return undefined
    }
    if (!Number.isFinite(this.#nextSurveyAtMs)) this.#nextSurveyAtMs = nowMs + surveyStepMs * (1 + this.#context.random())
    if (nowMs < this.#nextSurveyAtMs) return undefined
    this.#surveyedAtMs.set(due.relayId, nowMs)
    this.#survey = { attachment: due, untilMs: nowMs + surveyMs }
    return due
  }

  /**
   * When to dial a relay that is wanted. After a loss nobody dials at once who can go on without: a thousand clients of one relay would arrive at
   * the next in one burst.
   */
  #dialAtMs(nowMs: number, attachment: Attachment, needs: AttachmentNeeds, rank: number): number {
    const { raceStepMs, spareSpreadMs, standbySpreadMs, pathlessSpreadMs } = this.#context.tuning
    const herd = nowMs < this.#lostAtMs + spareSpreadMs
    if (!herd) return needs.urgent ? nowMs : nowMs + rank * raceStepMs
    const served = this.#served() && !needs.urgent
    const spreadMs = !served ? pathlessSpreadMs : needs.exposed ? standbySpreadMs : spareSpreadMs
    return Math.max(nowMs, this.#lostAtMs + attachment.pace * spreadMs + (needs.urgent ? 0 : rank * raceStepMs))
  }

  /** Some relay that stays takes us in. */
  #served(): boolean {
    for (const attachment of this.#byRelay.values())
      if (attachment.usable && attachment.listed && attachment.entry.draining !== true) return true
    return false
  }

  /** Those that the policy lets us use, best first by own measurements; by lot among equals where a crowd must not choose the same. */
  #ranking(byLot: boolean): Candidate[] {
    const { policy } = this.#context
    const candidates = [...this.#byRelay.values()]
      .filter((attachment) => attachment.listed && policy.allows(attachment.entry))
      .map((attachment) => ({
        relayId: attachment.relayId,
        failureDomain: attachment.entry.failureDomain,
        minimumMs: attachment.leg.minimumMs(),
        failing: attachment.failing,
        policyMs: policy.verdict(attachment.entry).policyMs,
        lot: byLot ? attachment.lot : 0,
        leaving: attachment.entry.draining === true,
      }))
    return ownRanking(candidates)
  }

  #rendezvousOf(name: string): string[] {
    let order = this.#rendezvous.get(name)
    if (order === undefined) {
      const { attachedMin, attachedMax } = this.#context.tuning
      order = rendezvousOrder(
        this.#context.crypto,
        name,
        bestLinks(this.#ranking(false)).map(({ relayId }) => relayOf(relayId)),
      ).slice(0, attachedMax - attachedMin)
      if (this.#rendezvous.size >= rendezvousNamesMax) this.#rendezvous.clear()
      this.#rendezvous.set(name, order)
    }
    return order
  }
}

/** Names whose order is remembered; each is a few strings, and a client talks to few names at once. */
const rendezvousNamesMax = 256
