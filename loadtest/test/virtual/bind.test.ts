// Clients with several links to one relay in the simulated world: a fault on one of them leaves the others.
import { expect, test } from 'vitest'
import type { RunResult } from '../../src/verdict/index.ts'
import { runVirtual } from '../../src/virtual/index.ts'
import { environment } from '../fixtures/fake-run.ts'
import { planOf } from '../fixtures/sheets.ts'

/** Two clients with two links each to the only relay; from 3 s on, something is silent for 2 s. */
async function silent(target: string, paths: string, action = 'blackhole'): Promise<RunResult> {
  const plan = planOf({
    Run: [
      ['key', 'value'],
      ['duration', '12s'],
      ['warmup', '1s'],
    ],
    Relays: [['relay'], ['r1']],
    Clients: [
      ['client', 'rate', 'paths', 'bind'],
      ['a', '50/s', paths, '127.0.0.2,127.0.0.3'],
      ['b', '50/s', paths, '127.0.0.4,127.0.0.5'],
    ],
    Faults: [
      ['fault', 'when', 'duration', 'target', 'action', 'expect'],
      ['F1', 'at(3s)', '2s', target, action, 'degrade'],
    ],
  })
  return await runVirtual({ plan, environment })
}

const slowestMs = ({ summary }: RunResult): number => summary.latencyMs.response.max ?? Number.POSITIVE_INFINITY

test.each([1, 2])('mirror(2) over the two links of one relay does not feel that link %i is silent', async (link) => {
  const result = await silent(`client:a/link:${link}`, 'mirror(2)')
  expect(result.reasons).toEqual([])
  expect(result.summary.integrity).toMatchObject({ lost: 0, duplicated: 0, unknown: 0 })
  expect(result.summary.failovers).toMatchObject([{ fault: 'F1', target: `client:a/link:${link}`, connections: 1 }])
  expect(slowestMs(result)).toBeLessThan(10)
})

test('and feels that both are', async () => {
  expect(slowestMs(await silent('client:a', 'mirror(2)'))).toBeGreaterThan(1_500)
})

test.each([1, 2])('best leaves link %i for the other one of the same relay', async (link) => {
  const result = await silent(`client:a/link:${link}`, 'best')
  expect(result.summary.integrity).toMatchObject({ lost: 0, duplicated: 0, unknown: 0 })
  // Longer than a link takes that carries, shorter than the silence: it was felt, counted, and left.
  expect(result.summary.failovers).toMatchObject([{ connections: 1 }])
  expect(slowestMs(result)).toBeGreaterThan(10)
  expect(slowestMs(result)).toBeLessThan(1_000)
})

test('a relay that stands still is felt over whatever link', async () => {
  const { summary } = await silent('relay:r1', 'best')
  expect(summary.failovers).toMatchObject([{ connections: 1 }])
})

test('frames that come twice on one link are refused: a simulated relay does so on all', async () => {
  await expect(silent('client:a/link:2', 'best', 'duplicate_frame')).rejects.toThrow(
    /F1 \(duplicate_frame\) cannot be done here.*run it live/,
  )
})
