/** Bytes to frames. Everything here came from the peer: the only way out besides frames is a ProtocolError. */

import { ByteReader } from '../byte-reader.ts'
import { ProtocolError } from '../errors.ts'
import {
  type AckRange,
  type AckState,
  ackRangesMax,
  closeMessageBytesMax,
  codeBytesMax,
  FRAME_TYPE,
  type Frame,
  helloNonceBytes,
  type PlanRelay,
  pathsBytesMax,
  type RelayMeasurement,
  relayIdBytesMax,
  relaysMax,
  type StreamCount,
  streamCountsMax,
  streamHeaderBytesMax,
} from './types.ts'

/**
 * All frames of the plaintext of a packet; their data are views into it. Unknown even types are skipped.
 * @throws ProtocolError `malformed`, or `unsupported` for an unknown odd type
 */
export function decodeFrames(plaintext: Uint8Array): Frame[] {
  const frames: Frame[] = []
  const reader = new ByteReader(plaintext)
  while (reader.left > 0) {
    const type = reader.varint()
    const length = reader.varint()
    if (length > reader.left) {
      throw new ProtocolError('malformed', `expected a frame body of ${length} bytes, found ${reader.left}`, {
        type,
        length,
        left: reader.left,
      })
    }
    const body = new ByteReader(plaintext, reader.offset, reader.offset + length)
    reader.offset += length
    const frame = decodeBody(type, body)
    if (frame === undefined) continue
    body.end()
    frames.push(frame)
  }
  return frames
}

function decodeBody(type: number, body: ByteReader): Frame | undefined {
  switch (type) {
    case FRAME_TYPE.stream: {
      const streamId = body.varint()
      const offset = body.varint()
      const data = body.rest()
      if (!Number.isSafeInteger(offset + data.length))
        throw new ProtocolError('malformed', 'expected a stream to end under 2^53', { streamId, offset })
      return { type: 'stream', streamId, offset, data }
    }
    case FRAME_TYPE.open: {
      const streamId = body.varint()
      if (body.left > streamHeaderBytesMax) {
        throw new ProtocolError('malformed', `expected a stream header of at most ${streamHeaderBytesMax} bytes, found ${body.left}`, {
          streamId,
        })
      }
      return { type: 'open', streamId, header: body.rest() }
    }
    case FRAME_TYPE.credit:
      return { type: 'credit', streamId: body.varint(), limit: body.varint(), consumed: body.varint() }
    case FRAME_TYPE.fin:
      return { type: 'fin', streamId: body.varint(), finalOffset: body.varint() }
    case FRAME_TYPE.reset:
      return { type: 'reset', streamId: body.varint(), errorCode: body.varint(), finalOffset: body.varint() }
    case FRAME_TYPE.stop:
      return { type: 'stop', streamId: body.varint(), errorCode: body.varint() }
    case FRAME_TYPE.messageRefused:
      return { type: 'messageRefused', index: body.varint(), errorCode: body.varint() }
    case FRAME_TYPE.messageDelivered:
      return { type: 'messageDelivered', index: body.varint() }
    case FRAME_TYPE.confirm:
      return { type: 'confirm' }
    case FRAME_TYPE.yield:
      return { type: 'yield' }
    case FRAME_TYPE.exists:
      return { type: 'exists' }
    case FRAME_TYPE.nothing:
      return { type: 'nothing' }
    case FRAME_TYPE.plan: {
      const epoch = body.varint()
      const relays = list(body, relaysMax, readPlanRelay)
      return {
        type: 'plan',
        epoch,
        relays,
        activeFromCaller: body.text(relayIdBytesMax),
        activeFromListener: body.text(relayIdBytesMax),
        standby: body.text(relayIdBytesMax),
      }
    }
    case FRAME_TYPE.planModes:
      return {
        type: 'planModes',
        epoch: body.varint(),
        paths: body.text(pathsBytesMax),
        fromCaller: list(body, relaysMax, readRelayId),
        fromListener: list(body, relaysMax, readRelayId),
      }
    case FRAME_TYPE.modesOk:
      return { type: 'modesOk', epoch: body.varint() }
    case FRAME_TYPE.paths:
      return { type: 'paths', paths: body.text(pathsBytesMax) }
    case FRAME_TYPE.seen:
      return { type: 'seen', number: body.varint(), delayMs: body.varint() / 1_000 }
    case FRAME_TYPE.relayLies:
      return { type: 'relayLies', relayId: body.text(relayIdBytesMax), count: body.varint() }
    case FRAME_TYPE.ackDelay:
      return { type: 'ackDelay', delayMs: body.varint() / 1_000 }
    case FRAME_TYPE.arrived:
      return { type: 'arrived', atMs: body.varint() / 1_000 }
    case FRAME_TYPE.planOk:
      return { type: 'planOk', epoch: body.varint() }
    case FRAME_TYPE.planNo:
      return { type: 'planNo', epoch: body.varint(), relayId: body.text(relayIdBytesMax), reason: body.text(codeBytesMax) }
    case FRAME_TYPE.pathBad:
      return { type: 'pathBad', relayId: body.text(relayIdBytesMax) }
    case FRAME_TYPE.close:
      return {
        type: 'close',
        lastKept: body.varint(),
        reason: body.text(codeBytesMax),
        message: body.text(closeMessageBytesMax),
        counts: list(body, streamCountsMax, readStreamCount),
      }
    case FRAME_TYPE.ack: {
      const { cumulative, ranges } = readAckState(body)
      return { type: 'ack', cumulative, ranges, delayMs: body.varint() / 1_000 }
    }
    case FRAME_TYPE.ping:
      return { type: 'ping', id: body.varint() }
    case FRAME_TYPE.pong:
      return { type: 'pong', id: body.varint() }
    case FRAME_TYPE.hello: {
      const relayId = body.text(relayIdBytesMax)
      const nonce = body.take(helloNonceBytes)
      const echoBytes = body.u8()
      if (echoBytes !== 0 && echoBytes !== helloNonceBytes) {
        throw new ProtocolError('malformed', `expected an echo of 0 or ${helloNonceBytes} bytes, found ${echoBytes}`, { echoBytes })
      }
      const echo = body.take(echoBytes)
      return { type: 'hello', relayId, nonce, echo, ack: readAckState(body), planEpoch: body.varint() }
    }
    case FRAME_TYPE.report:
      return { type: 'report', relays: list(body, relaysMax, readRelayMeasurement) }
    case FRAME_TYPE.datagram:
      return { type: 'datagram', data: body.rest() }
    default:
      if (type % 2 === 1)
        throw new ProtocolError('unsupported', `expected a known frame, found type 0x${type.toString(16)} that may not be ignored`, {
          type,
        })
      return undefined
  }
}

function readRelayId(body: ByteReader): string {
  return body.text(relayIdBytesMax)
}

function readPlanRelay(body: ByteReader): PlanRelay {
  return {
    relayId: body.text(relayIdBytesMax),
    costMs: body.varint() / 1_000,
    callerRttMs: body.varint() / 1_000,
    listenerRttMs: body.varint() / 1_000,
  }
}

function readStreamCount(body: ByteReader): StreamCount {
  return { streamId: body.varint(), received: body.varint(), delivered: body.varint() }
}

function readRelayMeasurement(body: ByteReader): RelayMeasurement {
  const relayId = body.text(relayIdBytesMax)
  const rttMs = body.varint() / 1_000
  const varMs = body.varint() / 1_000
  const millionths = body.varint()
  if (millionths > 1_000_000)
    throw new ProtocolError('malformed', `expected a loss of at most one, found ${millionths} millionths`, { relayId })
  const ageMs = body.varint()
  const flags = body.u8()
  if (flags > 3) throw new ProtocolError('malformed', `expected flags of a relay of at most 3, found ${flags}`, { relayId, flags })
  const policy = (flags & 2) === 0 ? {} : { policyMs: body.varint() / 1_000 }
  return { relayId, rttMs, varMs, loss: millionths / 1_000_000, ageMs, reachable: (flags & 1) === 1, ...policy }
}

function readAckState(body: ByteReader): AckState {
  const cumulative = body.varint()
  let end = cumulative
  const ranges = list(body, ackRangesMax, (reader): AckRange => {
    const gap = reader.varint()
    const length = reader.varint()
    const from = end + gap
    const to = from + length
    if (gap === 0 || length === 0 || !Number.isSafeInteger(to)) {
      throw new ProtocolError('malformed', 'expected ack ranges ascending and apart', { cumulative, gap, length })
    }
    end = to
    return [from, to]
  })
  return { cumulative, ranges }
}

/** A counted list. The list grows as items are really read, so a claimed count allocates nothing. */
function list<T>(body: ByteReader, itemsMax: number, read: (body: ByteReader) => T): T[] {
  const count = body.varint()
  if (count > itemsMax) throw new ProtocolError('malformed', `expected at most ${itemsMax} items, found ${count}`, { itemsMax, count })
  const items: T[] = []
  for (let index = 0; index < count; index += 1) items.push(read(body))
  return items
}
