/** All connections of a client: by handle, by id, by name, and the tombstones that go on answering late packets (connection.md 23). */

import type { ManagedConnection } from './managed-connection.ts'
import { connectionName } from './names.ts'
import type { ClientTuning } from './tuning.ts'

/** A refused connection lingers this long, for its verdict to arrive. */
const refusedForMs = 5_000

export class Connections {
  readonly #tuning: ClientTuning
  readonly #byHandle = new Map<number, ManagedConnection>()
  /** The same in no order, as a list for what is asked after every turn. */
  readonly #list: ManagedConnection[] = []
  readonly #byId = new Map<string, ManagedConnection>()
  readonly #byName = new Map<string, ManagedConnection>()
  readonly #byJoin = new Map<number, ManagedConnection>()
  readonly #ends = new Map<ManagedConnection, number>()

  constructor(tuning: ClientTuning) {
    this.#tuning = tuning
  }

  /** Every one that can still have work: live, waiting, refused and tombstones. */
  all(): Iterable<ManagedConnection> {
    return this.#byHandle.values()
  }

  /** As {@link all}, in no order. */
  get list(): readonly ManagedConnection[] {
    return this.#list
  }

  byHandle(handle: number): ManagedConnection | undefined {
    return this.#byHandle.get(handle)
  }

  /** Live ones only: a tombstone holds nothing any more. */
  holds(id: string): ManagedConnection | undefined {
    const connection = this.#byId.get(id)
    return connection?.stage === 'open' ? connection : undefined
  }

  byName(peerName: string, application: string): ManagedConnection | undefined {
    return this.#byName.get(connectionName(peerName, application))
  }

  byJoin(joinId: number): ManagedConnection | undefined {
    return this.#byJoin.get(joinId)
  }

  joinAsked(joinId: number, connection: ManagedConnection): void {
    // Answers to joins come in the order of asking, so the oldest are the ones nobody waits for.
    if (this.#byJoin.size >= joinsMax)
      for (const oldest of this.#byJoin.keys()) {
        this.#byJoin.delete(oldest)
        break
      }
    this.#byJoin.set(joinId, connection)
  }

  add(connection: ManagedConnection): void {
    this.#byHandle.set(connection.facts.handle, connection)
    this.#list.push(connection)
    this.#byId.set(connection.id, connection)
  }

  /** It is the one of its name now. */
  opened(connection: ManagedConnection): void {
    this.#byName.set(connectionName(connection.facts.peerName, connection.facts.application), connection)
  }

  /** The connection is over for the application; it answers on until its time is up, or until there are too many of them. */
  over(nowMs: number, connection: ManagedConnection): void {
    const name = connectionName(connection.facts.peerName, connection.facts.application)
    if (this.#byName.get(name) === connection) this.#byName.delete(name)
    this.#ends.set(connection, nowMs + this.#tuning.tombstoneMs)
    while (this.#ends.size > this.#tuning.tombstonesMax)
      for (const oldest of this.#ends.keys()) {
        this.forget(oldest)
        break
      }
  }

  /** A verdict was said no to; its connection goes when that arrived. */
  refused(nowMs: number, connection: ManagedConnection): void {
    this.#ends.set(connection, nowMs + refusedForMs)
  }

  forget(connection: ManagedConnection): void {
    this.#ends.delete(connection)
    if (this.#byHandle.delete(connection.facts.handle)) {
      const place = this.#list.indexOf(connection)
      const last = this.#list.pop()!
      if (last !== connection) this.#list[place] = last
    }
    if (this.#byId.get(connection.id) === connection) this.#byId.delete(connection.id)
    for (const [joinId, owner] of this.#byJoin) if (owner === connection) this.#byJoin.delete(joinId)
    connection.discard('forgotten')
  }

  wake(nowMs: number): void {
    for (const connection of this.#byHandle.values()) if (nowMs >= connection.wakeAtMs()) connection.wake(nowMs)
    for (const [connection, untilMs] of this.#ends) if (nowMs >= untilMs) this.forget(connection)
  }

  wakeAtMs(): number {
    let atMs = Number.POSITIVE_INFINITY
    for (const connection of this.#list) atMs = Math.min(atMs, connection.wakeAtMs())
    if (this.#ends.size > 0) for (const untilMs of this.#ends.values()) atMs = Math.min(atMs, untilMs)
    return atMs
  }
}

/** Joins remembered: a connection has one a relay, and answered ones are found again only for late refusals. */
const joinsMax = 4_096
