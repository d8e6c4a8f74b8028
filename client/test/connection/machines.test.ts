import { type AckState, PACKET_KIND, ProtocolError } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { AckTracker } from '../../src/core/connection/ack-tracker.ts'
import { OneWayDelays } from '../../src/core/connection/one-way-delays.ts'
import { RateEstimator } from '../../src/core/connection/rate-estimator.ts'
import { KeptNumbers, LooseNumbers } from '../../src/core/connection/receive-numbers.ts'
import { RttEstimator } from '../../src/core/connection/rtt-estimator.ts'
import { type KeptPacket, SendBuffer } from '../../src/core/connection/send-buffer.ts'
import { SendLimit } from '../../src/core/connection/send-limit.ts'
import { connectionTuning } from '../../src/core/connection/tuning.ts'
import { generator } from './world.ts'

function packet(number: number, bytes = 100): KeptPacket {
  return {
    number,
    header: { form: 0, kind: PACKET_KIND.data, epoch: 0, counter: number },
    pieces: [new Uint8Array(bytes)],
    bytes,
    frames: [],
    epoch: 0,
    acked: false,
    timesSent: 0,
    flight: undefined,
    more: undefined,
    shares: undefined,
    skip: 0,
    own: false,
    waitsToBeResent: false,
  }
}

describe('send buffer', () => {
  const filled = (count: number): SendBuffer => {
    const buffer = new SendBuffer()
    for (let number = 0; number < count; number += 1) buffer.add(packet(number))
    return buffer
  }
  const acked = (buffer: SendBuffer, ack: AckState): number[] => {
    const numbers: number[] = []
    buffer.acknowledge(ack, ({ number }) => numbers.push(number))
    return numbers
  }

  it.each([
    ['a cumulative ack', { cumulative: 3, ranges: [] }, [0, 1, 2], 3],
    [
      'ranges above a gap',
      {
        cumulative: 1,
        ranges: [
          [2, 4],
          [6, 7],
        ],
      },
      [0, 2, 3, 6],
      1,
    ],
    ['nothing', { cumulative: 0, ranges: [] }, [], 0],
    ['everything', { cumulative: 10, ranges: [] }, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 10],
  ] as [string, AckState, number[], number][])('frees exactly what %s names', (_name, ack, numbers, oldest) => {
    const buffer = filled(10)
    expect(acked(buffer, ack)).toEqual(numbers)
    expect(buffer.oldest()?.number).toBe(oldest === 10 ? undefined : oldest)
    expect(buffer.unackedPackets).toBe(10 - numbers.length)
    expect(acked(buffer, ack), 'a repeated ack frees nothing').toEqual([])
  })

  it('takes an older ack after a newer one without effect', () => {
    const buffer = filled(10)
    acked(buffer, { cumulative: 8, ranges: [] })
    expect(acked(buffer, { cumulative: 2, ranges: [[4, 6]] })).toEqual([])
    expect(buffer.base).toBe(8)
  })

  it('refuses an ack of what was never sent', () => {
    expect(() => acked(filled(3), { cumulative: 4, ranges: [] })).toThrow(ProtocolError)
    expect(() => acked(filled(3), { cumulative: 0, ranges: [[2, 4]] })).toThrow(ProtocolError)
  })

  it('agrees with a set under random acks, and counts every byte', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const random = generator(seed)
      const buffer = new SendBuffer()
      const arrived = new Set<number>()
      const told = new Set<number>()
      for (let step = 0; step < 300; step += 1) {
        for (let more = Math.floor(random() * 6); more > 0; more -= 1) buffer.add(packet(buffer.next))
        for (let more = Math.floor(random() * 6); more > 0; more -= 1) arrived.add(Math.floor(random() * buffer.next))
        let cumulative = 0
        while (arrived.has(cumulative)) cumulative += 1
        const ranges: [number, number][] = []
        for (let number = cumulative; number < buffer.next && ranges.length < 32; number += 1) {
          if (!arrived.has(number)) continue
          const last = ranges.at(-1)
          if (last !== undefined && last[1] === number) last[1] += 1
          else ranges.push([number, number + 1])
        }
        for (const number of acked(buffer, { cumulative: Math.min(cumulative, buffer.next), ranges })) {
          expect(told.has(number)).toBe(false)
          expect(arrived.has(number)).toBe(true)
          told.add(number)
        }
        expect(buffer.unackedBytes).toBe((buffer.next - told.size) * 356)
      }
    }
  })
})

describe('kept numbers', () => {
  it('hold what is early, give it back in order, and name the lowest ranges', () => {
    const numbers = new KeptNumbers<number>(1_000)
    for (const number of [5, 2, 3, 9]) numbers.hold(number, number)
    expect(numbers.state()).toEqual({
      cumulative: 0,
      ranges: [
        [2, 4],
        [5, 6],
        [9, 10],
      ],
    })
    expect([0, 2, 4, 5, 9, 10].map((number) => numbers.has(number))).toEqual([false, true, false, true, true, false])
    numbers.advance()
    expect(numbers.takeHeld()).toBeUndefined()
    numbers.advance()
    expect([numbers.takeHeld(), numbers.takeHeld(), numbers.takeHeld()]).toEqual([2, 3, undefined])
    numbers.hold(6, 6)
    expect(numbers.state()).toEqual({
      cumulative: 4,
      ranges: [
        [5, 7],
        [9, 10],
      ],
    })
  })

  it('tell at most 32 ranges and take nothing beyond the window', () => {
    const numbers = new KeptNumbers<number>(1_000)
    for (let number = 1; number < 200; number += 2) numbers.hold(number, number)
    expect(numbers.state().ranges).toHaveLength(32)
    expect(numbers.accepts(999)).toBe(true)
    expect(numbers.accepts(1_000)).toBe(false)
  })
})

describe('loose numbers', () => {
  it('take each number once, and nothing older than the window', () => {
    const loose = new LooseNumbers()
    expect([0, 0, 5, 3, 3, 5].map((number) => loose.take(number))).toEqual([true, false, true, true, false, false])
    expect(loose.take(10_000)).toBe(true)
    expect([3, 4, 10_000 - 4_097, 10_000 - 4_095, 10_000].map((number) => loose.take(number))).toEqual([false, false, false, true, false])
  })
})

describe('ack tracker', () => {
  it('acks after two packets, after 25 ms, and at once on a gap or a duplicate', () => {
    const acks = new AckTracker(connectionTuning)
    acks.onNew(100, 1, false)
    expect([acks.newestIsDue(100), acks.wakeAtMs(), acks.newestIsDue(125)]).toEqual([false, 125, true])
    acks.onNew(101, 2, false)
    expect([acks.newestIsDue(101), acks.newestPathId, acks.delayMs(104)]).toEqual([true, 2, 3])
    acks.settled()
    acks.onNew(110, 1, true)
    expect(acks.newestIsDue(110)).toBe(true)
    acks.settled()
    acks.onDuplicate(110, 7)
    acks.onDuplicate(110, 7)
    expect([acks.newestIsDue(111), acks.takeOwed(), acks.takeOwed()]).toEqual([false, [7], []])
  })
})

describe('estimators', () => {
  it('start at 333 ms and follow the samples', () => {
    const rtt = new RttEstimator()
    expect(rtt.probeTimeoutMs(connectionTuning)).toBe(333 + 4 * 166.5 + 25)
    for (let sample = 0; sample < 100; sample += 1) rtt.sample(sample, 1)
    expect(rtt.probeTimeoutMs(connectionTuning)).toBeCloseTo(1 + 10 + 25, 1)
  })

  it.each([
    [undefined, 16_384, 65_536],
    [10, 1_200, 65_536],
    [10_000, 50_000, 500_000],
    [1_000_000, 65_280, 8 * 1_024 * 1_024],
  ])('at %s bytes a millisecond make packets of %i and keep %i in flight', (rate, packetBytes, limitBytes) => {
    const estimator = new RateEstimator()
    if (rate !== undefined) estimator.sample(rate * 10, 10, false)
    const rtt = new RttEstimator()
    rtt.sample(0, 1)
    expect([estimator.packetBytes(), new SendLimit(estimator, rtt).bytes()]).toEqual([packetBytes, limitBytes])
  })
})

describe('the two halves of a round trip', () => {
  /** Packets there and back: [sent at, way there, way back], with a clock of the peer that is 5 s ahead. */
  const halves = (...ways: [number, number, number][]): OneWayDelays => {
    const delays = new OneWayDelays()
    for (const [sentAtMs, there, back] of ways) delays.sample(sentAtMs + there + back, there + back, there + 5_000)
    return delays
  }

  it.each<[string, [number, number, number][], number, number]>([
    ['one packet', [[0, 30, 20]], 50, 0],
    [
      'the least of each half, at different times',
      [
        [0, 30, 90],
        [100, 130, 20],
      ],
      50,
      61.25,
    ],
    [
      'a queue of our own is no wait of acks',
      [
        [0, 30, 20],
        [100, 130, 20],
        [200, 230, 20],
      ],
      50,
      0,
    ],
    [
      'a clock that stood still for 10 s: all is measured anew',
      [
        [0, 30, 20],
        [100, -9_970, 10_020],
      ],
      50,
      0,
    ],
  ])('%s', (_name, ways, idleMs, waitMs) => {
    const delays = halves(...ways)
    expect([delays.minRoundTripMs, delays.backQueueMs]).toEqual([idleMs, waitMs])
  })
})

describe('a path that is busy for long', () => {
  /** Samples of a round trip each 100 ms, with so many bytes in flight. @returns when it drained and when that was over */
  const busy = (
    rttOf: (atMs: number, drains: boolean) => number,
    untilMs: number,
  ): { readonly began: number[]; readonly ended: number[] } => {
    const rate = new RateEstimator()
    const rtt = new RttEstimator()
    const limit = new SendLimit(rate, rtt)
    const began: number[] = []
    const ended: number[] = []
    rate.sample(1_000_000, 100, false)
    for (let atMs = 0; atMs <= untilMs; atMs += 100) {
      const before = limit.drains
      const rttMs = rttOf(atMs, before)
      rtt.sample(atMs, rttMs)
      limit.measured(atMs, rttMs, before ? limit.bytes() : 2_000_000)
      if (limit.drains !== before) (before ? ended : began).push(atMs)
    }
    return { began, ended }
  }

  it('is drained once in each window that shows no idle round trip, until a packet found it empty', () => {
    const { began, ended } = busy((atMs, drains) => (atMs < 1_000 || drains ? 50 : 200), 130_000)
    expect(began.length).toBe(3)
    expect(began.every((atMs, index) => index === 0 || atMs - began[index - 1]! >= 30_000)).toBe(true)
    expect(ended.map((atMs, index) => atMs - began[index]!)).toEqual([200, 200, 200])
  })

  it('is left alone when its round trips are those of before', () => {
    expect(busy(() => 50, 130_000).began).toEqual([])
  })

  it('is drained for four round trips at most where draining shows nothing', () => {
    const { began, ended } = busy((atMs) => (atMs < 1_000 ? 50 : 5_000), 60_000)
    expect(ended[0]! - began[0]!).toBeLessThanOrEqual(20_100)
  })
})
