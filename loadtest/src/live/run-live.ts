// A run with the real client library, real relay processes and real faults, in this process.
import { SennitError } from '@sennit/protocol'
import { refuseActs } from '../fault-actions.ts'
import type { Plan } from '../plan.ts'
import type { RunControls } from '../run-controls.ts'
import { RunRecorder, type RunStatus } from '../verdict/run-recorder.ts'
import type { Environment, RunResult } from '../verdict/run-result.ts'
import { ListFiles } from './list-files.ts'
import { runDice, runLoad } from './live-load.ts'
import { Network } from './network.ts'
import { openRelays, type RelayOptions } from './run-relays.ts'

export interface LiveOptions extends RelayOptions {
  readonly environment: Environment
  /** Aborting it heals every fault, ends every relay, and gives the partial result. */
  readonly signal?: AbortSignal
  /** About once a second. */
  readonly onStatus?: (status: RunStatus) => void
  /** Once, when the run begins: what a person may do to it. */
  readonly onControls?: (controls: RunControls) => void
}

/** Runs a plan and gives what happened. Throws only before the run began: a mesh that cannot be made, acts that cannot be done there. */
export async function runLive(options: LiveOptions): Promise<RunResult> {
  const { plan, environment, signal, onStatus, onControls } = options
  refuseActs(plan, 'live')
  refuseAgents(plan)
  const relays = await openRelays(options)
  const { mesh, fleet } = relays
  let network: Network | undefined
  let lists: ListFiles | undefined
  try {
    network = await Network.open(plan, mesh.entries, runDice(plan))
    lists = await ListFiles.open(plan, mesh, network)
    const recorder = new RunRecorder(plan, { engine: 'local', environment, startedAt: new Date().toISOString() })
    const startedMs = performance.now()
    const now = (): number => performance.now() - startedMs
    const onSecond = (): void => onStatus?.(recorder.status(now()))
    const controls = onControls === undefined ? {} : { onControls }
    await runLoad({ plan, recorder, mesh, network, lists, fleet, now, onSecond, ...controls }, signal)
    return recorder.finish(now(), { interrupted: signal?.aborted === true })
  } finally {
    await relays.end()
    await network?.close()
    lists?.dispose()
    mesh.dispose()
  }
}

/** One process is no agents: a workbook that asks for some is not half done. */
function refuseAgents({ run: { engine, agents = 1 }, zones }: Plan): void {
  const zone = zones.find(({ agentsMin = 0 }) => agentsMin > 1)
  if (engine === undefined && agents <= 1 && zone === undefined) return
  const asked =
    zone === undefined
      ? `Run.engine is ${engine ?? 'local'}, Run.agents is ${agents}`
      : `zone ${zone.zone} must have ${zone.agentsMin} agents`
  throw new SennitError(
    'not_allowed',
    `the workbook asks for several agents (${asked}), and this is a run in one process: give --agents or --local-agents`,
  )
}
