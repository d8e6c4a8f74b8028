// What is said of bytes that never came: lost only where their connection says so, else unknown, with a word for why. One process and agents that
// know half of each connection say the same.
import { describe, expect, test } from 'vitest'
import { FlowChecker } from '../src/verdict/checker.ts'
import { encodeMessage, keystreamKey, type RunRecorder } from '../src/verdict/index.ts'
import { type FakeRun, fakeRun } from './fixtures/fake-run.ts'
import { scattered } from './fixtures/scattered.ts'
import { planOf, type Sheets } from './fixtures/sheets.ts'

const durationMs = 14_000
const book = (expects = 'delivered', drain = '10s'): Sheets => ({
  Run: [
    ['key', 'value'],
    ['duration', '14s'],
    ['warmup', '1s'],
    ['drain', drain],
  ],
  Clients: [
    ['client', 'expect', 'rate', 'packet_size'],
    ['a', '', '20/s', 100],
    ['b', expects, '20/s', 100],
    ['c', '', '20/s', 100],
    ['d', '', '20/s', 100],
  ],
  Limits: [
    ['limit', 'metric', 'op', 'value'],
    ['resets', 'connections_reset', '<=', 1],
  ],
})

/** From this message on nothing of `a` comes: it is due in the middle of the run. */
const from = 140
const noTail: FakeRun['meddle'] = (bytes, direction, index) => (direction === 0 && index >= from ? [] : [bytes])
const hole: FakeRun['meddle'] = (bytes, direction, index) => (direction === 0 && index === from ? [] : [bytes])
/** The last message comes in the drain. */
const trickle = (recorder: RunRecorder): void => {
  const plan = planOf(book())
  const header = { direction: 0, index: from, offset: from * 100, dueMs: 7_010, length: 100 }
  recorder.messageReceived(durationMs + 3_000, 0, encodeMessage(keystreamKey(plan.seed, 0), header))
}

interface Row extends Omit<FakeRun, 'plan'> {
  readonly expects?: string
  readonly drain?: string
}

const inFlight = { lost: 0, unknown: (280 - from) * 100 }
const rows: [string, Row, { exitCode: number; integrity: object; connections?: object; reasons?: string[] }][] = [
  ['closed in good order: lost', { meddle: noTail }, { exitCode: 120, integrity: { lost: 14_000, unknown: 0 } }],
  [
    'before a message that came: lost, however the connection ends',
    { meddle: hole, open: [0], before: (recorder) => recorder.activePath(13_999, 0, 'listener', null) },
    { exitCode: 120, integrity: { lost: 100, unknown: 0 }, connections: { neverRecovered: 1 } },
  ],
  [
    'without a path: never recovered',
    { meddle: noTail, open: [0], before: (recorder) => recorder.activePath(13_999, 0, 'listener', null) },
    { exitCode: 121, integrity: inFlight, connections: { neverRecovered: 1 } },
  ],
  [
    'with a path that nobody has missed yet, silent for 10 s: never recovered',
    { meddle: noTail, open: [0] },
    { exitCode: 121, integrity: inFlight, connections: { neverRecovered: 1 } },
  ],
  [
    'the same where it is expected: disconnected, and nothing wrong',
    { meddle: noTail, open: [0], expects: 'disconnected' },
    { exitCode: 0, integrity: inFlight, connections: { neverRecovered: 0, reset: 0 } },
  ],
  [
    'ended otherwise than planned, seen at both ends: never recovered, and one reset',
    { meddle: noTail, open: [0], before: (recorder) => recorder.connectionBroken(13_999, 0, 'timeout', 'nothing came for 120 s') },
    { exitCode: 121, integrity: inFlight, connections: { neverRecovered: 1, reset: 1 } },
  ],
  [
    'the same where it is expected: disconnected, and no reset',
    {
      meddle: noTail,
      open: [0],
      expects: 'disconnected',
      before: (recorder) => recorder.connectionBroken(13_999, 0, 'timeout', 'nothing came for 120 s'),
    },
    { exitCode: 0, integrity: inFlight, connections: { neverRecovered: 0, reset: 0 }, reasons: [] },
  ],
  [
    'nothing, where a disconnect is expected: a failure that says whose',
    { expects: 'disconnected' },
    { exitCode: 99, integrity: { lost: 0, unknown: 0 }, reasons: ['expected to be disconnected, and not: b'] },
  ],
  [
    'silent, but not waited for long enough to say so: inconclusive',
    { meddle: noTail, open: [0], drain: '2s' },
    { exitCode: 122, integrity: inFlight, connections: { neverRecovered: 0 } },
  ],
  [
    'still coming when the drain is over: inconclusive',
    { meddle: noTail, open: [0], before: trickle },
    { exitCode: 122, integrity: { lost: 0, unknown: inFlight.unknown - 100 }, connections: { neverRecovered: 0 } },
  ],
  [
    'under way when the run is interrupted: unknown, also where one end says that it closed in good order',
    { meddle: noTail, interrupted: true },
    { exitCode: 105, integrity: inFlight, connections: { neverRecovered: 0 } },
  ],
  [
    'sent by the called end of a connection that its caller never had: unknown',
    {
      meddle: (bytes, direction) => (direction < 2 ? [] : [bytes]),
      open: [0],
      before: (recorder) => recorder.connectionFailed(13_999, 0, 'no_peer', 'gone'),
    },
    { exitCode: 99, integrity: { lost: 0, unknown: 2 * 280 * 100 }, connections: { neverRecovered: 0 } },
  ],
  [
    'sent over a connection in whose place its caller has another one: unknown',
    {
      meddle: (bytes, direction, index) => (direction === 1 && index < 5 ? [] : [bytes]),
      at: [[240, (recorder) => recorder.connectionReplaced(240, 0)]],
    },
    { exitCode: 0, integrity: { lost: 0, unknown: 500 } },
  ],
]

for (const agents of [1, 2]) {
  describe(`what never came, as ${agents} ${agents === 1 ? 'process tells' : 'agents tell'} it`, () => {
    test.each(rows)('%s', (_what, { expects, drain, ...run }, expected) => {
      const plan = planOf(book(expects, drain))
      const recorder = scattered(plan, (client) => client % agents, agents)
      const { summary, reasons } = fakeRun({ plan, recorder, endMs: durationMs + 10_050, ...run })
      expect({ ...summary, reasons }, reasons.join()).toMatchObject(expected)
      expect(summary.limits[0]!.measured).toBe(summary.connections.reset)
    })
  })
}

test('an inconclusive run says how much was under way, and what to do', () => {
  const plan = planOf(book('delivered', '2s'))
  expect(fakeRun({ plan, meddle: noTail, open: [0] }).reasons).toEqual([
    '14000 bytes of 1 connections were still under way when the drain (2 s) was over, and are unknown: give a longer drain, or less load',
  ])
})

test('a session that is given up while it lives leaves unknown bytes, a later one hides nothing, and a hole in one is lost', () => {
  const plan = planOf({
    ...book(),
    Clients: [
      ['client', 'count', 'rate', 'session', 'reconnect', 'packet_size'],
      ['c', 2, '20/s', '5s', '500ms', 100],
    ],
  })
  const run = (meddle: FakeRun['meddle']): ReturnType<typeof fakeRun> =>
    fakeRun({
      plan,
      ...(meddle === undefined ? {} : { meddle }),
      at: [
        [5_000, (recorder) => recorder.connectionGivenUp(5_000, 0)],
        [5_002, (recorder) => recorder.connectionOpened(5_002, 0, 1)],
      ],
    })
  const slow = run((bytes, direction, index) => (direction === 0 && index >= 90 && index < 100 ? [] : [bytes]))
  expect(slow.summary).toMatchObject({ exitCode: 122, integrity: { lost: 0, unknown: 1_000 }, connections: { neverRecovered: 0 } })
  expect(slow.reasons[0]).toMatch(/^1000 bytes of 1 connections were still under way/)
  expect(run((bytes, direction, index) => (direction === 0 && index === 90 ? [] : [bytes])).summary).toMatchObject({
    exitCode: 120,
    integrity: { lost: 100, unknown: 0 },
  })
})

test('what the called end of a failed session sent is unknown, also when the next session goes well', () => {
  const plan = planOf({
    ...book(),
    Clients: [
      ['client', 'count', 'rate', 'session', 'reconnect', 'packet_size'],
      ['c', 2, '20/s', '5s', '500ms', 100],
    ],
  })
  const { summary } = fakeRun({
    plan,
    meddle: (bytes, direction, index) => (direction === 1 && index >= 100 && index < 102 ? [] : [bytes]),
    at: [
      [5_001, (recorder) => recorder.connectionClosed(5_001, 0)],
      [5_050, (recorder) => recorder.connectionFailed(5_050, 0, 'client_closed', 'gone')],
      [5_110, (recorder) => recorder.connectionReplaced(5_110, 0)],
      [5_111, (recorder) => recorder.connectionOpened(5_111, 0, 1)],
    ],
  })
  expect(summary).toMatchObject({ exitCode: 99, integrity: { lost: 0, unknown: 200 } })
})

test('what an agent sent over a connection that ended explains a hole that ends there, and no other one', () => {
  const key = keystreamKey(1, 0)
  const message = (index: number): Uint8Array => encodeMessage(key, { direction: 0, index, offset: index * 100, dueMs: 0, length: 100 })
  const after = (sent: number, came: number[]): { lost: number; unknown: number } => {
    const checker = new FlowChecker({ seed: 1, direction: 0 })
    for (const index of came) checker.received(message(index))
    checker.excuse(sent, sent * 100)
    const { unknown } = checker.finish(1_000, 'lost')
    return { lost: checker.counts.lost, unknown }
  }
  expect(after(5, [0, 1, 5, 6, 7, 8, 9])).toEqual({ lost: 0, unknown: 300 })
  expect(after(5, [0, 1, 6, 7, 8, 9])).toEqual({ lost: 100, unknown: 300 })
  expect(after(8, [0, 1, 5, 6, 7, 8, 9])).toEqual({ lost: 300, unknown: 0 })
  expect(after(5, [0, 1])).toEqual({ lost: 500, unknown: 300 })
  expect(after(2, [0, 1, 5, 6, 7, 8, 9])).toEqual({ lost: 300, unknown: 0 })
})
