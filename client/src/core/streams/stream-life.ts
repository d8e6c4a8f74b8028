/**
 * How streams live and end: what frames of the peer, acks and the application do to them, and which control frames follow. A stream is
 * forgotten when both halves are over and nothing is left to say; the rest is in {@link StreamTable}.
 */
import { Deque, type Frame, ProtocolError } from '@sennit/protocol'
import type { StreamEvent } from './events.ts'
import { controlFrameBytesMax } from './limits.ts'
import type { SendRing } from './send-ring.ts'
import { due, type Stream } from './stream.ts'
import type { StreamTable } from './stream-table.ts'

export class StreamLife {
  private readonly table: StreamTable
  private readonly ring: SendRing
  private readonly events: Deque<StreamEvent>
  private readonly dueStreams = new Deque<Stream>()

  constructor(table: StreamTable, ring: SendRing, events: Deque<StreamEvent>) {
    this.table = table
    this.ring = ring
    this.events = events
  }

  get hasDue(): boolean {
    return this.dueStreams.length > 0
  }

  onOpen(streamId: number, header: Uint8Array): void {
    if (streamId === 0 || this.table.isMine(streamId)) {
      throw new ProtocolError('stream_parity', `expected the peer to open ids of its own parity, found ${streamId}`, { streamId })
    }
    const stream = this.table.theirs(streamId, 'open')
    if (stream === undefined || stream.opened) return
    stream.opened = true
    // A copy: the header may be kept as long as the stream, its packet should not.
    this.events.push({ type: 'streamOpened', streamId, header: new Uint8Array(header) })
    this.tellReadable(stream)
    if (stream.send.stopped) this.events.push({ type: 'stopped', streamId, errorCode: stream.send.resetCode })
    if (stream.receive.state === 'reset') this.events.push({ type: 'reset', streamId, errorCode: stream.receive.resetCode })
    if (stream.receive.drained) this.finished(stream)
    this.settle(stream)
  }

  onData(streamId: number, offset: number, data: Uint8Array): void {
    const stream = this.table.theirs(streamId, 'stream')
    if (stream === undefined) return
    stream.receive.insert(offset, data)
    this.tellReadable(stream)
  }

  onCredit(streamId: number, limit: number, consumed: number): void {
    const stream = this.table.theirs(streamId, 'credit')
    if (stream === undefined) return
    if (stream.send.credit(streamId, limit, consumed)) this.mayLeave(stream)
    this.settle(stream)
  }

  onEnd(streamId: number, finalOffset: number, errorCode: number | undefined): void {
    const stream = this.table.theirs(streamId, errorCode === undefined ? 'fin' : 'reset')
    if (stream === undefined) return
    const { receive } = stream
    receive.endsAt(finalOffset)
    if (errorCode !== undefined && receive.state === 'receiving') {
      receive.finish('reset')
      receive.resetCode = errorCode
      if (stream.opened) this.events.push({ type: 'reset', streamId, errorCode })
    }
    if (stream.opened && receive.drained) this.finished(stream)
    this.settle(stream)
  }

  onStop(streamId: number, errorCode: number): void {
    const stream = this.table.theirs(streamId, 'stop')
    if (stream === undefined || stream.send.stopped) return
    const { send } = stream
    send.stopped = true
    if (send.state === 'open' || send.state === 'finishing') this.giveUp(stream, errorCode)
    if (stream.opened) this.events.push({ type: 'stopped', streamId, errorCode })
    this.settle(stream)
  }

  /** Resets our half, unless it is over. */
  giveUp(stream: Stream, errorCode: number): void {
    const { state } = stream.send
    if (state === 'resetting' || state === 'resetSent' || state === 'done') return
    stream.send.giveUp(errorCode)
    this.makeDue(stream, due.end)
  }

  /** More bytes are allowed to leave. */
  private mayLeave({ id, send }: Stream): void {
    this.ring.add(id, send)
    if (!send.wantsWritable || send.writable === 0) return
    send.wantsWritable = false
    this.events.push({ type: 'writable', streamId: id })
  }

  /** The last byte of a half left: its fin may follow. */
  allLeft(streamId: number): void {
    const stream = this.table.live(streamId)
    if (stream?.send.finReady) this.makeDue(stream, due.end)
  }

  /** The application has read up to the fin. */
  finished(stream: Stream): void {
    stream.receive.finish('finished')
    this.events.push({ type: 'finished', streamId: stream.id })
    this.makeDue(stream, due.credit) // the last one says that all was taken
    this.settle(stream)
  }

  private tellReadable(stream: Stream): void {
    if (!stream.opened || stream.readableTold || stream.receive.ready.bytes === 0) return
    stream.readableTold = true
    this.events.push({ type: 'readable', streamId: stream.id })
  }

  /** Frames of these kinds are to be sent, of those no more. */
  makeDue(stream: Stream, bits: number, not = 0): void {
    stream.due = (stream.due | bits) & ~not
    if (stream.queued) return
    stream.queued = true
    this.dueStreams.push(stream)
  }

  /** Moves on what acks, reads and ends allow, and forgets the stream when nothing is left. */
  settle(stream: Stream): void {
    stream.send.settle()
    if (stream.openerMayForget) this.table.uncount(stream)
    if (!stream.over || this.table.live(stream.id) !== stream) return
    this.table.delete(stream)
    this.events.push({ type: 'streamDone', streamId: stream.id })
  }

  /** Pulls what is due, as far as `left()` reaches. */
  pullDue(left: () => number, push: (frame: Frame) => void): void {
    for (let stream = this.dueStreams.first(); stream !== undefined; stream = this.dueStreams.first()) {
      for (let bit = nextDue(stream, left()); bit !== 0; bit = nextDue(stream, left())) {
        stream.due &= ~bit
        push(dueFrame(stream, bit))
      }
      if (stream.due !== 0) break
      this.dueStreams.shift()
      stream.queued = false
      this.settle(stream)
    }
  }

  /** A frame of a stream was acked: data already counted, or what opens or ends it. */
  acked(streamId: number, what: 'stream' | 'open' | 'fin' | 'reset', bytes = 0): void {
    const stream = this.table.live(streamId)
    if (stream === undefined) return
    if (what === 'stream') {
      if (stream.send.ack(bytes)) this.mayLeave(stream)
    } else if (what === 'open') stream.openAcked = true
    else if (what === 'fin') stream.send.finAcked = true
    else stream.send.resetAcked = true
    this.settle(stream)
  }
}

/** The next due bit whose frame fits `left`, 0 when there is none. */
function nextDue(stream: Stream, left: number): number {
  const bit = stream.due & -stream.due
  const bytes = controlFrameBytesMax + (bit === due.open ? stream.header.length : 0)
  return bytes <= left ? bit : 0
}

function dueFrame(stream: Stream, bit: number): Frame {
  const { id: streamId, send, receive } = stream
  switch (bit) {
    case due.open:
      return { type: 'open', streamId, header: stream.header }
    case due.credit:
      return { type: 'credit', streamId, limit: receive.window.limit, consumed: receive.taken }
    case due.stop:
      return { type: 'stop', streamId, errorCode: stream.stopCode }
    default:
      send.endSent = true
      if (send.state === 'resetting') {
        send.state = 'resetSent'
        return { type: 'reset', streamId, errorCode: send.resetCode, finalOffset: send.sent }
      }
      send.state = 'finSent'
      return { type: 'fin', streamId, finalOffset: send.sent }
  }
}
