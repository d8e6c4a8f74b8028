/**
 * Large reads for a busy socket. By default Node reads at most 64 KiB, into a fresh buffer each time. Here a busy socket is read into blocks of
 * 256 KiB, cut from the front (see `read-blocks.ts` for when one is used again); one that is quiet holds no memory at all.
 */

import { Socket } from 'node:net'
import type { ReadBlocks } from './read-blocks.ts'

/** A rest smaller than this is given up: reads into it would be small again. */
const restBytesMin: number = 64 * 1024

/** A read of this much says that the socket is busy. */
const busyReadBytes: number = 16 * 1024

/** So many small reads one after the other say that it is not. */
const quietReads = 32

interface WithHandle {
  _handle: object | null | undefined
}

/** Whether the handle can be moved now: a plain socket (TLS ones read elsewhere) with nothing read, written or ending that it still has to finish. */
export function canReadLarge(socket: Socket): boolean {
  const plain = Object.getPrototypeOf(socket) === Socket.prototype && (socket as unknown as WithHandle)._handle instanceof Object
  return (
    plain && !socket.destroyed && !socket.readableEnded && socket.writable && socket.readableLength === 0 && socket.writableLength === 0
  )
}

/**
 * Moves the handle of an accepted socket to a new one with large reads, in one turn, so that nothing is read in between. The old socket is an empty
 * shell that closes with the new one, and closes it. `receive` returns how many bytes of the chunk stay in use, see {@link ReadBlocks.hold}.
 */
export function withLargeReads(old: Socket, blocks: ReadBlocks, receive: (chunk: Uint8Array) => number): Socket {
  const shell = old as unknown as WithHandle
  const handle = shell._handle
  shell._handle = null
  const reads = new Reads(blocks, receive)
  const options = {
    handle,
    readable: true,
    writable: true,
    allowHalfOpen: false,
    onread: { buffer: (): Uint8Array => reads.target, callback: (length: number): boolean => reads.took(length) },
  }
  // `handle` is how net.Server itself makes its sockets; it is not in the public types.
  const socket = new Socket(options as ConstructorParameters<typeof Socket>[0])
  socket.once('close', () => old.destroy())
  old.once('close', () => socket.destroy())
  return socket
}

/** Where one socket's next read goes. Node asks right after each read, and reads and hands over in one step: so the shared memory is nobody's in between. */
class Reads {
  private readonly blocks: ReadBlocks
  private readonly receive: (chunk: Uint8Array) => number
  /** What is left of our own block, while the socket is busy. */
  private rest: Buffer | undefined
  private smallReads = 0

  constructor(blocks: ReadBlocks, receive: (chunk: Uint8Array) => number) {
    this.blocks = blocks
    this.receive = receive
  }

  get target(): Buffer {
    return this.rest ?? this.blocks.shared
  }

  took(length: number): boolean {
    const busy = length >= busyReadBytes
    this.smallReads = busy ? 0 : this.smallReads + 1
    const { rest, blocks } = this
    if (rest === undefined) {
      // A copy of its own size: it may wait for a slow reader, and the shared memory may not.
      this.receive(Buffer.from(blocks.shared.subarray(0, length)))
      if (busy) this.rest = blocks.take()
      return true
    }
    const chunk = rest.subarray(0, length)
    this.rest = rest.subarray(length)
    blocks.hold(chunk, this.receive(chunk))
    if (this.rest.length >= restBytesMin && this.smallReads < quietReads) return true
    blocks.full(chunk)
    this.rest = busy ? blocks.take() : undefined
    return true
  }
}
