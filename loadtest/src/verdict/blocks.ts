// The measured part of a run cut into at most twenty blocks of whole seconds: what the noise of a run is told from when two are compared.
import type { Plan } from '../plan.ts'
import type { Block, TimelineRow } from './run-result.ts'

/** Enough to see how far a figure strays, few enough for `summary.json`. */
const blocksMax = 20

/** Blocks of equal length from the end of the warm-up to the end of the load; none when it was over before. */
export function blocksOf({ run }: Plan, timeline: readonly TimelineRow[], loadEndMs: number): Block[] {
  const measured = timeline.filter(({ second }) => second * 1000 >= run.warmupMs && (second + 1) * 1000 <= loadEndMs)
  const size = Math.ceil(measured.length / blocksMax)
  const blocks: Block[] = []
  for (let from = 0; from + size <= measured.length && size > 0; from += size) {
    const rows = measured.slice(from, from + size)
    blocks.push({
      fromSecond: rows[0]!.second,
      seconds: rows.length,
      messagesPerSecond: Math.round((rows.reduce((sum, row) => sum + row.messages, 0) / rows.length) * 10) / 10,
      bytesPerSecond: Math.round(rows.reduce((sum, row) => sum + row.bytes, 0) / rows.length),
      p50Ms: medianOf(rows.map((row) => row.p50Ms)),
      p99Ms: medianOf(rows.map((row) => row.p99Ms)),
    })
  }
  return blocks
}

/** Of seconds in which something arrived. */
function medianOf(values: readonly (number | null)[]): number | null {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b)
  return sorted.length === 0 ? null : sorted[sorted.length >> 1]!
}
