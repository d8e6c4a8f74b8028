// `abort_if`: a fault that is kept from beginning, or taken back, in the simulated world.
import { describe, expect, it } from 'vitest'
import type { RunResult } from '../src/verdict/index.ts'
import { runVirtual } from '../src/virtual/index.ts'
import { errorsOf, planOf, smallDrill } from './fixtures/sheets.ts'

const environment = { sennit: 'test', node: 'any', platform: 'simulated', cpus: 0, memoryBytes: 0 }
const columns = ['fault', 'when', 'duration', 'target', 'action', 'p1', 'abort_if']
const Limits = [
  ['limit', 'metric', 'stat', 'op', 'value'],
  ['slow', 'response_time', 'max', '<=', '20ms'],
]
const run = async (...rows: string[][]): Promise<RunResult> =>
  await runVirtual({ plan: planOf(smallDrill({ Limits, Faults: [columns, ...rows] })), environment })

describe('a fault with abort_if', () => {
  it.each([
    ['p99 > 50ms', 'p99 is'],
    ['relays_up < 1; P99 >= 50 ms', 'p99 is'],
    ['limit: SLOW', 'limit slow is broken'],
  ])('is healed within two seconds of %j', async (condition, why) => {
    const { faultLog, summary, reasons } = await run(['F1', 'at(4s)', '8s', 'client:*', 'latency', '80ms', condition])
    expect(faultLog[0]).toMatchObject({ actualAtMs: 4_000, receipt: expect.stringContaining(`healed early: ${why}`) })
    expect(faultLog[0]!.healedAtMs).toBeLessThanOrEqual(6_000)
    expect(reasons.join('\n')).toMatch(/fault F1 \(latency\) was healed early/)
    expect(summary.exitCode).toBe(99)
  })

  it('goes on to its end while nothing is wrong', async () => {
    const { faultLog, summary } = await run([
      'F1',
      'at(4s)',
      '4s',
      'relay:r1',
      'kill',
      '',
      'never_recovered > 0; damaged > 0; without_path > 50%; relays_up < 2',
    ])
    expect(faultLog[0]).toMatchObject({ actualAtMs: 4_000, healedAtMs: 8_000, receipt: expect.not.stringContaining('early') })
    expect(summary.limits.map(({ limit }) => limit)).toContain('F1 survived')
  })

  it('does not begin while its condition holds, and the run proves nothing by it', async () => {
    const { faultLog, reasons, summary } = await run(
      ['F1', 'at(4s)', '6s', 'relay:r1', 'kill', '', ''],
      ['F2', 'at(6s)', '2s', 'relay:r2', 'pause', '', 'relays_up < 3'],
      ['F3', 'at(12s)', '1s', 'relay:r2', 'pause', '', 'relays_up < 3'],
    )
    expect(faultLog.map(({ actualAtMs }) => actualAtMs)).toEqual([4_000, null, 12_000])
    expect(faultLog[1]!.receipt).toBe('not begun: relays_up is 2 (abort_if relays_up < 3)')
    expect(reasons.join('\n')).toMatch(/fault F2 \(pause\) did not happen: not begun: relays_up is 2/)
    expect(summary.verdict).not.toBe('pass')
  })
})

it.each([
  ['nonsense', /abort_if: expected conditions such as never_recovered > 0; .*found "nonsense"/],
  ['nevr_recovered > 0', /abort_if: expected one of damaged, never_recovered, .*Nearest: never_recovered/],
  ['p99 > 5', /abort_if: expected a duration such as 250ms.* for p99; found "p99 > 5"/],
  ['attached < lots', /abort_if: expected a number such as 0 or 2.5, or a share such as 10% for attached/],
  ['limit:slwo', /abort_if: expected the name of a limit \(slow\); found "slwo".*Nearest: slow/],
])('the workbook says what is wrong with %j', (condition, error) => {
  const Faults = [columns, ['F1', 'at(4s)', '1s', 'relay:r1', 'kill', '', condition]]
  expect(errorsOf(smallDrill({ Limits, Faults }))).toEqual([expect.stringMatching(error)])
})

it('drains every relay of a zone at once, and nothing less', () => {
  const world = (target: string): Parameters<typeof smallDrill>[0] => ({
    Zones: [['zone'], ['eu'], ['us']],
    Relays: [
      ['relay', 'zone'],
      ['r1', 'eu'],
      ['r2', 'us'],
      ['r3', 'eu'],
    ],
    Clients: [
      ['client', 'count', 'zone'],
      ['c', 6, 'us'],
    ],
    Faults: [columns.slice(0, 5), ['F1', 'at(4s)', '2s', target, 'drain zone']],
  })
  expect(planOf(smallDrill(world('zone:eu'))).acts.map(({ action, target, atMs }) => [action, target, atMs])).toEqual([
    ['drain', { kind: 'relay', relay: 'r1' }, 4_000],
    ['drain', { kind: 'relay', relay: 'r3' }, 4_000],
  ])
  expect(errorsOf(smallDrill(world('relay:r1')))).toEqual([
    expect.stringMatching(/target: expected a zone \(drain_zone drains every relay of it\)/),
  ])
})
