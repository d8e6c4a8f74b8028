// Whom an act hits: the same words mean the same to the live runner and to the simulated world.
import { linkNumber, relayOf } from '@sennit/client/core'
import type { FaultAct, Plan, PlanClient } from './plan.ts'
import type { Side } from './verdict/recorded.ts'

const sides = ['caller', 'listener'] as const

/** What lies between one client (or all clients of its zone) and one relay. */
export interface Between {
  /** '' = any client of the zone that no act names. */
  readonly client: string
  readonly zone: string
  readonly relay: string
  /** Which of the client's links to the relay, from 1; undefined: any of them. */
  readonly link?: number | undefined
}

/** How the target is called in reports. `relay` is the one that it was when the act began. */
export function targetName({ target }: FaultAct, relay: string | undefined): string {
  if (relay !== undefined) return relay
  switch (target.kind) {
    case 'zone':
      return `zone:${target.zone}`
    case 'link':
      return `link:${target.from}>${target.to}`
    case 'clients':
      return target.name
    default:
      return ''
  }
}

/** How the target is called before the act began. */
export function plannedTarget({ target }: Pick<FaultAct, 'target'>): string {
  switch (target.kind) {
    case 'relay':
      return target.relay
    case 'busiest':
      return `busiest(${target.among.join(',')})`
    case 'zone':
      return `zone:${target.zone}`
    case 'link':
      return `link:${target.from}>${target.to}`
    case 'clients':
      return target.name
  }
}

/** Whether a network act hits this. */
export function isHit(plan: Plan, { target }: FaultAct, between: Between, relay: string | undefined): boolean {
  switch (target.kind) {
    case 'relay':
      return between.relay === target.relay
    case 'busiest':
      return between.relay === relay
    case 'zone':
      return between.zone === target.zone
    case 'clients':
      return (
        target.clients.includes(between.client) && (target.link === undefined || between.link === undefined || target.link === between.link)
      )
    case 'link': {
      const relayZone = zoneOfRelay(plan, between.relay)
      return (between.zone === target.from && relayZone === target.to) || (between.zone === target.to && relayZone === target.from)
    }
  }
}

/** Which connections go through what an act on the network or on clients hits. undefined: those of the relay, whose name says it already. */
export function carriedBy(
  recorder: { readonly plan: Plan; linksOf(flow: number, side: Side): readonly string[] },
  act: FaultAct,
  relay: string | undefined,
): ((flow: number) => boolean) | undefined {
  if (relay !== undefined) return undefined
  const { plan } = recorder
  const ofLink = act.target.kind === 'clients' && act.target.link !== undefined
  return (flow) => {
    const planned = plan.flows[flow]!
    return sides.some((side) => {
      const { client, zone } = plan.clients[planned[side]]!
      // What the other end sends comes over a link of this one.
      const paths = (ofLink ? sides : [side]).flatMap((one) => recorder.linksOf(flow, one))
      const between: Between[] = paths.map((path) => ({ client, zone, relay: relayOf(path), link: linkNumber(path) }))
      // Without a path its machine or its zone may be hit all the same; with one, another link is no concern of it.
      if (!ofLink || paths.length === 0) between.push({ client, zone, relay: '' })
      return between.some((one) => isHit(plan, act, one, undefined))
    })
  }
}

/** Those of the plan, and those that may be begun by hand. */
export function possibleActs({ acts, drills = [] }: Plan): readonly Omit<FaultAct, 'act'>[] {
  return [...acts, ...drills.flatMap((drill) => drill.acts)]
}

/** Clients that some act names, and those that vanish: each has a way of its own to every relay. */
export function namedClients(plan: Plan): ReadonlySet<string> {
  const named = possibleActs(plan).flatMap(({ target }) => (target.kind === 'clients' ? target.clients : []))
  return new Set([...named, ...plan.clients.filter(vanishes).map(({ client }) => client)])
}

/** Whether a client goes without a word at some time of the run. */
export function vanishes({ disconnect, detachAtMs }: PlanClient): boolean {
  return disconnect === 'vanish' && detachAtMs !== null
}

function zoneOfRelay(plan: Plan, relay: string): string | undefined {
  return plan.relays.find((one) => one.relay === relay)?.zone
}
