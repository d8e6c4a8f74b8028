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
  if (!request.complete) headers['Connection'] = 'close'
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
