/** What the parts of a relay machine share: limits, counts, and the way to an attachment's link. Owned by the machine. */

import type { HopControl } from '@sennit/protocol'
import type { Attachment } from './attachment.ts'
import type { Counters } from './counters.ts'
import type { LogLevel } from './effects.ts'
import type { RelayLimits } from './limits.ts'

export interface RelayCore {
  readonly limits: RelayLimits
  readonly refusals: Counters
  readonly answers: Counters
  /** Puts an attachment's link on the list of those to be polled. */
  touch(attachment: Attachment): void
  /** Says something to the client of an attachment. */
  say(attachment: Attachment, message: HopControl): void
  /** Other attachments of the same running client: same user, label and instance. */
  othersOf(attachment: Attachment): Iterable<Attachment>
  log(level: LogLevel, event: string, fields: Readonly<Record<string, unknown>>): void
  /** The list of users says that this one is revoked; one it does not know is not. */
  isRevoked(user: string): boolean
  /** Is this a user of the mesh who is not revoked? */
  isRegistered(user: string): boolean
  /** Counts a user's use of something; false (and nothing counted) when the limit is reached. */
  takeShare(user: string, what: UserShare): boolean
  giveShare(user: string, what: UserShare): void
  takeLookup(nowMs: number, user: string): boolean
  /** How full the relay's memory is, 0 to 1 and over. */
  pressure(): number
}

/** What is counted per user. */
export type UserShare = 'attachments' | 'listens' | 'circuits'
