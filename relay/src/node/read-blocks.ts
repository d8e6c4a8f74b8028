/**
 * Memory that sockets are read into. Blocks go round: what came in one is sent on as slices of it, and it is read into again when every slice has
 * left. Fresh memory for each read would be a gigabyte of garbage for a gigabyte carried, and collecting that costs a relay more than carrying it.
 *
 * The trap is a block that is read into while a queued write still needs it. So a block is free only by count: the bytes of it that packets took,
 * less those whose write was reported done. Bytes that are never written (a dropped packet, a broken socket) are never counted off; such a block
 * is left to the garbage collector.
 */

/** One block: a read takes what the kernel holds, up to this. */
const blockBytes: number = 256 * 1024

/** Sockets that are not busy are read into one memory for all, and the little that comes is copied out. */
const sharedBytes = 64 * 1024

/** Free blocks kept: a few for each of the sockets that are busy at a time. */
const freeBlocksMax = 64

interface Block {
  readonly bytes: Buffer
  /** Bytes that packets took and that have not been written. */
  held: number
  /** No more is read into it until it is free. */
  full: boolean
}

export class ReadBlocks {
  /** Whoever reads into it copies what came before returning to the event loop. */
  readonly shared: Buffer = Buffer.allocUnsafeSlow(sharedBytes)
  private readonly free: Block[] = []
  private readonly blocks = new WeakMap<ArrayBufferLike, Block>()

  /** A block of {@link blockBytes} to read into. */
  take(): Buffer {
    const free = this.free.pop()
    if (free !== undefined) {
      free.full = false
      return free.bytes
    }
    const bytes = Buffer.allocUnsafeSlow(blockBytes)
    this.blocks.set(bytes.buffer, { bytes, held: 0, full: false })
    return bytes
  }

  /** `bytes` of what was read into the block of `chunk` stay in use. Infinity means that nobody knows, and the block is not used again. */
  hold(chunk: Uint8Array, bytes: number): void {
    const block = this.blocks.get(chunk.buffer)
    if (block !== undefined) block.held += bytes
  }

  /** Nothing more is read into the block of `chunk`. */
  full(chunk: Uint8Array): void {
    const block = this.blocks.get(chunk.buffer)
    if (block === undefined) return
    block.full = true
    this.freeIfDone(block)
  }

  /** Whether some of the pieces lie in blocks, so that {@link written} must be told. */
  lieHere(pieces: readonly Uint8Array[]): boolean {
    return pieces.some((piece) => this.blocks.has(piece.buffer))
  }

  /** The pieces have left, each for the only time: their memory is not needed any more. */
  written(pieces: readonly Uint8Array[]): void {
    for (const piece of pieces) {
      const block = this.blocks.get(piece.buffer)
      if (block === undefined) continue
      block.held -= piece.length
      this.freeIfDone(block)
    }
  }

  private freeIfDone(block: Block): void {
    if (block.full && block.held === 0 && this.free.length < freeBlocksMax) this.free.push(block)
  }
}
