/**
 * What the responder answers at key confirmation (connection.md 15 to 17). One pure decision, so that every order of messages can stand in
 * a table.
 */

/** An attempt of the peer whose third message was good. */
export interface ConfirmedAttempt {
  readonly attempt: number
  readonly instance: string
}

/** A connection of that name that is up. */
interface ExistingConnection {
  /** Who called. */
  readonly role: 'caller' | 'listener'
  /** The number of the attempt that made it, in the caller's counting. */
  readonly attempt: number
  readonly peerInstance: string
}

export interface MeetingState {
  readonly existing: ExistingConnection | undefined
  /** An attempt of ours for the same name that nobody confirmed yet. */
  readonly ownAttempt: boolean
  /** Our name is the smaller one by bytes. */
  readonly elder: boolean
}

/**
 * `confirm`: take it (and drop an attempt of ours). `yield`: ours goes first. `ignore`: it is older than what we have. `replace`: its own
 * process says that the old one is over. `probe`: ask the old one whether it lives; silence means `replace`, an answer `exists`.
 */
export type MeetingDecision = 'confirm' | 'yield' | 'ignore' | 'replace' | 'probe'

export function decideMeeting(attempt: ConfirmedAttempt, state: MeetingState): MeetingDecision {
  const { existing } = state
  if (existing !== undefined) {
    // Numbers compare only within one process that called both times; a connection that we called has our number.
    if (existing.role === 'caller' || existing.peerInstance !== attempt.instance) return 'probe'
    return attempt.attempt > existing.attempt ? 'replace' : 'ignore'
  }
  if (state.ownAttempt && state.elder) return 'yield'
  return 'confirm'
}
