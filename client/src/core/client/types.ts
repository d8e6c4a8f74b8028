/**
 * What a client machine takes and gives: options, effects, events and status. The shell (Node, a browser, the simulated world) moves bytes
 * and time in and carries these effects out; nothing here knows a socket.
 */
import type { CryptoProvider, KeyMode, MeshTrust, RelayEntry, UserIdentity } from '@sennit/protocol'
import type { ConnectionEvent, ConnectionTuning, DatagramCounts, StreamCounts } from '../connection/index.ts'
import type { PathsOption } from '../paths/index.ts'
import type { RelayPolicy } from '../plan/policy.ts'
import type { StreamEvent, StreamSetOptions } from '../streams/index.ts'
import type { ClientTuning } from './tuning.ts'

/** How a client machine is made. */
export interface ClientMachineOptions {
  readonly crypto: CryptoProvider
  /** Uniform in [0, 1). Used for jitter and the choice inside a 10 % band, never for keys. */
  readonly random: () => number
  readonly identity: UserIdentity
  readonly trust: MeshTrust
  /** Part of the client's name (`bob/laptop`). @default '' */
  readonly label?: string
  /** Best first, as the operator ranked them; own measurements take over as they come. */
  readonly relays: readonly RelayEntry[]
  /** Carriers this shell can open, the preferred one first. */
  readonly carriers: readonly string[]
  /** Carriers of single relays by id, instead of those. */
  readonly carriersOf?: Readonly<Record<string, readonly string[]>>
  /** Local addresses to dial from: each is a link of its own to every relay. @default one link, from where the system chooses */
  readonly localAddresses?: readonly string[]
  /**
   * Bytes given to `carrierBytes` are only lent until it returns. For a provider whose `open` makes memory of its own, as node:crypto's does and the
   * simulator's does not. @default false
   */
  readonly lentChunks?: boolean
  /** 16 bytes drawn at process start. @default drawn from `crypto` */
  readonly instance?: Uint8Array
  /** Told to relays and shown in their logs. @default 'sennit' */
  readonly software?: string
  /**
   * `best`: the best three, more where needed. `all`: every relay of the list, however long. `all-first`: every relay for the first five seconds,
   * so that the first choice is made among all of them, then the best. @default 'best'
   */
  readonly attach?: AttachOption
  /** Version of the signed list the relays are from: attached relays are asked for newer ones. @default they are not asked */
  readonly listVersion?: number
  /** Which relays are wanted, for attachments and connections. @default whatever measures best */
  readonly policy?: RelayPolicy
  /** How connections use their relays where nothing else is asked: those we call, and those whose caller does not say. @default best */
  readonly paths?: PathsOption
  /** Key modes of calls and listenings where nothing else is asked. @default blind only */
  readonly keyModes?: readonly KeyMode[]
  /** Bits of what the shell can, told to every peer in the handshake. @default 0 */
  readonly features?: number
  readonly tuning?: Partial<ClientTuning>
  /** Handed to every connection. */
  readonly connectionTuning?: Partial<ConnectionTuning>
  /** Handed to the streams of every connection (the role is set by the machine). */
  readonly streams?: Omit<StreamSetOptions, 'role'>
}

/** How many relays a client sits on. */
export type AttachOption = 'best' | 'all' | 'all-first'

/** What to listen for. */
export interface ListenRequest {
  readonly application: string
  /** '*' (any registered user) or one user. */
  readonly from: string
  /** Key modes to accept of a caller. @default as the client's */
  readonly keyModes?: readonly KeyMode[]
}

/** Whom to call. */
export interface ConnectRequest {
  readonly user: string
  readonly label?: string
  readonly application: string
  /** Key modes to offer; the best that the peer accepts too is taken. @default as the client's */
  readonly keyModes?: readonly KeyMode[]
  /** Bits of what this end can and wants of this connection. @default as the client's */
  readonly features?: number
  /** How the connection uses its relays, in each direction. @default as the client's */
  readonly paths?: PathsOption
  /** How long to wait for the peer. @default 30 000 */
  readonly waitMs?: number
  /** Which relays this connection wants; what it names takes the place of what the client's policy names. */
  readonly policy?: RelayPolicy
}

/** Who is at the other end. */
export interface Peer {
  readonly user: string
  readonly label: string
}

/** What one relay said to a request that failed. */
export interface RelayAnswer {
  readonly relayId: string
  readonly answer: string
}

/** Things worth telling a user that belong to no single connection. */
export type ClientEvent =
  | { readonly type: 'attached'; readonly relayId: string; readonly carrier: string; readonly url: string }
  | { readonly type: 'detached'; readonly relayId: string; readonly code: string; readonly message: string }
  /** A dial that did not become an attachment; `retryInMs` is the delay before the next one. */
  | { readonly type: 'dial_failed'; readonly relayId: string; readonly code: string; readonly message: string; readonly retryInMs: number }
  | { readonly type: 'relay_resting'; readonly relayId: string; readonly forMs: number }
  | { readonly type: 'relay_draining'; readonly relayId: string; readonly withinMs: number }
  /** The relay is over its limit and asked us to use others for a while. */
  | { readonly type: 'relay_crowded'; readonly relayId: string; readonly forMs: number }
  | {
      readonly type: 'listen_refused'
      readonly relayId: string
      readonly listenHandle: number
      readonly code: string
      readonly message: string
    }
  /** Somebody called and could not prove who they are, or may not: the certificate of `peer` is wrong, or not theirs. */
  | {
      readonly type: 'caller_refused'
      readonly relayId: string
      readonly peer: string
      readonly application: string
      readonly code: string
      readonly message: string
    }
  /** A caller was answered and does not take us for who we say we are: our certificate is wrong, or not ours. */
  | {
      readonly type: 'refused_by_caller'
      readonly relayId: string
      readonly peer: string
      readonly application: string
      readonly code: string
    }
  | { readonly type: 'connect_answer'; readonly relayId: string; readonly connectHandle: number; readonly answer: string }
  | {
      readonly type: 'planned'
      readonly handle: number
      readonly epoch: number
      readonly active: string
      readonly standby: string
      readonly why: string
    }

/** What the shell or the application must do or know. */
export type ClientEffect =
  | {
      readonly type: 'dial'
      readonly key: number
      readonly relayId: string
      readonly url: string
      readonly carrier: string
      /** Dial from there. */
      readonly localAddress?: string
      /** The first handshake bytes, the same each time; ask when the carrier can send them. */
      readonly first: () => Uint8Array
    }
  | { readonly type: 'write'; readonly key: number; readonly pieces: Uint8Array[] }
  | { readonly type: 'hangUp'; readonly key: number }
  | { readonly type: 'listening'; readonly handle: number; readonly relayId: string }
  | {
      readonly type: 'listenFailed'
      readonly handle: number
      readonly code: string
      readonly message: string
      readonly answers: readonly RelayAnswer[]
    }
  | {
      readonly type: 'connection'
      readonly handle: number
      readonly listenHandle?: number
      readonly connectHandle?: number
      readonly peer: Peer
      readonly application: string
      /** Connection id in hexadecimal. */
      readonly id: string
      readonly keyMode: KeyMode
      readonly peerFeatures: number
    }
  | {
      readonly type: 'connectFailed'
      readonly connectHandle: number
      readonly code: string
      readonly message: string
      readonly answers: readonly RelayAnswer[]
    }
  | { readonly type: 'connectionEvent'; readonly handle: number; readonly event: ConnectionEvent }
  | {
      readonly type: 'connectionClosed'
      readonly handle: number
      readonly code: string
      readonly message: string
      readonly remote: boolean
      readonly counts: readonly StreamCounts[]
    }
  | { readonly type: 'datagram'; readonly handle: number; readonly data: Uint8Array }
  | { readonly type: 'streamEvent'; readonly handle: number; readonly event: StreamEvent }
  | { readonly type: 'event'; readonly event: ClientEvent }
  /** A relay handed out a signed relay list, not checked yet. */
  | { readonly type: 'relayList'; readonly relayId: string; readonly signed: Uint8Array }

/** One row of a connection's ranking, with its reason. */
export interface RankingStatus {
  readonly relay: string
  /** Null when the relay is excluded; `why` tells. */
  readonly costMs: number | null
  readonly ownRttMs: number | null
  readonly peerRttMs: number | null
  readonly why: string
}

/** What the client is connected to now; the shape of one entry of `sennit status --json`, without `pid` and `command`. */
export interface ClientStatus {
  readonly user: string
  readonly label: string
  /** `relay`: its id, or that of a further link to it (`r1#2`). */
  readonly attachments: readonly {
    readonly relay: string
    readonly carrier: string
    readonly rttMs: number | null
    /** Where the link is dialled from, where that was asked for. */
    readonly localAddress?: string
  }[]
  readonly connections: readonly ClientConnectionStatus[]
}

/** One relay of the list. `refused`: its last dial failed and the next one waits; `why` tells. */
export interface RelayStatus {
  readonly relay: string
  readonly url: string
  readonly state: 'attached' | 'draining' | 'dialing' | 'resting' | 'refused' | 'idle'
  readonly carrier?: string
  /** Where the link is dialled from, where that was asked for. */
  readonly localAddress?: string
  readonly rttMs?: number
  readonly why?: string
}

/** One connection in the status. */
export interface ClientConnectionStatus {
  readonly id: string
  readonly handle: number
  readonly peer: string
  readonly application: string
  /** Who can read what is sent: `blind` nobody, `relay` the relays, `none` everybody on the way. */
  readonly keyMode: KeyMode
  readonly role: 'caller' | 'listener'
  readonly state: string
  readonly paths: readonly { readonly relay: string; readonly state: string; readonly rttMs: number | null }[]
  readonly active: { readonly send: string | null; readonly receive: string | null }
  /** Relays that new data goes over now: the active one, or as many as the mode uses at once. */
  readonly sendsOver: readonly string[]
  readonly standby: string | null
  /** How each direction uses its relays, as it was agreed. */
  readonly modes: {
    readonly send: string
    readonly receive: string
    /** What happens when there are too few relays for a mode. */
    readonly short: 'wait' | 'fail'
    /** The direction of this end has all the relays that its mode needs. */
    readonly whole: boolean
  }
  /** Bytes of this connection that each relay carried, both ways, since it began. */
  readonly relayBytesSeen: Readonly<Record<string, number>>
  readonly failovers: number
  readonly datagrams: DatagramCounts
  readonly ranking: readonly RankingStatus[]
}
