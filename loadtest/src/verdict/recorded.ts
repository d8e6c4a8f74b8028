// What the recorder is told and what it keeps of clients and flows.
import { relayOf } from '@sennit/client/core'
import type { Environment } from './run-result.ts'
import type { RelayState } from './run-status.ts'

export type Side = 'caller' | 'listener'

export interface RecorderOptions {
  /** `local` or `virtual`. */
  readonly engine: string
  readonly environment: Environment
  /** When the run began, ISO 8601; the simulated world gives a fixed one. */
  readonly startedAt: string
  /** Clients (indexes of the plan) that run in this process; of connections to others it knows one end. Absent: all. */
  readonly mine?: ReadonlySet<number>
}

/** How a flow stands. */
export interface FlowRecord {
  state: 'planned' | 'open' | 'closed' | 'failed' | 'broken'
  code: string
  readonly activeRelay: Record<Side, string | null>
  withoutPathSinceMs: number | null
  failovers: number
  neverRecovered: boolean
  /** One of its ends was on an agent that was lost: nobody can say what became of it. */
  orphaned?: boolean
  /** Closed in good order by an end that could not ask whether everything had arrived: the other one is on another agent. */
  unchecked?: boolean
  /** Bytes that were under way when nobody waited for them any more, although the connection lived. */
  underWayBytes?: number
  /** How often it was connected, was not connected when it should have been, and ended otherwise than planned. */
  opened: number
  failed: number
  broken: number
}

export interface ClientRecord {
  state: 'planned' | 'attached' | 'rejected' | 'detached'
  attachMs: number | null
  error: string
  /** How long it waited for those that began before it, where that was long. */
  heldMs?: number
}

/** How one relay process stands, and what it used. */
export interface RelaySample {
  readonly relay: string
  readonly state?: RelayState
  readonly rssBytes?: number
  /** Descriptors that it has open. */
  readonly descriptors?: number
  /** Cores used since the last sample. */
  readonly cpu?: number
}

/** Whether a path goes through the relay, over whatever link of the client. */
export function isAt(path: string | null, relay: string): boolean {
  return path !== null && relayOf(path) === relay
}
