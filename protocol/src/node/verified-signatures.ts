/**
 * Signatures that were found good a moment ago. Every client that a program opens checks the same three issuers of its mesh and the same relays'
 * certificates, and each check costs more than a message. The same bytes under the same key stay good; whether a certificate has ended or its mesh is
 * another one is looked at each time, by those who ask.
 */

/** Issuers and relays of a few meshes, and the peers of a busy hour. The oldest goes first. */
const signaturesMax = 256

/** A certificate; a list is larger, and is read once. */
const messageBytesMax = 4_096

interface Verified {
  readonly publicKey: Uint8Array
  readonly message: Uint8Array
}

export class VerifiedSignatures {
  readonly #bySignature = new Map<string, Verified>()

  /** Whether exactly this was found good before. */
  has(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    const known = this.#bySignature.get(nameOf(signature))
    return known !== undefined && Buffer.compare(known.publicKey, publicKey) === 0 && Buffer.compare(known.message, message) === 0
  }

  /** It was found good. Keeps copies. */
  add(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): void {
    if (message.length > messageBytesMax) return
    if (this.#bySignature.size >= signaturesMax)
      for (const oldest of this.#bySignature.keys()) {
        this.#bySignature.delete(oldest)
        break
      }
    this.#bySignature.set(nameOf(signature), { publicKey: publicKey.slice(), message: message.slice() })
  }
}

/** Every byte is a character. */
function nameOf(signature: Uint8Array): string {
  return Buffer.from(signature.buffer, signature.byteOffset, signature.length).toString('latin1')
}
