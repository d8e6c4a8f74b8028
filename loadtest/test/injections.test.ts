// The column `inject`: from the cell to acts on that client, and what they do in the simulated world.
import { expect, test } from 'vitest'
import { runVirtual } from '../src/virtual/index.ts'
import { environment, fakeRun } from './fixtures/fake-run.ts'
import { planOf, type Sheets } from './fixtures/sheets.ts'

/** Two clients that send 50 a second each way; the first one does what the cell says. */
const workbook = (inject: string): Sheets => ({
  Run: [
    ['key', 'value'],
    ['duration', '14s'],
    ['warmup', '1s'],
  ],
  Profiles: [
    ['profile', 'rate', 'packet_size'],
    ['p', '50/s', 200],
  ],
  Clients: [
    ['client', 'inject'],
    ['a', inject],
    ['b', ''],
  ],
})

test('each item becomes acts on that client, in order of time, and nobody expects them to be survived', () => {
  const { acts } = planOf(workbook('at(9s):garbage(64KiB); every(6s):reset; at(2s):stall_read(3s); once:bad_password; at(3s):flip'))
  expect(acts.map(({ fault, action, atMs, durationMs, bytes }) => [fault, action, atMs, durationMs, bytes])).toEqual([
    ['inject.bad_password', 'bad_password', 1_000, 0, undefined],
    ['inject.stall_read', 'stall_read', 2_000, 3_000, undefined],
    ['inject.flip', 'flip', 3_000, 1_000, 1],
    ['inject.reset', 'reset_peer', 6_000, 0, undefined],
    ['inject.garbage', 'garbage', 9_000, 0, 65_536],
    ['inject.reset', 'reset_peer', 12_000, 0, undefined],
  ])
  for (const act of acts) expect(act).toMatchObject({ target: { kind: 'clients', clients: ['a'] }, expect: 'degrade', heal: 'auto' })
})

test('what nobody must get and somebody got fails the run', () => {
  const plan = planOf(workbook('at(2s):duplicate_id'))
  const { summary, reasons } = fakeRun({ plan, before: (recorder) => recorder.breach(14_000, 0, 'two programs of a had it') })
  expect(summary.exitCode).toBe(99)
  expect(reasons).toContain('inject.duplicate_id: two programs of a had it')
})

test.each<[string, RegExp, RegExp]>([
  ['at(4s):stall_read(3s)', /^reads nothing on 1 connection$/, /^reads on; 1[0-9]{2} messages waited$/],
  ['at(4s):vanish(3s)', /^vanish on 3 simulated links$/, /^rules taken from 3 links$/],
  ['at(4s):flip(3)', /^flip on 3 simulated links$/, /^rules taken from 3 links$/],
  ['at(4s):reset', /^reset_peer on 3 simulated links$/, /^nothing to heal/],
  ['at(4s):half_open', /^half_open on 3 simulated links$/, /^nothing to heal/],
])('%s is felt by its own connection, which loses nothing', { timeout: 30_000 }, async (inject, receipt, healReceipt) => {
  const { summary, faultLog } = await runVirtual({ plan: planOf(workbook(inject)), environment })
  expect(summary).toMatchObject({ verdict: 'pass', integrity: { lost: 0, duplicated: 0, corrupted: 0 } })
  expect(faultLog).toHaveLength(1)
  expect(faultLog[0]!.receipt).toMatch(receipt)
  expect(faultLog[0]!.healReceipt).toMatch(healReceipt)
  if (/stall_read|vanish/.test(inject)) expect(summary.latencyMs.response.max).toBeGreaterThan(2_500)
})
