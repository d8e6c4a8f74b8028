/** What a relay machine is made of, and what its shell says of each carrier. */
import type { CryptoProvider, MeshTrust, RelayIdentity, UserList } from '@sennit/protocol'
import type { RelayLimits } from './limits.ts'
import type { HandedList } from './list-teller.ts'

export interface RelayMachineOptions {
  readonly crypto: CryptoProvider
  /** [0, 1), for jitter only. */
  readonly random: () => number
  readonly identity: RelayIdentity
  readonly trust: MeshTrust
  readonly users: UserList
  readonly limits?: Partial<RelayLimits>
  /** The signed relay list to hand out. @default none */
  readonly relayList?: HandedList
  /** @default sennit-relay/0.1.0 */
  readonly software?: string
}

/** Where an attachment comes from. */
export interface CarrierFacts {
  readonly carrier: string
  readonly address: string
  /** Its socket entered by `socketOpened` and this attachment takes over its place. @default false: the attachment enters now */
  readonly counted?: boolean
}
