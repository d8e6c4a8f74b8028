/**
 * How two ends agree on the paths of one connection (connection.md 18): both report what they measured, the captain ranks and plans, the
 * peer checks that it can follow. Which circuits there are is the connection's business; this says which relays they should be at.
 */
import type { Frame } from '@sennit/protocol'
import type { Attachment } from '../attach/attachment.ts'
import type { ConnectionMachine } from '../connection/index.ts'
import { formatPaths, type PathsOption, turned } from '../paths/index.ts'
import { Planner } from '../plan/planner.ts'
import type { PolicyView } from '../plan/policy.ts'
import type { ConnectionHost } from './connection-host.ts'
import { PlanInForce, readPaths } from './plan-in-force.ts'
import { RelayView } from './relay-view.ts'

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
  /** The relays as this end sees them. */
  readonly relays: RelayView
  /** What both ends follow now. */
  readonly inForce: PlanInForce
  readonly #context: AgreementContext
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
    this.planner.paths = context.paths
    const { host, machine, captain, policy, dirty } = context
    this.relays = new RelayView(host.attachments, policy, this.planner)
    this.inForce = new PlanInForce({ host, machine, planner: this.planner, relays: this.relays, policy, captain, dirty }, context.paths)
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

  /** The connection is on. */
  start(nowMs: number): void {
    const { tuning } = this.#context.host
    this.#openedAtMs = nowMs
    this.#nextRoundAtMs = nowMs + tuning.earlyRoundMs
    this.#reportAtMs = nowMs
    this.#lookAtMs = nowMs + tuning.firstPlanWithinMs
    if (this.#context.wish) this.setPaths(nowMs, this.inForce.paths)
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
    this.inForce.paths = paths
    this.planner.paths = paths
    this.lookSoon(nowMs)
  }

  /** An attachment came, went or drains. */
  attachmentChanged(nowMs: number, attachment: Attachment): void {
    if (attachment.usable) this.relays.cameBack(attachment, this.#context.openRelays())
    this.inForce.tellKnown(nowMs)
    if (this.inForce.plan !== undefined) this.#context.dirty()
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
    this.relays.answered(relayId)
    if (first && this.#openedAtMs !== undefined) this.#reportAtMs = nowMs
    this.reapply(nowMs)
    this.lookSoon(nowMs)
  }

  pathBad(nowMs: number, relayId: string): void {
    this.relays.wentSilent(nowMs, relayId)
    this.inForce.tellKnown(nowMs)
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
      this.inForce.tellKnown(nowMs)
      this.#look(nowMs, false)
    } else if (frame.type === 'plan') {
      if (!captain) this.inForce.proposed(nowMs, frame)
    } else if (frame.type === 'planOk') {
      this.planner.acknowledged(frame.epoch)
      if (captain) this.inForce.accepted(nowMs, frame.epoch)
    } else if (frame.type === 'planModes') {
      this.inForce.modesComing(frame)
    } else if (frame.type === 'modesOk') {
      this.inForce.modesKnown(frame.epoch)
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
    if (this.#context.calm()) this.inForce.reapply(nowMs, this.#context.relays())
  }

  wake(nowMs: number): void {
    if (nowMs >= this.#nextRoundAtMs) this.#round(nowMs)
    if (nowMs >= this.#reportAtMs) this.#report(nowMs)
    if (nowMs >= this.#lookAtMs) this.#look(nowMs, false)
  }

  wakeAtMs(): number {
    return Math.min(this.#nextRoundAtMs, this.#reportAtMs, this.#lookAtMs)
  }

  #round(nowMs: number): void {
    const { tuning, attachments, random } = this.#context.host
    this.#roundsDone += 1
    // 20 to 26 s around the tuning's 23, so that rounds of many connections do not meet.
    const alone = this.#roundsDone > earlyRounds && this.relays.alone
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
    this.#context.machine.sendReport(nowMs, this.relays.report(nowMs, this.inForce.paths))
    this.#context.dirty()
  }

  #look(nowMs: number, round: boolean): void {
    if (nowMs >= this.#lookAtMs) this.#lookAtMs = Number.POSITIVE_INFINITY
    const { captain, machine, host, handle, dirty } = this.#context
    if (!captain || this.#openedAtMs === undefined || !this.#readyToPlan(nowMs, this.#openedAtMs)) return
    const decision = this.planner.look(nowMs, this.relays.facts(nowMs, this.#context.openRelays()), round)
    if (decision === undefined) return
    const { plan, modes, why } = decision
    if (modes !== undefined) {
      machine.sendControlFrame(nowMs, modes)
      machine.expectMode(this.inForce.paths.receive)
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
    return this.planner.informed && !this.relays.pending
  }
}
