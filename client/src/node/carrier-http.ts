/**
 * Carrier `http`: nothing but plain HTTP/1.1 requests. Down comes one long response, started again where it stopped; up goes one streaming
 * POST. Where a proxy holds bodies back, each half has a patient form: short polls down, numbered POSTs up.
 * It counts as open with the first byte from the relay, because only that proves that the way down is not held back.
 */

import type http from 'node:http'
import { SennitError } from '@sennit/protocol'
import { type Carrier, type CarrierEvents, type DialRequest, lingerMs } from './carrier.ts'
import { HttpRequests, requestError } from './http-requests.ts'
import { bodyOf, NumberedUp, StreamingUp, type Up } from './http-up.ts'
import { refusalText } from './response-head.ts'

/** No byte down for so long after the request left: something holds the response back, so ask in short polls. */
const firstByteMs = 1_000

/** No byte down for so long after the first bytes went up (the relay always answers those): something holds the request back. */
const upProgressMs = 1_000

/** How long the relay may hold an empty poll: under the 30 s at which the strictest common proxies give up. */
const pollWaitMs = 10_000

/** A network is judged again after this time; it may have changed. */
const memoryMs = 10 * 60_000

/** Ways remembered; one per relay URL. */
const waysMax = 256

/** What was learnt about the way to each relay URL, so that only the first dial pays for it. */
export class HttpWays {
  readonly #learnt = new Map<string, { held: Set<'up' | 'down'>; untilMs: number }>()

  holds(url: string, half: 'up' | 'down'): boolean {
    const way = this.#learnt.get(url)
    return way !== undefined && way.untilMs > performance.now() && way.held.has(half)
  }

  learn(url: string, half: 'up' | 'down'): void {
    const held = this.#learnt.get(url)?.held ?? new Set()
    held.add(half)
    if (this.#learnt.size >= waysMax) this.#learnt.clear()
    this.#learnt.set(url, { held, untilMs: performance.now() + memoryMs })
  }
}

export function dialHttp(request: DialRequest, events: CarrierEvents, ways: HttpWays): Carrier {
  return new HttpCarrier(request, events, ways)
}

class HttpCarrier implements Carrier {
  readonly #request: DialRequest
  readonly #events: CarrierEvents
  readonly #ways: HttpWays
  #state: 'dialling' | 'open' | 'closed' = 'dialling'
  #requests: HttpRequests | undefined
  #polls: boolean
  #session = ''
  #receivedBytes = 0
  #down: http.ClientRequest | undefined
  #up: Up | undefined
  #upAnswered = false
  #timer: NodeJS.Timeout | undefined
  #upTimer: NodeJS.Timeout | undefined

  constructor(request: DialRequest, events: CarrierEvents, ways: HttpWays) {
    this.#request = request
    this.#events = events
    this.#ways = ways
    this.#polls = ways.holds(request.url, 'down')
    // Not in the constructor's own turn: the owner must hold the carrier before it can hear that it failed.
    queueMicrotask(() => this.#begin())
  }

  write(pieces: readonly Uint8Array[]): boolean {
    if (this.#state !== 'open') return true
    this.#up ??= this.#beginUp()
    return this.#up.write(pieces)
  }

  close(): void {
    const up = this.#up
    if (this.#state !== 'open' || up === undefined) {
      this.#end()
      return
    }
    this.#state = 'closed'
    const timer = setTimeout(() => this.#end(), lingerMs)
    up.finish(() => {
      clearTimeout(timer)
      this.#end()
    })
  }

  /** Asks for a session, with the first bytes in the body. */
  #begin(): void {
    if (this.#state === 'closed') return
    const { deadlines, url } = this.#request
    const first = this.#request.first()
    try {
      this.#requests = new HttpRequests(this.#request)
    } catch (error) {
      this.#fail(requestError(error, 'dial_failed'))
      return
    }
    const path = this.#polls ? `/sennit/v1/http?wait=${deadlines.stepMs}` : '/sennit/v1/http'
    const headers = { 'Content-Type': 'application/octet-stream', 'Content-Length': first.length }
    const asked = this.#requests.begin({ method: 'POST', path, headers })
    this.#down = asked
    const waitMs = this.#polls ? deadlines.stepMs * 2 : Math.min(firstByteMs, deadlines.stepMs)
    asked.once('socket', () => {
      if (asked !== this.#down || this.#state === 'closed') return
      this.#timer = setTimeout(() => this.#noAnswer(), waitMs)
    })
    asked.on('error', (error) => asked === this.#down && this.#fail(requestError(error, 'dial_failed')))
    asked.on('response', (response) => {
      if (asked !== this.#down || this.#state === 'closed') return
      const session = response.headers['sennit-session']
      if (response.statusCode !== 200 || typeof session !== 'string' || !/^[0-9a-f]{32}$/.test(session)) {
        bodyOf(response).then((body) => {
          const why = refusalText(response.statusCode ?? 0, response.statusMessage ?? '', body)
          if (asked === this.#down) this.#fail(new SennitError('dial_refused', `${url}: ${why}`, { status: response.statusCode }))
        })
        return
      }
      this.#session = session
      this.#receive(asked, response)
    })
    asked.end(first)
  }

  /** The response is held back, or nobody answers: polls find out which. */
  #noAnswer(): void {
    if (this.#polls) {
      this.#fail(new SennitError('dial_timeout', `${this.#request.url} did not answer in time, not even short polls`))
      return
    }
    this.#dropDown()
    this.#requests?.close()
    this.#polls = true
    this.#session = ''
    this.#begin()
  }

  #receive(asked: http.ClientRequest, response: http.IncomingMessage): void {
    response.on('data', (chunk: Buffer) => {
      if (asked !== this.#down || this.#state === 'closed') return
      if (this.#state === 'dialling') this.#opened()
      this.#receivedBytes += chunk.length
      this.#upAnswered = this.#up !== undefined
      this.#events.onBytes(chunk)
    })
    response.on('end', () => {
      if (asked === this.#down && this.#state !== 'closed' && response.complete) this.#continueDown()
    })
    response.on('error', (error) => asked === this.#down && this.#fail(requestError(error, 'carrier_lost')))
    response.on('close', () => {
      if (asked === this.#down && !response.complete) this.#fail(new SennitError('carrier_lost', 'the response broke off'))
    })
  }

  #opened(): void {
    clearTimeout(this.#timer)
    if (this.#polls) this.#ways.learn(this.#request.url, 'down')
    this.#state = 'open'
    this.#events.onOpen()
  }

  /** The next response, from the byte where the last one ended. */
  #continueDown(): void {
    const wait = this.#polls ? `&wait=${pollWaitMs}` : ''
    const path = `/sennit/v1/http/${this.#session}/down?from=${this.#receivedBytes}${wait}`
    const asked = this.#requests!.begin({ method: 'GET', path })
    this.#down = asked
    const { stepMs } = this.#request.deadlines
    const limitMs = (this.#polls ? pollWaitMs : 0) + 2 * stepMs
    const timer = setTimeout(() => asked.destroy(new SennitError('carrier_lost', `no answer to a GET within ${limitMs} ms`)), limitMs)
    this.#timer = timer
    asked.on('error', (error) => asked === this.#down && this.#fail(requestError(error, 'carrier_lost')))
    asked.on('response', (response) => {
      clearTimeout(timer)
      if (asked !== this.#down || this.#state === 'closed') return
      if (response.statusCode === 200) return this.#receive(asked, response)
      if (response.statusCode === 204) return void bodyOf(response).then(() => asked === this.#down && this.#continueDown())
      bodyOf(response).then((body) => {
        const why = refusalText(response.statusCode ?? 0, response.statusMessage ?? '', body)
        const code = response.statusCode === 410 ? 'carrier_ended' : 'carrier_lost'
        if (asked === this.#down) this.#fail(new SennitError(code, why, { status: response.statusCode }))
      })
    })
    asked.end()
  }

  #beginUp(): Up {
    const numbered = this.#ways.holds(this.#request.url, 'up')
    const events = { onDrain: () => this.#events.onDrain(), onFail: (error: SennitError) => this.#upFailed(error) }
    if (numbered) return new NumberedUp(this.#requests!, this.#session, events)
    this.#upTimer = setTimeout(() => {
      if (this.#upAnswered) return
      this.#upFailed(new SennitError('carrier_buffered', `the streaming request showed no effect within ${upProgressMs} ms`))
    }, upProgressMs)
    return new StreamingUp(this.#requests!, this.#session, events)
  }

  #upFailed(error: SennitError): void {
    if (error.code === 'carrier_buffered') this.#ways.learn(this.#request.url, 'up')
    this.#fail(error)
  }

  #fail(error: SennitError): void {
    if (this.#state === 'closed') return
    this.#end()
    this.#events.onClose(error.code, error.message)
  }

  #end(): void {
    this.#state = 'closed'
    clearTimeout(this.#upTimer)
    this.#up?.close()
    this.#dropDown()
    this.#requests?.close()
  }

  #dropDown(): void {
    clearTimeout(this.#timer)
    const down = this.#down
    this.#down = undefined
    down?.on('error', () => {})
    down?.destroy()
  }
}
