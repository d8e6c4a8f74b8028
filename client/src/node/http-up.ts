/** The upward half of carrier `http`: one streaming POST, or numbered POSTs where a proxy holds request bodies back. */

import type http from 'node:http'
import { SennitError } from '@sennit/protocol'
import pRetry, { AbortError } from 'p-retry'
import { carrierQueueBytes } from './carrier.ts'
import { type HttpRequests, requestError } from './http-requests.ts'
import { refusalText } from './response-head.ts'

/** What the relay reorders: at most 8 numbered POSTs of at most 256 KiB are under way. */
const postsMax = 8
const postBytesMax = 256 * 1024

/** With this many under way a small write waits for company: more would be all head and no body. */
const eagerPosts = 3
const worthwhileBytes = 32 * 1024

/** A numbered POST may be repeated (the relay gives a repeat the same answer); two more tries cover a keep-alive socket that just died. */
const postRetries = 2

/** Answers that say "not in this form": the next session sends numbered POSTs. */
const unstreamable: readonly number[] = [405, 408, 411, 413, 501]

export interface UpEvents {
  onDrain(): void
  /** The end of the attachment. `carrier_buffered` when only this form of sending is at fault. */
  onFail(error: SennitError): void
}

export interface Up {
  write(pieces: readonly Uint8Array[]): boolean
  /** Writes no more; `done` is called when everything has left, perhaps at once. */
  finish(done: () => void): void
  /** Ends it now. */
  close(): void
}

/** One POST that never ends. */
export class StreamingUp implements Up {
  readonly #request: http.ClientRequest
  #closed = false
  #blocked = false

  constructor(requests: HttpRequests, session: string, events: UpEvents) {
    const headers = { 'Content-Type': 'application/octet-stream', 'Transfer-Encoding': 'chunked' }
    const request = requests.begin({ method: 'POST', path: `/sennit/v1/http/${session}/up`, headers })
    this.#request = request
    request.on('drain', () => {
      if (!this.#blocked || this.#closed) return
      this.#blocked = false
      events.onDrain()
    })
    request.on('error', (error) => this.#closed || events.onFail(requestError(error, 'carrier_lost')))
    request.on('response', (response) => {
      const status = response.statusCode ?? 0
      bodyOf(response).then((body) => {
        if (this.#closed) return
        const code = unstreamable.includes(status) ? 'carrier_buffered' : 'carrier_lost'
        events.onFail(new SennitError(code, `the upward request ended: ${refusalText(status, response.statusMessage ?? '', body)}`))
      })
    })
    request.flushHeaders()
  }

  write(pieces: readonly Uint8Array[]): boolean {
    let taken = true
    this.#request.cork()
    for (const piece of pieces) taken = this.#request.write(piece)
    this.#request.uncork()
    // The request counts only what its socket has not taken; before there is a socket everything waits.
    const waiting = this.#request.writableLength >= carrierQueueBytes
    if (!taken && waiting) this.#blocked = true
    return !this.#blocked
  }

  finish(done: () => void): void {
    this.#closed = true
    // The relay's answer proves that it has read everything; leaving the way down before would end the session under the last bytes.
    this.#request.once('response', done).once('close', done)
    this.#request.end()
  }

  close(): void {
    this.#closed = true
    this.#request.destroy()
  }
}

/** POST …/up/0, …/up/1, …: each whole, several at once. */
export class NumberedUp implements Up {
  readonly #requests: HttpRequests
  readonly #session: string
  readonly #events: UpEvents
  readonly #given = new AbortController()
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  #underWay = 0
  #number = 0
  #blocked = false
  #finished: (() => void) | undefined

  constructor(requests: HttpRequests, session: string, events: UpEvents) {
    this.#requests = requests
    this.#session = session
    this.#events = events
  }

  write(pieces: readonly Uint8Array[]): boolean {
    for (const piece of pieces) {
      this.#queue.push(piece)
      this.#queuedBytes += piece.length
    }
    this.#pump()
    this.#blocked ||= this.#queuedBytes >= carrierQueueBytes
    return !this.#blocked
  }

  finish(done: () => void): void {
    if (this.#underWay === 0) done()
    else this.#finished = done
  }

  close(): void {
    this.#given.abort(new SennitError('carrier_lost', 'the carrier was closed'))
  }

  #pump(): void {
    while (this.#queuedBytes > 0 && this.#underWay < postsMax && (this.#underWay < eagerPosts || this.#queuedBytes >= worthwhileBytes)) {
      const body = this.#cut()
      const number = this.#number
      this.#number += 1
      this.#underWay += 1
      this.#deliver(number, body)
        .then(() => this.#delivered())
        .catch((error: unknown) => this.#given.signal.aborted || this.#events.onFail(requestError(error, 'carrier_lost')))
    }
  }

  #cut(): Uint8Array[] {
    const body: Uint8Array[] = []
    let room = postBytesMax
    while (room > 0 && this.#queue.length > 0) {
      const piece = this.#queue[0]!
      if (piece.length <= room) this.#queue.shift()
      else this.#queue[0] = piece.subarray(room)
      const part = piece.length <= room ? piece : piece.subarray(0, room)
      body.push(part)
      room -= part.length
    }
    this.#queuedBytes -= postBytesMax - room
    return body
  }

  #delivered(): void {
    this.#underWay -= 1
    if (this.#given.signal.aborted) return
    this.#pump()
    if (this.#underWay === 0) this.#finished?.()
    if (!this.#blocked || this.#queuedBytes >= carrierQueueBytes) return
    this.#blocked = false
    this.#events.onDrain()
  }

  #deliver(number: number, body: readonly Uint8Array[]): Promise<void> {
    // No delay between tries: what fails here is a dead keep-alive socket, and the hop's own deadline is 3 s away.
    return pRetry(() => this.#post(number, body), { retries: postRetries, minTimeout: 0, signal: this.#given.signal })
  }

  #post(number: number, body: readonly Uint8Array[]): Promise<void> {
    const bytes = body.reduce((sum, piece) => sum + piece.length, 0)
    const headers = { 'Content-Type': 'application/octet-stream', 'Content-Length': bytes }
    const request = this.#requests.begin({ method: 'POST', path: `/sennit/v1/http/${this.#session}/up/${number}`, headers })
    return new Promise((resolve, reject) => {
      request.on('error', reject)
      request.on('response', (response) => {
        const status = response.statusCode ?? 0
        bodyOf(response).then((text) => {
          if (status >= 200 && status < 300) return resolve()
          const why = refusalText(status, response.statusMessage ?? '', text)
          const error = new SennitError('carrier_lost', `numbered request ${number} was refused: ${why}`, { status })
          reject(status >= 500 ? error : new AbortError(error))
        }, reject)
      })
      request.cork()
      for (const piece of body) request.write(piece)
      request.end()
      request.uncork()
    })
  }
}

/** The first bytes of a short answer; the rest is read and thrown away, so that the socket can serve again. */
export function bodyOf(response: http.IncomingMessage): Promise<Uint8Array> {
  return new Promise((resolve) => {
    const parts: Buffer[] = []
    let bytes = 0
    const done = (): void => resolve(Buffer.concat(parts))
    response.on('data', (part: Buffer) => {
      if (bytes < 4096) parts.push(part)
      bytes += part.length
    })
    response.on('end', done).on('error', done).on('close', done)
  })
}
