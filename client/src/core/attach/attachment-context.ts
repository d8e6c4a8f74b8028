/** What the attachments of one client share, and whom they tell. */
import type { CryptoProvider, HopControl, MeshTrust, PacketHeader, UserIdentity } from '@sennit/protocol'
import type { ClientTuning } from '../client/tuning.ts'
import type { PolicyView } from '../plan/policy.ts'
import type { Attachment } from './attachment.ts'
import type { BackoffFacts } from './backoff.ts'
import type { DialTarget } from './dial-race.ts'

export interface AttachmentContext {
  readonly crypto: CryptoProvider
  readonly random: () => number
  readonly identity: UserIdentity
  readonly trust: MeshTrust
  readonly label: string
  readonly instance: Uint8Array
  readonly software: string
  readonly carriers: readonly string[]
  /** Of single relays, instead. */
  readonly carriersOf: Readonly<Record<string, readonly string[]>>
  readonly lentChunks: boolean
  readonly tuning: ClientTuning
  /** The client's own: relays it does not allow are never attached to. */
  readonly policy: PolicyView
  readonly sink: AttachmentSink
  nextKey(): number
}

/** Told by attachments; the client machine implements it. */
export interface AttachmentSink {
  /** @param first makes the first handshake bytes, when the carrier can send them: a dial that is given up before costs no curve arithmetic */
  dial(attachment: Attachment, key: number, target: DialTarget, first: () => Uint8Array): void
  write(key: number, pieces: Uint8Array[]): void
  hangUp(key: number): void
  /** The attachment has something to pump. */
  dirty(attachment: Attachment): void
  attached(nowMs: number, attachment: Attachment): void
  detached(nowMs: number, attachment: Attachment, code: string, message: string): void
  dialFailed(nowMs: number, attachment: Attachment, code: string, message: string, retryInMs: number, resting: boolean): void
  control(nowMs: number, attachment: Attachment, message: HopControl): void
  packet(nowMs: number, attachment: Attachment, circuit: number, header: PacketHeader, pieces: Uint8Array[]): void
  backoffFacts(attachment: Attachment): BackoffFacts
}
