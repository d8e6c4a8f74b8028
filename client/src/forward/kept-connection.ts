/** Keeps one connection to a peer: calls, calls again when it ended, and says when it can take new streams. */

import { setTimeout as sleep } from 'node:timers/promises'
import { SennitError } from '@sennit/protocol'
import type { Client } from '../node/client.ts'
import type { Connection } from '../node/connection.ts'
import type { ForwardLog } from './expose.ts'

/** Reasons that pass by themselves: the peer starts, a relay comes back, an old connection of ours is found dead. */
const passing: ReadonlySet<string> = new Set([
  'no_peer',
  'no_relay',
  'connect_timeout',
  'timeout',
  'exists',
  'superseded',
  'peer_restarted',
  'aborted',
  'wait',
])

/** Calls that fail at once are this far apart: a peer that starts is found within half a second. */
const againMs = 500

/** After a refusal that lasts, nobody is asked again until a socket comes, or this much later: rights change by hand. */
const refusedAgainMs = 30_000

export interface KeptConnectionOptions {
  readonly client: Client
  readonly user: string
  readonly application: string
  readonly waitMs: number
  readonly log: ForwardLog
  /** New streams may be opened. */
  onUsable(): void
  /** The peer or a relay refuses, and waiting does not help. */
  onRefused(why: string): void
}

export class KeptConnection {
  readonly #options: KeptConnectionOptions
  readonly #over = new AbortController()
  #nap = new AbortController()
  #connection: Connection | undefined
  #hasPath = true
  #lastFailure = ''

  constructor(options: KeptConnectionOptions) {
    this.#options = options
  }

  /** The connection, whatever its state. */
  get connection(): Connection | undefined {
    return this.#connection
  }

  /**
   * The connection when a new stream on it has a way to go. While it has none, the peer may have gone for good, and a stream opened now would
   * be reset with it: such sockets are better held.
   */
  get usable(): Connection | undefined {
    return this.#hasPath ? this.#connection : undefined
  }

  /** Why the last call failed; empty when none did. */
  get lastFailure(): string {
    return this.#lastFailure
  }

  start(): void {
    void this.#keep()
  }

  /** Somebody waits: do not rest. */
  hurry(): void {
    this.#nap.abort()
  }

  /** Calls no more. @returns the connection, to be ended by the caller */
  close(): Connection | undefined {
    this.#over.abort()
    this.#nap.abort()
    return this.#connection
  }

  async #keep(): Promise<void> {
    const { client, user, application, waitMs, log } = this.#options
    const peer = `${user}/${application}`
    while (!this.#over.signal.aborted) {
      const calledAtMs = performance.now()
      try {
        const connection = await client.connect({ user, application, waitMs, signal: this.#over.signal })
        this.#lastFailure = ''
        await this.#use(connection, peer)
      } catch (error) {
        if (this.#over.signal.aborted) return
        const code = error instanceof SennitError ? error.code : 'internal'
        if (code === 'client_closed') return
        this.#lastFailure = error instanceof Error ? error.message : String(error)
        log(`no connection to ${peer}: ${this.#lastFailure}`, { peer, code })
        const lasting = !passing.has(code)
        if (lasting) this.#options.onRefused(this.#lastFailure)
        if (lasting || performance.now() - calledAtMs < againMs) await this.#rest(lasting ? refusedAgainMs : againMs, lasting)
      }
    }
  }

  async #use(connection: Connection, peer: string): Promise<void> {
    const { log } = this.#options
    this.#connection = connection
    this.#hasPath = true
    const stop = connection.on((event) => {
      if (event.type !== 'path_moved') return
      const had = this.#hasPath
      this.#hasPath = event.to !== null
      if (this.#hasPath && !had) this.#options.onUsable()
    })
    log(`connected to ${peer}`, { peer, connection: connection.id })
    this.#options.onUsable()
    const { code, message } = await connection.closed
    stop()
    this.#connection = undefined
    log(`the connection to ${peer} ended: ${code}`, { peer, connection: connection.id, code, message })
  }

  /** @param early whether a socket that comes ends the rest */
  async #rest(ms: number, early: boolean): Promise<void> {
    this.#nap = new AbortController()
    const signal = early ? AbortSignal.any([this.#nap.signal, this.#over.signal]) : this.#over.signal
    await sleep(ms, undefined, { signal }).catch(() => {})
  }
}
