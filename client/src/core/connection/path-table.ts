/**
 * The paths and which of them carries new data. The plan proposes; a failure overrides it until the next plan. The active path is kept as
 * long as it works, so that a path that flaps is not moved back to.
 */
import { relayOf } from '../attach/links.ts'
import type { Path } from './path.ts'
import type { MoveReason, PathPlan } from './types.ts'

export interface Move {
  readonly from: Path | undefined
  readonly to: Path | undefined
  readonly why: MoveReason
}

const unranked = 1_000
/** Relays of one connection whose bytes are counted: twice as many as a plan and a report name. */
const relaysSeenMax = 128

export class PathTable {
  readonly all: Map<number, Path> = new Map()
  plan: PathPlan | undefined
  active: Path | undefined
  failovers = 0
  /** Relays at which both ends could have a path now, with one or without. */
  known: readonly string[] = []
  /** This end has one relay in its list, over one link: whatever happens to it, there is none to go to. */
  alone = false
  /** The active path moves by a mode of its own, not to the one that the plan names. */
  roams = false
  /** A failure moved us since the last plan: its wish no longer counts. */
  #overridden = false
  readonly #bytesSeen = new Map<string, number>()

  /** A path is gone; what its relay saw is still told. */
  forget(path: Path): void {
    const relay = relayOf(path.relayId)
    const seen = this.#bytesSeen.get(relay) ?? 0
    if (this.#bytesSeen.size < relaysSeenMax || seen > 0) this.#bytesSeen.set(relay, seen + path.sentBytes + path.receivedBytes)
  }

  /** Bytes each relay carried, both ways, over all links. */
  bytesSeen(): Record<string, number> {
    const seen: Record<string, number> = Object.fromEntries(this.#bytesSeen)
    for (const { relayId, sentBytes, receivedBytes } of this.all.values()) {
      const relay = relayOf(relayId)
      seen[relay] = (seen[relay] ?? 0) + sentBytes + receivedBytes
    }
    return seen
  }

  openPaths(): Path[] {
    return [...this.all.values()].filter((path) => path.open)
  }

  /** Some path is beyond doubt. */
  get sound(): boolean {
    for (const path of this.all.values()) if (path.state === 'open' && path.suspicion === undefined) return true
    return false
  }

  /** The best open path but `not`, by plan; those whose relay says "please wait" after the others, those under suspicion last. */
  best(not?: Path): Path | undefined {
    let found: Path | undefined
    for (const path of this.all.values()) {
      if (path.open && path !== not && (found === undefined || this.#before(path, found))) found = path
    }
    return found
  }

  /** The open paths: those of the mode first, those under suspicion last; of two at one relay the newer one first. */
  inOrder(): Path[] {
    const relays = this.plan?.modes?.sendRelays
    const paths: Path[] = []
    const places: number[] = []
    // A handful, asked for with every packet of some modes: put in place one by one, each looked at once.
    for (const path of this.all.values()) {
      if (!path.open) continue
      const inMode = relays?.indexOf(path.relayId) ?? -1
      const place = inMode === -1 ? this.#rank(path) + unranked : inMode - unranked + doubtOf(path)
      let at = paths.length
      while (at > 0 && (place < places[at - 1]! || (place === places[at - 1] && this.#before(path, paths[at - 1]!)))) at -= 1
      paths.splice(at, 0, path)
      places.splice(at, 0, place)
    }
    return paths
  }

  /** The path kept warm: the next in the order of fail-over. */
  standby(): Path | undefined {
    return this.active === undefined ? undefined : this.best(this.active)
  }

  /** Takes a plan whose epoch is not lower than the last one's. */
  usePlan(plan: PathPlan): boolean {
    if (this.plan !== undefined && plan.epoch < this.plan.epoch) return false
    if (this.plan === undefined || plan.epoch > this.plan.epoch) this.#overridden = false
    this.plan = plan
    this.known = plan.known ?? plan.order
    this.alone = plan.alone ?? false
    for (const path of this.all.values()) path.retiring = !this.#planned(path.relayId)
    return true
  }

  /** The other end calls the path so. */
  rename(path: Path, relayId: string): void {
    path.relayId = relayId
    path.retiring = !this.#planned(relayId)
  }

  /** Where new data should go now that something changed; undefined when all stays. */
  reconsider(): Move | undefined {
    const { active } = this
    if (active?.open) {
      const wished = this.#wished()
      return wished === undefined || wished === active ? undefined : this.#move(wished, 'plan')
    }
    const next = this.best()
    return next === active ? undefined : this.#move(next, active === undefined ? 'first' : 'path_closed')
  }

  /** New data goes on `path` from now on, because the mode says so. */
  moveTo(path: Path): Move | undefined {
    return path === this.active || !path.open ? undefined : this.#move(path, 'rotate')
  }

  /** Leaves `path` because of a failure. */
  flee(path: Path, why: MoveReason): Move | undefined {
    if (this.active !== path) return undefined
    const next = this.best(path)
    this.#overridden = true
    return this.#move(next, why)
  }

  #move(to: Path | undefined, why: MoveReason): Move {
    const from = this.active
    this.active = to
    return { from, to, why }
  }

  /** The plan's own choice, if it is open, unsuspected, and nothing failed since. */
  #wished(): Path | undefined {
    if (this.plan === undefined || this.#overridden || this.roams) return undefined
    let wished: Path | undefined
    for (const path of this.all.values()) {
      if (path.open && path.suspicion === undefined && path.relayId === this.plan.activeSend) wished = path
    }
    return this.active?.relayId === this.plan.activeSend ? undefined : wished
  }

  #planned(relayId: string): boolean {
    const { plan } = this
    if (plan === undefined || relayId === plan.activeSend || relayId === plan.activeReceive || relayId === plan.standby) return true
    return plan.modes !== undefined && (plan.modes.sendRelays.includes(relayId) || plan.modes.receiveRelays.includes(relayId))
  }

  #before(left: Path, right: Path): boolean {
    const difference = this.#rank(left) - this.#rank(right)
    if (difference !== 0) return difference < 0
    const rtt = (left.rtt.srttMs ?? unranked) - (right.rtt.srttMs ?? unranked)
    if (left.relayId !== right.relayId && rtt !== 0) return rtt < 0
    // Two circuits at one relay: the older one is the one that went stale.
    return left.pathId > right.pathId
  }

  #rank(path: Path): number {
    const doubt = doubtOf(path)
    const { plan } = this
    if (plan === undefined) return doubt + unranked
    if (!this.#overridden && path.relayId === plan.activeSend) return doubt - 2
    if (path.relayId === plan.standby) return doubt - 1
    const place = plan.order.indexOf(path.relayId)
    // The other direction's relay is the last choice where each is to have its own.
    const taken = plan.modes?.send.kind === 'pair' && path.relayId === plan.activeReceive ? unranked : 0
    return doubt + taken + (place === -1 ? unranked : place)
  }
}

function doubtOf(path: Path): number {
  return (path.suspicion === undefined ? 0 : 4 * unranked) + (path.waiting === undefined ? 0 : 2 * unranked)
}
