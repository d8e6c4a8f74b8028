// What one act did to the connections that its target carried: detection, stall, fail-over, back to rate.
//
// The stall of a connection is the largest end-to-end latency of a message *due* in [fault, fault + 10 s], minus its median before. It needs
// 100 messages a second each way on that connection, else it is null: with fewer, a pause would fall between two messages.
import { relayOf } from '@sennit/client/core'
import type { FaultAct } from '../plan.ts'
import { DurationHistogram, type HistogramState } from './histogram.ts'
import { unsettledMs } from './windows.ts'

/** Below this a pause of 10 ms could fall between two messages. */
export const stallRateMin = 100
/** Timers are late by a little: 2 % fewer messages in a second than planned is still that rate. */
const rateTolerance = 0.98

/** So many messages in a row as fast as before, and the connection is back to its rate: what is slow later has other reasons. */
const normalMessages = 20

interface DirectionState {
  /** null: not known, at least not here. */
  medianMs: number | null
  rate: number
  worstMs: number
  firstMs: number | null
  lastSlowMs: number | null
  /** Messages in a row that were as fast as before. */
  normal: number
}

interface FlowState {
  /** false: as far as is known here the target carries none of it. */
  hit: boolean
  readonly directions: Map<number, DirectionState>
  /** Ends whose active path the target was. */
  readonly active: ReadonlySet<string>
  /** Per end of those, when it first left the target. */
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

/** What one agent knows of an act, as data. */
export interface ActState {
  readonly act: number
  readonly startMs: number | null
  readonly endMs: number | null
  readonly target: string
  readonly receipt: string
  readonly healReceipt: string
  readonly loopDelay: HistogramState | null
  readonly loopDelayMaxMs: number
  readonly flows: readonly {
    readonly flow: number
    readonly hit: boolean
    readonly directions: readonly (readonly [number, Omit<DirectionState, 'normal'>])[]
    readonly detectedMs: readonly (readonly [string, number])[]
  }[]
}

export class ActRecord {
  readonly act: FaultAct
  startMs: number | null = null
  endMs: number | null = null
  /** The relay, zone or link it hit. */
  target = ''
  receipt = ''
  /** Why `abort_if` kept it from beginning, or ended it; '' otherwise. */
  halted = ''
  healReceipt = ''
  loopDelayP99Ms: number | null = null
  loopDelayMaxMs = 0
  readonly #flows = new Map<number, FlowState>()
  #loopDelay: DurationHistogram | undefined
  /** Agents have told what they did. */
  #receipts = false

  constructor(act: FaultAct) {
    this.act = act
  }

  get connections(): number {
    return this.#hit().length
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

  /**
   * A connection that the target carries; or (`hit` is false) may carry, as far as the other end's agent knows.
   * @param active its ends whose active path the target is: they have to leave it. Others only send a part over it, or nothing
   */
  affect(flow: number, directions: readonly DirectionBefore[], active: readonly string[], hit = true): void {
    const states = new Map<number, DirectionState>()
    for (const { direction, medianMs, rate } of directions)
      states.set(direction, { medianMs, rate, worstMs: 0, firstMs: null, lastSlowMs: null, normal: 0 })
    this.#flows.set(flow, { hit, directions: states, active: new Set(active), detectedMs: new Map(), neverRecovered: false })
  }

  affects(flow: number): boolean {
    return this.#flows.get(flow)?.hit === true
  }

  /** What is known of it here. */
  state(): ActState {
    const { startMs, endMs, target, receipt, healReceipt, loopDelayMaxMs } = this
    const flows = [...this.#flows].map(([flow, { hit, directions, detectedMs }]) => ({
      flow,
      hit,
      directions: [...directions].map(([direction, { normal: _normal, ...rest }]) => [direction, rest] as const),
      detectedMs: [...detectedMs],
    }))
    const loopDelay = this.#loopDelay?.state() ?? null
    return { act: this.act.act, startMs, endMs, target, receipt, healReceipt, loopDelay, loopDelayMaxMs, flows }
  }

  /**
   * Adds what one agent knows of the connections. Of a direction the sender's agent knows the rate, the receiver's the rest.
   * @param told the agent did its part of the act itself: its times and receipts count too
   */
  add(state: ActState, told: string | undefined): void {
    if (told !== undefined && state.startMs !== null) {
      this.startMs = this.#receipts ? Math.min(this.startMs ?? state.startMs, state.startMs) : state.startMs
      this.endMs = this.#receipts && this.endMs !== null ? Math.max(this.endMs, state.endMs ?? this.endMs) : state.endMs
      if (this.target === '') this.target = state.target
      this.#receipts = true
    }
    if (told !== undefined && state.receipt !== '') this.receipt = joined(this.receipt, `${told}: ${state.receipt}`)
    if (told !== undefined && state.healReceipt !== '') this.healReceipt = joined(this.healReceipt, `${told}: ${state.healReceipt}`)
    if (state.loopDelay !== null) {
      this.#loopDelay ??= new DurationHistogram(2)
      this.#loopDelay.add(state.loopDelay)
      this.loopDelayMaxMs = Math.max(this.loopDelayMaxMs, state.loopDelayMaxMs)
    }
    for (const { flow, hit, directions, detectedMs } of state.flows) {
      const mine = this.#flows.get(flow) ?? {
        hit,
        directions: new Map(),
        active: new Set<string>(),
        detectedMs: new Map(),
        neverRecovered: false,
      }
      this.#flows.set(flow, mine)
      mine.hit ||= hit
      for (const [side, ms] of detectedMs) mine.detectedMs.set(side, ms)
      for (const [direction, more] of directions) {
        const known = mine.directions.get(direction)
        mine.directions.set(direction, { ...(known === undefined ? more : both(known, more)), normal: 0 })
      }
    }
  }

  message(nowMs: number, flow: number, direction: number, dueMs: number, responseMs: number): void {
    const state = this.#flows.get(flow)?.directions.get(direction)
    if (state === undefined || !this.watches(dueMs)) return
    state.firstMs ??= nowMs
    if (responseMs > state.worstMs) state.worstMs = responseMs
    if (state.normal >= normalMessages) return
    const medianMs = state.medianMs ?? 0
    if (responseMs > medianMs + Math.max(5, medianMs)) {
      state.lastSlowMs = nowMs
      state.normal = 0
    } else state.normal += 1
  }

  /** An end of the connection left a relay. Long after the act was healed it has other reasons: it may have come back meanwhile. */
  moved(nowMs: number, flow: number, side: string, fromRelay: string): void {
    const state = this.#flows.get(flow)
    if (state === undefined || relayOf(fromRelay) !== this.target || !state.active.has(side) || state.detectedMs.has(side)) return
    if (this.endMs !== null && nowMs >= this.endMs + unsettledMs) return
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
    return this.#hit().map(([flow, state]) => this.#impact(flow, state))
  }

  neverRecoveredCount(): number {
    return [...this.#flows.values()].filter((state) => state.neverRecovered).length
  }

  #hit(): [number, FlowState][] {
    return [...this.#flows].filter(([, { hit }]) => hit)
  }

  #impact(flow: number, state: FlowState): FlowImpact {
    const start = this.startMs ?? 0
    const directions = [...state.directions.values()]
    const since = (at: number | null): number | null => (at === null ? null : Math.max(0, at - start))
    const worst = (values: (number | null)[]): number | null =>
      values.length === 0 || values.includes(null) ? null : Math.max(...(values as number[]))
    const fast = (rate: number): boolean => rate >= stallRateMin * rateTolerance
    const measurable =
      directions.length === 2 &&
      !state.neverRecovered &&
      directions.every((one) => one.medianMs !== null && fast(one.rate) && one.firstMs !== null)
    return {
      flow,
      stallMs: measurable ? Math.max(...directions.map((one) => Math.max(0, one.worstMs - (one.medianMs ?? 0)))) : null,
      detectMs: state.detectedMs.size === 0 ? null : worst([...state.detectedMs.values()].map(since)),
      failoverMs: worst(directions.map((one) => since(one.firstMs))),
      recoverToRateMs: state.neverRecovered ? null : worst(directions.map((one) => since(one.lastSlowMs) ?? 0)),
      neverRecovered: state.neverRecovered,
    }
  }
}

function joined(before: string, more: string): string {
  return before === '' ? more : `${before}; ${more}`
}

type Known = Omit<DirectionState, 'normal'>

function both(a: Known, b: Known): Known {
  const of = (pick: (...numbers: number[]) => number, x: number | null, y: number | null): number | null =>
    x === null ? y : y === null ? x : pick(x, y)
  return {
    medianMs: a.medianMs ?? b.medianMs,
    rate: Math.max(a.rate, b.rate),
    worstMs: Math.max(a.worstMs, b.worstMs),
    firstMs: of(Math.min, a.firstMs, b.firstMs),
    lastSlowMs: of(Math.max, a.lastSlowMs, b.lastSlowMs),
  }
}
