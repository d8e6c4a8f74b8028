// What the recorder is told and what it keeps of clients and flows.
import type { DamageKind } from './damage.ts'
import type { Environment } from './run-result.ts'

export type Side = 'caller' | 'listener'

export interface RecorderOptions {
  /** `local` or `virtual`. */
  readonly engine: string
  readonly environment: Environment
  /** When the run began, ISO 8601; the simulated world gives a fixed one. */
  readonly startedAt: string
}

/** What is happening now, for the status line. */
export interface RunStatus {
  readonly nowMs: number
  readonly attached: number
  readonly rejected: number
  readonly connected: number
  readonly withoutPath: number
  readonly sentMessages: number
  readonly messages: number
  readonly bytes: number
  /** Over the last whole second. */
  readonly messagesPerSecond: number
  readonly bytesPerSecond: number
  readonly p99Ms: number | null
  readonly damage: Readonly<Record<DamageKind, number>>
  readonly failovers: number
  /** Acts in force, such as `F1 kill relay:r2`. */
  readonly faults: readonly string[]
}

/** How a flow stands. */
export interface FlowRecord {
  state: 'planned' | 'open' | 'closed' | 'failed' | 'broken'
  code: string
  readonly activeRelay: Record<Side, string | null>
  withoutPathSinceMs: number | null
  failovers: number
  neverRecovered: boolean
}

export interface ClientRecord {
  state: 'planned' | 'attached' | 'rejected' | 'detached'
  attachMs: number | null
  error: string
}

/** What one relay process used. */
export interface RelaySample {
  readonly relay: string
  readonly rssBytes?: number
  /** Cores used since the last sample. */
  readonly cpu?: number
}
