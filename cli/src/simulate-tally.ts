// What many seeds came to: how many held, the median world, and what happened at least once.
import { actNames, knownModes } from '@sennit/loadtest/virtual'
import type { PlayedSeed } from './simulate-worker.ts'

/** Things without which a run of seeds proves little: each must have happened in some seed. A pass that could not have failed is not a pass. */
export const interesting: readonly string[] = [
  'failover: path_closed',
  'failover: silent',
  'failover: peer_says_bad',
  'kept packet resent',
  'duplicate packet seen',
  'all paths lost',
  'went on after all paths were lost',
  'rekeyed',
  'glare',
  'connection closed: peer_restarted',
  'closed by an application',
  'path moved: plan',
  'path closed: not_in_plan',
  'path closed: peer_detached',
  'client attached: http',
  'client detached: heartbeat_timeout',
  'client detached: released',
  'client detached: drained',
  'client dial_failed: connection_refused',
  'client dial_failed: dial_timeout',
  'client relay_resting',
  'client relay_draining',
  'relay answers: wait',
  'relay answers: connected',
  'relay answers: rejected',
  'credit wait (stream)',
  'waiting: relay_wait',
  'pause noticed',
  'pipe full (relay)',
  'stream reset seen',
  'stream stop seen',
]

/** What happens in few seeds; a full run must have seen it. */
export const rare: readonly string[] = [
  'rekeyed during a fail-over',
  'connection closed: superseded',
  'connection closed: timeout',
  'connect failed: no_relay',
  'waiting: memory',
  'byte flipped on a link',
  'piece lost on a link',
  'piece too large for a link',
  'captive portal',
  'name not found',
  'client detached: bad_record',
  'client detached: write_stalled',
  'client dial_failed: handshake_forged',
  'relay closes: write_stall',
  'relay closes: handshake_forged',
  'relay drops kept packet',
  'relay doubles kept packet',
  'relay reorders kept packet',
  'relay flips a bit of a kept packet',
]

/** With fewer seeds than this, a thing that never happened says nothing. */
const tellingSeeds = 300

/** A full run: with so many seeds every way to use relays has met every fault, and what is rare has happened. */
const fullRunSeeds = 3_000

/** Every way to use relays that this version can do, while each thing goes wrong. */
const meetings: readonly { readonly mode: string; readonly act: string; readonly what: string }[] = knownModes.flatMap((mode) =>
  actNames.map((act) => ({ mode, act, what: `${mode} met ${act}` })),
)

export class SeedTally {
  readonly failed: PlayedSeed[] = []
  readonly #seeds: { clients: number; virtualMs: number; events: number; realMs: number; messages: number }[] = []
  readonly #coverage = new Map<string, number>()

  add(seed: PlayedSeed): void {
    this.#seeds.push(seed)
    if (!seed.passed) this.failed.push(seed)
    for (const what of Object.keys(seed.coverage)) this.#coverage.set(what, (this.#coverage.get(what) ?? 0) + 1)
  }

  get count(): number {
    return this.#seeds.length
  }

  get passed(): number {
    return this.#seeds.length - this.failed.length
  }

  get median(): { clients: number; virtualMs: number; events: number; messages: number; realMs: number } {
    const middle = (of: 'clients' | 'virtualMs' | 'events' | 'messages' | 'realMs'): number => {
      const sorted = this.#seeds.map((seed) => seed[of]).sort((a, b) => a - b)
      return Math.round(sorted[sorted.length >> 1] ?? 0)
    }
    return {
      clients: middle('clients'),
      virtualMs: middle('virtualMs'),
      events: middle('events'),
      messages: middle('messages'),
      realMs: middle('realMs'),
    }
  }

  /** How many of the meetings of a way to use relays with a fault happened, and the one that happened least. */
  get met(): { readonly of: number; readonly happened: number; readonly least: string; readonly leastSeeds: number } {
    const counts = meetings.map(({ what }) => ({ what, seeds: this.#coverage.get(what) ?? 0 })).sort((a, b) => a.seeds - b.seeds)
    const [least] = counts
    return {
      of: meetings.length,
      happened: counts.filter(({ seeds }) => seeds > 0).length,
      least: least?.what ?? '',
      leastSeeds: least?.seeds ?? 0,
    }
  }

  /** In how many seeds each thing happened. */
  get coverage(): Record<string, number> {
    return Object.fromEntries([...this.#coverage].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
  }

  #fullRunShortfalls(): string[] {
    if (this.count < fullRunSeeds) return []
    const never = [...rare, ...meetings.map(({ what }) => what)].filter((what) => !this.#coverage.has(what))
    return never.map((what) => `"${what}" never happened in a full run`)
  }

  /** Why these seeds prove less than they should; empty when they are too few to tell. */
  get shortfalls(): string[] {
    if (this.count < tellingSeeds) return []
    const { median } = this
    return [
      ...interesting.filter((what) => !this.#coverage.has(what)).map((what) => `"${what}" never happened`),
      ...this.#fullRunShortfalls(),
      ...(median.clients < 20 ? [`the median seed has ${median.clients} clients, fewer than 20`] : []),
      ...(median.virtualMs < 60_000 ? [`the median seed lasts ${median.virtualMs} ms, less than a minute`] : []),
      ...(median.events < 10_000 ? [`the median seed has ${median.events} events, fewer than 10000`] : []),
    ]
  }
}
