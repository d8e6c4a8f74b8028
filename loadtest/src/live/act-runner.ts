// The nemesis: carries out the plan's acts at their times, heals each, and leaves a receipt for both.
import type { FaultAct } from '../plan.ts'
import type { RunRecorder } from '../verdict/run-recorder.ts'
import { isNetworkAct, type Network } from './network.ts'
import type { RelayFleet } from './relay-fleet.ts'

export interface ActRunnerOptions {
  readonly recorder: RunRecorder
  /** undefined: the relays are not ours, and acts on processes were refused before the run. */
  readonly fleet: RelayFleet | undefined
  readonly network: Network
  readonly now: () => number
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
    for (const act of this.#options.recorder.plan.acts) this.#at(act.atMs, () => this.#begin(act))
  }

  /** Heals whatever is in force, in any case; resolves when all is healed. */
  async end(): Promise<void> {
    this.#ended = true
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    await Promise.all(this.#running)
    await Promise.all([...this.#healing.values()].map((heal) => heal()))
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

  async #begin(act: FaultAct): Promise<void> {
    const { recorder, now } = this.#options
    const relay = this.#relayOf(act)
    if (relay !== undefined && this.#gone.has(relay)) {
      this.#fail(act, `${relay} was ended for good by an earlier act`)
      return
    }
    if (act.target.kind === 'busiest' && relay === undefined) {
      this.#fail(act, 'no relay of the target runs and is free of other acts')
      return
    }
    try {
      if (isNetworkAct(act)) await this.#network(act, relay)
      else if (relay === undefined) this.#fail(act, 'acts on processes need a relay as their target')
      else await this.#process(act, relay)
    } catch (error) {
      recorder.faultFailed(now(), act.act, error instanceof Error ? error.message : String(error))
    }
  }

  async #network(act: FaultAct, relay: string | undefined): Promise<void> {
    const { recorder, network, now } = this.#options
    recorder.faultStarted(now(), act.act, targetName(act, relay), '', this.#carried(act, relay))
    const links = network.apply(act, relay)
    recorder.faultReceipt(act.act, `${act.action} on ${links} link${links === 1 ? '' : 's'} of the fault proxy`)
    if (act.action === 'reset_peer') {
      recorder.faultHealed(now(), act.act, 'nothing to heal: new connections pass')
      return
    }
    this.#healLater(act, async () => {
      const healed = network.heal(act)
      recorder.faultHealed(now(), act.act, `rule taken from ${healed} of ${links} links`)
    })
  }

  async #process(act: FaultAct, relay: string): Promise<void> {
    const { recorder, fleet, now } = this.#options
    if (fleet === undefined || !fleet.isRunning(relay)) {
      this.#fail(act, fleet === undefined ? 'the relays were not started by this run' : `${relay} does not run`)
      return
    }
    const pid = fleet.pid(relay)
    const startedMs = now()
    recorder.faultStarted(startedMs, act.act, relay, '')
    if (act.heal === 'never') this.#gone.add(relay)
    switch (act.action) {
      case 'pause':
        fleet.pause(relay)
        recorder.faultReceipt(act.act, `SIGSTOP to pid ${pid}`)
        this.#healLater(act, async () => {
          const continued = fleet.resume(relay)
          recorder.faultHealed(now(), act.act, continued ? `SIGCONT to pid ${pid}` : 'it had ended meanwhile')
        })
        return
      case 'kill':
        await fleet.kill(relay)
        recorder.faultReceipt(act.act, `SIGKILL to pid ${pid}, gone after ${(now() - startedMs).toFixed(1)} ms`)
        break
      default:
        // term, restart and rolling_restart: SIGTERM, so that clients are told to move first.
        await fleet.term(relay)
        recorder.faultReceipt(act.act, `SIGTERM to pid ${pid}, gone after ${(now() - startedMs).toFixed(1)} ms`)
    }
    const restart = async (): Promise<void> => {
      await fleet.start(relay)
      recorder.faultHealed(now(), act.act, `started again as pid ${fleet.pid(relay)}`)
    }
    if (act.action === 'restart' || act.action === 'rolling_restart') {
      if (act.heal !== 'never') await restart()
    } else {
      this.#healLater(act, restart)
    }
  }

  #healLater(act: FaultAct, heal: () => Promise<void>): void {
    if (act.heal === 'never') return
    const once = async (): Promise<void> => {
      if (this.#healing.delete(act.act)) await heal()
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
    const { fleet, recorder } = this.#options
    const running = act.target.among.filter((relay) => !this.#gone.has(relay) && (fleet === undefined || fleet.isRunning(relay)))
    return recorder.busiestRelay(running)
  }

  /** Which connections go through what a network act hits. A relay's own name says it already. */
  #carried(act: FaultAct, relay: string | undefined): ((flow: number) => boolean) | undefined {
    if (relay !== undefined) return undefined
    const { plan, flows } = this.#options.recorder
    const zoneOf = (client: number): string => plan.clients[client]?.zone ?? ''
    const relayZone = (name: string | null): string | undefined => plan.relays.find((one) => one.relay === name)?.zone
    return (flow) => {
      const planned = plan.flows[flow]
      const record = flows[flow]
      if (planned === undefined || record === undefined) return false
      const ends = [
        { zone: zoneOf(planned.caller), relay: record.activeRelay.caller },
        { zone: zoneOf(planned.listener), relay: record.activeRelay.listener },
      ]
      if (act.target.kind === 'zone') {
        const { zone } = act.target
        return ends.some((end) => end.zone === zone)
      }
      if (act.target.kind === 'link') {
        const { from, to } = act.target
        return ends.some((end) => (end.zone === from && relayZone(end.relay) === to) || (end.zone === to && relayZone(end.relay) === from))
      }
      return false
    }
  }
}

function targetName(act: FaultAct, relay: string | undefined): string {
  if (relay !== undefined) return relay
  if (act.target.kind === 'zone') return `zone:${act.target.zone}`
  if (act.target.kind === 'link') return `link:${act.target.from}>${act.target.to}`
  return ''
}
