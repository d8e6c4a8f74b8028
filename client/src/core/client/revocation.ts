/**
 * Whether a connection without a path is over because one of its ends was revoked. What a relay says is a hint and never a verdict
 * (connection.md 14): a relay that lies could cut its own circuits anyway, but must not end a connection that another relay would carry. So it
 * is over only when no path is left and every relay that answers says the same, at least two of them unless the list has but one.
 */
import type { Attachment } from '../attach/attachment.ts'
import { relayOf } from '../attach/links.ts'

/** What is asked about relays. */
export interface RelaysAsked {
  readonly size: number
  all(): Iterable<Attachment>
}

export interface RevocationVerdict {
  readonly code: 'peer_revoked' | 'revoked'
  readonly message: string
}

/** Relays that must agree: one alone decides nothing. */
const witnessesMin = 2

export class Revocation {
  readonly #told = new Set<string>()

  /** The relay gave a reason for not carrying the connection. Its newest one counts. */
  told(relayId: string, reason: string): void {
    if (reason === 'peer_revoked') this.#told.add(relayOf(relayId))
    else this.#told.delete(relayOf(relayId))
  }

  /** A path opened there, or the attachment is gone: what the relay said before says nothing now. */
  forget(relayId: string): void {
    this.#told.delete(relayOf(relayId))
  }

  /** How the connection ends, if it does. Ask only while no path is open. */
  verdict(relays: RelaysAsked, peerName: string): RevocationVerdict | undefined {
    // Several links to a relay are one witness.
    const ofPeer = new Set<string>()
    const ofUs = new Set<string>()
    for (const relay of relays.all()) {
      if (relay.usable) {
        if (!this.#told.has(relay.relay)) return undefined
        ofPeer.add(relay.relay)
      } else if (relay.coming) return undefined
      else if (relay.lastFailure?.code === 'revoked') ofUs.add(relay.relay)
    }
    const enough = Math.min(witnessesMin, relays.size)
    if (ofPeer.size >= enough)
      return { code: 'peer_revoked', message: `every relay that answers says that ${peerName} is revoked: ${[...ofPeer].join(', ')}` }
    // Nobody takes us in: the other end hears nothing of us any more either.
    if (ofPeer.size === 0 && ofUs.size >= enough)
      return { code: 'revoked', message: `every relay that answers says that our certificate is revoked: ${[...ofUs].join(', ')}` }
    return undefined
  }
}
