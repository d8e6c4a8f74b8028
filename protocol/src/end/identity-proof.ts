/**
 * Proof that an end holds the Ed25519 identity key that its certificate names: a signature over the handshake so far, sealed inside the
 * handshake. The certificate alone proves only the keys that Noise uses; a user issuer could else certify an identity key that is not the
 * user's, and whoever pins or compares identity keys would be none the wiser.
 *
 * signed = "sennit e2e identity 1" ‖ 0 ‖ handshake hash before this message(32) ‖ own end-to-end key(32)
 *
 * The hash covers names, application, connection id and the other end's fresh ephemeral key, so a proof fits one handshake; the end key ties it
 * to whoever speaks.
 */

import { concat, utf8 } from '../bytes.ts'
import type { CryptoProvider } from '../crypto.ts'
import { SennitError } from '../errors.ts'
import type { UserCertificate, UserIdentity } from '../trust/types.ts'

/** Bytes of an Ed25519 signature. */
export const identityProofBytes = 64

const context = utf8('sennit e2e identity 1\0')

/** @param handshakeHash before the message that carries the proof is written */
export function proveIdentity(crypto: CryptoProvider, identity: UserIdentity, handshakeHash: Uint8Array): Uint8Array {
  return crypto.ed25519Sign(identity.identityKey.privateKey, concat([context, handshakeHash, identity.endKey.publicKey]))
}

/** @throws SennitError `identity_unproved` */
export function checkIdentity(crypto: CryptoProvider, certificate: UserCertificate, handshakeHash: Uint8Array, proof: Uint8Array): void {
  const signed = concat([context, handshakeHash, certificate.endKey])
  if (crypto.ed25519Verify(certificate.identityKey, signed, proof)) return
  throw new SennitError('identity_unproved', `expected '${certificate.user}' to prove its identity key, found another signature`, {
    user: certificate.user,
  })
}
