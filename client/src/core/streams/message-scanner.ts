/**
 * Finds the messages in the bytes of stream 0 without taking them apart: `varint flags ‖ varint length ‖ bytes`, one after the other.
 * It keeps numbers only, so a peer that sends a million empty messages costs its bytes and nothing more.
 */
import { ProtocolError } from '@sennit/protocol'

/** Bit 0 of the flags: tell the sender when the application took the message. The others are reserved and must be 0. */
export const reportDeliveryFlag = 1

/** Reads message heads byte by byte: they may lie across frames. */
export class HeadReader {
  /** Of the head that was read last. */
  flags = 0
  length = 0
  private value = 0
  private left = 0 // bytes of the number under way, 0 = none
  private hasFlags = false

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
    if (!this.hasFlags) {
      if (this.value > reportDeliveryFlag) {
        throw new ProtocolError('unsupported', `expected reserved message flags to be 0, found ${this.value}`, { flags: this.value })
      }
      this.flags = this.value
      this.hasFlags = true
      return false
    }
    this.length = this.value
    this.hasFlags = false
    return true
  }
}

export class MessageScanner {
  /** Index of the message that the next byte belongs to: how many are whole. */
  index = 0
  /** How many of the whole ones were refused. */
  refusedWhole = 0
  /** Stored bytes of the message under way. */
  partial = 0
  private readonly heads = new HeadReader()
  private readonly bytesMax: number
  private readonly tooLarge: (index: number, length: number) => void
  private bodyLeft = 0
  private inBody = false
  private refused = false

  constructor(bytesMax: number, tooLarge: (index: number, length: number) => void) {
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
      this.refused = this.bodyLeft > this.bytesMax
      if (this.refused) this.tooLarge(this.index, this.bodyLeft)
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
