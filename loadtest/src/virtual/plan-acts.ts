// The plan's acts in the simulated world: each at its time, each healed, each with a receipt for both. What an act means is what it means to the
// live runner; only the hands are others.
import { carriedBy, isHit, targetName } from '../act-target.ts'
import { familyOf } from '../fault-actions.ts'
import { type NetworkStep, networkScript, ruleOf } from '../network-script.ts'
import type { FaultAct } from '../plan.ts'
import { whyHalted } from '../verdict/abort-conditions.ts'
import type { RunRecorder, Side } from '../verdict/run-recorder.ts'
import { clockOfZone } from '../zone-clock.ts'
import type { ClientHost } from './client-host.ts'
import type { Link } from './link.ts'
import type { PlanFlow } from './plan-flow.ts'
import type { RelayHost } from './relay-host.ts'
import type { World } from './world.ts'

export interface PlanActsOptions {
  readonly world: World
  readonly recorder: RunRecorder
  readonly relays: ReadonlyMap<string, RelayHost>
  readonly links: readonly Link[]
  /** By name. */
  readonly clients: ReadonlyMap<string, ClientHost>
  /** Connections of a client by name, and the end of each that it is. */
  readonly flowsOf: (client: string) => readonly { readonly flow: PlanFlow; readonly side: Side }[]
  /** Zone of the client of a link. */
  readonly zoneOf: (link: Link) => string
}

/** Relays that are told to end in a drill move their clients within this (the live runner tells them the same). */
const drainMs = 2_000
/** A certificate that has ended has ended so long ago. */
const certificateEndedMs = 60_000
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
    for (const act of this.#options.recorder.plan.acts) this.inject(act)
  }

  /** Begins an act at its time, be it in the plan or not. */
  inject(act: FaultAct): void {
    this.#options.world.at(act.atMs, () => {
      if (!this.#ended) this.#begin(act)
    })
  }

  /** Heals at once what must not go on, as the rows say. Once a second. */
  halt(): void {
    const { world, recorder } = this.#options
    for (const [index, heal] of [...this.#healing]) {
      const why = whyHalted(recorder, recorder.acts[index]!.act, world.nowMs)
      if (why === undefined) continue
      recorder.faultHalted(index, why)
      heal()
    }
  }

  /** Heals whatever is in force. */
  end(): void {
    this.#ended = true
    for (const heal of [...this.#healing.values()]) heal()
  }

  #begin(act: FaultAct): void {
    const { world, recorder } = this.#options
    const why = whyHalted(recorder, act, world.nowMs)
    if (why !== undefined) {
      recorder.faultHalted(act.act, why)
      return
    }
    const relay = this.#relayOf(act)
    world.happened(act.action, relay ?? '', act.act)
    world.note(() => `ACT ${act.fault} ${act.action} ${relay ?? ''}`)
    if (relay !== undefined && this.#gone.has(relay)) this.#fail(act, `${relay} was ended for good by an earlier act`)
    else if (act.target.kind === 'busiest' && relay === undefined) this.#fail(act, 'no relay of the target runs and is free of other acts')
    else if (familyOf(act) === 'network') this.#network(act, relay)
    else if (act.action === 'cert_expired' && act.target.kind === 'clients') this.#clientCertificates(act)
    else if (familyOf(act) === 'client') this.#sleep(act)
    else if (familyOf(act) === 'misbehaviour') this.#stallRead(act)
    else if (relay === undefined) this.#fail(act, 'acts on processes need a relay as their target')
    else if (this.#options.relays.get(relay)?.running === true) this.#process(act, relay, this.#options.relays.get(relay)!)
    else recorder.faultFailed(world.nowMs, act.act, `${relay} does not run`)
  }

  #network(act: FaultAct, relay: string | undefined): void {
    const { world, recorder } = this.#options
    recorder.faultStarted(world.nowMs, act.act, targetName(act, relay), '', carriedBy(recorder, act, relay))
    const links = this.#options.links.filter((link) => this.#isHit(link, act, relay))
    recorder.faultReceipt(act.act, `${act.action} on ${links.length} simulated link${links.length === 1 ? '' : 's'}`)
    const meddled = this.#meddle(act, links)
    let over = false
    const lasts = networkScript(act, links.length, world.dice.next).map((step) => {
      const run = (): void => {
        if (!over) this.#step(act, links, step)
      }
      if (step.afterMs === 0) run()
      else world.after(step.afterMs, run)
      return step.do === 'apply' || step.afterMs > 0
    })
    if (!lasts.includes(true)) {
      recorder.faultHealed(world.nowMs, act.act, 'nothing to heal: new connections pass')
      return
    }
    this.#healLater(act, () => {
      over = true
      for (const link of links) link.heal(`act ${act.act}`)
      for (const relayHost of meddled) relayHost.meddler.meddling = undefined
      recorder.faultHealed(world.nowMs, act.act, `rules taken from ${links.length} links`)
    })
  }

  #step(act: FaultAct, links: readonly Link[], step: NetworkStep): void {
    const chosen = 'link' in step && step.link !== undefined ? links.slice(step.link, step.link + 1) : links
    for (const link of chosen) {
      if (step.do === 'apply') link.apply(`act ${act.act}`, ruleOf(act) ?? {})
      else if (step.do === 'lift') link.heal(`act ${act.act}`)
      else if (step.do === 'reset' || (step.do === 'rebind' && step.how === 'reset')) link.reset()
      else if (step.do === 'halfOpen') link.halfOpen()
      else link.strand()
    }
  }

  /** Frames that come twice or out of order: a simulated relay passes them on so. On a byte stream no network could. */
  #meddle(act: FaultAct, links: readonly Link[]): RelayHost[] {
    const { share = 0 } = act
    if (act.action !== 'duplicate_frame' && act.action !== 'reorder_frame') return []
    const hosts = [...new Set(links.map((link) => link.relay))].map((relay) => this.#options.relays.get(relay)!)
    const doubles = act.action === 'duplicate_frame'
    for (const host of hosts) host.meddler.meddling = { drop: 0, flip: 0, duplicate: doubles ? share : 0, reorder: doubles ? 0 : share }
    return hosts
  }

  /** The machine of a client sleeps: nothing of it runs, and its time goes on without it. */
  #sleep(act: FaultAct): void {
    const { world, recorder, clients } = this.#options
    recorder.faultStarted(world.nowMs, act.act, targetName(act, undefined), '', carriedBy(recorder, act, undefined))
    const asleep = act.target.kind === 'clients' ? act.target.clients.flatMap((name) => clients.get(name) ?? []) : []
    for (const client of asleep) client.pause()
    recorder.faultReceipt(act.act, `${asleep.length} clients fall asleep`)
    this.#healLater(act, () => {
      for (const client of asleep) client.resume()
      recorder.faultHealed(world.nowMs, act.act, 'they wake up')
    })
  }

  /** The applications of these clients read nothing. */
  #stallRead(act: FaultAct): void {
    const { world, recorder, flowsOf } = this.#options
    recorder.faultStarted(world.nowMs, act.act, targetName(act, undefined), '', carriedBy(recorder, act, undefined))
    const ends = act.target.kind === 'clients' ? act.target.clients.flatMap(flowsOf) : []
    for (const { flow, side } of ends) flow.stall(side)
    recorder.faultReceipt(act.act, `reads nothing on ${ends.length} connection${ends.length === 1 ? '' : 's'}`)
    this.#healLater(act, () => {
      const waited = ends.reduce((sum, { flow, side }) => sum + flow.readOn(side), 0)
      recorder.faultHealed(world.nowMs, act.act, `reads on; ${waited} messages waited`)
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
      case 'cpu_hog':
        this.#slow(act, relay)
        return
      case 'clock_drift':
        relay.drift(this.#rateOf(name) + (act.drift ?? 0))
        recorder.faultReceipt(act.act, `its clock gains ${(act.drift ?? 0) * 1_000} ms a second`)
        this.#healLater(act, () => {
          relay.drift(this.#rateOf(name))
          recorder.faultHealed(world.nowMs, act.act, 'its clock runs right')
        })
        return
      case 'clock_offset':
        this.#jump(act, relay, start)
        return
      case 'cert_expired':
        this.#endCertificate(act, relay)
        return
      default:
        this.#drain(act, relay, () => {
          recorder.faultReceipt(act.act, 'drained and ended')
          if (act.how === 'new_key') relay.renewKey()
          if (act.action === 'term' || act.action === 'drain') this.#healLater(act, start)
          else if (act.heal !== 'never') this.#soon(act, start)
        })
    }
  }

  /** It stands still for its share of each turn. */
  #slow(act: FaultAct, relay: RelayHost): void {
    const { world, recorder } = this.#options
    const { share = 0.8, downMs = 100 } = act
    const { machine } = relay
    let over = false
    const turn = (): void => {
      if (over || relay.machine !== machine) return
      relay.freeze()
      world.after(downMs * share, () => {
        if (!over && relay.machine === machine) relay.thaw()
      })
      world.after(downMs, turn)
    }
    turn()
    recorder.faultReceipt(act.act, `stands still for ${Math.round(share * 100)} % of each ${downMs} ms`)
    this.#healLater(act, () => {
      over = true
      if (relay.machine === machine) relay.thaw()
      recorder.faultHealed(world.nowMs, act.act, 'runs freely')
    })
  }

  /** How fast the clock of a relay's machine goes when nothing is done to it. */
  #rateOf(relay: string): number {
    const { plan } = this.#options.recorder
    const zone = plan.relays.find((one) => one.relay === relay)?.zone ?? ''
    return 1 + (clockOfZone(plan, zone)?.drift ?? 0)
  }

  /** The clock of its machine jumps; a running relay's own clock is steady, so only its next life has it. */
  #jump(act: FaultAct, relay: RelayHost, start: () => void): void {
    const { world, recorder } = this.#options
    const { offsetMs = 0 } = act
    const restarts = act.how === 'restart'
    const jump = (ms: number): void => {
      relay.jumpClockLater(ms)
      if (!restarts || relay.state === 'down') return
      relay.kill('close')
      relay.start()
    }
    jump(offsetMs)
    recorder.faultReceipt(act.act, `its machine's clock is ${offsetMs / 1_000} s ahead${restarts ? ', and it started again' : ''}`)
    this.#healLater(act, () => {
      jump(-offsetMs)
      start()
      recorder.faultHealed(world.nowMs, act.act, 'its clock is right again')
    })
  }

  /** It starts again with a certificate that has ended, for every clock of the run; healed, with one that holds. */
  #endCertificate(act: FaultAct, relay: RelayHost): void {
    const { world, recorder } = this.#options
    const { zones, run } = recorder.plan
    const lagMs = Math.max(0, ...zones.map(({ clockOffsetMs = 0, clockDrift = 0 }) => -clockOffsetMs - clockDrift * run.durationMs))
    const again = (endsAtMs?: number): void => {
      relay.renewKey(endsAtMs)
      if (relay.state !== 'down') relay.kill('close')
      relay.start()
    }
    this.#drain(act, relay, () => {
      again(world.nowMs - certificateEndedMs - lagMs)
      recorder.faultReceipt(act.act, 'drained, and started again with a certificate that ended a minute ago')
      this.#healLater(act, () => {
        again()
        recorder.faultHealed(world.nowMs, act.act, 'started again with a certificate that holds')
      })
    })
  }

  /** Clients came with certificates that end now. */
  #clientCertificates(act: FaultAct): void {
    const { world, recorder } = this.#options
    if (act.unplanned === true) {
      this.#fail(act, 'a certificate ends when the plan says, not by hand: give the row a time (when)')
      return
    }
    recorder.faultStarted(world.nowMs, act.act, targetName(act, undefined), '', carriedBy(recorder, act, undefined))
    const count = act.target.kind === 'clients' ? act.target.clients.length : 0
    recorder.faultReceipt(act.act, `the certificates of ${count} client${count === 1 ? '' : 's'} end: relays take them no more`)
    recorder.faultHealed(world.nowMs, act.act, 'nothing to heal: a certificate that has ended does not come back')
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

  #isHit(link: Link, act: FaultAct, relay: string | undefined): boolean {
    const between = { client: link.client, zone: this.#options.zoneOf(link), relay: link.relay, link: link.number }
    return isHit(this.#options.recorder.plan, act, between, relay)
  }
}
