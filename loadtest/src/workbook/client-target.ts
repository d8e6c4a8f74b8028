// Which clients a target means.
import type { PlanClient } from '../plan.ts'
import { fits, type Target } from './grammar.ts'
import { shuffled } from './random.ts'

type Aimed = Pick<PlanClient, 'client' | 'tags' | 'zone'>

/** Indexes of the clients that `client:…`, `tag:…` or `zone:…` means; none for any other target. */
export function clientsOf(aim: Target, clients: readonly Aimed[]): number[] {
  if (!('pattern' in aim)) return []
  const { kind, pattern } = aim
  const isHit = ({ client, tags, zone }: Aimed): boolean => {
    if (kind === 'client') return fits(pattern, client)
    if (kind === 'tag') return tags.some((tag) => fits(pattern, tag))
    return kind === 'zone' && fits(pattern, zone)
  }
  return clients.flatMap((client, index) => (isHit(client) ? [index] : []))
}

/** A share of them, drawn, in their order. */
export function someOf<T>(all: readonly T[], share: number, random: () => number): T[] {
  const chosen = new Set(shuffled(all, random).slice(0, Math.ceil(all.length * share)))
  return all.filter((one) => chosen.has(one))
}
