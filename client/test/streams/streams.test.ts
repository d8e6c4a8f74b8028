import type { Frame } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { ProcessBudget, StreamSet, streamRefusedCode } from '../../src/core/streams/index.ts'
import { drain, isKey, keyBytes, pair } from './pipe.ts'

const breach = (code: string): unknown => expect.objectContaining({ name: 'ProtocolError', code })
const misuse = (code: string): unknown => expect.objectContaining({ name: 'SennitError', code })
const data = (streamId: number, offset: number, length: number): Frame => ({
  type: 'stream',
  streamId,
  offset,
  data: keyBytes(streamId, offset, length),
})
const open = (streamId: number): Frame => ({ type: 'open', streamId, header: Uint8Array.of(streamId) })
const total = (pieces: Uint8Array[]): number => pieces.reduce((sum, piece) => sum + piece.length, 0)

describe('a stream', () => {
  it('is told, read, finished and forgotten at both ends', () => {
    const { a, b, settle } = pair()
    const id = a.open(Uint8Array.of(9))
    expect(id).toBe(1)
    expect(a.write(id, keyBytes(1, 0, 5_000))).toBe(5_000)
    a.finish(id)
    settle()
    expect(drain(b)).toEqual([
      { type: 'streamOpened', streamId: 1, header: Uint8Array.of(9) },
      { type: 'readable', streamId: 1 },
    ])
    expect(isKey(b.read(1)[0]!, 1, 0)).toBe(true)
    expect(drain(b)).toEqual([{ type: 'finished', streamId: 1 }])
    b.write(1, keyBytes(1, 0, 3))
    b.finish(1)
    settle()
    expect(a.read(1)).toHaveLength(1)
    settle()
    expect(drain(a)).toEqual([
      { type: 'readable', streamId: 1 },
      { type: 'finished', streamId: 1 },
      { type: 'streamDone', streamId: 1 },
    ])
    expect(drain(b)).toEqual([{ type: 'streamDone', streamId: 1 }])
    expect(a.counts()).toHaveLength(1)
    expect(b.counts()).toHaveLength(1)
  })

  it('takes 16 KiB before any credit and says when there is more', () => {
    const { a, b, settle } = pair()
    const id = a.open()
    expect(a.writableBytes(id)).toBe(16_384)
    expect(a.write(id, new Uint8Array(20_000))).toBe(16_384)
    expect(a.write(id, new Uint8Array(1))).toBe(0)
    settle()
    expect(drain(a)).toEqual([])
    expect(total(b.read(id))).toBe(16_384)
    settle()
    expect(drain(a)).toEqual([{ type: 'writable', streamId: id }])
    expect(a.writableBytes(id)).toBeGreaterThan(1_000_000)
  })

  it('that was written faster than it leaves is crowded, and tells when half of that has left', () => {
    const { a } = pair()
    const id = a.open()
    a.onFrame({ type: 'credit', streamId: id, limit: 8_000_001, consumed: 0 })
    drain(a)
    expect(a.write(id, new Uint8Array(1_048_575))).toBe(1_048_575)
    expect(a.crowded(id)).toBe(false)
    expect(a.write(id, new Uint8Array(1))).toBe(1)
    expect(a.crowded(id)).toBe(true)
    expect(a.write(id, new Uint8Array(1_000)), 'credit is what counts for what is taken').toBe(1_000)
    a.pullData(500_000)
    expect(drain(a)).toEqual([])
    a.pullData(100_000)
    expect(drain(a)).toEqual([{ type: 'writable', streamId: id }])
    expect(a.crowded(id)).toBe(false)
  })

  it('takes frames that come before its open, and tells them after it', () => {
    const b = new StreamSet({ role: 'listener' })
    b.onFrame({ type: 'fin', streamId: 1, finalOffset: 10 })
    b.onFrame(data(1, 0, 10))
    b.onFrame({ type: 'credit', streamId: 1, limit: 50_000, consumed: 0 })
    expect(drain(b)).toEqual([])
    b.onFrame(open(1))
    b.onFrame(open(1))
    expect(drain(b)).toEqual([
      { type: 'streamOpened', streamId: 1, header: Uint8Array.of(1) },
      { type: 'readable', streamId: 1 },
    ])
    expect(b.writableBytes(1)).toBe(50_000)
    expect(total(b.read(1))).toBe(10)
    expect(drain(b)).toEqual([{ type: 'finished', streamId: 1 }])
  })

  it('that was reset before its open came says both, in order', () => {
    const b = new StreamSet({ role: 'listener' })
    b.onFrame({ type: 'reset', streamId: 3, errorCode: 5, finalOffset: 100 })
    b.onFrame({ type: 'stop', streamId: 3, errorCode: 6 })
    b.onFrame(open(3))
    expect(drain(b)).toEqual([
      { type: 'streamOpened', streamId: 3, header: Uint8Array.of(3) },
      { type: 'stopped', streamId: 3, errorCode: 6 },
      { type: 'reset', streamId: 3, errorCode: 5 },
    ])
    expect(() => b.write(3, new Uint8Array(1))).toThrow(misuse('stream_closed'))
  })

  it('waits with its fin for missing data', () => {
    const b = new StreamSet({ role: 'listener' })
    b.onFrame(open(1))
    b.onFrame(data(1, 100, 100))
    b.onFrame({ type: 'fin', streamId: 1, finalOffset: 200 })
    expect(b.read(1)).toEqual([])
    b.onFrame(data(1, 50, 100))
    b.onFrame(data(1, 0, 60))
    expect(drain(b).map((event) => event!.type)).toEqual(['streamOpened', 'readable'])
    const pieces = b.read(1)
    expect(total(pieces)).toBe(200)
    let at = 0
    for (const piece of pieces) {
      expect(isKey(piece, 1, at)).toBe(true)
      at += piece.length
    }
    expect(drain(b)).toEqual([{ type: 'finished', streamId: 1 }])
  })

  it('hands out views of what arrived', () => {
    const b = new StreamSet({ role: 'listener' })
    const frame = data(1, 0, 1_000)
    b.onFrame(open(1))
    b.onFrame(frame)
    expect(b.read(1, 10)[0]!.buffer).toBe((frame as { data: Uint8Array }).data.buffer)
    expect(b.readableBytes(1)).toBe(990)
  })

  it('reset by the sender drops what waits, at both ends', () => {
    const { a, b, settle } = pair()
    const id = a.open()
    a.write(id, new Uint8Array(10_000))
    const sent = a.pullData(1_000)
    a.reset(id, 7)
    for (const frame of sent) b.onFrame(frame)
    a.onAcked(sent)
    expect(a.hasData()).toBe(false)
    settle()
    expect(drain(b).map((event) => event!.type)).toEqual(['streamOpened', 'readable', 'reset'])
    expect(b.read(id)).toEqual([])
    b.finish(id)
    settle()
    expect(drain(a).at(-1)).toEqual({ type: 'streamDone', streamId: id })
    expect(a.unackedBytes()).toBe(0)
  })

  it('may be reset after its fin left: an abort stays an abort', () => {
    const { a, b, settle } = pair()
    const id = a.open()
    a.write(id, new Uint8Array(10))
    a.finish(id)
    settle()
    a.reset(id, 8)
    settle()
    expect(drain(b).at(-1)).toEqual({ type: 'reset', streamId: id, errorCode: 8 })
    b.reset(id, 8)
    settle()
    expect(drain(a).at(-1)).toEqual({ type: 'streamDone', streamId: id })
    expect(drain(b).at(-1)).toEqual({ type: 'streamDone', streamId: id })
  })

  it('stopped by its reader resets the writer, and unblocks it', () => {
    const { a, b, settle } = pair()
    const id = a.open()
    a.write(id, new Uint8Array(50_000))
    settle()
    b.stop(id, 4)
    settle()
    expect(drain(a)).toEqual([{ type: 'stopped', streamId: id, errorCode: 4 }])
    expect(() => a.write(id, new Uint8Array(1))).toThrow(misuse('stream_closed'))
    b.finish(id)
    settle()
    expect(drain(a).map((event) => event!.type)).toEqual(['finished', 'streamDone'])
    expect(drain(b).at(-1)).toEqual({ type: 'streamDone', streamId: id })
  })

  it('ignores late copies once it is over', () => {
    const { a, b, settle } = pair()
    const id = a.open()
    a.write(id, keyBytes(1, 0, 10))
    a.finish(id)
    b.onFrame(open(1))
    b.finish(1)
    settle()
    b.read(id)
    settle()
    expect(b.counts()).toHaveLength(1)
    drain(b)
    const late: Frame[] = [
      open(1),
      data(1, 0, 10),
      { type: 'fin', streamId: 1, finalOffset: 10 },
      { type: 'reset', streamId: 1, errorCode: 1, finalOffset: 0 },
      { type: 'stop', streamId: 1, errorCode: 1 },
      { type: 'credit', streamId: 1, limit: 1, consumed: 0 },
    ]
    for (const frame of late) b.onFrame(frame)
    expect(drain(b)).toEqual([])
    expect(b.hasControl()).toBe(false)
    expect(b.read(1)).toEqual([])
    b.finish(1)
    b.reset(1, 1)
    b.stop(1, 1)
    expect(() => b.write(1, new Uint8Array(1))).toThrow(misuse('stream_closed'))
  })

  it('does not wait for another that nobody reads', () => {
    const { a, b, settle } = pair()
    const slow = a.open()
    const fast = a.open()
    let fastBytes = 0
    for (let i = 0; i < 50; i++) {
      a.write(slow, new Uint8Array(65_536))
      a.write(fast, new Uint8Array(65_536))
      settle()
      fastBytes += total(b.read(fast))
    }
    expect(b.readableBytes(slow)).toBe(16_384)
    expect(fastBytes).toBeGreaterThan(2_000_000)
  })

  it('shares packets with others by turns', () => {
    const { a, b, settle } = pair()
    const ids = [a.open(), a.open(), a.open()]
    settle()
    for (const id of ids) b.onFrame(data(id, 0, 0))
    for (const id of ids) a.write(id, new Uint8Array(16_384))
    const order = []
    while (a.hasData()) order.push(...a.pullData(8_000).map((frame) => (frame.type === 'stream' ? frame.streamId : 0)))
    expect(new Set(order.slice(0, 9)).size).toBe(3)
  })

  it('gathers small writes that wait', () => {
    const { a } = pair()
    const id = a.open()
    for (let i = 0; i < 100; i++) a.write(id, keyBytes(1, i * 20, 20))
    const frames = a.pullData(60_000)
    expect(frames.length).toBeLessThanOrEqual(2)
    let at = 0
    for (const frame of frames) {
      if (frame.type !== 'stream') continue
      expect(isKey(frame.data, 1, at)).toBe(true)
      at += frame.data.length
    }
    expect(at).toBe(2_000)
  })
})

describe('limits of streams', () => {
  it('hold for us', () => {
    const a = new StreamSet({ role: 'caller', streamsMax: 3 })
    for (let i = 0; i < 3; i++) a.open()
    expect(() => a.open()).toThrow(misuse('too_many_streams'))
    expect(() => a.open(new Uint8Array(1_025))).toThrow(misuse('too_large'))
    expect(() => a.write(7, new Uint8Array(1))).toThrow(misuse('stream_unknown'))
    expect(() => a.write(2, new Uint8Array(1))).toThrow(misuse('stream_unknown'))
    expect(() => a.reset(1, -1)).toThrow(misuse('bad_error_code'))
    expect(() => a.stop(1, streamRefusedCode)).toThrow(misuse('bad_error_code'))
  })

  it('refuse a stream too many of the peer, which is told and stays usable', () => {
    const { a, b, settle } = pair({ streamsMax: 10 }, { streamsMax: 2 })
    const ids = [a.open(), a.open(), a.open()]
    for (const id of ids) a.write(id, new Uint8Array(10))
    settle()
    expect(drain(b).filter((event) => event!.type === 'streamOpened')).toHaveLength(2)
    expect(drain(a)).toEqual([
      { type: 'stopped', streamId: 5, errorCode: streamRefusedCode },
      { type: 'reset', streamId: 5, errorCode: streamRefusedCode },
      { type: 'streamDone', streamId: 5 },
    ])
    b.onFrame(data(5, 0, 10))
    expect(b.counts()).toHaveLength(3)
  })

  it('count a stream until its open was acked: the peer may not know yet that it ended', () => {
    const { a, b } = pair({ streamsMax: 1 })
    const id = a.open()
    a.finish(id)
    a.stop(id, 1)
    const said = a.pullControl(1_000)
    const late = said.filter((frame) => frame.type === 'open')
    const early = said.filter((frame) => frame.type !== 'open')
    for (const frame of early) b.onFrame(frame)
    a.onAcked(early)
    const answer = b.pullControl(1_000)
    expect(answer.map((frame) => frame.type)).toEqual(['reset'])
    for (const frame of answer) a.onFrame(frame)
    expect(() => a.open()).toThrow(misuse('too_many_streams'))
    for (const frame of late) b.onFrame(frame)
    a.onAcked(late)
    expect(drain(a).at(-1)).toEqual({ type: 'streamDone', streamId: id })
    expect(a.open()).toBe(3)
  })

  it('end the connection when the peer floods', () => {
    const b = new StreamSet({ role: 'listener', streamsMax: 2 })
    expect(() => {
      for (let id = 1; id < 10_000; id += 2) b.onFrame(open(id))
    }).toThrow(breach('stream_limit'))
    const c = new StreamSet({ role: 'listener' })
    expect(() => c.onFrame(open(100_001))).toThrow(breach('stream_limit'))
    expect(() => c.onFrame(open(Number.MAX_SAFE_INTEGER))).toThrow(breach('stream_limit'))
  })

  it('take 1 024 at a time, in any order', () => {
    const b = new StreamSet({ role: 'listener' })
    for (let i = 1_023; i >= 0; i--) b.onFrame(open(i * 2 + 1))
    expect(drain(b)).toHaveLength(1_024)
    b.onFrame(open(2_049))
    expect(b.pullControl(1_000).map((frame) => frame.type)).toEqual(['stop', 'reset'])
  })

  it('bound the parts that wait for earlier bytes', () => {
    const b = new StreamSet({ role: 'listener' })
    expect(() => {
      for (let id = 1; id < 40; id += 2) for (let at = 16_382; at > 0; at -= 2) b.onFrame(data(id, at, 1))
    }).toThrow(breach('too_many_parts'))
  })
})

describe('a peer in breach', () => {
  const live = (): StreamSet => {
    const b = new StreamSet({ role: 'listener' })
    b.onFrame(open(1))
    return b
  }
  const cases: [string, Frame[], string][] = [
    ['sends past its credit', [data(1, 16_384, 1)], 'flow_control'],
    ['ends past its credit', [{ type: 'fin', streamId: 1, finalOffset: 16_385 }], 'flow_control'],
    ['resets past its credit', [{ type: 'reset', streamId: 1, errorCode: 0, finalOffset: 16_385 }], 'flow_control'],
    ['ends before what it sent', [data(1, 0, 10), { type: 'fin', streamId: 1, finalOffset: 9 }], 'final_size'],
    [
      'ends twice, differently',
      [
        { type: 'fin', streamId: 1, finalOffset: 9 },
        { type: 'fin', streamId: 1, finalOffset: 10 },
      ],
      'final_size',
    ],
    ['sends past its end', [{ type: 'fin', streamId: 1, finalOffset: 9 }, data(1, 0, 10)], 'final_size'],
    ['sends past its reset', [{ type: 'reset', streamId: 1, errorCode: 0, finalOffset: 9 }, data(1, 0, 10)], 'final_size'],
    ['opens an id of ours', [open(2)], 'stream_parity'],
    ['sends on a stream of ours that is not there', [data(2, 0, 1)], 'stream_unknown'],
    ['stops a stream of ours that is not there', [{ type: 'stop', streamId: 4, errorCode: 1 }], 'stream_unknown'],
    ['says it took what was not sent', [{ type: 'credit', streamId: 1, limit: 20_000, consumed: 5 }], 'credit_invalid'],
    ['grants less than it took', [{ type: 'credit', streamId: 1, limit: 0, consumed: 1 }], 'credit_invalid'],
  ]
  it.each(cases)('that %s is told so', (_what, frames, code) => {
    const b = live()
    for (const frame of frames.slice(0, -1)) b.onFrame(frame)
    expect(() => b.onFrame(frames.at(-1)!)).toThrow(breach(code))
  })
})

describe('credit', () => {
  /** Moves `bytes` from a to b with one "round trip" per round, reading as it comes; returns the rounds. */
  const rounds = (set: ReturnType<typeof pair>, id: number, bytes: number, readEach = Number.POSITIVE_INFINITY): number => {
    let written = 0
    let read = 0
    for (let round = 1; ; round++) {
      while (written < bytes) {
        const taken = set.a.write(id, new Uint8Array(Math.min(65_536, bytes - written)))
        if (taken === 0) break
        written += taken
      }
      for (const direction of [set.ab, set.ba]) {
        direction.pull(65_000)
        while (direction.inFlight.length > 0) direction.deliver(0)
        if (direction === set.ab) read += total(set.b.read(id, readEach))
      }
      if (read === bytes) return round
      if (round > 10_000) throw new Error(`no end: ${read} of ${bytes}`)
    }
  }

  it('doubles while it holds a stream back, to 16 MiB', () => {
    const set = pair()
    const id = set.a.open()
    expect(rounds(set, id, 200 * 1024 * 1024)).toBeLessThan(25)
    expect(set.a.writableBytes(id)).toBeGreaterThan(8_000_000)
    expect(set.a.writableBytes(id)).toBeLessThanOrEqual(16 * 1024 * 1024)
  })

  it('stays small for a reader that is the brake itself', () => {
    const set = pair()
    const id = set.a.open()
    rounds(set, id, 3_000_000, 4_000)
    expect(set.a.writableBytes(id)).toBeLessThanOrEqual(16_384)
  })

  it('stays small for requests and answers that never fill it', () => {
    const set = pair()
    const id = set.a.open()
    for (let i = 0; i < 500; i++) rounds(set, id, 1_000)
    expect(set.a.writableBytes(id)).toBeLessThanOrEqual(16_384)
  })

  it('is shared when many want it: no stream is left with the first 16 KiB for ever', () => {
    const { a, b, settle } = pair({ receiveBudgetBytes: 8 * 1024 * 1024 })
    const ids = Array.from({ length: 40 }, () => a.open())
    const read = new Map<number, number>()
    for (let i = 0; i < 60; i++) {
      for (const id of ids) a.write(id, new Uint8Array(1_000_000))
      settle()
      for (const id of ids) read.set(id, (read.get(id) ?? 0) + total(b.read(id)))
    }
    const amounts = [...read.values()]
    expect(Math.min(...amounts)).toBeGreaterThan(Math.max(...amounts) / 20)
    expect(Math.min(...amounts)).toBeGreaterThan(60 * 17_000)
  })

  it('comes back to the process when streams end', () => {
    const budget = new ProcessBudget(100_000_000)
    const set = pair({ budget })
    const id = set.a.open()
    rounds(set, id, 30_000_000)
    expect(budget.usedBytes).toBeGreaterThan(1_000_000)
    set.a.finish(id)
    set.settle()
    expect(budget.usedBytes).toBe(0)
  })

  it('ends at the mark of the process, and streams go on', () => {
    const budget = new ProcessBudget(1_000)
    const set = pair({ budget })
    const id = set.a.open()
    rounds(set, id, 1_000_000)
    expect(budget.usedBytes).toBeLessThanOrEqual(700)
  })

  it('that is old or twice changes nothing', () => {
    const a = new StreamSet({ role: 'caller' })
    const id = a.open()
    a.onFrame({ type: 'credit', streamId: id, limit: 50_000, consumed: 0 })
    a.onFrame({ type: 'credit', streamId: id, limit: 20_000, consumed: 0 })
    a.onFrame({ type: 'credit', streamId: id, limit: 50_000, consumed: 0 })
    expect(a.writableBytes(id)).toBe(50_000)
  })

  it('without end makes nobody hold more than 64 MiB unacked', () => {
    const a = new StreamSet({ role: 'caller' })
    const id = a.open()
    a.onFrame({ type: 'credit', streamId: id, limit: Number.MAX_SAFE_INTEGER, consumed: 0 })
    expect(a.write(id, new Uint8Array(65 * 1024 * 1024))).toBe(64 * 1024 * 1024)
    a.onAcked(a.pullData(65_000))
    expect(drain(a)).toEqual([{ type: 'writable', streamId: id }])
  })
})

describe('the end of a connection', () => {
  it('gives memory back once, and reading goes on without taking more', () => {
    const budget = new ProcessBudget(100_000_000)
    const { a, b, settle } = pair({ budget }, { budget })
    const id = a.open()
    for (let i = 0; i < 20; i++) {
      a.write(id, new Uint8Array(500_000))
      a.offerMessage(new Uint8Array(10_000))
      settle()
      if (i < 19) b.read(id)
      b.takeMessage()
    }
    expect(budget.usedBytes).toBeGreaterThan(0)
    a.release()
    b.release()
    b.release()
    expect(budget.usedBytes).toBe(0)
    expect(total(b.read(id))).toBeGreaterThan(0)
    b.takeMessage()
    expect(budget.usedBytes).toBe(0)
  })
})

describe('counts', () => {
  it('tell accepted, received and delivered of each stream, both ways', () => {
    const { a, b, settle } = pair()
    const id = a.open()
    a.write(id, new Uint8Array(12_000))
    settle(5_000)
    b.read(id, 9_000)
    settle()
    expect(a.counts()[1]).toEqual({ streamId: id, accepted: 12_000, received: 12_000, delivered: 9_000, receivedHere: 0, deliveredHere: 0 })
    expect(b.closeCounts()).toEqual([{ streamId: id, received: 12_000, delivered: 9_000 }])
  })
})
