/**
 * The plan that both ends of a connection follow: the captain's own, or the last one that the other end agreed to. Which relays it wants paths at,
 * whether these are enough for its modes, and how it is put to the connection's machine.
 */
import { type PlanFrame, type PlanModesFrame, SennitError } from '@sennit/protocol'
import type { FailsTogether } from '../attach/links.ts'
import type { ConnectionMachine } from '../connection/index.ts'
import { apartness, countApart } from '../paths/apart.ts'
import { bestPaths, type PathsOption, parsePaths, pathsLeast, pathsNeeded, pathsWanted, turned } from '../paths/index.ts'
import type { Planner } from '../plan/planner.ts'
import type { PolicyView } from '../plan/policy.ts'
import type { ConnectionHost } from './connection-host.ts'
import type { RelayView } from './relay-view.ts'

export interface PlanInForceContext {
  readonly host: ConnectionHost
  readonly machine: ConnectionMachine
  readonly planner: Planner
  readonly relays: RelayView
  readonly policy: PolicyView
  readonly captain: boolean
  /** The machine has something to pump. */
  dirty(): void
}

export class PlanInForce {
  /** What both directions do, as this end sees them. */
  paths: PathsOption
  readonly #context: PlanInForceContext
  /** Of the end that is not the captain. */
  #agreed: { readonly plan: PlanFrame; readonly modes: PlanModesFrame | undefined } | undefined
  /** Came before their plan. */
  #comingModes: PlanModesFrame | undefined
  /** The last epoch whose modes the peer knows. */
  #modesOkEpoch = 0

  constructor(context: PlanInForceContext, paths: PathsOption) {
    this.#context = context
    this.paths = paths
  }

  get plan(): PlanFrame | undefined {
    return this.#context.captain ? this.#context.planner.plan : this.#agreed?.plan
  }

  /** The modes of the plan; undefined: best. */
  get modes(): PlanModesFrame | undefined {
    return this.#context.captain ? this.#context.planner.modes : this.#agreed?.modes
  }

  /** Both ends agreed on a plan. */
  get settled(): boolean {
    return this.#context.captain ? this.#context.planner.settled : this.#agreed !== undefined
  }

  /** How many paths the modes of both directions need. */
  get needed(): number {
    return Math.max(pathsNeeded(this.paths.send), pathsNeeded(this.paths.receive))
  }

  /** Relays that carry the connection when it has what it was asked for, and one to stand by. */
  get relaysWanted(): number {
    return Math.max(pathsWanted(this.paths.send), pathsWanted(this.paths.receive)) + 1
  }

  /** It has fewer relays than its modes need. */
  get short(): boolean {
    const { plan, modes } = this
    if (plan === undefined || modes === undefined) return false
    return relaysOf(plan, modes).length < this.needed
  }

  /** Its modes stand still with the next relay that is lost: no more of its relays are attached to than they cannot do without. */
  get bare(): boolean {
    const { plan } = this
    const { send, receive } = this.paths
    if (plan === undefined || (pathsLeast(send) <= 1 && pathsLeast(receive) <= 1)) return false
    const modes = [send, receive].filter((mode) => pathsLeast(mode) > 1)
    const relays: FailsTogether[] = []
    for (const relayId of relaysOf(plan, this.modes)) {
      const attachment = this.#context.host.attachments.linkFor(relayId)
      if (attachment?.usable === true) relays.push({ relayId, failureDomain: attachment.entry.failureDomain })
    }
    return modes.some((mode) => countApart(relays, apartness(mode)) <= pathsLeast(mode))
  }

  /** Active and standby relays, and up to `more` of those that come next and are not bad. */
  plannedRelays(nowMs: number, more: number): string[] {
    const { plan } = this
    if (plan === undefined) return []
    const planned = relaysOf(plan, this.modes)
    if (more === 0) return planned
    const next = plan.relays.filter(({ relayId }) => !planned.includes(relayId) && !this.#context.relays.isBad(nowMs, relayId))
    return [...planned, ...next.slice(0, more).map(({ relayId }) => relayId)]
  }

  /** The captain said which modes the plan of that epoch, which follows, has. */
  modesComing(modes: PlanModesFrame): void {
    this.#comingModes = modes
  }

  /** The other end knows the modes of that epoch. */
  modesKnown(epoch: number): void {
    this.#modesOkEpoch = Math.max(this.#modesOkEpoch, epoch)
  }

  /** The captain proposes: agreed to when every relay that would carry something now is reachable. */
  proposed(nowMs: number, plan: PlanFrame): void {
    if (plan.epoch <= (this.#agreed?.plan.epoch ?? 0)) return
    const { machine } = this.#context
    const modes = this.#comingModes?.epoch === plan.epoch ? this.#comingModes : undefined
    const objection = this.#objection(relaysOf(plan, modes))
    if (objection !== undefined) {
      machine.sendControlFrame(nowMs, { type: 'planNo', epoch: plan.epoch, ...objection })
      this.#context.dirty()
      return
    }
    this.#agreed = { plan, modes }
    const paths = modes === undefined ? bestPaths : readPaths(modes.paths)
    if (paths !== undefined) {
      this.paths = turned(paths)
      if (modes !== undefined) machine.sendControlFrame(nowMs, { type: 'modesOk', epoch: plan.epoch })
    }
    machine.sendControlFrame(nowMs, { type: 'planOk', epoch: plan.epoch })
    this.#follow(nowMs, plan, modes)
  }

  /** The captain's plan of that epoch was agreed to. */
  accepted(nowMs: number, epoch: number): void {
    if (this.plan?.epoch === epoch) this.#follow(nowMs, this.plan, this.modes)
  }

  /** Gives paths up that it has no use for: one of `open` is none of its own. */
  reapply(nowMs: number, open: Iterable<string>): void {
    const { plan } = this
    if (plan === undefined || !this.settled) return
    const planned = this.plannedRelays(nowMs, 0)
    for (const relayId of open) {
      if (planned.includes(relayId)) continue
      this.#follow(nowMs, plan, this.modes)
      return
    }
  }

  /** The machine hears which relays it could be told to use; before the first plan there is nothing to give up for another. */
  tellKnown(nowMs: number): void {
    const { machine, relays } = this.#context
    if (this.plan !== undefined) machine.relaysKnown(relays.plannable(nowMs), relays.alone)
  }

  #objection(relayIds: readonly string[]): { readonly relayId: string; readonly reason: string } | undefined {
    const { host, policy } = this.#context
    for (const relayId of relayIds) {
      const attachment = host.attachments.linkFor(relayId)
      const allowed = attachment === undefined || policy.allows(attachment.entry)
      if (attachment?.usable === true && allowed) continue
      const reason = !allowed ? 'policy' : attachment === undefined ? 'not_in_list' : attachment.attached ? 'draining' : 'not_attached'
      return { relayId, reason }
    }
    return undefined
  }

  #follow(nowMs: number, plan: PlanFrame, modes: PlanModesFrame | undefined): void {
    const { captain, machine, relays, host, dirty } = this.#context
    const [activeSend, activeReceive] = captain
      ? [plan.activeFromCaller, plan.activeFromListener]
      : [plan.activeFromListener, plan.activeFromCaller]
    const order = plan.relays.map((relay) => relay.relayId)
    const paths = modes === undefined ? undefined : readPaths(modes.paths)
    const { send, receive, whenShort } = (captain || paths === undefined ? paths : turned(paths)) ?? this.paths
    const [sendRelays, receiveRelays] = captain ? [modes?.fromCaller, modes?.fromListener] : [modes?.fromListener, modes?.fromCaller]
    const unknown = captain ? this.#modesOkEpoch !== plan.epoch : paths === undefined
    machine.usePlan(nowMs, {
      epoch: plan.epoch,
      order,
      known: relays.plannable(nowMs),
      alone: relays.alone,
      activeSend,
      activeReceive,
      standby: plan.standby,
      ...(modes === undefined
        ? {}
        : { modes: { send, receive, whenShort, sendRelays: sendRelays!, receiveRelays: receiveRelays!, unknown } }),
    })
    host.needsSync()
    dirty()
  }
}

/** All relays that a plan wants paths at. */
function relaysOf(plan: PlanFrame, modes: PlanModesFrame | undefined): string[] {
  const relays: string[] = []
  const add = (relayId: string): void => {
    // A handful, so that looking through them costs less than a set.
    if (relayId !== '' && !relays.includes(relayId)) relays.push(relayId)
  }
  add(plan.activeFromCaller)
  add(plan.activeFromListener)
  add(plan.standby)
  modes?.fromCaller.forEach(add)
  modes?.fromListener.forEach(add)
  return relays
}

/** What a frame of the peer asks for; undefined when it is of a later version. */
export function readPaths(text: string): PathsOption | undefined {
  try {
    return parsePaths(text)
  } catch (error) {
    if (error instanceof SennitError) return undefined
    throw error
  }
}
