/**
 * The hop record: what goes over an attachment once its handshake is done.
 *
 * ```
 * u16 block length ‖ sealed block ‖ payloads
 * block = u8 count ‖ count × header ‖ control bodies (circuit 0), in header order
 * header = u32 circuit ‖ u32 length ‖ u8 form ‖ u8 kind ‖ u16 epoch ‖ u64 counter          (20 bytes, big endian)
 * ```
 * Payloads of circuits other than 0 follow in the clear part, in header order; they are sealed end to end already.
 */

import { controlBytesMax } from '../control/codec.ts'
import { tagBytes } from '../crypto.ts'
import { ProtocolError } from '../errors.ts'
import { type PacketHeader, packetBytesMax } from '../packet.ts'

/** Entries of one record: enough that the seal's 5 µs is nothing, few enough that a block stays small. */
export const recordEntriesMax = 64

/** One write turn; more would only make what overtakes wait longer. */
export const recordBytesMax = 262_144

/** A record must fit one websocket message of 72 KiB. */
export const websocketRecordBytesMax = 73_728

export const entryHeaderBytes = 20

/** Clear length, count and tag: what an empty record costs. */
export const recordOverheadBytes: number = 2 + 1 + tagBytes

const blockBytesMax = 1 + recordEntriesMax * entryHeaderBytes + controlBytesMax + tagBytes

/** Slices shorter than this are gathered, so that a packet that came byte by byte is not thousands of arrays. */
const smallSliceBytes = 256

/** Where small slices are gathered: a few slices' worth, so that little is allocated for little received. */
const gatherBytes = 2_048

/** Packets up to this that come in several lent chunks get memory of their own; for longer ones the reader keeps two buffers. */
const smallPacketBytes = 4_096

/** A packet waiting to go into a record. */
export interface OutgoingPacket {
  readonly circuit: number
  readonly header: PacketHeader
  readonly pieces: readonly Uint8Array[]
  readonly bytes: number
}

/** The plaintext of a record's block. */
export function encodeBlock(controls: readonly Uint8Array[], packets: readonly OutgoingPacket[]): Uint8Array {
  let controlBytes = 0
  for (const control of controls) controlBytes += control.length
  const block = new Uint8Array(1 + (controls.length + packets.length) * entryHeaderBytes + controlBytes)
  block[0] = controls.length + packets.length
  let at = 1
  for (const control of controls) {
    writeU32(block, at + 4, control.length)
    at += entryHeaderBytes
  }
  for (const { circuit, header, bytes } of packets) {
    writeU32(block, at, circuit)
    writeU32(block, at + 4, bytes)
    block[at + 8] = header.form
    block[at + 9] = header.kind
    block[at + 10] = header.epoch >>> 8
    block[at + 11] = header.epoch
    writeU32(block, at + 12, Math.floor(header.counter / 0x1_0000_0000))
    writeU32(block, at + 16, header.counter >>> 0)
    at += entryHeaderBytes
  }
  for (const control of controls) {
    block.set(control, at)
    at += control.length
  }
  return block
}

/** What {@link RecordReader} says while it reads. */
export interface RecordSink {
  /** The block's plaintext; throws when it does not open. */
  openBlock(sealed: Uint8Array): Uint8Array
  onControl(body: Uint8Array): void
  onPacket(circuit: number, header: PacketHeader, pieces: Uint8Array[]): void
}

interface IncomingPacket {
  readonly circuit: number
  readonly header: PacketHeader
  readonly bytes: number
}

/** Reads records out of chunks cut anywhere. Time is linear in what came; what is kept is bounded by one block and one packet. */
export class RecordReader {
  readonly #sink: RecordSink
  readonly #bytesMax: number
  readonly #lent: boolean
  #stopped = false
  // length
  #lengthBytes = 0
  #length = 0
  // block
  #block: Uint8Array | undefined
  #blockBytes = 0
  // payloads
  #packets: IncomingPacket[] = []
  #packet = 0
  #left = 0
  #pieces: Uint8Array[] = []
  #gather: Uint8Array | undefined
  #gathered = 0
  /** Bytes of the chunk being read that packets took as slices. */
  #sliced = 0
  /** Where packets that came in several lent chunks are put together, in turns. */
  readonly #joined: (Uint8Array | undefined)[] = [undefined, undefined]
  #turn = 0

  /** @param lent chunks are only lent: packets of one are good until the next chunk, and what comes in several chunks is copied */
  constructor(sink: RecordSink, bytesMax: number, lent = false) {
    this.#sink = sink
    this.#bytesMax = bytesMax
    this.#lent = lent
  }

  /** Nothing more is read. */
  stop(): void {
    this.#stopped = true
    this.#packets = []
    this.#pieces = []
    this.#block = undefined
    this.#gather = undefined
  }

  /**
   * Reads all of `chunk`, which becomes the reader's unless it is lent. @returns how many of its bytes went into packets as slices; nothing holds
   * the others
   * @throws ProtocolError `bad_record`
   */
  receive(chunk: Uint8Array): number {
    let at = 0
    this.#sliced = 0
    while (at < chunk.length && !this.#stopped) {
      if (this.#packet < this.#packets.length) at = this.#readPayload(chunk, at)
      else if (this.#lengthBytes < 2) at = this.#readLength(chunk, at)
      else at = this.#readBlock(chunk, at)
    }
    return this.#sliced
  }

  #readLength(chunk: Uint8Array, at: number): number {
    this.#length = (this.#length << 8) | chunk[at]!
    this.#lengthBytes += 1
    if (this.#lengthBytes === 2 && (this.#length === 0 || this.#length > blockBytesMax)) {
      throw bad(`expected a block of 1 to ${blockBytesMax} bytes, found ${this.#length}`)
    }
    return at + 1
  }

  #readBlock(chunk: Uint8Array, at: number): number {
    if (this.#block === undefined && chunk.length - at >= this.#length) {
      const end = at + this.#length
      this.#onBlock(chunk.subarray(at, end))
      return end
    }
    // The length was checked against blockBytesMax, so that at most 18 KB are set aside for a claim.
    this.#block ??= new Uint8Array(this.#length)
    const end = at + Math.min(chunk.length - at, this.#length - this.#blockBytes)
    this.#block.set(chunk.subarray(at, end), this.#blockBytes)
    this.#blockBytes += end - at
    if (this.#blockBytes === this.#length) this.#onBlock(this.#block)
    return end
  }

  #onBlock(sealed: Uint8Array): void {
    const recordBytes = 2 + this.#length
    this.#lengthBytes = 0
    this.#length = 0
    this.#block = undefined
    this.#blockBytes = 0
    this.#parse(this.#sink.openBlock(sealed), recordBytes)
  }

  #parse(block: Uint8Array, sealedBytes: number): void {
    const count = block[0] ?? 0
    const bodies = 1 + count * entryHeaderBytes
    if (count === 0 || count > recordEntriesMax || block.length < bodies) throw bad(`expected 1 to ${recordEntriesMax} whole headers`)
    const packets: IncomingPacket[] = []
    const controls: Uint8Array[] = []
    let body = bodies
    let recordBytes = sealedBytes
    for (let at = 1; at < bodies; at += entryHeaderBytes) {
      const circuit = readU32(block, at)
      const bytes = readU32(block, at + 4)
      if (circuit === 0) {
        if (bytes > block.length - body) throw bad('expected whole control bodies')
        controls.push(block.subarray(body, body + bytes))
        body += bytes
        continue
      }
      if (bytes === 0 || bytes > packetBytesMax) throw bad(`expected a packet of 1 to ${packetBytesMax} bytes, found ${bytes}`)
      recordBytes += bytes
      const high = readU32(block, at + 12)
      if (high > 0x1f_ffff) throw bad('expected a counter under 2^53')
      const header = {
        form: block[at + 8]!,
        kind: block[at + 9]!,
        epoch: (block[at + 10]! << 8) | block[at + 11]!,
        counter: high * 0x1_0000_0000 + readU32(block, at + 16),
      }
      packets.push({ circuit, header, bytes })
    }
    if (body !== block.length) throw bad('expected the end of the block after its control bodies')
    if (body - bodies > controlBytesMax) throw bad(`expected at most ${controlBytesMax} bytes of control`)
    if (recordBytes > this.#bytesMax) throw bad(`expected a record of at most ${this.#bytesMax} bytes, found ${recordBytes}`)
    this.#packets = packets
    this.#packet = 0
    this.#left = packets[0]?.bytes ?? 0
    for (const control of controls) {
      if (!this.#stopped) this.#sink.onControl(control)
    }
  }

  #readPayload(chunk: Uint8Array, at: number): number {
    const end = at + Math.min(this.#left, chunk.length - at)
    const whole = end - at === this.#left
    this.#add(chunk.subarray(at, end), whole)
    this.#left -= end - at
    if (whole) {
      const { circuit, header } = this.#packets[this.#packet]!
      const pieces = this.#pieces
      this.#pieces = []
      this.#packet += 1
      const next = this.#packets[this.#packet]
      if (next === undefined) {
        this.#packets = []
        this.#packet = 0
      } else this.#left = next.bytes
      this.#sink.onPacket(circuit, header, pieces)
    }
    return end
  }

  #add(slice: Uint8Array, last: boolean): void {
    if ((slice.length >= smallSliceBytes && !this.#lent) || (last && this.#gathered === 0)) {
      this.#endGathering()
      this.#pieces.push(slice)
      this.#sliced += slice.length
      return
    }
    if (this.#lent) {
      this.#join(slice, last)
      return
    }
    let rest = slice
    while (rest.length > 0) {
      this.#gather ??= new Uint8Array(Math.min(gatherBytes, this.#left))
      const room = this.#gather.length - this.#gathered
      const part = rest.length <= room ? rest : rest.subarray(0, room)
      this.#gather.set(part, this.#gathered)
      this.#gathered += part.length
      rest = rest.subarray(part.length)
      if (this.#gathered === this.#gather.length) this.#endGathering()
    }
    if (last) this.#endGathering()
  }

  /** Copies a part of a packet that comes in several lent chunks behind the parts before it. */
  #join(slice: Uint8Array, last: boolean): void {
    // One packet ends and one begins in a chunk, at most; so two buffers do.
    this.#gather ??= this.#left <= smallPacketBytes ? new Uint8Array(this.#left) : this.#nextJoined()
    this.#gather.set(slice, this.#gathered)
    this.#gathered += slice.length
    if (last) this.#endGathering()
  }

  #nextJoined(): Uint8Array {
    this.#turn = 1 - this.#turn
    const buffer = this.#joined[this.#turn] ?? new Uint8Array(packetBytesMax)
    this.#joined[this.#turn] = buffer
    return buffer
  }

  #endGathering(): void {
    if (this.#gather === undefined) return
    this.#pieces.push(this.#gathered === this.#gather.length ? this.#gather : this.#gather.subarray(0, this.#gathered))
    this.#gather = undefined
    this.#gathered = 0
  }
}

function bad(message: string): ProtocolError {
  return new ProtocolError('bad_record', message, {})
}

function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}
