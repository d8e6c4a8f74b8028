// What is happening now, about once a second: plain data (JSON in, JSON out), from which the terminal screen, the live page and the remote scrape
// are drawn.
//
// Statuses of several processes merge into one of the same form: counts, rates, bytes, damage and bins are added (bins by their number); `nowMs` is
// the latest, `stage` the earliest, `rampPaused` the worst; `phases` and `faults` are united; `next` comes from whoever injects the faults, `limits` from
// whoever sees the whole; of `relays`, `paths` are added and the rest is said by whoever runs the process; `generators` are listed one after another. No field is
// an average. `p99Ms` is worked out again from the merged bins.
import type { FaultAction, LimitOperator } from '../plan.ts'
import type { DamageKind } from './damage.ts'
import type { Bins } from './latency-bins.ts'
import type { ClientRecord, FlowRecord } from './recorded.ts'

export interface RunStatus {
  readonly nowMs: number
  readonly stage: 'warmup' | 'load' | 'drain'
  /** Names of the stages of the sheet `Phases` that run now. */
  readonly phases: readonly string[]
  /** Clients that are due wait until the ramp goes on. */
  readonly rampPaused: boolean
  readonly clients: Readonly<Record<ClientRecord['state'], number>>
  /** `withoutPath` of those that are `open`. */
  readonly connections: Readonly<Record<FlowRecord['state'] | 'withoutPath', number>>
  readonly attached: number
  readonly rejected: number
  readonly connected: number
  readonly withoutPath: number
  readonly sentMessages: number
  readonly sentBytes: number
  readonly messages: number
  readonly bytes: number
  /** Over the last whole second. */
  readonly sentPerSecond: number
  readonly messagesPerSecond: number
  readonly bytesPerSecond: number
  /** Response times in the last whole second. */
  readonly latencyLastSecond: Bins
  /** Response times so far, of messages that were due after the warm-up. */
  readonly latency: Bins
  /** Of the last whole second. */
  readonly p99Ms: number | null
  readonly damage: Readonly<Record<DamageKind, number>>
  readonly failovers: number
  /** Acts in force, such as `F1 kill relay:r2`. */
  readonly faults: readonly string[]
  /** The acts that come next, the first {@link nextActsMax} of them. */
  readonly next: readonly NextAct[]
  readonly relays: readonly RelayStatus[]
  readonly limits: readonly LimitStatus[]
  readonly generators: readonly GeneratorStatus[]
}

/** More do not fit on a screen. */
export const nextActsMax = 5

export interface NextAct {
  readonly fault: string
  readonly action: FaultAction
  readonly target: string
  readonly atMs: number
}

/** `unknown`: not started by this run, so nobody looks at its process. */
export type RelayState = 'up' | 'down' | 'paused' | 'unknown'

export interface RelayStatus {
  readonly relay: string
  readonly state: RelayState
  readonly rssBytes: number | null
  /** Cores, since the last sample. */
  readonly cpu: number | null
  /** Sending ends that use it now; its share of the traffic is its part of the sum. */
  readonly paths: number
}

export interface LimitStatus {
  readonly limit: string
  readonly metric: string
  readonly stat: string
  readonly op: LimitOperator
  readonly value: number
  readonly unit: string
  readonly window: string
  readonly severity: 'fail' | 'warn' | 'sometimes'
  /** As measured up to now; null while nothing could be. */
  readonly measured: number | null
  /** `open`: nobody can say yet: nothing was measured, or what is asked for may still come. */
  readonly state: 'held' | 'broken' | 'open'
}

/** The process that simulates the clients. */
export interface GeneratorStatus {
  /** '' when there is only one. */
  readonly id: string
  /** Delays of its event loop in the last whole second. */
  readonly loopDelay: Bins
  /** Cores, since the last sample. */
  readonly cpu: number | null
}
