// A flow between two clients of the library in this process: bytes that say their own place, checked at the other end.
import type { Connection, Stream } from '@sennit/client'
import { expect } from 'vitest'

/** Bytes that say their own place, sent without a pause on one stream and checked at the other end. */
export class Flow {
  readonly #stream: Promise<Stream>
  readonly #over: Promise<void>
  #sent = 0
  #received = 0
  #wrong = -1
  #gapMs = 0
  #ending = false

  constructor(from: Connection, to: Connection) {
    let lastMs = performance.now()
    this.#over = new Promise((resolve, reject) => {
      to.onStream((incoming) => {
        incoming.onData((bytes) => {
          const nowMs = performance.now()
          this.#gapMs = Math.max(this.#gapMs, nowMs - lastMs)
          lastMs = nowMs
          for (const [index, byte] of bytes.entries()) {
            if (byte !== byteAt(this.#received + index) && this.#wrong < 0) this.#wrong = this.#received + index
          }
          this.#received += bytes.length
        })
        incoming.onEnd(resolve)
        incoming.onReset((code) => reject(new Error(`reset ${code}`)))
      })
    })
    this.#stream = from.openStream()
    void this.#stream.then((stream) => this.#send(stream))
  }

  /** Ends it. @throws when a byte is missing, doubled or wrong */
  async end(): Promise<{ sent: number; gapMs: number }> {
    this.#ending = true
    await this.#over
    expect({ received: this.#received, wrong: this.#wrong }).toEqual({ received: this.#sent, wrong: -1 })
    return { sent: this.#sent, gapMs: this.#gapMs }
  }

  /** A piece each few milliseconds: enough to lose, and the machine stays free for the others. */
  #send(stream: Stream): void {
    const timer = setInterval(() => {
      if (this.#ending) {
        clearInterval(timer)
        stream.end()
        return
      }
      const piece = Uint8Array.from({ length: 4_096 }, (_, index) => byteAt(this.#sent + index))
      this.#sent += piece.length
      stream.write(piece)
    }, 5)
  }
}

function byteAt(place: number): number {
  return (place ^ (place >> 8) ^ (place >> 16)) & 255
}
