/**
 * A share on the wire: the payload of a hop entry with form 1, whose kind, epoch and counter are those of the packet.
 *
 * ```
 * share = u8 scheme (1 split, 2 disperse) ‖ u8 index ‖ u8 k ‖ u8 n ‖ u32 sealed length ‖ u64 set ‖ body ‖ tag(16)
 * body  = split:    bytes(sealed length)
 *         disperse: key share(32) ‖ shard(⌈(sealed length + 16) ÷ k⌉)
 * tag   = AEAD of no plaintext under the sender's share key, nonce = u32 index ‖ u64 set,
 *         associated data = u8 1 (form) ‖ u8 kind ‖ u16 epoch ‖ u64 counter ‖ share without its tag
 * ```
 * A set is one encoding of one packet; the sender counts them, so no nonce comes twice. The share key belongs to one direction of one connection.
 * In memory a share stands behind its context (the first 12 bytes of the associated data), so that the tag is made and checked without a copy,
 * and the bodies of both schemes begin at a multiple of four.
 */

import { totalBytes } from '../bytes.ts'
import { tagBytes } from '../crypto.ts'
import { PACKET_KIND, type PacketHeader, packetBytesMax } from '../packet.ts'
import { type ShareScheme, shareBodyBytes, shareHeaderBytes, sharesMax } from './scheme.ts'

/** The form in the header of a hop entry. */
export const shareForm = 1

const schemeNumbers = { split: 1, disperse: 2 } as const
const contextBytes = 12
/** Where the body begins. */
export const shareBodyAt: number = contextBytes + shareHeaderBytes

/** The fields of a share's own header. */
export interface ShareFields {
  readonly scheme: ShareScheme
  readonly index: number
  /** Length of the sealed packet. */
  readonly length: number
  readonly set: number
}

/** Memory for one share, context and header written, the body zero; it ends where the tag would begin. */
export function newShare(header: PacketHeader, fields: ShareFields): Uint8Array {
  const { scheme, index, length, set } = fields
  const share = allocate(shareBodyAt + shareBodyBytes(scheme, length))
  const view = new DataView(share.buffer)
  writeContext(view, header)
  view.setUint8(contextBytes, schemeNumbers[scheme.kind])
  view.setUint8(contextBytes + 1, index)
  view.setUint8(contextBytes + 2, scheme.kind === 'split' ? scheme.n : scheme.k)
  view.setUint8(contextBytes + 3, scheme.n)
  view.setUint32(contextBytes + 4, length)
  writeU64(view, contextBytes + 8, set)
  return share
}

/** Puts what came into memory of its own, context in front and tag apart; undefined when no share has that size or header. */
export function gatherShare(
  header: PacketHeader,
  pieces: readonly Uint8Array[],
): { readonly share: Uint8Array; readonly tag: Uint8Array } | undefined {
  const bytes = totalBytes(pieces)
  const { kind, epoch, counter } = header
  if (bytes <= shareHeaderBytes + tagBytes || bytes > packetBytesMax) return undefined
  if (header.form !== shareForm || kind === PACKET_KIND.handshake || !(kind >= 0 && kind <= PACKET_KIND.datagram)) return undefined
  if (!Number.isSafeInteger(counter) || counter < 0 || !(epoch >= 0 && epoch <= 0xffff)) return undefined
  const whole = allocate(contextBytes + bytes)
  writeContext(new DataView(whole.buffer), header)
  let at = contextBytes
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  const end = at - tagBytes
  // The tag is copied, so that what follows the body can be cleared: words of a body are read over its end.
  const tag = whole.slice(end)
  whole.fill(0, end)
  return { share: whole.subarray(0, end), tag }
}

/** The nonce that a gathered share claims. */
export function shareNonce(share: Uint8Array): Uint8Array {
  const nonce = new Uint8Array(12)
  nonce[3] = share[contextBytes + 1]!
  nonce.set(share.subarray(contextBytes + 8, contextBytes + 16), 4)
  return nonce
}

/** The fields of a gathered share; undefined when they do not make sense or do not fit its size. */
export function readFields(share: Uint8Array): ShareFields | undefined {
  const view = new DataView(share.buffer, share.byteOffset, share.byteLength)
  const number = view.getUint8(contextBytes)
  const index = view.getUint8(contextBytes + 1)
  const k = view.getUint8(contextBytes + 2)
  const n = view.getUint8(contextBytes + 3)
  const length = view.getUint32(contextBytes + 4)
  const set = view.getUint32(contextBytes + 8) * 0x1_0000_0000 + view.getUint32(contextBytes + 12)
  if (index >= n || n > sharesMax || k < 2 || k > n || length === 0 || length > packetBytesMax || !Number.isSafeInteger(set))
    return undefined
  let scheme: ShareScheme
  if (number === schemeNumbers.split && k === n) scheme = { kind: 'split', n }
  else if (number === schemeNumbers.disperse) scheme = { kind: 'disperse', k, n }
  else return undefined
  if (share.length !== shareBodyAt + shareBodyBytes(scheme, length)) return undefined
  return { scheme, index, length, set }
}

/** What travels: everything behind the context. */
export function wirePieces(share: Uint8Array, tag: readonly Uint8Array[]): Uint8Array[] {
  return [share.subarray(contextBytes), ...tag]
}

/** A part of a share as words; the memory behind a body is zero up to a whole word. `from` is a multiple of four. */
export function wordsOf(share: Uint8Array, from: number): Uint32Array {
  return new Uint32Array(share.buffer, share.byteOffset + from, Math.ceil((share.length - from) / 4))
}

/** Rounded up to whole words. */
function allocate(bytes: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer((bytes + 3) & ~3), 0, bytes)
}

function writeContext(view: DataView, header: PacketHeader): void {
  view.setUint8(0, shareForm)
  view.setUint8(1, header.kind)
  view.setUint16(2, header.epoch)
  writeU64(view, 4, header.counter)
}

function writeU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 0x1_0000_0000))
  view.setUint32(at + 4, value >>> 0)
}
