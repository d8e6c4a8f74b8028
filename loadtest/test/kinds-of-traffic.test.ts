// Datagrams, key modes and compression: from the cell to what is counted.
import { describe, expect, test } from 'vitest'
import { encodeMessage, FlowChecker, keystreamKey } from '../src/verdict/index.ts'
import { runVirtual } from '../src/virtual/index.ts'
import { environment, fakeRun } from './fixtures/fake-run.ts'
import { planOf, type Sheets } from './fixtures/sheets.ts'

const seed = 7
const key = keystreamKey(seed, 0)
const length = 100

/** Two clients that send 50 a second each way for 12 s, over three relays. */
const workbook = (profile: Record<string, string>, more: Sheets = {}): Sheets => ({
  Run: [
    ['key', 'value'],
    ['duration', '12s'],
    ['warmup', '1s'],
  ],
  Profiles: [
    ['profile', 'rate', 'packet_size', ...Object.keys(profile)],
    ['p', '50/s', 200, ...Object.values(profile)],
  ],
  Clients: [['client'], ['a'], ['b']],
  ...more,
})
const limit = (metric: string, op: string, value: string | number): Sheets => ({
  Limits: [
    ['limit', 'metric', 'op', 'value'],
    ['L', metric, op, value],
  ],
})

describe('a checker of datagrams', () => {
  const datagram = (index: number): Uint8Array => encodeMessage(key, { direction: 0, index, offset: index * length, dueMs: index, length })
  const checked = (indexes: readonly number[], meddle = (bytes: Uint8Array): Uint8Array => bytes): FlowChecker => {
    const checker = new FlowChecker({ seed, direction: 0, datagrams: true })
    for (const index of indexes) checker.received(meddle(datagram(index)))
    checker.finish(1_000_000_000, 'lost')
    return checker
  }
  const none = { lost: 0, duplicated: 0, reordered: 0, corrupted: 0, unexpected: 0 }

  test.each<[string, number[], Partial<typeof none>, number]>([
    ['all of them', [0, 1, 2], {}, 3],
    ['some of them: what is missing is not lost', [0, 3, 9], {}, 3],
    ['in any order', [4, 2, 3, 0, 1], {}, 5],
    ['one twice', [0, 1, 1], { duplicated: length }, 2],
    ['one twice, with others between', [5, 1, 9, 5], { duplicated: length }, 3],
    ['one twice, the first of all overtaken by the last of the window', [65_535, 0, 0], { duplicated: length }, 2],
    ['one that comes when nobody can say whether it came before', [65_537, 0], { unexpected: length }, 1],
    ['one after a gap of more than the window', [1, 70_000, 69_999, 70_001], {}, 4],
    ['one whose bit stands for another that came', [1, 65_537], {}, 2],
  ])('%s', (_why, indexes, counts, received) => {
    const checker = checked(indexes)
    expect(checker.counts).toEqual({ ...none, ...counts })
    expect(checker.receivedMessages).toBe(received)
  })

  test('one that was changed', () => {
    const changed = (bytes: Uint8Array): Uint8Array => bytes.map((byte, at) => (at === 50 ? byte ^ 4 : byte))
    expect(checked([0, 1], changed).counts).toEqual({ ...none, corrupted: 2 })
  })
})

describe('the verdict on datagrams', () => {
  test.each<[string, (bytes: Uint8Array, index: number) => Uint8Array[], number]>([
    ['all come', (bytes) => [bytes], 0],
    ['one in ten does not come', (bytes, index) => (index % 10 === 0 ? [] : [bytes]), 0],
    ['one in three does not come, and the limit is 20 %', (bytes, index) => (index % 3 === 0 ? [] : [bytes]), 99],
    ['one comes twice', (bytes, index) => (index === 40 ? [bytes, bytes] : [bytes]), 120],
    ['one comes changed', (bytes, index) => (index === 40 ? [bytes.map((byte, at) => (at === 99 ? byte ^ 1 : byte))] : [bytes]), 120],
  ])('%s', (_why, meddle, exitCode) => {
    const plan = planOf(workbook({ mode: 'datagram' }, limit('datagram_loss', '<=', '20%')))
    const { summary } = fakeRun({ plan, meddle: (bytes, _direction, index) => meddle(bytes, index) })
    expect(summary).toMatchObject({ exitCode, integrity: { lost: 0, reordered: 0 } })
    expect(summary.datagrams.missing).toBe(summary.datagrams.sent - summary.datagrams.delivered)
  })
})

describe('in the simulated world', { timeout: 30_000 }, () => {
  const silence: Sheets = {
    Faults: [
      ['fault', 'when', 'duration', 'target', 'action'],
      ['F1', 'at(5s)', '3s', 'busiest(relay:*)', 'blackhole'],
    ],
  }

  test('datagrams into a relay that fell silent are missing, none is lost, none comes twice when it speaks again', async () => {
    const { summary } = await runVirtual({ plan: planOf(workbook({ mode: 'datagram' }, silence)), environment })
    expect(summary).toMatchObject({ verdict: 'pass', integrity: { lost: 0, duplicated: 0, corrupted: 0, unexpected: 0 } })
    expect(summary.datagrams.missing).toBeGreaterThan(0)
    expect(summary.datagrams.delivered).toBeGreaterThan(0.9 * summary.datagrams.sent)
  })

  test.each(['relay', 'none'])('two ends that accept only the key mode %s meet, and every byte arrives', async (keyMode) => {
    const plan = planOf(workbook({ key_mode: keyMode }, silence))
    expect(plan.clients.map((client) => client.keyMode)).toEqual([keyMode, keyMode])
    const { summary } = await runVirtual({ plan, environment })
    expect(summary).toMatchObject({ verdict: 'pass', connections: { opened: 1 } })
  })

  test('two ends of different key modes do not meet: the mode of the plan is the mode on the wire', async () => {
    const plan = planOf(workbook({ key_mode: 'relay' }))
    const clients = plan.clients.map((client, index) => (index === 0 ? { ...client, keyMode: 'none' as const } : client))
    const { summary } = await runVirtual({ plan: { ...plan, clients }, environment })
    expect(summary).toMatchObject({ verdict: 'fail', connections: { opened: 0, failed: 1 } })
    expect(summary.errors.map(({ code }) => code)).toContain('key_mode_mismatch')
  })

  test('compression is refused there, before the run', async () => {
    const plan = planOf(workbook({ compression: 'always' }))
    await expect(runVirtual({ plan, environment })).rejects.toThrow('client a compresses')
  })
})

test('text is checked byte for byte, and its gain is measured against the limit', () => {
  const plan = planOf(workbook({ compression: 'auto' }, limit('compression_ratio', '<=', '60%')))
  const text = encodeMessage(key, { direction: 0, index: 0, offset: 0, dueMs: 0, length }, 'text')
  expect(Buffer.from(text.subarray(32, 68)).toString()).toMatch(/^[a-p]{36}$/)
  const run = (after: number, meddle?: (bytes: Uint8Array) => Uint8Array[]): number =>
    fakeRun({ plan, ...(meddle === undefined ? {} : { meddle }), before: (recorder) => recorder.compressed(1000, after) }).summary.exitCode
  expect(run(550)).toBe(0)
  expect(run(650)).toBe(99)
  expect(run(550, (bytes) => [bytes.map((byte, at) => (at === 60 ? byte ^ 0x80 : byte))])).toBe(120)
})
