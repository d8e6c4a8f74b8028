// Histograms and counts of the windows that limits ask for, and only those: one per different (window, filter) of the plan.
import { type Limit, type LimitWindow, type Metric, metrics, type Plan } from '../plan.ts'
import { DurationHistogram, type HistogramState } from './histogram.ts'
import { clientFilter, connectionFilter, filterKey } from './limit-filter.ts'
import { type ActTimes, inWindow } from './windows.ts'

interface Kept {
  readonly window: LimitWindow
  /** Connections that count; undefined: all, and what belongs to none. */
  readonly counts: ((flow: number) => boolean) | undefined
  readonly hasClient: (client: number) => boolean
  readonly histograms: Map<Metric, DurationHistogram>
  /** Of counters. */
  readonly amounts: Map<Metric, number>
  messages: number
  bytes: number
  /** Steps of the run that were looked at, and how many of them lie in the window. */
  stepsSeen: number
  steps: number
}

/** What one window of limits holds, as data. */
export interface WindowState {
  readonly window: string
  readonly messages: number
  readonly bytes: number
  readonly histograms: readonly (readonly [Metric, HistogramState])[]
  readonly amounts: readonly (readonly [Metric, number])[]
}

/** How finely the length of a window is known. */
const stepMs = 100

/** Counters of moments: what is only known at the end (lost, unknown, never_recovered) belongs to no window. */
export const momentCounters: readonly Metric[] = [
  'duplicated',
  'reordered',
  'corrupted',
  'unexpected',
  'connections_opened',
  'connections_failed',
  'connections_reset',
]

/** How long a message took, in ms. */
export interface MessageTimes {
  /** From when it was due to when it came out at the other end; of an answer, from when it was sent. */
  readonly oneWayMs: number
  /** From when it was due; of an answer, from when the question was. undefined: it is a question. */
  readonly responseMs: number | undefined
  /** From when it, or its question, was handed over; undefined: that is not known. */
  readonly serviceMs: number | undefined
}

export class WindowedMetrics {
  readonly #plan: Plan
  readonly #acts: readonly ActTimes[]
  readonly #kept = new Map<string, Kept>()

  constructor(plan: Plan, acts: readonly ActTimes[]) {
    this.#plan = plan
    this.#acts = acts
    for (const limit of plan.limits) {
      const { metric, window } = limit
      const kind = metrics[metric].kind
      const counts = kind === 'counter' && metric !== 'dropped_starts' && metric !== 'datagrams_missing'
      if (kind !== 'histogram' && kind !== 'rate' && !counts) continue
      const key = keyOf(limit)
      const kept: Kept = this.#kept.get(key) ?? {
        window,
        counts: connectionFilter(plan, limit),
        hasClient: clientFilter(plan, limit),
        histograms: new Map(),
        amounts: new Map(),
        messages: 0,
        bytes: 0,
        stepsSeen: 0,
        steps: 0,
      }
      this.#kept.set(key, kept)
      if (kind === 'histogram') kept.histograms.set(metric, new DurationHistogram())
      if (counts) kept.amounts.set(metric, 0)
    }
  }

  /** A duration that belongs to the moment `atMs`, and to a connection if there is one. */
  record(metric: Metric, atMs: number, ms: number, flow?: number): void {
    for (const { window, counts, histograms } of this.#kept.values()) {
      const histogram = histograms.get(metric)
      if (histogram === undefined || (counts !== undefined && (flow === undefined || !counts(flow)))) continue
      if (inWindow(window, atMs, this.#plan, this.#acts)) histogram.record(ms)
    }
  }

  /** The same for a client, whether or not it has a connection. */
  recordClient(metric: Metric, atMs: number, ms: number, client: number): void {
    for (const { window, hasClient, histograms } of this.#kept.values()) {
      const histogram = histograms.get(metric)
      if (histogram !== undefined && hasClient(client) && inWindow(window, atMs, this.#plan, this.#acts)) histogram.record(ms)
    }
  }

  /** Something of a connection that is counted. The window `run` is the whole run here, warm-up and drain included. */
  count(metric: Metric, atMs: number, amount: number, flow: number): void {
    for (const { window, counts, amounts } of this.#kept.values()) {
      const before = amounts.get(metric)
      if (before === undefined || counts?.(flow) === false) continue
      if (window.kind === 'run' || inWindow(window, atMs, this.#plan, this.#acts)) amounts.set(metric, before + amount)
    }
  }

  /** A message that arrived; it belongs to the moment it was due. */
  message(dueMs: number, flow: number, bytes: number, { oneWayMs, responseMs, serviceMs }: MessageTimes): void {
    for (const kept of this.#kept.values()) {
      if (kept.counts?.(flow) === false || !inWindow(kept.window, dueMs, this.#plan, this.#acts)) continue
      kept.messages += 1
      kept.bytes += bytes
      if (responseMs !== undefined) kept.histograms.get('response_time')?.record(responseMs)
      kept.histograms.get('e2e_latency')?.record(oneWayMs)
      if (serviceMs !== undefined) kept.histograms.get('service_time')?.record(serviceMs)
    }
  }

  state(): WindowState[] {
    return [...this.#kept].map(([window, { messages, bytes, histograms, amounts }]) => ({
      window,
      messages,
      bytes,
      histograms: [...histograms].map(([metric, histogram]) => [metric, histogram.state()] as const),
      amounts: [...amounts],
    }))
  }

  /** Adds what another recorder of the same plan kept. */
  add(states: readonly WindowState[]): void {
    for (const { window, messages, bytes, histograms, amounts } of states) {
      const kept = this.#kept.get(window)
      if (kept === undefined) continue
      kept.messages += messages
      kept.bytes += bytes
      for (const [metric, state] of histograms) kept.histograms.get(metric)?.add(state)
      for (const [metric, amount] of amounts) kept.amounts.set(metric, (kept.amounts.get(metric) ?? 0) + amount)
    }
  }

  histogram(limit: Limit): DurationHistogram | undefined {
    return this.#kept.get(keyOf(limit))?.histograms.get(limit.metric)
  }

  amount(limit: Limit): number | undefined {
    return this.#kept.get(keyOf(limit))?.amounts.get(limit.metric)
  }

  /** Seconds up to `untilMs` that lie in the window, to the tenth: what a rate is divided by. Each call goes on where the last one stood. */
  seconds(limit: Limit, untilMs: number): number {
    const kept = this.#kept.get(keyOf(limit))
    if (kept === undefined) return 0
    for (; kept.stepsSeen * stepMs < untilMs; kept.stepsSeen++)
      if (inWindow(kept.window, kept.stepsSeen * stepMs, this.#plan, this.#acts)) kept.steps += 1
    return (kept.steps * stepMs) / 1000
  }

  counts(limit: Limit): { messages: number; bytes: number } | undefined {
    return this.#kept.get(keyOf(limit))
  }
}

function keyOf(limit: Limit): string {
  return `${windowKey(limit.window)} ${filterKey(limit)}`
}

function windowKey(window: LimitWindow): string {
  if (window.kind === 'phase') return `phase:${window.phase}`
  return `${window.kind}:${'fault' in window ? window.fault : ''}:${'delayMs' in window ? window.delayMs : ''}`
}
