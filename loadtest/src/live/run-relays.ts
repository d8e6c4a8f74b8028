// The relays of a run: started here for it, or those of a mesh that runs already.
import { SennitError } from '@sennit/protocol'
import { possibleActs } from '../act-target.ts'
import { familyOf } from '../fault-actions.ts'
import type { FaultAction, Plan } from '../plan.ts'
import { Guard } from './guard.ts'
import { RelayFleet } from './relay-fleet.ts'
import { makeTestMesh, openTestMesh, type TestMesh } from './test-mesh.ts'

export interface RelayOptions {
  readonly plan: Plan
  /** Command line of one relay without its config. */
  readonly relayCommand: readonly string[]
  /** A mesh that runs already; acts on relay processes are refused then. */
  readonly meshDir?: string
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
const clockActions: readonly FaultAction[] = ['clock_offset', 'clock_drift']

/** Makes or opens the mesh and starts its relays. @throws SennitError when it cannot, or when acts need relays of our own and they are not */
export async function openRelays({ plan, relayCommand, meshDir, onRelayLog }: RelayOptions): Promise<RunRelays> {
  if (meshDir !== undefined) {
    refuseActsThatNeedOurOwnRelays(plan)
    return { mesh: await openTestMesh(plan, meshDir), fleet: undefined, end: async () => {} }
  }
  const mesh = await makeTestMesh(plan)
  const fleet = new RelayFleet({
    guard: new Guard(mesh.dir),
    relayCommand,
    meshDir: mesh.dir,
    relayIds: plan.relays.map(({ relay }) => relay),
    drainMs: relayDrainMs,
    clocks: possibleActs(plan).some(({ action }) => clockActions.includes(action)),
    ...(onRelayLog === undefined ? {} : { onLog: onRelayLog }),
  })
  try {
    await fleet.startAll()
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
