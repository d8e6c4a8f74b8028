/** Key and credential files: small JSON documents, 0600. */

import { base64url, hex, textOf, unbase64url, unhex } from '../bytes.ts'
import { type CryptoProvider, type KeyPair, keyBytes } from '../crypto.ts'
import { ProtocolError, SennitError } from '../errors.ts'
import { parseMeshTrust } from '../trust/mesh.ts'
import { isName } from '../trust/names.ts'
import type { MeshTrust, RelayIdentity, UserIdentity } from '../trust/types.ts'
import { privateMode, publicMode, readNamedFile, writeFileAtomically } from './atomic-file.ts'
import { nodeCrypto } from './crypto.ts'

const keyType = 'sennit key 1'
const credentialType = 'sennit credential 1'

interface KeyText {
  readonly publicKey: string
  readonly privateKey: string
}

/** Writes a key pair, 0600. */
export function writeKeyFile(file: string, purpose: string, key: KeyPair): void {
  writeFileAtomically(file, json({ type: keyType, purpose, ...keyText(key) }), privateMode)
}

/** Reads a key pair. @throws SennitError `file_unreadable`, `file_malformed` */
export function readKeyFile(file: string): KeyPair {
  return named(file, () => {
    const fields = parse(readNamedFile(file, 'a key'), keyType)
    return keyPair(fields)
  })
}

/** Writes a relay's certificate, which is public. */
export function writeCertificateFile(file: string, certificate: Uint8Array): void {
  writeFileAtomically(file, `${base64url(certificate)}\n`, publicMode)
}

/**
 * Key and certificate of a relay. Whether they belong together and to the mesh is for `verifyRelayCertificate` to say.
 * @throws SennitError `file_unreadable`, `file_malformed`
 */
export function readRelayIdentity(relayId: string, keyFile: string, certificateFile: string): RelayIdentity {
  const staticKey = readKeyFile(keyFile)
  const certificate = named(certificateFile, () => unbase64url(readNamedFile(certificateFile, 'a certificate').toString('latin1').trim()))
  return { relayId, staticKey, certificate }
}

/**
 * The public keys of a mesh, from its `mesh.json`.
 * @throws SennitError `file_unreadable`, `file_malformed`, `certificate_forged`, `certificate_expired`
 */
export function readMeshTrust(file: string, crypto: CryptoProvider = nodeCrypto(), nowMs: number = Date.now()): MeshTrust {
  return named(file, () => parseMeshTrust(readNamedFile(file, 'a mesh document'), crypto, nowMs))
}

/**
 * Writes a credential file, 0600: the mesh's public keys, the user's keys and certificate.
 * @param policy what the operator wants of this user's relays, as text; a client may say otherwise
 * @param durable also after a crash of the machine
 */
export function writeCredential(file: string, meshDocument: Uint8Array, identity: UserIdentity, policy?: string, durable = true): void {
  const document = {
    type: credentialType,
    user: identity.user,
    mesh: JSON.parse(textOf(meshDocument)) as unknown,
    identityKey: keyText(identity.identityKey),
    hopKey: keyText(identity.hopKey),
    endKey: keyText(identity.endKey),
    certificate: base64url(identity.certificate),
    ...(policy === undefined ? {} : { policy }),
  }
  writeFileAtomically(file, json(document), privateMode, durable)
}

/**
 * What a credential file holds. Time, revocation and the certified keys are judged by those it is shown to.
 * @throws SennitError `file_unreadable`, `file_malformed`, `certificate_forged`
 */
export function readCredential(
  file: string,
  crypto: CryptoProvider = nodeCrypto(),
  nowMs: number = Date.now(),
): { trust: MeshTrust; identity: UserIdentity; policy?: string } {
  return named(file, () => {
    const fields = parse(readNamedFile(file, 'a credential'), credentialType)
    const { user, mesh, certificate } = fields
    if (typeof user !== 'string' || !isName(user) || typeof certificate !== 'string') throw malformed('a user and a certificate')
    const trust = parseMeshTrust(Buffer.from(JSON.stringify(mesh ?? null)), crypto, nowMs)
    const identity = {
      user,
      identityKey: keyPair(fields.identityKey),
      hopKey: keyPair(fields.hopKey),
      endKey: keyPair(fields.endKey),
      certificate: unbase64url(certificate),
    }
    return { trust, identity, ...(typeof fields.policy === 'string' ? { policy: fields.policy } : {}) }
  })
}

function keyText({ publicKey, privateKey }: KeyPair): KeyText {
  return { publicKey: hex(publicKey), privateKey: hex(privateKey) }
}

function keyPair(value: unknown): KeyPair {
  const { publicKey, privateKey } = (value ?? {}) as Partial<Record<keyof KeyText, unknown>>
  if (typeof publicKey !== 'string' || typeof privateKey !== 'string') throw malformed('a public and a private key')
  const pair = { publicKey: unhex(publicKey), privateKey: unhex(privateKey) }
  if (pair.publicKey.length !== keyBytes || pair.privateKey.length !== keyBytes) throw malformed(`keys of ${keyBytes} bytes`)
  return pair
}

function parse(bytes: Uint8Array, type: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(textOf(bytes))
  } catch (cause) {
    throw malformed('JSON', cause)
  }
  if (typeof value !== 'object' || value === null) throw malformed('an object')
  const fields = value as Record<string, unknown>
  if (fields.type !== type) throw malformed(`the type '${type}'`)
  return fields
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}

function malformed(expected: string, cause?: unknown): ProtocolError {
  return new ProtocolError('malformed', `expected ${expected}, found something else`, {}, cause)
}

/** Errors about a file name it. */
function named<T>(file: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof SennitError) || cause.facts.file !== undefined) throw cause
    const code = cause.code === 'malformed' ? 'file_malformed' : cause.code
    throw new SennitError(code, `${file}: ${cause.message}`, { ...cause.facts, file }, cause)
  }
}
