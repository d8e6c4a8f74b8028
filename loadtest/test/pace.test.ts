import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dueAtMs, Pace, type PacePoint } from '../src/pace.ts'

/** Lines with jumps, level parts and silence. */
const line: fc.Arbitrary<PacePoint[]> = fc
  .array(
    fc.record({
      gapMs: fc.integer({ min: 0, max: 5_000 }),
      factor: fc.oneof(fc.constant(0), fc.double({ min: 0.01, max: 20, noNaN: true })),
    }),
    {
      minLength: 1,
      maxLength: 8,
    },
  )
  .map((parts) => {
    let atMs = 0
    return parts.map(({ gapMs, factor }, index) => {
      atMs += index === 0 ? 0 : gapMs
      return { atMs, factor }
    })
  })

/** The integral in small steps: slow, and nothing to get wrong. */
function slowly(points: readonly PacePoint[], fromMs: number, toMs: number): number {
  const at = (ms: number): number => {
    const next = points.findIndex((point) => point.atMs > ms)
    if (next === -1) return points.at(-1)!.factor
    if (next === 0) return points[0]!.factor
    const [a, b] = [points[next - 1]!, points[next]!]
    return a.factor + ((b.factor - a.factor) * (ms - a.atMs)) / (b.atMs - a.atMs)
  }
  const edges = [fromMs, ...points.map(({ atMs }) => atMs).filter((ms) => ms > fromMs && ms < toMs), toMs]
  let sum = 0
  for (let i = 1; i < edges.length; i++) sum += at((edges[i - 1]! + edges[i]!) / 2) * (edges[i]! - edges[i - 1]!)
  return sum
}

test('the integral is the area under the line', () => {
  fc.assert(
    fc.property(line, fc.integer({ min: 0, max: 30_000 }), fc.integer({ min: 0, max: 30_000 }), (points, a, b) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)]
      expect(new Pace(points).between(from, to)).toBeCloseTo(slowly(points, from, to), 4)
    }),
  )
})

test('in any window the messages that are due are within one burst of the integral of the rate, and in order', () => {
  fc.assert(
    fc.property(
      line,
      fc.record({ bursts: fc.double({ min: 0.5, max: 20, noNaN: true }), burst: fc.integer({ min: 1, max: 3 }) }),
      fc.integer({ min: 0, max: 10_000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      fc.tuple(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 0, max: 20_000 })),
      (points, sender, startMs, phase, [a, b]) => {
        const pace = new Pace(points)
        const [from, to] = [startMs + Math.min(a, b), startMs + Math.max(a, b)]
        let count = 0
        let last = startMs
        for (let index = 0; index < 100_000; index++) {
          const due = dueAtMs(sender, pace, startMs, phase, index)
          expect(due).toBeGreaterThanOrEqual(last - 1e-6)
          last = due
          if (due >= to) break
          if (due >= from) count += 1
        }
        const wanted = (pace.between(from, to) * sender.bursts * sender.burst) / 1000
        expect(Math.abs(count - wanted)).toBeLessThanOrEqual(sender.burst + 1e-6)
      },
    ),
    {
      numRuns: 60,
      examples: [
        [
          [
            { atMs: 0, factor: 0 },
            { atMs: 2064, factor: 0 },
            { atMs: 2088, factor: 0.01 },
            { atMs: 2088, factor: 0.02958886360235352 },
          ],
          { bursts: 1.6917666265630271, burst: 2 },
          2064,
          5e-324,
          [0, 19_997],
        ],
      ],
    },
  )
})

test('a level line gives the same moments as no line', () => {
  const level = new Pace([{ atMs: 0, factor: 1 }])
  for (const index of [0, 1, 7, 1000])
    expect(dueAtMs({ bursts: 7, burst: 2 }, level, 123, 0.3, index)).toBeCloseTo(
      dueAtMs({ bursts: 7, burst: 2 }, undefined, 123, 0.3, index),
      6,
    )
})

test('silence to the end means never', () => {
  const pace = new Pace([
    { atMs: 0, factor: 1 },
    { atMs: 1_000, factor: 0 },
  ])
  expect(dueAtMs({ bursts: 1, burst: 1 }, pace, 0, 0.9, 0)).toBe(Number.POSITIVE_INFINITY)
  expect(dueAtMs({ bursts: 4, burst: 1 }, pace, 0, 0.5, 0)).toBeLessThan(1_000)
})
