/** What connections, calls and listening need of attachments now. */
import type { AttachmentNeeds, Attachments } from '../attach/attachments.ts'
import { relayOf } from '../attach/links.ts'
import { bestPaths, pathsWanted } from '../paths/index.ts'
import type { PolicyView } from '../plan/policy.ts'
import type { Call } from './call.ts'
import type { CircuitTable } from './circuits.ts'
import type { Connections } from './connections.ts'
import type { Listen } from './listen.ts'

export interface RelayNeedsContext {
  readonly ownName: string
  readonly attachments: Attachments
  readonly circuits: CircuitTable
  readonly connections: Connections
  readonly listens: ReadonlyMap<number, Listen>
}

/** Nothing is released for the sake of a plan that is not acknowledged within this time. */
const settleMs = 30_000

export class RelayNeeds {
  readonly #context: RelayNeedsContext
  readonly #calls: ReadonlyMap<number, Call>

  constructor(context: RelayNeedsContext, calls: ReadonlyMap<number, Call>) {
    this.#context = context
    this.#calls = calls
  }

  /** Some connection has no standby: a relay that rests may be the one it lacks. */
  exposed(): boolean {
    for (const connection of this.#context.connections.all()) if (connection.exposed) return true
    return false
  }

  /** Who listens and is attached nowhere cannot be called: as bad as a connection without a path. */
  unserved(): boolean {
    return this.#context.listens.size > 0 && !this.#context.attachments.anyAttached
  }

  /** Some connection stands still for want of a path, somebody waits, or nobody can call us: the low cap counts. */
  urgent(): boolean {
    if (this.unserved()) return true
    for (const connection of this.#context.connections.all()) if (connection.standsStill) return true
    for (const call of this.#calls.values()) if (call.waits) return true
    return false
  }

  /** @param listening somebody listens here @param attachAll the client is to sit on every relay */
  now(nowMs: number, listening: boolean, attachAll: boolean): AttachmentNeeds {
    const inUse = new Set<string>()
    for (const linkId of this.#context.circuits.linksInUse()) inUse.add(relayOf(linkId))
    const names: string[] = listening ? [this.#context.ownName] : []
    const policies: PolicyView[] = []
    let standsStill = false
    let exposed = false
    let bare = false
    let keepAll = false
    let relays = 0
    for (const connection of this.#context.connections.all()) {
      if (connection.stage === 'over') continue
      connection.addRelaysInUse(inUse)
      if (connection.facts.policy.isChoosy) policies.push(connection.facts.policy)
      if (connection.standsStill) standsStill = true
      relays = Math.max(relays, connection.agreement.inForce.relaysWanted)
      const exposes = connection.exposed
      if (exposes) exposed = true
      if (exposes && connection.bare) bare = true
      // In a list too long to attach to whole the two ends may share no second relay: both go where the listener's name points.
      if (exposes || connection.pathlessSinceMs !== undefined)
        names.push(connection.captain ? connection.facts.peerName : this.#context.ownName)
      if (!connection.agreement.inForce.settled && nowMs < connection.createdAtMs + settleMs) keepAll = true
    }
    let waiting = false
    for (const call of this.#calls.values()) {
      names.push(call.peerName)
      const { send, receive } = call.facts.paths ?? bestPaths
      relays = Math.max(relays, pathsWanted(send) + 1, pathsWanted(receive) + 1)
      if (call.facts.policy.isChoosy) policies.push(call.facts.policy)
      keepAll = true
      if (call.waits) waiting = true
    }
    return {
      wide: listening || waiting || standsStill || exposed,
      urgent: standsStill,
      exposed,
      bare,
      unserved: this.unserved(),
      serving: listening,
      waiting,
      inUse,
      keepAll,
      names,
      relays,
      attachAll,
      policies,
    }
  }
}
