// The relays of a run: started here for it, or those of a mesh that runs already.
import { Client } from '@sennit/client'
import { SennitError } from '@sennit/protocol'
import { possibleActs } from '../act-target.ts'
import { familyOf } from '../fault-actions.ts'
import type { FaultAction, Plan } from '../plan.ts'
import { type Clock, clockOfZone } from '../zone-clock.ts'
import { rightClock } from './false-clock.ts'
import { Guard } from './guard.ts'
import { RelayFleet } from './relay-fleet.ts'
import { makeTestMesh, openTestMesh, type TestMesh } from './test-mesh.ts'

export interface RelayOptions {
  readonly plan: Plan
  /** Command line of one relay without its config. */
  readonly relayCommand: readonly string[]
  /** A mesh that runs already; acts on relay processes are refused then. */
  readonly meshDir?: string
  /** Aborting it ends the start of the relays too. */
  readonly signal?: AbortSignal
  /** What relays log, by relay. */
  readonly onRelayLog?: (relayId: string, line: string) => void
}

export interface RunRelays {
  readonly mesh: TestMesh
  /** undefined: they run already. */
  readonly fleet: RelayFleet | undefined
  /** Ends what was started; the mesh stays until its `dispose`. */
  end(): Promise<void>
}

/** Relays that restart in a drill move their clients within this. */
const relayDrainMs = 2_000
const clockActions: readonly FaultAction[] = ['clock_offset', 'clock_drift', 'cert_expired']

/** Makes or opens the mesh and starts its relays. @throws SennitError when it cannot, or when acts need relays of our own and they are not */
export async function openRelays({ plan, relayCommand, meshDir, signal, onRelayLog }: RelayOptions): Promise<RunRelays> {
  if (meshDir !== undefined) {
    refuseActsThatNeedOurOwnRelays(plan)
    refuseSettingsThatNeedOurOwnRelays(plan)
    const mesh = await openTestMesh(plan, meshDir)
    await checkUsers(plan, mesh)
    return { mesh, fleet: undefined, end: async () => {} }
  }
  refuseRelaysOfOthers(plan)
  const mesh = await makeTestMesh(plan)
  const zoneOf = wrongClocks(plan)
  const fleet = new RelayFleet({
    guard: new Guard(mesh.dir),
    relayCommand,
    meshDir: mesh.dir,
    relayIds: plan.relays.map(({ relay }) => relay),
    drainMs: relayDrainMs,
    clocks: zoneOf.size > 0 || possibleActs(plan).some(({ action }) => clockActions.includes(action)),
    clockLagMs: Math.max(
      0,
      ...plan.zones.map(({ clockOffsetMs = 0, clockDrift = 0 }) => -clockOffsetMs - clockDrift * plan.run.durationMs),
    ),
    clockOf: (relayId) => zoneOf.get(relayId) ?? rightClock,
    ...(onRelayLog === undefined ? {} : { onLog: onRelayLog }),
  })
  try {
    await fleet.startAll(signal)
  } catch (error) {
    await fleet.end()
    mesh.dispose()
    throw error
  }
  return { mesh, fleet, end: () => fleet.end() }
}

function refuseActsThatNeedOurOwnRelays(plan: Plan): void {
  const act = plan.acts.find((one) => familyOf(one) === 'process')
  if (act === undefined) return
  throw new SennitError(
    'not_allowed',
    `fault ${act.fault} (${act.action}) needs relays that the test set starts itself; this run uses a mesh that runs already. Leave --mesh out, or disable the row`,
  )
}

/** Clocks and configurations are given to a relay when it is started. */
function refuseSettingsThatNeedOurOwnRelays(plan: Plan): void {
  const [late] = wrongClocks(plan).keys()
  const found = late === undefined ? undefined : `relay ${late} stands in a zone with clock_offset or clock_drift`
  const set = plan.relays.find(({ config }) => config !== undefined)
  const why = found ?? (set === undefined ? undefined : `relay ${set.relay} has a config`)
  if (why === undefined) return
  throw new SennitError(
    'not_allowed',
    `${why}, which the test set can give only to relays that it starts itself; this run uses a mesh that runs already. Leave --mesh out, or clear the cell`,
  )
}

/** A relay that the test set is not to start belongs to a mesh, whose keys the clients need. */
function refuseRelaysOfOthers({ relays }: Plan): void {
  const foreign = relays.find(({ managed }) => !managed)
  if (foreign === undefined) return
  throw new SennitError(
    'not_allowed',
    `relay ${foreign.relay} is not managed (Relays.managed = no): expected --mesh DIR, the directory of the mesh that it belongs to; found none. Give it, or let the test set start the relay (managed = yes)`,
  )
}

/** Relays of zones with a wrong clock. */
function wrongClocks(plan: Plan): Map<string, Clock> {
  return new Map(
    plan.relays.flatMap(({ relay, zone }): [string, Clock][] => {
      const clock = clockOfZone(plan, zone)
      return clock === undefined ? [] : [[relay, clock]]
    }),
  )
}

/** Longer than relays take to read a list that has changed. */
const knownWithinMs = 6_000

/** Relays that read other files than those of the mesh directory never hear of the users that were added there; better said once than by each client. */
async function checkUsers({ clients }: Plan, { dir, entries, credentials, added = [] }: TestMesh): Promise<void> {
  const client = clients.find(({ user, wrongKey }) => wrongKey !== true && (added.length === 0 || added.includes(user)))
  const credential = client === undefined ? undefined : credentials.get(client.user)
  if (client === undefined || credential === undefined) return
  const relays = entries.filter(({ relayId }) => client.relays.includes(relayId))
  try {
    const probe = await Client.open({ credential, relays, openMs: knownWithinMs, ...(client.proxy === '' ? {} : { proxy: client.proxy }) })
    await probe.close()
  } catch (error) {
    // Whatever else is wrong the run shows client by client; from agents it may even be right.
    if (!(error instanceof SennitError) || error.code !== 'not_registered') return
    throw new SennitError(
      'not_registered',
      `expected relays that know the users of ${dir}; found that ${relays.map(({ relayId }) => relayId).join(', ')} never heard of user ${client.user}${added.length === 0 ? '' : `, one of ${added.length} that were just added`}. Give the directory that the relays run from, or copy its users.list to where they read theirs`,
      { user: client.user },
      error,
    )
  }
}
