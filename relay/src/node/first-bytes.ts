/**
 * What the first bytes of a socket say, before any parser is made for it: which protocol it is, and whether it is worth one. A parser, its socket
 * objects and its answers cost a hundred times what this look costs, and floods are mostly bytes that no client sends.
 */

/** `more`: not decided yet. `bytes`: how many of those seen belong to it; the rest is not read. */
export type FirstBytes =
  | { readonly kind: 'more' }
  | { readonly kind: 'tls' | 'http1' | 'http2'; readonly bytes: number }
  | { readonly kind: 'refuse'; readonly reason: string; readonly answer: string }

const preface: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
/** Bytes that tell HTTP/2 from HTTP/1.1. */
export const prefaceBytes: number = preface.length
const tlsFirstByte = 0x16
const headEnd = Buffer.from('\r\n\r\n', 'latin1')

/** Request line and headers; a first handshake message in a header takes a few hundred of them. */
export const headerBytesMax = 8192

/** A method and a space; anything else is not HTTP. */
const methodPattern = /^[A-Z]{1,16}($| )/

/** The requests whose body, or what follows them, is ours to read. */
const ourRequest = /^(GET|POST) (https?:\/\/[^/ ]+)?\/sennit\//

/** A client opens one stream and says a few things about the session; whoever sends more at once is not one. */
const http2HeadersMax = 16
const http2FramesMax = 64
const headersFrame = 0x01
const continuationFrame = 0x09

const more: FirstBytes = { kind: 'more' }

/** @param seen everything so far, from the first byte */
export function firstBytes(seen: Buffer): FirstBytes {
  if (seen.length === 0) return more
  if (seen[0] === tlsFirstByte) return { kind: 'tls', bytes: seen.length }
  const compared = Math.min(seen.length, preface.length)
  if (seen.compare(preface, 0, compared, 0, compared) !== 0) return http1(seen)
  return seen.length < preface.length ? more : http2(seen)
}

function http1(seen: Buffer): FirstBytes {
  if (!methodPattern.test(seen.toString('latin1', 0, 17))) return refuse('http_malformed', 400, 'Bad Request')
  const end = seen.subarray(0, headerBytesMax).indexOf(headEnd)
  if (end < 0) return seen.length < headerBytesMax ? more : refuse('headers_too_large', 431, 'Request Header Fields Too Large')
  const ours = ourRequest.test(seen.toString('latin1', 0, Math.min(end, 512)))
  // Two thousand requests fit into one read, and each costs an answer: whoever wants nothing that is here gets one.
  return { kind: 'http1', bytes: ours ? seen.length : end + headEnd.length }
}

/** Walks over the whole frames that are there. */
function http2(seen: Buffer): FirstBytes {
  let frames = 0
  let headers = 0
  for (let at = preface.length; at + 9 <= seen.length; at += 9 + seen.readUIntBE(at, 3)) {
    const type = seen[at + 3]
    frames += 1
    if (type === headersFrame || type === continuationFrame) headers += 1
    if (headers > http2HeadersMax) return { kind: 'refuse', reason: 'http2_streams', answer: '' }
    if (frames > http2FramesMax) return { kind: 'refuse', reason: 'http2_frames', answer: '' }
  }
  return { kind: 'http2', bytes: seen.length }
}

function refuse(reason: string, status: number, words: string): FirstBytes {
  return { kind: 'refuse', reason, answer: `HTTP/1.1 ${status} ${words}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n` }
}
