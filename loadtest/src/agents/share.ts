// Who runs which clients: by zone first, then dealt out evenly in an order that only their names decide. The same plan and the same agents give the same
// shares on every machine; what a client does (its seed, its times, its sizes) does not depend on its agent at all.
import type { Plan, PlanZone } from '../plan.ts'
import { mix32 } from '../verdict/keystream.ts'

export interface ShareAgent {
  readonly rank: number
  /** '' = takes clients of any zone that no agent is there for. */
  readonly zone: string
}

/** Ranks by client index; or why the clients cannot be shared out. */
export type Shares = { readonly rankOf: readonly number[] } | { readonly problem: string }

export function shareClients({ clients, zones, flows }: Plan, agents: readonly ShareAgent[]): Shares {
  const sorted = [...agents].sort((a, b) => a.rank - b.rank)
  const ofZone = (zone: string): ShareAgent[] => sorted.filter((agent) => agent.zone === zone)
  for (const { zone } of sorted) {
    if (zone !== '' && !zones.some((one) => one.zone === zone))
      return {
        problem: `expected agents of the workbook's zones (${zones.map((one) => one.zone).join(', ') || 'it has none'}); found one of "${zone}"`,
      }
  }
  for (const { zone, agentsMin = 0 } of zones) {
    const found = ofZone(zone).length
    if (found < agentsMin) return { problem: `expected at least ${agentsMin} agents of zone ${zone} (Zones.agents_min); found ${found}` }
  }
  const rankOf: number[] = []
  const load = new Map<number, number>()
  const loadOf = (rank: number): number => load.get(rank) ?? 0
  for (const zone of new Set(clients.map((client) => client.zone))) {
    const named = ofZone(zone)
    const any = ofZone('')
    // Clients of no zone go to any agent at all when none is free of a zone.
    const takers = named.length > 0 ? named : any.length > 0 ? any : zone === '' ? sorted : []
    if (takers.length === 0)
      return { problem: `no agent runs the clients of zone ${zone}: expected one with --zone ${zone}, or one without a zone` }
    const mine = clients.flatMap((client, index) => (client.zone === zone ? [{ index, key: nameHash(client.client) }] : []))
    mine.sort((a, b) => a.key - b.key || a.index - b.index)
    for (const { index } of mine) {
      const taker = takers.reduce((a, b) => (loadOf(b.rank) < loadOf(a.rank) ? b : a))
      rankOf[index] = taker.rank
      load.set(taker.rank, loadOf(taker.rank) + 1)
    }
  }
  for (const { caller, listener, sessions } of flows) {
    if (sessions === undefined || rankOf[caller] === rankOf[listener]) continue
    // What was under way at the end of a session is known only where both ends are.
    const [a, b] = [clients[caller]!, clients[listener]!]
    if (a.zone !== b.zone)
      return {
        problem: `expected ${a.client} and ${b.client} on one agent (their connection comes and goes, see connect, session and disconnect); found them in zones ${a.zone || 'none'} and ${b.zone || 'none'} of different agents`,
      }
    rankOf[listener] = rankOf[caller]!
  }
  return { rankOf }
}

/** Zones of so many agents that are started here: as many of each as it must have, the rest of none. */
export function zonesOfLocalAgents(zones: readonly PlanZone[], agents: number): string[] {
  const named = zones.flatMap(({ zone, agentsMin = 0 }) => Array.from({ length: agentsMin }, () => zone))
  return Array.from({ length: agents }, (_, index) => named[index] ?? '')
}

/** FNV-1a over UTF-16 code units, mixed: neighbours such as c-1 and c-2 end up far apart. */
function nameHash(name: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
  return mix32(hash)
}
