/** What the peer answered to plans that it cannot follow (PLAN_NO): which relays and links are not to be planned, why, and until when. */
import type { RelayMeasurement } from '@sennit/protocol'
import { relayOf } from '../attach/links.ts'

interface Refusal {
  readonly why: string
  readonly untilMs: number
}

/** A relay that the peer cannot use now is asked for again after this, when no report says anything sooner. */
const refusedForMs = 30_000
/** Names refused by one peer that are remembered: more than a plan names in all its links. A peer may answer whatever it likes. */
const refusedMax = 128
/** The peer's list does not have it: it changes with the list only, which the next report shows. */
const notInList = 'not_in_list'

export class Refusals {
  /** By the name of the relay or link; the oldest first. */
  readonly #byName = new Map<string, Refusal>()
  /** Names not in the peer's list although their relay was: by a peer of a version without links. */
  readonly #links = new Set<string>()
  #reported: ReadonlySet<string> = new Set()

  /** Takes a PLAN_NO. */
  add(nowMs: number, name: string, why: string): void {
    const forGood = why === notInList
    const relayId = relayOf(name)
    if (forGood && name !== relayId && this.#reported.has(relayId)) this.#links.add(name)
    this.#byName.delete(name)
    this.#byName.set(name, { why, untilMs: forGood ? Number.POSITIVE_INFINITY : nowMs + refusedForMs })
    if (this.#byName.size > refusedMax) this.#forget(this.#byName.keys().next().value!)
  }

  /** The peer told what it has: what it can use from now on is no longer refused. */
  reported(relays: readonly RelayMeasurement[]): void {
    const before = this.#reported
    const known = new Set(relays.map(({ relayId }) => relayId))
    this.#reported = known
    const reachable = new Set(relays.filter((relay) => relay.reachable).map(({ relayId }) => relayId))
    // Who tells of a link knows links; who has lost the relay itself refused it for that.
    const knowsLinks = [...known].some((name) => name !== relayOf(name))
    for (const name of this.#links) if (knowsLinks || !known.has(relayOf(name))) this.#links.delete(name)
    for (const [name, { why }] of this.#byName) {
      const relayId = relayOf(name)
      const has = why === notInList ? known.has(name) || (known.has(relayId) && !before.has(relayId)) : reachable.has(name)
      if (has || (why === notInList && name !== relayId && knowsLinks)) this.#forget(name)
    }
  }

  /** Why this relay or link is not to be planned now. */
  why(nowMs: number, name: string): string | undefined {
    if (this.#links.size > 0 && name !== relayOf(name)) return 'the peer knows no links'
    const refusal = this.#byName.get(name)
    return refusal !== undefined && nowMs < refusal.untilMs ? `refused by the peer: ${refusal.why}` : undefined
  }

  #forget(name: string): void {
    this.#byName.delete(name)
    this.#links.delete(name)
  }
}
