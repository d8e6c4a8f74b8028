import type { Frame } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { messageTooLargeCode, ProcessBudget, StreamSet } from '../../src/core/streams/index.ts'
import { drain, isKey, keyBytes, pair } from './pipe.ts'

const stream0 = (offset: number, ...bytes: number[]): Frame => ({ type: 'stream', streamId: 0, offset, data: Uint8Array.from(bytes) })

describe('messages', () => {
  it('leave gathered: many small ones are a few frames', () => {
    const { a, b, ab } = pair()
    for (let i = 0; i < 140; i++) expect(a.offerMessage(keyBytes(i, 0, 100))).toBe(i)
    expect(a.messageAcceptedIndex()).toBe(139)
    const frames = a.pullData(60_000)
    // Blocks begin at 4 KiB and grow fourfold; later turns fill one block.
    expect(frames.length).toBeLessThanOrEqual(3)
    for (const frame of frames) b.onFrame(frame)
    expect(drain(b)).toEqual([{ type: 'message' }])
    for (let i = 0; i < 140; i++) expect(isKey(b.takeMessage()!, i, 0)).toBe(true)
    expect(b.takeMessage()).toBeUndefined()
    expect(ab.inFlight).toHaveLength(0)
  })

  it('are not copied when they lie within one frame', () => {
    const { a, b } = pair()
    a.offerMessage(keyBytes(1, 0, 9_000))
    a.offerMessage(keyBytes(2, 0, 5_000))
    const frames = a.pullData(60_000)
    const buffers = new Set(frames.map((frame) => (frame.type === 'stream' ? frame.data.buffer : undefined)))
    for (const frame of frames) b.onFrame(frame)
    for (const key of [1, 2]) {
      const message = b.takeMessage()!
      expect(isKey(message, key, 0)).toBe(true)
      expect(buffers.has(message.buffer)).toBe(true)
    }
  })

  it('are given to the wire without a copy when they are large', () => {
    const { a } = pair()
    const message = keyBytes(1, 0, 10_000)
    a.offerMessage(message)
    expect(a.pullData(60_000).some((frame) => frame.type === 'stream' && frame.data.buffer === message.buffer)).toBe(true)
  })

  it.each([0, 1, 16_381, 16_382, 16_384, 65_536, 2_000_000])('of %i bytes arrive whole through a window of 16 KiB', (size) => {
    const { a, b, settle } = pair({ receiveBudgetBytes: 0, maxMessageBytes: 2_000_000 })
    a.offerMessage(keyBytes(5, 0, size), { reportDelivery: true })
    settle(1_500)
    a.offerMessage(keyBytes(6, 0, 10))
    const message = b.takeMessage()!
    expect(message.length).toBe(size)
    expect(isKey(message, 5, 0)).toBe(true)
    settle()
    expect(isKey(b.takeMessage()!, 6, 0)).toBe(true)
    expect(drain(a).map((event) => event!.type)).toContain('messageDelivered')
  })

  it('of the greatest size pass the limit of what a sender holds unacked', () => {
    const { a, b, settle } = pair({ windowBytes: 64 * 1024 * 1024, receiveBudgetBytes: 1024 * 1024 * 1024 })
    const size = 64 * 1024 * 1024
    const message = new Uint8Array(size)
    message[size - 1] = 7
    a.offerMessage(message)
    settle(65_000)
    const arrived = b.takeMessage()!
    expect(arrived.length).toBe(size)
    expect(arrived[size - 1]).toBe(7)
  })

  it('are accepted in order as credit comes, and told once', () => {
    const { a, b, settle } = pair()
    const first = a.offerMessage(new Uint8Array(16_000))
    expect(drain(a)).toEqual([{ type: 'messageAccepted', index: first }])
    const second = a.offerMessage(new Uint8Array(16_000))
    expect(a.messageAcceptedIndex()).toBe(first)
    expect(drain(a)).toEqual([])
    settle()
    expect(drain(a)).toEqual([])
    expect(b.takeMessage()).toHaveLength(16_000)
    settle()
    expect(drain(a)).toEqual([{ type: 'messageAccepted', index: second }])
  })

  it('wait unread within one window: a receiver that takes nothing stops the sender', () => {
    const { a, b, settle } = pair({ receiveBudgetBytes: 400_000 })
    let offered = 0
    for (let round = 0; round < 300; round++) {
      while (!a.messageQueueFull()) {
        a.offerMessage(new Uint8Array(1_000))
        offered++
      }
      settle()
    }
    expect(b.waitingMessages().bytes).toBeLessThan(200_000 + 2 * 16_384)
    expect(() => a.offerMessage(new Uint8Array(1))).toThrow(expect.objectContaining({ code: 'message_queue_full' }))
    let taken = 0
    for (let message = b.takeMessage(); message !== undefined; message = b.takeMessage()) {
      taken++
      settle()
    }
    expect(taken).toBe(offered)
  })

  it('longer than our own limit are refused here', () => {
    const { a } = pair({ maxMessageBytes: 10 })
    expect(() => a.offerMessage(new Uint8Array(11))).toThrow(expect.objectContaining({ code: 'message_too_large' }))
    expect(a.hasData()).toBe(false)
  })

  it('longer than the peer takes are refused there, take no memory, and the next ones go on', () => {
    const { a, b, settle } = pair({ maxMessageBytes: 1_000_000 }, { maxMessageBytes: 1_000 })
    a.offerMessage(keyBytes(1, 0, 1_000), { reportDelivery: true })
    a.offerMessage(new Uint8Array(400_000), { reportDelivery: true })
    a.offerMessage(keyBytes(2, 0, 30), { reportDelivery: true })
    settle(1_300)
    expect(b.waitingMessages()).toMatchObject({ count: 2 })
    expect(b.waitingMessages().bytes).toBeLessThan(1_100)
    expect(isKey(b.takeMessage()!, 1, 0)).toBe(true)
    expect(isKey(b.takeMessage()!, 2, 0)).toBe(true)
    expect(b.takeMessage()).toBeUndefined()
    settle()
    expect(drain(b).filter((event) => event!.type === 'messageTooLarge')).toEqual([{ type: 'messageTooLarge', bytes: 400_000 }])
    expect(drain(a).filter((event) => event!.type !== 'messageAccepted')).toEqual([
      { type: 'messageRefused', index: 1, errorCode: messageTooLargeCode },
      { type: 'messageDelivered', index: 2 },
    ])
    const [account] = a.counts()
    expect(account!.delivered).toBeLessThanOrEqual(account!.received)
    expect(b.counts()[0]!.deliveredHere).toBe(account!.accepted)
  })

  it('delivered after a refused one are reported only when the refusal is acked', () => {
    const { a, b } = pair({ maxMessageBytes: 1_000 }, { maxMessageBytes: 10 })
    a.offerMessage(new Uint8Array(100))
    a.offerMessage(new Uint8Array(5), { reportDelivery: true })
    for (const frame of a.pullData(5_000)) b.onFrame(frame)
    expect(b.takeMessage()).toHaveLength(5)
    const refusal = b.pullControl(5_000)
    expect(refusal.map((frame) => frame.type)).toEqual(['messageRefused'])
    expect(b.hasControl()).toBe(false)
    b.onAcked(refusal)
    expect(b.pullControl(5_000)).toEqual([{ type: 'messageDelivered', index: 1 }])
  })

  it('count against the process while one is under way, and give it back', () => {
    const budget = new ProcessBudget(1_000_000)
    const b = new StreamSet({ role: 'listener', budget, receiveBudgetBytes: 0 })
    const { a, ab } = { a: new StreamSet({ role: 'caller' }), ab: undefined }
    a.offerMessage(new Uint8Array(50_000))
    for (let i = 0; i < 20; i++) {
      for (const frame of a.pullData(2_000)) {
        b.onFrame(frame)
        a.onAcked([frame])
      }
      for (const frame of b.pullControl(2_000)) a.onFrame(frame)
    }
    expect(budget.usedBytes).toBeGreaterThan(10_000)
    b.release()
    expect(budget.usedBytes).toBe(0)
    expect(ab).toBeUndefined()
  })

  it.each([
    ['reserved flags', stream0(0, 2, 0), 'unsupported'],
    ['a length over 2^53', stream0(0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), 'malformed'],
    ['more than its credit', { type: 'stream', streamId: 0, offset: 16_384, data: new Uint8Array(1) } as Frame, 'flow_control'],
    ['a delivery of what was not sent', { type: 'messageDelivered', index: 0 } as Frame, 'message_unknown'],
    ['a refusal of what was not sent', { type: 'messageRefused', index: 0, errorCode: 1 } as Frame, 'message_unknown'],
    ['credit for what was not sent', { type: 'credit', streamId: 0, limit: 99_999, consumed: 1 } as Frame, 'credit_invalid'],
    ['a fin of the messages', { type: 'fin', streamId: 0, finalOffset: 0 } as Frame, 'stream_unknown'],
    ['a reset of the messages', { type: 'reset', streamId: 0, errorCode: 1, finalOffset: 0 } as Frame, 'stream_unknown'],
    ['a stop of the messages', { type: 'stop', streamId: 0, errorCode: 1 } as Frame, 'stream_unknown'],
    ['an open of the messages', { type: 'open', streamId: 0, header: new Uint8Array(0) } as Frame, 'stream_parity'],
  ])('a peer that sends %s is in breach', (_what, frame, code) => {
    for (const role of ['caller', 'listener'] as const) {
      const set = new StreamSet({ role })
      expect(() => set.onFrame(frame)).toThrow(expect.objectContaining({ name: 'ProtocolError', code }))
    }
  })

  it('that are empty cost their two bytes only, by the ten thousand', () => {
    const { a, b, settle } = pair()
    for (let i = 0; i < 8_000; i++) a.offerMessage(new Uint8Array(0))
    settle()
    expect(b.waitingMessages()).toEqual({ count: 8_000, bytes: 16_000 })
    for (let i = 0; i < 8_000; i++) expect(b.takeMessage()).toHaveLength(0)
    expect(b.takeMessage()).toBeUndefined()
  })

  it('come whole from frames of one byte in reverse', () => {
    const { a, b } = pair()
    a.offerMessage(keyBytes(3, 0, 300))
    const frames: Frame[] = []
    while (a.hasData()) frames.push(...a.pullData(25))
    expect(frames.length).toBe(303)
    for (const frame of frames.reverse()) {
      expect(b.takeMessage()).toBeUndefined()
      b.onFrame(frame)
      b.onFrame(frame)
    }
    expect(isKey(b.takeMessage()!, 3, 0)).toBe(true)
  })
})
