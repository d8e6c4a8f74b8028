/** The provider of production: node:crypto (OpenSSL). */

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  randomFillSync,
  sign,
  verify,
} from 'node:crypto'
import { base64url, totalBytes, unbase64url } from '../bytes.ts'
import { type Aead, type CryptoProvider, type KeyPair, keyBytes, tagBytes } from '../crypto.ts'
import { ProtocolError, SennitError } from '../errors.ts'
import { packetBytesMax } from '../packet.ts'
import { SmallAead } from './small-aead.ts'
import { VerifiedSignatures } from './verified-signatures.ts'

/**
 * Raw keys go in and out as JWK (RFC 8037): OpenSSL 3 needs 70 to 320 µs to find the decoder for a DER key and 5 to 25 for a JWK, which was most
 * of a handshake. The private import wants an `x` and derives its own, so any will do.
 */
type Curve = 'X25519' | 'Ed25519'
const anyPublicKey = 'AA'

/** Pieces up to this size are joined before they are sealed: one call into OpenSSL costs about as much as copying 4 KiB. */
const joinBytesMax = 4_096

const cipher = 'chacha20-poly1305'
/** The types demand a length that only CCM uses. */
const aadOptions = { plaintextLength: 0 } as const
const cipherOptions = { authTagLength: tagBytes } as const

/** A provider over node:crypto. Key objects are kept per key array, so a key array must not be changed after its first use. */
export function nodeCrypto(): CryptoProvider {
  loadSodium()
  const scratch = new Scratch()
  const privateKeys = new WeakMap<Uint8Array, KeyObject>()
  const publicKeys = new WeakMap<Uint8Array, KeyObject>()

  const privateKey = (key: Uint8Array, crv: Curve): KeyObject => {
    let object = privateKeys.get(key)
    if (object === undefined) {
      if (key.length !== keyBytes) throw new SennitError('internal', `expected a private key of ${keyBytes} bytes, found ${key.length}`)
      object = createPrivateKey({ key: { kty: 'OKP', crv, x: anyPublicKey, d: base64url(key) }, format: 'jwk' })
      privateKeys.set(key, object)
    }
    return object
  }
  const publicKey = (key: Uint8Array, crv: Curve): KeyObject => {
    let object = publicKeys.get(key)
    if (object === undefined) {
      object = createPublicKey({ key: { kty: 'OKP', crv, x: base64url(key) }, format: 'jwk' })
      publicKeys.set(key, object)
    }
    return object
  }

  /**
   * Any 32 bytes are a private key of either curve (RFC 7748 5, RFC 8032 5.1.5), and OpenSSL derives the public one. Not `generateKeyPairSync`: its job
   * object locks the key when it is collected, and a collection in the middle of the export of that key, which holds the lock, never ends. One pair in
   * some tens of thousands did that to the process.
   */
  const generate = (crv: Curve): KeyPair => {
    const own = randomFillSync(new Uint8Array(keyBytes))
    const { x } = privateKey(own, crv).export({ format: 'jwk' })
    if (x === undefined) throw new SennitError('internal', 'a new key pair could not be exported')
    return { privateKey: own, publicKey: unbase64url(x) }
  }

  return {
    name: 'node',
    randomBytes: (length) => randomFillSync(new Uint8Array(length)),
    generateX25519: () => generate('X25519'),
    x25519(ownKey, peerKey) {
      const own = privateKey(ownKey, 'X25519')
      if (peerKey.length !== keyBytes) {
        throw new ProtocolError('bad_public_key', `expected a public key of ${keyBytes} bytes, found ${peerKey.length}`, {})
      }
      try {
        return diffieHellman({ privateKey: own, publicKey: publicKey(peerKey, 'X25519') })
      } catch (cause) {
        throw new ProtocolError('bad_public_key', 'expected a public key that gives a shared secret, found one that does not', {}, cause)
      }
    },
    sha256(parts) {
      const hash = createHash('sha256')
      for (const part of parts) hash.update(part)
      return hash.digest()
    },
    hmacSha256(key, parts) {
      const hmac = createHmac('sha256', key)
      for (const part of parts) hmac.update(part)
      return hmac.digest()
    },
    aead: (key) => new NodeAead(key, scratch),
    generateEd25519: () => generate('Ed25519'),
    ed25519Sign: (ownKey, message) => sign(null, message, privateKey(ownKey, 'Ed25519')),
    ed25519Verify(peerKey, message, signature) {
      if (peerKey.length !== keyBytes || signature.length !== 64) return false
      if (verified.has(peerKey, message, signature)) return true
      try {
        if (!verify(null, message, publicKey(peerKey, 'Ed25519'), signature)) return false
      } catch {
        return false
      }
      verified.add(peerKey, message, signature)
      return true
    },
  }
}

/** For all clients of the process. */
const verified = new VerifiedSignatures()

/** A call into OpenSSL costs 3 µs before it looks at a byte. Both give the same bytes (decision 0010). */
let small: SmallAead | undefined
let smallAsked = false

/** Its module compiles for some milliseconds. Until then, and where WebAssembly is switched off, OpenSSL does everything. */
function loadSodium(): void {
  if (smallAsked) return
  smallAsked = true
  SmallAead.load().then(
    (loaded) => {
      small = loaded
    },
    () => {},
  )
}

class NodeAead implements Aead {
  readonly #key: Uint8Array
  readonly #scratch: Scratch

  constructor(key: Uint8Array, scratch: Scratch) {
    this.#scratch = scratch
    if (key.length !== keyBytes) throw new SennitError('internal', `expected a key of ${keyBytes} bytes, found ${key.length}`)
    this.#key = key.slice()
  }

  seal(nonce: Uint8Array, associatedData: Uint8Array, plaintext: readonly Uint8Array[]): Uint8Array[] {
    if (small !== undefined) {
      const length = totalBytes(plaintext)
      if (small.takes(length, associatedData)) return [small.seal(this.#key, nonce, associatedData, plaintext, length)]
    }
    const sealing = createCipheriv(cipher, this.#key, nonce, cipherOptions)
    if (associatedData.length > 0) sealing.setAAD(associatedData, aadOptions)
    const sealed: Uint8Array[] = []
    // Runs of small pieces are joined; a big piece goes in as it is.
    for (let from = 0; from < plaintext.length; ) {
      let to = from
      let bytes = 0
      do {
        bytes += plaintext[to]!.length
        to += 1
      } while (to < plaintext.length && bytes + plaintext[to]!.length <= joinBytesMax)
      if (bytes > 0) sealed.push(sealing.update(to - from === 1 ? plaintext[from]! : Buffer.concat(plaintext.slice(from, to), bytes)))
      from = to
    }
    sealing.final()
    sealed.push(sealing.getAuthTag())
    return sealed
  }

  open(nonce: Uint8Array, associatedData: Uint8Array, sealed: readonly Uint8Array[]): Uint8Array | undefined {
    const length = totalBytes(sealed) - tagBytes
    if (length < 0) return undefined
    if (small?.takes(length, associatedData) === true) return small.open(this.#key, nonce, associatedData, sealed, length)
    const whole = sealed.length === 1 ? sealed[0]! : this.#scratch.join(sealed, length + tagBytes)
    const opening = createDecipheriv(cipher, this.#key, nonce, cipherOptions)
    opening.setAuthTag(whole.subarray(length))
    if (associatedData.length > 0) opening.setAAD(associatedData, aadOptions)
    const plaintext = opening.update(whole.subarray(0, length))
    try {
      opening.final()
    } catch {
      return undefined
    }
    // Not a Buffer: cutting one, which every message does, costs several times as much.
    return new Uint8Array(plaintext.buffer, plaintext.byteOffset, plaintext.length)
  }
}

/** Where a packet's pieces are put together, to be opened or, if they are few bytes, sealed. A call uses it up before it returns, and nothing keeps it. */
class Scratch {
  #bytes: Buffer = Buffer.alloc(0)

  join(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
    if (bytes > scratchBytesMax) return Buffer.concat(pieces, bytes)
    if (this.#bytes.length === 0) this.#bytes = Buffer.allocUnsafeSlow(scratchBytesMax)
    let at = 0
    for (const piece of pieces) {
      this.#bytes.set(piece, at)
      at += piece.length
    }
    return this.#bytes.subarray(0, bytes)
  }
}

/** No packet is longer; what is longer gets memory of its own. */
const scratchBytesMax: number = packetBytesMax + tagBytes
