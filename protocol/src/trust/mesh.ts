/** Making a mesh, and reading the public document that describes it. */

import { base64url, hex, textOf, unbase64url, unhex, utf8 } from '../bytes.ts'
import { IssuerCertificateSchema } from '../control/gen/sennit/v1/trust_pb.ts'
import { type CryptoProvider, type KeyPair, keyBytes } from '../crypto.ts'
import { ProtocolError } from '../errors.ts'
import { checkKeys, checkMesh, checkSignature, checkTime } from './certificates.ts'
import { numberOf, open, sign, signatureContext } from './signature.ts'
import type { MeshTrust } from './types.ts'

/** 128 bits: two meshes never draw the same id by chance. */
const meshIdBytes = 16

/** Issuers are online keys, renewed by the root; ten years is what a forgotten root may leave behind. */
export const issuerLifeMs: number = 3_653 * 24 * 3_600_000

/** The document is some 2 KiB; a larger file is another one. */
const meshDocumentBytesMax = 65_536

/** The private keys of a mesh. The root belongs offline; each issuer only where it issues. */
export interface MeshKeys {
  readonly root: KeyPair
  readonly relayIssuer: KeyPair
  readonly userIssuer: KeyPair
  readonly listSigner: KeyPair
}

/** A new mesh. */
export interface NewMesh {
  readonly trust: MeshTrust
  readonly keys: MeshKeys
  /** The public JSON document (`mesh.json`), which {@link parseMeshTrust} reads. */
  readonly document: Uint8Array
}

/** Draws the id and the keys of a mesh, and has the root sign the three issuers. */
export function issueMesh(crypto: CryptoProvider, nowMs: number, lifeMs: number = issuerLifeMs): NewMesh {
  const meshId = hex(crypto.randomBytes(meshIdBytes))
  const keys: MeshKeys = {
    root: crypto.generateEd25519(),
    relayIssuer: crypto.generateEd25519(),
    userIssuer: crypto.generateEd25519(),
    listSigner: crypto.generateEd25519(),
  }
  const issuer = (role: string, key: KeyPair): string =>
    base64url(
      sign(crypto, keys.root.privateKey, signatureContext.issuer, IssuerCertificateSchema, {
        meshId,
        role,
        key: key.publicKey,
        notBeforeMs: BigInt(nowMs),
        notAfterMs: BigInt(nowMs + lifeMs),
      }),
    )
  const document = {
    type: 'sennit mesh 1',
    meshId,
    rootKey: hex(keys.root.publicKey),
    relayIssuer: issuer('relay', keys.relayIssuer),
    userIssuer: issuer('user', keys.userIssuer),
    listSigner: issuer('list', keys.listSigner),
  }
  return {
    trust: {
      meshId,
      rootKey: keys.root.publicKey,
      relayIssuerKey: keys.relayIssuer.publicKey,
      userIssuerKey: keys.userIssuer.publicKey,
      listSignerKey: keys.listSigner.publicKey,
    },
    keys,
    document: utf8(`${JSON.stringify(document, undefined, 2)}\n`),
  }
}

/**
 * Reads a mesh document and checks the root's signature on each issuer.
 * Whoever holds the document trusts the root key in it, so it must come from a trusted place, like the credential it lies in.
 * @throws SennitError `certificate_forged`, `certificate_expired`, `certificate_not_yet_valid`, `certificate_foreign`
 * @throws ProtocolError `malformed`
 */
export function parseMeshTrust(document: Uint8Array, crypto: CryptoProvider, nowMs: number): MeshTrust {
  const fields = readDocument(document)
  const rootKey = unhex(fields.rootKey)
  checkKeys([rootKey])
  const trust = { meshId: fields.meshId, rootKey, relayIssuerKey: rootKey, userIssuerKey: rootKey, listSignerKey: rootKey }
  const issuer = (role: string, text: string): Uint8Array => {
    const what = `the mesh's ${role} key`
    const opened = open(what, IssuerCertificateSchema, unbase64url(text))
    checkMesh(trust, opened.body.meshId, what)
    checkSignature(opened.verify(crypto, rootKey, signatureContext.issuer), what, 'mesh root')
    if (opened.body.role !== role || opened.body.key.length !== keyBytes) {
      throw new ProtocolError('malformed', `expected ${what}, found another role or key`, { role })
    }
    checkTime({ notBeforeMs: numberOf(opened.body.notBeforeMs), notAfterMs: numberOf(opened.body.notAfterMs) }, nowMs, what)
    return opened.body.key
  }
  return {
    meshId: fields.meshId,
    rootKey,
    relayIssuerKey: issuer('relay', fields.relayIssuer),
    userIssuerKey: issuer('user', fields.userIssuer),
    listSignerKey: issuer('list', fields.listSigner),
  }
}

type MeshDocument = Record<'meshId' | 'rootKey' | 'relayIssuer' | 'userIssuer' | 'listSigner', string>

function readDocument(document: Uint8Array): MeshDocument {
  if (document.length > meshDocumentBytesMax) throw malformed('a mesh document')
  let fields: unknown
  try {
    fields = JSON.parse(textOf(document))
  } catch (cause) {
    throw malformed('JSON', cause)
  }
  if (typeof fields !== 'object' || fields === null) throw malformed('an object')
  const found = fields as Record<string, unknown>
  if (found.type !== 'sennit mesh 1') throw malformed("the type 'sennit mesh 1'")
  const text = (name: string): string => {
    const value = found[name]
    if (typeof value !== 'string') throw malformed(`the text field '${name}'`)
    return value
  }
  const meshId = text('meshId')
  if (!/^[0-9a-f]{32}$/.test(meshId)) throw malformed('a mesh id of 32 hex digits')
  return {
    meshId,
    rootKey: text('rootKey'),
    relayIssuer: text('relayIssuer'),
    userIssuer: text('userIssuer'),
    listSigner: text('listSigner'),
  }
}

function malformed(expected: string, cause?: unknown): ProtocolError {
  return new ProtocolError('malformed', `expected ${expected} in the mesh document, found something else`, {}, cause)
}
