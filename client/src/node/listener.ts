/** A listening of a client: the connections that others open for one application. */

import { tell } from './callbacks.ts'
import type { Connection } from './connection.ts'
import { HandOver } from './hand-over.ts'

/** Connections that wait for somebody to take them; a listener that nobody iterates must not collect more. */
const waitingMax = 1024

/** Iterating it gives connections as they come, until `close`. */
export class Listener implements AsyncIterable<Connection> {
  readonly application: string
  /** `*`, or the one user that may connect. */
  readonly from: string
  readonly #waiting = new HandOver<Connection>()
  readonly #unlisten: () => void
  #onConnection: ((connection: Connection) => void) | undefined
  #closed = false

  /** @internal */
  constructor(application: string, from: string, unlisten: () => void) {
    this.application = application
    this.from = from
    this.#unlisten = unlisten
  }

  /** Called with each connection in the turn it arrives, those that came before at once. Use it or iterate. */
  onConnection(callback: (connection: Connection) => void): void {
    this.#onConnection = callback
    for (const connection of this.#waiting.takeAll()) tell(callback, connection)
  }

  /** Takes no more connections; those that are open go on. Does nothing the second time. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#unlisten()
    for (const connection of this.#waiting.takeAll()) connection.abort('rejected')
    this.#waiting.end()
  }

  [Symbol.asyncIterator](): AsyncIterator<Connection, undefined> {
    return this.#waiting[Symbol.asyncIterator]()
  }

  /** @internal */
  offer(connection: Connection): void {
    if (this.#closed || this.#waiting.size >= waitingMax) {
      connection.abort(this.#closed ? 'rejected' : 'limit')
      return
    }
    if (this.#onConnection !== undefined) tell(this.#onConnection, connection)
    else this.#waiting.push(connection)
  }

  /** @internal the client is closed, or every relay refused the listening for good */
  end(error?: Error): void {
    this.#closed = true
    this.#waiting.end(error)
  }
}
