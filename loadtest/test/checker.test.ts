import { describe, expect, test } from 'vitest'
import {
  encodeMessage,
  FlowChecker,
  fillKeystream,
  findMismatch,
  keystreamKey,
  messageSize,
  readHeader,
  sample,
} from '../src/verdict/index.ts'
import { fakeRun } from './fixtures/fake-run.ts'
import { planOf } from './fixtures/sheets.ts'

const seed = 7
const key = keystreamKey(seed, 3)

describe('keystream', () => {
  test('any range equals the same range of the whole', () => {
    const whole = new Uint8Array(5000)
    fillKeystream(key, 1_000_000, whole)
    for (const [from, length] of [
      [0, 1],
      [1, 3],
      [3, 64],
      [17, 999],
      [4096, 904],
    ] as const) {
      const part = new Uint8Array(length)
      fillKeystream(key, 1_000_000 + from, part)
      expect(part).toEqual(whole.subarray(from, from + length))
    }
  })
  test('offsets beyond 2³⁴ go on, and differ from those at the start', () => {
    const across = new Uint8Array(64)
    const at = 2 ** 34 - 30
    fillKeystream(key, at, across)
    const tail = new Uint8Array(34)
    fillKeystream(key, 2 ** 34, tail)
    expect(across.subarray(30)).toEqual(tail)
    const start = new Uint8Array(34)
    fillKeystream(key, 0, start)
    expect(tail).not.toEqual(start)
  })
  test('seeds and directions differ, and all bytes occur evenly', () => {
    const bytes = new Uint8Array(65_536)
    fillKeystream(key, 0, bytes)
    const counts = new Array<number>(256).fill(0)
    for (const byte of bytes) counts[byte]! += 1
    expect(Math.min(...counts)).toBeGreaterThan(180)
    expect(Math.max(...counts)).toBeLessThan(340)
    expect(new Set([keystreamKey(1, 0), keystreamKey(2, 0), keystreamKey(1, 1), keystreamKey(2 ** 40, 0)]).size).toBe(4)
  })
  test('a mismatch is found at its byte', () => {
    const bytes = new Uint8Array(200_000)
    fillKeystream(key, 5, bytes)
    const scratch = new Uint8Array(65_536)
    expect(findMismatch(key, 5, bytes, scratch)).toBe(-1)
    bytes[150_001]! ^= 1
    expect(findMismatch(key, 5, bytes, scratch)).toBe(150_001)
  })
})

const messages = (count: number): Uint8Array[] => {
  let offset = 0
  return Array.from({ length: count }, (_, index) => {
    const length = 64 + ((index * 37) % 300)
    const bytes = encodeMessage(key, { direction: 3, index, offset, dueMs: index * 10, length })
    offset += length
    return bytes
  })
}
const sum = (all: Uint8Array[]): number => all.reduce((total, one) => total + one.length, 0)
const cut = (bytes: Uint8Array, at: number, length: number, put: Uint8Array = new Uint8Array(0)): Uint8Array =>
  new Uint8Array([...bytes.subarray(0, at), ...put, ...bytes.subarray(at + length)])

describe('the checker names what happened to a message', () => {
  const all = messages(6)
  const [a, b, c, d, e, f] = all as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array]
  const none = { lost: 0, duplicated: 0, reordered: 0, corrupted: 0, unexpected: 0 }
  const rows: [string, Uint8Array[], Partial<typeof none>][] = [
    ['all well', all, {}],
    ['one message lost', [a, b, d, e, f], { lost: c.length }],
    ['the last lost', [a, b, c, d, e], { lost: f.length }],
    ['all lost', [], { lost: sum(all) }],
    ['one message twice', [a, b, b, c, d, e, f], { duplicated: b.length }],
    ['an old one again', [a, b, c, d, e, f, a], { duplicated: a.length }],
    ['two swapped', [a, c, b, d, e, f], { reordered: b.length }],
    ['one much too late', [a, c, d, e, f, b], { reordered: b.length }],
    [
      'one of another direction',
      [a, encodeMessage(keystreamKey(seed, 4), { direction: 4, index: 0, offset: 0, dueMs: 0, length: 80 }), b, c, d, e, f],
      { unexpected: 80 },
    ],
    ['rubbish', [a, new Uint8Array(99).fill(7), b, c, d, e, f], { unexpected: 99 }],
    ['an empty one', [a, new Uint8Array(0), b, c, d, e, f], {}],
  ]
  test.each(rows)('%s', (_what, arrived, counts) => {
    const checker = new FlowChecker({ seed, direction: 3 })
    for (const message of arrived) checker.received(message)
    checker.finish(sum(all), 'lost')
    expect(checker.counts).toEqual({ ...none, ...counts })
  })

  test('at every place of a message, for every kind of damage', () => {
    for (let at = 0; at < b.length; at++) {
      const swapped = b.slice()
      const other = b.findIndex((byte, index) => index > at && byte !== b[at])
      const put = (b[at]! + 101) & 0xff
      const damaged: [string, Uint8Array][] = [
        ['lost', cut(b, at, 1)],
        ['duplicated', cut(b, at, 0, b.subarray(at, at + 1))],
        ['corrupted', cut(b, at, 1, new Uint8Array([b[at]! ^ 0x10]))],
      ]
      // An invented byte that equals its neighbour cannot be told from a doubled one.
      if (put !== b[at] && put !== b[at - 1]) damaged.push(['unexpected', cut(b, at, 0, new Uint8Array([put]))])
      if (other === at + 1) {
        ;[swapped[at], swapped[other]] = [b[other]!, b[at]!]
        damaged.push(['reordered', swapped])
      }
      for (const [kind, message] of damaged) {
        const checker = new FlowChecker({ seed, direction: 3 })
        for (const one of [a, message, c, d, e, f]) checker.received(one)
        checker.finish(sum(all), 'lost')
        const expected = { ...none, [kind]: kind === 'reordered' ? 2 : 1 }
        expect(checker.counts, `${kind} at ${at}`).toEqual(expected)
      }
    }
  })

  test('what may have been under way at the end is unknown, a hole before what came is lost', () => {
    const checker = new FlowChecker({ seed, direction: 3 })
    for (const one of [a, c]) checker.received(one)
    expect(checker.finish(sum(all), 'unknown')).toEqual({ unknown: sum([d, e, f]) })
    expect(checker.counts.lost).toBe(b.length)
  })
})

describe('self-test: what happens between the client and the checker decides the run', () => {
  const plan = planOf({
    Run: [
      ['key', 'value'],
      ['duration', '2s'],
      ['warmup', '0s'],
    ],
    Profiles: [
      ['profile', 'rate', 'packet_size'],
      ['p', '100/s', 'uniform(64,400)'],
    ],
    Clients: [['client'], ['a'], ['b']],
  })
  const pair = (bytes: Uint8Array): number => bytes.findIndex((byte, index) => index > 40 && byte !== bytes[index + 1])
  const rows: [string, (bytes: Uint8Array) => Uint8Array, number][] = [
    ['lost', (bytes) => cut(bytes, 45, 1), 1],
    ['duplicated', (bytes) => cut(bytes, 45, 0, bytes.subarray(45, 46)), 1],
    ['reordered', (bytes) => cut(bytes, pair(bytes), 2, new Uint8Array([bytes[pair(bytes) + 1]!, bytes[pair(bytes)]!])), 2],
    ['corrupted', (bytes) => cut(bytes, 45, 1, new Uint8Array([bytes[45]! ^ 1])), 1],
    ['unexpected', (bytes) => cut(bytes, 45, 0, new Uint8Array([bytes[44]! ^ 1])), 1],
  ]
  test.each(rows)('one byte %s: exit 120 and exactly this counter', (kind, damage, bytes) => {
    const { summary, incidents } = fakeRun({
      plan,
      meddle: (message, direction, index) => [direction === 1 && index === 33 ? damage(message) : message],
    })
    expect(summary.exitCode).toBe(120)
    expect(summary.verdict).toBe('fail')
    const { sentBytes, deliveredBytes, messages: count, ...counters } = summary.integrity
    expect(counters).toEqual({ lost: 0, duplicated: 0, reordered: 0, corrupted: 0, unexpected: 0, unknown: 0, [kind]: bytes })
    expect(incidents).toMatchObject([{ kind, flow: 0, from: 'b', to: 'a', message: 33, bytes }])
    expect(sentBytes).toBe(deliveredBytes)
    expect(count).toBeGreaterThan(300)
  })
  test('nothing done: pass', () => {
    expect(fakeRun({ plan }).summary).toMatchObject({ exitCode: 0, verdict: 'pass' })
  })
})

test('sizes are a function of seed, direction and index, and follow their distribution', () => {
  const direction = planOf({ Clients: [['client', 'packet_size'], ['a', 'mix(64:70%,1500:30%)'], ['b']] }).flows[0]!.directions[0]!
  const sizes = Array.from({ length: 5000 }, (_, index) => messageSize(1, direction, index))
  expect(sizes).toEqual(Array.from({ length: 5000 }, (_, index) => messageSize(1, direction, index)))
  expect(new Set(sizes)).toEqual(new Set([64, 1500]))
  expect(sizes.filter((size) => size === 64).length / 5000).toBeCloseTo(0.7, 1)
  const mean = (distribution: Parameters<typeof sample>[0]): number => {
    let total = 0
    for (let index = 0; index < 20_000; index++) total += sample(distribution, 99, index)
    return total / 20_000
  }
  expect(mean({ kind: 'exp', mean: 1024 }) / 1024).toBeCloseTo(1, 1)
  expect(mean({ kind: 'normal', mean: 1024, deviation: 100 }) / 1024).toBeCloseTo(1, 1)
  expect(mean({ kind: 'uniform', from: 100, to: 300 }) / 200).toBeCloseTo(1, 1)
})

test('a header is read only when it is whole and of this key', () => {
  const bytes = encodeMessage(key, { direction: 3, index: 5, offset: 2 ** 45, dueMs: 1234.567, length: 100 })
  expect(readHeader(key, bytes, 0)).toEqual({ direction: 3, index: 5, offset: 2 ** 45, dueMs: 1234.567, length: 100 })
  expect(readHeader(keystreamKey(seed, 4), bytes, 0)).toBeUndefined()
  for (let at = 0; at < 32; at++) {
    const flipped = bytes.slice()
    flipped[at]! ^= 4
    expect(readHeader(key, flipped, 0)).toBeUndefined()
  }
})
