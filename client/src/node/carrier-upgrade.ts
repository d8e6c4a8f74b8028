/**
 * Carrier `upgrade`: one GET with `Upgrade: sennit/1`, then raw hop bytes both ways on the socket.
 * Through a proxy it runs in a CONNECT tunnel. Reads come in large blocks straight from the kernel, writes leave in one writev.
 */

import type net from 'node:net'
import { base64url, SennitError } from '@sennit/protocol'
import { type Carrier, type CarrierEvents, carrierQueueBytes, type DialRequest, lingerMs } from './carrier.ts'
import { openSocket } from './open-socket.ts'
import { proxyFor } from './proxy.ts'
import { ResponseHeadReader, refusalText } from './response-head.ts'

export function dialUpgrade(request: DialRequest, events: CarrierEvents): Carrier {
  return new UpgradeCarrier(request, events)
}

/** Records up to this are joined and written as one: that costs less than a vector of pieces. */
const joinedBytesMax = 4096

class UpgradeCarrier implements Carrier {
  readonly #request: DialRequest
  readonly #events: CarrierEvents
  readonly #dial = new AbortController()
  readonly #head = new ResponseHeadReader()
  #state: 'dialling' | 'asked' | 'open' | 'closed' = 'dialling'
  #socket: net.Socket | undefined
  #answerTimer: NodeJS.Timeout | undefined
  #blocked = false

  constructor(request: DialRequest, events: CarrierEvents) {
    this.#request = request
    this.#events = events
    this.#open().catch((error: unknown) => this.#fail(error))
  }

  write(pieces: readonly Uint8Array[]): boolean {
    const socket = this.#socket
    if (this.#state !== 'open' || socket === undefined) return true
    let bytes = 0
    for (const piece of pieces) bytes += piece.length
    if (bytes <= joinedBytesMax) socket.write(Buffer.concat(pieces, bytes))
    else {
      socket.cork()
      for (const piece of pieces) socket.write(piece)
      socket.uncork()
    }
    // What write() itself says was true before the kernel was asked, which mostly takes all at once.
    const taken = socket.writableLength < carrierQueueBytes
    if (!taken) this.#blocked = true
    return taken
  }

  close(): void {
    if (this.#state === 'closed') return
    const wasOpen = this.#state === 'open'
    this.#end(wasOpen)
  }

  async #open(): Promise<void> {
    const { deadlines, tls, first, localAddress } = this.#request
    const url = new URL(this.#request.url)
    const proxy = proxyFor(url, this.#request.proxy)
    const socket = await openSocket({
      url,
      deadlines,
      signal: this.#dial.signal,
      onBytes: (chunk) => this.#bytes(chunk),
      ...(proxy === undefined ? {} : { proxy }),
      ...(tls === undefined ? {} : { tls }),
      ...(localAddress === undefined ? {} : { localAddress }),
    })
    if (this.#state === 'closed') {
      socket.destroy()
      return
    }
    this.#state = 'asked'
    this.#socket = socket
    socket.once('close', () => this.#lost('carrier_lost', 'the connection broke'))
    socket.once('end', () => this.#lost(this.#state === 'open' ? 'carrier_ended' : 'dial_refused', 'the relay ended the connection'))
    socket.on('error', (error) => this.#lost('carrier_lost', error.message))
    socket.on('drain', () => this.#drained())
    socket.resume() // also lets `end` be seen
    this.#answerTimer = setTimeout(
      () => this.#fail(new SennitError('dial_timeout', `${url.host} did not answer the upgrade within ${deadlines.stepMs} ms`)),
      deadlines.stepMs,
    )
    socket.write(
      `GET /sennit/v1 HTTP/1.1\r\nHost: ${url.host}\r\nConnection: Upgrade\r\nUpgrade: sennit/1\r\nSennit-First: ${base64url(first())}\r\n\r\n`,
    )
  }

  #bytes(chunk: Uint8Array): void {
    if (this.#state === 'open') {
      this.#events.onBytes(chunk)
      return
    }
    if (this.#state !== 'asked') return
    const head = this.#head.push(chunk)
    if (head === undefined) return
    if (typeof head === 'string') {
      this.#fail(new SennitError('dial_refused', head))
      return
    }
    if (head.status !== 101) {
      this.#fail(new SennitError('dial_refused', refusalText(head.status, head.reason, head.rest), { status: head.status }))
      return
    }
    clearTimeout(this.#answerTimer)
    this.#state = 'open'
    this.#events.onOpen()
    if (head.rest.length > 0 && this.#isOpen()) this.#events.onBytes(head.rest)
  }

  #isOpen(): boolean {
    return this.#state === 'open'
  }

  #drained(): void {
    if (!this.#blocked || this.#state !== 'open') return
    this.#blocked = false
    this.#events.onDrain()
  }

  #fail(error: unknown): void {
    if (error instanceof SennitError) this.#lost(error.code, error.message)
    else this.#lost('dial_failed', String(error))
  }

  #lost(code: string, message: string): void {
    if (this.#state === 'closed') return
    this.#end(false)
    this.#events.onClose(code, message)
  }

  #end(gently: boolean): void {
    // An abort makes an error with a stack, for nobody once the socket is ours; that counts when a relay takes many carriers along.
    if (this.#state === 'dialling') this.#dial.abort()
    this.#state = 'closed'
    clearTimeout(this.#answerTimer)
    const socket = this.#socket
    if (!gently || socket === undefined || socket.writableLength === 0) return void socket?.destroySoon()
    const timer = setTimeout(() => socket.destroy(), lingerMs)
    socket.once('close', () => clearTimeout(timer))
    socket.destroySoon()
  }
}
