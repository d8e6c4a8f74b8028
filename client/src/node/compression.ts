/**
 * Compression of messages, each by itself: zstd where this Node has it, else raw deflate. Synchronous, so that messages keep the order of their calls;
 * for that reason only messages up to 8 MiB are compressed (40 ms on one core, less than a garbage collection of such a process).
 *
 * Whoever can make an application send text of his choice beside a secret in one message learns the secret from the lengths (CRIME, BREACH), so it
 * is off until somebody asks for it.
 */

import zlib from 'node:zlib'
import { FEATURE } from '@sennit/protocol'
import { deflateFlag, type MessageCompression, zstdFlag } from '../core/streams/index.ts'

/** `true`: every message; `'auto'`: where it pays, measured on the messages themselves; `false`: never, whatever the other end asks for. */
export type Compress = boolean | 'auto'

export type CompressionMethod = 'zstd' | 'deflate'

/** Shorter ones gain less than the head of a compressed message and a call into zlib cost. */
const bytesMin = 128
const autoBytesMin = 1_024
/** Longer ones would hold up the event loop; they go as they are. */
const bytesMax: number = 8 * 2 ** 20
/** Of a long message, `auto` tries this much first. */
const sampleBytes = 16_384
/** `auto` calls it a gain when at least a tenth is saved. */
const gainShare = 0.9
/** After messages that did not gain, `auto` leaves up to so many untried. */
const skipsMax = 64
/** What the head of a compressed message costs beside that of a plain one. */
const headBytes = 8

interface Method {
  readonly flag: number
  compress(data: Uint8Array): Uint8Array
  /** @throws when it is not compressed data, or more than `size` bytes come out */
  inflate(data: Uint8Array, size: number): Uint8Array
}

/** What Node 22.15 and 23.8 added, and the types of Node 20 do not know. */
interface MaybeZstd {
  zstdCompressSync?(data: Uint8Array, options: { params: Record<number, number> }): Uint8Array
  zstdDecompressSync?(data: Uint8Array, options: { maxOutputLength: number; chunkSize: number }): Uint8Array
  constants: { ZSTD_c_compressionLevel?: number }
}

const { zstdCompressSync, zstdDecompressSync, constants } = zlib as unknown as MaybeZstd

const deflate: Method = {
  flag: deflateFlag,
  // The fastest level: relays move hundreds of megabytes a second, and higher levels a few dozen.
  compress: (data) => zlib.deflateRawSync(data, { level: 1 }),
  inflate: (data, size) => zlib.inflateRawSync(data, { maxOutputLength: size, chunkSize: chunkBytes(size) }),
}

const zstd: Method | undefined =
  zstdCompressSync === undefined || zstdDecompressSync === undefined
    ? undefined
    : {
        flag: zstdFlag,
        compress: (data) => zstdCompressSync(data, { params: { [constants.ZSTD_c_compressionLevel ?? 100]: 1 } }),
        inflate: (data, size) => zstdDecompressSync(data, { maxOutputLength: size, chunkSize: chunkBytes(size) }),
      }

/** Ways that this Node has, the better first. */
export const compressionMethods: readonly CompressionMethod[] = zstd === undefined ? ['deflate'] : ['zstd', 'deflate']

/** What to tell the other end: what we take, and whether we want it. */
export function compressionFeatures(compress: Compress | undefined): number {
  const takes = FEATURE.inflatesDeflate | (zstd === undefined ? 0 : FEATURE.inflatesZstd)
  return compress === true || compress === 'auto' ? takes | FEATURE.wantsCompression : takes
}

/** The compressor for what we send; undefined when nobody wants one, or the other end takes nothing that we have. */
export function compressorFor(compress: Compress | undefined, peerFeatures: number): MessageCompressor | undefined {
  const asked = compress ?? ((peerFeatures & FEATURE.wantsCompression) === 0 ? false : 'auto')
  if (asked === false) return undefined
  if (zstd !== undefined && (peerFeatures & FEATURE.inflatesZstd) !== 0) return new MessageCompressor('zstd', zstd, asked)
  return (peerFeatures & FEATURE.inflatesDeflate) === 0 ? undefined : new MessageCompressor('deflate', deflate, asked)
}

/** Bytes of a message, and how they are compressed. */
export interface PackedMessage {
  readonly bytes: Uint8Array
  readonly compression: MessageCompression
}

/** Compresses the messages of one connection. */
export class MessageCompressor {
  readonly method: CompressionMethod
  /** Messages compressed, and their bytes before and after. */
  messages = 0
  bytesBefore = 0
  bytesAfter = 0
  readonly #method: Method
  readonly #auto: boolean
  #skips = 0
  #skipsLeft = 0

  constructor(name: CompressionMethod, method: Method, compress: true | 'auto') {
    this.method = name
    this.#method = method
    this.#auto = compress === 'auto'
  }

  /** The message compressed, or undefined when it had better go as it is. */
  pack(data: Uint8Array): PackedMessage | undefined {
    if (data.length < (this.#auto ? autoBytesMin : bytesMin) || data.length > bytesMax) return undefined
    if (this.#auto && this.#skipsLeft > 0) {
      this.#skipsLeft -= 1
      return undefined
    }
    if (this.#auto && data.length > 4 * sampleBytes && !this.#gains(data.subarray(0, sampleBytes))) return undefined
    const bytes = this.#method.compress(data)
    if (bytes.length + headBytes >= data.length * (this.#auto ? gainShare : 1)) {
      this.#noGain()
      return undefined
    }
    this.#skips = 0
    this.messages += 1
    this.bytesBefore += data.length
    this.bytesAfter += bytes.length
    return { bytes, compression: { flag: this.#method.flag, size: data.length } }
  }

  #gains(sample: Uint8Array): boolean {
    if (this.#method.compress(sample).length < sample.length * gainShare) return true
    this.#noGain()
    return false
  }

  #noGain(): void {
    this.#skips = Math.min(Math.max(1, this.#skips * 2), skipsMax)
    this.#skipsLeft = this.#skips
  }
}

/** The message as it was; undefined when it is not compressed so, or its size is not what the other end said. Never more memory than that size. */
export function inflated(data: Uint8Array, { flag, size }: MessageCompression): Uint8Array | undefined {
  const method = flag === deflateFlag ? deflate : flag === zstdFlag ? zstd : undefined
  if (method === undefined || size === 0) return undefined
  try {
    const message = method.inflate(data, size)
    return message.length === size ? message : undefined
  } catch {
    return undefined
  }
}

function chunkBytes(size: number): number {
  return Math.min(Math.max(size, 1_024), 1_048_576)
}
