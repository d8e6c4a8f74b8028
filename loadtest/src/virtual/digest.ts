// A running hash of everything that happens in a world: two runs of one seed are the same run exactly when it agrees.

const float = new Float64Array(1)
const words = new Uint32Array(float.buffer)
/** Bytes of a chunk that are mixed in; what follows is under the seals that stand within them or at the end. */
const bytesMixed = 48

export class Digest {
  #a = 0x811c9dc5
  #b = 0x2545f491

  number(value: number): void {
    float[0] = value
    this.#mix(words[0]!)
    this.#mix(words[1]!)
  }

  text(value: string): void {
    for (let at = 0; at < value.length; at++) this.#mix(value.charCodeAt(at))
    this.#mix(value.length)
  }

  bytes(value: Uint8Array): void {
    const { length } = value
    this.#mix(length)
    const head = Math.min(length, bytesMixed)
    for (let at = 0; at < head; at++) this.#mix(value[at]!)
    for (let at = Math.max(head, length - 16); at < length; at++) this.#mix(value[at]!)
  }

  /** 16 hexadecimal digits. */
  hex(): string {
    const part = (word: number): string => (word >>> 0).toString(16).padStart(8, '0')
    return part(this.#a) + part(this.#b)
  }

  #mix(word: number): void {
    this.#a = Math.imul(this.#a ^ word, 0x01000193)
    this.#b = Math.imul((this.#b << 5) ^ (this.#b >>> 27) ^ word, 0x9e3779b1) ^ this.#a
  }
}
