// What one act did to the connections whose active path its target carried: detection, stall, fail-over, back to rate.
//
// The stall of a connection is the largest end-to-end latency of a message *due* in [fault, fault + 10 s], minus its median before. It needs
// 100 messages a second each way on that connection, else it is null: with fewer, a pause would fall between two messages.
import type { FaultAct } from '../plan.ts'
import { DurationHistogram } from './histogram.ts'
import { unsettledMs } from './windows.ts'

/** Below this a pause of 10 ms could fall between two messages. */
export const stallRateMin = 100
/** Timers are late by a little: 2 % fewer messages in a second than planned is still that rate. */
const rateTolerance = 0.98

/** So many messages in a row as fast as before, and the connection is back to its rate: what is slow later has other reasons. */
const normalMessages = 20

interface DirectionState {
  readonly medianMs: number
  readonly measurable: boolean
  worstMs: number
  firstMs: number | null
  lastSlowMs: number | null
  /** Messages in a row that were as fast as before. */
  normal: number
}

interface FlowState {
  readonly directions: Map<number, DirectionState>
  /** Per end, when it first left the target. */
  readonly detectedMs: Map<string, number>
  neverRecovered: boolean
}

/** What the recorder knows of a direction when the act begins. */
export interface DirectionBefore {
  readonly direction: number
  readonly medianMs: number | null
  readonly rate: number
}

/** One connection's numbers for one act. */
export interface FlowImpact {
  readonly flow: number
  readonly stallMs: number | null
  readonly detectMs: number | null
  readonly failoverMs: number | null
  readonly recoverToRateMs: number | null
  readonly neverRecovered: boolean
}

export class ActRecord {
  readonly act: FaultAct
  startMs: number | null = null
  endMs: number | null = null
  /** The relay, zone or link it hit. */
  target = ''
  receipt = ''
  healReceipt = ''
  loopDelayP99Ms: number | null = null
  loopDelayMaxMs = 0
  readonly #flows = new Map<number, FlowState>()
  #loopDelay: DurationHistogram | undefined

  constructor(act: FaultAct) {
    this.act = act
  }

  get connections(): number {
    return this.#flows.size
  }

  /** Whether the ten seconds in which a stall is looked for still run. */
  watches(atMs: number): boolean {
    return this.startMs !== null && atMs >= this.startMs && atMs < this.startMs + unsettledMs
  }

  begin(nowMs: number, target: string, receipt: string): void {
    this.startMs = nowMs
    this.target = target
    this.receipt = receipt
    this.#loopDelay = new DurationHistogram(2)
  }

  /** A connection whose active path the target carries. */
  affect(flow: number, directions: readonly DirectionBefore[]): void {
    const states = new Map<number, DirectionState>()
    const bothWays = directions.length === 2
    for (const { direction, medianMs, rate } of directions) {
      states.set(direction, {
        medianMs: medianMs ?? 0,
        measurable: bothWays && medianMs !== null && rate >= stallRateMin * rateTolerance,
        worstMs: 0,
        firstMs: null,
        lastSlowMs: null,
        normal: 0,
      })
    }
    this.#flows.set(flow, { directions: states, detectedMs: new Map(), neverRecovered: false })
  }

  affects(flow: number): boolean {
    return this.#flows.has(flow)
  }

  message(nowMs: number, flow: number, direction: number, dueMs: number, responseMs: number): void {
    const state = this.#flows.get(flow)?.directions.get(direction)
    if (state === undefined || !this.watches(dueMs)) return
    state.firstMs ??= nowMs
    if (responseMs > state.worstMs) state.worstMs = responseMs
    if (state.normal >= normalMessages) return
    if (responseMs > state.medianMs + Math.max(5, state.medianMs)) {
      state.lastSlowMs = nowMs
      state.normal = 0
    } else state.normal += 1
  }

  /** An end of the connection left a relay. */
  moved(nowMs: number, flow: number, side: string, fromRelay: string): void {
    const state = this.#flows.get(flow)
    if (state === undefined || fromRelay !== this.target || state.detectedMs.has(side)) return
    state.detectedMs.set(side, nowMs)
  }

  loopDelay(delayMs: number): void {
    this.#loopDelay?.record(delayMs)
    this.loopDelayMaxMs = Math.max(this.loopDelayMaxMs, delayMs)
  }

  /** The ten seconds are over: keep one number of the loop delays, drop the histogram. */
  settle(): void {
    if (this.#loopDelay === undefined) return
    this.loopDelayP99Ms = this.#loopDelay.at(99)
    this.#loopDelay = undefined
  }

  /** The connection ended without a path; the oldest message that never came was due `dueMs`, if known. */
  neverRecovered(flow: number): void {
    const state = this.#flows.get(flow)
    if (state !== undefined) state.neverRecovered = true
  }

  /** Numbers of every connection it hit. */
  impacts(): FlowImpact[] {
    return [...this.#flows].map(([flow, state]) => this.#impact(flow, state))
  }

  neverRecoveredCount(): number {
    return [...this.#flows.values()].filter((state) => state.neverRecovered).length
  }

  #impact(flow: number, state: FlowState): FlowImpact {
    const start = this.startMs ?? 0
    const directions = [...state.directions.values()]
    const since = (at: number | null): number | null => (at === null ? null : Math.max(0, at - start))
    const worst = (values: (number | null)[]): number | null =>
      values.length === 0 || values.includes(null) ? null : Math.max(...(values as number[]))
    const measurable = directions.length === 2 && !state.neverRecovered && directions.every((one) => one.measurable && one.firstMs !== null)
    return {
      flow,
      stallMs: measurable ? Math.max(...directions.map((one) => Math.max(0, one.worstMs - one.medianMs))) : null,
      detectMs: state.detectedMs.size === 0 ? null : worst([...state.detectedMs.values()].map(since)),
      failoverMs: worst(directions.map((one) => since(one.firstMs))),
      recoverToRateMs: state.neverRecovered ? null : worst(directions.map((one) => since(one.lastSlowMs) ?? 0)),
      neverRecovered: state.neverRecovered,
    }
  }
}
