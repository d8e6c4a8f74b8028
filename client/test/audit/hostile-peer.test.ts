import { type Frame, PACKET_KIND } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { HostilePeer } from './hostile-peer.ts'

const plan: Frame = { type: 'plan', epoch: 1, relays: [], activeFromCaller: 'r1', activeFromListener: 'r1', standby: 'r2' }

function opened(): HostilePeer {
  const peer = new HostilePeer()
  peer.open(1)
  return peer
}

const manyPings = Array.from({ length: 9_000 }, (_, id): Frame => ({ type: 'ping', id }))

describe('a peer that lies', () => {
  it.each<[string, 'data' | 'control' | 'loose', Frame[], string]>([
    ['acks numbers that were never sent', 'loose', [{ type: 'ack', cumulative: 1_000, ranges: [], delayMs: 0 }], 'malformed'],
    ['acks ranges that were never sent', 'loose', [{ type: 'ack', cumulative: 0, ranges: [[5, 9]], delayMs: 0 }], 'malformed'],
    [
      'acks in a hello what was never sent',
      'loose',
      [
        {
          type: 'hello',
          relayId: 'r1',
          nonce: new Uint8Array(8),
          echo: new Uint8Array(0),
          ack: { cumulative: 7, ranges: [] },
          planEpoch: 0,
        },
      ],
      'malformed',
    ],
    ['sends beyond its credit', 'data', [{ type: 'stream', streamId: 2, offset: 16_384, data: new Uint8Array(1) }], 'flow_control'],
    [
      'sends at the far end of numbers',
      'data',
      [{ type: 'stream', streamId: 0, offset: 2 ** 52, data: new Uint8Array(9) }],
      'flow_control',
    ],
    ['says that more was taken than was sent', 'control', [{ type: 'credit', streamId: 0, limit: 2 ** 40, consumed: 1 }], 'credit_invalid'],
    ['puts control into data', 'data', [{ type: 'confirm' }], 'malformed'],
    ['puts bytes into control', 'control', [{ type: 'stream', streamId: 0, offset: 0, data: new Uint8Array(3) }], 'malformed'],
    ['puts a plan into a loose packet', 'loose', [plan], 'malformed'],
    ['skips five thousand streams', 'control', [{ type: 'open', streamId: 10_002, header: new Uint8Array(0) }], 'stream_limit'],
    ['asks for nine thousand answers in one packet', 'loose', manyPings, 'malformed'],
    ['opens our stream', 'control', [{ type: 'open', streamId: 1, header: new Uint8Array(0) }], 'stream_parity'],
    ['ends a stream before what it sent', 'control', [{ type: 'fin', streamId: 2, finalOffset: 2 ** 50 }], 'flow_control'],
    ['says that unknown messages were delivered', 'control', [{ type: 'messageDelivered', index: 0 }], 'message_unknown'],
  ])('and %s ends the connection in words', (_what, kind, frames, word) => {
    const peer = opened()
    peer.say(1, kind, frames)
    expect(peer.closed).toMatchObject({ code: 'protocol_error', remote: false })
    expect(peer.closed?.message).toContain(word)
    expect(peer.said('close')[0]?.reason).toBe('protocol_error')
  })

  it('closes with `unsupported` on an unknown odd frame and ignores an even one (rule 5)', () => {
    const even = opened()
    even.say(1, 'control', Uint8Array.of(0x40, 0x80, 0x02, 1, 2))
    expect(even.closed).toBeUndefined()
    expect(even.machine.status().kept.received).toBe(1)
    const odd = opened()
    odd.say(1, 'control', Uint8Array.of(0x40, 0x81, 0x02, 1, 2))
    expect(odd.closed).toMatchObject({ code: 'unsupported', remote: false })
    expect(odd.said('close')[0]?.reason).toBe('unsupported')
  })

  it('takes huge credit without counting past it, and holds no more than it is willing to', () => {
    const peer = opened()
    peer.say(1, 'control', [{ type: 'credit', streamId: 0, limit: Number.MAX_SAFE_INTEGER, consumed: 0 }])
    expect(peer.closed).toBeUndefined()
    expect(peer.machine.streams.writableBytes(0)).toBe(64 * 2 ** 20)
    peer.machine.streams.offerMessage(new Uint8Array(1_000))
    peer.machine.changed(0)
    peer.drain()
    expect(peer.sent.some(({ header }) => header.kind === PACKET_KIND.data)).toBe(true)
  })

  it.each([65_536, 2 ** 40, Number.MAX_SAFE_INTEGER])('is not followed to number %d', (number) => {
    const peer = opened()
    peer.say(1, 'control', [{ type: 'confirm' }], number)
    peer.run(1_000)
    expect(peer.closed).toBeUndefined()
    expect(peer.said('ack')).toEqual([])
  })

  it('cannot make us hold many frames of the agreement behind a gap', () => {
    const peer = opened()
    const said: Frame = { type: 'relayLies', relayId: 'r1', count: 1 }
    for (let number = 1; number <= 3_000 && peer.closed === undefined; number += 1) peer.say(1, 'control', [said, said, said, said], number)
    expect(peer.closed).toMatchObject({ code: 'protocol_error' })
    expect(peer.kept).toBeLessThan(1_100)
  })

  it('is answered over 32 gaps by the lowest ranges, and by all once they are filled (rule 1)', () => {
    const peer = opened()
    for (let number = 1; number < 200; number += 2) peer.say(1, 'control', [{ type: 'pathBad', relayId: 'nowhere' }], number)
    const last = peer.said('ack').at(-1)!
    expect(last.cumulative).toBe(0)
    expect(last.ranges).toHaveLength(32)
    expect(last.ranges[0]).toEqual([1, 2])
    expect(last.ranges.at(-1)).toEqual([63, 64])
  })

  it('is heard once however often a loose packet is repeated', () => {
    const peer = opened()
    const [header, pieces] = peer.seal('loose', [{ type: 'ping', id: 77 }])
    for (let time = 0; time < 5; time += 1) peer.hand(1, header, pieces)
    expect(peer.said('pong').filter(({ id }) => id === 77)).toHaveLength(1)
  })

  it('has late loose packets taken within 4 096 of the newest and no further (rule 1)', () => {
    const peer = opened()
    const [oldHeader, oldPieces] = peer.seal('loose', [{ type: 'ping', id: 1_001 }])
    const [nearHeader, nearPieces] = peer.seal('loose', [{ type: 'ping', id: 1_002 }], 10)
    peer.say(1, 'loose', [{ type: 'ping', id: 1_003 }], 10 + 4_095)
    peer.hand(1, oldHeader, oldPieces)
    peer.hand(1, nearHeader, nearPieces)
    expect(
      peer
        .said('pong')
        .map(({ id }) => id)
        .filter((id) => id > 1_000),
    ).toEqual([1_003, 1_002])
  })

  it('and says a hello of another relay over this one validates nothing', () => {
    const peer = new HostilePeer()
    peer.machine.pathOpened(0, { pathId: 1, relayId: 'r1', creditBytes: 1_000_000 })
    peer.drain()
    const { nonce } = peer.said('hello')[0]!
    const hello = { nonce: new Uint8Array(8), echo: nonce, ack: { cumulative: 0, ranges: [] }, planEpoch: 0 }
    peer.say(1, 'loose', [{ type: 'hello', relayId: 'r2', ...hello }])
    expect(peer.machine.status().paths[0]?.state).toBe('opening')
    peer.say(1, 'loose', [{ type: 'hello', relayId: 'r1', ...hello }])
    expect(peer.machine.status().paths[0]?.state).toBe('open')
  })
})

describe('bounds', () => {
  it('keep no record of pings that nobody answers', () => {
    const peer = opened()
    for (let count = 0; count < 1_000; count += 1) peer.machine.ping(0)
    peer.drain()
    const pings = peer.said('ping')
    expect(pings.length).toBeGreaterThan(999)
    peer.say(1, 'loose', [{ type: 'pong', id: pings.at(-1)!.id }])
    const pongs = peer.effects.filter((effect) => effect.type === 'event' && effect.event.type === 'pong')
    expect(pongs, 'the newest is still known').toHaveLength(1)
  })

  it('take a path id that comes again for the end of the old path, and send what was on it anew', () => {
    const peer = opened()
    peer.machine.streams.offerMessage(new Uint8Array(2_000))
    peer.machine.changed(0)
    peer.drain()
    expect(peer.machine.status().paths[0]?.inFlightBytes).toBeGreaterThan(2_000)
    peer.open(1, 'r9')
    const copies = peer.sent.filter(({ header }) => header.kind === PACKET_KIND.data && header.counter === 0)
    expect(copies).toHaveLength(2)
    expect(peer.machine.status().paths).toHaveLength(1)
  })

  it('let nothing that has not left be held by a connection that is over', () => {
    const peer = opened()
    peer.say(1, 'control', [{ type: 'credit', streamId: 0, limit: 2 ** 30, consumed: 0 }])
    const { streams } = peer.machine
    streams.offerMessage(new Uint8Array(8_000_000))
    peer.machine.changed(0)
    peer.drain()
    expect(streams.crowded(0)).toBe(true)
    peer.machine.abort(0, '', 'enough')
    peer.drain()
    expect([streams.crowded(0), streams.hasData()]).toEqual([false, false])
    expect(peer.closed?.counts[0]?.accepted).toBeGreaterThan(8_000_000)
  })

  it('stop new numbers while the oldest is stuck, however many above it are acked', () => {
    const peer = new HostilePeer({ tuning: { unackedPacketsMax: 100 } })
    peer.open(1)
    for (let count = 0; count < 400; count += 1) {
      if (peer.machine.streams.writableBytes(0) < 100) break
      peer.machine.streams.offerMessage(new Uint8Array(100))
      peer.machine.changed(peer.nowMs)
      peer.drain()
      const { sent } = peer.machine.status().kept
      if (sent > 1) peer.say(1, 'loose', [{ type: 'ack', cumulative: 0, ranges: [[1, sent]], delayMs: 0 }])
    }
    expect(peer.machine.status().kept.sent).toBeLessThanOrEqual(101)
  })
})
