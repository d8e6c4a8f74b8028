/**
 * Finds the messages in the bytes of stream 0 without taking them apart: `varint flags ‖ varint length ‖ bytes`, one after the other; a compressed
 * one is `varint flags ‖ varint length ‖ varint size ‖ bytes`, with its size when it is inflated.
 * It keeps numbers only, so a peer that sends a million empty messages costs its bytes and nothing more.
 */
import { FEATURE, ProtocolError } from '@sennit/protocol'

/** Bit 0 of the flags: tell the sender when the application took the message. */
export const reportDeliveryFlag = 1
/** Bits 1 and 2, never both: how the message is compressed, raw deflate or zstd. Only for a receiver that said it takes it. The others are 0. */
export const deflateFlag = 2
export const zstdFlag = 4
export const compressionFlags: number = deflateFlag | zstdFlag

/** The flags of messages that an end with these features inflates. */
export function inflateFlags(features: number): number {
  return ((features & FEATURE.inflatesDeflate) === 0 ? 0 : deflateFlag) | ((features & FEATURE.inflatesZstd) === 0 ? 0 : zstdFlag)
}

/** Reads message heads byte by byte: they may lie across frames. */
export class HeadReader {
  /** Of the head that was read last. */
  flags = 0
  length = 0
  /** Of the message when it is inflated; its length when it is not compressed. */
  size = 0
  private readonly known: number
  private value = 0
  private left = 0 // bytes of the number under way, 0 = none
  private numbers = 0 // of the head under way that were read

  /** @param inflates those of {@link compressionFlags} that may come */
  constructor(inflates: number) {
    this.known = reportDeliveryFlag | inflates
  }

  /** Takes one byte; true when it was the last of a head. */
  byte(byte: number): boolean {
    if (this.left === 0) {
      this.left = 1 << (byte >>> 6)
      this.value = byte & 0x3f
    } else {
      this.value = this.value * 256 + byte
    }
    if (--this.left > 0) return false
    if (!Number.isSafeInteger(this.value)) throw new ProtocolError('malformed', 'expected a message head of numbers under 2^53')
    this.numbers++
    if (this.numbers === 1) {
      if (this.value > 7 || (this.value & ~this.known) !== 0 || (this.value & compressionFlags) === compressionFlags) {
        throw new ProtocolError('unsupported', `expected message flags among the bits ${this.known}, found ${this.value}`, {
          flags: this.value,
        })
      }
      this.flags = this.value
      return false
    }
    if (this.numbers === 2) {
      this.length = this.value
      if ((this.flags & compressionFlags) !== 0) return false
    }
    this.size = this.value
    this.numbers = 0
    return true
  }

  /** Whether the message is longer than `bytesMax`, as it comes or inflated. */
  isOver(bytesMax: number): boolean {
    return this.length > bytesMax || this.size > bytesMax
  }
}

export class MessageScanner {
  /** Index of the message that the next byte belongs to: how many are whole. */
  index = 0
  /** How many of the whole ones were refused. */
  refusedWhole = 0
  /** Stored bytes of the message under way. */
  partial = 0
  private readonly heads: HeadReader
  private readonly bytesMax: number
  private readonly tooLarge: (index: number, length: number) => void
  private bodyLeft = 0
  private inBody = false
  private refused = false

  constructor(bytesMax: number, inflates: number, tooLarge: (index: number, length: number) => void) {
    this.heads = new HeadReader(inflates)
    this.bytesMax = bytesMax
    this.tooLarge = tooLarge
  }

  /** Passes `chunk`, and gives what is to be stored to `store`: everything but the bodies of refused messages. */
  feed(chunk: Uint8Array, store: (part: Uint8Array) => void): void {
    let from = 0 // not stored yet
    let at = 0
    while (at < chunk.length) {
      if (this.inBody) {
        const bytes = Math.min(this.bodyLeft, chunk.length - at)
        if (this.refused) {
          if (at > from) store(chunk.subarray(from, at))
          from = at + bytes
        } else {
          this.partial += bytes
        }
        at += bytes
        this.bodyLeft -= bytes
        if (this.bodyLeft === 0) this.ended()
        continue
      }
      this.partial++
      if (!this.heads.byte(chunk[at++]!)) continue
      this.inBody = true
      this.bodyLeft = this.heads.length
      this.refused = this.heads.isOver(this.bytesMax)
      if (this.refused) this.tooLarge(this.index, this.heads.size)
      if (this.bodyLeft === 0) this.ended()
    }
    if (from < chunk.length) store(from === 0 ? chunk : chunk.subarray(from))
  }

  private ended(): void {
    if (this.refused) this.refusedWhole++
    this.inBody = false
    this.refused = false
    this.partial = 0
    this.index++
  }
}
