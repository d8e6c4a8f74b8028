import { encodeFrames, type Frame, PACKET_KIND, type PacketHeader } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { HostilePeer } from './hostile-peer.ts'

function opened(...paths: number[]): HostilePeer {
  const peer = new HostilePeer()
  for (const path of [1, ...paths]) peer.open(path)
  return peer
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (pieces: readonly Uint8Array[]): string => pieces.map((piece) => new TextDecoder().decode(piece)).join('')
const stream = (offset: number, data: string): Frame => ({ type: 'stream', streamId: 2, offset, data: bytes(data) })
const stream2: Frame = { type: 'open', streamId: 2, header: new Uint8Array(0) }

/** What the application of the honest end reads from stream 2. */
const read = (peer: HostilePeer): string => text(peer.machine.streams.read(2))

/** The honest end has sent a message and knows one of its packets. */
function sending(): { peer: HostilePeer; message: Uint8Array } {
  const peer = opened(2)
  peer.say(1, 'control', [{ type: 'credit', streamId: 0, limit: 1_000_000, consumed: 0 }])
  const message = bytes('what must not be lost')
  peer.machine.streams.offerMessage(message)
  peer.machine.changed(peer.nowMs)
  peer.drain()
  return { peer, message }
}

describe('frames that come again', () => {
  it('are taken once, on whatever path and however late', () => {
    const peer = opened(2)
    peer.say(1, 'control', [stream2])
    const [header, pieces] = peer.seal('data', [stream(0, 'once')])
    const copy = (): Uint8Array[] => pieces.map((piece) => piece.slice())
    peer.hand(1, header, copy())
    peer.hand(2, header, copy())
    expect(read(peer)).toBe('once')
    peer.run(60_000)
    peer.hand(1, header, copy())
    expect(read(peer)).toBe('')
    expect(peer.closed).toBeUndefined()
  })

  it('under another number are the same bytes of the stream, and taken once', () => {
    const peer = opened()
    peer.say(1, 'control', [stream2])
    for (let time = 0; time < 3; time++) peer.say(1, 'data', [stream(0, 'once')])
    expect(read(peer)).toBe('once')
    expect(peer.closed).toBeUndefined()
  })

  it('sent back to their own sender are nobody’s', () => {
    const peer = opened()
    const own = peer.machine
    peer.machine.streams.offerMessage(bytes('mine'))
    const before = own.status().kept.received
    // Everything that the honest end says is shown to itself.
    const shown: [PacketHeader, Uint8Array[]][] = []
    const poll = own.poll.bind(own)
    own.poll = () => {
      const effect = poll()
      if (effect?.type === 'send') shown.push([effect.header, effect.pieces.map((piece) => piece.slice())])
      return effect
    }
    own.changed(0)
    own.ping(0)
    peer.drain()
    expect(shown.length).toBeGreaterThan(0)
    for (const [header, pieces] of shown) peer.hand(1, header, pieces)
    expect(own.status().kept.received).toBe(before)
    expect(peer.closed).toBeUndefined()
  })
})

describe('bodies that are spliced', () => {
  const cases: readonly (readonly [string, (a: Uint8Array, b: Uint8Array) => Uint8Array])[] = [
    ['the body of another packet', (_a, b) => b],
    ['half of one and half of another', (a, b) => Uint8Array.of(...a.subarray(0, a.length / 2), ...b.subarray(b.length / 2))],
    ['the body of one and the tag of another', (a, b) => Uint8Array.of(...a.subarray(0, -16), ...b.subarray(-16))],
    ['one after the other', (a, b) => Uint8Array.of(...a, ...b)],
    ['the first byte gone', (a) => a.subarray(1)],
    ['a byte more', (a) => Uint8Array.of(...a, 0)],
    ['nothing at all', () => new Uint8Array(0)],
  ]
  it.each(cases)('%s under the header of a packet is dropped, and the packet itself taken after it', (_what, splice) => {
    const peer = opened()
    peer.say(1, 'control', [stream2])
    const whole = (pieces: readonly Uint8Array[]): Uint8Array => Uint8Array.of(...pieces.flatMap((piece) => [...piece]))
    const [header, pieces] = peer.seal('data', [stream(0, 'right')])
    const [, others] = peer.seal('data', [stream(5, 'other')])
    const [right, other] = [whole(pieces), whole(others)]
    peer.hand(1, header, [splice(right.slice(), other.slice()).slice()])
    expect(read(peer)).toBe('')
    peer.hand(1, header, [right])
    expect(read(peer)).toBe('right')
    expect(peer.closed).toBeUndefined()
  })

  it.each<[string, (header: PacketHeader) => PacketHeader]>([
    ['kind', (header) => ({ ...header, kind: PACKET_KIND.control })],
    ['number', (header) => ({ ...header, counter: header.counter + 1 })],
    ['epoch', (header) => ({ ...header, epoch: header.epoch + 1 })],
  ])('a body under another %s is dropped', (_what, change) => {
    const peer = opened()
    peer.say(1, 'control', [stream2])
    const [header, pieces] = peer.seal('data', [stream(0, 'right')])
    peer.hand(
      1,
      change(header),
      pieces.map((piece) => piece.slice()),
    )
    expect(read(peer)).toBe('')
    peer.hand(1, header, pieces)
    expect(read(peer)).toBe('right')
    expect(peer.closed).toBeUndefined()
  })
})

describe('a peer that says two things', () => {
  it('under one number is heard once', () => {
    const peer = opened(2)
    peer.say(1, 'control', [stream2])
    const number = peer.kept
    peer.say(1, 'data', [stream(0, 'first')], number)
    peer.hand(2, ...peer.sealAgain('data', [stream(0, 'other')], number))
    expect(read(peer)).toBe('first')
    expect(peer.closed).toBeUndefined()
  })

  it('for the same place of a stream is taken at its first word, or closed', () => {
    const peer = opened()
    peer.say(1, 'control', [stream2])
    peer.say(1, 'data', [stream(0, 'aaaaaa')])
    peer.say(1, 'data', [stream(3, 'bbbbbb')])
    expect(['aaaaaabbb', 'aaaaaa']).toContain(read(peer))
    peer.say(1, 'data', [stream(0, 'cccccccccccc')])
    expect(read(peer)).not.toMatch(/a|b/)
  })

  it.each<[string, Frame[]]>([
    ['about where a stream ends', [{ type: 'fin', streamId: 2, finalOffset: 9 }]],
    ['and sends past the end it told', [{ type: 'stream', streamId: 2, offset: 6, data: bytes('more') }]],
    ['and gives up elsewhere than it ended', [{ type: 'reset', streamId: 2, errorCode: 1, finalOffset: 3 }]],
  ])('%s is closed with a protocol error', (_what, frames) => {
    const peer = opened()
    peer.say(1, 'control', [stream2])
    peer.say(1, 'data', [stream(0, 'ending')])
    peer.say(1, 'control', [{ type: 'fin', streamId: 2, finalOffset: 6 }])
    for (const frame of frames) peer.say(1, frame.type === 'stream' ? 'data' : 'control', [frame])
    expect(peer.closed).toMatchObject({ code: 'protocol_error', remote: false })
    expect(peer.said('close').at(-1)?.reason).toBe('protocol_error')
  })

  it('about its acks takes none back: what was acked stays acked, and nothing is sent again for it', () => {
    const { peer } = sending()
    const { sent } = peer.machine.status().kept
    peer.say(1, 'loose', [{ type: 'ack', cumulative: sent, ranges: [], delayMs: 0 }])
    const copies = peer.sent.length
    peer.say(1, 'loose', [{ type: 'ack', cumulative: 0, ranges: [], delayMs: 0 }])
    peer.run(20_000)
    const again = peer.sent.slice(copies).filter(({ header }) => header.kind === PACKET_KIND.data)
    expect(again).toEqual([])
    expect(peer.closed).toBeUndefined()
  })

  it('about its credit takes none back', () => {
    const peer = opened()
    peer.say(1, 'control', [{ type: 'credit', streamId: 0, limit: 100_000, consumed: 0 }])
    const granted = peer.machine.streams.writableBytes(0)
    peer.say(1, 'control', [{ type: 'credit', streamId: 0, limit: 10, consumed: 0 }])
    expect(peer.machine.streams.writableBytes(0)).toBe(granted)
    expect(peer.closed).toBeUndefined()
  })
})

describe('a peer that knows nothing and says much', () => {
  it.each<[string, 'control' | 'loose', Frame[]]>([
    ['answers pings that nobody sent', 'loose', [{ type: 'pong', id: 424_242 }]],
    ['calls a relay bad that nobody has', 'control', [{ type: 'pathBad', relayId: 'nowhere' }]],
    ['agrees to a plan that nobody made', 'control', [{ type: 'planOk', epoch: 77 }]],
    ['says it waited an hour before it acked', 'loose', [{ type: 'ack', cumulative: 0, ranges: [], delayMs: 3_600_000 }]],
  ])('and %s changes nothing', (_what, kind, frames) => {
    const { peer, message } = sending()
    peer.say(1, kind, frames)
    peer.run(5_000)
    expect(peer.closed).toBeUndefined()
    const carried = peer.sent.flatMap(({ frames: all }) => all).filter((frame) => frame.type === 'stream')
    expect(carried.some(({ data }) => text([data]).includes(text([message])))).toBe(true)
  })

  it.each<[string, Frame]>([
    ['long past what it sent', { type: 'close', lastKept: 1_000_000, reason: 'done', message: '', counts: [] }],
    ['before what it sent', { type: 'close', lastKept: 0, reason: 'done', message: '', counts: [] }],
  ])('and closes %s ends, and neither hangs nor delivers what it did not send', (_what, close) => {
    const peer = opened()
    peer.say(1, 'control', [stream2])
    peer.say(1, 'data', [stream(0, 'sent')])
    peer.say(1, 'control', [close])
    peer.run(200_000)
    expect(peer.closed).toBeDefined()
    expect(['sent', '']).toContain(read(peer))
  })

  it('and sends frames cut short is closed in words', () => {
    const whole = encodeFrames([{ type: 'credit', streamId: 0, limit: 70_000, consumed: 0 }])[0]!
    for (let length = 1; length < whole.length; length++) {
      const peer = opened()
      peer.say(1, 'control', whole.subarray(0, length).slice())
      expect(peer.closed, `${length} bytes`).toMatchObject({ code: 'protocol_error' })
    }
  })
})
