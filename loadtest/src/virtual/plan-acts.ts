// The plan's acts in the simulated world: each at its time, each healed, each with a receipt for both. What an act means is what it means to the
// live runner; only the hands are others.
import type { FaultAct } from '../plan.ts'
import type { RunRecorder } from '../verdict/run-recorder.ts'
import type { Link, LinkFault } from './link.ts'
import type { RelayHost } from './relay-host.ts'
import type { World } from './world.ts'

export interface PlanActsOptions {
  readonly world: World
  readonly recorder: RunRecorder
  readonly relays: ReadonlyMap<string, RelayHost>
  readonly links: readonly Link[]
  /** Zone of the client of a link. */
  readonly zoneOf: (link: Link) => string
}

const networkActions = new Set(['blackhole', 'one_way', 'reset_peer', 'latency', 'corrupt'])
/** Relays that are told to end in a drill move their clients within this (the live runner tells them the same). */
const drainMs = 2_000
/** A process that starts: Node, its modules and its keys. */
const startMs = 250

export class PlanActs {
  readonly #options: PlanActsOptions
  readonly #healing = new Map<number, () => void>()
  /** Targets of `heal = never`: nothing revives them while the run lasts. */
  readonly #gone = new Set<string>()
  #ended = false

  constructor(options: PlanActsOptions) {
    this.#options = options
  }

  arm(): void {
    const { world, recorder } = this.#options
    for (const act of recorder.plan.acts)
      world.at(act.atMs, () => {
        if (!this.#ended) this.#begin(act)
      })
  }

  /** Heals whatever is in force. */
  end(): void {
    this.#ended = true
    for (const heal of [...this.#healing.values()]) heal()
  }

  #begin(act: FaultAct): void {
    const { world, recorder } = this.#options
    const relay = this.#relayOf(act)
    world.happened(act.action, relay ?? '', act.act)
    world.note(() => `ACT ${act.fault} ${act.action} ${relay ?? ''}`)
    if (relay !== undefined && this.#gone.has(relay)) this.#fail(act, `${relay} was ended for good by an earlier act`)
    else if (act.target.kind === 'busiest' && relay === undefined) this.#fail(act, 'no relay of the target runs and is free of other acts')
    else if (networkActions.has(act.action)) this.#network(act, relay)
    else if (relay === undefined) this.#fail(act, 'acts on processes need a relay as their target')
    else if (this.#options.relays.get(relay)?.running === true) this.#process(act, relay, this.#options.relays.get(relay)!)
    else recorder.faultFailed(world.nowMs, act.act, `${relay} does not run`)
  }

  #network(act: FaultAct, relay: string | undefined): void {
    const { world, recorder } = this.#options
    recorder.faultStarted(world.nowMs, act.act, targetName(act, relay), '', this.#carried(act, relay))
    const links = this.#options.links.filter((link) => this.#isHit(link, act, relay))
    recorder.faultReceipt(act.act, `${act.action} on ${links.length} simulated link${links.length === 1 ? '' : 's'}`)
    if (act.action === 'reset_peer') {
      for (const link of links)
        for (const pipe of link.pipes) {
          pipe.up.put({ type: 'end', code: 'connection_reset' }, 0)
          pipe.down.put({ type: 'end', code: 'connection_reset' }, 0)
        }
      recorder.faultHealed(world.nowMs, act.act, 'nothing to heal: new connections pass')
      return
    }
    const name = `act ${act.act}`
    for (const link of links) link.apply(name, faultOf(act))
    this.#healLater(act, () => {
      const healed = links.filter((link) => link.heal(name)).length
      recorder.faultHealed(world.nowMs, act.act, `rule taken from ${healed} of ${links.length} links`)
    })
  }

  #process(act: FaultAct, name: string, relay: RelayHost): void {
    const { world, recorder } = this.#options
    recorder.faultStarted(world.nowMs, act.act, name, '')
    if (act.heal === 'never') this.#gone.add(name)
    const start = (): void => {
      if (relay.state !== 'down') return
      relay.start()
      recorder.faultHealed(world.nowMs, act.act, 'started again')
    }
    switch (act.action) {
      case 'pause':
        relay.freeze()
        recorder.faultReceipt(act.act, 'stopped')
        this.#healLater(act, () => {
          relay.thaw()
          recorder.faultHealed(world.nowMs, act.act, 'goes on')
        })
        return
      case 'kill':
        relay.kill('reset')
        recorder.faultReceipt(act.act, 'killed; its sockets are reset')
        this.#healLater(act, start)
        return
      default:
        this.#drain(act, relay, () => {
          recorder.faultReceipt(act.act, 'drained and ended')
          if (act.action === 'term') this.#healLater(act, start)
          else if (act.heal !== 'never') this.#soon(act, start)
        })
    }
  }

  /** As by SIGTERM: clients are told to move; when all have, or the time is over, the process ends. */
  #drain(act: FaultAct, relay: RelayHost, ended: () => void): void {
    const { machine } = relay
    let once = false
    const end = (): void => {
      if (once || relay.machine !== machine) return
      once = true
      relay.onIdle = undefined
      relay.kill('close')
      ended()
    }
    relay.onIdle = () => this.#options.world.atOnce(end)
    relay.drainClients(drainMs, drainMs / 2)
    this.#options.world.after(drainMs * 1.5 + 500, end)
    if (act.heal !== 'never') this.#healing.set(act.act, end)
  }

  #soon(act: FaultAct, heal: () => void): void {
    const once = (): void => {
      if (this.#healing.delete(act.act)) heal()
    }
    this.#healing.set(act.act, once)
    this.#options.world.after(startMs, once)
  }

  #healLater(act: FaultAct, heal: () => void): void {
    if (act.heal === 'never') return
    const once = (): void => {
      if (this.#healing.delete(act.act)) heal()
    }
    this.#healing.set(act.act, once)
    this.#options.world.at(act.atMs + act.durationMs, once)
    if (this.#ended) once()
  }

  #fail(act: FaultAct, why: string): void {
    this.#options.recorder.faultFailed(this.#options.world.nowMs, act.act, why)
  }

  #relayOf(act: FaultAct): string | undefined {
    if (act.target.kind === 'relay') return act.target.relay
    if (act.target.kind !== 'busiest') return undefined
    const { relays, recorder } = this.#options
    return recorder.busiestRelay(act.target.among.filter((relay) => !this.#gone.has(relay) && relays.get(relay)?.running === true))
  }

  #relayZone(relay: string | null): string | undefined {
    return this.#options.recorder.plan.relays.find((one) => one.relay === relay)?.zone
  }

  #isHit(link: Link, act: FaultAct, relay: string | undefined): boolean {
    const { target } = act
    if (target.kind === 'relay') return link.relay === target.relay
    if (target.kind === 'busiest') return link.relay === relay
    const zone = this.#options.zoneOf(link)
    if (target.kind === 'zone') return zone === target.zone
    const relayZone = this.#relayZone(link.relay)
    return (zone === target.from && relayZone === target.to) || (zone === target.to && relayZone === target.from)
  }

  /** Which connections go through what a network act hits. A relay's own name says it already. */
  #carried(act: FaultAct, relay: string | undefined): ((flow: number) => boolean) | undefined {
    if (relay !== undefined) return undefined
    const { plan, flows } = this.#options.recorder
    const { target } = act
    return (flow) => {
      const planned = plan.flows[flow]!
      const { activeRelay } = flows[flow]!
      const ends = [
        { zone: plan.clients[planned.caller]?.zone, relay: this.#relayZone(activeRelay.caller) },
        { zone: plan.clients[planned.listener]?.zone, relay: this.#relayZone(activeRelay.listener) },
      ]
      if (target.kind === 'zone') return ends.some((end) => end.zone === target.zone)
      if (target.kind !== 'link') return false
      return ends.some(
        (end) => (end.zone === target.from && end.relay === target.to) || (end.zone === target.to && end.relay === target.from),
      )
    }
  }
}

function targetName(act: FaultAct, relay: string | undefined): string {
  if (relay !== undefined) return relay
  if (act.target.kind === 'zone') return `zone:${act.target.zone}`
  if (act.target.kind === 'link') return `link:${act.target.from}>${act.target.to}`
  return ''
}

function faultOf(act: FaultAct): LinkFault {
  const directions = act.direction === 'both' ? {} : { directions: [act.direction] }
  switch (act.action) {
    case 'blackhole':
      return { held: true }
    case 'one_way':
      return { ...directions, held: true }
    case 'latency':
      return { ...directions, latencyMs: act.latencyMs, jitterMs: act.jitterMs }
    case 'corrupt':
      return { ...directions, corruptOneIn: act.corruptOneIn }
    default:
      return {}
  }
}
