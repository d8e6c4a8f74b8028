/**
 * The captain's head for one connection: from its own numbers and the peer's report to the next plan. It decides nothing about safety, so it
 * may be late, wrong or lost; plans carry whole contents and rising numbers.
 */
import type { PlanFrame, PlanModesFrame, RelayEntry, RelayMeasurement } from '@sennit/protocol'
import { relayOf } from '../attach/links.ts'
import { hasSpare } from '../paths/apart.ts'
import { bestPaths, formatPaths, type PathsOption, samePaths } from '../paths/index.ts'
import { type RelaySets, relaySets } from '../paths/relay-sets.ts'
import type { LegEstimate } from './estimator.ts'
import { Hysteresis } from './hysteresis.ts'
import { type PolicyVerdict, PolicyView } from './policy.ts'
import { type JointFacts, type JointRanking, jointRanking, type RankedRelay, standbyFor } from './ranking.ts'
import { Refusals } from './refusals.ts'

/** One relay as this end sees it now. */
export interface OwnFacts {
  readonly relayId: string
  readonly leg: LegEstimate | undefined
  /** Attached and not being left. */
  readonly reachable: boolean
  /** Why not, when it is not. */
  readonly why?: string | undefined
  /** A path of this connection is open through it. */
  readonly open: boolean
  readonly failureDomain?: string | undefined
  /** What the list says of it. @default nothing */
  readonly entry?: RelayEntry | undefined
  /** The delay the relay tells of itself. @default 0 */
  readonly queueMs?: number | undefined
  /** It asked us to use others. @default false */
  readonly crowded?: boolean | undefined
}

/** A plan to send, and the reason for its choice. */
export interface PlanDecision {
  readonly plan: PlanFrame
  /** Goes before the plan; undefined when both directions are plain `best`. */
  readonly modes: PlanModesFrame | undefined
  readonly why: string
}

/** A path judged bad is not planned again for this long, unless it was validated anew. */
const badForMs = 30_000
/** What a relay that went silent costs while it is bad, where it is the only other one: more than any that did not. */
const silentPolicyMs = 2_000
/** What a relay costs that asked us to use others: less than one that went silent, so that it is the first to come back to. */
export const crowdedPolicyMs = 500
const noPolicy: PolicyVerdict = { policyMs: 0, parts: [] }
/** A report older than this says nothing about reachability any more: the peer re-sends every 20 to 26 s. */
const reportMaxAgeMs = 90_000
/** End-to-end samples older than this count no more. */
const sampleMaxAgeMs = 60_000
/** A standby is kept until another costs this much less: opening and closing paths for noise helps nobody. */
const standbyRatio = 1.5
const standbyGainMs = 10
/** A plan names no more relays than a list that is attached to whole. */
const plannedMax = 8

export class Planner {
  /** What both ends want, as the captain sees the two directions. */
  paths: PathsOption = bestPaths
  readonly #hysteresis: Hysteresis
  readonly #policy: PolicyView
  readonly #random: () => number
  readonly #bad = new Map<string, number>()
  readonly #refusals = new Refusals()
  readonly #samples = new Map<string, { rttMs: number; atMs: number }>()
  #report: { readonly relays: ReadonlyMap<string, RelayMeasurement>; readonly atMs: number } | undefined
  #plan: PlanFrame | undefined
  #modes: PlanModesFrame | undefined
  #acknowledged = 0
  #told: { readonly paths: PathsOption; readonly text: string } | undefined
  #ranking: JointRanking = { ranked: [], excluded: [] }

  constructor(random: () => number, policy: PolicyView = new PolicyView()) {
    this.#hysteresis = new Hysteresis(random)
    this.#policy = policy
    this.#random = random
  }

  /** The last joint ranking. */
  get ranking(): JointRanking {
    return this.#ranking
  }

  /** The last plan made. */
  get plan(): PlanFrame | undefined {
    return this.#plan
  }

  /** The modes of the last plan; undefined: best. */
  get modes(): PlanModesFrame | undefined {
    return this.#modes
  }

  /** Whether the peer agreed to the last plan. */
  get settled(): boolean {
    return this.#plan !== undefined && this.#acknowledged >= this.#plan.epoch
  }

  /** Whether the peer told its numbers yet. */
  get informed(): boolean {
    return this.#report !== undefined
  }

  /** Whether the peer has that relay on its list; before its first report every relay may be. */
  peerKnows(relayId: string): boolean {
    return this.#report?.relays.has(relayOf(relayId)) ?? true
  }

  /** Whether the peer said that it can have a path there; before its first report every relay may be. */
  peerReaches(relayId: string): boolean {
    const relays = this.#report?.relays
    return relays === undefined || ((relays.get(relayId) ?? relays.get(relayOf(relayId)))?.reachable ?? false)
  }

  peerReport(nowMs: number, relays: readonly RelayMeasurement[]): void {
    this.#refusals.reported(relays)
    this.#report = { relays: new Map(relays.map((relay) => [relay.relayId, relay])), atMs: nowMs }
  }

  /** The links that the peer told of. */
  peerRelays(): string[] {
    return [...(this.#report?.relays.keys() ?? [])]
  }

  /** An end-to-end round trip over `relayId`. The least of recent ones is kept: what our own data queues says nothing about the relay. */
  endToEnd(nowMs: number, relayId: string, rttMs: number): void {
    const last = this.#samples.get(relayId)
    if (last === undefined) this.#samples.set(relayId, { rttMs, atMs: nowMs })
    else if (rttMs <= last.rttMs || nowMs >= last.atMs + sampleMaxAgeMs / 2) {
      last.rttMs = rttMs
      last.atMs = nowMs
    }
  }

  bad(nowMs: number, relayId: string): void {
    this.#bad.set(relayId, nowMs + badForMs)
  }

  /** The path through it was validated anew. */
  recovered(relayId: string): void {
    this.#bad.delete(relayId)
  }

  /** The connection failed over by itself. */
  moved(nowMs: number, relayId: string): void {
    this.#hysteresis.moved(nowMs, relayId)
  }

  acknowledged(epoch: number): void {
    this.#acknowledged = Math.max(this.#acknowledged, epoch)
  }

  /** PLAN_NO: that relay is out, until the peer says otherwise or for a while. */
  refused(nowMs: number, relayId: string, why: string): void {
    this.#refusals.add(nowMs, relayId, why)
  }

  /**
   * The next plan, when another one is needed than the last. `round` says that new measurements stand behind this look.
   */
  look(nowMs: number, own: readonly OwnFacts[], round: boolean): PlanDecision | undefined {
    this.#ranking = jointRanking(own.map((facts) => this.#joint(nowMs, facts, false)))
    // With no relay to spare for the next failure, one that went silent a while ago is better than none: its path is validated before it carries
    // anything, so that it is there as soon as the relay is.
    if (own.some(({ relayId }) => this.#isSilent(nowMs, relayId)) && !hasSpare(this.#ranking.ranked, this.paths))
      this.#ranking = jointRanking(own.map((facts) => this.#joint(nowMs, facts, true)))
    const ranked = this.#ranking.ranked
    const toLeave = (relayId: string): string | undefined => {
      if (this.#isSilent(nowMs, relayId)) return 'went silent'
      return own.some((facts) => facts.relayId === relayId && this.#toLeave(facts)) ? 'asks us to use others' : undefined
    }
    const choice = this.#hysteresis.choose(nowMs, ranked, round, toLeave)
    if (choice === undefined) return undefined
    const sets = samePaths(this.paths, bestPaths) ? undefined : relaySets(ranked, choice.relayId, this.paths, this.#soundSets(nowMs), round)
    const activeFromListener = sets?.fromListener[0] ?? choice.relayId
    const standby = this.#standby(ranked, choice.relayId, sets)
    const last = this.#plan
    const moved =
      last === undefined ||
      last.activeFromCaller !== choice.relayId ||
      last.activeFromListener !== activeFromListener ||
      last.standby !== standby ||
      this.#otherwise(sets)
    // An order that changed is told with a round, not with every wiggle of a number; it only matters when paths fail.
    if (!moved && !round) return undefined
    const first = [choice.relayId, standby].filter((relayId) => relayId !== '')
    const order = [...first, ...ranked.map((relay) => relay.relayId).filter((relayId) => !first.includes(relayId))].slice(0, plannedMax)
    const reordered =
      round &&
      last !== undefined &&
      !sameRelays(
        last.relays.map((relay) => relay.relayId),
        order,
      )
    if (!moved && !reordered) return undefined
    this.#plan = {
      type: 'plan',
      epoch: (last?.epoch ?? 0) + 1,
      relays: order.map((relayId) => planRelay(ranked.find((relay) => relay.relayId === relayId)!)),
      activeFromCaller: choice.relayId,
      activeFromListener,
      standby,
    }
    const { epoch } = this.#plan
    this.#modes =
      sets === undefined
        ? undefined
        : {
            type: 'planModes',
            epoch,
            paths: this.#pathsText(),
            fromCaller: [...sets.fromCaller],
            fromListener: [...sets.fromListener],
          }
    return { plan: this.#plan, modes: this.#modes, why: choice.why }
  }

  /** The sets of the last plan without what went silent since: it is the last to be chosen again. */
  #soundSets(nowMs: number): RelaySets | undefined {
    if (this.#modes === undefined) return undefined
    const sound = (relayIds: readonly string[]): string[] => relayIds.filter((relayId) => !this.#isSilent(nowMs, relayId))
    return { fromCaller: sound(this.#modes.fromCaller), fromListener: sound(this.#modes.fromListener) }
  }

  #isSilent(nowMs: number, relayId: string): boolean {
    return nowMs < (this.#bad.get(relayId) ?? 0)
  }

  #joint(nowMs: number, facts: OwnFacts, forgiving: boolean): JointFacts {
    const silent = this.#isSilent(nowMs, facts.relayId)
    const report = this.#report !== undefined && nowMs < this.#report.atMs + reportMaxAgeMs ? this.#report : undefined
    // A link that only we have meets the peer's first one.
    const peer = report?.relays.get(facts.relayId) ?? report?.relays.get(relayOf(facts.relayId))
    const sample = this.#samples.get(facts.relayId)
    const peerAgeMs = report === undefined ? 0 : nowMs - report.atMs
    const policy = this.#policyOf(facts, peer?.policyMs ?? 0, silent)
    return {
      relayId: facts.relayId,
      own: facts.leg,
      ownReachable: facts.reachable,
      peer:
        peer !== undefined && peer.rttMs > 0
          ? { rttMs: peer.rttMs, varMs: peer.varMs, loss: peer.loss, ageMs: peer.ageMs + peerAgeMs }
          : undefined,
      // An open path proves that the peer is there, whatever an old report says; a report that says "not reachable" speaks of the future.
      peerReachable: peer?.reachable ?? facts.open,
      endToEnd: sample !== undefined && nowMs < sample.atMs + sampleMaxAgeMs ? { rttMs: sample.rttMs } : undefined,
      excluded: this.#excluded(nowMs, facts) ?? policy.excluded ?? (silent && !forgiving ? 'its path went silent' : undefined),
      queueMs: facts.queueMs,
      policyMs: policy.policyMs,
      policyWhy: policy.parts,
      weights: this.#policy.weights,
      failureDomain: facts.failureDomain,
    }
  }

  /** What both ends' policies say of a relay, and what it says of itself. */
  #policyOf(facts: OwnFacts, peerPolicyMs: number, silent: boolean): PolicyVerdict {
    const own = facts.entry === undefined ? noPolicy : this.#policy.verdict(facts.entry)
    if (peerPolicyMs <= 0 && facts.crowded !== true && !silent) return own
    const parts = [...own.parts]
    let { policyMs } = own
    const add = (costMs: number, words: string): void => {
      if (costMs <= 0) return
      policyMs += costMs
      parts.push(`${Math.round(costMs * 10) / 10} ${words}`)
    }
    add(peerPolicyMs, 'policy of the peer')
    add(facts.crowded === true ? crowdedPolicyMs : 0, 'asked us to use others')
    add(silent ? silentPolicyMs : 0, 'went silent')
    return own.excluded === undefined ? { policyMs, parts } : { excluded: own.excluded, policyMs, parts }
  }

  /** Asked by the relay, here or at the peer, to use others. */
  #toLeave(facts: OwnFacts): boolean {
    return facts.crowded === true || (this.#report?.relays.get(facts.relayId)?.policyMs ?? 0) >= crowdedPolicyMs
  }

  #excluded(nowMs: number, facts: OwnFacts): string | undefined {
    return facts.reachable ? this.#refusals.why(nowMs, facts.relayId) : facts.why
  }

  /** Whether relays are to be used in another way than the last plan says. */
  #otherwise(sets: RelaySets | undefined): boolean {
    const last = this.#modes
    if (sets === undefined || last === undefined) return sets !== last
    const same = last.paths === this.#pathsText() && sameRelays(last.fromCaller, sets.fromCaller)
    return !same || !sameRelays(last.fromListener, sets.fromListener)
  }

  /** {@link paths} as it is told; asked for at every look. */
  #pathsText(): string {
    if (this.#told?.paths !== this.paths) this.#told = { paths: this.paths, text: formatPaths(this.paths) }
    return this.#told.text
  }

  /** Beside several that carry, one that does not yet takes the place of the first to fail. */
  #standby(ranked: readonly RankedRelay[], activeId: string, sets: RelaySets | undefined): string {
    const carry = sets === undefined ? [] : [...sets.fromCaller, ...sets.fromListener]
    const spares = sets === undefined ? [] : ranked.filter(({ relayId }) => !carry.includes(relayId))
    // Another relay rather than another link to one that carries already.
    const spare = spares.find(({ relayId }) => !carry.some((other) => relayOf(other) === relayOf(relayId))) ?? spares[0]
    if (spare !== undefined) {
      const last = this.#plan?.standby
      const stays =
        ranked.some(({ relayId }) => relayId === last) && !sets!.fromCaller.includes(last!) && !sets!.fromListener.includes(last!)
      return stays ? last! : spare.relayId
    }
    if (ranked.length < 2) return ''
    const best = standbyFor(ranked, activeId, this.#random)
    const old = ranked.find((relay) => relay.relayId === this.#plan?.standby)
    if (old === undefined || old.relayId === activeId || best === undefined) return best ?? ''
    const bestCostMs = ranked.find((relay) => relay.relayId === best)!.costMs
    const clearly = old.costMs > bestCostMs * standbyRatio && old.costMs - bestCostMs >= standbyGainMs
    return clearly ? best : old.relayId
  }
}

function planRelay(relay: RankedRelay): PlanFrame['relays'][number] {
  return { relayId: relay.relayId, costMs: relay.costMs, callerRttMs: relay.ownRttMs, listenerRttMs: relay.peerRttMs }
}

function sameRelays(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((relayId, place) => relayId === right[place])
}
