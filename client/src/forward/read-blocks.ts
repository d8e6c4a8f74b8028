/**
 * Memory that spliced sockets are read into: large blocks, cut from the front. What is read becomes part of a stream and is not copied, so a block
 * may be read into again only when the stream has sealed every byte of it; before, the reuse would change bytes that are still to be sent.
 * Fresh memory for each read would be a gigabyte of garbage for a gigabyte carried.
 */

/** One block: a read takes what the kernel holds, up to this. */
const blockBytes: number = 256 * 1024

/** A rest smaller than this is given up: a read into it would be one small system call more. */
const restBytesMin: number = 64 * 1024

/** Free blocks kept for all sockets of one service: what a few busy ones have between reading and sealing. */
const freeBlocksMax = 16

/** The blocks of one `forward` or `expose`. */
export class ReadBlocks {
  readonly #free: Buffer[] = []

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(blockBytes)
  }

  /** Nothing needs the block any more. */
  give(block: Buffer): void {
    if (this.#free.length < freeBlocksMax) this.#free.push(block)
  }
}

/** Where one socket's reads go. */
export class SocketReads {
  readonly #blocks: ReadBlocks
  /** Blocks that are full, oldest first, each with the count of the socket's bytes up to its end. */
  readonly #full: { readonly block: Buffer; readonly endsAt: number }[] = []
  #block: Buffer | undefined
  #used = 0
  #readBytes = 0

  constructor(blocks: ReadBlocks) {
    this.#blocks = blocks
  }

  /** Where the next read goes. @param sealedBytes bytes of this socket, from its first one, whose memory nobody needs any more */
  next(sealedBytes: number): Uint8Array {
    if (this.#block !== undefined && this.#block.length - this.#used < restBytesMin) {
      this.#full.push({ block: this.#block, endsAt: this.#readBytes })
      this.#block = undefined
    }
    for (let first = this.#full[0]; first !== undefined && first.endsAt <= sealedBytes; first = this.#full[0]) {
      this.#full.shift()
      this.#blocks.give(first.block)
    }
    if (this.#block === undefined) {
      this.#block = this.#blocks.take()
      this.#used = 0
    }
    return this.#block.subarray(this.#used)
  }

  /** Takes the first `length` bytes of what {@link next} gave last. */
  take(length: number): Uint8Array {
    const from = this.#used
    this.#used += length
    this.#readBytes += length
    return this.#block!.subarray(from, this.#used)
  }
}
