/** What a connection needs of the client around it. */
import type { CryptoProvider } from '@sennit/protocol'
import type { Attachments } from '../attach/attachments.ts'
import type { ConnectionEffect, ConnectionTuning } from '../connection/index.ts'
import type { StreamSetOptions } from '../streams/index.ts'
import type { CircuitTable } from './circuits.ts'
import type { ManagedConnection } from './managed-connection.ts'
import type { ClientTuning } from './tuning.ts'
import type { ClientEffect } from './types.ts'

/** The listener's sealed word at key confirmation. */
export type Verdict = 'confirm' | 'yield' | 'exists'

export interface ConnectionHost {
  readonly crypto: CryptoProvider
  readonly random: () => number
  /** What this end can, told in every handshake. */
  readonly features: number
  readonly tuning: ClientTuning
  readonly connectionTuning: Partial<ConnectionTuning> | undefined
  readonly streams: Omit<StreamSetOptions, 'role'> | undefined
  readonly attachments: Attachments
  readonly circuits: CircuitTable
  nextPathId(): number
  /** A join id that leads back to this connection. */
  nextJoinId(connection: ManagedConnection): number
  emit(effect: ClientEffect): void
  /** The connection has something to pump. */
  dirty(connection: ManagedConnection): void
  /** What is needed of attachments or joins may have changed. */
  needsSync(): void
  /** The peer's verdict on a connection that waits for it. */
  verdict(nowMs: number, connection: ManagedConnection, verdict: Verdict): void
  /** A circuit of a connection that waits for its verdict was closed. */
  unconfirmed(nowMs: number, connection: ManagedConnection, relayId: string, reason: string): void
  /** The machine said its end. */
  ended(nowMs: number, connection: ManagedConnection, effect: Extract<ConnectionEffect, { type: 'closed' }>): void
}
