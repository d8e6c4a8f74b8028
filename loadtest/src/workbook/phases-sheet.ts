// The sheet `Phases`: stages of the run, each with what it sets for the clients of its target: how fast they send together, or how many are there.
import { type PhaseExecutor, type PhasePoint, type PlanPhase, phaseExecutors } from '../plan.ts'
import { clientsOf, someOf } from './client-target.ts'
import type { Client } from './clients-sheet.ts'
import { duration, type Kind, name, oneOf, rate, type Target, target, whole } from './grammar.ts'
import { nearest } from './problems.ts'
import { randomStream } from './random.ts'
import type { Table, TableRow } from './table.ts'

export interface PhasesContext {
  readonly seed: number
  readonly durationMs: number
  /** Those of the plan. */
  readonly clients: readonly Client[]
  /** Those of the sheet: more or fewer, when the workbook is scaled. */
  readonly written: readonly Client[]
  /** What totals and numbers of clients are multiplied by: the share of the connections that is kept. */
  readonly scale: number
}

/** A stage with what stands in its cells. */
export interface Phase {
  readonly row: TableRow
  readonly phase: string
  readonly startMs: number
  readonly endMs: number
  readonly executor: PhaseExecutor
  readonly sets: PlanPhase['sets']
  readonly target: string
  /** Indexes of the clients; in order. */
  readonly members: readonly number[]
  readonly all: boolean
  /** How many clients the target has: some of them may never be there, and so not be in the plan. */
  readonly size: number
  /** In messages a second, clients, or as a share (`isShare`) of either. */
  readonly line: readonly PhasePoint[]
  readonly isShare: boolean
}

/** What `from`, `to` and `step` hold. */
interface Amount {
  readonly form: 'rate' | 'clients' | 'share'
  readonly value: number
}

/** More stages, or more steps of stairs, than this are no test of anything. */
const phasesMax = 500
const stepsMax = 1_000

/** Nobody means a hundred times its own rate. */
const shareMax = 100

const sharePattern = /^(\d{1,6}(?:\.\d{1,6})?) ?%$/

const share: Kind<Amount> = {
  code: 'W105',
  expected: 'a percentage such as 150%',
  parse: (text) => {
    const match = sharePattern.exec(text)
    const value = match === null ? Number.NaN : Number(match[1]) / 100
    return value <= shareMax ? { form: 'share', value } : undefined
  },
}

const rateAmount: Kind<Amount> = {
  code: 'W101',
  expected: 'a rate of all its clients together such as 1000/s, or a share of their own rates such as 150%',
  parse: (text) => {
    if (text === '0') return { form: 'rate', value: 0 }
    const value = rate.parse(text)
    return value === undefined ? share.parse(text) : { form: 'rate', value }
  },
  guess: (text) => rate.guess?.(text),
}

const clientsAmount: Kind<Amount> = {
  code: 'W107',
  expected: 'a number of clients such as 50, or a share of them such as 50%',
  parse: (text) => {
    const value = whole(0, 1_000_000).parse(text)
    if (value !== undefined) return { form: 'clients', value }
    const part = share.parse(text)
    return part !== undefined && part.value <= 1 ? part : undefined
  },
}

const anyAmount: Kind<Amount> = {
  code: 'W107',
  expected: 'a rate such as 1000/s, a share of their own rates such as 150%, or a number of clients such as 50',
  parse: (text) => clientsAmount.parse(text) ?? rateAmount.parse(text),
}

const phaseTarget: Kind<Target | 'all'> = {
  code: 'W111',
  expected: 'client:cam-*, tag:iot, zone:eu, percent(20%,tag:iot) or *',
  parse: (text) => {
    if (text === '*') return 'all'
    const aim = target.parse(text)
    if (aim === undefined || aim.kind === 'one' || aim.kind === 'busiest') return undefined
    const inner = aim.kind === 'percent' ? aim.of : aim
    // Their rates and their presence are the clients' own, whatever links they have.
    if ('link' in inner) return undefined
    return inner.kind === 'client' || inner.kind === 'tag' || inner.kind === 'zone' ? aim : undefined
  },
}

export function readPhases(table: Table, context: PhasesContext): Phase[] {
  const phases: Phase[] = []
  const taken = new Map<string, string>()
  let endMs = 0
  for (const [index, row] of table.rows.entries()) {
    if (index >= phasesMax) {
      row.wrong('W118', 'phase', `expected at most ${phasesMax} phases`, String(table.rows.length))
      break
    }
    const phase = readPhase(row, endMs, table.rows[index + 1], context)
    if (phase === undefined) continue
    endMs = phase.endMs
    const key = phase.phase.toLowerCase()
    const before = taken.get(key)
    if (before !== undefined) row.wrong('W113', 'phase', `expected a name that is not used above (${before})`, `"${phase.phase}" again`)
    else {
      taken.set(key, row.address('phase'))
      phases.push(phase)
    }
  }
  refuseQuarrels(phases)
  return phases
}

function readPhase(row: TableRow, beforeMs: number, next: TableRow | undefined, context: PhasesContext): Phase | undefined {
  const phase = row.need('phase', name)
  const startMs = row.read('start', duration, beforeMs)
  const executor = row.read('executor', executorKind, 'fixed')
  const aim = row.read('target', phaseTarget, 'all')
  const members = membersOf(row, aim, context)
  const lengthMs = row.read<number | null>('duration', duration, null)
  const stairs = executor === 'stairs'
  if (!stairs) for (const column of ['step', 'hold']) refuse(row, column, `expected nothing (only stairs has a ${column})`)
  const holdMs = stairs ? row.read<number | null>('hold', duration, null) : null
  const amounts = readAmounts(row, executor)
  const known = phase !== undefined && members !== undefined && amounts !== undefined
  const steps = amounts === undefined ? [] : levels(row, amounts)
  const endMs = startMs + (lengthMs ?? (holdMs !== null ? holdMs * Math.max(1, steps.length) : until(startMs, next, context.durationMs)))
  if (startMs >= context.durationMs) {
    const found = row.has('start') ? row.text('start') : `${startMs / 1000}s, where the row above ends`
    row.wrong('W120', 'start', `expected before the end of the load (${context.durationMs / 1000}s)`, found)
    return undefined
  }
  if (endMs > context.durationMs) {
    const column = lengthMs === null && holdMs !== null ? 'hold' : 'duration'
    row.wrong('W120', column, `expected an end within the load (${context.durationMs / 1000}s)`, `an end at ${endMs / 1000}s`)
  } else if (endMs <= startMs) row.wrong('W120', 'duration', 'expected longer than 0s', row.text('duration') || '0s')
  if (stairs && holdMs !== null && lengthMs !== null && holdMs * steps.length > lengthMs + 1)
    row.wrong('W120', 'hold', `expected ${steps.length} steps to fit into the duration (${lengthMs / 1000}s)`, row.text('hold'))
  if (!known) return undefined
  const { form } = amounts
  const sets = executor === 'fixed' ? 'nothing' : executor.endsWith('clients') || form === 'clients' ? 'clients' : 'rate'
  if (sets === 'clients' && form === 'clients') checkNumber(row, amounts, membersIn(context.written, row, aim, context.seed).length)
  const line = lineOf(executor, startMs, endMs, amounts, steps, holdMs)
  const scaled = form === 'share' ? line : line.map(({ atMs, value }) => ({ atMs, value: value * context.scale }))
  return {
    row,
    phase,
    startMs,
    endMs,
    executor,
    sets,
    target: aim === 'all' ? '*' : row.text('target').replace(/ /g, ''),
    members,
    all: aim === 'all',
    size: members.length,
    line: scaled,
    isShare: form === 'share',
  }
}

const executorKind: Kind<PhaseExecutor> = { ...oneOf(phaseExecutors), guess: (text) => nearest(text.replace(/ /g, '_'), phaseExecutors) }

/** Without a duration: to where the next row begins, or else to the end. */
function until(startMs: number, next: TableRow | undefined, durationMs: number): number {
  const at = next === undefined ? undefined : duration.parse(next.text('start'))
  return Math.max(0, (at !== undefined && at > startMs ? at : durationMs) - startMs)
}

interface Amounts {
  readonly form: Amount['form']
  readonly from: number
  readonly to: number
  readonly step: number
}

function readAmounts(row: TableRow, executor: PhaseExecutor): Amounts | undefined {
  if (executor === 'fixed') {
    for (const column of ['from', 'to']) refuse(row, column, 'expected nothing (fixed: clients do what their rows say)')
    return { form: 'share', from: 1, to: 1, step: 0 }
  }
  const kind = executor === 'stairs' ? anyAmount : executor.endsWith('rate') ? rateAmount : clientsAmount
  const constant = executor.startsWith('constant')
  if (constant && row.has('from') && row.has('to') && row.text('from') !== row.text('to')) {
    row.wrong('W123', 'to', `expected nothing, or the same as ${row.address('from')} (a ${executor} has one value)`)
    return undefined
  }
  const main = constant && row.has('from') ? 'from' : 'to'
  const to = row.need(main, kind)
  const from = row.has('from') ? row.read<Amount | undefined>('from', kind, undefined) : 'blank'
  const step = executor === 'stairs' ? row.need('step', kind) : undefined
  if (to === undefined || from === undefined || (executor === 'stairs' && step === undefined)) return undefined
  const parts = { from: from === 'blank' ? undefined : from, step }
  for (const [column, one] of Object.entries(parts)) {
    if (one === undefined || one.form === to.form || one.value === 0 || to.value === 0) continue
    row.wrong('W123', column, `expected what is written as ${row.address(main)} is (${row.text(main)})`)
    return undefined
  }
  const form = [to, parts.from, step].find((one) => one !== undefined && one.value !== 0)?.form ?? to.form
  if (step?.value === 0) {
    row.wrong('W107', 'step', 'expected more than 0')
    return undefined
  }
  const begin = constant ? to.value : (parts.from?.value ?? (executor === 'stairs' ? step!.value : 0))
  return { form, from: begin, to: to.value, step: step?.value ?? 0 }
}

/** What stairs stop at, one after the other. */
function levels(row: TableRow, { from, to, step }: Amounts): number[] {
  if (step === 0) return []
  const count = Math.ceil(Math.abs(to - from) / step - 1e-9) + 1
  if (count > stepsMax) {
    row.wrong('W118', 'step', `expected at most ${stepsMax} steps`, String(count))
    return []
  }
  return Array.from({ length: count }, (_, i) => (to >= from ? Math.min(to, from + i * step) : Math.max(to, from - i * step)))
}

function lineOf(
  executor: PhaseExecutor,
  startMs: number,
  endMs: number,
  { from, to }: Amounts,
  steps: readonly number[],
  holdMs: number | null,
): PhasePoint[] {
  if (executor !== 'stairs' || steps.length === 0) {
    return [
      { atMs: startMs, value: from },
      { atMs: endMs, value: to },
    ]
  }
  const hold = holdMs ?? (endMs - startMs) / steps.length
  // The last step lasts as long as the phase does.
  return steps.flatMap((value, i) => [
    { atMs: startMs + i * hold, value },
    { atMs: i === steps.length - 1 ? Math.max(endMs, startMs + i * hold) : startMs + (i + 1) * hold, value },
  ])
}

function refuse(row: TableRow, column: string, expectation: string): void {
  if (row.has(column)) row.wrong('W123', column, expectation)
}

function checkNumber(row: TableRow, { from, to }: Amounts, room: number): void {
  for (const [column, value] of [['from', from] as const, ['to', to] as const])
    if (value > room && row.has(column)) row.wrong('W107', column, `expected at most ${room} (the target has so many clients)`)
}

function membersOf(row: TableRow, aim: Target | 'all', context: PhasesContext): readonly number[] | undefined {
  const { clients, written, seed } = context
  if (aim === 'all' || written.length === 0 || membersIn(written, row, aim, seed).length > 0) return membersIn(clients, row, aim, seed)
  const inner = aim.kind === 'percent' ? aim.of : aim
  if (!('pattern' in inner)) return undefined
  const names = {
    client: written.map(({ client }) => client),
    tag: [...new Set(written.flatMap(({ tags }) => tags))],
    zone: [...new Set(written.map(({ zone }) => zone))].filter((zone) => zone !== ''),
    relay: [],
  }[inner.kind]
  const near = nearest(inner.pattern, names)
  const hint = `no enabled client is in it${near === undefined ? '' : `. Nearest: ${inner.kind}:${near}`}`
  row.wrong('W111', 'target', `expected ${phaseTarget.expected}`, `"${row.text('target').slice(0, 60)}"`, hint)
  return undefined
}

/** The same share of the same clients in every phase that asks for it. */
function membersIn(clients: readonly Client[], row: TableRow, aim: Target | 'all', seed: number): readonly number[] {
  if (aim === 'all') return clients.map((_, index) => index)
  if (aim.kind !== 'percent') return clientsOf(aim, clients)
  const purpose = `phase target ${row.text('target').replace(/ /g, '').toLowerCase()}`
  return someOf(clientsOf(aim.of, clients), aim.share, randomStream(seed, purpose))
}

/** Two phases that set the same thing of the same client at once say nothing. */
function refuseQuarrels(phases: readonly Phase[]): void {
  for (const [index, phase] of phases.entries()) {
    if (phase.sets === 'nothing') continue
    const members = new Set(phase.members)
    for (const other of phases.slice(0, index)) {
      if (other.sets !== phase.sets || !other.members.some((member) => members.has(member))) continue
      const what = phase.sets === 'rate' ? 'the rate' : 'the number'
      if (other.startMs < phase.endMs && phase.startMs < other.endMs) {
        const ends = `${other.phase} (${other.row.address('phase')}) sets ${what} of the same clients until ${other.endMs / 1000}s`
        phase.row.wrong('W124', 'start', `expected a time when nothing else sets ${what}`, `${phase.startMs / 1000}s`, ends)
        break
      }
      if (phase.sets === 'clients' && other.target.toLowerCase() !== phase.target.toLowerCase()) {
        const hint = `${other.phase} (${other.row.address('phase')}) has ${other.target}`
        phase.row.wrong(
          'W124',
          'target',
          'expected the same target in every phase that sets the number of the same clients',
          undefined,
          hint,
        )
        break
      }
    }
  }
}
