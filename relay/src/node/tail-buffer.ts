/** The last bytes of a byte stream, large pieces by reference: those not sent yet, and those sent lately that may be asked for again. */

/** Sent bytes that are kept. A client that falls further behind begins another session. */
const keptBytesMax: number = 2 * 1024 * 1024

/** Pieces under this would hold far more memory than they are. */
const copyBelowBytes = 4096

export class TailBuffer {
  private pieces: Uint8Array[] = []
  private head = 0
  /** Stream position of the first kept byte, of the first unsent one, and of the end. */
  private start = 0
  private sentTo = 0
  private end = 0

  get unsentBytes(): number {
    return this.end - this.sentTo
  }

  /** Adds pieces at the end; returns their bytes. */
  push(pieces: readonly Uint8Array[]): number {
    const before = this.end
    for (const piece of pieces) {
      // A slice keeps its whole read block alive; small ones are copied, since the tail lives long.
      this.pieces.push(piece.length < copyBelowBytes ? new Uint8Array(piece) : piece)
      this.end += piece.length
    }
    return this.end - before
  }

  /** All that is unsent has been sent. */
  sent(): void {
    this.sentTo = this.end
    while (this.end - this.start - (this.pieces[this.head]?.length ?? 0) > keptBytesMax) this.dropFirst()
  }

  /** The peer has all before `position` and wants what follows; false when that is not kept (or not written) any more. */
  rewind(position: number): boolean {
    if (position < this.start || position > this.end) return false
    while (this.head < this.pieces.length && this.start + this.pieces[this.head]!.length <= position) this.dropFirst()
    this.sentTo = position
    return true
  }

  unsentPieces(): Uint8Array[] {
    const unsent: Uint8Array[] = []
    let at = this.end
    for (let index = this.pieces.length - 1; index >= this.head && at > this.sentTo; index -= 1) {
      const piece = this.pieces[index]!
      at -= piece.length
      unsent.push(at >= this.sentTo ? piece : piece.subarray(this.sentTo - at))
    }
    return unsent.reverse()
  }

  private dropFirst(): void {
    this.start += this.pieces[this.head]!.length
    this.head += 1
    if (this.head >= 64 && this.head * 2 >= this.pieces.length) {
      this.pieces = this.pieces.slice(this.head)
      this.head = 0
    }
  }
}
