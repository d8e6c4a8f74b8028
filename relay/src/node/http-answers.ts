/** Small things every HTTP answer of the relay needs. */

import type { IncomingMessage, ServerResponse } from 'node:http'

/** Ends a request with a JSON error; whatever body is still coming is not waited for. */
export function answerError(request: IncomingMessage, response: ServerResponse, status: number, code: string, message: string): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const body = JSON.stringify({ code, message })
  const headers: Record<string, string | number> = {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
  }
  if (!request.complete) headers.Connection = 'close'
  response.writeHead(status, headers)
  response.end(body)
  request.resume()
}

/** Path and query of a request, also in absolute form as proxies send it. */
export function targetOf(request: IncomingMessage): URL {
  try {
    return new URL(request.url ?? '/', 'http://relay.invalid')
  } catch {
    return new URL('http://relay.invalid/malformed')
  }
}

/** Answers a request with an error and counts it. */
export type Refuse = (status: number, code: string, message: string) => void

/** Reads a bounded body and hands it over whole; a longer one is refused without being read. */
export function readBody(request: IncomingMessage, max: number, refuse: Refuse, done: (body: Uint8Array) => void): void {
  const declared = Number(request.headers['content-length'] ?? 0)
  if (declared > max) {
    refuse(413, 'body_too_large', `expected at most ${max} bytes, found ${declared}`)
    return
  }
  const chunks: Buffer[] = []
  let bytes = 0
  const onData = (chunk: Buffer): void => {
    bytes += chunk.length
    if (bytes <= max) {
      chunks.push(chunk)
      return
    }
    request.off('data', onData)
    request.off('end', onEnd)
    refuse(413, 'body_too_large', `expected at most ${max} bytes`)
  }
  const onEnd = (): void => done(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks))
  request.on('data', onData)
  request.on('end', onEnd)
}
