/**
 * The joint ranking: relays ordered by what they cost both ends together, and those left out, each with its reason.
 */
import { failTogether } from '../attach/links.ts'
import { type EndToEnd, relayCost, relayCostMs } from './cost.ts'
import type { LegEstimate } from './estimator.ts'

/** One relay as both ends see it. */
export interface JointFacts {
  readonly relayId: string
  readonly own: LegEstimate | undefined
  readonly ownReachable: boolean
  readonly peer: LegEstimate | undefined
  readonly peerReachable: boolean
  readonly endToEnd?: EndToEnd | undefined
  readonly queueMs?: number | undefined
  readonly policyMs?: number | undefined
  readonly policyWhy?: readonly string[] | undefined
  readonly weights?: { readonly latency?: number; readonly errors?: number } | undefined
  /** Set when the relay may not be used now: it drains, its path is bad, the peer refused it. */
  readonly excluded?: string | undefined
  /** Relays of one failure domain fail together; the standby is taken from another one where it costs little. */
  readonly failureDomain?: string | undefined
}

/** One usable relay. */
export interface RankedRelay {
  readonly relayId: string
  readonly costMs: number
  readonly ownRttMs: number
  readonly peerRttMs: number
  readonly why: string
  readonly failureDomain: string | undefined
}

/** One relay left out. */
interface ExcludedRelay {
  readonly relayId: string
  readonly ownRttMs: number | null
  readonly peerRttMs: number | null
  readonly why: string
}

/** Usable relays, cheapest first, and the others. */
export interface JointRanking {
  readonly ranked: readonly RankedRelay[]
  readonly excluded: readonly ExcludedRelay[]
}

/** The words are put together when somebody reads them: a ranking is made much more often. */
class Ranked implements RankedRelay {
  readonly relayId: string
  readonly costMs: number
  readonly ownRttMs: number
  readonly peerRttMs: number
  readonly failureDomain: string | undefined
  readonly #facts: JointFacts
  readonly #measured: boolean

  constructor(relay: JointFacts) {
    const { own = unmeasured, peer = unmeasured } = relay
    this.#measured = relay.own !== undefined && relay.peer !== undefined
    this.#facts = this.#measured ? relay : { ...relay, own, peer }
    this.relayId = relay.relayId
    this.costMs = relayCostMs(this.#facts)!
    this.ownRttMs = own.rttMs
    this.peerRttMs = peer.rttMs
    this.failureDomain = relay.failureDomain
  }

  get why(): string {
    return relayCost(this.#facts)!.why + (this.#measured ? '' : ' (not measured by both yet)')
  }
}

/** A relay both reach but one never measured costs this round trip until it is: far enough not to win by ignorance. */
const unmeasuredRttMs = 500

/** Orders relays by joint cost; ties by id, so that both runs of a seed agree. */
export function jointRanking(relays: readonly JointFacts[]): JointRanking {
  const ranked: RankedRelay[] = []
  const excluded: ExcludedRelay[] = []
  for (const relay of relays) {
    const why = exclusion(relay)
    if (why !== undefined) {
      excluded.push({ relayId: relay.relayId, ownRttMs: relay.own?.rttMs ?? null, peerRttMs: relay.peer?.rttMs ?? null, why })
      continue
    }
    ranked.push(new Ranked(relay))
  }
  ranked.sort((left, right) => left.costMs - right.costMs || (left.relayId < right.relayId ? -1 : 1))
  return { ranked, excluded }
}

/** Costs this close are equal; the standby is drawn among them, so that the clients of a relay that dies do not all arrive at one other. */
const equalBand = 0.1

/** The standby for `active`: a cheapest other one, from another failure domain if that costs less than double. */
export function standbyFor(ranked: readonly RankedRelay[], activeId: string, random: () => number = () => 0): string | undefined {
  const active = ranked.find((relay) => relay.relayId === activeId)
  const others = ranked.filter((relay) => relay.relayId !== activeId)
  const best = others[0]
  if (best === undefined) return undefined
  const apart = active === undefined ? [] : others.filter((relay) => !failTogether(relay, active) && relay.costMs < 2 * best.costMs)
  const choice = apart.length > 0 ? apart : others
  const equals = choice.filter((relay) => relay.costMs <= choice[0]!.costMs * (1 + equalBand))
  return equals[Math.min(equals.length - 1, Math.floor(random() * equals.length))]!.relayId
}

const unmeasured: LegEstimate = { rttMs: unmeasuredRttMs, varMs: 0, loss: 0, ageMs: 0 }

function exclusion(relay: JointFacts): string | undefined {
  if (relay.excluded !== undefined) return relay.excluded
  if (!relay.ownReachable && !relay.peerReachable) return 'reached by neither end'
  if (!relay.ownReachable) return 'not reached by this end'
  if (!relay.peerReachable) return 'not reached by the peer'
  return undefined
}
