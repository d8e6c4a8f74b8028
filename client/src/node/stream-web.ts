/** Web streams over a {@link Stream}'s callbacks, for whoever prefers them; `forward` does not, since they cost a promise per chunk. */

import { SennitError } from '@sennit/protocol'
import type { Stream } from './stream.ts'

/** The receiving half; it holds at most what one turn brings. */
export function readableOf(stream: Stream): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        stream.pause()
        stream.onData((bytes) => {
          controller.enqueue(bytes)
          if ((controller.desiredSize ?? 0) <= 0) stream.pause()
        })
        stream.onEnd(() => controller.close())
        stream.onReset((errorCode) => controller.error(resetError(stream.id, errorCode)))
      },
      pull: () => stream.resume(),
      cancel: () => stream.stop(),
    },
    { highWaterMark: 1 },
  )
}

/** The sending half; a write resolves when the stream takes more. */
export function writableOf(stream: Stream): WritableStream<Uint8Array> {
  return new WritableStream<Uint8Array>({
    start(controller) {
      stream.onStopped((errorCode) => controller.error(resetError(stream.id, errorCode)))
    },
    write(bytes) {
      if (stream.write(bytes)) return undefined
      return new Promise((resolve) => stream.onDrain(resolve))
    },
    close: () => stream.end(),
    abort: () => stream.reset(),
  })
}

function resetError(streamId: number, errorCode: number): SennitError {
  return new SennitError('stream_reset', `stream ${streamId} was given up with code ${errorCode}`, { streamId, errorCode })
}
