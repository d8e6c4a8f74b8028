/**
 * Bytes on their way out. Large writes stay as they were given and are cut with `subarray`; small ones are gathered into shared blocks, so
 * that hundreds of messages leave as one piece. A block is written once at every place and never reused: its cuts may be held for long.
 */
import { Deque, writeVarint } from '@sennit/protocol'

/** A frame is at most one packet, so a larger block would not gather more. */
const blockBytesMax = 65_536

/** The first block is small: most connections are idle and a block lives as long as its cuts. */
const blockBytesFirst = 4096

/** Flags, length, and the size of a compressed one: a varint each. */
const messageHeadBytesMax = 24

/** Where small writes of all streams of one connection are gathered. */
export class GatherBlocks {
  block: Uint8Array = new Uint8Array(0)
  used = 0

  /** Makes room for `bytes` in one piece. */
  reserve(bytes: number): void {
    if (this.block.length - this.used >= bytes) return
    const size = Math.max(bytes, Math.min(blockBytesMax, this.block.length === 0 ? blockBytesFirst : this.block.length * 4))
    this.block = new Uint8Array(size)
    this.used = 0
  }
}

export class SendBuffer {
  /** Bytes not yet taken. */
  bytes = 0
  private readonly blocks: GatherBlocks
  private readonly chunks = new Deque<Uint8Array>()
  private taken = 0 // of the first chunk
  private tail: Uint8Array | undefined // the block that small writes are gathered into
  private tailStart = 0
  private tailEnd = 0

  constructor(blocks: GatherBlocks) {
    this.blocks = blocks
  }

  /** Adds `bytes` without copying; they must not change any more. */
  append(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.closeTail()
    this.chunks.push(bytes)
    this.bytes += bytes.length
  }

  /** Copies `bytes` behind what was gathered last. */
  gather(bytes: Uint8Array): void {
    this.openTail(bytes.length)
    this.blocks.block.set(bytes, this.blocks.used)
    this.grew(this.blocks.used + bytes.length)
  }

  /** Writes the head of a message: flags, length, and the size of a compressed one. Returns its bytes. */
  gatherHead(flags: number, length: number, size?: number): number {
    this.openTail(messageHeadBytesMax)
    const { block, used } = this.blocks
    let end = writeVarint(block, writeVarint(block, used, flags), length)
    if (size !== undefined) end = writeVarint(block, end, size)
    this.grew(end)
    return end - used
  }

  /** One piece of at most `max` bytes; call only when there are some. */
  take(max: number): Uint8Array {
    const first = this.chunks.first()
    if (first === undefined) {
      const end = Math.min(this.tailEnd, this.tailStart + max)
      const piece = this.tail!.subarray(this.tailStart, end)
      this.tailStart = end
      this.bytes -= piece.length
      return piece
    }
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

  clear(): void {
    this.chunks.clear()
    this.taken = 0
    this.tail = undefined
    this.tailStart = this.tailEnd = 0
    this.bytes = 0
  }

  /** Continues the gathered piece when nothing else was written behind it, else begins a new one. */
  private openTail(bytes: number): void {
    const { blocks } = this
    if (this.tail === blocks.block && this.tailEnd === blocks.used && blocks.block.length - blocks.used >= bytes) return
    this.closeTail()
    blocks.reserve(bytes)
    this.tail = blocks.block
    this.tailStart = this.tailEnd = blocks.used
  }

  private grew(end: number): void {
    this.bytes += end - this.tailEnd
    this.tailEnd = end
    this.blocks.used = end
  }

  private closeTail(): void {
    if (this.tail !== undefined && this.tailEnd > this.tailStart) this.chunks.push(this.tail.subarray(this.tailStart, this.tailEnd))
    this.tail = undefined
    this.tailStart = this.tailEnd = 0
  }
}
