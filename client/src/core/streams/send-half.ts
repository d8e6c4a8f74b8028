/** What one end sends on one stream: bytes, then a fin or a reset. */
import { ProtocolError } from '@sennit/protocol'
import { initialCreditBytes, windowBytesMax } from './limits.ts'
import { type GatherBlocks, SendBuffer } from './send-buffer.ts'

/**
 * open → finishing (the application is done) → finSent → done, or → resetting → resetSent → done.
 * `done` follows acks: for a fin also that the peer's application took everything, so that both ends count open streams alike.
 */
export type SendState = 'open' | 'finishing' | 'finSent' | 'resetting' | 'resetSent' | 'done'

export class SendHalf {
  state: SendState = 'open'
  readonly buffer: SendBuffer
  /** Bytes the application handed over. On a stream never above `allowed`; of messages the rest waits for credit. */
  appended = 0
  /** Bytes taken over on a stream, whatever became of them. */
  accepted = 0
  /** Bytes that left in frames. */
  sent = 0
  /** Bytes of these that the peer has acked. */
  acked = 0
  /** Absolute credit of the peer. */
  limit: number = initialCreditBytes
  /** What the peer's application took. */
  consumed = 0
  resetCode = 0
  /** The peer reads no more: nobody will report the rest as taken. */
  stopped = false
  /** A fin or reset left; stays true when a reset follows a fin. */
  endSent = false
  finAcked = false
  resetAcked = false
  /** The application was told to wait. */
  wantsWritable = false
  /** The application was told that too much has not left. */
  wantsRoom = false
  /** In the ring of halves with something to send. */
  queued = false
  /** Bytes sent in this turn of the ring. */
  turn = 0

  constructor(blocks: GatherBlocks) {
    this.buffer = new SendBuffer(blocks)
  }

  /** The offset up to which bytes may leave: the peer's credit, and never more than we are willing to hold until acked. */
  get allowed(): number {
    return Math.min(this.limit, this.acked + windowBytesMax)
  }

  /** Bytes that may leave now. */
  get sendable(): number {
    return Math.min(this.appended, this.allowed) - this.sent
  }

  get writable(): number {
    return this.state === 'open' ? Math.max(0, this.allowed - this.appended) : 0
  }

  /** Everything handed over has left and the application is done. */
  get finReady(): boolean {
    return this.state === 'finishing' && this.sent === this.appended
  }

  /** Takes a credit frame in; old ones are ignored. Returns whether more may leave. */
  credit(streamId: number, limit: number, consumed: number): boolean {
    if (consumed > this.sent || limit < consumed) {
      throw new ProtocolError('credit_invalid', `expected credit for what was sent (${this.sent} bytes), found ${consumed} of ${limit}`, {
        streamId,
        limit,
        consumed,
        sent: this.sent,
      })
    }
    const before = this.allowed
    if (consumed > this.consumed) this.consumed = consumed
    if (limit > this.limit) this.limit = limit
    return this.allowed > before
  }

  /** Counts acked bytes. Returns whether more may leave. */
  ack(bytes: number): boolean {
    const before = this.allowed
    this.acked += bytes
    return this.allowed > before
  }

  /** Gives up what has not left. */
  giveUp(errorCode: number): void {
    this.resetCode = errorCode
    this.state = 'resetting'
    this.buffer.clear()
    this.appended = this.sent
  }

  /** Moves to `done` when the acks say so; true at that moment. */
  settle(): boolean {
    const over =
      (this.state === 'finSent' && this.finAcked && this.acked === this.sent && (this.stopped || this.consumed === this.sent)) ||
      (this.state === 'resetSent' && this.resetAcked)
    if (over) this.state = 'done'
    return over
  }
}
