/**
 * Bytes in order, waiting for the reader. Chunks are views of opened packets and are handed on without a copy; only when a reader is slow
 * and chunks are small are they gathered, so that a few bytes never keep a whole packet alive for long.
 */
import { Deque } from '@sennit/protocol'

/** Until this many chunks wait, none is gathered: a reader that keeps up pays nothing. */
const looseChunksMax = 64

/** Chunks below this are gathered once a reader is slow. */
const smallChunkBytes = 1024

const gatheredBytes = 16_384

/** A view below this is copied when its packet is much larger: else a peer could make us hold 64 KiB for each byte of credit. */
const copiedBytesMax = 4096

/** Much larger. */
const wasteMax = 8

export class ReadyQueue {
  bytes = 0
  private readonly chunks = new Deque<Uint8Array>()
  private taken = 0 // of the first chunk
  private gathered: Uint8Array | undefined // the last chunk, when it is ours, with room behind `gatheredEnd`
  private gatheredEnd = 0

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.bytes += chunk.length
    if (chunk.length >= smallChunkBytes || this.chunks.length < looseChunksMax) {
      this.closeGathered()
      const wasteful = chunk.length < copiedBytesMax && chunk.buffer.byteLength > chunk.length * wasteMax
      this.chunks.push(wasteful ? new Uint8Array(chunk) : chunk)
      return
    }
    if (this.gathered === undefined || this.gatheredEnd + chunk.length > gatheredBytes) {
      this.closeGathered()
      this.gathered = new Uint8Array(gatheredBytes)
    }
    this.gathered.set(chunk, this.gatheredEnd)
    this.gatheredEnd += chunk.length
  }

  /** All chunks up to `max` bytes. */
  take(max: number): Uint8Array[] {
    const pieces: Uint8Array[] = []
    let left = Math.min(max, this.bytes)
    while (left > 0) {
      const piece = this.takePiece(left)
      pieces.push(piece)
      left -= piece.length
    }
    return pieces
  }

  /** Exactly `length` bytes in one piece, copied only when they lie in several chunks. `length` must be there. */
  takeExactly(length: number): Uint8Array {
    if (length === 0) return new Uint8Array(0)
    const first = this.takePiece(length)
    if (first.length === length) return first
    const whole = new Uint8Array(length)
    whole.set(first)
    for (let at = first.length; at < length; ) {
      const piece = this.takePiece(length - at)
      whole.set(piece, at)
      at += piece.length
    }
    return whole
  }

  /** Takes one byte; it must be there. */
  takeByte(): number {
    if (this.chunks.length === 0) this.closeGathered()
    const first = this.chunks.first()!
    const byte = first[this.taken++]!
    this.bytes--
    if (this.taken === first.length) {
      this.chunks.shift()
      this.taken = 0
    }
    return byte
  }

  clear(): void {
    this.chunks.clear()
    this.taken = 0
    this.gathered = undefined
    this.gatheredEnd = 0
    this.bytes = 0
  }

  private takePiece(max: number): Uint8Array {
    if (this.chunks.length === 0) this.closeGathered()
    const first = this.chunks.first()!
    const end = Math.min(first.length, this.taken + max)
    const piece = this.taken === 0 && end === first.length ? first : first.subarray(this.taken, end)
    if (end === first.length) {
      this.chunks.shift()
      this.taken = 0
    } else {
      this.taken = end
    }
    this.bytes -= piece.length
    return piece
  }

  private closeGathered(): void {
    if (this.gathered !== undefined) this.chunks.push(this.gathered.subarray(0, this.gatheredEnd))
    this.gathered = undefined
    this.gatheredEnd = 0
  }
}
