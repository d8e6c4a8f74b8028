/** What a socket's first bytes are worth. Each row is a stranger or a client, and why it is answered so. */
import { describe, expect, it } from 'vitest'
import { firstBytes } from '../../src/node/first-bytes.ts'

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const frame = (type: number, length = 0): string =>
  `\0\0${String.fromCharCode(length)}${String.fromCharCode(type)}\0\0\0\0\x01${'x'.repeat(length)}`
const ours = 'GET /sennit/v1 HTTP/1.1\r\nHost: r\r\nUpgrade: sennit/1\r\n\r\n'
const post = 'POST http://relay:80/sennit/v1/http HTTP/1.1\r\nContent-Length: 5\r\n\r\n'
const other = 'GET / HTTP/1.1\r\nHost: r\r\n\r\n'

describe('the first bytes of a socket', () => {
  it.each<[string, string, object]>([
    ['nothing says nothing', '', { kind: 'more' }],
    ['TLS begins with 0x16', '\x16\x03\x01', { kind: 'tls', bytes: 3 }],
    ['a method may come in pieces', 'GE', { kind: 'more' }],
    ['a header that is not whole is waited for', ours.slice(0, -1), { kind: 'more' }],
    ['an attachment keeps what follows its header', `${ours}abc`, { kind: 'http1', bytes: ours.length + 3 }],
    ['a body of ours is read, also where a proxy names the relay', `${post}hello`, { kind: 'http1', bytes: post.length + 5 }],
    ['whoever wants something else gets one answer, not two thousand', other.repeat(2_000), { kind: 'http1', bytes: other.length }],
    ['noise is no method', '\x91\x05abc', { kind: 'refuse', reason: 'http_malformed' }],
    ['nor is a word that does not end', 'A'.repeat(17), { kind: 'refuse', reason: 'http_malformed' }],
    ['a header is 8 KiB at most', `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(1_400)}`, { kind: 'refuse', reason: 'headers_too_large' }],
    ['half a preface says nothing', preface.slice(0, 20), { kind: 'more' }],
    ['a client of HTTP/2 opens a stream', preface + frame(4) + frame(8, 4) + frame(1, 60), { kind: 'http2', bytes: 24 + 3 * 9 + 64 }],
    ['a frame that is not whole is left to the parser', `${preface}\0\0\xff\x01`, { kind: 'http2', bytes: 28 }],
    ['streams by the dozen are a flood', preface + (frame(1, 5) + frame(3, 4)).repeat(17), { kind: 'refuse', reason: 'http2_streams' }],
    ['so are continuations', preface + frame(1, 5) + frame(9, 9).repeat(16), { kind: 'refuse', reason: 'http2_streams' }],
    ['and pings', preface + frame(6, 8).repeat(65), { kind: 'refuse', reason: 'http2_frames' }],
  ])('%s', (_why, bytes, expected) => {
    expect(firstBytes(Buffer.from(bytes, 'latin1'))).toMatchObject(expected)
  })
})
