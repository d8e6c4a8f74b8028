import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { PacedDirection, Pacer, type SenderOptions } from '../../src/live/pacer.ts'
import type { FlowDirection, Plan } from '../../src/plan.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Time as the fake timers have it. */
const now = (): number => Date.now() - startedMs
let startedMs = 0

interface Sent {
  readonly dueMs: number
  readonly atMs: number
}

function direction(change: Partial<FlowDirection> = {}, accept: () => Promise<void> = () => Promise.resolve()) {
  startedMs = Date.now()
  const sent: Sent[] = []
  const options: SenderOptions = {
    plan: { seed: 5, run: { durationMs: 10_000 } } as Plan,
    direction: {
      direction: 3,
      bursts: 10,
      burst: 1,
      messagesPerSecond: 10,
      size: { kind: 'const', value: 64 },
      dataLimitBytes: null,
      ...change,
    } as unknown as FlowDirection,
    paces: [],
    sink: { send: accept },
    startMs: 0,
    before: { messages: 0, bytes: 0 },
    onSent: (_bytes, dueMs) => sent.push({ dueMs, atMs: now() }),
    onError: (error) => {
      throw error
    },
  }
  return { sent, sender: new PacedDirection(options) }
}

test('every message is sent when it is due, by a timer that runs only then', async () => {
  const { sent, sender } = direction()
  const pacer = new Pacer(now)
  pacer.add(sender)
  expect(vi.getTimerCount()).toBe(1)
  await vi.advanceTimersByTimeAsync(2_000)
  expect(sent).toHaveLength(20)
  for (const { dueMs, atMs } of sent) {
    expect(atMs).toBeGreaterThanOrEqual(dueMs)
    expect(atMs - dueMs).toBeLessThan(4)
  }
  pacer.stop()
  expect(vi.getTimerCount()).toBe(0)
  await vi.advanceTimersByTimeAsync(2_000)
  expect(sent).toHaveLength(20)
})

test('thousands that are due at once send in turns, between which others are heard', async () => {
  vi.useRealTimers()
  const pacer = new Pacer(() => 1_000)
  const senders = Array.from({ length: 1_000 }, () => direction())
  for (const { sender } of senders) pacer.add(sender)
  const sentInTurns: number[] = []
  const count = (): number => senders.reduce((sum, { sent }) => sum + Math.min(1, sent.length), 0)
  while (count() < 1_000) {
    await new Promise((next) => setImmediate(next))
    sentInTurns.push(count())
  }
  const steps = sentInTurns.map((after, index) => after - (sentInTurns[index - 1] ?? 0))
  expect(Math.max(...steps)).toBeLessThanOrEqual(64)
  pacer.stop()
})

test('a connection that takes nothing is handed no more than 64, and the rest when it takes one', async () => {
  const waiting: (() => void)[] = []
  const { sent, sender } = direction({ bursts: 100 }, () => new Promise((done) => waiting.push(done)))
  const pacer = new Pacer(now)
  pacer.add(sender)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(sent).toHaveLength(64)
  expect(vi.getTimerCount()).toBe(0)
  for (const accepted of waiting.splice(0)) accepted()
  await vi.advanceTimersByTimeAsync(10)
  expect(sent.length).toBeGreaterThanOrEqual(100)
  expect(sent.map(({ dueMs }) => dueMs)).toEqual([...sent.map(({ dueMs }) => dueMs)].sort((a, b) => a - b))
  pacer.stop()
})

test('a connection that takes everything at once is handed no more than 64 in one turn, and others come between', async () => {
  const accepted = Promise.resolve()
  const order: string[] = []
  const take = (name: string): Promise<void> => {
    order.push(name)
    return accepted
  }
  const one = (name: string) => direction({ bursts: 1_000 }, () => take(name)).sender
  const pacer = new Pacer(now)
  const [a, b] = [one('a'), one('b')]
  vi.setSystemTime(startedMs + 1_000)
  pacer.add(a)
  pacer.add(b)
  await vi.advanceTimersByTimeAsync(3)
  expect(order.slice(0, 128).join('')).toBe('a'.repeat(64) + 'b'.repeat(64))
  const soFar = order.length
  expect(soFar).toBeLessThanOrEqual(256)
  await vi.advanceTimersByTimeAsync(100)
  // All that was due, and what came due since.
  expect(order.filter((name) => name === 'a').length).toBeGreaterThanOrEqual(1_100)
  expect(order.filter((name) => name === 'b').length).toBeGreaterThanOrEqual(1_100)
  pacer.stop()
  expect(vi.getTimerCount()).toBe(0)
})

test('a connection that fails ends its sender, and says so once', async () => {
  const accepted = Promise.resolve()
  const errors: unknown[] = []
  let sends = 0
  startedMs = Date.now()
  const { sent, sender } = direction({}, () => (++sends > 3 ? Promise.reject(new Error('gone')) : accepted))
  ;(sender as unknown as { options: { onError: (error: unknown) => void } }).options.onError = (error) => errors.push(error)
  const pacer = new Pacer(now)
  pacer.add(sender)
  await vi.advanceTimersByTimeAsync(2_000)
  expect(sent).toHaveLength(4)
  expect(errors.map(String)).toEqual(['Error: gone'])
  expect(vi.getTimerCount()).toBe(0)
})

test('in the closed model the next one goes when the last was answered and thought about', async () => {
  const { sent, sender } = direction({ think: { kind: 'const', value: 100 } as never })
  const pacer = new Pacer(now)
  pacer.add(sender)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(sent).toHaveLength(1)
  sender.answered(now())
  await vi.advanceTimersByTimeAsync(99)
  expect(sent).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(5)
  expect(sent).toHaveLength(2)
  sender.stop()
  sender.answered(now())
  await vi.advanceTimersByTimeAsync(1_000)
  expect(sent).toHaveLength(2)
  expect(vi.getTimerCount()).toBe(0)
})
