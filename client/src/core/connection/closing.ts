/**
 * How a connection ends. A close finishes the streams, waits for all acks, and only then sends CLOSE, so that CLOSE always follows what it
 * ends; an abort sends it at once. CLOSE is kept: it is resent like everything else, and a tombstone answers it again.
 */
import type { CloseFrame } from '@sennit/protocol'
import type { StreamSet } from '../streams/index.ts'
import type { ConnectionTuning } from './tuning.ts'
import type { CloseCode } from './types.ts'

/** The reason on the wire of a close in good order; every other one is an abnormal end, named by its code. */
const orderly = 'closed'

type ClosingState =
  | { readonly type: 'open' }
  /** Streams are finished; everything must be acked. */
  | { readonly type: 'finishing'; readonly sinceMs: number; readonly message: string }
  /** CLOSE is on its way and must be acked. */
  | { readonly type: 'saying'; readonly sinceMs: number; readonly number: number; readonly message: string }
  /** Told to the application. Paths stay until `pathsUntilMs`, so that the last ack or CLOSE gets out; then only the tombstone is left. */
  | { readonly type: 'over'; readonly sinceMs: number; readonly pathsUntilMs: number }

/** What the application is told. */
export interface Ending {
  readonly code: CloseCode
  readonly message: string
  readonly remote: boolean
}

export class Closing {
  state: ClosingState = { type: 'open' }
  readonly #tuning: ConnectionTuning
  readonly #streams: StreamSet

  constructor(tuning: ConnectionTuning, streams: StreamSet) {
    this.#tuning = tuning
    this.#streams = streams
  }

  get over(): boolean {
    return this.state.type === 'over'
  }

  /** Our application closes in good order. */
  begin(nowMs: number, reason: string, message: string): void {
    if (this.state.type !== 'open') return
    const words = reason === orderly || reason === '' ? message : message === '' ? reason : `${reason}: ${message}`
    this.state = { type: 'finishing', sinceMs: nowMs, message: words }
    for (const { streamId } of this.#streams.counts()) if (streamId !== 0) this.#streams.finish(streamId)
  }

  /** Everything was acked: the frame that says so. */
  say(nowMs: number, number: number): CloseFrame {
    const message = this.state.type === 'finishing' ? this.state.message : ''
    this.state = { type: 'saying', sinceMs: nowMs, number, message }
    return this.frame(number, orderly, message)
  }

  frame(number: number, reason: string, message: string): CloseFrame {
    return { type: 'close', lastKept: Math.max(0, number - 1), reason, message, counts: this.#streams.closeCounts() }
  }

  /** The end came. @param keepPaths something still has to get out */
  end(nowMs: number, keepPaths: boolean): void {
    const sinceMs = this.state.type === 'over' ? this.state.sinceMs : nowMs
    this.state = { type: 'over', sinceMs, pathsUntilMs: keepPaths ? nowMs + this.#tuning.partingMs : nowMs }
  }

  /** @returns what the application is told when the peer said CLOSE */
  heard(frame: CloseFrame): Ending {
    if (frame.reason !== orderly) return { code: frame.reason, message: frame.message, remote: true }
    // Both closed at once: ours is answered by theirs.
    if (this.state.type === 'saying') return { code: 'closed', message: this.state.message, remote: false }
    return { code: 'peer_closed', message: frame.message, remote: true }
  }

  /** When to give up waiting for acks. */
  deadlineMs(hasPath: boolean): number | undefined {
    const { lingerMs, deathMs, partingMs } = this.#tuning
    const { state } = this
    if (state.type === 'finishing') return state.sinceMs + (hasPath ? lingerMs : deathMs)
    // Everything is confirmed but that CLOSE was heard. Without a path the peer has most likely heard it and gone; if not, the tombstone says it.
    if (state.type === 'saying') return state.sinceMs + (hasPath ? lingerMs : partingMs)
    return undefined
  }

  /** Whether late packets are still answered. */
  remembers(nowMs: number): boolean {
    return this.state.type !== 'over' || nowMs < this.state.sinceMs + this.#tuning.tombstoneMs
  }
}
