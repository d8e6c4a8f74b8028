// From tables to the plan: reads every sheet, pairs the clients, scales, spreads the starts, expands the faults.
import { type Flow, type FlowDirection, freezePlan, type Plan, type PlanClient, type PlanLink, type PlanRelay } from '../plan.ts'
import { meanOf } from '../verdict/sizes.ts'
import { type Client, readClients } from './clients-sheet.ts'
import { readFaults } from './faults-sheet.ts'
import { type EndLife, flowSessions, hasSessions, type Interval, presenceFields, presencesOf, sessionsOf } from './life.ts'
import { readLimits } from './limits-sheet.ts'
import { readLinks, readRelays, readZones } from './mesh-sheets.ts'
import { pacedFlows } from './paces.ts'
import { type Pair, pairClients, withEchoes } from './pairs.ts'
import { type Phase, readPhases } from './phases-sheet.ts'
import type { Problems } from './problems.ts'
import { readProfiles } from './profiles-sheet.ts'
import { randomStream, shuffled } from './random.ts'
import type { RawWorkbook } from './raw-workbook.ts'
import { readRun } from './run-sheet.ts'
import { scaled } from './scale.ts'
import { readTables, type Table } from './table.ts'

export interface PlanOptions {
  /** Instead of the workbook's. */
  readonly seed?: number
  /** Share of the connections to keep (below 1) or times to repeat them (above). Pairs stay whole, rates stay as they are. @default 1 */
  readonly scale?: number
  /** Without a `name` in the sheet `Run`. */
  readonly fallbackName: string
}

/** Reads the plan. It may be used only when no problem was added. */
export function makePlan(workbook: RawWorkbook, options: PlanOptions, problems: Problems): Plan {
  const tables = readTables(workbook, problems)
  const run = readRun(tables.Run, options.fallbackName, problems)
  const seed = options.seed ?? run.seed
  const zones = readZones(tables.Zones)
  const links = readLinks(tables.Links, zones)
  const relays = readRelays(tables.Relays, zones)
  const profiles = readProfiles(tables.Profiles)
  const { durationMs, warmupMs } = run.settings
  const before = problems.count
  const clients = withEchoes(readClients(tables.Clients, { zones, relays, profiles, durationMs, problems }))
  const pairs = pairClients(clients)
  if (pairs.length === 0 && problems.count === before) noPair(tables.Clients, problems)
  const kept = scaled(clients, pairs, options.scale ?? 1)
  const scale = pairs.length === 0 ? 1 : kept.pairs.length / pairs.length
  const written = readPhases(tables.Phases, { seed, durationMs, clients: kept.clients, written: clients, scale })
  const { world, phases, presences } = withoutAbsent(kept, written, presencesOf(written, kept.clients, kept.pairs, seed))
  const wanted = world.clients.map(
    ({ attachAtMs, detachAtMs }, index) => presences.get(index) ?? [{ fromMs: attachAtMs, toMs: detachAtMs ?? Number.POSITIVE_INFINITY }],
  )
  const placing = { rampPerSecond: run.rampPerSecond, seed, links, relays: relays.all() }
  const first = placeClients(world.clients, wanted, placing)
  const callers = new Set(world.pairs.map(({ caller }) => caller))
  const sessions = new Map<number, readonly Interval[]>()
  for (const [index, client] of world.clients.entries())
    if (callers.has(index) ? hasSessions(client) : client.session !== null && !client.echo)
      sessions.set(
        index,
        sessionsOf(callers.has(index) ? client : { ...client, connect: { kind: 'once' } }, first.lives[index]!, { seed, durationMs }),
      )
  checkTotal(world.clients, sessions)
  // Who vanishes at the end of a session is not there until the next one.
  const placed = [...sessions.keys()].some((index) => world.clients[index]!.disconnect === 'vanish')
    ? placeClients(
        world.clients,
        first.lives.map((life, index) => (world.clients[index]!.disconnect === 'vanish' ? (sessions.get(index) ?? life) : life)),
        { ...placing, rampPerSecond: Number.POSITIVE_INFINITY },
      )
    : first
  const planClients = placed.clients
  const faults = readFaults(tables.Faults, {
    seed,
    durationMs,
    warmupMs,
    zones,
    relays,
    clients: planClients,
    limits: tables.Limits.rows.map((row) => row.text('limit') || `L${row.row - 1}`),
    injected: world.clients,
  })
  const flowContext = { clients: world.clients, placed, closed: run.model === 'closed', sessions }
  const ownFlows = world.pairs.map((pair, flow) => makeFlow(flow, pair, flowContext))
  const { flows, ...paced } = pacedFlows(phases, ownFlows, planClients.length)
  const limits = readLimits(tables.Limits, {
    faults: faults.faults,
    actions: new Set(faults.acts.map((act) => act.action)),
    directions: flows.flatMap((flow) => flow.directions),
    tags: [...new Set(planClients.flatMap((client) => client.tags))],
    profiles: [...new Set(planClients.map((client) => client.profile))],
    zones: [...new Set(planClients.map((client) => client.zone))],
    clients: planClients.map((client) => client.client),
    relays: relays.names(),
    phases: paced.phases.map(({ phase }) => phase),
  })
  return freezePlan({
    version: 1,
    name: run.name,
    seed,
    run: run.settings,
    zones: zones.all(),
    links,
    relays: relays.all(),
    clients: planClients,
    flows,
    acts: faults.acts,
    limits,
    ...(paced.phases.length === 0 ? {} : { phases: paced.phases }),
    ...(paced.paces.length === 0 ? {} : { paces: paced.paces }),
    ...(faults.drills.length === 0 ? {} : { drills: faults.drills }),
  })
}

/** More connections, over the whole run, are no test of one machine. */
const sessionsMax = 1_000_000

function checkTotal(clients: readonly Client[], sessions: ReadonlyMap<number, readonly Interval[]>): void {
  let total = 0
  for (const [index, list] of sessions) {
    total += list.length
    if (total <= sessionsMax) continue
    const { row } = clients[index]!
    row.wrong('W118', row.has('session') ? 'session' : 'connect', `expected at most ${sessionsMax} connections in all`, 'more')
    return
  }
}

interface World {
  readonly clients: readonly Client[]
  readonly pairs: readonly Pair[]
}

/** Leaves out the clients that phases never call for, and their connections. */
function withoutAbsent(
  world: World,
  phases: readonly Phase[],
  presences: ReadonlyMap<number, readonly Interval[]>,
): { readonly world: World; readonly phases: readonly Phase[]; readonly presences: ReadonlyMap<number, readonly Interval[]> } {
  if (![...presences.values()].some((life) => life.length === 0)) return { world, phases, presences }
  const place = new Map<number, number>()
  for (const index of world.clients.keys()) if (presences.get(index)?.length !== 0) place.set(index, place.size)
  const moved = (index: number): number[] => (place.has(index) ? [place.get(index)!] : [])
  return {
    world: {
      clients: world.clients.filter((_, index) => place.has(index)),
      pairs: world.pairs
        .filter(({ caller, listener }) => place.has(caller) && place.has(listener))
        .map(({ caller, listener }) => ({ caller: place.get(caller)!, listener: place.get(listener)! })),
    },
    phases: phases.map((phase) => ({ ...phase, members: phase.members.flatMap(moved) })),
    presences: new Map([...presences].flatMap(([index, life]) => moved(index).map((at): [number, readonly Interval[]] => [at, life]))),
  }
}

function noPair(table: Table, problems: Problems): void {
  const first = table.rows[0]
  if (first === undefined) problems.addSheet('W114', 'Clients', 'expected at least two clients, one row each; found none')
  else first.wrong('W121', 'peer', 'expected at least one pair of enabled clients that connect', 'none')
}

/** The clients of a plan and when each is there. */
interface Placed {
  readonly clients: readonly PlanClient[]
  readonly lives: readonly Interval[][]
}

/** Spreads the attaches so that no more begin in a second than `ramp_limit` says, in order of their times and of rows. */
function placeClients(
  clients: readonly Client[],
  wanted: readonly (readonly Interval[])[],
  { rampPerSecond, seed, links, relays }: { rampPerSecond: number; seed: number; links: readonly PlanLink[]; relays: readonly PlanRelay[] },
): Placed {
  const starts = wanted.flatMap((intervals, index) => intervals.map((interval) => ({ index, interval })))
  starts.sort((a, b) => a.interval.fromMs - b.interval.fromMs || a.index - b.index)
  const lives = clients.map((): Interval[] => [])
  let free = 0
  for (const { index, interval } of starts) {
    const fromMs = Math.max(free, interval.fromMs)
    free = fromMs + 1000 / rampPerSecond
    // Who would leave before it may come does not come; but everybody comes once.
    if (interval.toMs > fromMs || lives[index]!.length === 0) lives[index]!.push({ fromMs: Math.round(fromMs), toMs: interval.toMs })
  }
  return {
    lives,
    clients: clients.map((client, index) => ({
      client: client.client,
      row: client.row.row,
      tags: client.tags,
      zone: client.zone,
      user: client.user,
      label: client.label,
      application: client.application,
      profile: client.profile.profile,
      relays: relayOrder(client, seed, links, relays),
      carrier: client.carrier,
      ...(client.bind.length === 0 ? {} : { bind: client.bind }),
      proxy: client.proxy,
      paths: client.paths,
      ...(client.keyMode === 'blind' ? {} : { keyMode: client.keyMode }),
      ...(client.profile.compress === undefined ? {} : { compress: client.profile.compress }),
      ...presenceFields(lives[index]!),
      ...(client.disconnect === 'clean' ? {} : { disconnect: client.disconnect }),
      ...(client.expect === 'delivered' ? {} : { expect: client.expect }),
      ...(client.wrongKey ? { wrongKey: true as const } : {}),
      passive: client.peer === '*',
      note: client.note,
    })),
  }
}

function relayOrder(client: Client, seed: number, links: readonly PlanLink[], relays: readonly PlanRelay[]): string[] {
  if (client.relays.kind === 'list') return [...client.relays.relays]
  if (client.relays.kind === 'random') return inRandomOrder(relays, randomStream(seed, `relays ${client.client.toLowerCase()}`))
  const rtt = (relay: PlanRelay): number => links.find((link) => link.from === client.zone && link.to === relay.zone)?.rttMs ?? 0
  return [...relays].sort((a, b) => rtt(a) - rtt(b)).map(({ relay }) => relay)
}

/** A relay of twice the weight is first twice as often, and so on with the rest; one of weight 0 comes last. */
function inRandomOrder(relays: readonly PlanRelay[], random: () => number): string[] {
  const names = relays.map(({ relay }) => relay)
  if (relays.every(({ weight }) => weight === relays[0]!.weight)) return shuffled(names, random)
  const places = relays.map(({ relay, weight }) => ({
    relay,
    place: weight === 0 ? Number.POSITIVE_INFINITY : -Math.log(1 - random()) / weight,
  }))
  return places.sort((a, b) => a.place - b.place).map(({ relay }) => relay)
}

interface FlowContext {
  readonly clients: readonly Client[]
  readonly placed: Placed
  readonly closed: boolean
  /** When each client is connected, where that is less than when it is there. */
  readonly sessions: ReadonlyMap<number, readonly Interval[]>
}

function makeFlow(flow: number, { caller, listener }: Pair, context: FlowContext): Flow {
  const { clients, placed, sessions } = context
  const directions = [makeDirection(flow, 0, caller, listener, context), makeDirection(flow, 1, listener, caller, context)]
  return {
    flow,
    caller,
    listener,
    application: placed.clients[caller]!.application,
    ...timesOf(caller, listener, clients, placed, sessions),
    directions: directions.filter((one) => one !== undefined),
  }
}

/** Whoever calls says when; a listener's sessions count where the caller has none. */
function timesOf(
  caller: number,
  listener: number,
  clients: readonly Client[],
  { clients: placed, lives }: Placed,
  sessions: FlowContext['sessions'],
): Pick<Flow, 'openAtMs' | 'closeAtMs' | 'sessions'> {
  const own = sessions.get(caller)
  const other = own === undefined ? sessions.get(listener) : undefined
  const ends = [caller, listener] as const
  const plain =
    own === undefined && other === undefined && ends.every((end) => lives[end]!.length === 1 && clients[end]!.disconnect === 'clean')
  const openAtMs = Math.max(placed[caller]!.attachAtMs, placed[listener]!.attachAtMs)
  const leaving = ends.map((end) => placed[end]!.detachAtMs).filter((at) => at !== null)
  const whole = { openAtMs, closeAtMs: leaving.length === 0 ? null : Math.max(openAtMs, Math.min(...leaving)) }
  if (plain) return whole
  const life = (end: number, intervals: readonly Interval[] | undefined): EndLife => ({
    intervals: intervals ?? lives[end]!,
    disconnect: clients[end]!.disconnect,
  })
  return flowSessions(life(caller, own), life(listener, other)) ?? whole
}

function makeDirection(flow: number, back: 0 | 1, from: number, to: number, { clients, closed }: FlowContext): FlowDirection | undefined {
  const [sender, receiver] = [clients[from]!, clients[to]!]
  const asker = back === 0 ? sender : receiver
  const waits = closed || asker.profile.think !== undefined
  if (waits && back === 0) checkClosed(sender, receiver)
  if (sender.profile.direction === 'receive' || receiver.profile.direction === 'send' || sender.traffic.rate === 0) return undefined
  const answered = (waits || (back === 0 ? receiver : sender).echo) && asker.profile.direction === 'both'
  const { size, rate, burst } = answered ? asker.traffic : sender.traffic
  const think = waits ? (asker.profile.think ?? { kind: 'const' as const, value: (burst * 1000) / rate }) : undefined
  const perSecond = think === undefined ? rate : (burst * 1000) / Math.max(thinkMsMin, meanOf(think))
  return {
    direction: 2 * flow + back,
    flow,
    from,
    to,
    bursts: perSecond / burst,
    burst,
    messagesPerSecond: perSecond,
    size,
    dataLimitBytes: sender.dataLimitBytes,
    readBytesPerSecond: receiver.readBytesPerSecond,
    check: sender.profile.check,
    ...(sender.profile.mode === 'datagram' ? { mode: sender.profile.mode } : {}),
    ...(sender.profile.compress === 'auto' || sender.profile.compress === 'always' ? { content: 'text' as const } : {}),
    ...(answered ? { role: back === 0 ? ('asks' as const) : ('answers' as const) } : {}),
    ...(think === undefined || back === 1 ? {} : { think }),
  }
}

/** An answer takes a moment, so nobody asks faster than this. */
const thinkMsMin = 1

/** In the closed model the caller asks and its peer answers. */
function checkClosed(...ends: readonly Client[]): void {
  for (const { row, profile, client } of ends) {
    const name = `${profile.profile} of ${client}`
    if (profile.direction !== 'both')
      row.wrong('W123', 'profile', 'expected a profile of direction both (the closed model waits for answers)', name)
    if (profile.mode === 'datagram')
      row.wrong('W123', 'profile', 'expected a profile of mode reliable (the closed model waits for answers)', name)
  }
}
