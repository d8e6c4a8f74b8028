// A run with the real client library, real relay processes and real faults.
import { Client, type ClientOptions } from '@sennit/client'
import { SennitError } from '@sennit/protocol'
import { familyOf, refuseActs } from '../fault-actions.ts'
import type { FaultAction, Flow, Plan, PlanClient } from '../plan.ts'
import { keystreamKey } from '../verdict/keystream.ts'
import { RunRecorder, type RunStatus, type Side } from '../verdict/run-recorder.ts'
import type { Environment, RunResult } from '../verdict/run-result.ts'
import { ActRunner } from './act-runner.ts'
import { Gauges } from './gauges.ts'
import { ListFiles } from './list-files.ts'
import { codeOf, type FlowContext, LiveFlow } from './live-flow.ts'
import type { Culprit } from './misbehaviour.ts'
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

/** How long a connection is asked for before its flow counts as failed. */
const connectWaitMs = 30_000
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
  readonly #clients = new Map<number, Client>()
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
    const context: FlowContext = { plan: options.plan, recorder: this.#recorder, pacer: this.#pacer, now: () => this.#now() }
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
    const acts = new ActRunner({
      recorder: this.#recorder,
      fleet,
      network,
      lists,
      culprit: (client) => this.#culprit(client, mesh, network, lists),
      flowsOf: (client) => this.#flowsOf(this.#plan.clients.findIndex((one) => one.client === client)),
      random: this.#random(),
      now: () => this.#now(),
    })
    const gauges = new Gauges(this.#recorder, fleet, () => this.#now())
    gauges.start(() => this.#options.onStatus?.(this.#recorder.status(this.#now())))
    this.#plan.clients.forEach((client, index) => {
      this.#at(client.attachAtMs, () => this.#runClient(client, index, mesh, network, lists))
    })
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
    await Promise.allSettled([...this.#clients.values()].map((client) => client.close(closing)))
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

  async #runClient(planned: PlanClient, index: number, mesh: TestMesh, network: Network, lists: ListFiles): Promise<void> {
    const options = this.#optionsOf(planned, mesh, network, lists)
    let client: Client
    try {
      client = await Client.open(options)
    } catch (error) {
      this.#recorder.clientRejected(this.#now(), index, codeOf(error), error instanceof Error ? error.message : String(error))
      return
    }
    if (this.#over) {
      await client.close()
      return
    }
    this.#clients.set(index, client)
    this.#recorder.clientAttached(this.#now(), index)
    if (planned.detachAtMs !== null) this.#at(planned.detachAtMs, () => this.#detach(index))
    const serves = this.#plan.flows.filter((flow) => flow.listener === index)
    for (const application of new Set(serves.map((flow) => flow.application))) this.#track(this.#listen(client, application, index))
    for (const flow of this.#plan.flows.filter((one) => one.caller === index)) this.#at(flow.openAtMs, () => this.#connect(client, flow))
  }

  #optionsOf(planned: PlanClient, mesh: TestMesh, network: Network, lists: ListFiles): ClientOptions {
    return {
      credential: mesh.credentials.get(planned.user) ?? '',
      relays: lists.fileFor(planned) ?? network.entriesFor(planned),
      dialThrough: (url, relayId) => network.dialled(planned, url, relayId),
      ...(planned.label === '' ? {} : { label: planned.label }),
      ...(planned.carrier === 'auto' ? {} : { carriers: [planned.carrier] }),
      ...(planned.proxy === '' ? {} : { proxy: planned.proxy }),
      ...(planned.paths === '' ? {} : { paths: planned.paths }),
      ...(planned.keyMode === undefined ? {} : { keyMode: planned.keyMode }),
      ...(planned.compress === undefined ? {} : { compress: planned.compress === 'auto' ? 'auto' : planned.compress === 'always' }),
    }
  }

  /** What somebody needs who acts in the name of a client. */
  #culprit(name: string, mesh: TestMesh, network: Network, lists: ListFiles): Culprit | undefined {
    const index = this.#plan.clients.findIndex(({ client }) => client === name)
    const client = this.#plan.clients[index]
    if (client === undefined || !this.#clients.has(index)) return undefined
    const [entry] = network.entriesFor(client)
    const relayUrl = entry?.urls[0]
    if (entry === undefined || relayUrl === undefined) return undefined
    const flow = this.#flowsOf(index).find(({ flow: one }) => this.#recorder.flows[one.flow.flow]?.state === 'open')?.flow.flow
    const serves = flow?.listener === index
    const other = flow === undefined ? undefined : this.#plan.clients[serves ? flow.caller : flow.listener]
    const options = this.#optionsOf(client, mesh, network, lists)
    return { client, options, relayUrl, relayId: entry.relayId, flow, peer: other === undefined ? '' : fullName(other), serves }
  }

  #flowsOf(index: number): { readonly flow: LiveFlow; readonly side: Side }[] {
    return this.#flows.flatMap((flow): { readonly flow: LiveFlow; readonly side: Side }[] => {
      if (flow.flow.caller === index) return [{ flow, side: 'caller' }]
      return flow.flow.listener === index ? [{ flow, side: 'listener' }] : []
    })
  }

  async #listen(client: Client, application: string, index: number): Promise<void> {
    try {
      const listener = await client.listen({ application })
      for await (const connection of listener) {
        const flow = this.#flows.find(({ flow: one }) => {
          const caller = this.#plan.clients[one.caller]
          return (
            one.listener === index &&
            one.application === application &&
            caller !== undefined &&
            caller.user === connection.peer.user &&
            caller.label === connection.peer.label
          )
        })
        if (flow === undefined) connection.abort('rejected')
        else flow.attach('listener', connection)
      }
    } catch (error) {
      if (!this.#over) this.#recorder.error(this.#now(), codeOf(error), error instanceof Error ? error.message : String(error))
    }
  }

  async #connect(client: Client, flow: Flow): Promise<void> {
    const listener = this.#plan.clients[flow.listener]
    if (listener === undefined) return
    const startedMs = this.#now()
    try {
      const connection = await client.connect({
        user: fullName(listener),
        application: flow.application,
        waitMs: connectWaitMs,
      })
      this.#recorder.connectionOpened(this.#now(), flow.flow, this.#now() - startedMs)
      this.#flows[flow.flow]?.attach('caller', connection)
      if (flow.closeAtMs !== null) this.#at(flow.closeAtMs, async () => await this.#flows[flow.flow]?.close())
    } catch (error) {
      if (!this.#over)
        this.#recorder.connectionFailed(this.#now(), flow.flow, codeOf(error), error instanceof Error ? error.message : String(error))
    }
  }

  async #detach(index: number): Promise<void> {
    await Promise.allSettled(this.#flows.filter(({ flow }) => flow.caller === index || flow.listener === index).map((flow) => flow.close()))
    await this.#clients.get(index)?.close()
    this.#clients.delete(index)
    this.#recorder.clientDetached(this.#now(), index)
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

function fullName({ user, label }: PlanClient): string {
  return label === '' ? user : `${user}/${label}`
}
