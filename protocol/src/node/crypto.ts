/** The provider of production: node:crypto (OpenSSL). */

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  randomFillSync,
  sign,
  verify,
} from 'node:crypto'
import { totalBytes } from '../bytes.ts'
import { type Aead, type CryptoProvider, type KeyPair, keyBytes, tagBytes } from '../crypto.ts'
import { ProtocolError, SennitError } from '../errors.ts'
import { packetBytesMax } from '../packet.ts'

/** node:crypto takes only DER, so raw keys get these fixed heads (RFC 8410). */
const der = {
  x25519Private: Buffer.from('302e020100300506032b656e04220420', 'hex'),
  x25519Public: Buffer.from('302a300506032b656e032100', 'hex'),
  ed25519Private: Buffer.from('302e020100300506032b657004220420', 'hex'),
  ed25519Public: Buffer.from('302a300506032b6570032100', 'hex'),
}

/** Pieces up to this size are joined before they are sealed: one call into OpenSSL costs about as much as copying 4 KiB. */
const joinBytesMax = 4_096

const cipher = 'chacha20-poly1305'
/** The types demand a length that only CCM uses. */
const aadOptions = { plaintextLength: 0 } as const
const cipherOptions = { authTagLength: tagBytes } as const

/** A provider over node:crypto. Key objects are kept per key array, so a key array must not be changed after its first use. */
export function nodeCrypto(): CryptoProvider {
  const scratch = new Scratch()
  const privateKeys = new WeakMap<Uint8Array, KeyObject>()
  const publicKeys = new WeakMap<Uint8Array, KeyObject>()

  const privateKey = (key: Uint8Array, head: Buffer): KeyObject => {
    let object = privateKeys.get(key)
    if (object === undefined) {
      if (key.length !== keyBytes) throw new SennitError('internal', `expected a private key of ${keyBytes} bytes, found ${key.length}`)
      object = createPrivateKey({ key: Buffer.concat([head, key]), format: 'der', type: 'pkcs8' })
      privateKeys.set(key, object)
    }
    return object
  }
  const publicKey = (key: Uint8Array, head: Buffer): KeyObject => {
    let object = publicKeys.get(key)
    if (object === undefined) {
      object = createPublicKey({ key: Buffer.concat([head, key]), format: 'der', type: 'spki' })
      publicKeys.set(key, object)
    }
    return object
  }

  // The key objects exist already when a pair is made; without them each new handshake would pay for parsing its own ephemeral key.
  const remembered = (objects: KeyObjects, privateHead: number, publicHead: number): KeyPair => {
    const pair = rawPair(objects, privateHead, publicHead)
    privateKeys.set(pair.privateKey, objects.privateKey)
    publicKeys.set(pair.publicKey, objects.publicKey)
    return pair
  }

  return {
    name: 'node',
    randomBytes: (length) => randomFillSync(new Uint8Array(length)),
    generateX25519: () => remembered(generateKeyPairSync('x25519'), der.x25519Private.length, der.x25519Public.length),
    x25519(ownKey, peerKey) {
      const own = privateKey(ownKey, der.x25519Private)
      if (peerKey.length !== keyBytes) {
        throw new ProtocolError('bad_public_key', `expected a public key of ${keyBytes} bytes, found ${peerKey.length}`, {})
      }
      try {
        return diffieHellman({ privateKey: own, publicKey: publicKey(peerKey, der.x25519Public) })
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
    generateEd25519: () => remembered(generateKeyPairSync('ed25519'), der.ed25519Private.length, der.ed25519Public.length),
    ed25519Sign: (ownKey, message) => sign(null, message, privateKey(ownKey, der.ed25519Private)),
    ed25519Verify(peerKey, message, signature) {
      if (peerKey.length !== keyBytes || signature.length !== 64) return false
      try {
        return verify(null, message, publicKey(peerKey, der.ed25519Public), signature)
      } catch {
        return false
      }
    },
  }
}

class NodeAead implements Aead {
  readonly #key: KeyObject
  readonly #scratch: Scratch

  constructor(key: Uint8Array, scratch: Scratch) {
    this.#scratch = scratch
    if (key.length !== keyBytes) throw new SennitError('internal', `expected a key of ${keyBytes} bytes, found ${key.length}`)
    this.#key = createSecretKey(key)
  }

  seal(nonce: Uint8Array, associatedData: Uint8Array, plaintext: readonly Uint8Array[]): Uint8Array[] {
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

/** Where packets that came in pieces are put together to be opened. A call uses it up before it returns, and nothing keeps it. */
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

interface KeyObjects {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

function rawPair(pair: KeyObjects, privateHead: number, publicHead: number): KeyPair {
  return {
    privateKey: new Uint8Array(pair.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(privateHead)),
    publicKey: new Uint8Array(pair.publicKey.export({ format: 'der', type: 'spki' }).subarray(publicHead)),
  }
}
