/**
 * Large reads for a busy socket. By default Node reads at most 64 KiB, into a fresh buffer each time; here reads go into 256 KiB blocks that are
 * cut from the front and never used twice, so every chunk belongs to whoever gets it (one reused read buffer with queued writes behind it corrupts).
 */

import { Socket } from 'node:net'

/** One block: a read takes what the kernel holds, up to this. */
const blockBytes: number = 256 * 1024

/** A rest smaller than this is given up: reads into it would be small again. */
const restBytesMin: number = 64 * 1024

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
 * shell that closes with the new one, and closes it.
 */
export function withLargeReads(old: Socket, receive: (chunk: Uint8Array) => void): Socket {
  const shell = old as unknown as WithHandle
  const handle = shell._handle
  shell._handle = null
  let block: Buffer = Buffer.allocUnsafeSlow(blockBytes)
  const options = {
    handle,
    readable: true,
    writable: true,
    allowHalfOpen: false,
    onread: {
      buffer: (): Uint8Array => {
        if (block.length < restBytesMin) block = Buffer.allocUnsafeSlow(blockBytes)
        return block
      },
      callback: (length: number): boolean => {
        const chunk = block.subarray(0, length)
        block = block.subarray(length)
        receive(chunk)
        return true
      },
    },
  }
  // `handle` is how net.Server itself makes its sockets; it is not in the public types.
  const socket = new Socket(options as ConstructorParameters<typeof Socket>[0])
  socket.once('close', () => old.destroy())
  old.once('close', () => socket.destroy())
  return socket
}
