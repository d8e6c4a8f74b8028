// The coordinator's own part of a run: acts on relays, what is chosen for agents, what relays use; and what only who hears of the whole can decide: limits
// that end the run, conditions of faults, and what a person does to it.
import { ActRunner } from '../live/act-runner.ts'
import { Gauges } from '../live/gauges.ts'
import { ListFiles } from '../live/list-files.ts'
import { runDice } from '../live/live-load.ts'
import { Network } from '../live/network.ts'
import type { RunRelays } from '../live/run-relays.ts'
import { controlsOf, type RunControls } from '../run-controls.ts'
import { AbortWatch } from '../verdict/abort-watch.ts'
import { limitStatuses } from '../verdict/make-status.ts'
import type { RunRecorder } from '../verdict/run-recorder.ts'
import type { EndedEarly } from '../verdict/run-result.ts'
import type { LimitStatus, RunStatus } from '../verdict/run-status.ts'
import type { TimelineSecond } from '../verdict/timeline.ts'
import { mergeStatuses } from './merge-status.ts'
import type { Order, Snapshot } from './messages.ts'
import { WholeRun } from './whole-run.ts'

/** What was heard of an agent. */
export interface Heard {
  readonly last: Snapshot
  readonly seconds: readonly TimelineSecond[]
}

export interface PartOptions {
  readonly recorder: RunRecorder
  readonly relays: RunRelays
  /** Milliseconds after the start of the run. */
  readonly now: () => number
  /** Of every agent that is there; undefined: one of them has not told anything yet, and there is no whole. */
  readonly heard: () => ReadonlyMap<number, Heard> | undefined
  readonly tell: (order: Order) => void
  /** The load is over before its time. */
  readonly onEnd: (why: Omit<EndedEarly, 'atMs'>) => void
  /** Everything that was done to relays is healed. */
  readonly onHealed: () => void
  readonly onStatus: (status: RunStatus) => void
  readonly onControls: ((controls: RunControls) => void) | undefined
}

/** Once a second, as agents tell. */
const statusEveryMs = 1_000
/** What is begun by hand begins so much later: the target is chosen half a second ahead, and agents have to hear of both. */
const byHandAheadMs = 1_000
/** Putting the whole together takes at most this share of the time. */
const lookShare = 0.01

export class CoordinatorPart {
  readonly #options: PartOptions
  readonly #whole: WholeRun
  readonly #watch = new AbortWatch()
  readonly #gauges: Gauges
  #acts: ActRunner | undefined
  #begun: Promise<void> | undefined
  #healed: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #seen: RunRecorder | undefined
  #limits: readonly LimitStatus[] | undefined
  #statusMs = 0
  #nextLookMs = 0
  #rampPaused = false

  constructor(options: PartOptions) {
    this.#options = options
    this.#whole = new WholeRun(options.recorder)
    this.#gauges = new Gauges(options.recorder, options.relays.fleet, options.now, { ownLoop: false })
  }

  start(): void {
    this.#begun = this.#begin()
  }

  told(rank: number, { seen }: Snapshot): void {
    this.#whole.told(rank, seen)
  }

  /** Heals what is in force. */
  async heal(): Promise<void> {
    this.#healed ??= this.#heal()
    await this.#healed
  }

  /** Nobody looks any more. */
  async end(): Promise<void> {
    await this.heal()
    this.#gauges.stop()
  }

  async #begin(): Promise<void> {
    const { recorder, relays, now, tell, heard, onControls } = this.#options
    const { plan } = recorder
    const { fleet, mesh } = relays
    const nobody = { ...plan, clients: [], flows: [], links: [], acts: [], drills: [] }
    const network = await Network.open(nobody, mesh.entries, runDice(plan))
    const acts = new ActRunner({
      recorder,
      fleet,
      network,
      lists: await ListFiles.open(nobody, mesh, network),
      culprit: () => undefined,
      flowsOf: () => [],
      random: runDice(plan),
      now,
      part: {
        does: 'relays',
        onChosen: (act, relay) => tell({ do: 'act', act: act.act, relay: relay ?? null }),
        onHealed: (act, atMs) => tell({ do: 'healed', act: act.act, atMs }),
        onHalted: (act) => tell({ do: 'heal', act: act.act }),
        whole: () => this.#seen,
        trafficOf: (relay) => {
          const told = [...(heard()?.values() ?? [])].flatMap(({ last }) => last.traffic)
          return told.reduce((sum, [name, perSecond]) => (name === relay ? sum + perSecond : sum), 0)
        },
      },
    })
    this.#acts = acts
    acts.start()
    this.#gauges.start(() => this.#second())
    this.#timer = setTimeout(() => void this.heal(), Math.max(0, plan.run.durationMs - now()))
    onControls?.(this.#controls(acts))
  }

  #controls(acts: ActRunner): RunControls {
    const { recorder, relays, now, tell } = this.#options
    const pause = (paused: boolean): void => {
      this.#rampPaused = paused
      tell({ do: 'ramp', paused })
    }
    const isPaused = (): boolean => this.#rampPaused
    return controlsOf({
      recorder,
      ramp: {
        get paused() {
          return isPaused()
        },
        pause: () => pause(true),
        resume: () => pause(false),
      },
      engine: 'live',
      ownRelays: relays.fleet !== undefined,
      now,
      aheadMs: byHandAheadMs,
      begin: (act) => {
        tell({ do: 'inject', act })
        acts.inject(act)
      },
      stop: () => this.#endLoad({ by: 'hand', why: 'stopped by hand' }),
    })
  }

  #second(): void {
    const { now, heard, recorder, onStatus } = this.#options
    if (now() < 0 || now() - this.#statusMs < statusEveryMs / 2) return
    this.#statusMs = now()
    const all = heard()
    if (all === undefined) return
    this.#look(all)
    const told = [...all].map(([rank, { last }]) => ({ id: String(rank), status: last.status }))
    const own = recorder.status(now())
    onStatus(mergeStatuses({ ...own, limits: this.#limits ?? own.limits }, told))
  }

  /** Looks at the whole, and does what follows from it. */
  #look(all: ReadonlyMap<number, Heard>): void {
    const { now, recorder } = this.#options
    const nowMs = now()
    if (nowMs < this.#nextLookMs) return
    const beganMs = performance.now()
    this.#seen = this.#whole.look(new Map([...all].map(([rank, { seconds }]) => [rank, seconds])))
    if (this.#seen === undefined) return
    this.#limits = limitStatuses(this.#seen, nowMs)
    const broken = nowMs < recorder.loadEndMs ? this.#watch.look(this.#seen, nowMs) : undefined
    if (broken !== undefined) this.#endLoad(broken)
    this.#acts?.halt(this.#seen)
    this.#nextLookMs = nowMs + (performance.now() - beganMs) / lookShare - statusEveryMs / 2
  }

  #endLoad(why: Omit<EndedEarly, 'atMs'>): void {
    const { recorder, now, onEnd } = this.#options
    recorder.endLoad(Math.max(0, now()), why)
    onEnd(why)
    void this.heal()
  }

  async #heal(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#begun
    clearTimeout(this.#timer)
    await this.#acts?.end()
    this.#options.onHealed()
  }
}
