// What coordinator and agents say to each other: JSON over HTTP/1.1, every request by the agent. `docs/test-set.md` has the story.
//
//   POST /v1/join      JoinAsked → Joined          once; Authorization: Bearer TOKEN, as on every request
//   GET  /v1/orders?after=N → Order[]         held until there is an order, at most `ordersHoldMs`; Sennit-Session: SESSION from here on
//   GET  /v1/share     → Share                the plan, and what this agent needs to run its clients
//   POST /v1/clock     → Clock                a round trip
//   POST /v1/ready     Ready → {}
//   POST /v1/snapshot  Snapshot → {}          about once a second
//   POST /v1/lists     ListsAsked → string[]  lists of relays, signed, in base64; only where an act of the plan takes lists away
//   POST /v1/finished  Finished → {}          once
//
// Refusals are { error: { code, message } } with a status of 4xx.
import type { FaultAct, Plan } from '../plan.ts'
import type { RecorderState } from '../verdict/recorder-state.ts'
import type { EndedEarly } from '../verdict/run-result.ts'
import type { RunStatus } from '../verdict/run-status.ts'
import type { TimelineSecond } from '../verdict/timeline.ts'

/** Rises when a message changes; agents of the same version of the program always agree. */
export const agentProtocol = 3

/** A request for orders is held so long: proxies end one that is silent for longer than 30 s or so, and so often both ends hear of each other. */
export const ordersHoldMs = 3_000

/** Whoever says nothing for so long is gone. */
export const silenceMaxMs = 10_000

export interface Join {
  readonly version: string
  readonly protocol: number
  readonly zone: string
  readonly rank: number | null
  readonly size: number | null
  readonly host: string
  readonly pid: number
}

/** What stands in the body of a join. */
export interface JoinAsked extends Join {
  /** The same each time that one agent asks: an answer that got lost is given again, and takes no second place. 32 hex digits. */
  readonly attempt: string
}

export interface Joined {
  /** Names this agent from here on; nobody else can guess it. */
  readonly session: string
  readonly rank: number
}

export type Order =
  /** All agents are there: fetch the share, get ready. */
  | { readonly do: 'share' }
  /** The run begins then, by the coordinator's clock. */
  | { readonly do: 'start'; readonly atMs: number }
  /** An act that is decided by the coordinator begins, as the plan says when. */
  | { readonly do: 'act'; readonly act: number; readonly relay: string | null }
  | { readonly do: 'healed'; readonly act: number; readonly atMs: number }
  /** An act that the plan does not have: the next one after those that are known. */
  | { readonly do: 'inject'; readonly act: FaultAct }
  /** An act that must not go on is healed before its time. */
  | { readonly do: 'heal'; readonly act: number }
  /** Clients that are due wait, or come again. */
  | { readonly do: 'ramp'; readonly paused: boolean }
  /** The load is over before its time; faults are healed, and what is under way is waited for. */
  | { readonly do: 'end'; readonly why: Omit<EndedEarly, 'atMs'> }
  /** Everything has arrived, or is not waited for any more: connections of which something is missing. */
  | { readonly do: 'close'; readonly unsettled: readonly number[] }
  /** End at once, and tell what there is. */
  | { readonly do: 'stop'; readonly why: string }
  /** There is nothing (more) to do. */
  | { readonly do: 'leave'; readonly why: string }

export interface Share {
  readonly plan: Plan
  /** Indexes of the clients that this agent runs. */
  readonly clients: readonly number[]
  readonly relays: readonly SharedRelay[]
  /** Credential files of the users of these clients, and of nobody else. */
  readonly credentials: readonly (readonly [user: string, text: string])[]
}

/** An entry of the relay list; `key` in hex. */
export interface SharedRelay {
  readonly relayId: string
  readonly urls: readonly string[]
  readonly key?: string
  readonly failureDomain?: string
  readonly zone?: string
}

/** Lists of relays to be signed. */
export interface ListsAsked {
  readonly version: number
  readonly lists: readonly (readonly SharedRelay[])[]
}

export interface Clock {
  readonly receivedMs: number
  readonly answeredMs: number
}

export interface Ready {
  readonly offsetMs: number
  readonly errorMs: number
}

export interface Snapshot {
  readonly status: RunStatus
  readonly seconds: readonly TimelineSecond[]
  /** Messages a second, as planned, that this agent sends over each relay now. */
  readonly traffic: readonly (readonly [relay: string, perSecond: number])[]
  /** What limits and conditions of the plan are about; absent when there are none, or when it was told a moment ago. */
  readonly seen?: RecorderState
  /** The load is over; absent before. */
  readonly drain?: Drain
  /** Connections and clients that are still to be closed; absent before. 0: all are, and what was recorded is being written down. */
  readonly left?: number
}

export interface Drain {
  /** Connections with both ends here are done. */
  readonly settled: boolean
  /** Directions between two agents: messages sent here, or received here. */
  readonly sent: readonly (readonly [direction: number, messages: number])[]
  readonly received: readonly (readonly [direction: number, messages: number])[]
}

export interface Finished {
  readonly state: RecorderState
  readonly seconds: readonly TimelineSecond[]
  readonly clock: Ready
}

/** Largest bodies that are read, in bytes: a share of 50 000 clients has some 60 MB, what such an agent recorded as much. */
export const bodyMax: Readonly<Record<'small' | 'snapshot' | 'share' | 'finished', number>> = {
  small: 16_384,
  snapshot: 16 * 1024 * 1024,
  share: 256 * 1024 * 1024,
  finished: 256 * 1024 * 1024,
}
