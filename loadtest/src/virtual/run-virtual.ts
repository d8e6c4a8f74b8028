// A workbook's plan in the simulated world: the real machines, the same recorder and checkers, a simulated clock, network and relays. One seed, one
// result: the same plan gives the same numbers on every machine, in seconds for hours.
import { parsePaths } from '@sennit/client/core'
import { type RelayEntry, type RelayLimitWord, relayLimitWords, traitsOfWords } from '@sennit/protocol'
import type { RelayLimits } from '@sennit/relay/core'
import { certificateEnds, refuseActs } from '../fault-actions.ts'
import { linkRules } from '../network-script.ts'
import { Pace } from '../pace.ts'
import type { Plan, PlanRelay } from '../plan.ts'
import { Ramp } from '../ramp.ts'
import { controlsOf, type RunControls } from '../run-controls.ts'
import { AbortWatch } from '../verdict/abort-watch.ts'
import type { RelaySample } from '../verdict/recorded.ts'
import { RunRecorder } from '../verdict/run-recorder.ts'
import type { Environment, RunResult } from '../verdict/run-result.ts'
import type { RunStatus } from '../verdict/run-status.ts'
import { clockOfZone } from '../zone-clock.ts'
import { ClientHost } from './client-host.ts'
import type { HostOptions } from './host.ts'
import { Link, type LinkNature } from './link.ts'
import { PlanActs } from './plan-acts.ts'
import { PlanClientApplication } from './plan-client.ts'
import { PlanFlow } from './plan-flow.ts'
import { RelayHost } from './relay-host.ts'
import { World } from './world.ts'

export interface VirtualOptions {
  readonly plan: Plan
  readonly environment: Environment
  /** Aborting it gives the partial result. */
  readonly signal?: AbortSignal
  /** Once every second of the world. */
  readonly onStatus?: (status: RunStatus) => void
  /** Once, when the run begins: what a person may do to it. The world is faster than they are. */
  readonly onControls?: (controls: RunControls) => void
}

/** The result must repeat to the letter, so a simulated run begins at a time of its own. */
const startedAt = '2026-01-01T00:00:00.000Z'
/** Between two processes of one machine. */
const loopbackMs = 0.05
/** One turn of a busy event loop. */
const turnMs = 0.1
/** Connections that are asked to end have ended by then. */
const closingMs = 35_000
/** Real time between two looks at whether the run was interrupted. */
const breathMs = 25
/** How often the end of a drain is looked for. */
const drainPollMs = 20

/** Runs a plan in the simulated world and gives what happened. */
export async function runVirtual(options: VirtualOptions): Promise<RunResult> {
  return await new VirtualRun(options).run()
}

class VirtualRun {
  readonly #options: VirtualOptions
  readonly #plan: Plan
  readonly #world: World
  readonly #recorder: RunRecorder
  readonly #relays = new Map<string, RelayHost>()
  readonly #links: Link[] = []
  readonly #zones = new Map<Link, string>()
  readonly #flows: PlanFlow[]
  readonly #ramp: Ramp
  readonly #watch: AbortWatch = new AbortWatch()
  readonly #clients: { readonly host: ClientHost; readonly application: PlanClientApplication }[] = []

  constructor(options: VirtualOptions) {
    const { plan, environment } = options
    this.#options = options
    this.#plan = plan
    this.#world = new World({ seed: plan.seed, hosts: plan.clients.length + plan.relays.length })
    this.#recorder = new RunRecorder(plan, { engine: 'virtual', environment, startedAt })
    this.#ramp = new Ramp(
      () => this.#world.nowMs,
      (atMs, what) =>
        this.#world.at(atMs, () => {
          if (this.#world.nowMs < this.#recorder.loadEndMs) what()
        }),
    )
    const users = this.#world.userList(plan.clients.map((client) => client.user))
    for (const { relay, zone, config } of plan.relays) {
      const limits = config === undefined ? {} : { limits: limitsOf(config.limits) }
      this.#relays.set(relay, new RelayHost(this.#world, relay, { users: () => users, turnMs, ...this.#clock(zone), ...limits }))
    }
    const paces = (plan.paces ?? []).map((points) => new Pace(points))
    this.#flows = plan.flows.map((flow) => new PlanFlow(this.#world, this.#recorder, paces, flow))
    this.#recorder.carriers = (flow, side) => this.#flows[flow]!.relays(side)
    const ends = certificateEnds(plan)
    plan.clients.forEach(({ client }, index) => {
      this.#addClient(index, ends.get(client))
    })
  }

  async run(): Promise<RunResult> {
    refuseActs(this.#plan, 'virtual')
    const world = this.#world
    const { durationMs, drainMs } = this.#plan.run
    const acts = new PlanActs({
      world,
      recorder: this.#recorder,
      relays: this.#relays,
      links: this.#links,
      clients: new Map(this.#clients.map(({ host }) => [host.name, host])),
      flowsOf: (name) =>
        this.#flows.flatMap((flow) => {
          const side = (['caller', 'listener'] as const).find((one) => this.#plan.clients[flow.flow[one]]?.client === name)
          return side === undefined ? [] : [{ flow, side }]
        }),
      zoneOf: (link) => this.#zones.get(link) ?? '',
    })
    acts.arm()
    this.#everySecond(1_000, acts)
    this.#options.onControls?.(
      controlsOf({
        recorder: this.#recorder,
        ramp: this.#ramp,
        engine: 'virtual',
        ownRelays: true,
        now: () => world.nowMs,
        begin: (act) => acts.inject(act),
        stop: () => this.#recorder.endLoad(world.nowMs, { by: 'hand', why: 'stopped by hand' }),
      }),
    )
    await this.#until(durationMs, () => this.#recorder.endedEarly !== undefined)
    for (const flow of this.#flows) flow.stopSending()
    acts.end()
    if (!this.#interrupted) {
      const deadlineMs = world.nowMs + drainMs
      while (world.nowMs < deadlineMs && !this.#interrupted && !this.#flows.every((flow) => flow.done))
        await this.#until(Math.min(deadlineMs, world.nowMs + drainPollMs), () => false)
    }
    for (const flow of this.#flows) flow.close()
    await this.#until(world.nowMs + closingMs, () => this.#flows.every((flow) => flow.over))
    for (const { host, application } of this.#clients) if (host.running) application.end(host)
    return this.#recorder.finish(world.nowMs, { interrupted: this.#interrupted })
  }

  get #interrupted(): boolean {
    return this.#options.signal?.aborted === true
  }

  #everySecond(atMs: number, acts: PlanActs): void {
    this.#world.at(atMs, () => {
      // A simulated event loop is never late; saying so lets limits on it be judged.
      this.#recorder.loopDelay(atMs, 0)
      this.#recorder.sample(atMs, undefined, [...this.#relays].map(sampleOf))
      const broken = atMs < this.#recorder.loadEndMs ? this.#watch.look(this.#recorder, atMs) : undefined
      if (broken !== undefined) this.#recorder.endLoad(atMs, broken)
      acts.halt()
      this.#options.onStatus?.(this.#recorder.status(atMs))
      this.#everySecond(atMs + 1_000, acts)
    })
  }

  /** Lets the world go on until then, breathing now and again so that a signal can be heard. */
  async #until(untilMs: number, done: () => boolean): Promise<void> {
    const world = this.#world
    let breathAtMs = performance.now() + breathMs
    while (!this.#interrupted && !done()) {
      for (let step = 0; step < 256; step++) if (!world.step(untilMs) || done()) return
      if (performance.now() < breathAtMs) continue
      await new Promise<void>((go) => setImmediate(go))
      breathAtMs = performance.now() + breathMs
    }
  }

  #addClient(index: number, certificateEndsAtMs: number | undefined): void {
    const world = this.#world
    const planned = this.#plan.clients[index]!
    const links = new Map<string, Link>()
    const { bind = [undefined] } = planned
    for (const relay of planned.relays) {
      const relayZone = this.#plan.relays.find((one) => one.relay === relay)?.zone ?? ''
      for (const [place, address] of bind.entries()) {
        const link = new Link(world, planned.client, relay, this.#nature(planned.zone, relay), place + 1)
        for (const [at, rule] of linkRules(this.#plan.links, planned.zone, relayZone).entries()) link.apply(`link ${at}`, rule)
        links.set(wayOf(relay, address), link)
        this.#links.push(link)
        this.#zones.set(link, planned.zone)
      }
    }
    const relays: RelayEntry[] = planned.relays.map((relayId) => {
      const relay = this.#plan.relays.find((one) => one.relay === relayId)
      const { failureDomain = '', zone = '', config } = relay ?? {}
      return {
        relayId,
        urls: [`http://${relayId}:80`],
        ...(failureDomain === '' ? {} : { failureDomain }),
        ...(zone === '' ? {} : { zone }),
        ...(config?.traits === undefined ? {} : { traits: traitsOfWords(config.traits) }),
      }
    })
    const application = new PlanClientApplication(index, this.#recorder, this.#flows, (atMs, what) => this.#ramp.add(atMs, what))
    const host = new ClientHost(world, planned.client, {
      user: planned.user,
      label: planned.label,
      relays,
      machine: {
        carriers: planned.carrier === 'auto' ? ['upgrade', 'http', 'grpc'] : [planned.carrier],
        ...(planned.paths === '' ? {} : { paths: parsePaths(planned.paths) }),
        ...(planned.keyMode === undefined ? {} : { keyModes: [planned.keyMode] }),
        ...(planned.bind === undefined ? {} : { localAddresses: planned.bind }),
      },
      ...(planned.wrongKey === true ? { wrongKey: true } : {}),
      ...(certificateEndsAtMs === undefined ? {} : { certificateEndsAtMs }),
      application,
      link: (relayId, localAddress) => links.get(wayOf(relayId, localAddress))!,
      relay: (relayId) => this.#relays.get(relayId),
      turnMs,
      ...this.#clock(planned.zone),
    })
    this.#clients.push({ host, application })
    const { attachAtMs, detachAtMs, again = [] } = planned
    for (const presence of [{ attachAtMs, detachAtMs }, ...again])
      this.#ramp.add(presence.attachAtMs, () => application.come(host, presence))
  }

  /** The time that the machines of a zone go by. */
  #clock(zone: string): Pick<HostOptions, 'clock'> {
    const clock = clockOfZone(this.#plan, zone)
    return clock === undefined ? {} : { clock: { offsetMs: clock.offsetMs, rate: 1 + clock.drift } }
  }

  /** Half of the round trip of the rows each way, as the live runner's proxies have it. */
  #nature(clientZone: string, relay: string): LinkNature {
    const { links, relays } = this.#plan
    const relayZone = relays.find((one) => one.relay === relay)?.zone
    const out = links.find((link) => link.from === clientZone && link.to === relayZone)
    const back = links.find((link) => link.from === relayZone && link.to === clientZone) ?? out
    const one = out ?? back
    const latencyMs = one === undefined ? 0 : ((out ?? one).rttMs + (back ?? one).rttMs) / 4
    return {
      latencyMs: latencyMs + loopbackMs,
      jitterMs: one?.jitterMs ?? 0,
      bytesPerMs: Number.POSITIVE_INFINITY,
      capacityBytes: 1_048_576,
      cutShare: 0,
      dialFailShare: 0,
    }
  }
}

function wayOf(relay: string, localAddress: string | undefined): string {
  return `${relay} ${localAddress ?? ''}`
}

function sampleOf([relay, { state }]: [string, RelayHost]): RelaySample {
  return { relay, state: state === 'running' ? 'up' : state }
}

/** The limits of a relay in the program's words. */
function limitsOf(words: NonNullable<PlanRelay['config']>['limits'] = {}): Partial<RelayLimits> {
  return Object.fromEntries(Object.entries(words).map(([word, value]) => [relayLimitWords[word as RelayLimitWord], value]))
}
