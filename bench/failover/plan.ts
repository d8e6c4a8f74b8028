/** What a run will do, and about how long it takes: from the rounds that were kept, else from what rounds took elsewhere. */
import type { Fault, FaultName } from './faults.ts'
import { type KeptRound, type Subject, subjectKey } from './results.ts'
import { nameOf } from './table.ts'

/** Seconds of a round where none was kept, by fault: a system with a second path, and one that waits until the fault is over. */
const roundSeconds: Readonly<Record<FaultName, readonly [quick: number, slow: number]>> = {
  kill: [3.5, 5],
  freeze: [2.6, 13],
  cut: [3, 14],
  term: [5, 5],
  reset: [5, 6],
}
/** A start of a system, and the stream that flows for a while before the first round of a fault. */
const startSeconds = 5

/** Rounds of one system under one fault. */
export interface PlannedRounds extends Subject {
  readonly relays?: number
  readonly done: number
  readonly left: number
  readonly seconds: number
}

/** @param systems that can run here, in the order they will */
export function planOf(
  systems: readonly (Omit<Subject, 'fault'> & { readonly relays?: number })[],
  faults: readonly Pick<Fault, 'name'>[],
  rounds: number,
  kept: readonly KeptRound[],
): PlannedRounds[] {
  return systems.flatMap((system) =>
    faults.map(({ name }) => {
      const { carrier, paths, relays } = system
      const subject = { system: system.system, carrier, paths, fault: name }
      const own = kept.filter((round) => subjectKey(round) === subjectKey(subject))
      const left = Math.max(0, rounds - own.length)
      const took = own.flatMap(({ tookMs }) => (tookMs === undefined ? [] : [tookMs / 1000]))
      const each =
        took.length > 0
          ? took.reduce((sum, one) => sum + one, 0) / took.length
          : roundSeconds[name][subject.system.startsWith('Sennit') ? 0 : 1]
      const seconds = left === 0 ? 0 : startSeconds + left * each
      return { ...subject, ...(relays === undefined ? {} : { relays }), done: own.length, left, seconds }
    }),
  )
}

/** For people: a line a system, when it would be over, and the whole. */
export function planText(plan: readonly PlannedRounds[], minutes?: number): string {
  const lines: string[] = []
  let total = 0
  for (const name of new Set(plan.map(nameOf))) {
    const own = plan.filter((planned) => nameOf(planned) === name && planned.left > 0)
    if (own.length === 0) {
      lines.push(`${name}: nothing left`)
      continue
    }
    total += own.reduce((sum, { seconds }) => sum + seconds, 0)
    const faults = own.map(({ fault, left, seconds }) => `${fault} ${left} (${Math.round(seconds)} s)`).join(', ')
    const beyond = minutes !== undefined && total > minutes * 60 ? `, beyond --minutes ${minutes}` : ''
    lines.push(`${name}: ${faults}; over after ${minutesOf(total)} min${beyond}`)
  }
  const rounds = plan.reduce((sum, { left }) => sum + left, 0)
  return `${lines.map((line) => `PLAN  ${line}`).join('\n')}\nPLAN  ${rounds} rounds, about ${minutesOf(total)} minutes`
}

function minutesOf(seconds: number): string {
  return (seconds / 60).toFixed(1)
}
