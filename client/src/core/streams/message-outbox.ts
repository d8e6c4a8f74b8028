/** Our messages: the sending half of stream 0. They queue whole and leave as the peer's credit allows. */
import { Deque, ProtocolError, SennitError } from '@sennit/protocol'
import type { StreamEvent } from './events.ts'
import { gatherBytes, messageQueueBytes, refusalsMax } from './limits.ts'
import { reportDeliveryFlag } from './message-scanner.ts'
import type { GatherBlocks } from './send-buffer.ts'
import { SendHalf } from './send-half.ts'

/** How bytes of a message are compressed, and how long it is without. */
export interface MessageCompression {
  /** One of the compression flags that the peer takes. */
  readonly flag: number
  readonly size: number
}

export class MessageOutbox {
  readonly half: SendHalf
  private readonly bytesMax: number
  private readonly events: Deque<StreamEvent>
  private readonly ends = new Deque<number>() // of the messages that are not accepted
  private readonly refusals = new Set<number>() // told already
  private offered = 0
  private acceptedIndex = -1
  private toldIndex = -1
  private deliveredIndex = -1

  constructor(blocks: GatherBlocks, bytesMax: number, events: Deque<StreamEvent>) {
    this.half = new SendHalf(blocks)
    this.bytesMax = bytesMax
    this.events = events
  }

  /** Index of the newest accepted message, −1 before the first. */
  get accepted(): number {
    return this.acceptedIndex
  }

  /** The next message has to wait until `messageAccepted`. Counts an end as 64 bytes, so that empty messages are bounded too. */
  get full(): boolean {
    return this.half.appended - this.half.allowed + this.ends.length * 64 >= messageQueueBytes && this.ends.length > 0
  }

  offer(bytes: Uint8Array, reportDelivery: boolean, compression?: MessageCompression): number {
    const size = compression?.size ?? bytes.length
    if (size > this.bytesMax) {
      throw new SennitError(
        'message_too_large',
        `expected a message of at most ${this.bytesMax} bytes, found ${size}; send it as a stream or raise maxMessageBytes`,
        { bytes: size, bytesMax: this.bytesMax },
      )
    }
    if (this.full) {
      throw new SennitError('message_queue_full', 'too many messages wait for credit; wait for messageAccepted before the next', {
        waitingBytes: this.half.appended - this.half.allowed,
      })
    }
    const { half } = this
    const flags = (reportDelivery ? reportDeliveryFlag : 0) | (compression?.flag ?? 0)
    half.appended += half.buffer.gatherHead(flags, bytes.length, compression?.size) + bytes.length
    if (bytes.length < gatherBytes) half.buffer.gather(bytes)
    else half.buffer.append(bytes)
    this.ends.push(half.appended)
    this.accept()
    return this.offered++
  }

  /** Counts what fits the credit now. */
  accept(): void {
    const { allowed } = this.half
    let count = 0
    for (let end = this.ends.first(); end !== undefined && end <= allowed; end = this.ends.first()) {
      this.ends.shift()
      count++
    }
    if (count === 0) return
    this.acceptedIndex += count
    // One event told and not polled is enough: it is given the newest index when it is polled.
    if (this.toldIndex < 0) this.events.push({ type: 'messageAccepted', index: this.acceptedIndex })
    this.toldIndex = this.acceptedIndex
  }

  /** The event of {@link accept} as of now. */
  polled(): StreamEvent {
    const index = this.toldIndex
    this.toldIndex = -1
    return { type: 'messageAccepted', index }
  }

  /** The peer's application took all messages up to `index`. */
  delivered(index: number): void {
    this.checkSent(index)
    if (index <= this.deliveredIndex) return
    this.deliveredIndex = index
    this.events.push({ type: 'messageDelivered', index })
  }

  refused(index: number, errorCode: number): void {
    this.checkSent(index)
    if (this.refusals.has(index)) return
    this.refusals.add(index)
    // The oldest is forgotten: its copies came long ago.
    if (this.refusals.size > refusalsMax * 2) this.refusals.delete(this.refusals.values().next().value!)
    this.events.push({ type: 'messageRefused', index, errorCode })
  }

  private checkSent(index: number): void {
    if (index < this.offered) return
    throw new ProtocolError('message_unknown', `expected the index of a message that was sent, found ${index}`, {
      index,
      offered: this.offered,
    })
  }
}
