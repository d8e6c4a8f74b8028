// Every action of the sheet `Faults`: what it is done to, how long it lasts by default, and which engine can do it.
import { SennitError } from '@sennit/protocol'
import type { FaultAct, FaultAction, Plan } from './plan.ts'

export type Engine = 'live' | 'virtual'

/** What an action is done to. */
export type ActionFamily =
  /** A relay's process. */
  | 'process'
  /** What lies between clients and relays. */
  | 'network'
  /** A client's process or machine. */
  | 'client'
  /** What a client does that it should not. */
  | 'misbehaviour'

export interface ActionFacts {
  readonly family: ActionFamily
  /** How long an act lasts when the row does not say: long enough to see the fail-over, short enough to see the return. */
  readonly durationMs: number
  /** Why an engine cannot do it; absent: it can. */
  readonly refused?: Partial<Readonly<Record<Engine, string>>>
}

const noDescriptors = 'a simulated process has no descriptors and no disk; run it live'

const noStrangers = 'simulated relays are reached by client machines only, which know no bad manners; run it live'

export const faultActions: Readonly<Record<FaultAction, ActionFacts>> = {
  kill: { family: 'process', durationMs: 3_000 },
  term: { family: 'process', durationMs: 3_000 },
  drain: { family: 'process', durationMs: 3_000 },
  pause: { family: 'process', durationMs: 3_000 },
  restart: { family: 'process', durationMs: 0 },
  rolling_restart: { family: 'process', durationMs: 0 },
  cpu_hog: { family: 'process', durationMs: 5_000 },
  fd_exhaust: { family: 'process', durationMs: 5_000, refused: { virtual: noDescriptors } },
  disk_full: { family: 'process', durationMs: 5_000, refused: { virtual: noDescriptors } },
  clock_offset: { family: 'process', durationMs: 5_000 },
  clock_drift: { family: 'process', durationMs: 5_000 },
  // Of relays; of clients, it is done to these: familyOf.
  cert_expired: { family: 'process', durationMs: 5_000 },
  blackhole: { family: 'network', durationMs: 5_000 },
  partition: { family: 'network', durationMs: 5_000 },
  isolate_one: { family: 'network', durationMs: 5_000 },
  one_way: { family: 'network', durationMs: 5_000 },
  swizzle_clog: { family: 'network', durationMs: 10_000 },
  flap: { family: 'network', durationMs: 12_000 },
  cut: { family: 'network', durationMs: 5_000 },
  refuse: { family: 'network', durationMs: 5_000 },
  reset_peer: { family: 'network', durationMs: 0 },
  half_open: { family: 'network', durationMs: 0 },
  slow_close: { family: 'network', durationMs: 5_000 },
  latency: { family: 'network', durationMs: 5_000 },
  loss: { family: 'network', durationMs: 5_000 },
  bandwidth: { family: 'network', durationMs: 5_000 },
  slice: { family: 'network', durationMs: 5_000 },
  mtu: { family: 'network', durationMs: 5_000 },
  limit_data: { family: 'network', durationMs: 5_000 },
  corrupt: { family: 'network', durationMs: 5_000 },
  duplicate_frame: { family: 'network', durationMs: 5_000 },
  reorder_frame: { family: 'network', durationMs: 5_000 },
  captive: { family: 'network', durationMs: 5_000 },
  nat_rebind: { family: 'network', durationMs: 0 },
  dns_gone: { family: 'network', durationMs: 5_000 },
  sleep: {
    family: 'client',
    durationMs: 600_000,
    refused: { live: 'the clients of a live run share this process, and it would sleep with them; use --virtual' },
  },
  directory_down: {
    family: 'client',
    durationMs: 10_000,
    refused: { virtual: 'simulated clients are handed their relays and read no list; run it live' },
  },
  vanish: { family: 'network', durationMs: 5_000 },
  flip: { family: 'network', durationMs: 1_000 },
  stall_read: { family: 'misbehaviour', durationMs: 5_000 },
  bad_password: { family: 'misbehaviour', durationMs: 0, refused: { virtual: noStrangers } },
  duplicate_id: { family: 'misbehaviour', durationMs: 0, refused: { virtual: noStrangers } },
  never_authenticate: { family: 'misbehaviour', durationMs: 0, refused: { virtual: noStrangers } },
  garbage: { family: 'misbehaviour', durationMs: 0, refused: { virtual: noStrangers } },
  oversize: { family: 'misbehaviour', durationMs: 0, refused: { virtual: noStrangers } },
}

/** In the order of the table. */
export const actionNames: readonly FaultAction[] = Object.keys(faultActions) as FaultAction[]

export function familyOf({ action, target }: Pick<FaultAct, 'action' | 'target'>): ActionFamily {
  return familyFor(action, target.kind === 'clients')
}

/** What an action is done to when its target is clients, or is not. */
export function familyFor(action: FaultAction, clients: boolean): ActionFamily {
  return clients && action === 'cert_expired' ? 'client' : faultActions[action].family
}

/** When the certificates of clients end, by name, in ms of the run: at the first act that says so. */
export function certificateEnds({ acts }: Pick<Plan, 'acts'>): ReadonlyMap<string, number> {
  const ends = new Map<string, number>()
  for (const { action, target, atMs } of acts) {
    if (action !== 'cert_expired' || target.kind !== 'clients') continue
    for (const client of target.clients) ends.set(client, Math.min(atMs, ends.get(client) ?? atMs))
  }
  return ends
}

/** @throws SennitError `not_allowed` when the plan has something that the engine cannot do: before the run, so that nothing is half tested */
export function refuseActs(plan: Plan, engine: Engine): void {
  const squeezing = plan.clients.find(({ compress = 'never' }) => compress !== 'never')
  if (engine === 'virtual' && squeezing !== undefined)
    throw new SennitError(
      'not_allowed',
      `client ${squeezing.client} compresses, and simulated clients send messages as they are; run it live`,
    )
  const proxied = plan.clients.find(({ proxy }) => proxy !== '')
  if (engine === 'virtual' && proxied !== undefined)
    throw new SennitError(
      'not_allowed',
      `client ${proxied.client} goes through a proxy, and simulated clients reach relays directly; run it live, or clear the cell`,
    )
  for (const act of plan.acts) refuseAct(act, engine)
}

/** @throws SennitError `not_allowed` when the engine cannot do it */
export function refuseAct({ action, fault, target }: Pick<FaultAct, 'action' | 'fault' | 'target'>, engine: Engine): void {
  const ofLink = engine === 'virtual' && target.kind === 'clients' && target.link !== undefined
  const doubles = action === 'duplicate_frame' || action === 'reorder_frame'
  const why =
    ofLink && doubles ? 'a simulated relay does so with the frames of all links; run it live' : faultActions[action].refused?.[engine]
  if (why !== undefined) throw new SennitError('not_allowed', `fault ${fault} (${action}) cannot be done here: ${why}`)
}
