/**
 * The search for peers whose paths are all gone (connection.md 21a): beside the joins, a request that names the lost connection. Who still
 * holds it answers by joins alone; who completes the handshake does not hold it, and it is over at once.
 */
import { hex } from '@sennit/protocol'
import type { Attachment } from '../attach/attachment.ts'
import { Call, type CallHost } from './call.ts'
import type { Connections } from './connections.ts'
import type { Listen } from './listen.ts'
import type { ManagedConnection } from './managed-connection.ts'

export interface RecoveriesContext {
  readonly previousAfterMs: number
  readonly connections: Connections
  readonly listens: ReadonlyMap<number, Listen>
}

export class Recoveries {
  readonly #context: RecoveriesContext
  readonly #callHost: CallHost
  readonly #calls = new Map<ManagedConnection, Call>()

  constructor(context: RecoveriesContext, callHost: CallHost) {
    this.#context = context
    this.#callHost = callHost
  }

  calls(): Iterable<Call> {
    return this.#calls.values()
  }

  /** The lost connection with that peer that is searched for. */
  sought(peerName: string, application: string): ManagedConnection | undefined {
    for (const connection of this.#calls.keys()) {
      if (connection.facts.peerName === peerName && connection.facts.application === application) return connection
    }
    return undefined
  }

  /** Begins for those without a path for a while, ends for those that have one again. */
  look(nowMs: number): void {
    for (const [connection, call] of this.#calls) if (connection.pathlessSinceMs === undefined) this.#end(connection, call, 'recovered')
    for (const connection of this.#context.connections.all()) {
      const dueAtMs = this.#dueAtMs(connection)
      if (dueAtMs === undefined || (nowMs < dueAtMs && !connection.toldGone)) continue
      const { peer, application } = connection.facts
      const call = new Call(this.#callHost, {
        handle: 0,
        ...peer,
        application,
        keyModes: [connection.facts.keyMode],
        policy: connection.facts.policy,
        paths: undefined,
        startedAtMs: nowMs,
        deadlineMs: Number.POSITIVE_INFINITY,
        recoverOf: connection,
      })
      this.#calls.set(connection, call)
      call.step(nowMs)
    }
  }

  /** The connection is over, or its search has ended. */
  end(connection: ManagedConnection, reason: string): void {
    const call = this.#calls.get(connection)
    if (call !== undefined) this.#end(connection, call, reason)
  }

  /** The peer completed the handshake, so it holds the connection no more. */
  answered(nowMs: number, call: Call, peerInstance: Uint8Array): void {
    const lost = call.facts.recoverOf!
    const restarted = hex(peerInstance) !== hex(lost.facts.peerInstance)
    const [code, message] = restarted
      ? ['peer_restarted', `${call.peerName} was started anew and knows nothing of this connection`]
      : ['peer_closed', `${call.peerName} has closed this connection`]
    this.#end(lost, call, code)
    lost.machine.abort(nowMs, code, message)
    lost.pump(nowMs)
  }

  attachmentChanged(nowMs: number, attachment: Attachment): void {
    for (const call of [...this.#calls.values()]) call.attachmentChanged(nowMs, attachment)
  }

  wake(nowMs: number): void {
    for (const call of [...this.#calls.values()]) if (nowMs >= call.wakeAtMs()) call.step(nowMs)
  }

  wakeAtMs(): number {
    let atMs = Number.POSITIVE_INFINITY
    if (this.#calls.size > 0) for (const call of this.#calls.values()) atMs = Math.min(atMs, call.wakeAtMs())
    for (const connection of this.#context.connections.list) atMs = Math.min(atMs, this.#dueAtMs(connection) ?? atMs)
    return atMs
  }

  close(): void {
    for (const [connection, call] of this.#calls) this.#end(connection, call, 'closed')
  }

  /** When to ask for the peer of a connection that is not asked for yet. */
  #dueAtMs(connection: ManagedConnection): number | undefined {
    const since = connection.pathlessSinceMs
    if (since === undefined || this.#calls.has(connection) || !this.#asks(connection)) return undefined
    return since + this.#context.previousAfterMs
  }

  /** Who asks: the caller, and a listener that listens no more, since a caller that was started anew would not find it. */
  #asks(connection: ManagedConnection): boolean {
    if (connection.captain) return true
    const { peer, application } = connection.facts
    for (const listen of this.#context.listens.values()) if (listen.takes(peer.user, application)) return false
    return true
  }

  #end(connection: ManagedConnection, call: Call, reason: string): void {
    this.#calls.delete(connection)
    call.end(reason)
  }
}
