/**
 * Carrier `http`: plain HTTP/1.1 requests. Down, one long response (or short polls, for proxies that hold responses back); up, one streaming POST or
 * numbered POSTs. What was sent down lately is kept, so that a response that ends (each does, after 10 minutes or 64 MiB) is continued by the
 * next one at the byte the client names.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type Refuse, readBody } from './http-answers.ts'
import type { RelayShell } from './relay-shell.ts'
import { type CarrierEvents, carrierHighWaterBytes, closeGraceMs, type ServerCarrier } from './server-carrier.ts'
import type { SocketTicket } from './socket-ticket.ts'
import { TailBuffer } from './tail-buffer.ts'
import { unsentBytes } from './upgrade-carrier.ts'

/** One numbered POST. */
const upBodyBytesMax: number = 256 * 1024

/** Numbered POSTs that came before an earlier one. */
const reorderBytesMax: number = 2 * 1024 * 1024

/** How far a number may be ahead: four times what a client may have outstanding. */
const reorderCountMax = 32

/** A response ends after so much, before proxies with limits cut it somewhere. */
const responseBytesMax: number = 64 * 1024 * 1024
const responseMsMax = 600_000

/** How long a session lives without a response to send on: a round trip is enough for a client that is there. */
const downGapMs = 5000

type Down =
  | { readonly type: 'none' }
  | { readonly type: 'stream'; readonly response: ServerResponse; readonly socket: Socket; bytes: number; readonly timer: NodeJS.Timeout }
  | { readonly type: 'poll'; readonly response: ServerResponse; readonly timer: NodeJS.Timeout; flushing: boolean }

export class HttpCarrier implements ServerCarrier {
  readonly carrier = 'http'
  readonly address: string
  private readonly id: string
  private readonly first: Uint8Array
  private readonly onEnded: () => void
  private readonly tail = new TailBuffer()
  private readonly tickets = new Set<SocketTicket>()
  private readonly early = new Map<number, Uint8Array>()
  private events: CarrierEvents | undefined
  private proved: () => boolean = () => false
  private downState: Down = { type: 'none' }
  private up: 'unused' | 'stream' | 'numbered' = 'unused'
  private nextUp = 0
  private earlyBytes = 0
  private full = false
  private ended = false
  private gapTimer: NodeJS.Timeout | undefined

  constructor(id: string, address: string, first: Uint8Array, onEnded: () => void) {
    this.id = id
    this.address = address
    this.first = first
    this.onEnded = onEnded
  }

  /** The POST that makes the session: its response is the first way down. */
  begin(response: ServerResponse, waitMs: number | undefined, shell: RelayShell, counted: boolean): void {
    response.setHeader('Sennit-Session', this.id)
    this.openDown(response, waitMs)
    this.proved = shell.attach(this, counted)
  }

  /** A socket carries requests of this session: it gives its place in the admission back as soon as the client has proved itself. */
  adopt(ticket: SocketTicket): void {
    this.tickets.add(ticket)
    this.settleTickets()
  }

  start(events: CarrierEvents): void {
    this.events = events
    events.bytes(this.first)
  }

  write(pieces: readonly Uint8Array[]): boolean {
    if (this.ended) return true
    const bytes = this.tail.push(pieces)
    this.settleTickets()
    const down = this.downState
    if (down.type === 'stream') {
      this.send(down, pieces, bytes)
      this.full = this.downState !== down || down.socket.writableLength >= carrierHighWaterBytes
    } else {
      if (down.type === 'poll') this.flushPoll(down)
      this.full = this.tail.unsentBytes >= carrierHighWaterBytes
    }
    return !this.full
  }

  pendingBytes(): number {
    return this.tail.unsentBytes + (this.downState.type === 'stream' ? unsentBytes(this.downState.socket) : 0)
  }

  close(): void {
    this.finish(true)
  }

  /** GET …/down: continues at byte `from`; with `waitMs` as a short poll. */
  down(response: ServerResponse, from: number, waitMs: number | undefined, refuse: Refuse): void {
    const now = this.downState
    if (now.type === 'stream') {
      refuse(409, 'session_in_use', 'the response of this session is open still')
      return
    }
    if (!this.tail.rewind(from)) {
      refuse(410, 'session_ended', 'bytes of this position are gone; begin another session')
      return
    }
    if (now.type === 'poll') this.answerPoll(now)
    this.openDown(response, waitMs)
  }

  /** POST …/up: the body is the way up, for as long as it lasts. */
  upStream(request: IncomingMessage, response: ServerResponse, refuse: Refuse): void {
    if (this.up !== 'unused') {
      refuse(409, 'session_in_use', 'this session has a way up already')
      return
    }
    this.up = 'stream'
    request.on('data', (chunk: Buffer) => this.received(chunk))
    request.on('end', () => {
      response.writeHead(204, { 'Cache-Control': 'no-store' })
      response.end()
      this.lost('up_ended')
    })
    request.on('close', () => this.lost('up_lost'))
  }

  /** POST …/up/n: one piece of the way up; a repeat gets the same answer. */
  upNumbered(request: IncomingMessage, response: ServerResponse, number: number, refuse: Refuse): void {
    if (this.up === 'stream') {
      refuse(409, 'session_in_use', 'this session has a way up already')
      return
    }
    this.up = 'numbered'
    if (number >= this.nextUp + reorderCountMax) {
      refuse(409, 'up_too_far', `expected a number below ${this.nextUp + reorderCountMax}`)
      return
    }
    readBody(request, upBodyBytesMax, refuse, (body) => {
      if (number > this.nextUp && !this.early.has(number)) {
        if (this.earlyBytes + body.length > reorderBytesMax) return refuse(413, 'up_too_much', 'too much waits for an earlier number')
        this.early.set(number, body)
        this.earlyBytes += body.length
      } else if (number === this.nextUp) this.deliver(body)
      response.writeHead(204, { 'Cache-Control': 'no-store' })
      response.end()
    })
  }

  private deliver(body: Uint8Array): void {
    for (let next: Uint8Array | undefined = body; next !== undefined; next = this.early.get(this.nextUp)) {
      if (this.early.delete(this.nextUp)) this.earlyBytes -= next.length
      this.nextUp += 1
      if (next.length > 0) this.received(next)
    }
  }

  private received(chunk: Uint8Array): void {
    if (this.ended) return
    this.events?.bytes(chunk)
    this.settleTickets()
  }

  private openDown(response: ServerResponse, waitMs: number | undefined): void {
    clearTimeout(this.gapTimer)
    if (waitMs === undefined) this.openStream(response)
    else {
      const timer = setTimeout(() => {
        if (this.downState === poll) this.answerPoll(poll)
      }, waitMs)
      const poll: Extract<Down, { type: 'poll' }> = { type: 'poll', response, timer, flushing: false }
      this.downState = poll
      response.on('close', () => {
        if (this.downState === poll) this.noDown()
        clearTimeout(timer)
      })
      if (this.tail.unsentBytes > 0) this.flushPoll(poll)
    }
  }

  private openStream(response: ServerResponse): void {
    const socket = response.req.socket
    const timer = setTimeout(() => {
      if (this.downState === stream) this.endStream(stream)
    }, responseMsMax).unref()
    const stream: Extract<Down, { type: 'stream' }> = { type: 'stream', response, socket, bytes: 0, timer }
    this.downState = stream
    response.writeHead(200, downHeaders)
    response.flushHeaders()
    const onDrain = (): void => {
      if (this.downState === stream) this.drained()
    }
    socket.on('drain', onDrain)
    response.on('close', () => {
      clearTimeout(timer)
      socket.off('drain', onDrain)
      if (this.downState === stream) this.lost('down_lost')
    })
    const backlog = this.tail.unsentPieces()
    if (backlog.length > 0) this.send(stream, backlog, this.tail.unsentBytes)
    if (socket.writableLength < carrierHighWaterBytes) this.drained()
  }

  private send(stream: Extract<Down, { type: 'stream' }>, pieces: readonly Uint8Array[], bytes: number): void {
    const { response } = stream
    response.cork()
    for (const piece of pieces) response.write(piece)
    response.uncork()
    this.tail.sent()
    stream.bytes += bytes
    if (stream.bytes >= responseBytesMax) this.endStream(stream)
  }

  private endStream(stream: Extract<Down, { type: 'stream' }>): void {
    this.noDown()
    stream.response.end()
  }

  /** Answers when the turn is over, so that all it brings goes in one response. */
  private flushPoll(poll: Extract<Down, { type: 'poll' }>): void {
    if (poll.flushing) return
    poll.flushing = true
    setImmediate(() => {
      if (this.downState === poll) this.answerPoll(poll)
    })
  }

  private answerPoll(poll: Extract<Down, { type: 'poll' }>): void {
    const { response } = poll
    clearTimeout(poll.timer)
    this.noDown()
    const bytes = this.tail.unsentBytes
    // Only the answer that names the session has something to say without a body.
    response.writeHead(
      bytes > 0 || response.hasHeader('Sennit-Session') ? 200 : 204,
      bytes > 0 ? { ...downHeaders, 'Content-Length': bytes } : downHeaders,
    )
    for (const piece of this.tail.unsentPieces()) response.write(piece)
    response.end()
    this.tail.sent()
    this.drained()
  }

  private noDown(): void {
    this.downState = { type: 'none' }
    clearTimeout(this.gapTimer)
    if (!this.ended) this.gapTimer = setTimeout(() => this.lost('down_late'), downGapMs).unref()
  }

  private drained(): void {
    if (!this.full || this.ended) return
    this.full = false
    this.events?.drained()
  }

  private settleTickets(): void {
    if (this.tickets.size === 0 || !this.proved()) return
    for (const ticket of this.tickets) ticket.prove()
    this.tickets.clear()
  }

  /** Either half dead is the attachment dead. */
  private lost(why: string): void {
    if (this.ended) return
    this.finish(false)
    this.events?.closed(why)
  }

  private finish(inOrder: boolean): void {
    if (this.ended) return
    this.ended = true
    clearTimeout(this.gapTimer)
    const down = this.downState
    if (down.type === 'poll') this.answerPoll(down)
    this.downState = { type: 'none' }
    if (down.type === 'stream') {
      if (inOrder) {
        down.response.end()
        setTimeout(() => down.response.destroy(), closeGraceMs).unref()
      } else down.response.destroy()
    }
    this.early.clear()
    this.onEnded()
  }
}

const downHeaders: Readonly<Record<string, string>> = {
  'Content-Type': 'application/octet-stream',
  'Cache-Control': 'no-store, no-transform',
  'X-Accel-Buffering': 'no',
}
