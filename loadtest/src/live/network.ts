// The network between simulated clients and relays: one fault proxy for each (zone of clients, relay) where the plan asks for one, else nothing
// in between, so that a drill without network faults measures relays and not proxies.
import type { RelayEntry } from '@sennit/protocol'
import type { FaultAct, Plan } from '../plan.ts'
import { FaultProxy, type ProxyRule } from './fault-proxy.ts'

interface Between {
  readonly zone: string
  readonly relay: string
  readonly proxy: FaultProxy
}

const networkActions = new Set(['blackhole', 'one_way', 'reset_peer', 'latency', 'corrupt'])

/** Whether an act is done to the network and not to a process. */
export function isNetworkAct(act: FaultAct): boolean {
  return networkActions.has(act.action)
}

export class Network {
  readonly #between: Between[] = []
  readonly #plan: Plan
  readonly #entries: readonly RelayEntry[]

  private constructor(plan: Plan, entries: readonly RelayEntry[]) {
    this.#plan = plan
    this.#entries = entries
  }

  /** Opens the proxies a plan needs. `random` draws jitter and corruption. */
  static async open(plan: Plan, entries: readonly RelayEntry[], random: () => number): Promise<Network> {
    const network = new Network(plan, entries)
    const needed = plan.links.length > 0 || plan.acts.some(isNetworkAct)
    if (!needed) return network
    const zones = new Set(plan.clients.map((client) => client.zone))
    for (const zone of zones) {
      for (const relay of plan.relays) {
        const entry = entries.find((one) => one.relayId === relay.relay)
        const url = entry?.urls[0]
        if (url === undefined) continue
        const { hostname, port, protocol } = new URL(url)
        const base = network.#baseRule(zone, relay.zone)
        const proxy = await FaultProxy.listen({
          target: { host: hostname, port: Number(port === '' ? (protocol === 'https:' ? 443 : 80) : port) },
          random,
          ...(base === undefined ? {} : { base }),
        })
        network.#between.push({ zone, relay: relay.relay, proxy })
      }
    }
    return network
  }

  /** The relay list as a client of this zone must see it: through the proxies. */
  entriesFor(zone: string, relayIds: readonly string[]): RelayEntry[] {
    return relayIds.flatMap((relayId) => {
      const entry = this.#entries.find((one) => one.relayId === relayId)
      if (entry === undefined) return []
      const between = this.#between.find((one) => one.zone === zone && one.relay === relayId)
      if (between === undefined) return [entry]
      const scheme = new URL(entry.urls[0] ?? 'http://127.0.0.1').protocol
      return [{ ...entry, urls: [`${scheme}//127.0.0.1:${between.proxy.port}`] }]
    })
  }

  /** Puts a network act in force. `relay` is the one it hit, where its target was chosen at run time. Returns how many links it touched. */
  apply(act: FaultAct, relay: string | undefined): number {
    const hit = this.#between.filter((one) => this.#isHit(one, act, relay))
    for (const { proxy } of hit) {
      if (act.action === 'reset_peer') proxy.resetAll()
      else proxy.apply(ruleName(act), ruleOf(act))
    }
    return hit.length
  }

  /** Takes it away again. Returns from how many links, which a heal receipt compares with what `apply` said. */
  heal(act: FaultAct): number {
    return this.#between.filter(({ proxy }) => proxy.heal(ruleName(act))).length
  }

  async close(): Promise<void> {
    await Promise.all(this.#between.map(({ proxy }) => proxy.close()))
  }

  #baseRule(clientZone: string, relayZone: string): ProxyRule | undefined {
    const out = this.#plan.links.find((link) => link.from === clientZone && link.to === relayZone)
    const back = this.#plan.links.find((link) => link.from === relayZone && link.to === clientZone) ?? out
    const link = out ?? back
    if (link === undefined) return undefined
    // The row gives a round trip; each way has half of its own row's.
    const latencyMs = ((out ?? link).rttMs + (back ?? link).rttMs) / 4
    return { directions: ['up', 'down'], latencyMs, jitterMs: link.jitterMs }
  }

  #isHit(between: Between, act: FaultAct, relay: string | undefined): boolean {
    const target = act.target
    if (target.kind === 'relay') return between.relay === target.relay
    if (target.kind === 'busiest') return between.relay === relay
    if (target.kind === 'zone') return between.zone === target.zone
    const relayZone = this.#plan.relays.find((one) => one.relay === between.relay)?.zone
    return (between.zone === target.from && relayZone === target.to) || (between.zone === target.to && relayZone === target.from)
  }
}

function ruleName(act: FaultAct): string {
  return `act ${act.act}`
}

function ruleOf(act: FaultAct): ProxyRule {
  const both = ['up', 'down'] as const
  switch (act.action) {
    case 'blackhole':
      return { directions: both, blackhole: true }
    case 'one_way':
      return { directions: act.direction === 'both' ? both : [act.direction], blackhole: true }
    case 'latency':
      return { directions: act.direction === 'both' ? both : [act.direction], latencyMs: act.latencyMs, jitterMs: act.jitterMs }
    case 'corrupt':
      return { directions: act.direction === 'both' ? both : [act.direction], corruptOneIn: act.corruptOneIn }
    default:
      return { directions: both }
  }
}
