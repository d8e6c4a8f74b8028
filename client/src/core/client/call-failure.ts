/** What a call that failed tells: which of several refusals, and in which words. */

/** Which of several refusals tells the user most: one that names a cause before one that only says no. */
const refusalOrder: readonly string[] = ['self', 'not_allowed', 'exists', 'both_passive', 'rejected', 'not_registered', 'limit']

/** Lower tells more. */
export function refusalRank(code: string): number {
  const index = refusalOrder.indexOf(code)
  return index < 0 ? -1 : index
}

/**
 * What a peer, caller or listener, says when it closes a circuit because of our certificate. A relay could say it too, but only for its own circuits, as it could
 * say "not here". Damage on the way (`handshake_forged`) is not among them: the next try heals it.
 */
const peerRefusals =
  /^(certificate_\w+|key_mismatch|identity_unproved|name_mismatch|application_not_allowed|pinned_key_mismatch|key_mode_mismatch)$/

/** Whether the reason of a closed circuit is the peer's answer to our handshake. */
export function isPeerRefusal(reason: string): boolean {
  return peerRefusals.test(reason)
}

/** What the user reads when no relay said more. */
export function failureText(code: string, peerName: string): string {
  switch (code) {
    case 'self':
      return 'cannot connect a client to itself'
    case 'exists':
      return `a connection with ${peerName} for this application exists already and is alive`
    case 'no_relay':
      return 'no relay could be reached in the time given'
    case 'no_peer':
      return `${peerName} was at none of the relays in the time given`
    case 'connect_timeout':
      return `${peerName} answered but did not confirm in the time given`
    case 'key_mode_mismatch':
      return `${peerName} accepts none of the key modes that were offered`
    case 'not_registered':
      return `user ${peerName} is not registered`
    default:
      return `${peerName} could not be connected: ${code}`
  }
}
