/** The outside of the end handshake. */

import type { CryptoProvider } from '../crypto.ts'
import type { SessionSecrets } from '../session/secrets.ts'
import type { MeshTrust, UserCertificate, UserIdentity } from '../trust/types.ts'

/**
 * Who can read what the application sends, and change it unnoticed: `blind`, nobody on the way; `relay`, the relays, which are given the key; `none`,
 * everybody on the way. Acks and control frames are sealed with the handshake's keys in every mode, so nobody else can free, open or close anything.
 */
export type KeyMode = 'blind' | 'relay' | 'none'

/** Best first; the number is the bit in the offer. */
export const KEY_MODE: Readonly<Record<KeyMode, number>> = { blind: 1, relay: 2, none: 4 }

/** Bits of what an end can and wants, told in the handshake. A bit that the other end does not know says nothing to it. */
export const FEATURE = {
  /** Takes messages compressed by raw deflate (RFC 1951). */
  inflatesDeflate: 1,
  /** Takes messages compressed by zstd (RFC 8878). */
  inflatesZstd: 2,
  /** Wishes that messages are compressed, both ways. */
  wantsCompression: 4,
  /** Takes an ack in front of the data of a data packet, in key mode `blind`. */
  acksInData: 8,
} as const

export interface EndHandshakeOptions {
  readonly crypto: CryptoProvider
  readonly identity: UserIdentity
  readonly trust: MeshTrust
  readonly application: string
  /** `alice` or `alice/laptop`: for the caller its own name, for the listener the name the relay told. */
  readonly caller: string
  /** `bob` or `bob/home`: for the caller whom it asks for, for the listener its own name. */
  readonly listener: string
  /** 16 bytes, drawn by the caller. */
  readonly connectionId: Uint8Array
  /** Modes this end accepts; the best in common is taken. At least one. */
  readonly keyModes: readonly KeyMode[]
  readonly nowMs: number
  /** The peer's end-to-end key, when it is known from before: another one fails with `pinned_key_mismatch`. */
  readonly pinnedEndKey?: Uint8Array
  /** Says no to a valid certificate that was taken back. @default none was */
  readonly revoked?: (certificate: UserCertificate) => boolean
  /** 16 bytes drawn at the start of this process. The peer learns it authenticated. @default zeros */
  readonly instance?: Uint8Array
  /** The caller's attempt number. @default 0 */
  readonly attempt?: number
  /** Bits of what this end can and wants beyond this page, told to the peer as they are. @default 0 */
  readonly features?: number
  /** The connection the caller had, when it asks for that one again. */
  readonly previous?: Uint8Array
  /** How the caller wants relays to be used, so that the listener's first byte goes as asked already. @default '' (it says nothing) */
  readonly paths?: string
}

/** What the first message says in the clear. The relay can read it; neither it nor anyone else can change it unnoticed. */
export interface EndRequest {
  readonly versionMin: number
  readonly versionMax: number
  /** Bits of {@link KEY_MODE}. */
  readonly keyModes: number
  readonly application: string
  readonly caller: string
  readonly listener: string
  readonly instance: Uint8Array
  readonly attempt: number
  readonly previous: Uint8Array | undefined
  /** 0 when the caller says nothing of them. */
  readonly features: number
  /** 32 bytes that the data keys of the mode `relay` come from; there when that mode is offered. */
  readonly relaySecret: Uint8Array | undefined
  /** In the words of docs/protocol.md, as the caller sees the two directions; '' when it says nothing. */
  readonly paths: string
}

/** What either end holds when the handshake is through. */
export interface EndHandshakeResult {
  readonly secrets: SessionSecrets
  /** The peer's certificate, verified against the mesh and against the key it used. */
  readonly peer: UserCertificate
  /** `''` when the peer has none. */
  readonly peerLabel: string
  readonly peerInstance: Uint8Array
  readonly keyMode: KeyMode
  /** 0 when the peer said nothing of them. */
  readonly peerFeatures: number
}
