/** TCP sockets read in large blocks without copies, for the bulk path: Node's own reads are small, and reads and copies decide the speed. */

import net from 'node:net'
import { type ReadBlocks, SocketReads } from './read-blocks.ts'

/** What a socket queues for writing before it asks to wait: a few blocks, so that the kernel never runs dry. */
const writeQueueBytes = 256 * 1024

/** A socket whose bytes go to `onBytes` while it returns true; after false nothing is read until `start`. */
export interface BulkSocket {
  readonly socket: net.Socket
  /** Reads on, from the beginning or after `onBytes` returned false. */
  start(): void
  onBytes: (chunk: Uint8Array) => boolean
  /** Bytes given to `onBytes`, from the first one, whose memory nobody needs any more: it is read into again. */
  sealedBytes: () => number
}

/** Connects to a service. Nothing is read before `onBytes` is replaced, because it returns false. */
export function connectBulk(host: string, port: number, blocks: ReadBlocks): BulkSocket {
  const bulk = holder()
  const options = { host, port, allowHalfOpen: true, noDelay: true, writableHighWaterMark: writeQueueBytes, onread: readsOf(bulk, blocks) }
  return finish(bulk, net.connect(options as net.TcpNetConnectOpts))
}

/** The options of a server whose sockets {@link adoptBulk} takes over. */
export const bulkServerOptions: net.ServerOpts = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true }

/**
 * Takes over a socket of such a server. Node gives accepted sockets no read buffers of ours, so a second socket object is put around the
 * same handle; where the handle is not to be had, the socket is used as it is, only slower.
 */
export function adoptBulk(accepted: net.Socket, blocks: ReadBlocks): BulkSocket {
  const bulk = holder()
  const inner = accepted as unknown as { _handle?: object; _server?: unknown; server?: unknown }
  if (inner._handle === undefined || inner._handle === null) {
    accepted.on('data', (chunk: Buffer) => {
      if (!bulk.onBytes(chunk)) accepted.pause()
    })
    accepted.pause()
    return finish(bulk, accepted)
  }
  const options = {
    handle: inner._handle,
    allowHalfOpen: true,
    manualStart: true,
    writableHighWaterMark: writeQueueBytes,
    onread: readsOf(bulk, blocks),
  }
  const socket = new net.Socket(options as unknown as net.SocketConstructorOpts)
  // The server counts its sockets; the new object is the one that will close.
  Object.assign(socket, { _server: inner._server, server: inner.server })
  Object.assign(inner, { _server: null, _handle: null })
  return finish(bulk, socket)
}

type Reader = Pick<BulkSocket, 'onBytes' | 'sealedBytes'>

function holder(): Reader {
  return { onBytes: () => false, sealedBytes: () => 0 }
}

function readsOf(bulk: Reader, blocks: ReadBlocks): net.OnReadOpts {
  const reads = new SocketReads(blocks)
  return { buffer: () => reads.next(bulk.sealedBytes()), callback: (length) => bulk.onBytes(reads.take(length)) }
}

function finish(bulk: Reader, socket: net.Socket): BulkSocket {
  socket.on('error', () => {}) // 'close' follows and tells
  return Object.assign(bulk, { socket, start: () => void socket.resume() })
}
