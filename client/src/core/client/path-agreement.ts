/**
 * How two ends agree on the paths of one connection (connection.md 18): both report what they measured, the captain ranks and plans, the
 * peer checks that it can follow. Which circuits there are is the connection's business; this says which relays they should be at.
 */
import { type Frame, type PlanFrame, type PlanModesFrame, type ReportFrame, relaysMax, SennitError } from '@sennit/protocol'
import type { Attachment } from '../attach/attachment.ts'
import { type FailsTogether, relayOf } from '../attach/links.ts'
import type { ConnectionMachine } from '../connection/index.ts'
import { apartness, countApart, hasSpare } from '../paths/apart.ts'
import { bestPaths, formatPaths, type PathsOption, parsePaths, pathsLeast, pathsNeeded, pathsWanted, turned } from '../paths/index.ts'
import { crowdedPolicyMs, type OwnFacts, Planner } from '../plan/planner.ts'
import type { PolicyView } from '../plan/policy.ts'
import type { ConnectionHost } from './connection-host.ts'

/** What the agreement needs of its connection. */
export interface AgreementContext {
  readonly host: ConnectionHost
  readonly machine: ConnectionMachine
  /** The captain decides: the caller. */
  readonly captain: boolean
  readonly handle: number
  /** How relays are used from the start, as this end sees the two directions. */
  readonly paths: PathsOption
  /** This end wants it so and the caller did not say anything: the captain must hear. */
  readonly wish: boolean
  /** What this end wants of relays. */
  readonly policy: PolicyView
  /** Relays with a circuit, and those of them whose path answered. */
  relays(): Iterable<string>
  openRelays(): ReadonlySet<string>
  /** Nothing is wrong that would ask for more paths than the plan has. */
  calm(): boolean
  /** The machine has something to pump. */
  dirty(): void
}

/** A path judged bad is reported as "not reachable" for this long, or until it is validated anew. */
const badMs = 30_000
/** How many of the first rounds follow each other closely. */
const earlyRounds = 3
/**
 * Where there is one relay only, rounds compare nothing and are so much rarer: often enough that the peer's knowledge, which is believed for 90 s, is
 * renewed before that, and what changes is reported at once anyway.
 */
const aloneRounds = 2.5
/** A leg measured less than this ago is fresh enough for a round. */
const probeAgeMs = 1_000

export class PathAgreement {
  readonly planner: Planner
  /** What both directions do, as this end sees them. */
  paths: PathsOption
  readonly #context: AgreementContext
  readonly #bad = new Map<string, number>()
  #plan: PlanFrame | undefined
  #modes: PlanModesFrame | undefined
  /** Came before their plan. */
  #comingModes: PlanModesFrame | undefined
  /** The last epoch whose modes the peer knows. */
  #modesOkEpoch = 0
  #peerActive: { readonly relayId: string | undefined; readonly keptReceived: number } | undefined
  #openedAtMs: number | undefined
  #nextRoundAtMs = Number.POSITIVE_INFINITY
  #roundsDone = 0
  #reportAtMs = Number.POSITIVE_INFINITY
  #lookAtMs = Number.POSITIVE_INFINITY
  /** The last repair that was put off, or is. */
  #repairAtMs = Number.NEGATIVE_INFINITY

  constructor(context: AgreementContext) {
    this.#context = context
    this.planner = new Planner(context.host.random, context.policy)
    this.paths = context.paths
    this.planner.paths = context.paths
  }

  /** The plan in force here: the captain's own, or the last one agreed to. */
  get plan(): PlanFrame | undefined {
    return this.#context.captain ? this.planner.plan : this.#plan
  }

  /** The modes of the plan in force; undefined: best. */
  get modes(): PlanModesFrame | undefined {
    return this.#context.captain ? this.planner.modes : this.#modes
  }

  /** Both ends agreed on a plan. */
  get settled(): boolean {
    return this.#context.captain ? this.planner.settled : this.#plan !== undefined
  }

  /**
   * The relay over which the peer sends: where its newest kept packet came from, or its newest report if that came later (reports go on the
   * active path, data may not come for long).
   */
  get peerActive(): string | null {
    const { active, kept } = this.#context.machine.status()
    const reported = this.#peerActive
    return (reported?.keptReceived === kept.received ? reported.relayId : undefined) ?? active.receive
  }

  /** The plan has fewer relays than its mode needs. */
  get short(): boolean {
    const { plan, modes } = this
    if (plan === undefined || modes === undefined) return false
    return relaysOf(plan, modes).length < this.needed
  }

  /** How many paths the modes of both directions need. */
  get needed(): number {
    return Math.max(pathsNeeded(this.paths.send), pathsNeeded(this.paths.receive))
  }

  /** Relays that carry the connection when it has what it was asked for, and one to stand by. */
  get relaysWanted(): number {
    return Math.max(pathsWanted(this.paths.send), pathsWanted(this.paths.receive)) + 1
  }

  /** Its modes stand still with the next relay that is lost: no more of the plan's relays are attached to than they cannot do without. */
  get bare(): boolean {
    const { plan } = this
    const modes = [this.paths.send, this.paths.receive].filter((mode) => pathsLeast(mode) > 1)
    if (plan === undefined || modes.length === 0) return false
    const relays: FailsTogether[] = []
    for (const relayId of relaysOf(plan, this.modes)) {
      const attachment = this.#context.host.attachments.linkFor(relayId)
      if (attachment?.usable === true) relays.push({ relayId, failureDomain: attachment.entry.failureDomain })
    }
    return modes.some((mode) => countApart(relays, apartness(mode)) <= pathsLeast(mode))
  }

  /** Active and standby relays of the plan, and up to `more` of those that come next and are not bad. */
  plannedRelays(nowMs: number, more: number): string[] {
    const { plan } = this
    if (plan === undefined) return []
    const planned = relaysOf(plan, this.modes)
    if (more === 0) return planned
    const next = plan.relays.filter(({ relayId }) => !planned.includes(relayId) && !this.isBad(nowMs, relayId))
    return [...planned, ...next.slice(0, more).map(({ relayId }) => relayId)]
  }

  /** Every path there can be: one for each link of ours, and for those that only the other end has. */
  names(): string[] {
    const { attachments } = this.#context.host
    const own = [...attachments.all()].map(({ relayId }) => relayId)
    const known = new Set(own)
    const theirs = this.planner.peerRelays().filter((relayId) => relayId !== relayOf(relayId) && !known.has(relayId))
    return [...own, ...theirs.filter((relayId) => attachments.linkFor(relayId) !== undefined)]
  }

  /** One of the ends has several links to the relay of this path. */
  hasLinks(relayId: string): boolean {
    return this.names().filter((name) => relayOf(name) === relayOf(relayId)).length > 1
  }

  /** The connection is on. */
  start(nowMs: number): void {
    const { tuning } = this.#context.host
    this.#openedAtMs = nowMs
    this.#nextRoundAtMs = nowMs + tuning.earlyRoundMs
    this.#reportAtMs = nowMs
    this.#lookAtMs = nowMs + tuning.firstPlanWithinMs
    if (this.#context.wish) this.setPaths(nowMs, this.paths)
  }

  /** The application of this end wants something else. The captain plans it; the other end asks the captain to. */
  setPaths(nowMs: number, paths: PathsOption): void {
    const { captain, machine, dirty } = this.#context
    if (captain) this.#wish(nowMs, paths)
    else {
      machine.sendControlFrame(nowMs, { type: 'paths', paths: formatPaths(paths) })
      dirty()
    }
  }

  #wish(nowMs: number, paths: PathsOption): void {
    this.paths = paths
    this.planner.paths = paths
    this.lookSoon(nowMs)
  }

  /** The path to `relayId` went silent and is not to be planned for a while. */
  isBad(nowMs: number, relayId: string): boolean {
    return nowMs < (this.#bad.get(relayId) ?? 0)
  }

  /** An attachment came, went or drains. */
  attachmentChanged(nowMs: number, attachment: Attachment): void {
    // A relay that took us in anew lives; what its path did before it went says nothing about it now.
    if (attachment.usable) {
      const open = this.#context.openRelays()
      for (const relayId of [attachment.relayId, ...this.#bad.keys()]) {
        if (open.has(relayId) || this.#context.host.attachments.linkFor(relayId) !== attachment) continue
        this.#bad.delete(relayId)
        this.planner.recovered(relayId)
      }
    }
    this.#tellKnown(nowMs)
    if (this.plan !== undefined) this.#context.dirty()
    if (this.#openedAtMs === undefined) return
    const { tuning, random } = this.#context.host
    const soonMs = nowMs + tuning.reportDebounceMs * (1 + random())
    if (!Number.isFinite(this.#reportAtMs)) this.#reportAtMs = soonMs
    if (!attachment.attached && this.planner.plan !== undefined) this.repairSoon(nowMs)
    // A relay to be left is replaced at once, while it still carries; one that came back can wait for its first pings.
    else this.#lookAtMs = Math.min(this.#lookAtMs, attachment.usable ? soonMs : nowMs)
  }

  /** A path answered. `first`: what was reported before there was one is lost. */
  pathOpened(nowMs: number, relayId: string, first: boolean): void {
    this.#bad.delete(relayId)
    this.planner.recovered(relayId)
    if (first && this.#openedAtMs !== undefined) this.#reportAtMs = nowMs
    this.reapply(nowMs)
    this.lookSoon(nowMs)
  }

  pathBad(nowMs: number, relayId: string): void {
    this.#bad.set(relayId, nowMs + badMs)
    this.planner.bad(nowMs, relayId)
    this.#tellKnown(nowMs)
    this.#reportAtMs = Math.min(this.#reportAtMs, nowMs)
  }

  /** The machine failed over by itself: what it uses now is what a plan has to beat. */
  moved(nowMs: number, relayId: string): void {
    if (this.planner.plan !== undefined) this.planner.moved(nowMs, relayId)
    this.repairSoon(nowMs)
  }

  /**
   * A path failed. The captain plans anew a moment later, drawn anew by each connection: whatever else goes on carries the bytes meanwhile,
   * and a relay that took a thousand connections along is not followed by a thousand plans in the same instant.
   */
  repairSoon(nowMs: number): void {
    const { tuning, random } = this.#context.host
    if (this.planner.plan === undefined || this.#repairAtMs > nowMs) return
    this.#repairAtMs = nowMs + tuning.repairAfterMs + tuning.repairSpreadMs * random()
    this.#lookAtMs = Math.min(this.#lookAtMs, this.#repairAtMs)
    this.#context.host.needsSync()
  }

  /** Something changed that a plan depends on. */
  lookSoon(nowMs: number): void {
    if (this.planner.plan !== undefined) this.#lookAtMs = Math.min(this.#lookAtMs, nowMs)
    this.#context.host.needsSync()
  }

  /** Takes a frame of the agreement that came over `relayId`. */
  frame(nowMs: number, relayId: string | undefined, frame: Frame): void {
    const { captain, machine } = this.#context
    if (frame.type === 'report') {
      this.#peerActive = { relayId, keptReceived: machine.receivedPackets }
      this.planner.peerReport(nowMs, frame.relays)
      this.#tellKnown(nowMs)
      this.#look(nowMs, false)
    } else if (frame.type === 'plan') {
      if (!captain) this.#planned(nowMs, frame)
    } else if (frame.type === 'planOk') {
      this.planner.acknowledged(frame.epoch)
      if (captain && this.planner.plan?.epoch === frame.epoch) this.#usePlan(nowMs, this.planner.plan, this.planner.modes)
    } else if (frame.type === 'planModes') {
      this.#comingModes = frame
    } else if (frame.type === 'modesOk') {
      this.#modesOkEpoch = Math.max(this.#modesOkEpoch, frame.epoch)
    } else if (frame.type === 'paths') {
      const wish = readPaths(frame.paths)
      if (captain && wish !== undefined) this.#wish(nowMs, turned(wish))
    } else if (frame.type === 'planNo' && captain) {
      this.planner.refused(nowMs, frame.relayId, frame.reason)
      this.#look(nowMs, false)
    }
  }

  /** Paths that opened late or in a time of need are given up again, once nothing is wrong. */
  reapply(nowMs: number): void {
    const { plan } = this
    if (plan === undefined || !this.settled || !this.#context.calm()) return
    const planned = this.plannedRelays(nowMs, 0)
    for (const relayId of this.#context.relays()) {
      if (planned.includes(relayId)) continue
      this.#usePlan(nowMs, plan, this.modes)
      return
    }
  }

  wake(nowMs: number): void {
    if (nowMs >= this.#nextRoundAtMs) this.#round(nowMs)
    if (nowMs >= this.#reportAtMs) this.#report(nowMs)
    if (nowMs >= this.#lookAtMs) this.#look(nowMs, false)
  }

  wakeAtMs(): number {
    return Math.min(this.#nextRoundAtMs, this.#reportAtMs, this.#lookAtMs)
  }

  /** The listener's side: agree when every relay that would carry something now is reachable. */
  #planned(nowMs: number, plan: PlanFrame): void {
    if (plan.epoch <= (this.#plan?.epoch ?? 0)) return
    const { machine, host, dirty } = this.#context
    const modes = this.#comingModes?.epoch === plan.epoch ? this.#comingModes : undefined
    for (const relayId of relaysOf(plan, modes)) {
      const attachment = host.attachments.linkFor(relayId)
      const allowed = attachment === undefined || this.#context.policy.allows(attachment.entry)
      if (attachment?.usable === true && allowed) continue
      const reason = !allowed ? 'policy' : attachment === undefined ? 'not_in_list' : attachment.attached ? 'draining' : 'not_attached'
      machine.sendControlFrame(nowMs, { type: 'planNo', epoch: plan.epoch, relayId, reason })
      dirty()
      return
    }
    this.#plan = plan
    this.#modes = modes
    const paths = modes === undefined ? bestPaths : readPaths(modes.paths)
    if (paths !== undefined) {
      this.paths = turned(paths)
      if (modes !== undefined) machine.sendControlFrame(nowMs, { type: 'modesOk', epoch: plan.epoch })
    }
    machine.sendControlFrame(nowMs, { type: 'planOk', epoch: plan.epoch })
    this.#usePlan(nowMs, plan, modes)
  }

  #usePlan(nowMs: number, plan: PlanFrame, modes: PlanModesFrame | undefined): void {
    const { captain, machine, host, dirty } = this.#context
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
      known: this.#known(nowMs),
      alone: this.#alone,
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

  /** There is one way only, whatever happens to it. */
  get #alone(): boolean {
    return this.names().length === 1
  }

  /** Before the first plan there is nothing to give up for another. */
  #tellKnown(nowMs: number): void {
    if (this.plan !== undefined) this.#context.machine.relaysKnown(this.#known(nowMs), this.#alone)
  }

  /** Relays that a plan could name now. */
  #known(nowMs: number): string[] {
    const { attachments } = this.#context.host
    return this.names().filter(
      (relayId) => attachments.linkFor(relayId)?.usable === true && !this.isBad(nowMs, relayId) && this.planner.peerReaches(relayId),
    )
  }

  #round(nowMs: number): void {
    const { tuning, attachments, random } = this.#context.host
    this.#roundsDone += 1
    // 20 to 26 s around the tuning's 23, so that rounds of many connections do not meet.
    const alone = this.#roundsDone > earlyRounds && this.#alone
    const usualMs = tuning.roundMs * (alone ? aloneRounds : 1) * (0.87 + 0.26 * random())
    const stepMs = this.#roundsDone < earlyRounds ? tuning.earlyRoundMs : usualMs
    this.#nextRoundAtMs = nowMs + stepMs
    this.#report(nowMs)
    this.#look(nowMs, true)
    this.reapply(nowMs)
    // Legs and paths are compared with each other, so both are measured anew while the first choice is provisional.
    if (this.#roundsDone <= earlyRounds) this.#context.machine.probeAll(nowMs)
    const measured = new Set([...this.#context.relays()].map((relayId) => attachments.linkFor(relayId)))
    for (const attachment of attachments.attachedByRank().slice(0, tuning.attachedMin)) measured.add(attachment)
    for (const attachment of measured) if ((attachment?.leg.estimate(nowMs)?.ageMs ?? 0) > probeAgeMs) attachment?.probe(nowMs)
  }

  #report(nowMs: number): void {
    this.#reportAtMs = Number.POSITIVE_INFINITY
    this.#context.machine.sendReport(nowMs, this.#reportFrame(nowMs))
    this.#context.dirty()
  }

  #reportFrame(nowMs: number): ReportFrame {
    const relays: ReportFrame['relays'] = []
    const scarce = this.#scarce(nowMs)
    for (const attachment of this.#context.host.attachments.all()) {
      if (relays.length === relaysMax) break
      const leg = attachment.leg.estimate(nowMs)
      const policy = this.#context.policy.verdict(attachment.entry)
      const policyMs = policy.policyMs + (attachment.isCrowded(nowMs) ? crowdedPolicyMs : 0)
      relays.push({
        relayId: attachment.relayId,
        rttMs: leg?.rttMs ?? 0,
        varMs: leg?.varMs ?? 0,
        loss: leg?.loss ?? 0,
        ageMs: Math.round(leg?.ageMs ?? 0),
        reachable: attachment.usable && policy.excluded === undefined && (scarce || !this.isBad(nowMs, attachment.relayId)),
        ...(policyMs > 0 ? { policyMs } : {}),
      })
    }
    return { type: 'report', relays }
  }

  /** No relay is left to spare that did not go silent: then the others are offered too, since the captain has no better. */
  #scarce(nowMs: number): boolean {
    const usable = this.#context.host.attachments.attached().filter((attachment) => attachment.usable)
    const sound = usable.filter(({ relayId }) => !this.isBad(nowMs, relayId))
    return !hasSpare(
      sound.map(({ relayId, entry: { failureDomain } }) => ({ relayId, failureDomain })),
      this.paths,
    )
  }

  #look(nowMs: number, round: boolean): void {
    if (nowMs >= this.#lookAtMs) this.#lookAtMs = Number.POSITIVE_INFINITY
    const { captain, machine, host, handle, dirty } = this.#context
    if (!captain || this.#openedAtMs === undefined || !this.#readyToPlan(nowMs, this.#openedAtMs)) return
    const decision = this.planner.look(nowMs, this.#ownFacts(nowMs), round)
    if (decision === undefined) return
    const { plan, modes, why } = decision
    if (modes !== undefined) {
      machine.sendControlFrame(nowMs, modes)
      machine.expectMode(this.paths.receive)
    }
    machine.sendControlFrame(nowMs, plan)
    const { epoch, activeFromCaller: active, standby } = plan
    host.emit({ type: 'event', event: { type: 'planned', handle, epoch, active, standby, why } })
    host.needsSync()
    dirty()
  }

  /** The first plan waits a moment for numbers of both ends; later ones have them. */
  #readyToPlan(nowMs: number, openedAtMs: number): boolean {
    if (this.planner.plan !== undefined) return true
    const latestMs = openedAtMs + this.#context.host.tuning.firstPlanWithinMs
    if (nowMs >= latestMs) return true
    this.#lookAtMs = Math.min(this.#lookAtMs, latestMs)
    if (!this.planner.informed) return false
    for (const attachment of this.#context.host.attachments.all()) {
      const pending = attachment.attached ? attachment.leg.samples === 0 : attachment.coming
      if (pending) return false
    }
    return true
  }

  #ownFacts(nowMs: number): OwnFacts[] {
    const open = this.#context.openRelays()
    const { attachments } = this.#context.host
    const paths = this.names().map((relayId) => ({ relayId, attachment: attachments.linkFor(relayId)! }))
    return paths.map(({ relayId, attachment }) => ({
      relayId,
      leg: attachment.leg.estimate(nowMs),
      reachable: attachment.usable,
      why: attachment.attached ? 'it drains' : unreachableWhy(attachment),
      open: open.has(relayId),
      failureDomain: attachment.entry.failureDomain,
      entry: attachment.entry,
      queueMs: attachment.queueMs(nowMs),
      crowded: attachment.isCrowded(nowMs),
    }))
  }
}

function unreachableWhy(attachment: Attachment): string {
  if (attachment.state === 'idle') return 'not attached: further away than the ones in use'
  const failure = attachment.lastFailure
  return failure === undefined ? 'not attached yet' : `not attached: ${failure.code}`
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
function readPaths(text: string): PathsOption | undefined {
  try {
    return parsePaths(text)
  } catch (error) {
    if (error instanceof SennitError) return undefined
    throw error
  }
}
