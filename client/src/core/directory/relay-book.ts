/**
 * The relays a client goes by. A list that the mesh signed is the truth, from wherever it comes, and only a newer one takes its place. While there
 * is none, the relays that an unsigned source names are used; they prove by their certificates that they are relays of the mesh.
 */
import {
  type CryptoProvider,
  type MeshTrust,
  type RelayEntry,
  type SeenRelay,
  SeenRelays,
  SennitError,
  verifyRelayList,
} from '@sennit/protocol'

/** Relays that a message names; a longer one nobody reads. */
const namedMax = 8

/** What became of a list that somebody offered. */
export type Offered =
  | { readonly type: 'newer'; readonly version: number }
  | { readonly type: 'known' }
  | { readonly type: 'refused'; readonly code: string; readonly message: string }

/** A list that was taken, as its bytes. */
interface Taken {
  readonly version: number
  readonly expiresMs: number
  readonly relays: readonly RelayEntry[]
  readonly bytes: Uint8Array
}

export class RelayBook {
  readonly #crypto: CryptoProvider
  readonly #trust: MeshTrust
  readonly #seen: SeenRelays
  #signed: Taken | undefined

  constructor(crypto: CryptoProvider, trust: MeshTrust, seen: SeenRelays = new SeenRelays()) {
    this.#crypto = crypto
    this.#trust = trust
    this.#seen = seen
  }

  /** Of the signed list in force; 0 while there is none. */
  get version(): number {
    return this.#signed?.version ?? 0
  }

  /** When the signed list in force ends. What runs goes on after that; a client that starts then wants a fresh one. */
  get expiresMs(): number | undefined {
    return this.#signed?.expiresMs
  }

  /** The bytes of the signed list in force, to be kept. */
  get bytes(): Uint8Array | undefined {
    return this.#signed?.bytes
  }

  /** The relays to go by. */
  get relays(): readonly RelayEntry[] {
    const seen = new Map(this.#seen.relays.map((relay) => [relay.relayId, relay]))
    if (this.#signed === undefined) return this.#seen.relays.map(entryOf)
    // Of a relay that is in the signed list, a source may say that it goes, which can only make it less attractive; nothing else.
    return this.#signed.relays.map((entry) => (seen.get(entry.relayId)?.draining === true ? { ...entry, draining: true } : entry))
  }

  /**
   * Somebody offers a signed list. An older one than the one in force, another of the same version, and one that is not rightly signed or over,
   * changes nothing.
   */
  offer(nowMs: number, bytes: Uint8Array): Offered {
    let list: Omit<Taken, 'bytes'>
    try {
      list = verifyRelayList(this.#trust, bytes, nowMs, this.#crypto)
      if (list.relays.length === 0) throw new SennitError('list_empty', 'expected a list with at least one relay, found an empty one')
    } catch (error) {
      if (!(error instanceof SennitError)) throw error
      return { type: 'refused', code: error.code, message: error.message }
    }
    if (list.version < this.version) {
      const message = `expected version ${this.version} of the relay list or a newer one, found version ${list.version}`
      return { type: 'refused', code: 'list_older', message }
    }
    if (list.version === this.version) {
      if (JSON.stringify(list.relays) === JSON.stringify(this.#signed?.relays)) return { type: 'known' }
      const message = `expected version ${list.version} of the relay list to be the one in force (${namesOf(this.relays)}), found another of the same version (${namesOf(list.relays)}); sign it with a higher version, as \`sennit mesh sign\` does`
      return { type: 'refused', code: 'list_conflict', message }
    }
    this.#signed = { ...list, bytes }
    return { type: 'newer', version: list.version }
  }

  /** An unsigned source answered, perhaps after a gap. Returns whether the relays to go by are others now. */
  seen(nowMs: number, relays: readonly SeenRelay[], afterGap = false): boolean {
    const before = JSON.stringify(this.relays, withoutKeys)
    this.#seen.answer(nowMs, relays, afterGap)
    return JSON.stringify(this.relays, withoutKeys) !== before
  }

  wake(nowMs: number): boolean {
    return this.#seen.wake(nowMs) && this.#signed === undefined
  }

  wakeAtMs(): number | undefined {
    return this.#seen.wakeAtMs()
  }
}

/** Keys come only with a signed list: a relay that an unsigned source names proves its key by its certificate. */
function entryOf({ relayId, urls, zone, failureDomain, traits, draining }: SeenRelay): RelayEntry {
  // Of itself a relay can only say what makes it dearer; a rating of its own making counts for nothing.
  const { securityRating: _rating, qos: _qos, ...told } = traits ?? {}
  return {
    relayId,
    urls,
    ...(zone === undefined ? {} : { zone }),
    ...(failureDomain === undefined ? {} : { failureDomain }),
    ...(Object.keys(told).length === 0 ? {} : { traits: told }),
    ...(draining === true ? { draining } : {}),
  }
}

function namesOf(relays: readonly RelayEntry[]): string {
  const names = relays.slice(0, namedMax).map(({ relayId, urls }) => `${relayId} ${urls.join(' ')}`)
  return [...names, ...(relays.length > namedMax ? [`${relays.length - namedMax} more`] : [])].join(', ')
}

function withoutKeys(name: string, value: unknown): unknown {
  return name === 'key' ? undefined : value
}
