/** Control messages to bytes and back. What a newer peer adds is ignored; what is wrong is a ProtocolError. */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { ProtocolError, SennitError } from '../errors.ts'
import { type Control, ControlSchema } from './gen/sennit/v1/control_pb.ts'
import type { HopControl, ListenRefusedCode, ResultCode } from './types.ts'

/** One record's control bytes in all; the greatest message is a handshake with a certificate, some 2 KiB. */
export const controlBytesMax = 16_384

/** A relay hands out lists up to this size, some 2 000 relays; a longer one comes by file or by Consul. */
export const relayListBytesMax = 262_144

/** Bytes of a connection id, an instance id, an attachment id and a join tag. */
const idBytes = 16

/** Names on the wire; a user name has at most 63, an application id of 255 is a whole DNS name. */
const nameBytesMax = 255

/** Sentences for people: enough to say what was expected and found, never a place to hide a payload. */
const messageBytesMax = 1_024

type Wire = Control['message']

/** Encodes one message. @throws SennitError `too_large` over {@link controlBytesMax} */
export function encodeControl(message: HopControl): Uint8Array {
  if (message.type === 'ping' || message.type === 'pong') return encodeBeat(message)
  const bytes = toBinary(ControlSchema, create(ControlSchema, { message: toWire(message) as never }))
  if (bytes.length > controlBytesMax) {
    throw new SennitError('too_large', `expected a control message of at most ${controlBytesMax} bytes, found ${bytes.length}`, {
      type: message.type,
      bytes: bytes.length,
    })
  }
  return bytes
}

/**
 * Decodes one message; undefined when it is of a kind this version does not know, which is ignored.
 * Byte fields are subarrays of `bytes`.
 * @throws ProtocolError `malformed`
 */
export function decodeControl(bytes: Uint8Array): HopControl | undefined {
  if (bytes.length > controlBytesMax) {
    throw new ProtocolError('malformed', `expected a control message of at most ${controlBytesMax} bytes, found ${bytes.length}`, {})
  }
  const beat = decodeBeat(bytes)
  if (beat !== undefined) return beat
  let wire: Wire
  try {
    wire = fromBinary(ControlSchema, bytes).message
  } catch (cause) {
    throw new ProtocolError('malformed', 'expected a control message, found bytes that are none', { bytes: bytes.length }, cause)
  }
  return fromWire(wire)
}

/**
 * Pings and pongs by hand: they are most of the control messages of an idle attachment, and a relay has thousands of these.
 * The bytes are those of protobuf: tag of the message (17 or 18), its length, tag of field 1, the nonce as a varint.
 */
function encodeBeat({ type, nonce }: { readonly type: 'ping' | 'pong'; readonly nonce: number }): Uint8Array {
  const value = nonce >>> 0
  let size = value === 0 ? 0 : 2
  for (let rest = value >>> 7; rest !== 0; rest >>>= 7) size += 1
  const bytes = new Uint8Array(3 + size)
  bytes[0] = type === 'ping' ? pingTag : pongTag
  bytes[1] = 1
  bytes[2] = size
  if (size === 0) return bytes
  bytes[3] = nonceTag
  let rest = value
  for (let at = 4; at < bytes.length; at += 1) {
    bytes[at] = rest > 0x7f ? (rest & 0x7f) | 0x80 : rest
    rest >>>= 7
  }
  return bytes
}

/** Undefined for everything else, and for whatever another encoder may write differently: the general way reads that. */
function decodeBeat(bytes: Uint8Array): HopControl | undefined {
  const { length } = bytes
  if ((bytes[0] !== pingTag && bytes[0] !== pongTag) || bytes[1] !== 1 || bytes[2] !== length - 3) return undefined
  const type = bytes[0] === pingTag ? 'ping' : 'pong'
  if (length === 3) return { type, nonce: 0 }
  if (length > 9 || bytes[3] !== nonceTag) return undefined
  let nonce = 0
  for (let at = 4; at < length; at += 1) {
    const last = at === length - 1
    if (bytes[at]! > 0x7f === last || (at === 8 && bytes[at]! > 0x0f)) return undefined
    nonce += (bytes[at]! & 0x7f) * 2 ** (7 * (at - 4))
  }
  return { type, nonce }
}

/** (17 << 3 | 2) and (18 << 3 | 2), low seven bits; the second byte of both is 1. */
const pingTag = 0x8a
const pongTag = 0x92
/** Field 1 as a varint. */
const nonceTag = 0x08

function toWire(message: HopControl): { case: string; value: unknown } {
  const { type, ...fields } = message
  if ('attempt' in fields) return { case: type, value: { ...fields, attempt: BigInt(fields.attempt) } }
  if ('credit' in fields) return { case: type, value: { ...fields, credit: BigInt(fields.credit) } }
  if ('limit' in fields) return { case: type, value: { ...fields, limit: BigInt(fields.limit) } }
  if ('version' in fields) return { case: type, value: { ...fields, version: BigInt(fields.version) } }
  return { case: type, value: fields }
}

function fromWire(wire: Wire): HopControl | undefined {
  switch (wire.case) {
    case undefined:
      return undefined
    case 'listen': {
      const { listenId, application, from } = wire.value
      return { type: 'listen', listenId, application: name(application), from: name(from) }
    }
    case 'unlisten':
    case 'listening':
      return { type: wire.case, listenId: wire.value.listenId }
    case 'connect': {
      const { requestId } = wire.value
      return { type: 'connect', requestId, ...request(wire.value) }
    }
    case 'offer': {
      const { offerId, listenId } = wire.value
      return { type: 'offer', offerId, listenId, ...request(wire.value) }
    }
    case 'cancel':
      return { type: 'cancel', requestId: wire.value.requestId }
    case 'answer':
      return { type: 'answer', offerId: wire.value.offerId, handshake: wire.value.handshake }
    case 'reject':
      return { type: 'reject', offerId: wire.value.offerId, code: name(wire.value.code) }
    case 'join': {
      const { joinId, tag, user, label } = wire.value
      return { type: 'join', joinId, tag: id(tag), user: name(user), label: name(label) }
    }
    case 'leave':
      return { type: 'leave', joinId: wire.value.joinId }
    case 'circuitTag':
      return { type: 'circuitTag', circuit: wire.value.circuit, tag: id(wire.value.tag) }
    case 'circuitClose':
      return { type: 'circuitClose', circuit: wire.value.circuit, reason: name(wire.value.reason) }
    case 'ping':
    case 'pong':
      return { type: wire.case, nonce: wire.value.nonce }
    case 'close':
      return { type: 'close', code: name(wire.value.code), message: sentence(wire.value.message) }
    case 'listenRefused': {
      const { listenId, code, message } = wire.value
      return { type: 'listenRefused', listenId, code: name(code) as ListenRefusedCode, message: sentence(message) }
    }
    case 'opened': {
      const { offerId, circuit, credit } = wire.value
      return { type: 'opened', offerId, circuit, credit: whole(credit) }
    }
    case 'connected': {
      const { requestId, circuit, credit, handshake } = wire.value
      return { type: 'connected', requestId, circuit, credit: whole(credit), handshake }
    }
    case 'result': {
      const { requestId, code, message } = wire.value
      return { type: 'result', requestId, code: name(code) as ResultCode, message: sentence(message) }
    }
    case 'joined': {
      const { joinId, circuit, credit } = wire.value
      return { type: 'joined', joinId, circuit, credit: whole(credit) }
    }
    case 'joinRefused':
      return { type: 'joinRefused', joinId: wire.value.joinId, code: name(wire.value.code) }
    case 'circuitCredit': {
      const { circuit, limit, wait } = wire.value
      return { type: 'circuitCredit', circuit, limit: whole(limit), wait }
    }
    case 'drain':
      return { type: 'drain', withinMs: wire.value.withinMs, spreadMs: wire.value.spreadMs }
    case 'relayListWanted':
      return { type: 'relayListWanted', version: whole(wire.value.version) }
    case 'relayListPart': {
      const { version, offset, total, data } = wire.value
      if (total > relayListBytesMax || offset + data.length > total || data.length === 0) {
        throw new ProtocolError('malformed', `expected a part of a list of at most ${relayListBytesMax} bytes, found another`, {
          offset,
          total,
        })
      }
      return { type: 'relayListPart', version: whole(version), offset, total, data }
    }
    case 'load':
      return { type: 'load', queueMs: wire.value.queueMs }
    case 'makeRoom': {
      const { withinMs, spreadMs, forMs } = wire.value
      return { type: 'makeRoom', withinMs, spreadMs, forMs }
    }
    case 'welcome':
      return { type: 'welcome', attachmentId: id(wire.value.attachmentId) }
  }
}

interface WireRequest {
  user: string
  label: string
  application: string
  connectionId: Uint8Array
  attempt: bigint
  instance: Uint8Array
  previous?: Uint8Array | undefined
  handshake: Uint8Array
}

interface Request {
  user: string
  label: string
  application: string
  connectionId: Uint8Array
  attempt: number
  instance: Uint8Array
  previous?: Uint8Array
  handshake: Uint8Array
}

function request(wire: WireRequest): Request {
  return {
    user: name(wire.user),
    label: name(wire.label),
    application: name(wire.application),
    connectionId: id(wire.connectionId),
    attempt: whole(wire.attempt),
    instance: id(wire.instance),
    ...(wire.previous === undefined ? {} : { previous: id(wire.previous) }),
    handshake: wire.handshake,
  }
}

function name(text: string): string {
  return text.length <= nameBytesMax ? text : tooLong('a name', nameBytesMax, text.length)
}

function sentence(text: string): string {
  return text.length <= messageBytesMax ? text : tooLong('a message', messageBytesMax, text.length)
}

function id(bytes: Uint8Array): Uint8Array {
  return bytes.length === idBytes ? bytes : tooLong('an id', idBytes, bytes.length)
}

function whole(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new ProtocolError('malformed', 'expected a number under 2^53', {})
  return Number(value)
}

function tooLong(what: string, expected: number, found: number): never {
  throw new ProtocolError('malformed', `expected ${what} of ${expected} bytes, found ${found}`, { expected, found })
}
