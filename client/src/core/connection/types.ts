/** What a connection machine takes, gives and shows. Effects are data: the client machine around it carries them out. */
import type { CryptoProvider, Frame, PacketHeader, SessionSecrets } from '@sennit/protocol'
import type { PathMode, PathsOption } from '../paths/index.ts'
import type { StreamSetOptions } from '../streams/index.ts'
import type { ConnectionTuning } from './tuning.ts'

/** How a connection machine is made, once both ends have the session's keys. */
export interface ConnectionOptions {
  readonly crypto: CryptoProvider
  /** Uniform in [0, 1): jitter of retries, never keys. */
  readonly random: () => number
  readonly secrets: SessionSecrets
  /** Handed to the streams; the role comes from `secrets`. */
  readonly streams?: Omit<StreamSetOptions, 'role'>
  readonly tuning?: Partial<ConnectionTuning>
  /** How relays are used until a plan says otherwise: a mode that needs several waits for them. @default best */
  readonly paths?: PathsOption
  /** Acks may stand in data packets, both ways: both ends know that, and nobody else has the key of data. @default false */
  readonly acksInData?: boolean
  readonly nowMs: number
}

/** A circuit that reached the peer's other half at a relay. */
export interface PathOpening {
  /** Never used twice in this process. */
  readonly pathId: number
  readonly relayId: string
  /** Absolute: payload bytes that may be sent on this circuit. */
  readonly creditBytes: number
  /** Bytes already sent on the circuit (the handshake); they count against the credit. @default 0 */
  readonly sentBytes?: number
  /** The handshake was answered over this very circuit, so the path carries data at once. @default false */
  readonly proved?: boolean
  /** Relays of one domain fail together. @default one of its own */
  readonly failureDomain?: string
  /** What the legs suggest, used until the path itself was measured. */
  readonly expectedRttMs?: number
}

/** How to use the paths. A plan affects speed, never safety. */
export interface PathPlan {
  /** Plans with a lower epoch than the last one are ignored. */
  readonly epoch: number
  /** Relay ids, best first: the fail-over order. */
  readonly order: readonly string[]
  /** Relays at which both ends could have a path now, planned or not. @default those of `order` */
  readonly known?: readonly string[]
  /** This end knows one way only, whatever happens to it. @default false */
  readonly alone?: boolean
  readonly activeSend: string
  readonly activeReceive: string
  readonly standby: string
  /** How they are used, in each direction. @default best */
  readonly modes?: PlanModes
}

export interface PlanModes {
  readonly send: PathMode
  readonly receive: PathMode
  readonly whenShort: 'wait' | 'fail'
  /** Relays that carry each direction, best first. */
  readonly sendRelays: readonly string[]
  readonly receiveRelays: readonly string[]
  /** The other end does not know such modes. @default false */
  readonly unknown?: boolean
}

/** Bytes of one stream: ours as far as we know of them, and the peer's. */
export interface StreamCounts {
  readonly streamId: number
  /** Taken from our application. */
  readonly accepted: number
  /** Of these, received by the peer's client. */
  readonly received: number
  /** Of these, taken by the peer's application. */
  readonly delivered: number
  readonly receivedHere: number
  readonly deliveredHere: number
}

/** Why a send waits. `paths`: there are too few for the mode. */
export type WaitReason = 'credit' | 'no_path' | 'relay_wait' | 'memory' | 'paths'
/** Why the active path changed. */
export type MoveReason = 'first' | 'path_closed' | 'silent' | 'peer_says_bad' | 'corrupt' | 'relay_wait' | 'plan' | 'rotate'

export type ConnectionEvent =
  | { readonly type: 'path_opened'; readonly pathId: number; readonly relayId: string; readonly rttMs: number }
  | { readonly type: 'path_closed'; readonly pathId: number; readonly relayId: string; readonly reason: string }
  | { readonly type: 'path_bad'; readonly pathId: number; readonly relayId: string; readonly why: MoveReason }
  /** New data goes another way, for whatever reason. */
  | { readonly type: 'path_moved'; readonly from: string | null; readonly to: string | null; readonly why: MoveReason }
  /** The move was forced: `resentPackets` had no other copy on the way. */
  | {
      readonly type: 'failover'
      readonly fromRelay: string
      readonly toRelay: string
      readonly why: MoveReason
      readonly resentPackets: number
    }
  | { readonly type: 'waiting'; readonly why: WaitReason }
  /** This direction has fewer paths than its mode promises, or all of them again. */
  | { readonly type: 'paths_short'; readonly mode: string; readonly have: number; readonly need: number }
  | { readonly type: 'paths_whole'; readonly mode: string }
  /** Payloads came over this relay that the other end never sent: it changes or invents them. `here`: on their way to us. */
  | { readonly type: 'relay_lies'; readonly relayId: string; readonly count: number; readonly here: boolean }
  | { readonly type: 'resumed' }
  | { readonly type: 'rekeyed'; readonly epoch: number }
  /** Answer to {@link ConnectionMachine.ping}. */
  | { readonly type: 'pong'; readonly id: number; readonly rttMs: number; readonly relayId: string }

/** Why a connection is over. `message` of the effect says the rest. */
export type CloseCode =
  | 'closed'
  | 'peer_closed'
  | 'aborted'
  | 'superseded'
  | 'peer_restarted'
  | 'timeout'
  | 'paths_short'
  | 'protocol_error'
  | (string & {})

export type ConnectionEffect =
  | { readonly type: 'send'; readonly pathId: number; readonly header: PacketHeader; readonly pieces: Uint8Array[] }
  | { readonly type: 'closePath'; readonly pathId: number; readonly reason: string }
  /** `suspect`, `short`: open the next relays of the plan. `no_path`: JOIN everywhere; repeated while it lasts. */
  | { readonly type: 'wantPaths'; readonly why: 'suspect' | 'short' | 'no_path' }
  /** A frame of the agreement (confirm, yield, exists, plan, planOk, planNo, report), kept ones in their order. */
  | { readonly type: 'frame'; readonly pathId: number; readonly frame: Frame }
  /** A datagram of the peer. */
  | { readonly type: 'datagram'; readonly data: Uint8Array }
  /** An end-to-end round trip, at most one a second and path. */
  | { readonly type: 'sample'; readonly pathId: number; readonly relayId: string; readonly rttMs: number; readonly varMs: number }
  /** The caller calls a path so: by the link over which it asked. */
  | { readonly type: 'pathNamed'; readonly pathId: number; readonly relayId: string }
  | { readonly type: 'event'; readonly event: ConnectionEvent }
  /**
   * The end; once. Keep the machine for its tombstone time: it goes on answering late packets (paths may still be opened on it) and
   * closes its own paths.
   */
  | {
      readonly type: 'closed'
      readonly code: CloseCode
      readonly message: string
      readonly remote: boolean
      readonly counts: readonly StreamCounts[]
      /** What our sent bytes came to in the peer's own words, when it said so. */
      readonly peerCounts?: readonly { readonly streamId: number; readonly received: number; readonly delivered: number }[]
    }

export interface PathStatus {
  readonly pathId: number
  readonly relayId: string
  /** `opening`: not validated; `open`; `suspect`: probed; `bad`: judged, being validated anew. */
  readonly state: 'opening' | 'open' | 'suspect' | 'bad'
  readonly srttMs: number | null
  readonly varMs: number | null
  readonly minRttMs: number | null
  /** Share of packets found lost on it, 0 to 1. */
  readonly loss: number
  readonly rateBytesPerSecond: number
  readonly inFlightBytes: number
  readonly waiting: boolean
}

/** Datagrams of one connection, counted by this end. */
export interface DatagramCounts {
  readonly sent: number
  /** Not sent: the path was full, or there was none. */
  readonly dropped: number
  readonly received: number
  /** Of the peer's, those that did not come although later ones did. */
  readonly missing: number
}

export interface ConnectionStatus {
  readonly state: 'open' | 'closing' | 'closed'
  readonly paths: readonly PathStatus[]
  readonly active: { readonly send: string | null; readonly receive: string | null }
  /** Relays that new data goes over now: the active one, or as many as the mode uses at once. */
  readonly sendsOver: readonly string[]
  readonly standby: string | null
  readonly failovers: number
  readonly planEpoch: number
  readonly kept: {
    readonly sent: number
    readonly acked: number
    readonly received: number
    readonly resent: number
    readonly duplicates: number
  }
  readonly datagrams: DatagramCounts
  readonly unackedBytes: number
  /** This direction has fewer paths than its mode promises. */
  readonly short: boolean
  /** Bytes of this connection that each relay carried, both ways, since it began. */
  readonly relayBytesSeen: Readonly<Record<string, number>>
  readonly epoch: { readonly send: number; readonly receive: number }
}
