/**
 * A cheap provider for the virtual world: keyed checksums instead of ciphers. NOT secure: plaintext stays readable, anyone can sign.
 * It keeps what the machines rely on: any changed bit, other key, nonce or associated data fails to open; both ends derive one secret.
 * A real X25519 costs 30 µs and a real AEAD 5 µs even on small packets, too much for thousands of virtual connections.
 */

import { compareBytes, equalBytes, totalBytes } from './bytes.ts'
import { type Aead, type CryptoProvider, type KeyPair, keyBytes, tagBytes } from './crypto.ts'
import { ProtocolError } from './errors.ts'

/** Odd constants (from MurmurHash3 and xxHash): multiplying by an odd number loses nothing, so one changed word always shows. */
const primes: readonly number[] = [0xcc9e2d51, 0x1b873593, 0x9e3779b1, 0x85ebca77]

/** Parts up to this are copied byte by byte. */
const shortBytes = 48

const emptyKey = new Uint8Array(keyBytes)

/** Keys and ids are drawn byte by byte; more (the pads of shares) would cost more than all else of a packet, so it is stretched from one number. */
const drawnBytesMax = 64

/** Fills with xorshift words. */
function stretch(bytes: Uint8Array, seed: number): void {
  let word = seed | 1
  for (let index = 0; index < bytes.length; index += 4) {
    word ^= word << 13
    word ^= word >>> 17
    word ^= word << 5
    bytes[index] = word
    bytes[index + 1] = word >>> 8
    bytes[index + 2] = word >>> 16
    bytes[index + 3] = word >>> 24
  }
}

/**
 * @param random numbers in [0, 1) from the world's seed; all keys come from it, so a run is reproducible
 * Keys of another provider do not work here: a public key must come from this provider's `generateX25519`.
 */
export function simulatorCrypto(random: () => number): CryptoProvider {
  const checksum = new Checksum()

  const randomBytes = (length: number): Uint8Array => {
    const bytes = new Uint8Array(length)
    if (length > drawnBytesMax) stretch(bytes, Math.floor(random() * 0x1_0000_0000))
    else for (let index = 0; index < length; index += 1) bytes[index] = Math.floor(random() * 256)
    return bytes
  }
  const generate = (): KeyPair => {
    const privateKey = randomBytes(keyBytes)
    return { privateKey, publicKey: publicOf(privateKey) }
  }
  const publicOf = (privateKey: Uint8Array): Uint8Array => checksum.of(emptyKey, 1, [privateKey], 32)

  return {
    name: 'simulator',
    randomBytes,
    generateX25519: generate,
    x25519(privateKey, publicKey) {
      if (publicKey.length !== keyBytes || publicKey.every((value) => value === 0)) {
        throw new ProtocolError('bad_public_key', 'expected a public key that gives a shared secret, found one that does not', {})
      }
      const own = publicOf(privateKey)
      const ordered = compareBytes(own, publicKey) < 0 ? [own, publicKey] : [publicKey, own]
      return checksum.of(emptyKey, 2, ordered, 32)
    },
    sha256: (parts) => checksum.of(emptyKey, 3, parts, 32),
    hmacSha256: (key, parts) => checksum.of(key.length === keyBytes ? key : checksum.of(emptyKey, 4, [key], 32), 5, parts, 32),
    aead: (key) => new ChecksumAead(checksum, key),
    generateEd25519: generate,
    ed25519Sign: (privateKey, message) => checksum.of(publicOf(privateKey), 6, [message], 64),
    ed25519Verify: (publicKey, message, signature) =>
      publicKey.length === keyBytes && equalBytes(checksum.of(publicKey, 6, [message], 64), signature),
  }
}

class ChecksumAead implements Aead {
  readonly #checksum: Checksum
  /** What the key comes to: mixed once, and not with every packet. */
  readonly #start: Int32Array

  constructor(checksum: Checksum, key: Uint8Array) {
    this.#checksum = checksum
    this.#start = new Int32Array(checksum.of(key, 7, [], tagBytes).buffer)
  }

  seal(nonce: Uint8Array, associatedData: Uint8Array, plaintext: readonly Uint8Array[]): Uint8Array[] {
    return [...plaintext, this.#tag(nonce, associatedData, plaintext)]
  }

  open(nonce: Uint8Array, associatedData: Uint8Array, sealed: readonly Uint8Array[]): Uint8Array | undefined {
    const length = totalBytes(sealed) - tagBytes
    if (length < 0) return undefined
    const whole = sealed.length === 1 ? sealed[0]! : joined(sealed, length + tagBytes)
    const plaintext = whole.subarray(0, length)
    const tag = this.#tag(nonce, associatedData, [plaintext])
    for (let at = 0; at < tagBytes; at += 1) if (tag[at] !== whole[length + at]) return undefined
    return plaintext
  }

  #tag(nonce: Uint8Array, associatedData: Uint8Array, plaintext: readonly Uint8Array[]): Uint8Array {
    return this.#checksum.tag(this.#start, nonce, associatedData, plaintext)
  }
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length)
  let offset = 0
  for (const piece of pieces) {
    whole.set(piece, offset)
    offset += piece.length
  }
  return whole
}

/** Four lanes of xor-and-multiply over 32-bit words, read from one aligned scratch buffer so that piece boundaries do not matter. */
class Checksum {
  #scratch = new Uint8Array(4_096)
  #words = new Uint32Array(this.#scratch.buffer)

  of(key: Uint8Array, domain: number, parts: readonly Uint8Array[], length: number): Uint8Array {
    const total = totalBytes(parts)
    const padded = this.#clear(keyBytes + total)
    for (let at = 0; at < keyBytes; at += 1) this.#scratch[at] = key[at]!
    let offset = keyBytes
    for (const part of parts) offset = this.#put(part, offset)
    return this.#mixed(padded, domain | 0, total | 0, 0x2545f491, length, length)
  }

  /** Of one packet, under a key that is mixed already. */
  tag(start: Int32Array, nonce: Uint8Array, associatedData: Uint8Array, plaintext: readonly Uint8Array[]): Uint8Array {
    const total = totalBytes(plaintext)
    const padded = this.#clear(nonce.length + associatedData.length + total)
    let offset = this.#put(associatedData, this.#put(nonce, 0))
    for (const part of plaintext) offset = this.#put(part, offset)
    const lengths = nonce.length * 65_536 + associatedData.length
    return this.#mixed(padded, start[0]! ^ lengths, start[1]! ^ total, start[2]!, start[3]!, tagBytes)
  }

  /** Makes room for so many bytes. @returns as many as whole rounds of four words, the last one zero filled; the true length is mixed in as well */
  #clear(bytes: number): number {
    const padded = (bytes + 15) & ~15
    if (padded > this.#scratch.length) {
      this.#scratch = new Uint8Array(padded * 2)
      this.#words = new Uint32Array(this.#scratch.buffer)
    }
    if (padded > 0) {
      const words = this.#words
      const end = padded >>> 2
      for (let at = end - 4; at < end; at += 1) words[at] = 0
    }
    return padded
  }

  #put(part: Uint8Array, offset: number): number {
    const scratch = this.#scratch
    // Most parts are shorter than a call of `set` is long.
    if (part.length > shortBytes) scratch.set(part, offset)
    else for (let at = 0; at < part.length; at += 1) scratch[offset + at] = part[at]!
    return offset + part.length
  }

  #mixed(padded: number, first: number, second: number, third: number, fourth: number, length: number): Uint8Array {
    const words = this.#words
    const count = padded >>> 2
    let [a, b, c, d] = [first, second, third, fourth]
    for (let index = 0; index < count; index += 4) {
      a = Math.imul(a ^ words[index]!, 0xcc9e2d51)
      b = Math.imul(b ^ words[index + 1]!, 0x1b873593)
      c = Math.imul(c ^ words[index + 2]!, 0x9e3779b1)
      d = Math.imul(d ^ words[index + 3]!, 0x85ebca77)
      a ^= a >>> 15
      b ^= b >>> 13
      c ^= c >>> 16
      d ^= d >>> 14
    }

    const result = new Uint8Array(length)
    for (let at = 0; at < length; at += 4) {
      a = mix(a ^ d, primes[0]!)
      b = mix(b ^ a, primes[1]!)
      c = mix(c ^ b, primes[2]!)
      d = mix((d ^ c) + at, primes[3]!)
      result[at] = d >>> 24
      result[at + 1] = d >>> 16
      result[at + 2] = d >>> 8
      result[at + 3] = d
    }
    return result
  }
}

function mix(value: number, prime: number): number {
  const once = Math.imul(value ^ (value >>> 16), prime)
  return once ^ (once >>> 13)
}
