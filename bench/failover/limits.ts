/** What Sennit must show: the median stall of its rounds, by fault; and no more than one round over three times that. */
import type { FaultName } from './faults.ts'
import { type KeptRound, type Row, subjectKey } from './results.ts'

const medianMs: Readonly<Record<FaultName, number | undefined>> = { kill: 50, freeze: 500, cut: 500, term: 20, reset: undefined }
/** Modes that send everything more than once do not pause for anything. */
const steadyMedianMs = 10

/** The limit of a row of ours; undefined when it has none. */
export function limitOf({ system, paths, fault }: Row): number | undefined {
  if (!system.startsWith('Sennit')) return undefined
  return /mirror|disperse/.test(paths) && fault !== 'reset' ? steadyMedianMs : medianMs[fault]
}

/** What a row of ours misses; empty when it keeps everything. */
export function missesOf(row: Row, rounds: readonly KeptRound[]): string[] {
  if (!row.system.startsWith('Sennit')) return []
  const misses: string[] = []
  if (row.survived < row.rounds) misses.push(`${row.rounds - row.survived} of ${row.rounds} streams cut`)
  for (const what of ['lost', 'duplicated', 'reordered'] as const) if (row[what] > 0) misses.push(`${row[what]} bytes ${what}`)
  const own = rounds.filter((round) => subjectKey(round) === subjectKey(row))
  const corrupted = own.reduce((sum, round) => sum + round.corrupted, 0)
  if (corrupted > 0) misses.push(`${corrupted} bytes corrupted`)
  const limit = limitOf(row)
  if (limit === undefined || row.stallMs === null) return misses
  if (row.stallMs.p50 > limit) misses.push(`median stall ${row.stallMs.p50} ms, limit ${limit}`)
  const long = own.filter((round) => (round.stallMs ?? 0) > 3 * limit)
  if (long.length > 1) misses.push(`${long.length} rounds over ${3 * limit} ms`)
  return misses
}
