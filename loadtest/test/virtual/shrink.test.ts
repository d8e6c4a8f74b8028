/** A failing test made small: what is left still fails the same way, and nothing of it can go. */
import { describe, expect, it } from 'vitest'
import { shrinkTest } from '../../src/virtual/index.ts'
import type { CellScalar, FullSheet } from '../../src/workbook/twin.ts'
import { environment } from '../fixtures/fake-run.ts'

function sheets(content: Record<string, readonly (readonly CellScalar[])[]>): FullSheet[] {
  return Object.entries(content).map(([name, rows]) => ({
    name,
    rows: new Map(
      rows.map((row, index) => [index + 1, new Map(row.flatMap((value, column) => (value === '' ? [] : [[column, { value }] as const])))]),
    ),
  }))
}

/** Eight pairs over two regions, three faults, four limits; only the slow link breaks one. */
const failing = sheets({
  Run: [
    ['key', 'value'],
    ['duration', '8s'],
    ['warmup', '1s'],
  ],
  Zones: [['zone'], ['eu'], ['us']],
  Links: [
    ['from', 'to', 'rtt'],
    ['eu', 'eu', '2ms'],
    ['us', 'eu', '400ms'],
  ],
  Relays: [
    ['relay', 'zone'],
    ['r1', 'eu'],
    ['r2', 'eu'],
  ],
  Profiles: [
    ['profile', 'rate'],
    ['p', '5/s'],
  ],
  Clients: [['client', 'zone', 'note'], ...Array.from({ length: 8 }, (_, i) => [`c${i}`, i === 5 ? 'us' : 'eu', `row ${i}`])],
  Faults: [
    ['fault', 'when', 'duration', 'target', 'action'],
    ['F1', 'at(3s)', '1s', 'relay:r1', 'kill'],
    ['F2', 'at(5s)', '1s', 'relay:r2', 'pause'],
  ],
  Limits: [
    ['limit', 'metric', 'stat', 'op', 'value'],
    ['nothing_lost', 'lost', 'value', '=', 0],
    ['quick', 'response_time', 'p(50)', '<=', '300ms'],
    ['slowest', 'response_time', 'max', '<=', '150ms'],
  ],
  Notes: [['not read']],
})

describe('shrinkTest', { timeout: 120_000 }, () => {
  it('leaves the rows that it takes to fail', async () => {
    const sizes: number[] = []
    const shrunk = await shrinkTest({
      sheets: failing.filter(({ name }) => name !== 'Faults'),
      name: 'test',
      environment,
      onStep: (step) => sizes.push(step.cells),
    })
    const { sheets: small, result, rows } = shrunk
    expect(shrunk.minimal).toBe(true)
    expect(shrunk.removed).toContain('Clients: 6 of 8 rows, 1 of 3 columns')
    expect(shrunk.reason).toBe(result.reasons[0])
    expect(result.summary).toMatchObject({ exitCode: 99 })
    expect(result.reasons[0]).toMatch(/^limit slowest: response_time max/)
    expect(small.find(({ name }) => name === 'Clients')?.rows.size).toBe(3)
    expect(rows).toBeLessThan(10)
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a))
    expect(small.map(({ name }) => name)).not.toContain('Notes')
  })

  it('takes away both ends of a connection wherever they stand, and keeps the seed it was asked with', async () => {
    const apart = failing.map((sheet) => {
      if (sheet.name !== 'Clients') return sheet
      const names = ['a', 'b', 'c', 'd']
      const rows = [
        ...names.map((name) => [name, `${name}-peer`, name === 'd' ? 'us' : 'eu']),
        ...names.map((name) => [`${name}-peer`, '*', 'eu']),
      ]
      return sheets({ Clients: [['client', 'peer', 'zone'], ...rows] })[0]!
    })
    const shrunk = await shrinkTest({
      sheets: apart.filter(({ name }) => name !== 'Faults' && name !== 'Run'),
      name: 'test',
      environment,
      seed: 5,
      runsMax: 60,
    })
    expect(shrunk.result.plan.clients).toHaveLength(2)
    expect(shrunk.result.plan.run.durationMs).toBeLessThan(5_000)
    expect(shrunk.result.reasons[0]).toMatch(/^limit slowest/)
  })

  it('stops when it is told to, with the smallest test so far', async () => {
    const stop = new AbortController()
    const { minimal, result } = await shrinkTest({
      sheets: failing,
      name: 'test',
      environment,
      signal: stop.signal,
      onStep: () => stop.abort(),
    })
    expect({ minimal, exitCode: result.summary.exitCode }).toEqual({ minimal: false, exitCode: 99 })
  })

  it('stops at its runs, with what it has', async () => {
    const { minimal, runs, result } = await shrinkTest({ sheets: failing, name: 'test', environment, runsMax: 5 })
    expect({ minimal, runs, exitCode: result.summary.exitCode }).toEqual({ minimal: false, runs: 5, exitCode: 99 })
  })

  it('wants a test that fails', async () => {
    const passes = failing.filter(({ name }) => name !== 'Limits')
    await expect(shrinkTest({ sheets: passes, name: 'test', environment })).rejects.toMatchObject({ code: 'usage' })
  })
})
