/**
 * Cryptography is handed in, so that one machine runs on node:crypto, in a browser and in the simulator.
 * Everything is synchronous: a machine must not wait in the middle of a decision.
 */

import { concat } from './bytes.ts'

/** 32 bytes each: X25519 (RFC 7748), or Ed25519 (RFC 8032) with the seed as its private key. */
export interface KeyPair {
  readonly publicKey: Uint8Array
  readonly privateKey: Uint8Array
}

/** ChaCha20-Poly1305 (RFC 8439) under one key. Nonces are 12 bytes. */
export interface Aead {
  /**
   * Pieces whose concatenation is ciphertext ‖ tag(16). Pieces are taken as they are, so that a big payload is never copied to be joined.
   * They may be the very arrays passed in (the simulator's), so neither may be written to afterwards.
   */
  seal(nonce: Uint8Array, associatedData: Uint8Array, plaintext: readonly Uint8Array[]): Uint8Array[]
  /** The plaintext in one array, or undefined when it is forged, cut or under another key. */
  open(nonce: Uint8Array, associatedData: Uint8Array, sealed: readonly Uint8Array[]): Uint8Array | undefined
}

/** The algorithms of the one suite: X25519, ChaCha20-Poly1305, SHA-256, Ed25519. */
export interface CryptoProvider {
  readonly name: string
  randomBytes(length: number): Uint8Array
  generateX25519(): KeyPair
  /** The shared secret. @throws ProtocolError `bad_public_key` when it would be all zero */
  x25519(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array
  /** Of all parts as if they were joined. */
  sha256(parts: readonly Uint8Array[]): Uint8Array
  hmacSha256(key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array
  /** Costs a key set-up; keep the result as long as the key. */
  aead(key: Uint8Array): Aead
  generateEd25519(): KeyPair
  ed25519Sign(privateKey: Uint8Array, message: Uint8Array): Uint8Array
  /** False for everything that is not a right signature, malformed keys included. */
  ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean
}

/** Bytes of an AEAD tag. */
export const tagBytes = 16

/** Bytes of every symmetric, X25519 and Ed25519 key. */
export const keyBytes = 32

/** HKDF with SHA-256 (RFC 5869): extract with `salt`, expand with `info` to `length` bytes (at most 255 × 32). */
export function hkdf(crypto: CryptoProvider, salt: Uint8Array, inputKey: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  const pseudoRandomKey = crypto.hmacSha256(salt, [inputKey])
  const blocks: Uint8Array[] = []
  let block: Uint8Array = new Uint8Array(0)
  for (let made = 0; made < length; made += block.length) {
    block = crypto.hmacSha256(pseudoRandomKey, [block, info, new Uint8Array([blocks.length + 1])])
    blocks.push(block)
  }
  return concat(blocks).subarray(0, length)
}
