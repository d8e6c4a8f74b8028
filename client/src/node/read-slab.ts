/**
 * Memory for socket reads: large blocks, cut from the front, never used twice. So every chunk belongs to whoever receives it, and one
 * read takes what the kernel holds (a reused read buffer with queued writes behind it corrupts what they still have to send).
 */

/** One block. Large reads are what makes a socket fast; a slow reader holds at most the blocks its queued chunks lie in. */
const slabBytes = 256 * 1024

/** A rest smaller than this is given up: a read into it would be one small system call more. */
const restBytesMin = 64 * 1024

class ReadSlab {
  #slab: Buffer = Buffer.allocUnsafeSlow(0)

  /** Where the next read goes. */
  next(): Uint8Array {
    if (this.#slab.length < restBytesMin) this.#slab = Buffer.allocUnsafeSlow(slabBytes)
    return this.#slab
  }

  /** Takes the first `length` bytes of what {@link next} gave last. */
  take(length: number): Uint8Array {
    const chunk = this.#slab.subarray(0, length)
    this.#slab = this.#slab.subarray(length)
    return chunk
  }
}

/** The `onread` option of `net.connect` over a slab: every chunk goes to `receive`; its result false stops reading until `resume()`. */
export function slabReads(receive: (chunk: Uint8Array) => boolean): {
  buffer: () => Uint8Array
  callback: (length: number, buffer: Uint8Array) => boolean
} {
  const slab = new ReadSlab()
  return { buffer: () => slab.next(), callback: (length) => receive(slab.take(length)) }
}
