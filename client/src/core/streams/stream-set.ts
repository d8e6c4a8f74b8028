/**
 * The streams and messages of one connection: application bytes on one side, frames on the other. Pure and synchronous; it knows
 * nothing of packets, paths and time. Whoever uses it must deliver every pulled frame to the peer at least once, in any order, and call
 * {@link StreamSet.onAcked} once for each when it did; then every byte arrives once and in order, or the stream says why not.
 *
 * Errors of the peer throw ProtocolError and end the connection; wrong calls throw SennitError and change nothing.
 */
import { Deque, type Frame, frameBytes, SennitError, type StreamCount, streamHeaderBytesMax } from '@sennit/protocol'
import { CreditPool } from './credit-pool.ts'
import type { StreamEvent } from './events.ts'
import {
  applicationErrorCodes,
  controlFrameBytesMax,
  gatherBytes,
  messageBytesMaxDefault,
  receiveBudgetBytesDefault,
  streamRefusedCode,
  streamsMaxDefault,
  unsentBytesMax,
  windowBytesDefault,
  windowBytesMax,
} from './limits.ts'
import { MessageInbox } from './message-inbox.ts'
import { type MessageCompression, MessageOutbox } from './message-outbox.ts'
import type { SentFrame, StreamAccount, StreamSetOptions } from './options.ts'
import type { PartCount } from './reassembly.ts'
import { GatherBlocks } from './send-buffer.ts'
import { SendRing } from './send-ring.ts'
import { due, Stream } from './stream.ts'
import { StreamLife } from './stream-life.ts'
import { StreamTable } from './stream-table.ts'

export class StreamSet {
  private readonly maxMessageBytes: number
  private readonly windowMax: number
  private readonly pool: CreditPool
  private readonly parts: PartCount = { parts: 0 }
  private readonly blocks = new GatherBlocks()
  private readonly events = new Deque<StreamEvent>()
  private readonly ring = new SendRing()
  private readonly table: StreamTable
  private readonly outbox: MessageOutbox
  private readonly inbox: MessageInbox
  private readonly life: StreamLife
  private messageCreditDue = false
  private unacked = 0
  private readonly left = (streamId: number): void => this.life.allLeft(streamId)
  private readonly room = (streamId: number): void => this.events.push({ type: 'writable', streamId })

  constructor(o: StreamSetOptions) {
    this.maxMessageBytes = o.maxMessageBytes ?? messageBytesMaxDefault
    this.windowMax = Math.min(windowBytesMax, o.windowBytes ?? windowBytesDefault)
    this.pool = new CreditPool(Math.floor((o.receiveBudgetBytes ?? receiveBudgetBytesDefault) / 2), o.budget)
    this.table = new StreamTable({
      role: o.role,
      streamsMax: o.streamsMax ?? streamsMaxDefault,
      create: (id, mine) =>
        new Stream({
          id,
          mine,
          header: new Uint8Array(0),
          blocks: this.blocks,
          pool: this.pool,
          windowMax: this.windowMax,
          parts: this.parts,
        }),
    })
    this.life = new StreamLife(this.table, this.ring, this.events)
    this.outbox = new MessageOutbox(this.blocks, this.maxMessageBytes, this.events)
    this.inbox = new MessageInbox({
      pool: this.pool,
      windowMax: this.windowMax,
      parts: this.parts,
      bytesMax: this.maxMessageBytes,
      inflates: o.inflates ?? 0,
      events: this.events,
      budget: o.budget,
    })
  }

  // ---- application side: streams

  /** Opens a stream; its bytes may follow at once. @throws SennitError `too_many_streams`, `too_large` */
  open(header: Uint8Array = new Uint8Array(0)): number {
    if (header.length > streamHeaderBytesMax) {
      throw new SennitError('too_large', `expected a stream header of at most ${streamHeaderBytesMax} bytes, found ${header.length}`)
    }
    const stream = this.table.open()
    stream.header = header
    this.life.makeDue(stream, due.open)
    return stream.id
  }

  /** How much {@link write} takes now; of messages, when `streamId` is 0, how much is accepted at once. When 0, `writable` of a stream follows. */
  writableBytes(streamId: number): number {
    if (streamId === 0) return this.outbox.half.writable
    const half = this.table.ours(streamId)?.send
    if (half === undefined) return 0
    const bytes = half.writable
    if (bytes === 0) half.wantsWritable = true
    return bytes
  }

  /** Whether {@link write} takes bytes at all. False from the peer's stop on, also while the event that tells of it still waits. */
  writing(streamId: number): boolean {
    return this.table.ours(streamId)?.send.state === 'open'
  }

  /**
   * Takes as much of `bytes` as the peer's credit allows and returns how much; what was taken must not change any more.
   * @throws SennitError `stream_closed` after {@link finish}, {@link reset}, or when the peer stopped reading
   */
  write(streamId: number, bytes: Uint8Array): number {
    const half = this.table.ours(streamId)?.send
    if (half === undefined || half.state !== 'open') {
      throw new SennitError('stream_closed', `expected an open stream, found ${streamId} ${half?.state ?? 'done'}`, { streamId })
    }
    const count = Math.min(bytes.length, half.writable)
    if (count < bytes.length) half.wantsWritable = true
    if (count === 0) return 0
    const part = count === bytes.length ? bytes : bytes.subarray(0, count)
    if (count < gatherBytes && half.buffer.bytes > 0) half.buffer.gather(part)
    else half.buffer.append(part)
    half.appended += count
    half.accepted += count
    this.ring.add(streamId, half)
    return count
  }

  /** Bytes of ours that left in packets, from the first one; 0 once the stream is over. */
  sealedBytes(streamId: number): number {
    return this.table.live(streamId)?.send.sent ?? 0
  }

  /** So much has not left that more of it had better wait; `writable` is told when it had better not. Of messages, when `streamId` is 0. */
  crowded(streamId: number): boolean {
    const half = streamId === 0 ? this.outbox.half : this.table.live(streamId)?.send
    if (half === undefined || half.buffer.bytes < unsentBytesMax) return false
    half.wantsRoom = true
    return true
  }

  /** No more bytes come from us. Does nothing when the stream ended already. */
  finish(streamId: number): void {
    const stream = this.table.ours(streamId)
    if (stream?.send.state !== 'open') return
    stream.send.state = 'finishing'
    if (stream.send.finReady) this.life.makeDue(stream, due.end)
  }

  /** Gives our half up: what has not left is dropped. Does nothing when it ended already. */
  reset(streamId: number, errorCode: number): void {
    checkErrorCode(errorCode)
    const stream = this.table.ours(streamId)
    if (stream !== undefined) this.life.giveUp(stream, errorCode)
  }

  /** The application reads no more: what waits is dropped, and the peer is told to stop. Does nothing when its half ended already. */
  stop(streamId: number, errorCode: number): void {
    checkErrorCode(errorCode)
    const stream = this.table.ours(streamId)
    if (stream?.receive.state !== 'receiving') return
    stream.receive.finish(stream.receive.finalOffset >= 0 ? 'dropped' : 'discarding')
    stream.stopCode = errorCode
    this.life.makeDue(stream, due.stop, due.credit)
    this.life.settle(stream)
  }

  /** Takes up to `maxBytes` in order, as views; taking counts as delivered and lets the peer send more. */
  read(streamId: number, maxBytes: number = Number.POSITIVE_INFINITY): Uint8Array[] {
    const stream = this.table.ours(streamId)
    if (stream === undefined || stream.receive.ready.bytes === 0) return []
    const { receive } = stream
    const before = receive.ready.bytes
    const pieces = receive.ready.take(maxBytes)
    receive.taken += before - receive.ready.bytes
    if (receive.drained) this.life.finished(stream)
    else if (receive.finalOffset < 0 && receive.window.freed(receive.taken)) this.life.makeDue(stream, due.credit)
    return pieces
  }

  readableBytes(streamId: number): number {
    return this.table.ours(streamId)?.receive.ready.bytes ?? 0
  }

  // ---- application side: messages

  /**
   * Queues one message and returns its index. It is accepted when `messageAccepted` names this index or a later one, at once when credit
   * is there. `bytes` must not change any more; they are compressed as `compression` says, in a way that the peer takes.
   * @throws SennitError `message_too_large`, `message_queue_full`
   */
  offerMessage(bytes: Uint8Array, options?: { readonly reportDelivery?: boolean; readonly compression?: MessageCompression }): number {
    const index = this.outbox.offer(bytes, options?.reportDelivery ?? false, options?.compression)
    this.ring.add(0, this.outbox.half)
    return index
  }

  /** Too much waits for credit: offer the next message after `messageAccepted`. */
  messageQueueFull(): boolean {
    return this.outbox.full
  }

  /** Index of the newest accepted message, −1 before the first. */
  messageAcceptedIndex(): number {
    return this.outbox.accepted
  }

  /** The next message of the peer: a view of what arrived, or one copy when it came in several frames. */
  takeMessage(): Uint8Array | undefined {
    const message = this.inbox.take()
    if (message !== undefined && this.inbox.freed()) this.messageCreditDue = true
    return message
  }

  /** How the message that {@link takeMessage} gave last is compressed; undefined when it is not. Its size is what the peer says. */
  takenCompression(): MessageCompression | undefined {
    return this.inbox.takenCompression
  }

  /** Messages that {@link takeMessage} can give, and the bytes held for them and for the one under way. */
  waitingMessages(): { readonly count: number; readonly bytes: number } {
    return { count: this.inbox.waitingMessages, bytes: this.inbox.waitingBytes }
  }

  // ---- packet side

  hasControl(): boolean {
    return (
      this.life.hasDue ||
      this.messageCreditDue ||
      this.table.refused.length > 0 ||
      this.inbox.refusals.length > 0 ||
      this.inbox.deliveredToReport !== undefined
    )
  }

  hasData(): boolean {
    return this.ring.waits
  }

  /** Control frames that are due, at most `maxBytes` encoded. Each must reach the peer: resend what was pulled, never pull it again. */
  pullControl(maxBytes: number): Frame[] {
    const frames: Frame[] = []
    let left = maxBytes
    const push = (frame: Frame): void => {
      frames.push(frame)
      left -= frameBytes(frame)
    }
    while (left >= controlFrameBytesMax && this.inbox.refusals.length > 0) push({ type: 'messageRefused', ...this.inbox.refusalSent() })
    const delivered = this.inbox.deliveredToReport
    if (delivered !== undefined && left >= controlFrameBytesMax) {
      this.inbox.reported()
      push({ type: 'messageDelivered', index: delivered })
    }
    if (this.messageCreditDue && left >= controlFrameBytesMax) {
      this.messageCreditDue = false
      push({ type: 'credit', streamId: 0, limit: this.inbox.window.limit, consumed: this.inbox.taken })
    }
    while (left >= 2 * controlFrameBytesMax && this.table.refused.length > 0) {
      const streamId = this.table.refused.shift()!
      push({ type: 'stop', streamId, errorCode: streamRefusedCode })
      push({ type: 'reset', streamId, errorCode: streamRefusedCode, finalOffset: 0 })
    }
    this.life.pullDue(() => left, push)
    return frames
  }

  /** `stream` frames, fair over streams, at most `maxBytes` encoded. The data are views. */
  pullData(maxBytes: number): Frame[] {
    const frames = this.ring.pull(maxBytes, this.left, this.room)
    for (const frame of frames) this.unacked += frame.data.length
    return frames
  }

  /** Bytes of stream data that were pulled and not acked. */
  unackedBytes(): number {
    return this.unacked
  }

  /** Frames that were pulled (control and data) reached the peer; once for each frame. */
  onAcked(frames: readonly SentFrame[]): void {
    for (const frame of frames) {
      switch (frame.type) {
        case 'stream':
          this.unacked -= frame.data.length
          if (frame.streamId !== 0) this.life.acked(frame.streamId, 'stream', frame.data.length)
          else if (this.outbox.half.ack(frame.data.length)) this.messagesMayLeave()
          break
        case 'open':
        case 'fin':
        case 'reset':
          this.life.acked(frame.streamId, frame.type)
          break
        case 'messageRefused':
          this.inbox.refusalAcked(frame.index)
          if (this.inbox.freed()) this.messageCreditDue = true
          break
      }
    }
  }

  /** Takes one frame of the peer; frames of other kinds are not for here and ignored. @throws ProtocolError */
  onFrame(frame: Frame): void {
    switch (frame.type) {
      case 'stream':
        if (frame.streamId === 0) {
          if (this.inbox.insert(frame.offset, frame.data)) this.messageCreditDue = true
        } else {
          this.life.onData(frame.streamId, frame.offset, frame.data)
        }
        return
      case 'credit':
        if (frame.streamId !== 0) this.life.onCredit(frame.streamId, frame.limit, frame.consumed)
        else if (this.outbox.half.credit(0, frame.limit, frame.consumed)) this.messagesMayLeave()
        return
      case 'open':
        this.life.onOpen(frame.streamId, frame.header)
        return
      case 'fin':
      case 'reset':
        this.life.onEnd(frame.streamId, frame.finalOffset, frame.type === 'reset' ? frame.errorCode : undefined)
        return
      case 'stop':
        this.life.onStop(frame.streamId, frame.errorCode)
        return
      case 'messageDelivered':
        this.outbox.delivered(frame.index)
        return
      case 'messageRefused':
        this.outbox.refused(frame.index, frame.errorCode)
        return
    }
  }

  // ---- what is told

  poll(): StreamEvent | undefined {
    const event = this.events.shift()
    if (event?.type === 'readable') {
      const stream = this.table.live(event.streamId)
      if (stream !== undefined) stream.readableTold = false
    } else if (event?.type === 'message') {
      this.inbox.polled()
    } else if (event?.type === 'messageAccepted') {
      return this.outbox.polled()
    }
    return event
  }

  /** Stream 0 (messages) and every live stream. */
  counts(): StreamAccount[] {
    const { outbox, inbox } = this
    const { half } = outbox
    const accounts: StreamAccount[] = [
      {
        streamId: 0,
        accepted: Math.min(half.appended, half.allowed),
        received: half.acked,
        delivered: half.consumed,
        receivedHere: inbox.received,
        deliveredHere: inbox.taken,
      },
    ]
    for (const { id, send, receive } of this.table.values()) {
      accounts.push({
        streamId: id,
        accepted: send.accepted,
        received: send.acked,
        delivered: send.consumed,
        receivedHere: receive.received,
        deliveredHere: receive.taken,
      })
    }
    return accounts
  }

  /** What a `close` frame says of our receiving side; at most `max` streams, those with bytes first come first. */
  closeCounts(max = 1024): StreamCount[] {
    const counts: StreamCount[] = []
    for (const { streamId, receivedHere, deliveredHere } of this.counts()) {
      if (counts.length === max) break
      if (receivedHere > 0) counts.push({ streamId, received: receivedHere, delivered: deliveredHere })
    }
    return counts
  }

  /** The connection is over: gives memory back to the process budget, and drops what has not left. Only {@link counts} and reading go on. */
  release(): void {
    this.inbox.release()
    this.ring.clear()
    this.outbox.half.buffer.clear()
    for (const { receive, send } of this.table.values()) {
      receive.window.end()
      send.buffer.clear()
    }
  }

  private messagesMayLeave(): void {
    this.outbox.accept()
    this.ring.add(0, this.outbox.half)
  }
}

function checkErrorCode(errorCode: number): void {
  if (Number.isInteger(errorCode) && errorCode >= 0 && errorCode < applicationErrorCodes) return
  throw new SennitError('bad_error_code', `expected a whole number from 0 to ${applicationErrorCodes - 1}, found ${errorCode}`, {
    errorCode,
  })
}
