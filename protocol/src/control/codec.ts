/** Control messages to bytes and back. What a newer peer adds is ignored; what is wrong is a ProtocolError. */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { ProtocolError, SennitError } from '../errors.ts'
import { type Control, ControlSchema } from './gen/sennit/v1/control_pb.ts'
import type { HopControl, ListenRefusedCode, ResultCode } from './types.ts'

/** One record's control bytes in all; the greatest message is a handshake with a certificate, some 2 KiB. */
export const controlBytesMax = 16_384

/** Bytes of a connection id, an instance id, an attachment id and a join tag. */
const idBytes = 16

/** Names on the wire; a user name has at most 63, an application id of 255 is a whole DNS name. */
const nameBytesMax = 255

/** Sentences for people: enough to say what was expected and found, never a place to hide a payload. */
const messageBytesMax = 1_024

type Wire = Control['message']

/** Encodes one message. @throws SennitError `too_large` over {@link controlBytesMax} */
export function encodeControl(message: HopControl): Uint8Array {
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
  let wire: Wire
  try {
    wire = fromBinary(ControlSchema, bytes).message
  } catch (cause) {
    throw new ProtocolError('malformed', 'expected a control message, found bytes that are none', { bytes: bytes.length }, cause)
  }
  return fromWire(wire)
}

function toWire(message: HopControl): { case: string; value: unknown } {
  const { type, ...fields } = message
  if ('attempt' in fields) return { case: type, value: { ...fields, attempt: BigInt(fields.attempt) } }
  if ('credit' in fields) return { case: type, value: { ...fields, credit: BigInt(fields.credit) } }
  if ('limit' in fields) return { case: type, value: { ...fields, limit: BigInt(fields.limit) } }
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
