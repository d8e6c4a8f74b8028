/** Puts the parts of a relay's list together. Parts come in order on one attachment; what does not fit is dropped with what came before. */
import { type HopControl, relayListBytesMax } from '@sennit/protocol'

export type RelayListPart = Extract<HopControl, { type: 'relayListPart' }>

export class ListParts {
  #version = 0
  #total = 0
  #received = 0
  #pieces: Uint8Array[] = []

  /** The whole list, once its last part is here. */
  take(part: RelayListPart): Uint8Array | undefined {
    const { version, offset, total, data } = part
    if (offset === 0) {
      this.#pieces = []
      this.#received = 0
      this.#version = version
      this.#total = Math.min(total, relayListBytesMax)
    }
    if (version !== this.#version || offset !== this.#received || offset + data.length > this.#total) {
      this.#pieces = []
      this.#received = 0
      this.#total = 0
      return undefined
    }
    // A part lies in the buffer it was read into, which is used again.
    this.#pieces.push(data.slice())
    this.#received += data.length
    if (this.#received < this.#total || this.#total === 0) return undefined
    const whole = new Uint8Array(this.#total)
    let at = 0
    for (const piece of this.#pieces) {
      whole.set(piece, at)
      at += piece.length
    }
    this.#pieces = []
    this.#total = 0
    return whole
  }
}
