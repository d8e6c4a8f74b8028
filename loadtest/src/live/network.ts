// The network between simulated clients and relays: one fault proxy for each (zone of clients, relay) where the plan asks for one, and for each
// client that an act names; else nothing in between, so that a drill without network faults measures relays and not proxies.
import type { RelayEntry } from '@sennit/protocol'
import { type Between, isHit, namedClients, possibleActs, vanishes } from '../act-target.ts'
import { familyOf } from '../fault-actions.ts'
import { type LinkRule, linkRules, type NetworkStep, ruleOf } from '../network-script.ts'
import type { FaultAct, Plan, PlanClient } from '../plan.ts'
import { FaultProxy } from './fault-proxy.ts'

interface Way extends Between {
  readonly link: number
  readonly proxy: FaultProxy
  /** Acts for which the relay's name is not found. */
  readonly nameless: Set<number>
}

function isNetworkAct(act: Pick<FaultAct, 'action' | 'target'>): boolean {
  return familyOf(act) === 'network'
}

/**
 * A name that no resolver finds, and none is asked for: a label may have 63 letters, so the library refuses it before a question is sent. What
 * the client sees is what it sees without name servers.
 */
const unknownName = `${'x'.repeat(64)}.invalid`

export class Network {
  readonly #ways: Way[] = []
  readonly #plan: Plan
  readonly #entries: readonly RelayEntry[]
  readonly #named: ReadonlySet<string>

  private constructor(plan: Plan, entries: readonly RelayEntry[]) {
    this.#plan = plan
    this.#entries = entries
    this.#named = namedClients(plan)
  }

  /** Opens the proxies a plan needs. `random` draws jitter and corruption. */
  static async open(plan: Plan, entries: readonly RelayEntry[], random: () => number): Promise<Network> {
    const network = new Network(plan, entries)
    const needed = plan.links.length > 0 || possibleActs(plan).some(isNetworkAct) || plan.clients.some(vanishes)
    if (!needed) return network
    const places = new Map(plan.clients.map((client) => [network.#place(client), client]))
    for (const [name, { zone, bind = [''] }] of places) {
      const client = network.#named.has(name) ? name : ''
      for (const relay of plan.relays) {
        const url = entries.find((one) => one.relayId === relay.relay)?.urls[0]
        if (url === undefined) continue
        const { hostname, port, protocol } = new URL(url)
        const base = network.#baseRule(zone, relay.zone)
        for (let link = 1; link <= (client === '' ? 1 : bind.length); link++) {
          const proxy = await FaultProxy.listen({
            target: { host: hostname, port: Number(port === '' ? (protocol === 'https:' ? 443 : 80) : port) },
            random,
            ...(base === undefined ? {} : { base }),
          })
          for (const [index, rule] of linkRules(plan.links, zone, relay.zone).entries()) proxy.apply(`link ${index}`, rule)
          network.#ways.push({ client, zone, relay: relay.relay, link, proxy, nameless: new Set() })
        }
      }
    }
    return network
  }

  /** The relay list as a client must see it: through the proxies. */
  entriesFor(client: PlanClient): RelayEntry[] {
    return client.relays.flatMap((relayId) => {
      const entry = this.#entries.find((one) => one.relayId === relayId)
      if (entry === undefined) return []
      const way = this.#way(client, relayId)
      if (way === undefined) return [entry]
      const scheme = new URL(entry.urls[0] ?? 'http://127.0.0.1').protocol
      return [{ ...entry, urls: [`${scheme}//127.0.0.1:${way.proxy.port}`] }]
    })
  }

  /** The address that a client dials for a relay now, from one of its own where it has several. */
  dialled(client: PlanClient, url: string, relayId: string, localAddress?: string): string {
    const place = localAddress === undefined ? 0 : (client.bind?.indexOf(localAddress) ?? 0)
    const way = this.#way(client, relayId, Math.max(0, place) + 1)
    if (way === undefined || (way.link === 1 && way.nameless.size === 0)) return url
    const host = way.nameless.size === 0 ? '127.0.0.1' : unknownName
    return `${new URL(url).protocol}//${host}:${way.proxy.port}`
  }

  /** The links that an act hits. `relay` is the one it hit, where its target was chosen at run time. */
  hitBy(act: FaultAct, relay: string | undefined): readonly Way[] {
    return this.#ways.filter((way) => isHit(this.#plan, act, way, relay))
  }

  /** Does one step of an act. Returns how many connections it ended. */
  step(act: FaultAct, ways: readonly Way[], step: NetworkStep): number {
    let ended = 0
    const chosen = 'link' in step && step.link !== undefined ? ways.slice(step.link, step.link + 1) : ways
    for (const way of chosen) {
      if (step.do === 'apply') this.#apply(act, way)
      else if (step.do === 'lift') this.#lift(act, way)
      else if (step.do === 'halfOpen') ended += way.proxy.halfOpenAll()
      else if (step.do === 'rebind') ended += way.proxy.rebind(step.how)
      else ended += way.proxy.resetAll()
    }
    return ended
  }

  /**
   * A client goes without a word: its connections to relays are dead, and nothing new of it passes. Returns what lets new connections pass again.
   */
  vanish(client: PlanClient): () => void {
    const ways = this.#ways.filter((way) => way.client === client.client)
    for (const { proxy } of ways) {
      proxy.apply('vanished', { held: true })
      proxy.rebind('silent')
    }
    return () => {
      for (const { proxy } of ways) proxy.heal('vanished')
    }
  }

  /** The machine of a client that had vanished is there again: it answers for connections that it does not know with a reset. */
  cameBack(client: PlanClient): void {
    for (const { client: own, proxy } of this.#ways) if (own === client.client) proxy.resetStranded()
  }

  /** Takes everything of an act away. */
  heal(act: FaultAct): void {
    for (const way of this.#ways) this.#lift(act, way)
  }

  /** How often rules changed what passed on these links, since the start. */
  effects(ways: readonly Way[]): ReadonlyMap<string, number> {
    const sums = new Map<string, number>()
    for (const { proxy } of ways) for (const [effect, count] of proxy.effects) sums.set(effect, (sums.get(effect) ?? 0) + count)
    return sums
  }

  async close(): Promise<void> {
    await Promise.all(this.#ways.map(({ proxy }) => proxy.close()))
  }

  #apply(act: FaultAct, way: Way): void {
    const rule = ruleOf(act)
    if (rule === undefined) return
    if (rule.nameless === true) way.nameless.add(act.act)
    way.proxy.apply(ruleName(act), rule)
  }

  #lift(act: FaultAct, way: Way): void {
    way.nameless.delete(act.act)
    way.proxy.heal(ruleName(act))
  }

  /** Clients that an act names have ways of their own, one for each of their links; the others of a zone share theirs. */
  #place({ client, zone }: PlanClient): string {
    return this.#named.has(client) ? client : `zone ${zone}`
  }

  #way(client: PlanClient, relay: string, link = 1): Way | undefined {
    const isNamed = this.#named.has(client.client)
    const [own, number] = isNamed ? [client.client, link] : ['', 1]
    return this.#ways.find((one) => one.client === own && one.zone === client.zone && one.relay === relay && one.link === number)
  }

  #baseRule(clientZone: string, relayZone: string): LinkRule | undefined {
    const out = this.#plan.links.find((link) => link.from === clientZone && link.to === relayZone)
    const back = this.#plan.links.find((link) => link.from === relayZone && link.to === clientZone) ?? out
    const link = out ?? back
    if (link === undefined) return undefined
    // The row gives a round trip; each way has half of its own row's.
    return { latencyMs: ((out ?? link).rttMs + (back ?? link).rttMs) / 4, jitterMs: link.jitterMs }
  }
}

function ruleName(act: FaultAct): string {
  return `act ${act.act}`
}
