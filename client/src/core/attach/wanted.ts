/** Which relays a client sits on: pure choices, with their thresholds in the tuning. */
import { type CryptoProvider, compareBytes, utf8 } from '@sennit/protocol'
import { relayOf } from './links.ts'

/** One relay as the choice sees it, in the order of the list. */
export interface Candidate {
  readonly relayId: string
  readonly failureDomain: string | undefined
  /** Least round trip of the last minutes. */
  readonly minimumMs: number | undefined
  /** Its last dials failed. */
  readonly failing: boolean
  /** What our policy adds. @default 0 */
  readonly policyMs?: number
  /** This client's lot for it, [0, 1): it decides among those that measure the same within a tenth. @default 0 */
  readonly lot?: number
  /** The list says that it goes. @default false */
  readonly leaving?: boolean
}

/** Own rank order: what answers before what fails or goes, then by measured minimum and policy, then as listed. */
export function ownRanking(candidates: readonly Candidate[]): Candidate[] {
  // Sorting is stable, so that equals stay as listed.
  return [...candidates].sort(
    (left, right) =>
      Number(left.failing) - Number(right.failing) ||
      Number(left.leaving ?? false) - Number(right.leaving ?? false) ||
      ownCostMs(left) - ownCostMs(right),
  )
}

/** The best link of each relay, for choices among relays. */
export function bestLinks(ranking: readonly Candidate[]): Candidate[] {
  if (ranking.length < 2) return [...ranking]
  const relays = new Set<string>()
  return ranking.filter(({ relayId }) => {
    const relay = relayOf(relayId)
    const first = !relays.has(relay)
    relays.add(relay)
    return first
  })
}

/** The first `count` of a ranking, each from a failure domain of its own as long as there are such. */
export function bestApart(ranking: readonly Candidate[], count: number): Candidate[] {
  if (ranking.length < 2) return ranking.slice(0, count)
  const chosen: Candidate[] = []
  const domains = new Set<string>()
  for (const candidate of ranking) {
    if (chosen.length === count) return chosen
    if (candidate.failureDomain !== undefined && domains.has(candidate.failureDomain)) continue
    if (candidate.failureDomain !== undefined) domains.add(candidate.failureDomain)
    chosen.push(candidate)
  }
  for (const candidate of ranking) {
    if (chosen.length === count) break
    if (!chosen.includes(candidate)) chosen.push(candidate)
  }
  return chosen
}

/**
 * Relay ids by rendezvous hash of a name, the highest first: listener and callers of one name agree on them without talking, so they meet in
 * lists that are too long to attach to whole.
 */
export function rendezvousOrder(crypto: CryptoProvider, name: string, relayIds: readonly string[]): string[] {
  return relayIds
    .map((relayId) => ({ relayId, score: crypto.sha256([utf8(`sennit rendezvous\0${name}\0${relayId}`)]) }))
    .sort((left, right) => compareBytes(right.score, left.score))
    .map(({ relayId }) => relayId)
}

function ownCostMs({ minimumMs, policyMs, lot }: Candidate): number {
  // Those that were never measured keep the order of the list: it is the operator's, and the first start goes by it.
  return (minimumMs === undefined ? unmeasuredMs : minimumMs * (1 + equalBand * (lot ?? 0))) + (policyMs ?? 0)
}

/** Round trips this close are equal; a crowd that measures the same spreads over them. */
const equalBand = 0.1

/** Between relays that were measured and those that are far: an unmeasured one is tried before one beyond this. */
const unmeasuredMs = 150
