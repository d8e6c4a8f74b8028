// The sheet `Faults`: rows with schedules and patterns become concrete acts, drawn from the seed.
import { actionNames, familyFor, familyOf, faultActions } from '../fault-actions.ts'
import type { ActTarget, Drill, FaultAct, FaultAction, HaltCondition, PlanClient, PlanRelay, PlanZone } from '../plan.ts'
import { readAbortIf } from './abort-if.ts'
import { clientsOf, someOf } from './client-target.ts'
import { type RowParameters, readParameters } from './fault-parameters.ts'
import { duration, fits, type Kind, name, oneOf, type Schedule, schedule, type Target, target } from './grammar.ts'
import type { Injection } from './injections.ts'
import type { Names } from './names.ts'
import { nearest } from './problems.ts'
import { randomStream } from './random.ts'
import type { Table, TableRow } from './table.ts'

export interface FaultsContext {
  readonly seed: number
  readonly durationMs: number
  readonly warmupMs: number
  readonly zones: Names<PlanZone>
  readonly relays: Names<PlanRelay>
  readonly clients: readonly PlanClient[]
  /** Names of the sheet `Limits`. */
  readonly limits: readonly string[]
  /** What the column `inject` says, by client. */
  readonly injected: readonly Injected[]
}

interface Injected {
  readonly row: TableRow
  readonly client: string
  readonly injections: readonly Injection[]
}

interface FaultRow {
  readonly row: TableRow
  readonly fault: string
  readonly action: FaultAction
  readonly when: Schedule
  readonly durationMs: number
  readonly target: Target
  readonly heal: 'auto' | 'never'
  readonly parameters: RowParameters
  readonly haltIf: readonly HaltCondition[]
  readonly expect: FaultAct['expect']
}

type Draft = Omit<FaultAct, 'act'> & { readonly row: TableRow; readonly explicit: boolean }

/** More acts than this are no test of anything. */
const actsMax = 10_000

/** `reset_peer` again and again lasts this long when the row does not say. */
const resettingMs = 15_000

const action: Kind<FaultAction> = {
  ...oneOf(actionNames),
  guess: (text) => nearest(text, actionNames),
}

export function readFaults(table: Table, context: FaultsContext): { acts: FaultAct[]; faults: string[]; drills: Drill[] } {
  const rows = table.rows.map((row) => readRow(row, context)).filter((row) => row !== undefined)
  const byName = new Map<string, FaultRow>()
  for (const row of rows) {
    const key = row.fault.toLowerCase()
    if (byName.has(key)) row.row.wrong('W113', 'fault', 'expected a name that is not used above', `"${row.fault}" again`)
    else byName.set(key, row)
  }
  const times = new Map<string, number[]>()
  const drafts = [...byName.values()].flatMap((row) => expand(row, timesOf(row, byName, times, context, new Set()), context))
  const injected = context.injected.flatMap((one) => expandInjected(one, context))
  const placed = withoutDead([...drafts, ...injected].sort((a, b) => a.atMs - b.atMs))
  if (placed.length > actsMax) {
    placed[actsMax]!.row.wrong('W118', 'when', `expected at most ${actsMax} acts in all`, String(placed.length))
    placed.length = 0
  }
  return {
    acts: placed.map(({ row: _row, explicit: _explicit, ...draft }, act) => ({ act, ...draft })),
    drills: drillsOf([...byName.values()], context),
    faults: [...new Set([...byName.values(), ...injected].map(({ fault }) => fault))],
  }
}

/** What the rows do when they are begun by hand, as long as it is no more than a plan may have. */
function drillsOf(rows: readonly FaultRow[], context: FaultsContext): Drill[] {
  const drills: Drill[] = []
  let count = 0
  for (const row of rows) {
    const drafts = expand(row, [0], context)
    count += drafts.length
    if (count > actsMax) break
    const acts = drafts.map(({ row: _row, explicit: _explicit, ...act }) => act)
    drills.push({ fault: row.fault, action: row.action, target: row.row.text('target').replace(/ /g, ''), acts })
  }
  return drills
}

function readRow(row: TableRow, context: FaultsContext): FaultRow | undefined {
  const written = row.text('action').toLowerCase().replace(/ /g, '_')
  // Every relay of a zone at once: a drain whose target must be a zone.
  const kind = written === 'drain_zone' ? 'drain' : row.need('action', action)
  const fault = row.read('fault', name, `F${row.row - 1}`)
  const when = row.read('when', schedule, { kind: 'once' })
  const aim = row.need('target', target)
  const heal = row.read('heal', oneOf(['auto', 'never']), 'auto')
  const expect = row.read('expect', oneOf(['survive', 'degrade', 'outage']), 'survive')
  const haltIf = readAbortIf(row, context.limits)
  if (when.kind === 'at' && when.atMs >= context.durationMs) {
    row.wrong('W120', 'when', `expected before the end of the load (${context.durationMs / 1000}s)`, row.text('when'))
  }
  if (kind === undefined || aim === undefined) {
    row.read('duration', duration, 0)
    return undefined
  }
  const parameters = readParameters(row, kind)
  const durationMs = row.read('duration', duration, parameters.everyMs === undefined ? faultActions[kind].durationMs : resettingMs)
  if (!aimed(row, aim, kind, context)) return undefined
  if (written === 'drain_zone' && aim.kind !== 'zone') {
    row.wrong('W123', 'target', 'expected a zone (drain_zone drains every relay of it)')
    return undefined
  }
  return { row, fault, action: kind, when, durationMs, target: aim, heal, expect, parameters, haltIf }
}

/** Whether the target exists and the action can be done to it; says so when not. */
function aimed(row: TableRow, aim: Target, kind: FaultAction, context: FaultsContext): boolean {
  const { relays, zones, clients } = context
  const inner = 'of' in aim ? aim.of : aim
  const family = familyFor(kind, isOfClients(inner))
  const found = `"${row.text('target').slice(0, 60)}"`
  const expectation = 'expected a relay, zone, link, client or tag'
  const wrong = (hint: string): boolean => {
    row.wrong('W111', 'target', expectation, found, hint)
    return false
  }
  if (isOfClients(inner)) {
    if (family === 'process') {
      row.wrong('W123', 'target', `expected a relay or a zone (${kind} is done to a relay)`, found)
      return false
    }
    const hit = clientsOf(inner, clients)
    if (hit.length > 0)
      return 'link' in inner && inner.link !== undefined
        ? hasLink(
            row,
            inner.link,
            kind,
            hit.map((index) => clients[index]!),
          )
        : true
    const written = clients.map(({ client }) => client)
    const near = inner.kind === 'client' ? nearest(inner.pattern, written) : undefined
    return wrong(`no enabled client is in it${near === undefined ? '' : `. Nearest: client:${near}`}`)
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
  if (family === 'client' || family === 'misbehaviour') {
    if (inner.kind === 'zone' && clientsOf(inner, clients).length > 0) return true
    row.wrong('W123', 'target', `expected clients, a tag or a zone with clients (${kind} is done to a client)`, found)
    return false
  }
  if (family === 'network') {
    if ('of' in aim && inner.kind !== 'relay') return wrong(`${aim.kind}(…) needs relays or clients inside`)
    if (kind !== 'partition' || inner.kind !== 'relay') return true
    row.wrong('W123', 'target', 'expected a link, a zone or clients (use blackhole or isolate_one for a relay)', found)
    return false
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

/** Whether all of these have a link of that number, and the action can be done to one link alone; says so when not. */
function hasLink(row: TableRow, link: number, kind: FaultAction, clients: readonly PlanClient[]): boolean {
  const found = `"${row.text('target').slice(0, 60)}"`
  if (familyFor(kind, true) !== 'network' || kind === 'vanish') {
    row.wrong('W123', 'target', `expected clients without /link (${kind} is done to a client, not to one of its links)`, found)
    return false
  }
  const few = clients.find(({ bind = [] }) => Math.max(1, bind.length) < link)
  if (few === undefined) return true
  const has = few.bind === undefined ? 'has no bind, and so one link to each relay' : `has ${few.bind.length} in its bind`
  row.wrong(
    'W111',
    'target',
    `expected the number of an address in the bind of each of them`,
    found,
    `client ${few.client} (Clients row ${few.row}) ${has}`,
  )
  return false
}

function isOfClients({ kind }: Target): boolean {
  return kind === 'client' || kind === 'tag'
}

function relaysOf(aim: Target, relays: readonly PlanRelay[]): PlanRelay[] {
  if (aim.kind === 'zone') return relays.filter((relay) => fits(aim.pattern, relay.zone))
  return aim.kind === 'relay' ? relays.filter((relay) => fits(aim.pattern, relay.relay)) : []
}

function namesOf(aim: Target, clients: readonly PlanClient[]): string[] {
  return clientsOf(aim, clients).map((index) => clients[index]!.client)
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

function scheduled(
  { row, fault, when }: Pick<FaultRow, 'row' | 'fault' | 'when'>,
  context: FaultsContext,
  endOf: (fault: string) => number | undefined,
): number[] {
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
    const { gapMs, ...parameters } = row.parameters
    const gap = row.action === 'rolling_restart' ? gapMs + row.durationMs : 0
    return targets.map((one, index) => ({
      fault: row.fault,
      action: row.action,
      target: one,
      atMs: atMs + index * gap,
      durationMs: row.durationMs,
      heal: row.heal,
      ...parameters,
      expect: row.expect,
      ...(row.haltIf.length === 0 ? {} : { haltIf: row.haltIf }),
      row: row.row,
      explicit: row.target.kind === 'relay' && !row.target.pattern.includes('*'),
    }))
  })
}

/** The misbehaviour of one client: acts that nobody expects to leave it unharmed. */
function expandInjected({ row, client, injections }: Injected, context: FaultsContext): Draft[] {
  return injections.flatMap(({ word, when, action: kind, durationMs, parameters }, index) => {
    if (when.kind === 'at' && when.atMs >= context.durationMs)
      row.wrong('W120', 'inject', `expected before the end of the load (${context.durationMs / 1000}s)`)
    const none = (): undefined => undefined
    return scheduled({ row, fault: `inject ${client} ${index}`, when }, context, none).map((atMs) => ({
      fault: `inject.${word}`,
      action: kind,
      target: { kind: 'clients' as const, clients: [client], name: `client:${client}` },
      atMs,
      durationMs,
      heal: 'auto' as const,
      latencyMs: 0,
      jitterMs: 0,
      direction: 'both' as const,
      corruptOneIn: 0,
      ...parameters,
      expect: 'degrade' as const,
      row,
      explicit: false,
    }))
  })
}

function targetsOf(row: FaultRow, { relays, zones, clients }: FaultsContext, random: () => number): ActTarget[] {
  const { action: kind, target: aim } = row
  const family = familyFor(kind, isOfClients('of' in aim ? aim.of : aim))
  if (aim.kind === 'link') return [{ kind: 'link', from: zones.get(aim.from)!.zone, to: zones.get(aim.to)!.zone }]
  const inner = 'of' in aim ? aim.of : aim
  const alone = aim.kind === 'one' || kind === 'isolate_one'
  const drawn = <T>(all: readonly T[]): T[] =>
    alone ? [all[Math.floor(random() * all.length)]!] : aim.kind === 'percent' ? someOf(all, aim.share, random) : [...all]
  if (isOfClients(inner) || family === 'client' || family === 'misbehaviour') {
    const link = 'link' in inner && inner.link !== undefined ? { link: inner.link } : {}
    return [{ kind: 'clients', clients: drawn(namesOf(inner, clients)), name: row.row.text('target').replace(/ /g, ''), ...link }]
  }
  if (aim.kind === 'zone' && family === 'network') {
    const hit = zones.names().filter((zone) => fits(aim.pattern, zone))
    return drawn(hit).map((zone) => ({ kind: 'zone', zone }))
  }
  const hit = relaysOf(inner, relays.all()).map(({ relay }) => relay)
  if (aim.kind === 'busiest') return [{ kind: 'busiest', among: hit }]
  return drawn(hit).map((relay) => ({ kind: 'relay', relay }))
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
    if (draft.heal === 'never' && relay !== undefined && familyOf(draft) === 'process') dead.set(relay, draft)
    placed.push(draft)
  }
  return placed
}
