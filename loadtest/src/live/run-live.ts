// A run with the real client library, real relay processes and real faults.
import { SennitError } from '@sennit/protocol'
import { familyOf, refuseActs } from '../fault-actions.ts'
import { Pace } from '../pace.ts'
import type { FaultAction, Plan } from '../plan.ts'
import { keystreamKey } from '../verdict/keystream.ts'
import { RunRecorder, type RunStatus } from '../verdict/run-recorder.ts'
import type { Environment, RunResult } from '../verdict/run-result.ts'
import { ActRunner } from './act-runner.ts'
import { Gauges } from './gauges.ts'
import { ListFiles } from './list-files.ts'
import { LiveClient, type LiveClientContext, type LiveEnd } from './live-client.ts'
import { codeOf, type FlowContext, LiveFlow } from './live-flow.ts'
import { Network } from './network.ts'
import { Pacer } from './pacer.ts'
import { RelayFleet } from './relay-fleet.ts'
import { makeTestMesh, openTestMesh, type TestMesh } from './test-mesh.ts'

export interface LiveOptions {
  readonly plan: Plan
  readonly environment: Environment
  /** Command line of one relay without its config. */
  readonly relayCommand: readonly string[]
  /** A mesh that runs already; acts on relay processes are refused then. */
  readonly meshDir?: string
  /** Aborting it heals every fault, ends every relay, and gives the partial result. */
  readonly signal?: AbortSignal
  /** About once a second. */
  readonly onStatus?: (status: RunStatus) => void
  /** What relays log, by relay. */
  readonly onRelayLog?: (relayId: string, line: string) => void
}

/** How often the end of a drain is looked for. */
const drainPollMs = 20
/**
 * What an interrupted run may still take: to heal what is in force, to tell peers that connections end, and to release sockets. Whatever is not
 * done by then belongs to processes that end next.
 */
const interruptedEndMs = 3_000
/** Of that, what a client may take to close. */
const interruptedCloseMs = 500
/** Relays that restart in a drill move their clients within this. */
const relayDrainMs = 2_000
const clockActions: readonly FaultAction[] = ['clock_offset', 'clock_drift']

/** Runs a plan and gives what happened. Throws only before the run began: a mesh that cannot be made, acts that cannot be done there. */
export async function runLive(options: LiveOptions): Promise<RunResult> {
  const run = new LiveRun(options)
  return await run.run()
}

class LiveRun {
  readonly #options: LiveOptions
  readonly #plan: Plan
  readonly #recorder: RunRecorder
  readonly #flows: LiveFlow[]
  readonly #clients: LiveClient[] = []
  readonly #work = new Set<Promise<void>>()
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #pacer: Pacer
  #startedMs = 0
  #over = false

  constructor(options: LiveOptions) {
    this.#options = options
    this.#plan = options.plan
    this.#recorder = new RunRecorder(options.plan, {
      engine: 'local',
      environment: options.environment,
      startedAt: new Date().toISOString(),
    })
    this.#pacer = new Pacer(() => this.#now())
    const context: FlowContext = {
      plan: options.plan,
      recorder: this.#recorder,
      pacer: this.#pacer,
      paces: (options.plan.paces ?? []).map((points) => new Pace(points)),
      now: () => this.#now(),
    }
    this.#flows = options.plan.flows.map((flow) => new LiveFlow(flow, context))
  }

  async run(): Promise<RunResult> {
    const { meshDir, signal } = this.#options
    refuseActs(this.#plan, 'live')
    this.#refuseActsThatNeedOurOwnRelays()
    const mesh = meshDir === undefined ? await makeTestMesh(this.#plan) : await openTestMesh(this.#plan, meshDir)
    let fleet: RelayFleet | undefined
    let network: Network | undefined
    let lists: ListFiles | undefined
    try {
      if (meshDir === undefined) {
        fleet = new RelayFleet({
          relayCommand: this.#options.relayCommand,
          meshDir: mesh.dir,
          relayIds: this.#plan.relays.map(({ relay }) => relay),
          drainMs: relayDrainMs,
          clocks: this.#plan.acts.some(({ action }) => clockActions.includes(action)),
          ...(this.#options.onRelayLog === undefined ? {} : { onLog: this.#options.onRelayLog }),
        })
        await fleet.startAll()
      }
      network = await Network.open(this.#plan, mesh.entries, this.#random())
      lists = new ListFiles(this.#plan, mesh, network)
      return await this.#drive(mesh, fleet, network, lists, signal)
    } finally {
      await fleet?.end()
      await network?.close()
      lists?.dispose()
      mesh.dispose()
    }
  }

  async #drive(
    mesh: TestMesh,
    fleet: RelayFleet | undefined,
    network: Network,
    lists: ListFiles,
    signal: AbortSignal | undefined,
  ): Promise<RunResult> {
    this.#startedMs = performance.now()
    const context: LiveClientContext = {
      plan: this.#plan,
      recorder: this.#recorder,
      mesh,
      network,
      lists,
      now: () => this.#now(),
      at: (atMs, what) => this.#at(atMs, what),
      track: (work) => this.#track(work),
      isOver: () => this.#over,
    }
    const ends = this.#plan.clients.map((): LiveEnd[] => [])
    for (const flow of this.#flows) {
      ends[flow.flow.caller]!.push({ flow, side: 'caller' })
      ends[flow.flow.listener]!.push({ flow, side: 'listener' })
    }
    for (const [index, flows] of ends.entries()) this.#clients.push(new LiveClient(index, flows, context))
    const named = new Map(this.#clients.map((client) => [client.planned.client, client]))
    const acts = new ActRunner({
      recorder: this.#recorder,
      fleet,
      network,
      lists,
      culprit: (client) => named.get(client)?.culprit(),
      flowsOf: (client) => named.get(client)?.flows ?? [],
      random: this.#random(),
      now: () => this.#now(),
    })
    const gauges = new Gauges(this.#recorder, fleet, () => this.#now())
    gauges.start(() => this.#options.onStatus?.(this.#recorder.status(this.#now())))
    for (const client of this.#clients) this.#at(client.planned.attachAtMs, () => client.run())
    acts.start()
    await this.#until(this.#plan.run.durationMs, signal)
    await this.#boundedOnceInterrupted(this.#wind(acts, signal), signal)
    gauges.stop()
    return this.#recorder.finish(this.#now(), { interrupted: signal?.aborted === true })
  }

  /** Ends the load, the faults, the connections and the clients, in this order. Interrupted, it waits for nothing that a dead relay could hold up. */
  async #wind(acts: ActRunner, signal: AbortSignal | undefined): Promise<void> {
    this.#pacer.stop()
    const cut = (): void => {
      this.#over = true
      for (const flow of this.#flows) flow.abort()
    }
    if (signal?.aborted === true) cut()
    else signal?.addEventListener('abort', cut, { once: true })
    await acts.end()
    if (signal?.aborted !== true) await this.#drain(signal)
    this.#over = true
    for (const timer of this.#timers) clearTimeout(timer)
    await Promise.allSettled(this.#flows.map((flow) => flow.close()))
    const closing = signal?.aborted === true ? { waitMs: interruptedCloseMs } : {}
    await Promise.allSettled(this.#clients.map((client) => client.close(closing)))
    await Promise.allSettled(this.#work)
    signal?.removeEventListener('abort', cut)
  }

  /** Resolves with the work; or, once the run is interrupted, a few seconds later at most. */
  async #boundedOnceInterrupted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    if (signal === undefined) return await work
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((done) => {
      const arm = (): void => {
        timer = setTimeout(done, interruptedEndMs)
      }
      if (signal.aborted) arm()
      else signal.addEventListener('abort', arm, { once: true })
    })
    await Promise.race([work, late])
    clearTimeout(timer)
  }

  /** Waits until everything sent has arrived, at most as long as the plan allows. */
  async #drain(signal: AbortSignal | undefined): Promise<void> {
    const deadlineMs = this.#now() + this.#plan.run.drainMs
    while (this.#now() < deadlineMs && signal?.aborted !== true && !this.#flows.every((flow) => this.#isDone(flow))) {
      await this.#until(Math.min(deadlineMs, this.#now() + drainPollMs), signal)
    }
  }

  #isDone(flow: LiveFlow): boolean {
    return flow.settled || this.#recorder.flows[flow.flow.flow]?.state !== 'open'
  }

  #refuseActsThatNeedOurOwnRelays(): void {
    if (this.#options.meshDir === undefined) return
    const act = this.#plan.acts.find((one) => familyOf(one) === 'process')
    if (act === undefined) return
    throw new SennitError(
      'not_allowed',
      `fault ${act.fault} (${act.action}) needs relays that the test set starts itself; this run uses a mesh that runs already. Leave --mesh out, or disable the row`,
    )
  }

  #at(atMs: number, what: () => Promise<void>): void {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer)
        if (!this.#over) this.#track(what())
      },
      Math.max(0, atMs - this.#now()),
    )
    this.#timers.add(timer)
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#recorder.error(this.#now(), codeOf(error), String(error)))
      .finally(() => this.#work.delete(tracked))
    this.#work.add(tracked)
  }

  #until(atMs: number, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve()
    return new Promise((done) => {
      const finish = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', finish)
        done()
      }
      const timer = setTimeout(finish, Math.max(0, atMs - this.#now()))
      signal?.addEventListener('abort', finish, { once: true })
    })
  }

  #random(): () => number {
    let draws = 0
    return () => {
      draws += 1
      return keystreamKey(this.#plan.seed, draws) / 0x1_0000_0000
    }
  }

  #now(): number {
    return performance.now() - this.#startedMs
  }
}
