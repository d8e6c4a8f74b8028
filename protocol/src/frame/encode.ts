/** Frames to bytes. A wrong value of ours throws SennitError; nothing here depends on the peer. */

import { utf8 } from '../bytes.ts'
import { SennitError } from '../errors.ts'
import { Slab } from '../slab.ts'
import { varintBytes, varintMax, writeVarint } from '../varint.ts'
import {
  type AckState,
  ackRangesMax,
  closeMessageBytesMax,
  codeBytesMax,
  FRAME_TYPE,
  type Frame,
  helloNonceBytes,
  pathsBytesMax,
  relayIdBytesMax,
  relaysMax,
  streamCountsMax,
  streamHeaderBytesMax,
} from './types.ts'

/** Data up to this size is copied beside its frame head when frames are joined: a piece of its own would cost more than the copy. */
const joinDataBytesMax = 1_024

/** The bytes of one frame. The data of a stream frame is a piece of its own, never copied. */
export function encodeFrame(frame: Frame): Uint8Array[] {
  if (frame.type !== 'stream') return [encodeJoined([frame])]
  const body = streamHeadBytes(frame.streamId, frame.offset)
  const bodyBytes = body + frame.data.length
  const head = new Uint8Array(1 + varintBytes(bodyBytes) + body)
  writeStreamHead(head, 0, frame.streamId, frame.offset, bodyBytes)
  return frame.data.length === 0 ? [head] : [head, frame.data]
}

/** The bytes of all frames in order, in as few pieces as is cheap: data over 1 KiB is a piece of its own, never copied. */
export function encodeFrames(frames: readonly Frame[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  let run: Frame[] = []
  for (const frame of frames) {
    if (frame.type === 'stream' && frame.data.length > joinDataBytesMax) {
      if (run.length > 0) pieces.push(encodeJoined(run))
      run = []
      pieces.push(...encodeFrame(frame))
    } else {
      run.push(frame)
    }
  }
  if (run.length > 0) pieces.push(encodeJoined(run))
  return pieces
}

/** Encoded size of a frame, without encoding it. */
export function frameBytes(frame: Frame): number {
  const body = bodyBytes(frame)
  return 1 + varintBytes(body) + body
}

function encodeJoined(frames: readonly Frame[]): Uint8Array {
  let total = 0
  for (const frame of frames) total += frameBytes(frame)
  const target = new FrameTarget(total)
  for (const frame of frames) {
    target.varint(FRAME_TYPE[frame.type])
    target.varint(bodyBytes(frame))
    writeBody(target, frame)
  }
  return target.bytes
}

/** What is encoded is sealed and forgotten. */
const targets = new Slab()

/** A target of exactly the needed size. Counting and writing are two passes over one field list, so they can not disagree. */
class FrameTarget {
  readonly bytes: Uint8Array
  #offset = 0

  constructor(length: number) {
    this.bytes = targets.take(length)
  }

  varint(value: number): void {
    this.#offset = writeVarint(this.bytes, this.#offset, value)
  }

  u8(value: number): void {
    this.bytes[this.#offset] = value
    this.#offset += 1
  }

  raw(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.#offset)
    this.#offset += bytes.length
  }
}

/** The same shape as {@link FrameTarget}, only counting. */
class FrameCounter {
  length = 0

  varint(value: number): void {
    this.length += varintBytes(value)
  }

  u8(_value: number): void {
    this.length += 1
  }

  raw(bytes: Uint8Array): void {
    this.length += bytes.length
  }
}

type Target = FrameTarget | FrameCounter

function bodyBytes(frame: Frame): number {
  if (frame.type === 'stream') return streamHeadBytes(frame.streamId, frame.offset) + frame.data.length
  const counter = new FrameCounter()
  writeBody(counter, frame)
  return counter.length
}

function streamHeadBytes(streamId: number, offset: number): number {
  return varintBytes(streamId) + varintBytes(offset)
}

function writeStreamHead(target: Uint8Array, at: number, streamId: number, offset: number, bodyBytes: number): void {
  let next = writeVarint(target, at, FRAME_TYPE.stream)
  next = writeVarint(target, next, bodyBytes)
  next = writeVarint(target, next, streamId)
  writeVarint(target, next, offset)
}

function writeBody(target: Target, frame: Frame): void {
  switch (frame.type) {
    case 'stream':
      target.varint(frame.streamId)
      target.varint(frame.offset)
      target.raw(frame.data)
      return
    case 'open':
      limit('stream header bytes', frame.header.length, streamHeaderBytesMax)
      target.varint(frame.streamId)
      target.raw(frame.header)
      return
    case 'credit':
      target.varint(frame.streamId)
      target.varint(frame.limit)
      target.varint(frame.consumed)
      return
    case 'fin':
      target.varint(frame.streamId)
      target.varint(frame.finalOffset)
      return
    case 'reset':
      target.varint(frame.streamId)
      target.varint(frame.errorCode)
      target.varint(frame.finalOffset)
      return
    case 'stop':
      target.varint(frame.streamId)
      target.varint(frame.errorCode)
      return
    case 'messageRefused':
      target.varint(frame.index)
      target.varint(frame.errorCode)
      return
    case 'messageDelivered':
      target.varint(frame.index)
      return
    case 'confirm':
    case 'yield':
    case 'exists':
    case 'nothing':
      return
    case 'plan':
      limit('relays of a plan', frame.relays.length, relaysMax)
      target.varint(frame.epoch)
      target.varint(frame.relays.length)
      for (const relay of frame.relays) {
        writeText(target, relay.relayId, relayIdBytesMax)
        target.varint(microseconds(relay.costMs))
        target.varint(microseconds(relay.callerRttMs))
        target.varint(microseconds(relay.listenerRttMs))
      }
      writeText(target, frame.activeFromCaller, relayIdBytesMax)
      writeText(target, frame.activeFromListener, relayIdBytesMax)
      writeText(target, frame.standby, relayIdBytesMax)
      return
    case 'planModes':
      target.varint(frame.epoch)
      writeText(target, frame.paths, pathsBytesMax)
      for (const relays of [frame.fromCaller, frame.fromListener]) {
        limit('relays of a direction', relays.length, relaysMax)
        target.varint(relays.length)
        for (const relayId of relays) writeText(target, relayId, relayIdBytesMax)
      }
      return
    case 'paths':
      writeText(target, frame.paths, pathsBytesMax)
      return
    case 'seen':
      target.varint(frame.number)
      target.varint(microseconds(frame.delayMs))
      return
    case 'relayLies':
      writeText(target, frame.relayId, relayIdBytesMax)
      target.varint(frame.count)
      return
    case 'ackDelay':
      target.varint(microseconds(frame.delayMs))
      return
    case 'arrived':
      target.varint(microseconds(frame.atMs))
      return
    case 'modesOk':
    case 'planOk':
      target.varint(frame.epoch)
      return
    case 'planNo':
      target.varint(frame.epoch)
      writeText(target, frame.relayId, relayIdBytesMax)
      writeText(target, frame.reason, codeBytesMax)
      return
    case 'pathBad':
      writeText(target, frame.relayId, relayIdBytesMax)
      return
    case 'close': {
      limit('streams of a close', frame.counts.length, streamCountsMax)
      target.varint(frame.lastKept)
      writeText(target, frame.reason, codeBytesMax)
      const message = cutText(frame.message, closeMessageBytesMax)
      target.varint(message.length)
      target.raw(message)
      target.varint(frame.counts.length)
      for (const count of frame.counts) {
        target.varint(count.streamId)
        target.varint(count.received)
        target.varint(count.delivered)
      }
      return
    }
    case 'ack':
      writeAckState(target, frame)
      target.varint(microseconds(frame.delayMs))
      return
    case 'ping':
    case 'pong':
      target.varint(frame.id)
      return
    case 'hello':
      if (frame.nonce.length !== helloNonceBytes)
        throw new SennitError('internal', 'expected a nonce of 8 bytes', { length: frame.nonce.length })
      if (frame.echo.length !== helloNonceBytes && frame.echo.length !== 0) {
        throw new SennitError('internal', 'expected an echo of 8 bytes or none', { length: frame.echo.length })
      }
      writeText(target, frame.relayId, relayIdBytesMax)
      target.raw(frame.nonce)
      target.u8(frame.echo.length)
      target.raw(frame.echo)
      writeAckState(target, frame.ack)
      target.varint(frame.planEpoch)
      return
    case 'report':
      limit('relays of a report', frame.relays.length, relaysMax)
      target.varint(frame.relays.length)
      for (const relay of frame.relays) {
        writeText(target, relay.relayId, relayIdBytesMax)
        target.varint(microseconds(relay.rttMs))
        target.varint(microseconds(relay.varMs))
        target.varint(whole(relay.loss * 1_000_000, 1_000_000))
        target.varint(whole(relay.ageMs, varintMax))
        const policyUs = microseconds(relay.policyMs ?? 0)
        target.u8((relay.reachable ? 1 : 0) | (policyUs > 0 ? 2 : 0))
        if (policyUs > 0) target.varint(policyUs)
      }
      return
    case 'datagram':
      target.raw(frame.data)
      return
  }
}

function writeAckState(target: Target, ack: AckState): void {
  limit('ranges of an ack', ack.ranges.length, ackRangesMax)
  target.varint(ack.cumulative)
  target.varint(ack.ranges.length)
  let end = ack.cumulative
  for (const [from, to] of ack.ranges) {
    if (from <= end || to <= from)
      throw new SennitError('internal', 'expected ack ranges ascending and apart', { cumulative: ack.cumulative, from, to })
    target.varint(from - end)
    target.varint(to - from)
    end = to
  }
}

function writeText(target: Target, text: string, bytesMax: number): void {
  const encoded = utf8(text)
  limit('bytes of a text', encoded.length, bytesMax)
  target.varint(encoded.length)
  target.raw(encoded)
}

/** UTF-8 of at most `bytesMax` bytes, cut between characters. */
function cutText(text: string, bytesMax: number): Uint8Array {
  const encoded = utf8(text)
  if (encoded.length <= bytesMax) return encoded
  let length = bytesMax
  while ((encoded[length]! & 0xc0) === 0x80) length -= 1
  return encoded.subarray(0, length)
}

/** Milliseconds as whole microseconds; what is not a time (negative, NaN) is 0, what is endless is the greatest. */
function microseconds(ms: number): number {
  return whole(ms * 1_000, varintMax)
}

function whole(value: number, max: number): number {
  return value > 0 ? Math.min(Math.round(value), max) : 0
}

function limit(what: string, found: number, max: number): void {
  if (found > max) throw new SennitError('too_large', `expected at most ${max} ${what}, found ${found}`, { max, found })
}
