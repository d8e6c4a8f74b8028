/** Which relays carry each direction: the captain's choice from the joint ranking, for the modes that use more than one. */
import { failTogether, relayOf } from '../attach/links.ts'
import type { RankedRelay } from '../plan/ranking.ts'
import { type Apart, apartness, meets } from './apart.ts'
import { type PathMode, type PathsOption, pathsWanted } from './mode.ts'

/** Relays of both directions, best first. */
export interface RelaySets {
  readonly fromCaller: readonly string[]
  readonly fromListener: readonly string[]
}

/** A relay in use is left for another one that costs this much less: opening and closing paths for noise helps nobody. */
const swapRatio = 1.5
const swapGainMs = 10

/**
 * @param lead the relay that is chosen already; it carries the caller's direction, whatever the mode
 * @param paths as the caller sees the two directions
 * @param last the sets before: a relay that still serves stays
 * @param round new measurements stand behind the ranking, so that a dear relay may be swapped
 */
export function relaySets(
  ranked: readonly RankedRelay[],
  lead: string,
  paths: PathsOption,
  last: RelaySets | undefined,
  round: boolean,
): RelaySets {
  const fromCaller = members(ranked, lead, paths.send, last?.fromCaller ?? [], round)
  if (paths.receive.kind !== 'pair') {
    const own = members(ranked, lead, paths.receive, last?.fromListener ?? [], round)
    return { fromCaller: paths.send.kind === 'pair' ? [lead] : fromCaller, fromListener: own }
  }
  const others = ranked.filter(({ relayId }) => relayId !== lead)
  const second = keptOf(others, last?.fromListener ?? [], round)[0] ?? apartFrom(ranked, lead, others)[0]
  return { fromCaller: paths.send.kind === 'pair' ? [lead] : fromCaller, fromListener: [second?.relayId ?? lead] }
}

function members(ranked: readonly RankedRelay[], lead: string, mode: PathMode, last: readonly string[], round: boolean): string[] {
  const count = pathsWanted(mode)
  if (count === 1) return [lead]
  const least = apartness(mode)
  const chosen: RankedRelay[] = []
  const take = (relays: readonly RankedRelay[], apart: Apart): void => {
    for (const relay of relays) {
      if (chosen.length === count) return
      if (!chosen.some((one) => meets(one, relay, apart))) chosen.push(relay)
    }
  }
  take(
    ranked.filter(({ relayId }) => relayId === lead),
    'domains',
  )
  take(keptOf(ranked, last, round), least)
  take(ranked, 'domains')
  if (least !== 'domains') take(ranked, 'relays')
  if (least === 'links') take(ranked, 'links')
  return chosen.map(({ relayId }) => relayId)
}

/** Those of the last set that still serve well enough. */
function keptOf(ranked: readonly RankedRelay[], last: readonly string[], round: boolean): RankedRelay[] {
  const kept = ranked.filter(({ relayId }) => last.includes(relayId))
  const rest = ranked.filter(({ relayId }) => !last.includes(relayId))
  if (!round) return kept
  // The dearest goes first, one a round, and only for one that is clearly better.
  const dearest = kept.at(-1)
  const best = rest[0]
  if (dearest === undefined || best === undefined) return kept
  const swap = dearest.costMs > best.costMs * swapRatio && dearest.costMs - best.costMs >= swapGainMs
  return swap ? kept.slice(0, -1) : kept
}

function apartFrom(ranked: readonly RankedRelay[], lead: string, others: readonly RankedRelay[]): RankedRelay[] {
  const first = ranked.find(({ relayId }) => relayId === lead)
  const closeness = (relay: RankedRelay): number => {
    if (first === undefined || !failTogether(first, relay)) return 0
    return relayOf(relay.relayId) === relayOf(lead) ? 2 : 1
  }
  return [...others].sort((left, right) => closeness(left) - closeness(right))
}
