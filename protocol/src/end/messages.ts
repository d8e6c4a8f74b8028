/**
 * Layouts of the three messages of the end handshake (Noise XX).
 *
 * message 1 = u8 variant ‖ varint length ‖ request ‖ Noise message 1 (no payload)
 *   request = u8 version min ‖ u8 version max ‖ u8 key modes ‖ text application ‖ text caller ‖ text listener ‖ instance(16) ‖
 *             varint attempt ‖ u8 0 or 16 ‖ previous connection id ‖ [varint features ‖ u8 0 or 32 ‖ relay secret [‖ text paths]] ‖ more is skipped
 * message 2 = u8 variant ‖ Noise message 2, payload = u8 version ‖ u8 key mode ‖ instance(16) ‖ text label ‖ credential ‖ [varint features] ‖
 *             more is skipped
 * message 3 = u8 variant ‖ Noise message 3, payload = credential ‖ more is skipped
 *   credential = u8 tag ‖ varint length ‖ body ‖ identity proof(64), see identity-proof.ts
 * What stands in brackets may be missing: 0, and no bytes.
 *
 * Prologue = "sennit e2e 1" ‖ 0 ‖ connection id(16) ‖ variant and request of message 1, as they travelled. So whatever the request says
 * is authenticated by the second message for the caller, and by the third for the listener.
 */

import { ByteReader } from '../byte-reader.ts'
import { ByteWriter } from '../byte-writer.ts'
import { concat, emptyBytes, utf8 } from '../bytes.ts'
import { ProtocolError, SennitError } from '../errors.ts'
import { pathsBytesMax } from '../frame/types.ts'
import { connectionIdBytes, relaySecretBytes } from '../session/secrets.ts'
import { identityProofBytes } from './identity-proof.ts'
import type { EndRequest } from './types.ts'

/** First byte of every message of the end handshake. */
export const END_VARIANT = { xx: 0x01, ik: 0x02 } as const

/** Tags of credentials in both handshakes; all but the certificate are reserved. */
export const END_CREDENTIAL = { certificate: 1, token: 2, enrol: 3, psk: 4 } as const

/** Longest message of the end handshake: it travels in a control message, with room for a certificate of 4 KiB. */
export const endMessageBytesMax = 8_192
/** Longest application id. */
export const applicationBytesMax = 128
/** A user name, a slash, a label. */
export const nameBytesMax = 127
const labelBytesMax = 63
const instanceBytes = 16

const prologueStart = utf8('sennit e2e 1\0')

function encodeRequest(request: EndRequest): Uint8Array {
  if (request.instance.length !== instanceBytes) throw new SennitError('internal', 'expected an instance of 16 bytes')
  const writer = new ByteWriter(192)
    .u8(request.versionMin)
    .u8(request.versionMax)
    .u8(request.keyModes)
    .text(request.application, applicationBytesMax)
    .text(request.caller, nameBytesMax)
    .text(request.listener, nameBytesMax)
    .bytes(request.instance)
    .varint(request.attempt)
  const { previous, features, relaySecret, paths } = request
  writeOptional(writer, previous, connectionIdBytes)
  if (features === 0 && relaySecret === undefined && paths === '') return writer.finish()
  writeOptional(writer.varint(features), relaySecret, relaySecretBytes)
  return (paths === '' ? writer : writer.text(paths, pathsBytesMax)).finish()
}

/** The part of message 1 before the Noise message: it goes into the prologue as it is. */
export function encodeHead(request: EndRequest): Uint8Array {
  const encoded = encodeRequest(request)
  return new ByteWriter(encoded.length + 3).u8(END_VARIANT.xx).varint(encoded.length).bytes(encoded).finish()
}

export interface OpenedMessage1 {
  readonly request: EndRequest
  readonly head: Uint8Array
  readonly noise: Uint8Array
}

export function decodeMessage1(message: Uint8Array): OpenedMessage1 {
  checkLength(message)
  const reader = new ByteReader(message)
  checkVariant(reader.u8())
  const encoded = reader.take(reader.varint())
  const head = message.subarray(0, reader.offset)
  return { request: decodeRequest(encoded), head, noise: reader.rest() }
}

function decodeRequest(encoded: Uint8Array): EndRequest {
  const reader = new ByteReader(encoded)
  const versionMin = reader.u8()
  const versionMax = reader.u8()
  const keyModes = reader.u8()
  const application = reader.text(applicationBytesMax)
  const caller = reader.text(nameBytesMax)
  const listener = reader.text(nameBytesMax)
  const instance = reader.take(instanceBytes)
  const attempt = reader.varint()
  const previous = readOptional(reader, connectionIdBytes)
  const says = reader.left > 0
  const features = says ? reader.varint() : 0
  const relaySecret = says ? readOptional(reader, relaySecretBytes) : undefined
  const paths = reader.left > 0 ? reader.text(pathsBytesMax) : ''
  return { versionMin, versionMax, keyModes, application, caller, listener, instance, attempt, previous, features, relaySecret, paths }
}

/** The Noise message inside message 2 or 3. */
export function noiseOf(message: Uint8Array): Uint8Array {
  checkLength(message)
  const reader = new ByteReader(message)
  checkVariant(reader.u8())
  return reader.rest()
}

/** Message 2 or 3 around a Noise message. */
export function withVariant(noise: Uint8Array): Uint8Array {
  return concat([new Uint8Array([END_VARIANT.xx]), noise])
}

export function prologueOf(connectionId: Uint8Array, head: Uint8Array): Uint8Array {
  if (connectionId.length !== connectionIdBytes) throw new SennitError('internal', 'expected a connection id of 16 bytes')
  return concat([prologueStart, connectionId, head])
}

/** Who an end is, and that it is. */
export interface ProvedCertificate {
  readonly certificate: Uint8Array
  readonly proof: Uint8Array
}

/** What the listener says in message 2. */
export interface Acceptance extends ProvedCertificate {
  readonly version: number
  readonly keyMode: number
  readonly instance: Uint8Array
  readonly label: string
  readonly features: number
}

export function encodeAcceptance(acceptance: Acceptance): Uint8Array {
  const writer = new ByteWriter(acceptance.certificate.length + acceptance.proof.length + 128)
    .u8(acceptance.version)
    .u8(acceptance.keyMode)
    .bytes(acceptance.instance)
    .text(acceptance.label, labelBytesMax)
  writer.bytes(encodeCredential(acceptance))
  return (acceptance.features === 0 ? writer : writer.varint(acceptance.features)).finish()
}

export function decodeAcceptance(payload: Uint8Array): Acceptance {
  const reader = new ByteReader(payload)
  const version = reader.u8()
  const keyMode = reader.u8()
  const instance = reader.take(instanceBytes)
  const label = reader.text(labelBytesMax)
  const credential = readCredential(reader)
  return { version, keyMode, instance, label, ...credential, features: reader.left > 0 ? reader.varint() : 0 }
}

export function encodeCredential({ certificate, proof }: ProvedCertificate): Uint8Array {
  const writer = new ByteWriter(certificate.length + proof.length + 8)
  return writer.u8(END_CREDENTIAL.certificate).varint(certificate.length).bytes(certificate).bytes(proof).finish()
}

/** The certificate of a credential and its proof, both unchecked. @throws SennitError `not_yet` for the reserved kinds */
export function readCredential(reader: ByteReader): ProvedCertificate {
  const tag = reader.u8()
  const body = reader.take(reader.varint())
  if (tag === END_CREDENTIAL.certificate) return { certificate: body, proof: reader.take(identityProofBytes) }
  if (tag === END_CREDENTIAL.token || tag === END_CREDENTIAL.enrol || tag === END_CREDENTIAL.psk) {
    throw new SennitError('not_yet', `this version accepts certificates only, found credential kind ${tag}`, { tag })
  }
  throw new ProtocolError('unsupported', `expected a known kind of credential, found ${tag}`, { tag })
}

function writeOptional(writer: ByteWriter, bytes: Uint8Array | undefined, length: number): void {
  if (bytes !== undefined && bytes.length !== length) throw new SennitError('internal', `expected ${length} bytes, found ${bytes.length}`)
  writer.u8(bytes?.length ?? 0).bytes(bytes ?? emptyBytes)
}

function readOptional(reader: ByteReader, expected: number): Uint8Array | undefined {
  const length = reader.u8()
  if (length === 0) return undefined
  if (length !== expected) throw new ProtocolError('malformed', `expected 0 or ${expected} bytes, found ${length}`, { length })
  return reader.take(length)
}

function checkLength(message: Uint8Array): void {
  if (message.length > endMessageBytesMax) {
    throw new ProtocolError('malformed', `expected a handshake message of at most ${endMessageBytesMax} bytes, found ${message.length}`, {
      length: message.length,
    })
  }
}

function checkVariant(variant: number): void {
  if (variant === END_VARIANT.xx) return
  if (variant === END_VARIANT.ik) throw new SennitError('not_yet', 'this version speaks Noise XX only, the peer asked for IK', { variant })
  throw new ProtocolError('unsupported', `expected a known handshake variant, found ${variant}`, { variant })
}
