// One message of the test set, `length` ≥ 64 bytes:
//
//   header (32) ‖ keystream bytes ‖ header again (32)
//   header = direction u32 ‖ index u32 ‖ offset f64 ‖ due f64 (ms after the start of the run) ‖ length u32 ‖ check u32   (big endian)
//
// `offset` is the number of bytes sent in this direction before it; the keystream between the headers is that at offset + 32. The header
// stands at both ends, so that damage of one leaves the other to say what was expected, and the damage can be named to the byte.
import { type Content, fillContent, mix32 } from './keystream.ts'

export interface MessageHeader {
  readonly direction: number
  /** Counts messages of the direction from 0. */
  readonly index: number
  readonly offset: number
  /** When it should have been sent: latency from here is the response time, whenever it really was sent. */
  readonly dueMs: number
  readonly length: number
}

export const messageHeaderBytes = 32
/** Two headers and nothing between. Sizes below are raised to it. */
export const messageBytesMin = 64

/** Headers are read and written here: a view of each message would cost more than its header. */
const headerBytes = new Uint8Array(messageHeaderBytes)
const view = new DataView(headerBytes.buffer)

/** Makes one message. The caller owns the result. */
export function encodeMessage(key: number, header: MessageHeader, content: Content = 'noise'): Uint8Array {
  const bytes = new Uint8Array(header.length)
  const end = header.length - messageHeaderBytes
  if (end > messageHeaderBytes) fillContent(content, key, header.offset + messageHeaderBytes, bytes.subarray(messageHeaderBytes, end))
  writeHeader(key, header)
  for (let at = 0; at < messageHeaderBytes; at++) {
    bytes[at] = headerBytes[at]!
    bytes[end + at] = headerBytes[at]!
  }
  return bytes
}

/** Reads the header at `at`; undefined when there is none for this key (too short, damaged, another direction's). */
export function readHeader(key: number, bytes: Uint8Array, at: number): MessageHeader | undefined {
  if (at < 0 || at + messageHeaderBytes > bytes.length) return undefined
  for (let i = 0; i < messageHeaderBytes; i++) headerBytes[i] = bytes[at + i]!
  if (view.getUint32(28) !== headerCheck(key)) return undefined
  const length = view.getUint32(24)
  if (length < messageBytesMin) return undefined
  return { direction: view.getUint32(0), index: view.getUint32(4), offset: view.getFloat64(8), dueMs: view.getFloat64(16), length }
}

function writeHeader(key: number, header: MessageHeader): void {
  view.setUint32(0, header.direction)
  view.setUint32(4, header.index)
  view.setFloat64(8, header.offset)
  view.setFloat64(16, header.dueMs)
  view.setUint32(24, header.length)
  view.setUint32(28, headerCheck(key))
}

function headerCheck(key: number): number {
  let check = key
  for (let at = 0; at < 28; at += 4) check = mix32(check ^ view.getUint32(at))
  return check
}
