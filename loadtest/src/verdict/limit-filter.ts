// Which clients and connections a limit is about: those that its filter names, and those of which an end is named.
import type { Limit, Plan } from '../plan.ts'

type Filter = Pick<Limit, 'tags' | 'profiles' | 'zones' | 'clients'>

/** What several kinds name must all fit the same client; of one kind, one name is enough. */
export function clientFilter(plan: Plan, { tags, profiles = [], zones = [], clients = [] }: Filter): (client: number) => boolean {
  const among = (names: readonly string[], own: readonly string[]): boolean => names.length === 0 || own.some((one) => names.includes(one))
  const fits = plan.clients.map(
    (client) =>
      among(tags, client.tags) && among(profiles, [client.profile]) && among(zones, [client.zone]) && among(clients, [client.client]),
  )
  return (client) => fits[client] === true
}

/** undefined: all. */
export function connectionFilter(plan: Plan, filter: Filter): ((flow: number) => boolean) | undefined {
  const { tags, profiles = [], zones = [], clients = [] } = filter
  if (tags.length + profiles.length + zones.length + clients.length === 0) return undefined
  const fits = clientFilter(plan, filter)
  const counted = plan.flows.map(({ caller, listener }) => fits(caller) || fits(listener))
  return (flow) => counted[flow] === true
}

/** The same filter gives the same key. */
export function filterKey({ tags, profiles = [], zones = [], clients = [] }: Filter): string {
  return [tags, profiles, zones, clients].map((names) => names.join(',')).join(';')
}
