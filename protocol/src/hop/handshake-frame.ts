/**
 * Framing while the handshake runs: `u16 length ‖ u8 type ‖ body`, big endian; the length counts type and body.
 * A frame has the shape of a record's clear length and block, so that an end that already awaits records can still read a refusal.
 */

import { create, type DescMessage, fromBinary, type MessageInitShape, type MessageShape, toBinary } from '@bufbuild/protobuf'
import { utf8 } from '../bytes.ts'
import { RefusalSchema } from '../control/gen/sennit/v1/hop_pb.ts'
import type { CryptoProvider } from '../crypto.ts'
import { ProtocolError, SennitError } from '../errors.ts'
import type { VersionRange } from './types.ts'

/**
 * Types of handshake frames; numbers are never reused. `cookie`: the relay is busy, come again with this. `again`: cookie ‖ u8 type ‖ body of the
 * first message.
 */
export const HANDSHAKE_FRAME = { xx: 1, ik: 2, tryXx: 3, refuse: 4, cookie: 5, again: 6 } as const

/** Before it is authenticated a peer is worth this many bytes: two handshake messages with certificates take under 2 KiB. */
export const handshakeBytesMax = 8_192

/** Long enough for every slow phone network, short enough that half-open attachments do not pile up. */
export const handshakeWithinMs = 10_000

/** Hop protocol versions of this software. */
export const hopVersions: VersionRange = { min: 1, max: 1 }

const meshNonceBytes = 8
const meshTagBytes = 16
const meshContext = utf8('sennit mesh\0')

/** A handshake that cannot go on. `remote`: the other side said so. `keys`: the sealed channel exists, so the peer can be told through it. */
export class HandshakeFailure extends SennitError {
  readonly remote: boolean
  readonly keys: TransportKeys | undefined

  constructor(code: string, message: string, about: { remote?: boolean; keys?: TransportKeys; cause?: unknown } = {}) {
    super(code, message, {}, about.cause)
    this.remote = about.remote ?? false
    this.keys = about.keys
  }
}

/** The keys of both directions, by who uses them here. */
export interface TransportKeys {
  readonly send: Uint8Array
  readonly receive: Uint8Array
  readonly handshakeHash: Uint8Array
}

export function encodeHandshakeFrame(type: number, body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(3 + body.length)
  const length = 1 + body.length
  frame[0] = length >>> 8
  frame[1] = length
  frame[2] = type
  frame.set(body, 3)
  return frame
}

export function encodeRefusal(code: string, message: string): Uint8Array {
  return encodeHandshakeFrame(HANDSHAKE_FRAME.refuse, encodeMessage(RefusalSchema, { code, message: message.slice(0, 900) }))
}

/** What a refusal says, made safe to print: it may come from anybody on the way. */
export function decodeRefusal(body: Uint8Array): { code: string; message: string } {
  return refusalOf(decodeMessage('a refusal', RefusalSchema, body))
}

export function refusalOf({ code, message }: { code: string; message: string }): { code: string; message: string } {
  return { code: /^[a-z0-9_]{1,64}$/.test(code) ? code : 'refused', message: printable(message) }
}

export function printable(message: string): string {
  return message.slice(0, 1_024).replace(/[^\x20-\x7e\u00a0-\ud7ff]/g, '?')
}

export function encodeMessage<T extends DescMessage>(schema: T, fields: MessageInitShape<T>): Uint8Array {
  return toBinary(schema, create(schema, fields))
}

/** @throws ProtocolError `malformed` */
export function decodeMessage<T extends DescMessage>(what: string, schema: T, bytes: Uint8Array): MessageShape<T> {
  try {
    return fromBinary(schema, bytes)
  } catch (cause) {
    throw new ProtocolError('malformed', `expected ${what}, found bytes that are none`, { bytes: bytes.length }, cause)
  }
}

/** What both ends must agree on before the first message. */
export function hopPrologue(meshId: string, carrier: string): Uint8Array {
  return utf8(`sennit hop 1\0${meshId}\0${carrier}`)
}

/** Says which mesh is meant to whoever knows its id, and nothing to others. */
export function makeMeshTag(crypto: CryptoProvider, meshId: string): Uint8Array {
  const tag = new Uint8Array(meshTagBytes)
  tag.set(crypto.randomBytes(meshNonceBytes))
  tag.set(meshDigest(crypto, tag, meshId), meshNonceBytes)
  return tag
}

export function isMeshTag(crypto: CryptoProvider, meshId: string, tag: Uint8Array): boolean {
  return tag.length === meshTagBytes && meshDigest(crypto, tag, meshId).every((byte, index) => byte === tag[meshNonceBytes + index])
}

function meshDigest(crypto: CryptoProvider, tag: Uint8Array, meshId: string): Uint8Array {
  return crypto.sha256([meshContext, tag.subarray(0, meshNonceBytes), utf8(meshId)]).subarray(0, meshTagBytes - meshNonceBytes)
}

/** The highest version both speak. */
export function commonVersion(own: VersionRange, peer: VersionRange): number | undefined {
  const version = Math.min(own.max, peer.max)
  return version >= Math.max(own.min, peer.min) && version > 0 ? version : undefined
}

/** What to tell a client whose versions are not ours: `out_of_date` when it must be updated, else `incompatible`. */
export function versionRefusal(
  relay: { software: string; versions: VersionRange },
  client: { software: string; versions: VersionRange },
): { code: string; message: string } {
  const old = client.versions.max < relay.versions.min
  const spoken = `the relay (${relay.software}) speaks hop versions ${span(relay.versions)}, the client (${client.software}) ${span(client.versions)}`
  return old
    ? { code: 'out_of_date', message: `${spoken}: update the client` }
    : { code: 'incompatible', message: `${spoken}: update the relay, or use another one` }
}

function span({ min, max }: VersionRange): string {
  return min === max ? `${min}` : `${min} to ${max}`
}
