// What many seeds came to: how many held, the median world, and what happened at least once.
import type { PlayedSeed } from './simulate-worker.ts'

/** Things without which a run of seeds proves little: each must have happened in some seed. A pass that could not have failed is not a pass. */
export const interesting = [
  'failover',
  'kept packet resent',
  'duplicate packet seen',
  'all paths lost',
  'went on after all paths were lost',
  'rekeyed',
  'glare',
  'connection closed: superseded',
  'connection closed: peer_restarted',
  'connection closed: timeout',
  'closed by an application',
  'client relay_draining',
  'path moved: plan',
  'credit wait (stream)',
  'waiting: relay_wait',
  'waiting: memory',
  'pause noticed',
  'byte flipped on a link',
  'relay drops kept packet',
  'relay doubles kept packet',
  'relay reorders kept packet',
  'relay flips a bit of a kept packet',
  'pipe full (relay)',
  'stream reset seen',
] as const

/** With fewer seeds than this, a thing that never happened says nothing. */
const tellingSeeds = 200

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

  /** In how many seeds each thing happened. */
  get coverage(): Record<string, number> {
    return Object.fromEntries([...this.#coverage].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
  }

  /** Why these seeds prove less than they should; empty when they are too few to tell. */
  get shortfalls(): string[] {
    if (this.count < tellingSeeds) return []
    const { median } = this
    return [
      ...interesting.filter((what) => !this.#coverage.has(what)).map((what) => `"${what}" never happened`),
      ...(median.clients < 20 ? [`the median seed has ${median.clients} clients, fewer than 20`] : []),
      ...(median.virtualMs < 60_000 ? [`the median seed lasts ${median.virtualMs} ms, less than a minute`] : []),
      ...(median.events < 10_000 ? [`the median seed has ${median.events} events, fewer than 10000`] : []),
    ]
  }
}
