/**
 * Joins a TCP socket and a stream of a connection, with TCP's manners: a half that ends ends the other's, a reset resets, and a slow reader
 * holds back the writer at the far end, with bounded memory in between.
 */

import type { Stream } from '../node/stream.ts'
import type { BulkSocket } from './bulk-socket.ts'

/** Stream error codes between `expose` and `forward`. */
export const spliceCodes = {
  /** The socket at the other end broke, or was reset. */
  broken: 1,
  /** The service could not be reached. */
  refused: 2,
} as const

/**
 * Runs until both are over. The socket must be connected, and not read yet.
 * @param onDone called once; `errorCode` is the stream's code when it did not end in order, undefined when it did
 * @returns resets both at once
 */
export function splice(bulk: BulkSocket, stream: Stream, onDone: (errorCode: number | undefined) => void): () => void {
  const { socket } = bulk
  let over = false
  let corked = false

  const done = (errorCode: number | undefined): void => {
    if (over) return
    over = true
    onDone(errorCode)
  }
  /** The stream failed: TCP's word for that is RST. FIN would say that the data is whole. */
  const failed = (errorCode: number): void => {
    if (over) return
    done(errorCode)
    socket.resetAndDestroy()
    stream.reset(spliceCodes.broken)
    stream.stop(spliceCodes.broken)
  }

  bulk.onBytes = (chunk) => over || stream.write(chunk)
  // Nobody else writes to the stream, so its bytes are the socket's.
  bulk.sealedBytes = () => stream.sealedBytes
  stream.onDrain(() => {
    if (!over) bulk.start()
  })
  socket.on('end', () => {
    if (!over) stream.end()
  })

  stream.onData((bytes) => {
    if (over) return
    // What one turn brings leaves in one system call.
    if (!corked) {
      corked = true
      socket.cork()
      process.nextTick(() => {
        corked = false
        socket.uncork()
      })
    }
    if (!socket.write(bytes)) stream.pause()
  })
  socket.on('drain', () => stream.resume())
  stream.onEnd(() => {
    if (!over) socket.end()
  })
  stream.onReset(failed)
  stream.onStopped(failed)

  socket.on('close', (hadError) => {
    if (over) return
    const inOrder = !hadError && socket.readableEnded && socket.writableFinished
    done(inOrder ? undefined : spliceCodes.broken)
    if (inOrder) return
    stream.reset(spliceCodes.broken)
    stream.stop(spliceCodes.broken)
  })
  bulk.start()
  return () => failed(spliceCodes.broken)
}
