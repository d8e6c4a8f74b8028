/** What a relay machine asks its shell to do, and what it counts. */

/** One thing for the shell to do; taken one by one by `RelayMachine.poll()`. */
export type RelayEffect =
  /** Put these bytes on the carrier, in this order; then tell `writable(key, false)` when it is full. */
  | { readonly type: 'write'; readonly key: number; readonly pieces: readonly Uint8Array[] }
  /** End the carrier after what was written; the machine has forgotten the key. */
  | { readonly type: 'close'; readonly key: number; readonly reason: string }
  /** One line of log; never holds payload. */
  | { readonly type: 'log'; readonly level: LogLevel; readonly event: string; readonly fields: Readonly<Record<string, unknown>> }
  /** A drain is over: no attachment is left. Told once. */
  | { readonly type: 'idle' }

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** A snapshot of what the relay carries and has refused. Counts only ever rise. */
export interface RelayStats {
  /** Authenticated attachments by carrier. */
  readonly attachments: Readonly<Record<string, number>>
  /** Attachments and sockets that have not proved who they are. */
  readonly unauthenticated: number
  readonly users: number
  readonly listens: number
  readonly heldRequests: number
  readonly pendingJoins: number
  readonly circuits: number
  /** Packets' payload bytes passed from a source to a destination. */
  readonly forwardedBytes: number
  readonly forwardedPackets: number
  /** Loose packets dropped because their destination was full. */
  readonly droppedPackets: number
  readonly queuedBytes: number
  /** Sum of the hop credit windows of all circuits. */
  readonly promisedBytes: number
  /** Circuits whose source is told to wait. */
  readonly waitingCircuits: number
  readonly refusals: Readonly<Record<string, number>>
  /** Ended attachments by reason. */
  readonly closes: Readonly<Record<string, number>>
  /** Answers to connect requests by code, `connected` and `wait` included. */
  readonly answers: Readonly<Record<string, number>>
  /** Clients that were asked to use other relays. */
  readonly askedToMove: number
  readonly draining: boolean
}
