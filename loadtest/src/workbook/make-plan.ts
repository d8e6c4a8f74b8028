// From tables to the plan: reads every sheet, pairs the clients, scales, spreads the starts, expands the faults.
import { type Flow, type FlowDirection, freezePlan, type Plan, type PlanClient, type PlanLink, type PlanRelay } from '../plan.ts'
import { type Client, readClients } from './clients-sheet.ts'
import { readFaults } from './faults-sheet.ts'
import { readLimits } from './limits-sheet.ts'
import { readLinks, readRelays, readZones } from './mesh-sheets.ts'
import { pacedFlows } from './paces.ts'
import { type Pair, pairClients } from './pairs.ts'
import { readPhases } from './phases-sheet.ts'
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
  const clients = readClients(tables.Clients, { zones, relays, profiles, durationMs, problems })
  const pairs = pairClients(clients)
  if (pairs.length === 0 && problems.count === before) noPair(tables.Clients, problems)
  const world = scaled(clients, pairs, options.scale ?? 1)
  const phases = readPhases(tables.Phases, {
    seed,
    durationMs,
    clients: world.clients,
    written: clients,
    scale: pairs.length === 0 ? 1 : world.pairs.length / pairs.length,
  })
  const planClients = placeClients(world.clients, run.rampPerSecond, seed, links, relays.all())
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
  const ownFlows = world.pairs.map((pair, flow) => makeFlow(flow, pair, world.clients, planClients))
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

function noPair(table: Table, problems: Problems): void {
  const first = table.rows[0]
  if (first === undefined) problems.addSheet('W114', 'Clients', 'expected at least two clients, one row each; found none')
  else first.wrong('W121', 'peer', 'expected at least one pair of enabled clients that connect', 'none')
}

/** Spreads the attaches so that no more begin in a second than `ramp_limit` says, in order of `attach_at` and of rows. */
function placeClients(
  clients: readonly Client[],
  rampPerSecond: number,
  seed: number,
  links: readonly PlanLink[],
  relays: readonly PlanRelay[],
): PlanClient[] {
  const order = clients.map((_, index) => index).sort((a, b) => clients[a]!.attachAtMs - clients[b]!.attachAtMs || a - b)
  const attachAtMs = new Map<number, number>()
  let free = 0
  for (const index of order) {
    const at = Math.max(free, clients[index]!.attachAtMs)
    attachAtMs.set(index, Math.round(at))
    free = at + 1000 / rampPerSecond
  }
  return clients.map((client, index) => ({
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
    proxy: client.proxy,
    paths: client.paths,
    ...(client.keyMode === 'blind' ? {} : { keyMode: client.keyMode }),
    ...(client.profile.compress === undefined ? {} : { compress: client.profile.compress }),
    attachAtMs: attachAtMs.get(index)!,
    detachAtMs: client.detachAtMs,
    passive: client.peer === '*',
    note: client.note,
  }))
}

function relayOrder(client: Client, seed: number, links: readonly PlanLink[], relays: readonly PlanRelay[]): string[] {
  if (client.relays.kind === 'list') return [...client.relays.relays]
  const names = relays.map(({ relay }) => relay)
  if (client.relays.kind === 'random') return shuffled(names, randomStream(seed, `relays ${client.client.toLowerCase()}`))
  const rtt = (relay: PlanRelay): number => links.find((link) => link.from === client.zone && link.to === relay.zone)?.rttMs ?? 0
  return [...relays].sort((a, b) => rtt(a) - rtt(b)).map(({ relay }) => relay)
}

function makeFlow(flow: number, { caller, listener }: Pair, clients: readonly Client[], placed: readonly PlanClient[]): Flow {
  const openAtMs = Math.max(placed[caller]!.attachAtMs, placed[listener]!.attachAtMs)
  const ends = [placed[caller]!.detachAtMs, placed[listener]!.detachAtMs].filter((at) => at !== null)
  const directions = [makeDirection(flow, 0, caller, listener, clients), makeDirection(flow, 1, listener, caller, clients)]
  return {
    flow,
    caller,
    listener,
    application: placed[caller]!.application,
    openAtMs,
    closeAtMs: ends.length === 0 ? null : Math.max(openAtMs, Math.min(...ends)),
    directions: directions.filter((one) => one !== undefined),
  }
}

function makeDirection(flow: number, back: 0 | 1, from: number, to: number, clients: readonly Client[]): FlowDirection | undefined {
  const [sender, receiver] = [clients[from]!, clients[to]!]
  if (sender.profile.direction === 'receive' || receiver.profile.direction === 'send' || sender.traffic.rate === 0) return undefined
  const { size, rate, burst } = sender.traffic
  return {
    direction: 2 * flow + back,
    flow,
    from,
    to,
    bursts: rate / burst,
    burst,
    messagesPerSecond: rate,
    size,
    dataLimitBytes: sender.dataLimitBytes,
    readBytesPerSecond: receiver.readBytesPerSecond,
    check: sender.profile.check,
    ...(sender.profile.mode === 'datagram' ? { mode: sender.profile.mode } : {}),
    ...(sender.profile.compress === 'auto' || sender.profile.compress === 'always' ? { content: 'text' as const } : {}),
  }
}
