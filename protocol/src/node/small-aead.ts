/**
 * ChaCha20-Poly1305 of small packets by libsodium in WebAssembly (decision 0010), with memory of the module that is set aside once: the functions
 * that `libsodium-wrappers` makes ask for five pieces of it at every call and give them back, which costs as much as the cipher.
 */

import { tagBytes } from '../crypto.ts'
import { Slab } from '../slab.ts'

/** The module's own functions, as Emscripten names them. A 64-bit length is two 32-bit halves. */
interface SodiumModule {
  /** A new view whenever its memory grew: never keep it. */
  readonly HEAPU8: Uint8Array
  _malloc(bytes: number): number
  _crypto_aead_chacha20poly1305_ietf_encrypt(
    sealed: number,
    sealedLength: number,
    plain: number,
    plainLength: number,
    plainLengthHigh: number,
    data: number,
    dataLength: number,
    dataLengthHigh: number,
    secretNonce: number,
    nonce: number,
    key: number,
  ): number
  _crypto_aead_chacha20poly1305_ietf_decrypt(
    plain: number,
    plainLength: number,
    secretNonce: number,
    sealed: number,
    sealedLength: number,
    sealedLengthHigh: number,
    data: number,
    dataLength: number,
    dataLengthHigh: number,
    nonce: number,
    key: number,
  ): number
}

/** Up to here it is the faster one; beyond it OpenSSL's vectors win. */
const smallBytesMax = 1_024
/** More associated data than any of ours: a hash, or the header of a packet. */
const dataBytesMax = 256
const keyAt = 0
const nonceAt = 32
const dataAt = 64
const inputAt: number = dataAt + dataBytesMax
const outputAt: number = inputAt + smallBytesMax + tagBytes
const roomBytes: number = outputAt + smallBytesMax + tagBytes

export class SmallAead {
  readonly #module: SodiumModule
  readonly #base: number
  /** For what was sealed: nobody but the other end makes anything of it. */
  readonly #sealed = new Slab()

  /** Compiles for some milliseconds. Rejects where WebAssembly is switched off. */
  static async load(): Promise<SmallAead> {
    const loaded = await import('libsodium-wrappers')
    await loaded.default.ready
    // The wrapper exports the module it wraps; its types do not say so.
    return new SmallAead((loaded as unknown as { readonly libsodium: SodiumModule }).libsodium)
  }

  private constructor(module: SodiumModule) {
    this.#module = module
    this.#base = module._malloc(roomBytes)
    if (this.#base === 0) throw new Error('libsodium has no memory')
  }

  takes(bytes: number, associatedData: Uint8Array): boolean {
    return bytes <= smallBytesMax && associatedData.length <= dataBytesMax
  }

  /** @param bytes of the pieces, as {@link takes} allows */
  seal(key: Uint8Array, nonce: Uint8Array, associatedData: Uint8Array, pieces: readonly Uint8Array[], bytes: number): Uint8Array {
    const memory = this.#put(key, nonce, associatedData, pieces)
    const base = this.#base
    const [output, input, data] = [base + outputAt, base + inputAt, base + dataAt]
    const { length } = associatedData
    this.#module._crypto_aead_chacha20poly1305_ietf_encrypt(output, 0, input, bytes, 0, data, length, 0, 0, base + nonceAt, base + keyAt)
    const sealed = this.#sealed.take(bytes + tagBytes)
    sealed.set(memory.subarray(output, output + bytes + tagBytes))
    return sealed
  }

  /** @param bytes of the plaintext, as {@link takes} allows. @returns undefined when it is forged */
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    associatedData: Uint8Array,
    pieces: readonly Uint8Array[],
    bytes: number,
  ): Uint8Array | undefined {
    const memory = this.#put(key, nonce, associatedData, pieces)
    const base = this.#base
    const [output, input, data] = [base + outputAt, base + inputAt, base + dataAt]
    const { length } = associatedData
    const sealedBytes = bytes + tagBytes
    const module = this.#module
    const bad = module._crypto_aead_chacha20poly1305_ietf_decrypt(
      output,
      0,
      0,
      input,
      sealedBytes,
      0,
      data,
      length,
      0,
      base + nonceAt,
      base + keyAt,
    )
    return bad === 0 ? memory.slice(output, output + bytes) : undefined
  }

  #put(key: Uint8Array, nonce: Uint8Array, associatedData: Uint8Array, pieces: readonly Uint8Array[]): Uint8Array {
    const memory = this.#module.HEAPU8
    const base = this.#base
    memory.set(key, base + keyAt)
    memory.set(nonce, base + nonceAt)
    if (associatedData.length > 0) memory.set(associatedData, base + dataAt)
    let at = base + inputAt
    for (const piece of pieces) {
      memory.set(piece, at)
      at += piece.length
    }
    return memory
  }
}
