/**
 * Which streams there are. The caller opens odd ids, the listener even ones, each rising by two; so an id that is neither live nor
 * awaited was over before, and whatever still comes for it is late and ignored. Packets are reordered: frames of a stream may come before
 * its `open`, and higher ids before lower ones.
 */
import { ProtocolError, SennitError } from '@sennit/protocol'
import { refusalsMax } from './limits.ts'
import type { Stream } from './stream.ts'

/**
 * The peer's streams kept above the limit: they have ended for the peer, and wait only for acks and last words that it sent before it
 * opened others. Four generations of 1 024 that overtake such a packet are no accident.
 */
const lingeringMax = 4096

/** Ids that may be skipped: an honest peer has at most its limit of them on the way. */
const awaitedMax = 4096

export class StreamTable {
  /** The peer's streams that were refused and not told so. */
  readonly refused: number[] = []
  private readonly streams = new Map<number, Stream>()
  private readonly streamsMax: number
  private readonly create: (id: number, mine: boolean) => Stream
  private readonly awaited = new Set<number>() // the peer's ids below `peerHighest` that never showed
  private nextId: number
  private peerHighest: number
  private mine = 0
  private peerCounted = 0

  constructor(o: { role: 'caller' | 'listener'; streamsMax: number; create: (id: number, mine: boolean) => Stream }) {
    this.streamsMax = o.streamsMax
    this.create = o.create
    this.nextId = o.role === 'caller' ? 1 : 2
    this.peerHighest = o.role === 'caller' ? 0 : -1
  }

  values(): IterableIterator<Stream> {
    return this.streams.values()
  }

  /** @throws SennitError `too_many_streams` */
  open(): Stream {
    if (this.mine >= this.streamsMax) {
      throw new SennitError('too_many_streams', `expected at most ${this.streamsMax} streams open at a time; end one first`, {
        streamsMax: this.streamsMax,
      })
    }
    this.mine++
    const stream = this.create(this.nextId, true)
    this.streams.set(stream.id, stream)
    this.nextId += 2
    return stream
  }

  /** The stream for a call of the application; `undefined` when it is over. @throws SennitError `stream_unknown` */
  ours(id: number): Stream | undefined {
    const stream = this.streams.get(id)
    if (stream !== undefined) return stream
    const known =
      Number.isSafeInteger(id) && id > 0 && (this.isMine(id) ? id < this.nextId : id <= this.peerHighest && !this.awaited.has(id))
    if (!known) throw new SennitError('stream_unknown', `expected the id of a stream that was opened, found ${id}`, { streamId: id })
    return undefined
  }

  live(id: number): Stream | undefined {
    return this.streams.get(id)
  }

  /** The stream a frame of the peer speaks of, made when it is the peer's and new; `undefined` when it is over or refused. */
  theirs(id: number, frameType: string): Stream | undefined {
    const stream = this.streams.get(id)
    if (stream !== undefined) return stream
    if (this.isMine(id) || id === 0) {
      if (id !== 0 && id < this.nextId) return undefined
      throw new ProtocolError('stream_unknown', `expected frames of streams that exist, found ${frameType} of ${id}`, { streamId: id })
    }
    if (id > this.peerHighest) this.await(id)
    else if (!this.awaited.delete(id)) return undefined
    if (this.peerCounted >= this.streamsMax || this.streams.size - this.mine >= this.streamsMax + lingeringMax) {
      if (this.refused.length >= refusalsMax) this.tooMany(id)
      this.refused.push(id)
      return undefined
    }
    this.peerCounted++
    const created = this.create(id, false)
    this.streams.set(id, created)
    return created
  }

  isMine(id: number): boolean {
    return id % 2 === this.nextId % 2
  }

  /** The opener of `stream` may have forgotten it: it makes room for another. */
  uncount(stream: Stream): void {
    if (!stream.counted || stream.mine) return
    stream.counted = false
    this.peerCounted--
  }

  delete(stream: Stream): void {
    this.uncount(stream)
    if (stream.mine) this.mine--
    this.streams.delete(stream.id)
  }

  /** Ids between the highest known and `id` must be on their way: an honest peer cannot have ended what we never saw. */
  private await(id: number): void {
    const skipped = (id - this.peerHighest) / 2 - 1
    if (skipped + this.awaited.size > Math.max(awaitedMax, this.streamsMax)) this.tooMany(id)
    for (let between = this.peerHighest + 2; between < id; between += 2) this.awaited.add(between)
    this.peerHighest = id
  }

  private tooMany(id: number): never {
    throw new ProtocolError('stream_limit', `expected at most ${this.streamsMax} streams at a time, found number ${id} opened`, {
      streamId: id,
      streamsMax: this.streamsMax,
    })
  }
}
