/** Carrier `grpc`: one bidirectional stream of `Chunk`s. Slower than the others (messages are copied twice in grpc-js), for HTTP/2-only networks and other languages. */

import { Metadata, type ServerDuplexStream } from '@grpc/grpc-js'
import type { Chunk } from './grpc-service.ts'
import { type CarrierEvents, carrierHighWaterBytes, closeGraceMs, type ServerCarrier } from './server-carrier.ts'

/** One message; larger ones make a slow stream look stalled. */
const chunkBytesMax: number = 64 * 1024

export class GrpcCarrier implements ServerCarrier {
  readonly carrier = 'grpc'
  readonly address: string
  private readonly call: ServerDuplexStream<Chunk, Chunk>
  private events: CarrierEvents | undefined
  /** Written and not yet taken by HTTP/2: grpc-js counts messages, we need bytes. */
  private unsent = 0
  private full = false
  private ended = false

  constructor(call: ServerDuplexStream<Chunk, Chunk>, address: string) {
    this.call = call
    this.address = address
  }

  start(events: CarrierEvents): void {
    this.events = events
    const { call } = this
    call.on('error', () => this.lost('error'))
    call.on('cancelled', () => this.lost('cancelled'))
    call.on('end', () => this.lost('end'))
    call.on('close', () => this.lost('closed'))
    call.on('data', (chunk: Chunk) => {
      if (!this.ended) for (const piece of chunk.pieces) events.bytes(piece)
    })
    // Headers at once, so that a client knows its way is open before the first bytes.
    call.sendMetadata(new Metadata())
  }

  write(pieces: readonly Uint8Array[]): boolean {
    if (this.ended) return true
    let group: Uint8Array[] = []
    let bytes = 0
    for (const piece of pieces) {
      if (bytes > 0 && bytes + piece.length > chunkBytesMax) {
        this.writeChunk(group, bytes)
        group = []
        bytes = 0
      }
      group.push(piece)
      bytes += piece.length
    }
    if (bytes > 0) this.writeChunk(group, bytes)
    this.full = this.unsent >= carrierHighWaterBytes
    return !this.full
  }

  pendingBytes(): number {
    return this.unsent
  }

  close(): void {
    if (this.ended) return
    this.ended = true
    this.call.end()
    setTimeout(() => this.call.destroy(), closeGraceMs).unref()
  }

  private writeChunk(pieces: readonly Uint8Array[], bytes: number): void {
    this.unsent += bytes
    // What `write` returns counts messages; the callback tells when HTTP/2 has taken these bytes.
    this.call.write({ pieces }, () => {
      this.unsent -= bytes
      if (!this.full || this.ended || this.unsent >= carrierHighWaterBytes / 2) return
      this.full = false
      this.events?.drained()
    })
  }

  private lost(why: string): void {
    if (this.ended) return
    this.ended = true
    this.call.end()
    this.events?.closed(why)
  }
}
