/** What the trust of a mesh is made of: keys, certificates, credentials and signed lists, as plain data. */

import type { KeyPair } from '../crypto.ts'

/** The public keys of one mesh, as everybody who takes part holds them. */
export interface MeshTrust {
  /** 32 lower-case hex digits, drawn when the mesh is made; part of every signature and of the hop prologue. */
  readonly meshId: string
  /** Ed25519 key of the offline root, which signs the three others. */
  readonly rootKey: Uint8Array
  readonly relayIssuerKey: Uint8Array
  readonly userIssuerKey: Uint8Array
  readonly listSignerKey: Uint8Array
}

/** Keys and certificate of one user, as a credential file holds them. */
export interface UserIdentity {
  readonly user: string
  /** Ed25519. */
  readonly identityKey: KeyPair
  /** X25519: the Noise static key towards relays. */
  readonly hopKey: KeyPair
  /** X25519: the Noise static key towards other users. */
  readonly endKey: KeyPair
  /** The signed certificate over the three public keys. */
  readonly certificate: Uint8Array
}

/** What a user certificate says, after its signature was checked. */
export interface UserCertificate {
  readonly meshId: string
  readonly user: string
  readonly identityKey: Uint8Array
  readonly hopKey: Uint8Array
  readonly endKey: Uint8Array
  /** Application ids this user may serve and call; empty means all. */
  readonly applications: readonly string[]
  /** Certificates below the epoch of the user list are revoked. */
  readonly epoch: number
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** 16 bytes, unique to this certificate. */
  readonly serial: Uint8Array
}

/** Key and certificate of one relay. */
export interface RelayIdentity {
  readonly relayId: string
  /** X25519: the Noise static key of the relay. */
  readonly staticKey: KeyPair
  readonly certificate: Uint8Array
}

/** What a relay certificate says, after its signature was checked. */
export interface RelayCertificate {
  readonly meshId: string
  readonly relayId: string
  readonly staticKey: Uint8Array
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** How a client proves who it is. Only `certificate` is taken today; the others are reserved and refused with `not_yet`. */
export type Credential =
  | { readonly type: 'certificate'; readonly certificate: Uint8Array }
  | { readonly type: 'token'; readonly token: Uint8Array }
  | { readonly type: 'enrol'; readonly body: Uint8Array }
  | { readonly type: 'psk'; readonly keyId: Uint8Array }

/** One relay, as a client finds it in its list: one id, several addresses. */
export interface RelayEntry {
  readonly relayId: string
  /** `http://host:port` or `https://host:port`, tried in order. */
  readonly urls: readonly string[]
  /** X25519 key of the relay; when known, the hop handshake is IK. */
  readonly key?: Uint8Array
  /** Relays of one failure domain may fall together. */
  readonly failureDomain?: string
  readonly zone?: string
  readonly traits?: RelayTraits
  /** It is going: connections move away from it, new ones use it only where nothing else answers. @default false */
  readonly draining?: boolean
}

/** What the operator says of a relay; clients weigh it when they choose. What is missing is not known. */
export interface RelayTraits {
  readonly region?: string
  /** Of one gigabyte, in the one unit of the mesh; 0 or more. */
  readonly price?: number
  /** 0 to 100. */
  readonly securityRating?: number
  /** Share of the time it was there, 0 to 1. */
  readonly uptime?: number
  readonly speedMbps?: number
  /** Level of guaranteed service, 0 (best effort) to 9. */
  readonly qos?: number
}

/** The relays of a mesh, signed by its list signer. */
export interface RelayList {
  /** Rises with every change; a lower one never replaces a higher one. */
  readonly version: number
  readonly expiresMs: number
  readonly relays: readonly RelayEntry[]
}

/** One registered user, as relays see it. */
export interface UserEntry {
  readonly user: string
  /** Certificates with a lower epoch are revoked. */
  readonly epoch: number
  readonly revoked: boolean
}

/** The users of a mesh, signed by its list signer. */
export interface UserList {
  readonly version: number
  readonly expiresMs: number
  readonly users: readonly UserEntry[]
}
