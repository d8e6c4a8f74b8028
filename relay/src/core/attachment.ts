/** What a relay knows about one attachment: a hop link, who is behind it, and what it has open here. */

import type { HopLink } from '@sennit/protocol'
import type { CircuitHalf } from './circuits.ts'
import type { PendingJoin } from './joins.ts'
import type { Listener, Request } from './matching.ts'

/** Who proved itself on an attachment. */
export interface Who {
  readonly user: string
  readonly label: string
  /** Hex of the 128 bits drawn at the client's process start. */
  readonly instance: string
  /** Empty means all. */
  readonly applications: readonly string[]
  readonly certificateEpoch: number
  readonly certificateEndsMs: number
}

/** One attachment from its first byte to its end. */
export interface Attachment {
  readonly key: number
  readonly carrier: string
  readonly address: string
  readonly link: HopLink
  /** Undefined until the hop handshake proved it. */
  who: Who | undefined
  ended: boolean
  /** In the machine's list of links to be polled. */
  dirty: boolean
  /** When the machine will wake this link, as far as it is scheduled; Infinity when it is not. */
  scheduledMs: number
  /** Last round trip told by heartbeats. */
  rttMs: number | undefined
  /** Since when the carrier takes nothing; undefined while it does. */
  blockedSinceMs: number | undefined
  /** Its circuits' sources were told of the block. */
  blockTold: boolean
  readonly listens: Map<number, Listener>
  readonly requests: Map<number, Request>
  readonly offers: Map<number, Request>
  readonly joins: Map<number, PendingJoin>
  readonly circuits: Map<number, CircuitHalf>
  nextCircuit: number
  nextOffer: number
  /** Hop credit promised towards this attachment, in all and by the source's key. */
  promisedBytes: number
  readonly promisedBySource: Map<number, number>
}

/** An attachment with nothing open yet. */
export function newAttachment(key: number, carrier: string, address: string, link: HopLink): Attachment {
  return {
    key,
    carrier,
    address,
    link,
    who: undefined,
    ended: false,
    dirty: false,
    scheduledMs: Number.POSITIVE_INFINITY,
    rttMs: undefined,
    blockedSinceMs: undefined,
    blockTold: false,
    listens: new Map(),
    requests: new Map(),
    offers: new Map(),
    joins: new Map(),
    circuits: new Map(),
    nextCircuit: 1,
    nextOffer: 1,
    promisedBytes: 0,
    promisedBySource: new Map(),
  }
}

/** May this user serve or call that application? */
export function mayUse(who: Who, application: string): boolean {
  return who.applications.length === 0 || who.applications.includes(application)
}
