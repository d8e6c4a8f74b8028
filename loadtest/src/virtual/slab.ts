// Memory for what is on its way, cut from large pieces: a new array for each record costs more than the record itself.

/** Records are some hundred bytes; a piece this large holds many of them, and is dropped as a whole when all of them are read. */
const slabBytes = 65_536
/** Larger ones get memory of their own, so that little of a piece is left unused. */
const largeBytes = 8_192

export class Slab {
  #piece = new Uint8Array(slabBytes)
  #used = 0

  /** All pieces in memory of their own, one after the other: what a kernel does when it takes over what a process writes. */
  joined(pieces: readonly Uint8Array[]): Uint8Array {
    let length = 0
    for (const piece of pieces) length += piece.length
    const bytes = length > largeBytes ? new Uint8Array(length) : this.#cut(length)
    let offset = 0
    for (const piece of pieces) {
      bytes.set(piece, offset)
      offset += piece.length
    }
    return bytes
  }

  #cut(length: number): Uint8Array {
    if (this.#used + length > slabBytes) {
      this.#piece = new Uint8Array(slabBytes)
      this.#used = 0
    }
    // On a multiple of four, so that whoever reads words can.
    const from = this.#used
    this.#used = (from + length + 3) & ~3
    return new Uint8Array(this.#piece.buffer, from, length)
  }
}
