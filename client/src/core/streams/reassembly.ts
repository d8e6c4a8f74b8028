/**
 * Puts the parts of one stream in order. Parts come in any order, overlapping or twice; every byte leaves once. Parts that wait for the
 * bytes before them are kept sorted and apart; small neighbours grow together, and the count over all streams is bounded.
 */
import { emptyBytes, ProtocolError } from '@sennit/protocol'
import { partsMax } from './limits.ts'

/** How many parts wait, over all streams of a connection. */
export interface PartCount {
  parts: number
}

interface Part {
  start: number
  end: number
  data: Uint8Array // may have room behind `end - start` when it is our copy
}

/** A waiting part below this is copied, so that it does not hold the packet it came in; larger ones are most of theirs. */
const copiedBytesMax = 4096

/** A grown part is closed here. */
const grownBytesMax = 16_384

export class Reassembly {
  /** All bytes before this left in order. */
  inOrder = 0
  /** The end of the farthest byte that came. */
  highest = 0
  /** Bytes that came, each counted once. */
  received = 0
  private readonly count: PartCount
  private parts: Part[] = []
  private head = 0

  constructor(count: PartCount) {
    this.count = count
  }

  /** Takes one part in; `deliver` gets what is in order now. @throws ProtocolError `too_many_parts` */
  insert(offset: number, data: Uint8Array, deliver: (chunk: Uint8Array) => void): void {
    const end = offset + data.length
    if (end > this.highest) this.highest = end
    if (end <= this.inOrder) return
    if (offset > this.inOrder) {
      this.keep(offset, end, data)
      return
    }
    const fresh = offset === this.inOrder ? data : data.subarray(this.inOrder - offset)
    if (this.head === this.parts.length) {
      this.inOrder = end
      this.received += fresh.length
      deliver(fresh)
      return
    }
    this.join(fresh, deliver)
  }

  /** Forgets what waits. */
  clear(): void {
    this.count.parts -= this.parts.length - this.head
    this.parts = []
    this.head = 0
  }

  /** Delivers `fresh`, which begins in order, and every waiting part that it reaches. */
  private join(fresh: Uint8Array, deliver: (chunk: Uint8Array) => void): void {
    let piece = fresh
    for (;;) {
      const next = this.parts[this.head]
      const pieceEnd = this.inOrder + piece.length
      if (next === undefined || next.start > pieceEnd) {
        this.inOrder = pieceEnd
        this.received += piece.length
        deliver(piece)
        return
      }
      // Up to the waiting part; from there its own bytes, which were counted when it came.
      const before = next.start - this.inOrder
      if (before > 0) {
        this.received += before
        deliver(piece.subarray(0, before))
      }
      deliver(next.data.subarray(0, next.end - next.start))
      this.inOrder = next.end
      this.dropFirst()
      if (pieceEnd > next.end) {
        piece = piece.subarray(piece.length - (pieceEnd - next.end))
      } else {
        piece = piece.subarray(piece.length)
        if (this.parts[this.head]?.start !== this.inOrder) return
      }
    }
  }

  /** Keeps the bytes of [start, end) that are not kept yet. */
  private keep(start: number, end: number, data: Uint8Array): void {
    let index = this.firstEndingAfter(start)
    let at = start
    while (at < end) {
      const next = this.parts[index]
      if (next !== undefined && next.start <= at) {
        at = Math.max(at, next.end)
        index++
        continue
      }
      const stop = next === undefined ? end : Math.min(end, next.start)
      const grown = this.add(index, at, stop, data.subarray(at - start, stop - start))
      this.received += stop - at
      at = stop
      if (!grown) index++
    }
  }

  /** Adds a part at `index`, or lets the part before it grow; true when it grew. */
  private add(index: number, start: number, end: number, data: Uint8Array): boolean {
    if (data.length >= copiedBytesMax) {
      this.place(index, { start, end, data })
      return false
    }
    const before = index > this.head ? this.parts[index - 1] : undefined
    const length = before === undefined ? 0 : before.end - before.start
    // Only copies grow (`buffer` no larger than the part may become); a view of a packet stays as it is.
    if (before !== undefined && before.end === start && length < copiedBytesMax * 4 && length + data.length <= grownBytesMax) {
      if (before.data.length < length + data.length || before.data.byteLength !== before.data.buffer.byteLength) {
        const larger = new Uint8Array(Math.min(grownBytesMax, (length + data.length) * 2))
        larger.set(before.data.subarray(0, length))
        before.data = larger
      }
      before.data.set(data, length)
      before.end = end
      return true
    }
    this.place(index, { start, end, data: new Uint8Array(data) })
    return false
  }

  private place(index: number, part: Part): void {
    if (this.count.parts >= partsMax) {
      throw new ProtocolError('too_many_parts', `expected at most ${partsMax} parts to wait for earlier bytes`, { offset: part.start })
    }
    this.count.parts++
    if (index === this.parts.length) this.parts.push(part)
    else this.parts.splice(index, 0, part)
  }

  private dropFirst(): void {
    this.count.parts--
    this.parts[this.head]!.data = emptyBytes // the place is cleared later, its bytes go now
    this.head++
    if (this.head === this.parts.length) {
      this.parts = []
      this.head = 0
    } else if (this.head >= 64 && this.head * 2 >= this.parts.length) {
      this.parts = this.parts.slice(this.head)
      this.head = 0
    }
  }

  /** The index of the first part that ends after `offset`. */
  private firstEndingAfter(offset: number): number {
    let low = this.head
    let high = this.parts.length
    // Most parts come in order behind one gap.
    if (high > low && this.parts[high - 1]!.end <= offset) return high
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.parts[middle]!.end <= offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
