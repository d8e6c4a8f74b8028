// Certificates that have ended, or are about to: made with the mesh's own keys, as an operator who forgot to renew them would have them.
import { join } from 'node:path'
import type { ClientCredential } from '@sennit/client'
import { issueRelayCertificate, issueUserCertificate, verifyUserCertificate } from '@sennit/protocol'
import { nodeCrypto, readCredential, readKeyFile, readMeshTrust, readRelayIdentity, writeCertificateFile } from '@sennit/protocol/node'

/** So long a certificate held that has ended. */
const heldMs = 24 * 3_600_000

/** Puts a certificate of the same key that ended at `endsMs` in the place of a relay's. Returns what puts the old one back. */
export function endRelayCertificate(meshDir: string, relayId: string, endsMs: number): () => void {
  const base = join(meshDir, 'relays', relayId)
  const { certificate, staticKey } = readRelayIdentity(relayId, `${base}.key`, `${base}.cert`)
  const { privateKey } = readKeyFile(join(meshDir, 'issuers', 'relay.key'))
  const ended = issueRelayCertificate(nodeCrypto(), privateKey, {
    meshId: readMeshTrust(join(meshDir, 'mesh.json')).meshId,
    relayId,
    staticKey: staticKey.publicKey,
    notBeforeMs: Math.floor(endsMs) - heldMs,
    notAfterMs: Math.floor(endsMs),
  })
  writeCertificateFile(`${base}.cert`, ended)
  return () => writeCertificateFile(`${base}.cert`, certificate)
}

/** A user's credential with the same keys, whose certificate ends at `endsMs`. @throws SennitError `file_unreadable` without the mesh's issuer of users */
export function credentialThatEnds(meshDir: string, file: string, endsMs: number): ClientCredential {
  const crypto = nodeCrypto()
  const credential = readCredential(file)
  const { trust, identity } = credential
  const { privateKey } = readKeyFile(join(meshDir, 'issuers', 'user.key'))
  const { applications, epoch } = verifyUserCertificate(trust, identity.certificate, Date.now(), crypto)
  const certificate = issueUserCertificate(crypto, privateKey, {
    meshId: trust.meshId,
    user: identity.user,
    identityKey: identity.identityKey.publicKey,
    hopKey: identity.hopKey.publicKey,
    endKey: identity.endKey.publicKey,
    applications,
    epoch,
    notBeforeMs: Math.floor(endsMs) - heldMs,
    notAfterMs: Math.floor(endsMs),
  })
  return { ...credential, identity: { ...identity, certificate } }
}
