/**
 * HandshakeState of the Noise specification (revision 34, §5.3) for the patterns XX and IK, with the `psk` modifiers (§9).
 * One suite: 25519_ChaChaPoly_SHA256. A new suite would be a new protocol name, never a negotiation.
 */

import { concat } from '../bytes.ts'
import { type CryptoProvider, type KeyPair, keyBytes, tagBytes } from '../crypto.ts'
import { ProtocolError, SennitError } from '../errors.ts'
import type { HandshakeKeys } from '../session/secrets.ts'
import { SymmetricState } from './symmetric-state.ts'

export type NoisePattern = 'XX' | 'IK'
export type NoiseRole = 'initiator' | 'responder'
type Token = 'e' | 's' | 'ee' | 'es' | 'se' | 'ss' | 'psk'

const patterns: Readonly<Record<NoisePattern, readonly (readonly Token[])[]>> = {
  XX: [['e'], ['e', 'ee', 's', 'es'], ['s', 'se']],
  IK: [
    ['e', 'es', 's', 'ss'],
    ['e', 'ee', 'se'],
  ],
}

/** A Noise message is at most this long (specification §3). */
export const noiseMessageBytesMax = 65_535

export interface HandshakeStateOptions {
  readonly crypto: CryptoProvider
  readonly pattern: NoisePattern
  readonly role: NoiseRole
  readonly prologue: Uint8Array
  readonly staticKey: KeyPair
  /** IK's initiator must know it. */
  readonly remoteStatic?: Uint8Array
  /** 32 bytes known to both, mixed in at `pskAt`. */
  readonly psk?: Uint8Array
  /** Place of the modifier: 3 for `XXpsk3`, 2 for `IKpsk2`. 0 is before the first message. Demanded with `psk`. */
  readonly pskAt?: number
  /** Only for test vectors. @default a fresh pair */
  readonly ephemeral?: KeyPair
}

/** One handshake of one end: write and read messages in turn until {@link finished}, then {@link keys}. */
export class HandshakeState {
  readonly #options: HandshakeStateOptions
  readonly #crypto: CryptoProvider
  readonly #messages: readonly (readonly Token[])[]
  readonly #role: NoiseRole
  readonly #staticKey: KeyPair
  readonly #psk: Uint8Array | undefined
  #symmetric: SymmetricState
  #ephemeral: KeyPair | undefined
  #remoteStatic: Uint8Array | undefined
  #remoteEphemeral: Uint8Array | undefined
  #next = 0
  #broken = false

  constructor(options: HandshakeStateOptions) {
    const { crypto, pattern, role, prologue, staticKey, remoteStatic, psk, pskAt, ephemeral } = options
    if ((psk === undefined) !== (pskAt === undefined)) throw new SennitError('internal', 'a pre-shared key and its place go together')
    if (psk !== undefined && psk.length !== keyBytes) throw new SennitError('internal', `expected a pre-shared key of ${keyBytes} bytes`)
    this.#options = options
    this.#crypto = crypto
    this.#role = role
    this.#staticKey = staticKey
    this.#psk = psk
    this.#ephemeral = ephemeral
    this.#messages = withPsk(patterns[pattern], pskAt)
    const modifier = pskAt === undefined ? '' : `psk${pskAt}`
    this.#symmetric = new SymmetricState(crypto, `Noise_${pattern}${modifier}_25519_ChaChaPoly_SHA256`)
    this.#symmetric.mixHash(prologue)
    if (pattern === 'IK') {
      if (role === 'initiator') {
        if (remoteStatic === undefined) throw new SennitError('internal', 'the initiator of IK must know the key of the responder')
        this.#remoteStatic = remoteStatic
        this.#symmetric.mixHash(remoteStatic)
      } else {
        this.#symmetric.mixHash(staticKey.publicKey)
      }
    }
  }

  /** All messages were written and read. */
  get finished(): boolean {
    return this.#next === this.#messages.length && !this.#broken
  }

  /** The peer's static key, as soon as it is known. Authenticated only by what is encrypted after it: wait for {@link finished}. */
  get remoteStatic(): Uint8Array | undefined {
    return this.#remoteStatic
  }

  /** The handshake hash so far; final when {@link finished}. */
  get handshakeHash(): Uint8Array {
    return this.#symmetric.hash
  }

  /** An independent copy: a message that may be forged is tried on one, and the original waits for the true message. */
  clone(): HandshakeState {
    const copy = new HandshakeState(this.#options)
    copy.#symmetric = this.#symmetric.clone()
    copy.#ephemeral = this.#ephemeral
    copy.#remoteStatic = this.#remoteStatic
    copy.#remoteEphemeral = this.#remoteEphemeral
    copy.#next = this.#next
    copy.#broken = this.#broken
    return copy
  }

  /** The next message with `payload` inside; encrypted from the point on where the pattern has a key. */
  writeMessage(payload: Uint8Array): Uint8Array {
    const pieces: Uint8Array[] = []
    for (const token of this.#turn(true)) {
      if (token === 'e') {
        this.#ephemeral ??= this.#crypto.generateX25519()
        pieces.push(this.#ephemeral.publicKey)
        this.#mixEphemeral(this.#ephemeral.publicKey)
      } else if (token === 's') {
        pieces.push(this.#symmetric.encryptAndHash(this.#staticKey.publicKey))
      } else {
        this.#mixToken(token)
      }
    }
    pieces.push(this.#symmetric.encryptAndHash(payload))
    const message = concat(pieces)
    if (message.length > noiseMessageBytesMax) {
      throw new SennitError('too_large', `expected a handshake message of at most ${noiseMessageBytesMax} bytes, found ${message.length}`)
    }
    this.#next += 1
    return message
  }

  /**
   * The payload of the next message of the peer.
   * @throws ProtocolError `handshake_forged`, `malformed` or `bad_public_key`; the state is useless afterwards, see {@link clone}
   */
  readMessage(message: Uint8Array): Uint8Array {
    const tokens = this.#turn(false)
    // Broken until the end is reached, so that no half-read state can go on.
    this.#broken = true
    let offset = 0
    const take = (length: number): Uint8Array => {
      if (message.length - offset < length) {
        throw new ProtocolError('malformed', 'expected a longer handshake message', { length: message.length })
      }
      offset += length
      return message.subarray(offset - length, offset)
    }
    for (const token of tokens) {
      if (token === 'e') {
        this.#remoteEphemeral = take(keyBytes)
        this.#mixEphemeral(this.#remoteEphemeral)
      } else if (token === 's') {
        this.#remoteStatic = this.#symmetric.decryptAndHash(take(this.#symmetric.keyed ? keyBytes + tagBytes : keyBytes))
      } else {
        this.#mixToken(token)
      }
    }
    const payload = this.#symmetric.decryptAndHash(message.subarray(offset))
    this.#broken = false
    this.#next += 1
    return payload
  }

  /** The transport keys. @throws SennitError `handshake_failed` unless {@link finished} */
  keys(): HandshakeKeys {
    if (!this.finished) throw new SennitError('handshake_failed', 'the handshake is not finished')
    const [initiatorKey, responderKey] = this.#symmetric.split()
    return { initiatorKey, responderKey, handshakeHash: this.#symmetric.hash }
  }

  #turn(writing: boolean): readonly Token[] {
    const tokens = this.#messages[this.#next]
    const own = (this.#next % 2 === 0) === (this.#role === 'initiator')
    if (tokens === undefined || this.#broken || own !== writing) {
      throw new SennitError('handshake_failed', 'a handshake message out of turn', { next: this.#next, role: this.#role })
    }
    return tokens
  }

  #mixEphemeral(publicKey: Uint8Array): void {
    this.#symmetric.mixHash(publicKey)
    // With a pre-shared key every ephemeral is mixed into the key too, so that no key is ever used without fresh randomness.
    if (this.#psk !== undefined) this.#symmetric.mixKey(publicKey)
  }

  #mixToken(token: Token): void {
    if (token === 'psk') {
      this.#symmetric.mixKeyAndHash(this.#psk!)
      return
    }
    const initiator = this.#role === 'initiator'
    const ownStatic = token === 'ss' || (initiator ? token === 'se' : token === 'es')
    const peerStatic = token === 'ss' || (initiator ? token === 'es' : token === 'se')
    const own = ownStatic ? this.#staticKey : this.#ephemeral
    const peer = peerStatic ? this.#remoteStatic : this.#remoteEphemeral
    if (own === undefined || peer === undefined) throw new SennitError('internal', `no keys for ${token}`)
    this.#symmetric.mixKey(this.#crypto.x25519(own.privateKey, peer))
  }
}

function withPsk(messages: readonly (readonly Token[])[], pskAt: number | undefined): readonly (readonly Token[])[] {
  if (pskAt === undefined) return messages
  if (pskAt > messages.length) throw new SennitError('internal', `the pattern has no place psk${pskAt}`)
  return messages.map((tokens, index): readonly Token[] => {
    if (pskAt === 0 && index === 0) return ['psk', ...tokens]
    return index === pskAt - 1 ? [...tokens, 'psk'] : tokens
  })
}
