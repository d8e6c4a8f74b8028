/** The outside of the hop link: what it is made of and what it says. */

import type { HopControl } from '../control/types.ts'
import type { CryptoProvider } from '../crypto.ts'
import type { PacketHeader } from '../packet.ts'
import type { Credential, MeshTrust, RelayIdentity, UserCertificate, UserIdentity } from '../trust/types.ts'
import type { HandshakeCookies } from './cookie.ts'

/** Hop protocol versions one side speaks, both ends included. */
export interface VersionRange {
  readonly min: number
  readonly max: number
}

/** What a relay's owner says about a credential whose signature, time and key are right already. */
export type CredentialVerdict =
  | { readonly user: string /** Empty means all. */; readonly applications: readonly string[] }
  | { readonly refuse: string; readonly message: string }

export interface HopLinkOptions {
  readonly role: 'initiator' | 'responder'
  readonly crypto: CryptoProvider
  /** [0, 1), for jitter only. */
  readonly random: () => number
  readonly meshId: string
  /** `upgrade`, `http`, `grpc` or `websocket`: part of the prologue, and `websocket` takes smaller records. */
  readonly carrier: string
  /** Name and version, as `sennit/0.1.0`. */
  readonly software: string
  /** @default 1 to 1 */
  readonly versions?: VersionRange
  /** Both roles: the initiator checks the relay's certificate with it, the responder the user's. The initiator must have it. */
  readonly trust?: MeshTrust
  // initiator
  /** The relay that was dialled; another one's certificate is refused. */
  readonly relayId?: string
  /** Its key, when known: then the handshake is IK and one round trip shorter. */
  readonly relayKey?: Uint8Array
  readonly identity?: UserIdentity
  readonly label?: string
  /** 16 bytes drawn at process start. */
  readonly instance?: Uint8Array
  /** `saver`: each 55 s instead of 15 s. @default normal */
  readonly heartbeat?: 'normal' | 'saver'
  // responder
  readonly relayIdentity?: RelayIdentity
  /** Asked after the certificate's signature, time and key were checked (when `trust` is given): revocation and registration. */
  verifyCredential?(credential: Credential, hopKey: Uint8Array, nowMs: number): CredentialVerdict
  /** Asked before anything is computed for a first message. @default none: nobody needs a cookie */
  readonly cookies?: HandshakeCookies
  /** 16 bytes for a new attachment. @default random */
  attachmentId?(): Uint8Array
  /**
   * Chunks given to `receive` are only lent: packets in them are good until the next call of `receive`, so whoever gets them takes them with `heard`
   * before that and copies what it keeps. For a provider whose `open` makes memory of its own. @default false
   */
  readonly lentChunks?: boolean
  /** Queued data that finds the carrier full for this long closes the attachment. @default 15 000 */
  readonly writeStallMs?: number
}

/** Who is at the other end of an initiator's link. */
export interface EstablishedRelay {
  readonly relayId: string
  readonly key: Uint8Array
  readonly attachmentId: Uint8Array
  readonly version: number
  readonly software: string
}

/** Who is at the other end of a responder's link. */
export interface EstablishedUser {
  readonly user: string
  readonly label: string
  readonly instance: Uint8Array
  readonly applications: readonly string[]
  readonly hopKey: Uint8Array
  readonly certificate: UserCertificate
  readonly version: number
  readonly software: string
  readonly attachmentId: Uint8Array
}

/** What the machine wants done or wants known, taken with `poll()`. */
export type LinkEffect =
  | { readonly type: 'write'; readonly pieces: Uint8Array[] }
  | {
      readonly type: 'established'
      /** At an initiator. */
      readonly relay?: EstablishedRelay
      /** At a responder. */
      readonly user?: EstablishedUser
      readonly handshakeHash: Uint8Array
    }
  | { readonly type: 'control'; readonly message: HopControl }
  /** `pieces` are slices of received chunks. */
  | { readonly type: 'packet'; readonly circuit: number; readonly header: PacketHeader; readonly pieces: Uint8Array[] }
  /** Bytes of that circuit handed to the carrier since last told. */
  | { readonly type: 'drained'; readonly circuit: number; readonly bytes: number }
  | { readonly type: 'rtt'; readonly ms: number }
  /** The last effect. `remote`: the other side said so. */
  | { readonly type: 'closed'; readonly code: string; readonly message: string; readonly remote: boolean }
