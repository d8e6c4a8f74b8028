/** Carrier `upgrade`: after `101` the socket carries raw hop bytes both ways. The fastest one: what is read is passed on, what is written goes out by writev. */

import type { Socket } from 'node:net'
import { canReadLarge, withLargeReads } from './large-reads.ts'
import type { ReadBlocks } from './read-blocks.ts'
import { type CarrierEvents, carrierHighWaterBytes, closeGraceMs, type ServerCarrier } from './server-carrier.ts'

/** Bytes that Node and libuv still hold for a socket. `writeQueueSize` moves with every partial write, `writableLength` only with whole ones. */
export function unsentBytes(socket: Socket): number {
  const handle = (socket as unknown as { _handle?: { writeQueueSize?: number } | null })._handle
  const inKernelQueue = handle?.writeQueueSize ?? 0
  return inKernelQueue > 0 ? inKernelQueue : socket.writableLength
}

/** Ends a socket in order, and by force when the peer takes nothing. */
function endSocket(socket: Socket): void {
  if (socket.destroyed) return
  socket.end()
  // Whoever is half closed is of no more use: reading on would let it hold the socket for ever.
  setTimeout(() => socket.destroy(), closeGraceMs).unref()
}

export class UpgradeCarrier implements ServerCarrier {
  readonly carrier = 'upgrade'
  readonly address: string
  private socket: Socket
  private readonly first: Uint8Array
  private readonly blocks: ReadBlocks
  private closedByUs = false
  private lateBytes = 0
  private told = false

  /** `first`: bytes of the request's header, and what followed it at once. `blocks`: one for all carriers of a relay. */
  constructor(socket: Socket, first: Uint8Array, address: string, blocks: ReadBlocks) {
    this.socket = socket
    this.first = first
    this.blocks = blocks
    this.address = address
  }

  start(events: CarrierEvents): void {
    this.watch(this.socket, events)
    let reads = 0
    let countedSinceMs = performance.now()
    const { socket } = this
    this.socket.on('data', (chunk: Buffer) => {
      if (this.closedByUs) {
        this.lateBytes += chunk.length
        if (this.lateBytes > lateBytesMax) socket.pause()
        return
      }
      events.bytes(chunk)
      const nowMs = performance.now()
      if (nowMs - countedSinceMs > countedForMs) {
        countedSinceMs = nowMs
        reads = 0
      }
      reads += 1
      if (reads < sharedReadsAfter) return
      reads = 0
      setImmediate(() => this.readShared(events))
    })
    if (this.first.length > 0) events.bytes(this.first)
  }

  write(pieces: readonly Uint8Array[]): boolean {
    const { socket, blocks } = this
    let bytes = 0
    for (const piece of pieces) bytes += piece.length
    if (bytes <= joinedBytesMax) {
      socket.write(Buffer.concat(pieces, bytes))
      blocks.written(pieces)
      return socket.writableLength < carrierHighWaterBytes
    }
    const last = pieces.length - 1
    // Writes are done in their order, so the last one's end is the end of all.
    const done = blocks.lieHere(pieces) ? (error?: Error | null): void => (error ? undefined : blocks.written(pieces)) : undefined
    socket.cork()
    for (let index = 0; index < last; index += 1) socket.write(pieces[index]!)
    socket.write(pieces[last]!, done)
    socket.uncork()
    return socket.writableLength < carrierHighWaterBytes
  }

  pendingBytes(): number {
    return unsentBytes(this.socket)
  }

  close(): void {
    this.closedByUs = true
    endSocket(this.socket)
  }

  private watch(socket: Socket, events: CarrierEvents): void {
    const closed = (why: string): void => {
      // A socket that was replaced only closes after the one that replaced it.
      if (this.told || this.closedByUs || socket !== this.socket) return
      this.told = true
      socket.destroy()
      events.closed(why)
    }
    socket.on('error', (cause: NodeJS.ErrnoException) => closed(cause.code ?? 'error'))
    socket.on('end', () => closed('end'))
    socket.on('close', () => closed('closed'))
    socket.on('drain', () => {
      if (!this.closedByUs) events.drained()
    })
  }

  /**
   * Reads into the memory that all share, or into a block of its own while it is busy, rather than into 64 KiB that are set aside for each read and cut
   * back to the 200 bytes that came.
   */
  private readShared(events: CarrierEvents): void {
    if (this.closedByUs || this.told || !canReadLarge(this.socket)) return
    this.socket = withLargeReads(this.socket, this.blocks, (chunk) => (this.closedByUs ? Number.POSITIVE_INFINITY : events.bytes(chunk)))
    this.watch(this.socket, events)
    this.socket.resume()
  }
}

/** Records up to this are joined and written as one: that costs less than a vector of pieces. */
const joinedBytesMax = 4096

/** What may still come after our goodbye and be thrown away; whoever sends more is flooding and is not read any more. */
const lateBytesMax: number = 256 * 1024

/** So many reads in so long a time: attachments that only wait, by the thousand, and say a heartbeat each 15 s, are not worth a second socket object. */
const sharedReadsAfter = 16
const countedForMs = 60_000
