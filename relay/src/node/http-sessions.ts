/** Requests of the `http` carrier: finds the session a request belongs to, or begins one. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { hex } from '@sennit/protocol'
import { answerError, type Refuse, readBody, targetOf } from './http-answers.ts'
import { HttpCarrier } from './http-carrier.ts'
import type { RelayShell } from './relay-shell.ts'
import type { SocketTicket } from './socket-ticket.ts'

/** The first bytes of a hop handshake. */
const firstBytesMax = 8192

/** Ended sessions that are still told from unknown ones. */
const endedMax = 4096

/** The longest a short poll is kept open; proxies give up after a minute or less. */
const waitMsMax = 25_000

export class HttpSessions {
  private readonly shell: RelayShell
  private readonly randomBytes: (length: number) => Uint8Array
  private readonly sessions = new Map<string, HttpCarrier>()
  private readonly ended = new Set<string>()

  constructor(shell: RelayShell, randomBytes: (length: number) => Uint8Array) {
    this.shell = shell
    this.randomBytes = randomBytes
  }

  /** `rest` is the path behind `/sennit/v1/http`. */
  handle(request: IncomingMessage, response: ServerResponse, rest: string, ticket: SocketTicket | undefined): void {
    const refuse = (status: number, code: string, message: string): void => {
      this.shell.machine.refused(code)
      ticket?.blamed()
      answerError(request, response, status, code, message)
    }
    if (rest === '') {
      if (request.method === 'POST') this.begin(request, response, ticket, refuse)
      else refuse(405, 'method_wrong', 'expected POST')
      return
    }
    const match = /^\/([0-9a-f]{32})\/(?:(down)|up(?:\/(\d{1,15}))?)$/.exec(rest)
    if (match === null) {
      refuse(404, 'not_found', 'expected /<session>/up, /<session>/up/<n> or /<session>/down')
      return
    }
    const id = match[1]!
    const session = this.sessions.get(id)
    if (session === undefined) {
      if (this.ended.has(id)) {
        refuse(410, 'session_ended', 'this session has ended; begin another')
        return
      }
      refuse(404, 'session_unknown', 'no such session at this relay; begin another')
      return
    }
    if (ticket !== undefined) session.adopt(ticket)
    const expected = match[2] === undefined ? 'POST' : 'GET'
    if (request.method !== expected) {
      refuse(405, 'method_wrong', `expected ${expected}`)
      return
    }
    if (match[2] !== undefined) {
      const query = targetOf(request).searchParams
      const from = Number(query.get('from') ?? Number.NaN)
      if (!Number.isSafeInteger(from) || from < 0) {
        refuse(400, 'from_missing', 'expected ?from=<bytes received so far>')
        return
      }
      session.down(response, from, waitOf(query), refuse)
    } else if (match[3] === undefined) session.upStream(request, response, refuse)
    else session.upNumbered(request, response, Number(match[3]), refuse)
  }

  close(): void {
    this.sessions.clear()
  }

  private begin(request: IncomingMessage, response: ServerResponse, ticket: SocketTicket | undefined, refuse: Refuse): void {
    if (this.shell.machine.isDraining) {
      refuse(503, 'draining', 'this relay is going away; use another one')
      return
    }
    const waitMs = waitOf(targetOf(request).searchParams)
    readBody(request, firstBytesMax, refuse, (first) => {
      if (first.length === 0) return refuse(400, 'first_missing', 'expected the first bytes of the hop handshake as body')
      const id = hex(this.randomBytes(16))
      const session = new HttpCarrier(id, ticket?.address ?? request.socket.remoteAddress ?? '', first, () => {
        this.sessions.delete(id)
        this.ended.add(id)
        // A set keeps the order of arrival, so the first is the oldest.
        for (const oldest of this.ended) {
          if (this.ended.size <= endedMax) break
          this.ended.delete(oldest)
        }
      })
      this.sessions.set(id, session)
      session.begin(response, waitMs, this.shell, ticket?.take() ?? false)
    })
  }
}

function waitOf(query: URLSearchParams): number | undefined {
  const text = query.get('wait')
  if (text === null) return undefined
  const waitMs = Number(text)
  return Number.isFinite(waitMs) && waitMs > 0 ? Math.min(waitMs, waitMsMax) : 0
}
