// The nemesis: carries out the plan's acts at their times, heals each, and leaves a receipt for both.
import { carriedBy, targetName } from '../act-target.ts'
import { familyOf } from '../fault-actions.ts'
import { networkScript } from '../network-script.ts'
import type { FaultAct } from '../plan.ts'
import { whyHalted } from '../verdict/abort-conditions.ts'
import type { RunRecorder, Side } from '../verdict/run-recorder.ts'
import type { ListFiles } from './list-files.ts'
import type { LiveFlow } from './live-flow.ts'
import { type Culprit, misbehave } from './misbehaviour.ts'
import type { Network } from './network.ts'
import { doProcessAct } from './process-acts.ts'
import type { RelayFleet } from './relay-fleet.ts'

/** What is done here of the acts of a run that several processes share. */
export interface ActPart {
  /**
   * `relays`: acts on relay processes, and the choice of targets, a little ahead; what is done to clients and their network is only taken note of.
   * `clients`: the other half; what is decided or done elsewhere waits for {@link ActRunner.told} and {@link ActRunner.healed}.
   */
  readonly does: 'relays' | 'clients'
  /** `relays`: what was chosen for an act that others carry out or take note of, before it begins. */
  readonly onChosen?: (act: FaultAct, relay: string | undefined) => void
  /** `relays`: an act on a relay process was healed. */
  readonly onHealed?: (act: FaultAct, nowMs: number) => void
  /** `relays`: an act that others carry out must be healed now. */
  readonly onHalted?: (act: FaultAct) => void
  /** `relays`: the run as all of it was told last; conditions of acts are about that. */
  readonly whole?: () => RunRecorder | undefined
  /** `relays`: messages a second that a relay carries, as the others told last. */
  readonly trafficOf?: (relay: string) => number
}

/** So long before it begins the target of an act is chosen: the way to the agents and back, with room. */
const chooseAheadMs = 500
/** A relay is acted on so much later than planned, so that agents whose clocks are a little behind have taken note of it before its effect. */
const processGraceMs = 10
/** An act on the network that an agent hears of later than this would be another one than the others do. */
const lateMaxMs = 250

export interface ActRunnerOptions {
  readonly recorder: RunRecorder
  /** undefined: the relays are not ours, and acts on processes were refused before the run. */
  readonly fleet: RelayFleet | undefined
  readonly network: Network
  /** The relay lists that clients read. */
  readonly lists: ListFiles
  /** Who does what a client should not do, by name; undefined when it is not there. */
  readonly culprit: (client: string) => Culprit | undefined
  /** Connections of a client by name, and the end of each that it is. */
  readonly flowsOf: (client: string) => readonly { readonly flow: LiveFlow; readonly side: Side }[]
  /** Draws what acts leave open, from the run's seed. */
  readonly random: () => number
  readonly now: () => number
  /** Absent: everything is done here. */
  readonly part?: ActPart
}

export class ActRunner {
  readonly #options: ActRunnerOptions
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #running = new Set<Promise<void>>()
  /** Acts in force and how to end each early. */
  readonly #healing = new Map<number, () => Promise<void>>()
  /** Targets of `heal = never`: nothing revives them while the run lasts. */
  readonly #gone = new Set<string>()
  #ended = false

  constructor(options: ActRunnerOptions) {
    this.#options = options
  }

  /** Arms every act. Times count from the start of the run. */
  start(): void {
    for (const act of this.#options.recorder.plan.acts) this.#arm(act)
  }

  /** What was chosen for an act elsewhere. */
  told(index: number, relay: string | undefined): void {
    const act = this.#options.recorder.acts[index]?.act
    if (act === undefined || this.#ended) return
    if (familyOf(act) === 'process' || this.#isInTime(act)) this.#at(act.atMs, () => this.#begin(act, relay))
  }

  /** An act on a relay process was healed elsewhere. */
  healed(index: number, atMs: number): void {
    if (this.#options.recorder.acts[index]?.startMs != null) this.#options.recorder.faultHealed(atMs, index, '')
  }

  /** Begins an act that the plan does not have, at its time. */
  inject(act: FaultAct): void {
    if (!this.#ended) this.#arm(act)
  }

  /** Heals at once what must not go on, as the rows say. Once a second, with a recorder that has seen the whole run. */
  halt(seen: RunRecorder): void {
    const { recorder, now, part } = this.#options
    for (const index of [...this.#healing.keys()]) {
      const { act } = recorder.acts[index]!
      const why = whyHalted(seen, act, now())
      if (why === undefined) continue
      recorder.faultHalted(index, why)
      if (familyOf(act) !== 'process') part?.onHalted?.(act)
      this.heal(index)
    }
  }

  /** Heals an act now, if it is in force. */
  heal(index: number): void {
    const heal = this.#healing.get(index)
    if (heal === undefined) return
    const running = heal().finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** Heals whatever is in force, in any case; resolves when all is healed. */
  async end(): Promise<void> {
    this.#ended = true
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    await Promise.all(this.#running)
    await Promise.all([...this.#healing.values()].map((heal) => heal()))
    for (const timer of this.#timers) clearTimeout(timer)
  }

  #at(atMs: number, what: () => Promise<void>): void {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer)
        const running = what().finally(() => this.#running.delete(running))
        this.#running.add(running)
      },
      Math.max(0, atMs - this.#options.now()),
    )
    this.#timers.add(timer)
  }

  #arm(act: FaultAct): void {
    const { part } = this.#options
    const decidedElsewhere = familyOf(act) === 'process' || act.target.kind === 'busiest' || (act.haltIf ?? []).length > 0
    if (part?.does === 'relays') this.#at(act.atMs - chooseAheadMs, () => this.#choose(act, decidedElsewhere))
    else if (part === undefined) this.#at(act.atMs, () => this.#begin(act, undefined))
    else if (!decidedElsewhere && this.#isInTime(act)) this.#at(act.atMs, () => this.#begin(act, undefined))
  }

  /** Whether it can still begin when it does for the others. */
  #isInTime(act: FaultAct): boolean {
    const lateMs = this.#options.now() - act.atMs
    if (lateMs <= lateMaxMs) return true
    this.#fail(act, `it was told ${Math.round(lateMs)} ms after it should have begun (at most ${lateMaxMs} ms)`)
    return false
  }

  /** Decides for all what becomes of an act. */
  async #choose(act: FaultAct, tell: boolean): Promise<void> {
    const { part, fleet, recorder, now } = this.#options
    const why = whyHalted(part?.whole?.() ?? recorder, act, now())
    if (why !== undefined) {
      recorder.faultHalted(act.act, why)
      return
    }
    const relay = this.#relayOf(act)
    const process = familyOf(act) === 'process'
    const can =
      (act.target.kind !== 'busiest' || relay !== undefined) && (!process || (relay !== undefined && fleet?.isRunning(relay) === true))
    if (tell && can) part?.onChosen?.(act, relay)
    this.#at(act.atMs + (process ? processGraceMs : 0), () => this.#begin(act, relay))
  }

  async #begin(act: FaultAct, chosen: string | undefined): Promise<void> {
    const { recorder, now, part } = this.#options
    // Who sees a part of the clients does not judge for all.
    const why = part === undefined ? whyHalted(recorder, act, now()) : undefined
    if (why !== undefined) {
      recorder.faultHalted(act.act, why)
      return
    }
    const relay = chosen ?? this.#relayOf(act)
    if (relay !== undefined && this.#gone.has(relay)) {
      this.#fail(act, `${relay} was ended for good by an earlier act`)
      return
    }
    if (act.target.kind === 'busiest' && relay === undefined) {
      this.#fail(act, 'no relay of the target runs and is free of other acts')
      return
    }
    try {
      const family = familyOf(act)
      if (part !== undefined && ((family === 'process') !== (part.does === 'relays') || !this.#isHere(act))) this.#note(act, relay)
      else if (family === 'network') this.#network(act, relay)
      else if (act.action === 'cert_expired' && family === 'client') this.#certificates(act)
      else if (family === 'client') await this.#lists(act)
      else if (family === 'misbehaviour') await this.#misbehave(act)
      else if (relay === undefined) this.#fail(act, 'acts on processes need a relay as their target')
      else await this.#process(act, relay)
    } catch (error) {
      recorder.faultFailed(now(), act.act, error instanceof Error ? error.message : String(error))
    }
  }

  /** Others carry it out. */
  #note(act: FaultAct, relay: string | undefined): void {
    const { recorder, now, part } = this.#options
    recorder.faultStarted(now(), act.act, targetName(act, relay), '', carriedBy(recorder, act, relay))
    // That a process runs again is told by whoever started it.
    if (part?.does === 'relays' || familyOf(act) !== 'process')
      this.#healLater(act, async () => {
        recorder.faultHealed(now(), act.act, '')
      })
  }

  /** Whether one of the clients that it is about runs here; of what is about no clients, true. */
  #isHere({ target, action }: FaultAct): boolean {
    if (target.kind !== 'clients' || familyOf({ action, target }) === 'process') return true
    return this.#namesHere(target.clients).length > 0
  }

  #namesHere(names: readonly string[]): readonly string[] {
    const { plan, options } = this.#options.recorder
    if (options.mine === undefined) return names
    const here = new Set([...options.mine].map((client) => plan.clients[client]?.client))
    return names.filter((name) => here.has(name))
  }

  #network(act: FaultAct, relay: string | undefined): void {
    const { recorder, network, random, now } = this.#options
    const links = network.hitBy(act, relay)
    const startedMs = now()
    recorder.faultStarted(startedMs, act.act, targetName(act, relay), '', carriedBy(recorder, act, relay))
    const before = network.effects(links)
    let cut = 0
    let over = false
    const lasts = networkScript(act, links.length, random).map((step) => {
      const run = async (): Promise<void> => {
        if (!over) cut += network.step(act, links, step)
      }
      if (step.afterMs === 0) void run()
      else this.#at(startedMs + step.afterMs, run)
      return step.do === 'apply' || step.afterMs > 0
    })
    const ended = (): string => (cut === 0 ? '' : `, ${cut} connections ended`)
    recorder.faultReceipt(act.act, `${act.action} on ${links.length} link${links.length === 1 ? '' : 's'} of the fault proxy${ended()}`)
    if (!lasts.includes(true)) {
      recorder.faultHealed(now(), act.act, 'nothing to heal: new connections pass')
      return
    }
    this.#healLater(act, async () => {
      over = true
      network.heal(act)
      const effects = [...network.effects(links)].map(([what, count]) => [what, count - (before.get(what) ?? 0)] as const)
      const facts = effects.filter(([, count]) => count > 0).map(([what, count]) => `, ${count} ${what}`)
      recorder.faultHealed(now(), act.act, `rules taken from ${links.length} links${ended()}${facts.join('')}`)
    })
  }

  async #lists(act: FaultAct): Promise<void> {
    const { recorder, lists, now } = this.#options
    recorder.faultStarted(now(), act.act, targetName(act, undefined), '', carriedBy(recorder, act, undefined))
    recorder.faultReceipt(act.act, await lists.spoil(act))
    this.#healLater(act, async () => {
      const mended = await lists.mend(act)
      recorder.faultHealed(now(), act.act, mended)
    })
  }

  /** Clients came with certificates that end now; whoever let them in sees to it. */
  #certificates(act: FaultAct): void {
    const { recorder, now } = this.#options
    if (act.unplanned === true) throw new Error('a certificate ends when the plan says, not by hand: give the row a time (when)')
    recorder.faultStarted(now(), act.act, targetName(act, undefined), '', carriedBy(recorder, act, undefined))
    const count = act.target.kind === 'clients' ? act.target.clients.length : 0
    recorder.faultReceipt(act.act, `the certificates of ${count} client${count === 1 ? '' : 's'} end: relays take them no more`)
    recorder.faultHealed(now(), act.act, 'nothing to heal: a certificate that has ended does not come back')
  }

  async #misbehave(act: FaultAct): Promise<void> {
    const { recorder, culprit, flowsOf, now } = this.#options
    const names = act.target.kind === 'clients' ? this.#namesHere(act.target.clients) : []
    recorder.faultStarted(now(), act.act, targetName(act, undefined), '', carriedBy(recorder, act, undefined))
    if (act.action === 'stall_read') {
      const ends = names.flatMap(flowsOf)
      if (ends.length === 0) throw new Error(`${targetName(act, undefined)} has no connection that it could stop reading`)
      for (const { flow, side } of ends) flow.stall(side)
      recorder.faultReceipt(act.act, `reads nothing on ${ends.length} connection${ends.length === 1 ? '' : 's'}`)
      this.#healLater(act, async () => {
        const waited = ends.reduce((sum, { flow, side }) => sum + flow.readOn(side), 0)
        recorder.faultHealed(now(), act.act, `reads on; ${waited} messages waited`)
      })
      return
    }
    for (const name of names) {
      const one = culprit(name)
      if (one === undefined) {
        this.#fail(act, `${name} is not attached`)
        continue
      }
      const { receipt, breach } = await misbehave(act, one)
      recorder.faultReceipt(act.act, receipt)
      if (breach !== '') recorder.breach(now(), act.act, breach)
    }
    recorder.faultHealed(now(), act.act, 'nothing to heal')
  }

  async #process(act: FaultAct, relay: string): Promise<void> {
    const { recorder, fleet, now, part } = this.#options
    if (fleet === undefined || !fleet.isRunning(relay)) {
      this.#fail(act, fleet === undefined ? 'the relays were not started by this run' : `${relay} does not run`)
      return
    }
    recorder.faultStarted(now(), act.act, relay, '')
    if (act.heal === 'never') this.#gone.add(relay)
    const { receipt, heal, atOnce } = await doProcessAct({ act, relay, fleet, now })
    recorder.faultReceipt(act.act, receipt)
    const mend = async (): Promise<void> => {
      recorder.faultHealed(now(), act.act, await heal())
      part?.onHealed?.(act, now())
    }
    if (atOnce !== true) this.#healLater(act, mend)
    else if (act.heal !== 'never') await mend()
  }

  #healLater(act: FaultAct, heal: () => Promise<void>): void {
    if (act.heal === 'never') return
    const once = async (): Promise<void> => {
      if (!this.#healing.delete(act.act)) return
      await heal().catch((error: unknown) => this.#fail(act, `not healed: ${error instanceof Error ? error.message : String(error)}`))
    }
    this.#healing.set(act.act, once)
    if (!this.#ended) this.#at(act.atMs + act.durationMs, once)
  }

  #fail(act: FaultAct, why: string): void {
    this.#options.recorder.faultFailed(this.#options.now(), act.act, why)
  }

  #relayOf(act: FaultAct): string | undefined {
    if (act.target.kind === 'relay') return act.target.relay
    if (act.target.kind !== 'busiest') return undefined
    const { fleet, recorder, part } = this.#options
    const running = act.target.among.filter((relay) => !this.#gone.has(relay) && (fleet === undefined || fleet.isRunning(relay)))
    return recorder.busiestRelay(running, part?.trafficOf)
  }
}
