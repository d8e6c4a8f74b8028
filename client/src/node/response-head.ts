/** Reads the head of one HTTP/1.1 response off a raw socket, for the two answers after which the bytes are ours: 101, and 200 to CONNECT. */

/** Heads longer than this are not read on: ours and any proxy's are a few hundred bytes. */
const headBytesMax = 16 * 1024

/** Bodies of refusals are read to this length, to show the reason. */
const refusalBytesMax = 4 * 1024

export interface ResponseHead {
  readonly status: number
  readonly reason: string
  /** Names in lower case; the last of repeated ones. */
  readonly headers: ReadonlyMap<string, string>
  /** What followed the head in the same bytes. */
  readonly rest: Uint8Array
}

export class ResponseHeadReader {
  #bytes: Buffer = Buffer.alloc(0)

  /** @returns the head when it is whole, undefined to wait for more, or a sentence that says what is wrong */
  push(chunk: Uint8Array): ResponseHead | string | undefined {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    const end = this.#bytes.indexOf('\r\n\r\n')
    if (end < 0) return this.#bytes.length > headBytesMax ? `expected a response head of at most ${headBytesMax} bytes` : undefined
    const lines = this.#bytes.subarray(0, end).toString('latin1').split('\r\n')
    const match = /^HTTP\/1\.[01] (\d{3})(?: (.*))?$/.exec(lines[0]!)
    if (match === null) return `expected an HTTP/1.1 status line, found ${JSON.stringify(lines[0]!.slice(0, 60))}`
    const headers = new Map<string, string>()
    for (const line of lines.slice(1)) {
      const colon = line.indexOf(':')
      if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim())
    }
    return { status: Number(match[1]), reason: match[2] ?? '', headers, rest: this.#bytes.subarray(end + 4) }
  }
}

/** One sentence about an HTTP refusal: the status and, where the relay said why in JSON, its code and message. */
export function refusalText(status: number, reason: string, body: Uint8Array): string {
  const text = Buffer.from(body.subarray(0, refusalBytesMax)).toString('utf8').trim()
  const told = relayReason(text)
  return told === undefined ? `HTTP ${status} ${reason}`.trim() : `HTTP ${status}: ${told.code}: ${told.message}`
}

/** Code and message of a relay's JSON refusal, undefined when the body is anything else. */
function relayReason(body: string): { code: string; message: string } | undefined {
  try {
    const parsed: unknown = JSON.parse(body.slice(body.indexOf('{'), body.lastIndexOf('}') + 1))
    if (typeof parsed !== 'object' || parsed === null) return undefined
    const { code, message } = parsed as { code?: unknown; message?: unknown }
    return typeof code === 'string' ? { code, message: typeof message === 'string' ? message : '' } : undefined
  } catch {
    return undefined
  }
}
