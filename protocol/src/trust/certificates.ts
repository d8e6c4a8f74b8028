/** User and relay certificates: issue and verify. A relay and both ends of a connection verify offline, with the public keys alone. */

import { equalBytes } from '../bytes.ts'
import { RelayCertificateSchema, UserCertificateSchema } from '../control/gen/sennit/v1/trust_pb.ts'
import { type CryptoProvider, keyBytes } from '../crypto.ts'
import { ProtocolError, SennitError } from '../errors.ts'
import { isName } from './names.ts'
import { numberOf, open, sign, signatureContext } from './signature.ts'
import type { MeshTrust, RelayCertificate, UserCertificate } from './types.ts'

/** Distinguishes two certificates of one user in logs; 128 bits never meet by chance. */
const serialBytes = 16

/** A year: what security.md allows a user certificate at most. */
export const certificateLifeMs: number = 366 * 24 * 3_600_000

/** A certificate is at most some keys and a list of applications; more is nobody's certificate. */
export const certificateBytesMax = 4_096

/** The fields of a new user certificate. */
export interface UserCertificateRequest {
  readonly meshId: string
  readonly user: string
  readonly identityKey: Uint8Array
  readonly hopKey: Uint8Array
  readonly endKey: Uint8Array
  readonly applications?: readonly string[]
  readonly epoch?: number
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** Signs a user certificate with the user issuer's private key. */
export function issueUserCertificate(crypto: CryptoProvider, issuerPrivateKey: Uint8Array, request: UserCertificateRequest): Uint8Array {
  return sign(crypto, issuerPrivateKey, signatureContext.user, UserCertificateSchema, {
    meshId: request.meshId,
    user: request.user,
    identityKey: request.identityKey,
    hopKey: request.hopKey,
    endKey: request.endKey,
    applications: [...(request.applications ?? [])],
    epoch: request.epoch ?? 1,
    notBeforeMs: BigInt(request.notBeforeMs),
    notAfterMs: BigInt(request.notAfterMs),
    serial: crypto.randomBytes(serialBytes),
  })
}

/** Signs a relay certificate with the relay issuer's private key. */
export function issueRelayCertificate(crypto: CryptoProvider, issuerPrivateKey: Uint8Array, request: RelayCertificate): Uint8Array {
  return sign(crypto, issuerPrivateKey, signatureContext.relay, RelayCertificateSchema, {
    ...request,
    notBeforeMs: BigInt(request.notBeforeMs),
    notAfterMs: BigInt(request.notAfterMs),
  })
}

/**
 * What a user certificate says, once its mesh, signature and time are right.
 * @throws SennitError `certificate_foreign`, `certificate_forged`, `certificate_expired`, `certificate_not_yet_valid`
 * @throws ProtocolError `certificate_malformed`
 */
export function verifyUserCertificate(trust: MeshTrust, bytes: Uint8Array, nowMs: number, crypto: CryptoProvider): UserCertificate {
  return readable(() => userCertificate(trust, bytes, nowMs, crypto))
}

function userCertificate(trust: MeshTrust, bytes: Uint8Array, nowMs: number, crypto: CryptoProvider): UserCertificate {
  checkSize(bytes)
  const opened = open('a user certificate', UserCertificateSchema, bytes)
  const { meshId, user, identityKey, hopKey, endKey, applications, epoch, serial } = opened.body
  const certificate: UserCertificate = {
    meshId,
    user,
    identityKey,
    hopKey,
    endKey,
    applications,
    epoch,
    notBeforeMs: numberOf(opened.body.notBeforeMs),
    notAfterMs: numberOf(opened.body.notAfterMs),
    serial,
  }
  checkMesh(trust, meshId, `the certificate of user ${show(user)}`)
  checkSignature(opened.verify(crypto, trust.userIssuerKey, signatureContext.user), `the certificate of user ${show(user)}`, 'user issuer')
  checkKeys([identityKey, hopKey, endKey])
  if (!isName(user)) throw new ProtocolError('malformed', `expected a user name in the certificate, found ${show(user)}`, { user })
  checkTime(certificate, nowMs, `the certificate of user ${user}`)
  return certificate
}

/**
 * What a relay certificate says, once its mesh, signature and time are right.
 * @throws SennitError `certificate_foreign`, `certificate_forged`, `certificate_expired`, `certificate_not_yet_valid`
 * @throws ProtocolError `certificate_malformed`
 */
export function verifyRelayCertificate(trust: MeshTrust, bytes: Uint8Array, nowMs: number, crypto: CryptoProvider): RelayCertificate {
  return readable(() => relayCertificate(trust, bytes, nowMs, crypto))
}

function relayCertificate(trust: MeshTrust, bytes: Uint8Array, nowMs: number, crypto: CryptoProvider): RelayCertificate {
  checkSize(bytes)
  const opened = open('a relay certificate', RelayCertificateSchema, bytes)
  const { meshId, relayId, staticKey } = opened.body
  const certificate: RelayCertificate = {
    meshId,
    relayId,
    staticKey,
    notBeforeMs: numberOf(opened.body.notBeforeMs),
    notAfterMs: numberOf(opened.body.notAfterMs),
  }
  checkMesh(trust, meshId, `the certificate of relay ${show(relayId)}`)
  checkSignature(
    opened.verify(crypto, trust.relayIssuerKey, signatureContext.relay),
    `the certificate of relay ${show(relayId)}`,
    'relay issuer',
  )
  checkKeys([staticKey])
  checkTime(certificate, nowMs, `the certificate of relay ${show(relayId)}`)
  return certificate
}

/** Bytes that are no certificate get a code of their own: whoever shows them is refused for good, unlike one whose words were damaged on the way. */
function readable<Certificate>(verify: () => Certificate): Certificate {
  try {
    return verify()
  } catch (cause) {
    if (!(cause instanceof ProtocolError) || cause.code !== 'malformed') throw cause
    throw new ProtocolError('certificate_malformed', cause.message, cause.facts, cause)
  }
}

/** Whether a certificate lets its user take part in `application`. An empty list allows all. */
export function certificateAllows(certificate: UserCertificate, application: string): boolean {
  return certificate.applications.length === 0 || certificate.applications.includes(application)
}

/** @throws SennitError `key_mismatch` when the certified key is not the one the handshake proved */
export function checkCertifiedKey(certified: Uint8Array, proved: Uint8Array, whose: string): void {
  if (!equalBytes(certified, proved)) {
    throw new SennitError('key_mismatch', `expected ${whose} to hold the key of its certificate, found another key in the handshake`, {})
  }
}

/** @throws SennitError `certificate_foreign` */
export function checkMesh(trust: MeshTrust, meshId: string, what: string): void {
  if (meshId !== trust.meshId) {
    throw new SennitError('certificate_foreign', `expected ${what} to be of mesh ${trust.meshId}, found mesh ${show(meshId)}`, {
      expected: trust.meshId,
      found: meshId,
    })
  }
}

/** @throws SennitError `certificate_forged` */
export function checkSignature(right: boolean, what: string, signer: string): void {
  if (!right) throw new SennitError('certificate_forged', `expected the ${signer}'s signature on ${what}, found one that is not`, {})
}

/** @throws SennitError `certificate_expired`, `certificate_not_yet_valid`; the facts carry the clock that judged */
export function checkTime(span: { readonly notBeforeMs: number; readonly notAfterMs: number }, nowMs: number, what: string): void {
  const facts = { nowMs, notBeforeMs: span.notBeforeMs, notAfterMs: span.notAfterMs }
  if (nowMs < span.notBeforeMs) {
    throw new SennitError('certificate_not_yet_valid', `${what} begins at ${time(span.notBeforeMs)}, and here it is ${time(nowMs)}`, facts)
  }
  if (nowMs >= span.notAfterMs) {
    throw new SennitError('certificate_expired', `${what} ended at ${time(span.notAfterMs)}, and here it is ${time(nowMs)}`, facts)
  }
}

/** @throws ProtocolError `malformed` */
export function checkKeys(keys: readonly Uint8Array[]): void {
  if (keys.some((key) => key.length !== keyBytes)) throw new ProtocolError('malformed', `expected keys of ${keyBytes} bytes`, {})
}

function checkSize(bytes: Uint8Array): void {
  if (bytes.length > certificateBytesMax) {
    throw new ProtocolError('malformed', `expected a certificate of at most ${certificateBytesMax} bytes, found ${bytes.length}`, {})
  }
}

function time(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? `${ms} ms` : date.toISOString()
}

/** Names of a document nobody has checked yet, made safe to print. */
function show(text: string): string {
  return isName(text) || /^[0-9a-f]{32}$/.test(text) ? `'${text}'` : '(unreadable)'
}
