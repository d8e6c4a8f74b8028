// The screen of a test run: where it stands, as lines that fit the terminal. 80×24 shows everything that decides; more room shows more relays and
// limits. A pure function of a snapshot: the loop that redraws it is elsewhere.
import type { Drill, Plan, RunStatus, StatusView } from '@sennit/loadtest'
import { viewOf } from '@sennit/loadtest'

export interface ScreenState {
  readonly view: 'run' | 'faults' | 'help'
  /** First fault of the list that is shown. */
  readonly from: number
  /** What came of the last key. */
  readonly said: string
  /** Whether keys are listened to. */
  readonly keys: boolean
}

export interface ScreenSize {
  readonly columns: number
  readonly rows: number
}

/** Faults that are listed at once: one a number key. */
export const listedFaults = 9

/** Lines of at most `columns` characters; one fewer than `rows`, so that the cursor has its own. */
export function screen(status: RunStatus, plan: Plan, state: ScreenState, size: ScreenSize): string[] {
  const rows = Math.max(8, size.rows - 1)
  const lines =
    state.view === 'help'
      ? [...head(status, plan, size.columns), ...helpLines]
      : state.view === 'faults'
        ? [...head(status, plan, size.columns), ...faultLines(plan.drills ?? [], state.from)]
        : runLines(status, plan, size.columns, rows - 2)
  return [...lines.slice(0, rows - 2), state.said, footer(status, state)].map((line) => cut(line, size.columns))
}

const helpLines = [
  '',
  'p      pause the ramp: clients that are due wait; again: it goes on',
  'f      begin a fault now: choose a row of the sheet Faults by its number',
  's, q   stop in good order: heal faults, wait for what is under way, report',
  'Ctrl-C interrupt: heal faults, write what there is, exit code 105',
  '?      this help',
  '',
  'latency is from the intended send time; "so far" leaves the warm-up out',
  'a limit is "open" while nobody can say yet; the exit code is decided at the end',
]

function faultLines(drills: readonly Drill[], from: number): string[] {
  if (drills.length === 0) return ['', 'the sheet Faults has no rows: add some, with when = never for those that wait for you']
  const shown = drills.slice(from, from + listedFaults)
  return [
    '',
    'begin a fault now:',
    ...shown.map(({ fault, action, target }, index) => `  ${index + 1}  ${fault}  ${action} ${target}`),
    ...(drills.length > listedFaults ? [`  n  the next ones (${from + 1}–${from + shown.length} of ${drills.length} are shown)`] : []),
    '  Esc  back',
  ]
}

function footer({ rampPaused }: RunStatus, { view, keys }: ScreenState): string {
  if (!keys) return ''
  return view === 'run' ? `p ${rampPaused ? 'go on with' : 'pause'} ramp   f begin a fault   s stop   ? help` : 'Esc back'
}

function head(status: RunStatus, plan: Plan, columns: number): string[] {
  const { nowMs, stage, phases, rampPaused } = status
  const words = [stage, ...phases, ...(rampPaused ? ['RAMP PAUSED'] : [])].join(' · ')
  const times = `${seconds(nowMs)} of ${seconds(plan.run.durationMs)}`
  const width = Math.min(40, columns - plan.name.length - words.length - times.length - 8)
  return [`${plan.name}  ${times}${width < 8 ? '' : `  ${bar(nowMs / plan.run.durationMs, width)}`}  ${words}`]
}

function runLines(status: RunStatus, plan: Plan, columns: number, room: number): string[] {
  const view = viewOf(status)
  const { clients, connections, sentMessages, messages, faults, next } = status
  const [names, last, all] = [0, 1, 2].map((column) => view.latencies.map((row) => row[column as 0 | 1 | 2]))
  const fixed = [
    ...head(status, plan, columns),
    `clients      ${clients.attached} of ${plan.clients.length} attached, ${clients.planned} waiting, ${clients.rejected} refused, ${clients.detached} left`,
    `connections  ${connections.open} of ${plan.flows.length} open, ${connections.withoutPath} without a path, ${connections.failed} failed, ${connections.broken} broken`,
    `rate         ${status.sentPerSecond} sent/s, ${status.messagesPerSecond} arrived/s, ${(status.bytesPerSecond / 1e6).toFixed(2)} MB/s`,
    `latency ms   ${(names as string[]).map((name) => name.padStart(9)).join('')}`,
    `  last second${(last as (number | null)[]).map((value) => ms(value).padStart(9)).join('')}`,
    `  so far     ${(all as (number | null)[]).map((value) => ms(value).padStart(9)).join('')}`,
    `integrity    ${view.damage}`,
    `             ${messages} of ${sentMessages} messages sent have arrived`,
    `fail-overs   ${status.failovers}   generator: loop delay p99 ${ms(view.loopDelayP99Ms)} ms, ${view.cpu?.toFixed(2) ?? '-'} cores`,
    `faults now   ${faults.length === 0 ? 'none' : faults.join('; ')}`,
    `       next  ${next.length === 0 ? 'none' : next.map((one) => `${seconds(one.atMs)} ${one.fault} ${one.action} ${one.target}`).join('; ')}`,
  ]
  const relays = relayLines(view)
  const limits = limitLines(view)
  const left = room - fixed.length
  // Half of the room each, and what one does not need the other has.
  const forLimits = Math.min(limits.length, Math.max(Math.floor(left / 2), left - relays.length))
  return [...fixed, ...fitted(relays, left - forLimits), ...fitted(limits, forLimits)]
}

/** As many as fit, and a word on how many do not. */
function fitted(lines: readonly string[], room: number): string[] {
  if (lines.length <= room) return [...lines]
  return room < 2 ? lines.slice(0, Math.max(0, room)) : [...lines.slice(0, room - 1), `             and ${lines.length - room + 1} more`]
}

function relayLines({ relays }: StatusView): string[] {
  return relays.map(
    ({ relay, state, cpu, rssBytes, share }, index) =>
      `${index === 0 ? 'relays' : ''}`.padEnd(13) +
      `${relay.padEnd(10)} ${state === 'up' || state === 'unknown' ? state : state.toUpperCase()}`.padEnd(19) +
      `${cpu === null ? '-' : cpu.toFixed(2)} cores`.padStart(12) +
      `${rssBytes === null ? '-' : (rssBytes / 1e6).toFixed(0)} MB`.padStart(10) +
      `${share === null ? '-' : Math.round(share * 100)} %`.padStart(8),
  )
}

function limitLines({ limits, limitCounts }: StatusView): string[] {
  if (limits.length === 0) return ['limits       the plan has none']
  return [
    `limits       ${limitCounts.held} held, ${limitCounts.broken} broken, ${limitCounts.open} open`,
    ...limits.map(
      ({ limit, metric, stat, op, value, unit, state, measured, window }) =>
        `  ${(state === 'broken' ? 'BROKEN' : state).padEnd(7)}    ${limit}: ${metric} ${stat} ${op} ${round(value)} ${unit}${window === 'run' ? '' : ` ${window}`}, is ${measured === null ? '-' : round(measured)}`,
    ),
  ]
}

function bar(share: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * (width - 2))
  return `[${'#'.repeat(full)}${'-'.repeat(width - 2 - full)}]`
}

function seconds(value: number): string {
  return `${(value / 1000).toFixed(0)} s`
}

function ms(value: number | null): string {
  return value === null ? '-' : value < 10 ? value.toFixed(2) : value.toFixed(value < 1000 ? 1 : 0)
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

function cut(line: string, columns: number): string {
  return line.length <= columns ? line : `${line.slice(0, Math.max(0, columns - 1))}…`
}
