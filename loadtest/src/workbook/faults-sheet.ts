// The sheet `Faults`: rows with schedules and patterns become concrete acts, drawn from the seed.
import type { ActTarget, FaultAct, FaultAction, PlanRelay, PlanZone } from '../plan.ts'
import { duration, fits, type Kind, name, oneOf, percent, type Schedule, schedule, size, type Target, target } from './grammar.ts'
import type { Names } from './names.ts'
import { nearest } from './problems.ts'
import { randomStream, shuffled } from './random.ts'
import type { Table, TableRow } from './table.ts'

export interface FaultsContext {
  readonly seed: number
  readonly durationMs: number
  readonly warmupMs: number
  readonly zones: Names<PlanZone>
  readonly relays: Names<PlanRelay>
}

interface FaultRow {
  readonly row: TableRow
  readonly fault: string
  readonly action: FaultAction
  readonly when: Schedule
  readonly durationMs: number
  readonly gapMs: number
  readonly target: Target
  readonly heal: 'auto' | 'never'
  readonly latencyMs: number
  readonly jitterMs: number
  readonly direction: FaultAct['direction']
  readonly corruptOneIn: number
  readonly expect: FaultAct['expect']
}

type Draft = Omit<FaultAct, 'act'> & { readonly row: TableRow; readonly explicit: boolean }

/** More acts than this are no test of anything. */
const actsMax = 10_000

const builtActions = [
  'kill',
  'term',
  'pause',
  'restart',
  'rolling_restart',
  'blackhole',
  'one_way',
  'reset_peer',
  'latency',
  'corrupt',
] as const
const laterActions = [
  'drain',
  'partition',
  'isolate_one',
  'swizzle_clog',
  'refuse',
  'loss',
  'bandwidth',
  'slice',
  'limit_data',
  'duplicate_frame',
  'reorder_frame',
  'half_open',
  'slow_close',
  'clock_offset',
  'clock_drift',
  'fd_exhaust',
  'cpu_hog',
  'disk_full',
  'cert_expired',
  'directory_down',
  'drain_zone',
]
const networkActions: readonly FaultAction[] = ['blackhole', 'one_way', 'reset_peer', 'latency', 'corrupt']

/** How long an act lasts when the row does not say: long enough to see the fail-over, short enough to see the return. */
const defaultDurationMs: Readonly<Record<FaultAction, number>> = {
  kill: 3000,
  term: 3000,
  pause: 3000,
  restart: 0,
  rolling_restart: 0,
  blackhole: 5000,
  one_way: 5000,
  reset_peer: 0,
  latency: 5000,
  corrupt: 5000,
}

/** Between two relays of a rolling restart: time for the first to be back in use. */
const rollingGapMs = 5000

const action: Kind<FaultAction> = {
  ...oneOf(builtActions),
  guess: (text) => nearest(text, builtActions),
}

export function readFaults(table: Table, context: FaultsContext): { acts: FaultAct[]; faults: string[] } {
  const rows = table.rows.map((row) => readRow(row, context)).filter((row) => row !== undefined)
  const byName = new Map<string, FaultRow>()
  for (const row of rows) {
    const key = row.fault.toLowerCase()
    if (byName.has(key)) row.row.wrong('W113', 'fault', 'expected a name that is not used above', `"${row.fault}" again`)
    else byName.set(key, row)
  }
  const times = new Map<string, number[]>()
  const drafts = [...byName.values()].flatMap((row) => expand(row, timesOf(row, byName, times, context, new Set()), context))
  const placed = withoutDead(drafts.sort((a, b) => a.atMs - b.atMs))
  if (placed.length > actsMax) {
    placed[actsMax]!.row.wrong('W118', 'when', `expected at most ${actsMax} acts in all`, String(placed.length))
    placed.length = 0
  }
  return {
    acts: placed.map(({ row: _row, explicit: _explicit, ...draft }, act) => ({ act, ...draft })),
    faults: [...byName.values()].map((row) => row.fault),
  }
}

function readRow(row: TableRow, context: FaultsContext): FaultRow | undefined {
  const written = row.text('action').toLowerCase().replace(/ /g, '_')
  let kind: FaultAction | undefined
  if (laterActions.includes(written)) row.notYet('action', [], `expected one of ${builtActions.join(', ')}`)
  else kind = row.need('action', action)
  const fault = row.read('fault', name, `F${row.row - 1}`)
  const when = row.read('when', schedule, { kind: 'once' })
  const aim = row.need('target', target)
  const heal = row.read('heal', oneOf(['auto', 'never']), 'auto')
  const expect = row.read('expect', oneOf(['survive', 'degrade', 'outage']), 'survive')
  row.notYet('abort_if', ['no', 'never'], 'expected nothing')
  if (when.kind === 'at' && when.atMs >= context.durationMs) {
    row.wrong('W120', 'when', `expected before the end of the load (${context.durationMs / 1000}s)`, row.text('when'))
  }
  if (kind === undefined || aim === undefined) {
    row.read('duration', duration, 0)
    return undefined
  }
  const durationMs = row.read('duration', duration, defaultDurationMs[kind])
  const parameters = readParameters(row, kind)
  if (!aimed(row, aim, kind, context)) return undefined
  return { row, fault, action: kind, when, durationMs, target: aim, heal, expect, ...parameters }
}

/** `p1`–`p4` by action. */
function readParameters(
  row: TableRow,
  kind: FaultAction,
): Pick<FaultRow, 'gapMs' | 'latencyMs' | 'jitterMs' | 'direction' | 'corruptOneIn'> {
  const used = { latency: 2, one_way: 1, corrupt: 1, rolling_restart: 1 }[kind as string] ?? 0
  for (const [index, column] of ['p1', 'p2', 'p3', 'p4'].entries()) {
    if (index >= used && row.has(column))
      row.wrong('W107', column, `expected nothing (${kind} has ${used === 0 ? 'no parameters' : `${used}`})`)
  }
  return {
    gapMs: kind === 'rolling_restart' ? row.read('p1', duration, rollingGapMs) : 0,
    latencyMs: kind === 'latency' ? (row.need('p1', duration) ?? 0) : 0,
    jitterMs: kind === 'latency' ? row.read('p2', duration, 0) : 0,
    direction: kind === 'one_way' ? row.read('p1', oneOf(['up', 'down']), 'up') : 'both',
    corruptOneIn: kind === 'corrupt' ? row.read('p1', oneIn, 65_536) : 0,
  }
}

/** One byte in so many, as a share or as a size. */
const oneIn: Kind<number> = {
  code: 'W105',
  expected: 'a share of bytes such as 0.01%, or a size such as 64KiB (one byte in so many)',
  parse: (text) => {
    const share = text.includes('%') ? percent.parse(text) : undefined
    const bytes = share === undefined ? size.parse(text) : share === 0 ? undefined : Math.round(1 / share)
    return bytes === undefined || bytes < 1 ? undefined : bytes
  },
}

/** Whether the target exists and the action can be done to it; says so when not. */
function aimed(row: TableRow, aim: Target, kind: FaultAction, { relays, zones }: FaultsContext): boolean {
  const inner = 'of' in aim ? aim.of : aim
  const found = `"${row.text('target').slice(0, 60)}"`
  const expectation = 'expected a relay, zone, link, client or tag'
  const wrong = (hint: string): boolean => {
    row.wrong('W111', 'target', expectation, found, hint)
    return false
  }
  if (inner.kind === 'client' || inner.kind === 'tag') {
    row.notYet('target', [], 'expected a relay, zone or link')
    return false
  }
  if (inner.kind === 'link') {
    const missing = [inner.from, inner.to].find((zone) => zones.get(zone) === undefined)
    if (missing !== undefined) return wrong(`no such zone as ${missing} in ${zones.range()}`)
  } else if (inner.kind === 'zone') {
    if (!zones.names().some((zone) => fits(inner.pattern, zone))) return wrong(`no such zone in ${zones.range()}`)
  } else if (inner.kind === 'relay' && !relays.names().some((relay) => fits(inner.pattern, relay))) {
    const near = nearest(inner.pattern, relays.names())
    return wrong(`no such relay in ${relays.range()}${near === undefined ? '' : `. Nearest: relay:${near}`}`)
  }
  if (networkActions.includes(kind)) {
    if ('of' in aim && inner.kind !== 'relay') return wrong(`${aim.kind}(…) needs relays inside`)
    return true
  }
  if (inner.kind === 'link') {
    row.wrong('W123', 'target', `expected a relay or a zone (${kind} is done to a process)`, found)
    return false
  }
  const hit = relaysOf(inner, relays.all())
  if (hit.length === 0) return wrong(`no relay is in it (${relays.range()})`)
  const foreign = hit.find((relay) => !relay.managed)
  if (foreign === undefined) return true
  row.wrong(
    'W123',
    'target',
    `expected managed relays (${kind} needs a process that the test set started)`,
    found,
    `relay ${foreign.relay} is not managed`,
  )
  return false
}

function relaysOf(aim: Target, relays: readonly PlanRelay[]): PlanRelay[] {
  if (aim.kind === 'zone') return relays.filter((relay) => fits(aim.pattern, relay.zone))
  return aim.kind === 'relay' ? relays.filter((relay) => fits(aim.pattern, relay.relay)) : []
}

/** When the acts of a row begin. `after:F` follows the end of the last act of F. */
function timesOf(
  row: FaultRow,
  byName: ReadonlyMap<string, FaultRow>,
  known: Map<string, number[]>,
  context: FaultsContext,
  asked: Set<string>,
): number[] {
  const key = row.fault.toLowerCase()
  const before = known.get(key)
  if (before !== undefined) return before
  asked.add(key)
  const times = scheduled(row, context, (fault) => {
    const other = byName.get(fault.toLowerCase())
    if (other === undefined) {
      const near = nearest(
        fault,
        [...byName.values()].map((one) => one.fault),
      )
      row.row.wrong(
        'W111',
        'when',
        'expected the name of a fault of this sheet',
        `"${fault}"`,
        near === undefined ? '' : `Nearest: ${near}`,
      )
      return undefined
    }
    if (asked.has(fault.toLowerCase())) {
      row.row.wrong('W111', 'when', 'expected faults that do not wait for each other in a circle', `"${row.row.text('when')}"`)
      return undefined
    }
    const last = timesOf(other, byName, known, context, asked).at(-1)
    return last === undefined ? undefined : last + other.durationMs
  })
  known.set(key, times)
  return times
}

function scheduled({ row, fault, when }: FaultRow, context: FaultsContext, endOf: (fault: string) => number | undefined): number[] {
  const { durationMs, warmupMs, seed } = context
  const random = randomStream(seed, `when ${fault.toLowerCase()}`)
  switch (when.kind) {
    case 'never':
      return []
    case 'once':
      return [warmupMs]
    case 'at':
      return when.atMs < durationMs ? [when.atMs] : []
    case 'after': {
      const end = endOf(when.fault)
      if (end === undefined) return []
      if (end + when.delayMs < durationMs) return [end + when.delayMs]
      row.wrong(
        'W120',
        'when',
        `expected before the end of the load (${durationMs / 1000}s)`,
        `${row.text('when')} = ${(end + when.delayMs) / 1000}s`,
      )
      return []
    }
    case 'every':
      return collect(durationMs, 0, () => when.everyMs * (1 + when.spread * (2 * random() - 1)))
    case 'poisson':
      return collect(durationMs, warmupMs, () => (-Math.log(1 - random()) / when.perSecond) * 1000)
  }
}

function collect(untilMs: number, fromMs: number, next: () => number): number[] {
  const times: number[] = []
  for (let at = fromMs + Math.max(1, next()); at < untilMs && times.length <= actsMax; at += Math.max(1, next())) times.push(Math.round(at))
  return times
}

function expand(row: FaultRow, times: readonly number[], context: FaultsContext): Draft[] {
  const random = randomStream(context.seed, `target ${row.fault.toLowerCase()}`)
  return times.flatMap((atMs) => {
    const targets = targetsOf(row, context, random)
    const gap = row.action === 'rolling_restart' ? row.gapMs + row.durationMs : 0
    return targets.map((one, index) => ({
      fault: row.fault,
      action: row.action,
      target: one,
      atMs: atMs + index * gap,
      durationMs: row.durationMs,
      heal: row.heal,
      latencyMs: row.latencyMs,
      jitterMs: row.jitterMs,
      direction: row.direction,
      corruptOneIn: row.corruptOneIn,
      expect: row.expect,
      row: row.row,
      explicit: row.target.kind === 'relay' && !row.target.pattern.includes('*'),
    }))
  })
}

function targetsOf({ action: kind, target: aim }: FaultRow, { relays, zones }: FaultsContext, random: () => number): ActTarget[] {
  const network = networkActions.includes(kind)
  if (aim.kind === 'link') return [{ kind: 'link', from: zones.get(aim.from)!.zone, to: zones.get(aim.to)!.zone }]
  if (aim.kind === 'zone' && network) {
    return zones
      .names()
      .filter((zone) => fits(aim.pattern, zone))
      .map((zone) => ({ kind: 'zone', zone }))
  }
  const hit = relaysOf('of' in aim ? aim.of : aim, relays.all()).map(({ relay }) => relay)
  const one = (relay: string): ActTarget => ({ kind: 'relay', relay })
  if (aim.kind === 'busiest') return [{ kind: 'busiest', among: hit }]
  if (aim.kind === 'one') return [one(hit[Math.floor(random() * hit.length)]!)]
  if (aim.kind !== 'percent') return hit.map(one)
  const some = new Set(shuffled(hit, random).slice(0, Math.ceil(hit.length * aim.share)))
  return hit.filter((relay) => some.has(relay)).map(one)
}

/** `heal = never` holds: later acts on that relay fall away when a pattern chose it, and are wrong when the row names it. */
function withoutDead(drafts: readonly Draft[]): Draft[] {
  const dead = new Map<string, Draft>()
  const placed: Draft[] = []
  const complained = new Set<number>()
  for (const draft of drafts) {
    const relay = draft.target.kind === 'relay' ? draft.target.relay : undefined
    const killer = relay === undefined ? undefined : dead.get(relay)
    if (killer !== undefined) {
      if (draft.explicit && !complained.has(draft.row.row)) {
        complained.add(draft.row.row)
        const since = `${killer.fault} holds relay:${relay} for good from ${killer.atMs / 1000}s`
        draft.row.wrong('W123', 'target', `expected a relay that is not gone (${since})`, `"${draft.row.text('target')}"`)
      }
      continue
    }
    if (draft.heal === 'never' && relay !== undefined && !networkActions.includes(draft.action)) dead.set(relay, draft)
    placed.push(draft)
  }
  return placed
}
