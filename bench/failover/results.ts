/** What a scorecard keeps: every round ever run, so that a run can be stopped, gone on with, and spread over many quiet minutes. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { FaultName } from './faults.ts'
import type { Round } from './rounds.ts'

/** What a row is about. */
export interface Subject {
  readonly system: string
  readonly carrier: string
  readonly paths: string
  readonly fault: FaultName
}

/** One line of the scorecard. */
export interface Row extends Subject {
  /** How many relays stood in the middle, where that is chosen. */
  readonly relays?: number
  readonly rounds: number
  /** Rounds after which the same stream went on. */
  readonly survived: number
  /** Over the rounds that were survived; null when none was. */
  readonly stallMs: { readonly p50: number; readonly p99: number; readonly max: number } | null
  readonly lost: number
  readonly duplicated: number
  readonly reordered: number
  /** Rounds in which the generator or the sink itself was late by {@link lateMs} or more: they count, and their stall may not be the system's. */
  readonly late: number
}

/** Half of the shortest limit: a generator that is less late than that decides nothing. */
export const lateMs = 5

export interface KeptRound extends Subject, Omit<Round, 'tookMs'> {
  readonly relays?: number
  readonly tookMs?: number
  /** When it was run, ISO. */
  readonly at: string
}

/** The file of `--json`. */
export interface Results {
  readonly machine: string
  readonly rows: readonly Row[]
  /** What ran, by system. */
  readonly versions: Readonly<Record<string, string>>
  /** The command that installs each system that was not there. */
  readonly missing: Readonly<Record<string, string>>
  readonly rounds: readonly KeptRound[]
}

export function readResults(file: string): Results | undefined {
  if (!existsSync(file)) return undefined
  const results = JSON.parse(readFileSync(file, 'utf8')) as Results
  if (!Array.isArray(results.rounds))
    throw new Error(`expected the results of a scorecard in ${file}; found no "rounds"; remove the file to start anew`)
  return results
}

export function writeResults(file: string, results: Results): void {
  const lines = (values: readonly object[]): string => values.map((value) => `    ${JSON.stringify(value)}`).join(',\n')
  const { machine, versions, missing, rows, rounds } = results
  const facts = `  "machine": ${JSON.stringify(machine)},\n  "versions": ${JSON.stringify(versions)},\n  "missing": ${JSON.stringify(missing)}`
  writeFileSync(`${file}.new`, `{\n${facts},\n  "rows": [\n${lines(rows)}\n  ],\n  "rounds": [\n${lines(rounds)}\n  ]\n}\n`)
  renameSync(`${file}.new`, file)
}

/** Rounds of several files or runs as one; later facts win. */
export function mergeResults(first: Results, second: Results): Results {
  const seen = new Set<string>()
  const rounds = [...first.rounds, ...second.rounds].filter((round) => {
    const key = JSON.stringify(round)
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
  const versions = { ...first.versions, ...second.versions }
  const missing = Object.fromEntries(
    Object.entries({ ...first.missing, ...second.missing }).filter(([system]) => versions[system] === undefined),
  )
  return { machine: second.machine, versions, missing, rounds, rows: rowsOf(rounds) }
}

/** One row a subject, in the order of their first rounds. */
export function rowsOf(rounds: readonly KeptRound[]): Row[] {
  const groups = new Map<string, KeptRound[]>()
  for (const round of rounds) groups.set(subjectKey(round), [...(groups.get(subjectKey(round)) ?? []), round])
  return [...groups.values()].map((group) => {
    const { system, carrier, paths, fault } = group[0] as KeptRound
    const { relays } = group.at(-1) as KeptRound
    const total = (of: (round: KeptRound) => number): number => group.reduce((sum, round) => sum + of(round), 0)
    const stalls = group.flatMap(({ stallMs }) => (stallMs === undefined ? [] : [stallMs])).sort((a, b) => a - b)
    return {
      ...{ system, carrier, paths, fault },
      ...(relays === undefined ? {} : { relays }),
      rounds: group.length,
      survived: total(({ survived }) => Number(survived)),
      stallMs: stalls.length === 0 ? null : { p50: rank(stalls, 0.5), p99: rank(stalls, 0.99), max: rank(stalls, 1) },
      lost: total(({ lost }) => lost),
      duplicated: total(({ duplicated }) => duplicated),
      reordered: total(({ reordered }) => reordered),
      late: total(isLate),
    }
  })
}

function isLate(round: Pick<Round, 'lateMs'>): number {
  return Number((round.lateMs ?? 0) >= lateMs)
}

export function subjectKey({ system, carrier, paths, fault }: Subject): string {
  return [system, carrier, paths, fault].join('|')
}

/** Nearest rank, to a tenth of a millisecond. */
function rank(sorted: readonly number[], share: number): number {
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
  return Math.round(value * 10) / 10
}
