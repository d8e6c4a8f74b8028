// Histograms and counts of the windows that limits ask for, and only those: one per different (metric, window) of the plan.
import { type LimitWindow, type Metric, metrics, type Plan } from '../plan.ts'
import { DurationHistogram, type HistogramState } from './histogram.ts'
import { type ActTimes, inWindow } from './windows.ts'

interface Kept {
  readonly window: LimitWindow
  readonly histograms: Map<Metric, DurationHistogram>
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
}

/** How finely the length of a window is known. */
const stepMs = 100

export class WindowedMetrics {
  readonly #plan: Plan
  readonly #acts: readonly ActTimes[]
  readonly #kept = new Map<string, Kept>()

  constructor(plan: Plan, acts: readonly ActTimes[]) {
    this.#plan = plan
    this.#acts = acts
    for (const { metric, window } of plan.limits) {
      const kind = metrics[metric].kind
      if (kind !== 'histogram' && kind !== 'rate') continue
      const key = windowKey(window)
      const kept = this.#kept.get(key) ?? { window, histograms: new Map(), messages: 0, bytes: 0, stepsSeen: 0, steps: 0 }
      this.#kept.set(key, kept)
      if (kind === 'histogram') kept.histograms.set(metric, new DurationHistogram())
    }
  }

  /** A duration that belongs to the moment `atMs`. */
  record(metric: Metric, atMs: number, ms: number): void {
    for (const { window, histograms } of this.#kept.values()) {
      const histogram = histograms.get(metric)
      if (histogram !== undefined && inWindow(window, atMs, this.#plan, this.#acts)) histogram.record(ms)
    }
  }

  /** A message that arrived; it belongs to the moment it was due. */
  message(dueMs: number, bytes: number, responseMs: number, serviceMs: number | undefined): void {
    for (const kept of this.#kept.values()) {
      if (!inWindow(kept.window, dueMs, this.#plan, this.#acts)) continue
      kept.messages += 1
      kept.bytes += bytes
      kept.histograms.get('response_time')?.record(responseMs)
      kept.histograms.get('e2e_latency')?.record(responseMs)
      if (serviceMs !== undefined) kept.histograms.get('service_time')?.record(serviceMs)
    }
  }

  state(): WindowState[] {
    return [...this.#kept].map(([window, { messages, bytes, histograms }]) => ({
      window,
      messages,
      bytes,
      histograms: [...histograms].map(([metric, histogram]) => [metric, histogram.state()] as const),
    }))
  }

  /** Adds what another recorder of the same plan kept. */
  add(states: readonly WindowState[]): void {
    for (const { window, messages, bytes, histograms } of states) {
      const kept = this.#kept.get(window)
      if (kept === undefined) continue
      kept.messages += messages
      kept.bytes += bytes
      for (const [metric, state] of histograms) kept.histograms.get(metric)?.add(state)
    }
  }

  histogram(metric: Metric, window: LimitWindow): DurationHistogram | undefined {
    return this.#kept.get(windowKey(window))?.histograms.get(metric)
  }

  /** Seconds up to `untilMs` that lie in the window, to the tenth: what a rate is divided by. Each call goes on where the last one stood. */
  seconds(window: LimitWindow, untilMs: number): number {
    const kept = this.#kept.get(windowKey(window))
    if (kept === undefined) return 0
    for (; kept.stepsSeen * stepMs < untilMs; kept.stepsSeen++)
      if (inWindow(kept.window, kept.stepsSeen * stepMs, this.#plan, this.#acts)) kept.steps += 1
    return (kept.steps * stepMs) / 1000
  }

  counts(window: LimitWindow): { messages: number; bytes: number } | undefined {
    return this.#kept.get(windowKey(window))
  }
}

function windowKey(window: LimitWindow): string {
  if (window.kind === 'phase') return `phase:${window.phase}`
  return `${window.kind}:${'fault' in window ? window.fault : ''}:${'delayMs' in window ? window.delayMs : ''}`
}
