/**
 * Short-lived small arrays cut from a shared block. An array over 64 bytes of its own is a call to malloc, an entry in a register of the engine and a call
 * to free, which together cost more than what is written into it. A block lives as long as its longest cut, so it is small, and what an application
 * gets is never cut from one: it may be kept for ever, and its `buffer` shows the neighbours.
 */

/** Some thirty packets of a conversation. One that is kept for long, for want of an ack, keeps this much. */
const blockBytes = 4_096

/** What is larger is worth memory of its own. */
const cutBytesMax = 512

export class Slab {
  #block: Uint8Array = new Uint8Array(0)
  #used = 0

  /** An array of `bytes` bytes to be written whole: what is in it is undefined. */
  take(bytes: number): Uint8Array {
    if (bytes > cutBytesMax) return new Uint8Array(bytes)
    if (this.#used + bytes > this.#block.length) {
      this.#block = new Uint8Array(blockBytes)
      this.#used = 0
    }
    const cut = this.#block.subarray(this.#used, this.#used + bytes)
    this.#used += bytes
    return cut
  }
}
