// Who sent what to whom. The ledger stands outside of the mesh and sees both ends, so that every delivery can be held against what was sent.
import type { Distribution, FlowDirection } from '../plan.ts'
import { FlowChecker } from '../verdict/checker.ts'
import { keystreamKey } from '../verdict/keystream.ts'
import { encodeMessage } from '../verdict/message.ts'
import { messageSize } from '../verdict/sizes.ts'
import { Violation } from './violation.ts'

export type Role = 'caller' | 'listener'

/** One sending end of one connection. */
export class DirectionLedger {
  readonly name: string
  sentMessages = 0
  sentBytes = 0
  receivedMessages = 0
  readonly #seed: number
  readonly #flow: FlowDirection
  readonly #key: number
  readonly #checker: FlowChecker

  constructor(seed: number, direction: number, name: string, size: Distribution) {
    this.name = name
    this.#seed = seed
    this.#key = keystreamKey(seed, direction)
    this.#flow = {
      direction,
      flow: direction >> 1,
      from: 0,
      to: 0,
      bursts: 1,
      burst: 1,
      messagesPerSecond: 1,
      size,
      dataLimitBytes: null,
      readBytesPerSecond: null,
      check: 'full',
    }
    this.#checker = new FlowChecker({
      seed,
      direction,
      onIncident: ({ kind, index, offset, bytes }) => {
        throw new Violation(kind, `${name}: ${bytes} bytes ${kind} at message ${index}, offset ${offset}`)
      },
    })
  }

  /** The next message, which counts as sent from now on. */
  next(dueMs: number): Uint8Array {
    const length = messageSize(this.#seed, this.#flow, this.sentMessages)
    const { direction } = this.#flow
    const bytes = encodeMessage(this.#key, { direction, index: this.sentMessages, offset: this.sentBytes, dueMs, length })
    this.sentMessages += 1
    this.sentBytes += length
    return bytes
  }

  /** A message came out. What was delivered must be a prefix of what was sent, at every step. */
  received(bytes: Uint8Array): void {
    const { header } = this.#checker.received(bytes)
    if (header === undefined) throw new Violation('unexpected', `${this.name}: ${bytes.length} bytes that nobody sent`)
    if (header.index !== this.receivedMessages)
      throw new Violation('order', `${this.name}: message ${header.index} was delivered when ${this.receivedMessages} was next`)
    if (header.index >= this.sentMessages)
      throw new Violation('unexpected', `${this.name}: message ${header.index} was delivered before it was sent`)
    this.receivedMessages += 1
  }

  get settled(): boolean {
    return this.receivedMessages === this.sentMessages
  }
}

/** What is known of one stream, by both of its ends. */
export interface StreamLedger {
  /** Bytes written by the opener and by the other. */
  readonly written: [number, number]
  /** Ends at which it is over. */
  done: number
}

/** One connection, by its id. */
export class ConnectionLedger {
  readonly id: string
  readonly name: string
  /** What the caller sends, what the listener sends. */
  readonly directions: Readonly<Record<Role, DirectionLedger>>
  readonly streams: Map<number, StreamLedger> = new Map()
  readonly ends: Set<Role> = new Set()
  /** An application asked for the end. */
  closing = false
  /** An end is over, or its process is. */
  broken = false

  constructor(seed: number, number: number, id: string, name: string, size: Distribution) {
    this.id = id
    this.name = name
    this.directions = {
      caller: new DirectionLedger(seed, 2 * number, `${name} up`, size),
      listener: new DirectionLedger(seed, 2 * number + 1, `${name} down`, size),
    }
  }

  get settled(): boolean {
    if (!this.directions.caller.settled || !this.directions.listener.settled) return false
    for (const stream of this.streams.values()) if (stream.done < 2) return false
    return true
  }
}

export class Ledgers {
  readonly all: Map<string, ConnectionLedger> = new Map()
  readonly #seed: number

  constructor(seed: number) {
    this.#seed = seed
  }

  of(id: string, name: string, size: () => Distribution): ConnectionLedger {
    const known = this.all.get(id)
    if (known !== undefined) return known
    const ledger = new ConnectionLedger(this.#seed, this.all.size + 1, id, name, size())
    this.all.set(id, ledger)
    return ledger
  }
}
