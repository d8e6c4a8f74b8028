/**
 * What an unsigned source (Consul) says of relays. It is a witness, not a judge: an answer that is empty, or that loses more than half of what
 * was known at one stroke, more likely tells of a fault of the source than of the relays, so what is missing from it stays for a while. The same
 * holds for the first answer after a gap: a source that comes back with nothing is filled relay by relay, and may be asked in between.
 */

import { knownTraits } from './relay-traits.ts'
import type { RelayTraits } from './types.ts'

/** One relay as a source saw it. */
export interface SeenRelay {
  readonly relayId: string
  readonly urls: readonly string[]
  readonly failureDomain?: string
  readonly zone?: string
  /** What the relay says of itself: believed only where it makes it worse. */
  readonly traits?: RelayTraits
  readonly draining?: boolean
}

/** How long relays stay that went missing in a way that looks like a fault: an agent that restarts with nothing is filled again in seconds. */
export const missingHeldMs = 600_000

/** The relays a source names, kept through its faults. */
export class SeenRelays {
  readonly #known = new Map<string, SeenRelay>()
  readonly #missing = new Map<string, number>()
  readonly #heldMs: number

  /** @param known relays to go by until the source answers, as of the list in force: its first answer comes after a gap */
  constructor(heldMs: number = missingHeldMs, known: readonly SeenRelay[] = []) {
    this.#heldMs = heldMs
    for (const relay of known) this.#known.set(relay.relayId, relay)
  }

  /** The relays to go by, in the order they were first seen. */
  get relays(): readonly SeenRelay[] {
    return [...this.#known.values()]
  }

  /** Those that the last answers did not name any more. */
  get held(): readonly string[] {
    return [...this.#missing.keys()]
  }

  /**
   * The source answered. Returns whether the relays to go by are others now.
   * @param afterGap it is the first answer, or the first since the source could not be asked: what it lacks may only not be there yet
   */
  answer(nowMs: number, relays: readonly SeenRelay[], afterGap = false): boolean {
    const before = this.#text()
    const named = new Map(relays.map((relay) => [relay.relayId, relay]))
    const missing = [...this.#known.keys()].filter((relayId) => !named.has(relayId))
    const fresh = missing.filter((relayId) => !this.#missing.has(relayId))
    const suspect = afterGap || named.size === 0 || fresh.length * 2 > this.#known.size
    for (const [relayId, relay] of named) {
      this.#known.set(relayId, relay)
      this.#missing.delete(relayId)
    }
    for (const relayId of fresh) {
      if (suspect) this.#missing.set(relayId, nowMs + this.#heldMs)
      else this.#known.delete(relayId)
    }
    this.#expire(nowMs)
    return this.#text() !== before
  }

  /** Forgets what was held long enough. Returns whether something was. */
  wake(nowMs: number): boolean {
    const before = this.#known.size
    this.#expire(nowMs)
    return this.#known.size !== before
  }

  wakeAtMs(): number | undefined {
    return this.#missing.size === 0 ? undefined : Math.min(...this.#missing.values())
  }

  #expire(nowMs: number): void {
    for (const [relayId, untilMs] of this.#missing) {
      if (nowMs < untilMs) continue
      this.#missing.delete(relayId)
      this.#known.delete(relayId)
    }
  }

  #text(): string {
    return JSON.stringify([...this.#known.values()])
  }
}

/** The operator's word stands; what a relay says of itself only makes it worse. */
export function worseTraits(operator: RelayTraits | undefined, own: RelayTraits | undefined): RelayTraits {
  if (operator === undefined || own === undefined) return operator ?? claimsAgainstItself(own)
  return knownTraits({
    region: operator.region ?? own.region,
    price: most(operator.price, own.price),
    securityRating: least(operator.securityRating, own.securityRating),
    uptime: least(operator.uptime, own.uptime),
    speedMbps: least(operator.speedMbps, own.speedMbps),
    qos: least(operator.qos, own.qos),
  })
}

/** Where the operator says nothing, a price, a slow line or an absence are believed; a rating or a service level of its own is not. */
function claimsAgainstItself(own: RelayTraits | undefined): RelayTraits {
  const { securityRating: _rating, qos: _qos, ...rest } = own ?? {}
  return rest
}

function most(left: number | undefined, right: number | undefined): number | undefined {
  return left === undefined || right === undefined ? (left ?? right) : Math.max(left, right)
}

/** What the operator does not say, the relay cannot claim. */
function least(operator: number | undefined, own: number | undefined): number | undefined {
  return operator === undefined || own === undefined ? operator : Math.min(operator, own)
}
