/** `sennit.v1.Relay/Attach(stream Chunk) returns (stream Chunk)` with `message Chunk { bytes data = 1; }`, coded by hand: one field, no generated classes in the way. */

import type { MethodDefinition } from '@grpc/grpc-js'
import { ProtocolError } from '@sennit/protocol'

/** The bytes of one message, in pieces when written and whole when read. */
export interface Chunk {
  readonly pieces: readonly Uint8Array[]
}

/** Tag of field 1, length-delimited. */
const dataTag = 0x0a

export function encodeChunk(chunk: Chunk): Buffer {
  let bytes = 0
  for (const piece of chunk.pieces) bytes += piece.length
  const head = [dataTag]
  let rest = bytes
  while (rest >= 0x80) {
    head.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  head.push(rest)
  const message = Buffer.allocUnsafe(head.length + bytes)
  message.set(head)
  let offset = head.length
  for (const piece of chunk.pieces) {
    message.set(piece, offset)
    offset += piece.length
  }
  return message
}

/** Fields we do not know are skipped. @throws ProtocolError `malformed` */
export function decodeChunk(message: Uint8Array): Chunk {
  const pieces: Uint8Array[] = []
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 1; shift < 2 ** 42; shift *= 128) {
      const byte = message[at]
      if (byte === undefined) break
      at += 1
      value += (byte & 0x7f) * shift
      if (byte < 0x80) return value
    }
    throw new ProtocolError('malformed', 'expected a varint in a gRPC Chunk')
  }
  while (at < message.length) {
    const tag = varint()
    const wire = tag & 7
    const bytes = wire === 2 ? varint() : wire === 1 ? 8 : wire === 5 ? 4 : 0
    if (wire === 0) varint()
    else if (wire !== 1 && wire !== 2 && wire !== 5)
      throw new ProtocolError('malformed', 'expected a known wire type in a gRPC Chunk', { wire })
    if (bytes > message.length - at) throw new ProtocolError('malformed', 'expected a field within its gRPC Chunk')
    if (tag === dataTag && bytes > 0) pieces.push(message.subarray(at, at + bytes))
    at += bytes
  }
  return { pieces }
}

export const attachMethod: MethodDefinition<Chunk, Chunk> = {
  path: '/sennit.v1.Relay/Attach',
  requestStream: true,
  responseStream: true,
  requestSerialize: encodeChunk,
  requestDeserialize: decodeChunk,
  responseSerialize: encodeChunk,
  responseDeserialize: decodeChunk,
}
