// What a person may do to a run while it lasts, and limits that end it: in the simulated world, where it repeats.
import { describe, expect, it } from 'vitest'
import type { RunControls } from '../../src/run-controls.ts'
import type { RunResult, RunStatus } from '../../src/verdict/index.ts'
import { runVirtual } from '../../src/virtual/index.ts'
import { errorsOf, planOf, type Sheets, smallDrill } from '../fixtures/sheets.ts'

const environment = { sennit: 'test', node: 'any', platform: 'simulated', cpus: 0, memoryBytes: 0 }
const faultColumns = ['fault', 'when', 'duration', 'target', 'action']
const byHand: Sheets = {
  Faults: [faultColumns, ['F1', 'never', '1s', 'busiest(relay:*)', 'kill'], ['F2', 'never', '1s', 'relay:r2', 'fd_exhaust']],
}

/** Runs it, with something done in the second given. */
async function runWith(
  sheets: Sheets,
  act: (controls: RunControls, second: number) => void,
): Promise<{ result: RunResult; told: RunStatus[] }> {
  const told: RunStatus[] = []
  let controls: RunControls | undefined
  const result = await runVirtual({
    plan: planOf(sheets),
    environment,
    onControls: (given) => {
      controls = given
    },
    onStatus: (status) => {
      told.push(status)
      if (controls !== undefined) act(controls, told.length)
    },
  })
  return { result, told }
}

describe('a run and the person who watches it', () => {
  it('takes a fault that is begun by hand as one that is, and says that it was', async () => {
    const { result } = await runWith(smallDrill(byHand), (controls, second) => {
      if (second === 4) controls.inject('f1')
    })
    expect(result.faultLog).toHaveLength(1)
    expect(result.faultLog[0]).toMatchObject({ act: { fault: 'F1', unplanned: true, atMs: 4_000 }, actualAtMs: 4_000, healedAtMs: 5_000 })
    expect(result.faultLog[0]!.receipt).toMatch(/killed/)
    expect(result.summary.failovers[0]).toMatchObject({ unplanned: true, fault: 'F1', neverRecovered: 0 })
    expect(result.summary.failovers[0]!.connections).toBeGreaterThan(0)
    expect(result.summary.verdict).toBe('pass')
  })

  it('refuses by name what cannot be done, and goes on', async () => {
    const refused: string[] = []
    const { result } = await runWith(smallDrill(byHand), (controls, second) => {
      if (second !== 3) return
      for (const fault of ['F2', 'F9'])
        try {
          controls.inject(fault)
        } catch (error) {
          refused.push((error as Error).message)
        }
    })
    expect(refused).toEqual([
      expect.stringMatching(/F2 \(fd_exhaust\) cannot be done here: .*run it live/),
      expect.stringMatching(/F9: expected the name of a row of the sheet Faults/),
    ])
    expect(result.summary).toMatchObject({ verdict: 'pass', failovers: [] })
  })

  it('lets nobody in while the ramp is paused, and goes on where it stood', async () => {
    const Run = [
      ['key', 'value'],
      ['duration', '14s'],
      ['warmup', '1s'],
      ['ramp_limit', '1/s'],
    ]
    const { result, told } = await runWith(smallDrill({ Run, Faults: [] }), (controls, second) => {
      if (second === 2) controls.pauseRamp()
      if (second === 5) controls.resumeRamp()
    })
    const attached = told.map((status) => status.clients.attached + status.clients.detached)
    expect(attached.slice(2, 5)).toEqual([attached[2], attached[2], attached[2]])
    expect(attached[4]).toBeLessThan(4)
    expect(told[3]!.rampPaused).toBe(true)
    expect(attached[9]).toBe(6)
    expect(result.summary).toMatchObject({ verdict: 'pass', clients: { attached: 6 } })
  })

  it('moves what comes after the ramp by as long as it was paused: connections, their ends, and who leaves', async () => {
    const Clients = [
      ['client', 'count', 'attach_at', 'detach_at'],
      ['c', 2, '2s', '6s'],
      ['d', 2, '', ''],
    ]
    const { result, told } = await runWith(smallDrill({ Clients, Faults: [] }), (controls, second) => {
      if (second === 1) controls.pauseRamp()
      if (second === 4) controls.resumeRamp()
    })
    const attached = told.map((status) => status.clients.attached)
    // Planned from 2 s to 6 s, paused from 1 s to 4 s: there from 5 s to 9 s.
    expect([attached[2], attached[5], attached[7], attached[9]]).toEqual([2, 4, 4, 2])
    expect(result.summary).toMatchObject({ verdict: 'pass', integrity: { lost: 0, unknown: 0 } })
  })

  it('stops in good order: nothing is lost, what was to come is not missing, and the report says where it ended', async () => {
    const late = [faultColumns, ['F1', 'at(2s)', '20s', 'relay:r1', 'pause'], ['F2', 'at(12s)', '1s', 'relay:r2', 'kill']]
    const { result } = await runWith(smallDrill({ Faults: late }), (controls, second) => {
      if (second === 6) controls.stop()
    })
    expect(result.summary).toMatchObject({
      verdict: 'pass',
      exitCode: 0,
      endedEarly: { by: 'hand', atMs: 6_000 },
      integrity: { lost: 0, unknown: 0 },
    })
    expect(result.faultLog[0]!.healedAtMs).toBe(6_000)
    expect(result.faultLog[1]!.actualAtMs).toBeNull()
    expect(result.summary.durationMs).toBeLessThan(12_000)
    expect(result.summary.throughput.messagesPerSecond).toBeGreaterThan(600)
  })
})

describe('a limit that ends the run', () => {
  const limit = (abort: string, delay: string, metric = 'response_time', value = '20ms', severity = ''): Sheets => ({
    Limits: [
      ['limit', 'metric', 'stat', 'op', 'value', 'severity', 'abort', 'abort_delay'],
      ['slow', metric, 'max', '<=', value, severity, abort, delay],
    ],
    Faults: [
      [...faultColumns, 'p1'],
      ['F1', 'at(4s)', '8s', 'relay:*', 'latency', '40ms'],
    ],
  })

  it.each([
    ['at once', '0s', 5_000],
    ['after its delay', '3s', 8_000],
  ])('ends it %s, heals, and fails with 99', async (_when, delay, atMs) => {
    const { result } = await runWith(smallDrill(limit('yes', delay)), () => {})
    expect(result.summary).toMatchObject({ verdict: 'fail', exitCode: 99, endedEarly: { by: 'limit', limit: 'slow', atMs } })
    expect(result.reasons.join('\n')).toMatch(/limit slow was broken.* and ended the run at \d s of 14 s/)
    expect(result.faultLog[0]!.healedAtMs).toBe(atMs)
    expect(result.summary.limits[0]).toMatchObject({ held: false })
  })

  it('lets a run go on whose limit holds', async () => {
    const { result } = await runWith(smallDrill(limit('yes', '', 'response_time', '10s')), () => {})
    expect(result.summary).toMatchObject({ exitCode: 0, limits: [{ held: true }, {}] })
    expect(result.summary.endedEarly).toBeUndefined()
  })

  it('says in the workbook what cannot be', () => {
    expect(errorsOf(smallDrill(limit('yes', '', 'response_time', '10s', 'warn')))).toEqual([
      expect.stringMatching(/^Limits!G2 abort: expected no \(only a limit of severity fail ends a run; this one is warn\)/),
    ])
    expect(errorsOf(smallDrill(limit('no', '5s')))).toEqual([expect.stringMatching(/^Limits!H2 abort_delay: expected nothing/)])
  })
})
