/**
 * What a relay costs a pair, in milliseconds:
 * cost(r) = ½(srtt_A + srtt_B) + 2(var_A + var_B) + loss·max(2·srtt_e2e, 200 ms) + queue_r + policy_r.
 */
import type { LegEstimate } from './estimator.ts'

/**
 * A round trip measured end to end over an open path; it replaces the sum of the legs. The variation stays that of the legs: a path's own
 * starts as a timer does, far too wide, and would make the relay in use dearer than those that are not.
 */
export interface EndToEnd {
  readonly rttMs: number
}

/** All that is known about one relay for one pair. */
export interface RelayFacts {
  readonly relayId: string
  readonly own: LegEstimate | undefined
  readonly peer: LegEstimate | undefined
  readonly endToEnd?: EndToEnd | undefined
  /** What the relay says of its own queue; may only make it less attractive. @default 0 */
  readonly queueMs?: number | undefined
  /** What the operator, price, region or rating add. @default 0 */
  readonly policyMs?: number | undefined
  /** The parts of `policyMs` in words. @default 'policy' */
  readonly policyWhy?: readonly string[] | undefined
  /** How much round trips and trouble count. @default 1 */
  readonly weights?: { readonly latency?: number; readonly errors?: number } | undefined
}

/** A loss costs at least this much: the first resend timer of a path. */
const lossFloorMs = 200

/** The cost; undefined while one leg is not measured. */
export function relayCostMs(facts: RelayFacts): number | undefined {
  const { own, peer, endToEnd, queueMs = 0, policyMs = 0 } = facts
  if (own === undefined || peer === undefined) return undefined
  const rttMs = endToEnd?.rttMs ?? own.rttMs + peer.rttMs
  const latency = facts.weights?.latency ?? 1
  return latency * (rttMs / 2 + 2 * (own.varMs + peer.varMs)) + troubleMs(facts, own, peer, rttMs) + Math.max(0, queueMs) + policyMs
}

/** The cost and the sum that gave it, in words for `status`; undefined while one leg is not measured. */
export function relayCost(facts: RelayFacts): { readonly costMs: number; readonly why: string } | undefined {
  const costMs = relayCostMs(facts)
  const { own, peer, endToEnd, queueMs = 0, policyMs = 0 } = facts
  if (costMs === undefined || own === undefined || peer === undefined) return undefined
  const rttMs = endToEnd?.rttMs ?? own.rttMs + peer.rttMs
  const varMs = own.varMs + peer.varMs
  const latency = facts.weights?.latency ?? 1
  const lossMs = troubleMs(facts, own, peer, rttMs)
  const legs = endToEnd === undefined ? `½(${ms(own.rttMs)} + ${ms(peer.rttMs)})` : `½·${ms(rttMs)} end to end`
  const parts = latency === 1 ? [legs, `2·${ms(varMs)} variation`] : [`${latency}·(${legs} + 2·${ms(varMs)} variation)`]
  if (lossMs > 0.05) parts.push(`${ms(lossMs)} trouble`)
  if (queueMs > 0) parts.push(`${ms(queueMs)} load the relay tells`)
  if (policyMs !== 0) parts.push(...(facts.policyWhy ?? [`${ms(policyMs)} policy`]))
  return { costMs, why: `${parts.join(' + ')} = ${ms(costMs)} ms` }
}

function troubleMs({ weights }: RelayFacts, own: LegEstimate, peer: LegEstimate, rttMs: number): number {
  return (weights?.errors ?? 1) * Math.min(1, own.loss + peer.loss) * Math.max(2 * rttMs, lossFloorMs)
}

function ms(value: number): string {
  return (Math.round(value * 10) / 10).toString()
}
