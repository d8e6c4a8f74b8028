// A running hash of everything that happens in a world: two runs of one seed are the same run exactly when it agrees.

const float = new Float64Array(1)
const words = new Uint32Array(float.buffer)
/** Bytes of each end of a chunk that are mixed in: a length and the head of a sealed block, and the seal of what came last. */
const bytesMixed = 16
/** In between one byte in so many: what differs there also changes what the machines do next. */
const bytesStep = 64
/** More than a world has names and kinds. */
const textsMax = 4_096

export class Digest {
  #a = 0x811c9dc5
  #b = 0x2545f491
  /** Names and kinds are few and come again and again, so each is read once. */
  readonly #texts = new Map<string, number>()

  number(value: number): void {
    float[0] = value
    this.#mix(words[0]!)
    this.#mix(words[1]!)
  }

  text(value: string): void {
    let hash = this.#texts.get(value)
    if (hash === undefined) {
      hash = value.length
      for (let at = 0; at < value.length; at++) hash = Math.imul(hash ^ value.charCodeAt(at), 0x85ebca77) ^ (hash >>> 15)
      if (this.#texts.size < textsMax) this.#texts.set(value, hash)
    }
    this.#mix(hash)
  }

  bytes(value: Uint8Array): void {
    const { length } = value
    this.#mix(length)
    const head = Math.min(length, bytesMixed)
    for (let at = 0; at < head; at++) this.#mix(value[at]!)
    const tail = Math.max(head, length - bytesMixed)
    for (let at = head; at < tail; at += bytesStep) this.#mix(value[at]!)
    for (let at = tail; at < length; at++) this.#mix(value[at]!)
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
