// The load of a run: simulated clients, their connections and the acts on them, from the start of the run to the last closed socket. One process
// runs all clients of a plan, or (on several machines) an agent runs its part of them.

import { certificateEnds } from '../fault-actions.ts'
import { Pace } from '../pace.ts'
import type { FaultAct, Plan } from '../plan.ts'
import { Ramp } from '../ramp.ts'
import { controlsOf, type RunControls } from '../run-controls.ts'
import { AbortWatch } from '../verdict/abort-watch.ts'
import { keystreamKey } from '../verdict/keystream.ts'
import type { RunRecorder } from '../verdict/run-recorder.ts'
import type { EndedEarly } from '../verdict/run-result.ts'
import { type ActPart, ActRunner } from './act-runner.ts'
import { Gauges } from './gauges.ts'
import type { ListFiles } from './list-files.ts'
import { LiveClient, type LiveClientContext, type LiveEnd } from './live-client.ts'
import { LiveFlow } from './live-flow.ts'
import { codeOf, type FlowContext } from './live-session.ts'
import type { Network } from './network.ts'
import { Pacer } from './pacer.ts'
import type { RelayFleet } from './relay-fleet.ts'
import { StartGate } from './start-gate.ts'
import type { TestMesh } from './test-mesh.ts'

export interface LoadOptions {
  readonly plan: Plan
  /** Is told everything; whoever runs the load finishes it. */
  readonly recorder: RunRecorder
  readonly mesh: TestMesh
  readonly network: Network
  readonly lists: ListFiles
  /** undefined: the relays are not started here. */
  readonly fleet: RelayFleet | undefined
  /** Milliseconds after the start of the run. */
  readonly now: () => number
  /** About once a second. */
  readonly onSecond: () => void
  /** Once, when the load begins: what a person may do to it. */
  readonly onControls?: (controls: RunControls) => void
  /** What is decided elsewhere, where agents share a run. */
  readonly part?: LoadPart
}

/** An agent's part of a run. */
export interface LoadPart {
  readonly acts: ActPart
  /** Is handed what orders go to. */
  readonly onBegin: (steering: LoadSteering) => void
  /**
   * Resolves when everything that any agent sent has arrived, or nobody waits for it any more: with the connections of which something is missing.
   * @param settled whether all connections with both ends here are done
   */
  drained(settled: () => boolean): Promise<ReadonlySet<number>>
}

/** What orders from elsewhere do to a load. */
export interface LoadSteering {
  readonly acts: ActRunner
  pauseRamp(paused: boolean): void
  /** Begins an act that the plan does not have, at its time. */
  inject(act: FaultAct): void
  end(why: Omit<EndedEarly, 'atMs'>): void
  /** Connections and clients that are still to be closed; undefined before the drain is over. */
  left(): number | undefined
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

/** What acts, jitter and corruption leave open, drawn from the run's seed. */
export function runDice(plan: Plan): () => number {
  let draws = 0
  return () => {
    draws += 1
    return keystreamKey(plan.seed, draws) / 0x1_0000_0000
  }
}

/** Runs the load to its end; aborted, it ends within seconds. What went wrong is in the recorder. */
export async function runLoad(options: LoadOptions, signal: AbortSignal | undefined): Promise<void> {
  await new LiveLoad(options).run(signal)
}

class LiveLoad {
  readonly #options: LoadOptions
  readonly #plan: Plan
  readonly #recorder: RunRecorder
  readonly #flows: LiveFlow[]
  readonly #clients: LiveClient[] = []
  readonly #work = new Set<Promise<void>>()
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #pacer: Pacer
  readonly #ramp: Ramp
  readonly #gate: StartGate
  /** Nobody starts any more. */
  #loadOver = false
  #over = false
  #left: number | undefined

  constructor(options: LoadOptions) {
    const { plan, recorder, now } = options
    this.#options = options
    this.#plan = plan
    this.#recorder = recorder
    this.#pacer = new Pacer(now)
    this.#gate = new StartGate(now)
    this.#ramp = new Ramp(now, (atMs, what) =>
      this.#at(atMs, async () => {
        if (!this.#loadOver) what()
      }),
    )
    const paces = (plan.paces ?? []).map((points) => new Pace(points))
    const context: FlowContext = { plan, recorder, pacer: this.#pacer, paces, now }
    this.#flows = plan.flows.filter((flow) => recorder.endsOf(flow).length > 0).map((flow) => new LiveFlow(flow, context))
    const byNumber = new Map(this.#flows.map((flow) => [flow.flow.flow, flow]))
    recorder.carriers = (flow, side) => byNumber.get(flow)?.relays(side) ?? []
  }

  async run(signal: AbortSignal | undefined): Promise<void> {
    const { mesh, network, lists, fleet, now, onSecond, onControls, part } = this.#options
    const context: LiveClientContext = {
      plan: this.#plan,
      recorder: this.#recorder,
      mesh,
      network,
      lists,
      certificateEnds: certificateEnds(this.#plan),
      now,
      ramp: (atMs, what) => this.#ramp.add(atMs, () => this.#track(what())),
      track: (work) => this.#track(work),
      gate: this.#gate,
      isOver: () => this.#over,
    }
    const ends = this.#plan.clients.map((): LiveEnd[] => [])
    for (const flow of this.#flows) {
      ends[flow.flow.caller]!.push({ flow, side: 'caller' })
      ends[flow.flow.listener]!.push({ flow, side: 'listener' })
    }
    const { mine } = this.#recorder.options
    for (const [index, flows] of ends.entries()) if (mine?.has(index) ?? true) this.#clients.push(new LiveClient(index, flows, context))
    const named = new Map(this.#clients.map((client) => [client.planned.client, client]))
    const acts = new ActRunner({
      recorder: this.#recorder,
      fleet,
      network,
      lists,
      culprit: (client) => named.get(client)?.culprit(),
      flowsOf: (client) => named.get(client)?.flows ?? [],
      random: runDice(this.#plan),
      now,
      ...(part === undefined ? {} : { part: part.acts }),
    })
    const gauges = new Gauges(this.#recorder, fleet, now, { onLoopDelay: (delayMs) => this.#gate.loopDelay(delayMs) })
    const ending = new AbortController()
    const endLoad = (why: Omit<EndedEarly, 'atMs'>): void => {
      this.#recorder.endLoad(now(), why)
      ending.abort()
    }
    part?.onBegin({
      acts,
      pauseRamp: (paused) => {
        if (paused) this.#ramp.pause()
        else this.#ramp.resume()
        this.#recorder.rampPaused = paused
      },
      inject: (act) => acts.inject(this.#recorder.addAct(act)),
      end: endLoad,
      left: () => this.#left,
    })
    // An agent sees a part of what a limit is about: its coordinator looks at the whole.
    const watch = part === undefined ? new AbortWatch() : undefined
    gauges.start(() => {
      const broken = now() < this.#recorder.loadEndMs ? watch?.look(this.#recorder, now()) : undefined
      if (broken !== undefined) endLoad(broken)
      if (part === undefined) acts.halt(this.#recorder)
      onSecond()
    })
    onControls?.(
      controlsOf({
        recorder: this.#recorder,
        ramp: this.#ramp,
        engine: 'live',
        ownRelays: fleet !== undefined,
        now,
        begin: (act) => acts.inject(act),
        stop: () => endLoad({ by: 'hand', why: 'stopped by hand' }),
      }),
    )
    for (const client of this.#clients) client.start()
    acts.start()
    await this.#until(this.#plan.run.durationMs, signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal]))
    await this.#boundedOnceInterrupted(this.#wind(acts, signal), signal)
    gauges.stop()
  }

  /** Ends the load, the faults, the connections and the clients, in this order. Interrupted, it waits for nothing that a dead relay could hold up. */
  async #wind(acts: ActRunner, signal: AbortSignal | undefined): Promise<void> {
    this.#loadOver = true
    this.#pacer.stop()
    const cut = (): void => {
      this.#over = true
      this.#gate.end()
      for (const flow of this.#flows) flow.abort()
    }
    if (signal?.aborted === true) cut()
    else signal?.addEventListener('abort', cut, { once: true })
    await acts.end()
    const unsettled = signal?.aborted === true ? new Set<number>() : await this.#drain(signal)
    this.#over = true
    this.#gate.end()
    for (const timer of this.#timers) clearTimeout(timer)
    this.#left = this.#flows.length + this.#clients.length
    const closed = (): void => {
      this.#left! -= 1
    }
    await Promise.allSettled(this.#flows.map((flow) => flow.close(unsettled).finally(closed)))
    const closing = signal?.aborted === true ? { waitMs: interruptedCloseMs } : {}
    await Promise.allSettled(this.#clients.map((client) => client.close(closing).finally(closed)))
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

  /** Waits until everything sent has arrived, at most as long as the plan allows. Gives the connections of which others know that it has not. */
  async #drain(signal: AbortSignal | undefined): Promise<ReadonlySet<number>> {
    const { part } = this.#options
    if (part !== undefined) return await part.drained(() => this.#flows.every((flow) => this.#isDone(flow)))
    const deadlineMs = this.#options.now() + this.#plan.run.drainMs
    while (this.#options.now() < deadlineMs && signal?.aborted !== true && !this.#flows.every((flow) => this.#isDone(flow))) {
      await this.#until(Math.min(deadlineMs, this.#options.now() + drainPollMs), signal)
    }
    return new Set()
  }

  #isDone(flow: LiveFlow): boolean {
    return flow.settled || this.#recorder.flows[flow.flow.flow]?.state !== 'open'
  }

  #at(atMs: number, what: () => Promise<void>): void {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer)
        if (!this.#over) this.#track(what())
      },
      Math.max(0, atMs - this.#options.now()),
    )
    this.#timers.add(timer)
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#recorder.error(this.#options.now(), codeOf(error), String(error)))
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
      const timer = setTimeout(finish, Math.max(0, atMs - this.#options.now()))
      signal?.addEventListener('abort', finish, { once: true })
    })
  }
}
