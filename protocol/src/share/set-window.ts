/** Which sets of shares are finished: a ring of bits behind the newest. */

/** Twice the packets that a sender may have unacknowledged; what is older is finished or sent again as another set. 8 KiB. */
const windowSets = 65_536

export class SetWindow {
  readonly #bits = new Uint32Array(windowSets / 32)
  /** Above the newest finished one. */
  #next = 0

  /** Whether shares of this set are still wanted. */
  isOpen(set: number): boolean {
    if (set >= this.#next) return true
    return set >= this.#next - windowSets && (this.#bits[(set % windowSets) >>> 5]! & (1 << (set & 31))) === 0
  }

  close(set: number): void {
    if (set >= this.#next) {
      for (let at = Math.max(this.#next, set - windowSets + 1); at <= set; at += 1)
        this.#bits[(at % windowSets) >>> 5]! &= ~(1 << (at & 31))
      this.#next = set + 1
    }
    this.#bits[(set % windowSets) >>> 5]! |= 1 << (set & 31)
  }
}
