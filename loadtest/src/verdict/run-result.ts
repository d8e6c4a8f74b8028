// What a run gives: plain data, from which every report is written. `Summary` is the shape of `summary.json`.
import type { FaultAct, LimitOperator, PhaseExecutor, Plan } from '../plan.ts'
import type { FlowImpact } from './act-record.ts'
import type { DamageKind } from './damage.ts'
import type { Percentiles } from './histogram.ts'

export type Verdict = 'pass' | 'fail' | 'inconclusive'

/** Where and with what a run ran. */
export interface Environment {
  readonly sennit: string
  readonly node: string
  readonly platform: string
  readonly cpus: number
  readonly memoryBytes: number
  readonly [fact: string]: string | number
}

export interface RunResult {
  readonly plan: Plan
  readonly summary: Summary
  /** Sentences that say why the verdict is what it is; empty for a pass. */
  readonly reasons: readonly string[]
  readonly startedAt: string
  readonly timeline: readonly TimelineRow[]
  readonly spectrum: readonly SpectrumRow[]
  readonly faultLog: readonly FaultLogRow[]
  /** One per act, in the order of the plan. */
  readonly impacts: readonly ActImpacts[]
  readonly clients: readonly ClientResult[]
  readonly incidents: readonly IncidentRow[]
  /** Incidents beyond those listed. */
  readonly incidentsLeftOut: number
  readonly relays: readonly RelayResult[]
}

export interface Summary {
  readonly verdict: Verdict
  readonly exitCode: number
  readonly name: string
  readonly seed: number
  readonly planHash: string
  readonly engine: string
  readonly durationMs: number
  /** Absent: the load went to its end, or the run was interrupted. */
  readonly endedEarly?: EndedEarly
  readonly environment: Environment
  readonly clients: { readonly planned: number; readonly attached: number; readonly rejected: number }
  readonly connections: {
    readonly planned: number
    readonly opened: number
    readonly failed: number
    readonly neverRecovered: number
    readonly reset: number
    /** How often connections were opened, where they come and go; absent where each is opened once. */
    readonly sessions?: number
  }
  /** Bytes, except `messages`. */
  readonly integrity: Readonly<Record<'sentBytes' | 'deliveredBytes' | 'messages' | DamageKind | 'unknown', number>>
  /** `missing` never came, of which `dropped` never left; both are what a datagram may do. */
  readonly datagrams: Readonly<Record<'sent' | 'delivered' | 'dropped' | 'missing', number>>
  readonly failovers: readonly FailoverRecord[]
  readonly latencyMs: { readonly response: Percentiles; readonly service: Percentiles }
  readonly throughput: { readonly messagesPerSecond: number; readonly bytesPerSecond: number }
  /** At most twenty, of equal length, from the end of the warm-up on; absent in summaries of older versions. */
  readonly blocks?: readonly Block[]
  /** One per row of the sheet `Phases` that had begun; absent when there is none. */
  readonly phases?: readonly PhaseResult[]
  readonly limits: readonly LimitResult[]
  readonly errors: readonly { readonly code: string; readonly count: number; readonly message: string }[]
  /** Absent in summaries of older versions. */
  readonly agents?: readonly AgentResult[]
  readonly generator: { readonly loopDelayP99Ms: number | null; readonly cpu: number | null }
}

/** What was asked of one phase, and what came of it. A message belongs to the phase in which it was due. */
export interface PhaseResult {
  readonly phase: string
  readonly startMs: number
  /** Where it ended, or the run did. */
  readonly endMs: number
  readonly executor: PhaseExecutor
  /** As it is written. */
  readonly target: string
  /** Messages a second that its clients were to send together. */
  readonly wanted: number
  /** Messages a second that they sent in time: within the phase. */
  readonly reached: number
  /** Clients of the target that were to be there, and that were, on average; `wanted` only where the phase sets it. */
  readonly clients: { readonly wanted: number | null; readonly reached: number }
  /** A rate within 1 %, or the number of clients at its end; null where the phase sets neither. */
  readonly held: boolean | null
  /** Why it was not held. */
  readonly remark: string
  /** Messages of its clients that arrived. */
  readonly delivered: number
  readonly latencyMs: { readonly response: Percentiles; readonly service: Percentiles }
}

/** One process that ran clients. */
export interface AgentResult {
  /** Its rank, from 0. */
  readonly id: string
  /** '' = of any zone. */
  readonly zone: string
  readonly host: string
  readonly clients: number
  /** null: it was lost before it could say. */
  readonly loopDelayP99Ms: number | null
  readonly cpu: number | null
  /** Of its clock to the coordinator's: what was corrected, and by how much that may be wrong. */
  readonly clockOffsetMs: number | null
  readonly clockErrorMs: number | null
  readonly lost: boolean
}

/** Why the load ended before its time. */
export interface EndedEarly {
  readonly atMs: number
  /** `hand`: a person stopped it. `limit`: a limit was broken, and its row says `abort`. */
  readonly by: 'hand' | 'limit'
  /** A sentence. */
  readonly why: string
  /** The limit that ended it, and what was measured then. */
  readonly limit?: string
  readonly measured?: number
}

/** Some whole seconds of the measured part of a run. */
export interface Block {
  readonly fromSecond: number
  readonly seconds: number
  readonly messagesPerSecond: number
  readonly bytesPerSecond: number
  /** The median of its seconds; null when nothing arrived. */
  readonly p50Ms: number | null
  readonly p99Ms: number | null
}

/** One per act. Percentiles are over the connections whose active path the target carried, null when there are none (or none measurable). */
export interface FailoverRecord {
  readonly fault: string
  readonly action: string
  readonly target: string
  readonly plannedAtMs: number
  /** Begun by hand. */
  readonly unplanned?: true
  readonly actualAtMs: number | null
  readonly healedAtMs: number | null
  readonly connections: number
  readonly detectMs: Pick<Percentiles, 'p50' | 'p99' | 'max'>
  readonly stallMs: Pick<Percentiles, 'p50' | 'p90' | 'p99' | 'max'>
  readonly failoverMs: Pick<Percentiles, 'p50' | 'p99' | 'max'>
  readonly recoverToRateMs: Pick<Percentiles, 'p50' | 'p99' | 'max'>
  readonly neverRecovered: number
  /** Connections whose stall could not be measured (fewer than 100 messages/s each way). */
  readonly unmeasured: number
  /** Of the generator's event loop, in the ten seconds in which the stall was measured. */
  readonly loopDelayP99Ms: number | null
}

export interface LimitResult {
  readonly limit: string
  readonly metric: string
  readonly stat: string
  readonly op: LimitOperator
  readonly value: number
  readonly measured: number | null
  /** null: it could not be measured. */
  readonly held: boolean | null
  readonly severity: 'fail' | 'warn' | 'sometimes'
  readonly unit: string
  readonly window: string
  /** Why it was not measured, or what to know about the number; '' when there is nothing to say. */
  readonly remark: string
}

export interface TimelineRow {
  readonly second: number
  readonly attached: number
  readonly connected: number
  readonly sentMessages: number
  readonly messages: number
  readonly bytes: number
  /** Response time (from the intended send time) of the messages that arrived in this second. */
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly maxMs: number | null
  readonly failovers: number
  readonly withoutPath: number
  readonly damagedBytes: number
  readonly loopDelayMaxMs: number | null
  /** Rows of `Faults` in force during any part of it. */
  readonly faults: string
}

export interface SpectrumRow {
  readonly percentile: number
  readonly responseMs: number | null
  readonly serviceMs: number | null
}

export interface FaultLogRow {
  readonly act: FaultAct
  /** What it hit in the end: a relay, a zone or a link. */
  readonly target: string
  readonly actualAtMs: number | null
  readonly healedAtMs: number | null
  /** What was done, as the runner tells it, such as `SIGKILL to pid 4711, gone after 3 ms`. */
  readonly receipt: string
  readonly healReceipt: string
}

/** The connections that one act hit. */
export interface ActImpacts {
  /** The worst first, some hundreds at most. */
  readonly rows: readonly ImpactRow[]
  readonly leftOut: number
}

/** One connection at one act. */
export interface ImpactRow extends FlowImpact {
  readonly caller: string
  readonly listener: string
  /** Of the connection in the whole run. */
  readonly failovers: number
}

export interface ClientResult {
  readonly client: string
  readonly user: string
  readonly zone: string
  readonly profile: string
  readonly state: 'attached' | 'rejected' | 'never attached'
  readonly attachMs: number | null
  readonly peers: string
  readonly sentMessages: number
  readonly sentBytes: number
  readonly receivedMessages: number
  readonly receivedBytes: number
  readonly damagedBytes: number
  readonly failovers: number
  readonly worstStallMs: number | null
  readonly error: string
}

export interface IncidentRow {
  readonly atMs: number
  readonly kind: DamageKind | 'unknown'
  readonly flow: number
  readonly from: string
  readonly to: string
  readonly message: number
  readonly offset: number
  readonly bytes: number
  readonly relay: string
  readonly faults: string
}

export interface RelayResult {
  readonly relay: string
  readonly zone: string
  readonly rssMaxBytes: number | null
  readonly cpuMax: number | null
  /** Share of all active paths it carried, averaged over the seconds of the run; null when never sampled. */
  readonly pathShare: number | null
}
