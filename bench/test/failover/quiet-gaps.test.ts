import { expect, test } from 'vitest'
import { QuietGaps } from '../../failover/quiet-gaps.ts'

test('a gap with a fault is compared with the longest of as much time without one, the latest first', () => {
  const quiet = new QuietGaps()
  expect(quiet.longestMs(1_000)).toBe(0)
  for (const gapMs of [40, 10, 25, 12]) quiet.add(1_000, gapMs)
  for (const [tookMs, longestMs] of [
    [500, 12],
    [1_000, 12],
    [1_001, 25],
    [3_000, 25],
    [3_500, 40],
    [60_000, 40],
  ])
    expect(quiet.longestMs(tookMs!), `${tookMs} ms`).toBe(longestMs)
})
