/** What a connection is, apart from its machine. */
import type { KeyMode, SessionSecrets } from '@sennit/protocol'
import type { PathsOption } from '../paths/index.ts'
import type { PolicyView } from '../plan/policy.ts'
import type { Peer } from './types.ts'

/** What is known of a connection when its keys are. */
export interface ConnectionFacts {
  readonly handle: number
  readonly secrets: SessionSecrets
  readonly keyMode: KeyMode
  /** What the peer can, as it said in the handshake. */
  readonly peerFeatures: number
  readonly peer: Peer
  readonly peerName: string
  readonly peerInstance: Uint8Array
  readonly attempt: number
  readonly application: string
  /** How relays are used from the start, as this end sees the two directions. */
  readonly paths: PathsOption
  /** The listener wants it so, and the caller said nothing. @default false */
  readonly wish?: boolean | undefined
  /** Which relays this end wants. */
  readonly policy: PolicyView
  /** The caller's third message, to go first on every circuit until the verdict. */
  readonly message3?: Uint8Array | undefined
}

/**
 * `confirming`: the caller waits for the verdict. `challenging`: the listener asks an older connection of the name whether it lives.
 * `refused`: the verdict was no, and lingers until it arrived. `over`: a tombstone.
 */
export type Stage = 'confirming' | 'challenging' | 'open' | 'refused' | 'over'
