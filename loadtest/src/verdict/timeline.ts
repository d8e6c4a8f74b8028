// One row a second: what the charts and the status line are drawn from.
import { DurationHistogram, type HistogramState } from './histogram.ts'
import { type Bins, LatencyBins } from './latency-bins.ts'
import type { TimelineRow } from './run-result.ts'

/** What the recorder says about a second when it ends. */
export interface SecondFacts {
  readonly attached: number
  readonly connected: number
  readonly withoutPath: number
  /** Acts in force. */
  readonly faults: readonly string[]
  /** Sending ends per relay. */
  readonly relays: ReadonlyMap<string, number>
}

/** One whole second as one agent saw it, with what is needed to put it together with those of others. */
export interface TimelineSecond {
  readonly row: TimelineRow
  /** Response times of the messages that arrived in it. */
  readonly latency: HistogramState
  /** Sending ends per relay. */
  readonly relays: readonly (readonly [string, number])[]
}

/** Rows kept: a day. A longer run keeps its histograms, and says so in the report. */
const rowsMax = 86_400

export class Timeline {
  readonly rows: TimelineRow[] = []
  /** Is told of each second as it ends. */
  onSecond: ((second: TimelineSecond) => void) | undefined
  /** Sum over the seconds of the share of active paths each relay had, and how many seconds had any. */
  readonly #shares = new Map<string, number>()
  #sharedSeconds = 0
  /** Of the last whole second. */
  lastSecond: { readonly response: Bins; readonly loopDelay: Bins } = { response: [], loopDelay: [] }
  readonly #responses = new LatencyBins()
  readonly #loopDelays = new LatencyBins()
  #second = 0
  #latency = new DurationHistogram(2)
  #sent = 0
  #messages = 0
  #bytes = 0
  #failovers = 0
  #damaged = 0
  #loopDelay: number | null = null
  #faults = new Set<string>()

  /** Ends the seconds that are over at `nowMs`. */
  advance(nowMs: number, facts: () => SecondFacts): void {
    if (nowMs < (this.#second + 1) * 1000) return
    const now = facts()
    while (nowMs >= (this.#second + 1) * 1000) this.#endSecond(now)
  }

  /** Ends the last, begun second. */
  end(nowMs: number, facts: () => SecondFacts): void {
    this.advance(nowMs, facts)
    if (nowMs > this.#second * 1000) this.#endSecond(facts())
  }

  sent(): void {
    this.#sent += 1
  }

  received(bytes: number, responseMs: number | undefined): void {
    this.#messages += 1
    this.#bytes += bytes
    if (responseMs === undefined) return
    this.#latency.record(responseMs)
    this.#responses.record(responseMs)
  }

  failover(): void {
    this.#failovers += 1
  }

  damaged(bytes: number): void {
    this.#damaged += bytes
  }

  loopDelay(ms: number): void {
    this.#loopDelays.record(ms)
    this.#loopDelay = Math.max(this.#loopDelay ?? 0, ms)
  }

  /** An act that begins and perhaps ends within the second. */
  fault(name: string): void {
    this.#faults.add(name)
  }

  /** The relay's share of all active paths, averaged over the seconds that had any. */
  pathShare(relay: string): number | null {
    return this.#sharedSeconds === 0 ? null : (this.#shares.get(relay) ?? 0) / this.#sharedSeconds
  }

  /** Takes over a run that others saw: its seconds in order, each put together from theirs. What it saw itself is forgotten. */
  adopt(seconds: readonly Omit<TimelineSecond, 'latency'>[]): void {
    this.rows.length = 0
    this.#shares.clear()
    this.#sharedSeconds = 0
    for (const { row, relays } of seconds) {
      if (this.rows.length < rowsMax) this.rows.push(row)
      this.#share(new Map(relays))
    }
    this.#second = Number.MAX_SAFE_INTEGER
  }

  #share(relays: ReadonlyMap<string, number>): void {
    const paths = [...relays.values()].reduce((sum, count) => sum + count, 0)
    if (paths === 0) return
    this.#sharedSeconds += 1
    for (const [relay, count] of relays) this.#shares.set(relay, (this.#shares.get(relay) ?? 0) + count / paths)
  }

  #endSecond(facts: SecondFacts): void {
    for (const fault of facts.faults) this.#faults.add(fault)
    const row: TimelineRow = {
      second: this.#second,
      attached: facts.attached,
      connected: facts.connected,
      sentMessages: this.#sent,
      messages: this.#messages,
      bytes: this.#bytes,
      p50Ms: this.#latency.at(50),
      p99Ms: this.#latency.at(99),
      maxMs: this.#latency.max,
      failovers: this.#failovers,
      withoutPath: facts.withoutPath,
      damagedBytes: this.#damaged,
      loopDelayMaxMs: this.#loopDelay,
      faults: [...this.#faults].join('; '),
    }
    if (this.rows.length < rowsMax) this.rows.push(row)
    this.#share(facts.relays)
    this.onSecond?.({ row, latency: this.#latency.state(), relays: [...facts.relays] })
    this.#second += 1
    this.lastSecond = { response: this.#responses.take(), loopDelay: this.#loopDelays.take() }
    if (this.#messages > 0) this.#latency.reset()
    this.#sent = 0
    this.#messages = 0
    this.#bytes = 0
    this.#failovers = 0
    this.#damaged = 0
    this.#loopDelay = null
    this.#faults = new Set()
  }
}
