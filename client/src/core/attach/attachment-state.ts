/** The states of an attachment, and the ways between them. */
import { SennitError } from '@sennit/protocol'
import type { DialRace, Runner } from './dial-race.ts'
import type { Turn, Waiting } from './dial-turns.ts'

export type AttachmentState =
  | { readonly type: 'idle' }
  | Waiting
  /** `after`: this dial is out of turn, and that is when its turn comes. */
  | { readonly type: 'dialing'; readonly race: DialRace; readonly after: Turn | undefined }
  | { readonly type: 'attached'; readonly runner: Runner; readonly sinceMs: number }

const transitions: Readonly<Record<AttachmentState['type'], readonly AttachmentState['type'][]>> = {
  idle: ['waiting'],
  waiting: ['waiting', 'dialing', 'idle'],
  dialing: ['attached', 'waiting', 'idle'],
  attached: ['waiting', 'idle'],
}

/** @throws SennitError `internal` where it cannot go from one to the other */
export function checkTransition(relayId: string, from: AttachmentState, to: AttachmentState): void {
  if (!transitions[from.type].includes(to.type))
    throw new SennitError('internal', `attachment to ${relayId}: ${from.type} -> ${to.type} is not a way it can go`)
}
