/**
 * Where log lines go: a descriptor, in order, without waiting. A disk that is full or a reader that is gone costs lines and never the relay: pino's
 * own destination ends the process then, and its last write, repeated for ever, keeps it from ending. Lines that could not be written are counted,
 * and the count is logged as soon as lines get through again.
 */

import { write, writeSync } from 'node:fs'

/** Lines that wait for a slow disk; more are dropped. */
const waitingBytesMax = 1_048_576
/** A pipe is empty again sooner than this where its reader lives. */
const retryMs = 20

export class LogDestination {
  readonly #fd: number
  #waiting: string[] = []
  #waitingBytes = 0
  #writing = false
  #dropped = 0

  constructor(fd: number) {
    this.#fd = fd
  }

  /** Takes one line. */
  write(line: string): void {
    if (this.#waitingBytes + line.length > waitingBytesMax) {
      this.#dropped += 1
      return
    }
    this.#waiting.push(line)
    this.#waitingBytes += line.length
    if (!this.#writing) this.#next()
  }

  /** What waits is written now, as far as it can be. */
  flushSync(): void {
    const text = this.#take()
    try {
      if (text !== '') writeSync(this.#fd, text)
    } catch {
      // Nobody is there to be told.
    }
  }

  #next(): void {
    const lines = this.#waiting.length
    if (lines === 0) return
    this.#writing = true
    this.#put(Buffer.from(this.#take()), lines)
  }

  #put(bytes: Buffer, lines: number): void {
    write(this.#fd, bytes, (error, written) => {
      if (error?.code === 'EAGAIN') {
        // A pipe whose reader is slow; what comes meanwhile waits, up to its bound.
        setTimeout(() => this.#put(bytes, lines), retryMs).unref()
        return
      }
      if (error === null && written < bytes.length) {
        this.#put(bytes.subarray(written), lines)
        return
      }
      this.#writing = false
      if (error !== null) this.#dropped += lines
      else if (this.#dropped > 0) this.#tellDropped()
      this.#next()
    })
  }

  #tellDropped(): void {
    const dropped = this.#dropped
    this.#dropped = 0
    this.write(`${JSON.stringify({ level: 40, time: Date.now(), event: 'log_lines_dropped', lines: dropped })}\n`)
  }

  #take(): string {
    const text = this.#waiting.join('')
    this.#waiting = []
    this.#waitingBytes = 0
    return text
  }
}
