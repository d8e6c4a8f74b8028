/** A client that runs is given another credential of its user: whether it may take it. */
import {
  type CryptoProvider,
  checkCertifiedKey,
  type MeshTrust,
  SennitError,
  type UserIdentity,
  verifyUserCertificate,
} from '@sennit/protocol'

export interface RenewalFacts {
  readonly crypto: CryptoProvider
  readonly trust: MeshTrust
  /** Who the client is, and stays. */
  readonly user: string
}

/**
 * Checks what everybody else would: mesh, signature, time, name and keys. Returns when the certificate ends.
 * @throws SennitError `certificate_*` (`certificate_foreign`: of another mesh), `name_mismatch`, `key_mismatch`
 */
export function checkRenewal(nowMs: number, offered: UserIdentity, { crypto, trust, user }: RenewalFacts): number {
  const certificate = verifyUserCertificate(trust, offered.certificate, nowMs, crypto)
  for (const found of [offered.user, certificate.user])
    if (found !== user)
      throw new SennitError(
        'name_mismatch',
        `expected a credential of '${user}', for a client stays whose it is; found one of '${found}'`,
        {
          expected: user,
          found,
        },
      )
  const whose = `the credential of '${user}'`
  checkCertifiedKey(certificate.identityKey, offered.identityKey.publicKey, whose)
  checkCertifiedKey(certificate.hopKey, offered.hopKey.publicKey, whose)
  checkCertifiedKey(certificate.endKey, offered.endKey.publicKey, whose)
  return certificate.notAfterMs
}
