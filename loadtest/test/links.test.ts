// What the sheet `Links` says of bandwidth and loss: from the cell to what a connection gets.
import { expect, test } from 'vitest'
import { linkRules } from '../src/network-script.ts'
import type { RunResult } from '../src/verdict/index.ts'
import { runVirtual } from '../src/virtual/index.ts'
import { environment } from './fixtures/fake-run.ts'
import { type Cell, planOf, type Sheets } from './fixtures/sheets.ts'

const between = (...rows: Cell[][]): Sheets => ({
  Zones: [['zone'], ['eu'], ['us']],
  Links: [['from', 'to', 'rtt', 'bandwidth', 'loss', 'symmetric'], ...rows],
  Relays: [
    ['relay', 'zone'],
    ['r1', 'us'],
  ],
  Clients: [
    ['client', 'zone'],
    ['a', 'eu'],
    ['b', 'eu'],
  ],
})

test.each<[string, Cell[][], object[]]>([
  ['nothing that narrows it', [['eu', 'us', '80ms', '', '', '']], []],
  ['unlimited is nothing', [['eu', 'us', '80ms', 'unlimited', '0%', '']], []],
  [
    'one row for both directions',
    [['eu', 'us', '80ms', '1MB/s', '', 'yes']],
    [
      { directions: ['up'], bytesPerSecond: 1_000_000 },
      { directions: ['down'], bytesPerSecond: 1_000_000 },
    ],
  ],
  ['one direction only', [['eu', 'us', '80ms', '1MB/s', '', 'no']], [{ directions: ['up'], bytesPerSecond: 1_000_000 }]],
  [
    'loss that is repaired after a round trip, or ten milliseconds where that is shorter',
    [
      ['eu', 'us', '80ms', '', '2%', ''],
      ['us', 'eu', '2ms', '', '1%', ''],
    ],
    [
      { directions: ['up'], lossShare: 0.02, lossDelayMs: 80 },
      { directions: ['down'], lossShare: 0.01, lossDelayMs: 10 },
    ],
  ],
])('%s', (_why, rows, rules) => {
  expect(linkRules(planOf(between(...rows)).links, 'eu', 'us')).toEqual(rules)
})

/** One connection that wants to send 100 KB/s over two relays for 10 s. */
async function simulated(bandwidth: string, loss: string, paths: string): Promise<RunResult['summary']> {
  const plan = planOf({
    Run: [
      ['key', 'value'],
      ['duration', '10s'],
      ['drain', '1s'],
    ],
    Zones: [['zone'], ['here']],
    Links: [
      ['from', 'to', 'rtt', 'bandwidth', 'loss'],
      ['here', 'here', '10ms', bandwidth, loss],
    ],
    Relays: [
      ['relay', 'zone'],
      ['r1', 'here'],
      ['r2', 'here'],
    ],
    Profiles: [
      ['profile', 'rate', 'packet_size', 'direction', 'paths'],
      ['source', '100/s', 1000, 'send', paths],
      ['sink', '100/s', 1000, 'receive', paths],
    ],
    Clients: [
      ['client', 'profile', 'zone'],
      ['a', 'source', 'here'],
      ['b', 'sink', 'here'],
    ],
  })
  return (await runVirtual({ plan, environment })).summary
}

test('in the simulated world a link carries what its row says, two of them twice as much, and loss is delay', {
  timeout: 30_000,
}, async () => {
  const wide = await simulated('', '', 'best')
  expect(wide.latencyMs.response.p99).toBeLessThan(20)
  const narrow = await simulated('60KB/s', '', 'best')
  expect(narrow.integrity.deliveredBytes).toBeLessThan(11 * 60_000)
  expect(narrow.latencyMs.response.p99).toBeGreaterThan(1_000)
  const spread = await simulated('60KB/s', '', 'spread')
  expect(spread.integrity.deliveredBytes).toBeGreaterThan(9 * 100_000)
  const lossy = await simulated('', '5%', 'best')
  expect(lossy.integrity.lost).toBe(0)
  expect(lossy.latencyMs.response.p99).toBeGreaterThan(19)
  expect(lossy.latencyMs.response.p50).toBeLessThan(19)
})
