/**
 * One link to a relay of the list and the attachment over it, if there is one: idle, waiting for its next dial, dialing, attached. It owns the hop
 * links and says upwards only what a connection can use; the shell sees dials, writes and hang-ups.
 */
import {
  type CryptoProvider,
  type HopControl,
  HopLink,
  type MeshTrust,
  type PacketHeader,
  type RelayEntry,
  SennitError,
  type UserIdentity,
} from '@sennit/protocol'
import type { ClientTuning } from '../client/tuning.ts'
import { ListParts } from '../directory/list-parts.ts'
import { LegEstimator } from '../plan/estimator.ts'
import type { PolicyView } from '../plan/policy.ts'
import { Backoff, type BackoffFacts } from './backoff.ts'
import { DialRace, type DialTarget, dialTargets, type Runner } from './dial-race.ts'

/** What every attachment of one client shares. */
export interface AttachmentContext {
  readonly crypto: CryptoProvider
  readonly random: () => number
  readonly identity: UserIdentity
  readonly trust: MeshTrust
  readonly label: string
  readonly instance: Uint8Array
  readonly software: string
  readonly carriers: readonly string[]
  /** Of single relays, instead. */
  readonly carriersOf: Readonly<Record<string, readonly string[]>>
  readonly lentChunks: boolean
  readonly tuning: ClientTuning
  /** The client's own: relays it does not allow are never attached to. */
  readonly policy: PolicyView
  readonly sink: AttachmentSink
  nextKey(): number
}

/** Told by attachments; the client machine implements it. */
export interface AttachmentSink {
  /** @param first makes the first handshake bytes, when the carrier can send them: a dial that is given up before costs no curve arithmetic */
  dial(attachment: Attachment, key: number, target: DialTarget, first: () => Uint8Array): void
  write(key: number, pieces: Uint8Array[]): void
  hangUp(key: number): void
  /** The attachment has something to pump. */
  dirty(attachment: Attachment): void
  attached(nowMs: number, attachment: Attachment): void
  detached(nowMs: number, attachment: Attachment, code: string, message: string): void
  dialFailed(nowMs: number, attachment: Attachment, code: string, message: string, retryInMs: number, resting: boolean): void
  control(nowMs: number, attachment: Attachment, message: HopControl): void
  packet(nowMs: number, attachment: Attachment, circuit: number, header: PacketHeader, pieces: Uint8Array[]): void
  backoffFacts(attachment: Attachment): BackoffFacts
}

/** When the back-off would have dialled. */
interface Turn {
  readonly untilMs: number
  readonly resting: boolean
}

type State =
  | { readonly type: 'idle' }
  /** `staggered`: for its place in the first race, not for a failure. */
  | ({ readonly type: 'waiting'; readonly staggered: boolean; readonly after?: Turn | undefined } & Turn)
  /** `after`: this dial is out of turn, and that is when its turn comes. */
  | { readonly type: 'dialing'; readonly race: DialRace; readonly after: Turn | undefined }
  | { readonly type: 'attached'; readonly runner: Runner; readonly sinceMs: number }

/** What a relay that goes has told, and whether we moved on account of it. */
export interface Draining {
  readonly leaveAtMs: number
  readonly endAtMs: number
  /** Over which it asked its clients to spread. */
  readonly spreadMs: number
  left: boolean
  /** Nobody but the list said so: it ends only when others carry. @default false */
  readonly byList?: boolean
}

/** Pings right after attaching: one sample is noise, three in two seconds are a first opinion. */
const earlyProbesMs = [0, 400, 1_500] as const

/** What a relay says of its load is believed this long; a relay under load repeats it. */
const loadMs = 30_000
/** No relay can make itself cost more than one that is to be avoided, nor hold us off for longer than this. */
const queueMsMax = 1_000
const crowdedMsMax = 300_000

/** A relay in use is pinged this often even when its heartbeat is slow: the pace of a normal one. */
const busyProbeMs = 15_000

/** Which of the links to a relay it is. */
export interface LinkFacts {
  readonly id: string
  /** Dialled from there. @default as the system chooses */
  readonly localAddress?: string | undefined
}

export class Attachment {
  /** The relay's own id, or that of a further link to it (links.ts). */
  readonly relayId: string
  readonly localAddress: string | undefined
  readonly #context: AttachmentContext
  readonly #backoff: Backoff
  #entry: RelayEntry
  #state: State = { type: 'idle' }
  #winner: DialTarget | undefined
  #probesDone = 0
  #probedAtMs = 0
  #promptedAtMs = Number.NEGATIVE_INFINITY
  #lostAtMs = Number.NEGATIVE_INFINITY
  #load: { readonly queueMs: number; readonly untilMs: number } | undefined
  /** Round trips to this relay; survives the attachment. */
  readonly leg: LegEstimator = new LegEstimator()
  /** Set from the relay's notice until the attachment ends: leave at `leaveAtMs`, closed at the latest at `endAtMs`. */
  draining: Draining | undefined
  /** The list this relay is handing out. */
  readonly listParts: ListParts = new ListParts()
  /** The relay asked us to use others, from then until then. */
  crowded: { readonly fromMs: number; readonly untilMs: number; told: boolean } | undefined
  /** Drawn anew at each loss, [0, 1): which of equal relays this client takes, and when. Two draws, or the best lots would all be the first. */
  lot = 0
  pace = 0
  /** The list has it; once it has not, it is only kept until its circuits have moved. */
  listed = true
  /** Wanted by nobody since. */
  unwantedSinceMs: number | undefined
  /** What the last failed dial or lost attachment said. */
  lastFailure: { readonly code: string; readonly message: string } | undefined
  /** Dials since the relay was last attached, so that an error can tell "not tried" from "not reached". */
  dialsFailed = 0
  #saver = false
  #busy = false
  #wakeMs: number | undefined

  constructor(context: AttachmentContext, entry: RelayEntry, link: LinkFacts = { id: entry.relayId }) {
    this.relayId = link.id
    this.localAddress = link.localAddress
    this.#context = context
    this.#entry = entry
    this.#backoff = new Backoff(context.tuning, context.random)
    this.draw()
  }

  draw(): void {
    this.lot = this.#context.random()
    this.pace = this.#context.random()
  }

  /** The relay itself, whichever link this is. */
  get relay(): string {
    return this.#entry.relayId
  }

  get entry(): RelayEntry {
    return this.#entry
  }

  get state(): 'idle' | 'waiting' | 'resting' | 'dialing' | 'attached' {
    return this.#state.type === 'waiting' && this.#state.resting ? 'resting' : this.#state.type
  }

  get attached(): boolean {
    return this.#state.type === 'attached'
  }

  /** Fit for new circuits: attached and not being left. */
  get usable(): boolean {
    return this.attached && !(this.draining?.left ?? false)
  }

  /** On its way for the first time, or again without having failed. */
  get coming(): boolean {
    return (this.#state.type === 'dialing' || (this.#state.type === 'waiting' && this.#state.staggered)) && !this.failing
  }

  /** Failing since its last attachment. */
  get failing(): boolean {
    return !this.attached && this.dialsFailed > 0
  }

  get carrier(): string | undefined {
    return this.#state.type === 'attached' ? this.#state.runner.carrier : undefined
  }

  /** Slow heartbeats for the far ones, from the next dial on. */
  set saver(saver: boolean) {
    if (saver === this.#saver) return
    this.#saver = saver
    this.#wakeMs = undefined
  }

  /** Something of ours goes through it: it is watched closely, whatever its heartbeat. */
  set busy(busy: boolean) {
    if (busy === this.#busy) return
    this.#busy = busy
    this.#wakeMs = undefined
  }

  get url(): string | undefined {
    return this.#state.type === 'attached' ? this.#state.runner.url : this.#winner?.url
  }

  get attachedSinceMs(): number | undefined {
    return this.#state.type === 'attached' ? this.#state.sinceMs : undefined
  }

  /** The list says something new of it. One that is on its way out is left like one that says so itself, at a time of our own. */
  entryChanged(nowMs: number, entry: RelayEntry): void {
    const moved = entry.urls.join() !== this.#entry.urls.join()
    this.#entry = entry
    this.listed = true
    // The operator named it anew: what failed before says nothing now. A list that only grew says nothing of this relay.
    if (moved) this.#backoff.reset()
    if (entry.draining === true) this.leaveByList(nowMs)
    else if (this.draining?.byList === true) this.draining = undefined
  }

  /** The list has it no more. */
  unlisted(nowMs: number): void {
    this.listed = false
    this.leaveByList(nowMs)
    if (!this.attached) this.unwant(nowMs)
  }

  /** The list has it no more, or says that it goes: its circuits move to others, and it is kept for as long as they have none. */
  leaveByList(nowMs: number): void {
    if (!this.attached || this.draining !== undefined) return
    const spreadMs = this.#context.tuning.leaveSpreadMs
    const leaveAtMs = nowMs + this.#context.random() * spreadMs
    this.draining = { leaveAtMs, endAtMs: Number.POSITIVE_INFINITY, spreadMs, left: false, byList: true }
  }

  /** What the relay says of its own delay. */
  load(nowMs: number, queueMs: number): void {
    this.#load = { queueMs: Math.min(queueMsMax, queueMs), untilMs: nowMs + loadMs }
  }

  queueMs(nowMs: number): number {
    return this.#load !== undefined && nowMs < this.#load.untilMs ? this.#load.queueMs : 0
  }

  /** The relay is over its limit: others are used, if there are any, from a moment of our own on. */
  makeRoom(nowMs: number, spreadMs: number, forMs: number): void {
    const fromMs = nowMs + this.#context.random() * Math.min(crowdedMsMax, spreadMs)
    this.crowded = { fromMs, untilMs: fromMs + Math.min(crowdedMsMax, forMs), told: false }
  }

  isCrowded(nowMs: number): boolean {
    return this.crowded !== undefined && nowMs >= this.crowded.fromMs && nowMs < this.crowded.untilMs
  }

  /** Somebody needs this relay: dial no later than `startAtMs`. */
  want(nowMs: number, startAtMs: number): void {
    this.unwantedSinceMs = undefined
    const state = this.#state
    const sooner = state.type === 'waiting' && state.staggered && startAtMs < state.untilMs
    if (state.type === 'idle' || sooner)
      this.#enter({ type: 'waiting', untilMs: Math.max(nowMs, startAtMs), resting: false, staggered: true })
  }

  /** A connection stands still, or is about to: the urgent cap counts now, and nobody rests. */
  hurry(nowMs: number): void {
    if (this.#state.type !== 'waiting') return
    const { backoffUrgentCapMs } = this.#context.tuning
    // Drawn once: this is called whenever anything changes, and the least of many draws would be no jitter at all.
    if (!this.#state.resting && this.#state.untilMs <= nowMs + backoffUrgentCapMs) return
    const untilMs = Math.min(this.#state.untilMs, nowMs + this.#context.random() * backoffUrgentCapMs)
    this.#enter({ type: 'waiting', untilMs, resting: false, staggered: false })
  }

  /** Lost a moment ago, and a connection needs as many relays as it has left: one that is only being started again is found within a second. */
  returnSoon(nowMs: number): void {
    const state = this.#state
    const { returnWithinMs, returnEveryMs, repairAfterMs } = this.#context.tuning
    if (state.type !== 'waiting' || nowMs >= this.#lostAtMs + returnWithinMs || state.untilMs <= nowMs + returnEveryMs) return
    // Not in the moment of the loss: its circuits move first.
    const untilMs = nowMs + repairAfterMs + this.#context.random() * (returnEveryMs - repairAfterMs)
    this.#enter({ type: 'waiting', untilMs, resting: false, staggered: false })
  }

  /**
   * A connection stands still from now on, for want of a path or of a relay for its mode: one dial out of turn, at a moment of our own within a
   * quarter second, because what the back-off knows of this relay may be older than its return. When it fails, the back-off goes on as if there had
   * been none.
   */
  prompt(nowMs: number): void {
    const state = this.#state
    if (state.type !== 'waiting') return
    const { promptEveryMs, pathlessSpreadMs } = this.#context.tuning
    const fromMs = Math.max(nowMs, this.#promptedAtMs + promptEveryMs)
    const untilMs = fromMs + this.#context.random() * pathlessSpreadMs
    if (state.untilMs <= untilMs) return
    this.#promptedAtMs = untilMs
    const after = state.after ?? { untilMs: state.untilMs, resting: state.resting }
    this.#enter({ ...state, untilMs, resting: false, after })
  }

  /** Who listens rests no relay for longer than this; half of it is jitter, as in any rest. */
  restAtMost(nowMs: number, maxMs: number): void {
    const state = this.#state
    if (state.type !== 'waiting' || !state.resting || state.untilMs <= nowMs + maxMs) return
    this.#enter({ ...state, untilMs: nowMs + maxMs * (0.5 + 0.5 * this.#context.random()) })
  }

  /** Nobody needs it now; an attachment lingers until {@link release}. */
  unwant(nowMs: number): void {
    const state = this.#state
    if (state.type === 'attached') this.unwantedSinceMs ??= nowMs
    if (state.type === 'dialing') this.#abandonRace(state.race, undefined)
    if (state.type === 'dialing' || state.type === 'waiting') this.#enter({ type: 'idle' })
  }

  /** Says goodbye to the relay and hangs up. */
  release(nowMs: number, reason: string): void {
    if (this.#state.type === 'dialing' || this.#state.type === 'waiting') this.unwant(nowMs)
    if (this.#state.type !== 'attached') return
    this.#state.runner.link.close(reason)
    this.pump(nowMs)
  }

  sendControl(message: HopControl): void {
    if (this.#state.type !== 'attached') return
    this.#state.runner.link.sendControl(message)
    this.#context.sink.dirty(this)
  }

  sendPacket(circuit: number, header: PacketHeader, pieces: readonly Uint8Array[]): void {
    if (this.#state.type !== 'attached') return
    this.#state.runner.link.sendPacket(circuit, header, pieces)
    this.#context.sink.dirty(this)
  }

  /** Bytes of datagrams that wait for the carrier on one circuit. */
  queuedDatagramBytes(circuit: number): number {
    return this.#state.type === 'attached' ? this.#state.runner.link.queuedDatagramBytes(circuit) : 0
  }

  dropCircuit(circuit: number): void {
    if (this.#state.type === 'attached') this.#state.runner.link.dropCircuit(circuit)
  }

  /** Measure the round trip now. */
  probe(nowMs: number): void {
    if (this.#state.type !== 'attached') return
    this.#wakeMs = undefined
    this.#probedAtMs = nowMs
    this.#state.runner.link.probe(nowMs)
    this.#context.sink.dirty(this)
  }

  /** Our own loop stood still: measure anew, and let dials hear the answers that wait in their sockets. */
  resumedFromPause(nowMs: number): void {
    this.#wakeMs = undefined
    this.probe(nowMs)
    if (this.#state.type === 'dialing') this.#state.race.postpone(nowMs)
  }

  carrierOpened(nowMs: number, key: number): void {
    this.#wakeMs = undefined
    if (this.#state.type === 'dialing') this.#state.race.opened(nowMs, key)
  }

  carrierBytes(nowMs: number, key: number, chunk: Uint8Array): void {
    const runner = this.#runner(key)
    if (runner === undefined) return
    this.#wakeMs = undefined
    runner.link.receive(nowMs, chunk)
    // At once: the chunk may be only lent, and what was just read is still near the processor. What we say to it waits for the end of the turn.
    this.#take(nowMs, runner, false)
    this.#context.sink.dirty(this)
  }

  carrierWritable(nowMs: number, key: number, writable: boolean): void {
    const runner = this.#runner(key)
    if (runner === undefined) return
    this.#wakeMs = undefined
    runner.link.carrierWritable(nowMs, writable)
    this.#context.sink.dirty(this)
  }

  carrierClosed(nowMs: number, key: number, code: string, message: string): void {
    this.#wakeMs = undefined
    if (this.#state.type === 'attached' && this.#state.runner.key === key) this.#lost(nowMs, code, message)
    else if (this.#state.type === 'dialing') {
      this.#state.race.failed(nowMs, key, code, message)
      this.#raceStep(nowMs, this.#state.race)
    }
  }

  wake(nowMs: number): void {
    this.#wakeMs = undefined
    const state = this.#state
    if (state.type === 'waiting' && nowMs >= state.untilMs) this.#dial(nowMs)
    else if (state.type === 'dialing') {
      for (const runner of state.race.runners()) wakeLink(nowMs, runner.link)
      this.#raceStep(nowMs, state.race)
      this.#context.sink.dirty(this)
    } else if (state.type === 'attached') {
      wakeLink(nowMs, state.runner.link)
      if (nowMs >= this.#probeAtMs(state.sinceMs)) {
        this.#probesDone += 1
        this.probe(nowMs)
      }
      this.#context.sink.dirty(this)
    }
  }

  // Asked for every attachment after every turn, so it is remembered until something happens to this one.
  wakeAtMs(): number {
    this.#wakeMs ??= this.#nextWakeMs()
    return this.#wakeMs
  }

  #nextWakeMs(): number {
    const state = this.#state
    if (state.type === 'waiting') return state.untilMs
    if (state.type === 'dialing') return state.race.wakeAtMs()
    if (state.type === 'idle') return Number.POSITIVE_INFINITY
    return Math.min(state.runner.link.wakeAtMs() ?? Number.POSITIVE_INFINITY, this.#probeAtMs(state.sinceMs))
  }

  /** Takes what the links have to say. */
  pump(nowMs: number): void {
    this.#wakeMs = undefined
    if (this.#state.type === 'attached') this.#take(nowMs, this.#state.runner, true)
    else if (this.#state.type === 'dialing') for (const runner of [...this.#state.race.runners()]) this.#take(nowMs, runner, true)
  }

  #probeAtMs(attachedAtMs: number): number {
    const early = earlyProbesMs[this.#probesDone]
    if (early !== undefined) return attachedAtMs + early
    return this.#busy && this.#saver ? this.#probedAtMs + busyProbeMs : Number.POSITIVE_INFINITY
  }

  get #carriers(): readonly string[] {
    const { carriers, carriersOf } = this.#context
    // A relay may be called what every object has.
    return (Object.hasOwn(carriersOf, this.relay) ? carriersOf[this.relay] : undefined) ?? carriers
  }

  #runner(key: number): Runner | undefined {
    if (this.#state.type === 'attached') return this.#state.runner.key === key ? this.#state.runner : undefined
    return this.#state.type === 'dialing' ? this.#state.race.runner(key) : undefined
  }

  #dial(nowMs: number): void {
    const targets = dialTargets(this.#entry.urls, this.#carriers, this.#winner)
    const race = new DialRace(this.#context.tuning, targets, (target) => this.#startRunner(nowMs, target), nowMs)
    this.#enter({ type: 'dialing', race, after: this.#state.type === 'waiting' ? this.#state.after : undefined })
    this.#raceStep(nowMs, race)
  }

  #startRunner(nowMs: number, target: DialTarget): Runner {
    const [context, entry] = [this.#context, this.#entry]
    const link = new HopLink({
      role: 'initiator',
      crypto: context.crypto,
      random: context.random,
      meshId: context.trust.meshId,
      carrier: target.carrier,
      software: context.software,
      trust: context.trust,
      relayId: entry.relayId,
      ...(entry.key === undefined ? {} : { relayKey: entry.key }),
      lentChunks: context.lentChunks,
      identity: context.identity,
      label: context.label,
      instance: context.instance,
      heartbeat: this.#saver ? 'saver' : 'normal',
    })
    // Written out, so that all runners are of one shape.
    const { url, carrier } = target
    const runner: Runner = { url, carrier, key: context.nextKey(), link, deadlineMs: nowMs + context.tuning.dialTimeoutMs }
    let first: Uint8Array | undefined
    context.sink.dial(this, runner.key, target, () => {
      first ??= link.first(nowMs)
      return first
    })
    return runner
  }

  #raceStep(nowMs: number, race: DialRace): void {
    // A start that fails at once (no address for this carrier) must not leave the race standing still.
    for (const late of race.wake(nowMs)) this.#context.sink.hangUp(late.key)
    if (race.lost && this.#state.type === 'dialing') this.#dialLost(nowMs, race.lastFailure, this.#state.after)
  }

  #dialLost(nowMs: number, failure: { readonly code: string; readonly message: string }, after: Turn | undefined): void {
    this.dialsFailed += 1
    this.lastFailure = failure
    const tell = (delayMs: number, resting: boolean) =>
      this.#context.sink.dialFailed(nowMs, this, failure.code, failure.message, delayMs, resting)
    if (after === undefined || after.untilMs <= nowMs) {
      this.#retryLater(nowMs, tell)
      return
    }
    this.#enter({ type: 'waiting', ...after, staggered: false })
    tell(after.untilMs - nowMs, after.resting)
  }

  #lost(nowMs: number, code: string, message: string): void {
    this.lastFailure = { code, message }
    const wentInOrder = this.draining
    // What went in order has said when to come back.
    if (wentInOrder === undefined) this.#lostAtMs = nowMs
    this.draining = undefined
    this.crowded = undefined
    this.#load = undefined
    const wanted = this.unwantedSinceMs === undefined
    this.unwantedSinceMs = undefined
    if (!ownEnds.has(code)) this.leg.trouble(nowMs)
    if (wanted && wentInOrder !== undefined) this.#returnLater(nowMs, wentInOrder.spreadMs)
    else if (wanted) this.#retryLater(nowMs, () => undefined)
    else this.#enter({ type: 'idle' })
    this.#context.sink.detached(nowMs, this, code, message)
  }

  #returnLater(nowMs: number, spreadMs: number): void {
    const step = this.#backoff.wentInOrder(nowMs, spreadMs, this.#context.sink.backoffFacts(this))
    this.#enter({ type: 'waiting', untilMs: nowMs + step.delayMs, resting: step.type === 'rest', staggered: false })
  }

  #retryLater(nowMs: number, tell: (delayMs: number, resting: boolean) => void): void {
    const step = this.#backoff.failed(nowMs, this.#context.sink.backoffFacts(this))
    this.#enter({ type: 'waiting', untilMs: nowMs + step.delayMs, resting: step.type === 'rest', staggered: false })
    tell(step.delayMs, step.type === 'rest')
  }

  /** @param answers also builds the records that are due */
  #take(nowMs: number, runner: Runner, answers: boolean): void {
    const { key, link } = runner
    const { sink } = this.#context
    for (let effect = answers ? link.poll() : link.heard(); effect !== undefined; effect = answers ? link.poll() : link.heard()) {
      switch (effect.type) {
        case 'write':
          sink.write(key, effect.pieces)
          break
        case 'packet':
          sink.packet(nowMs, this, effect.circuit, effect.header, effect.pieces)
          break
        case 'control':
          sink.control(nowMs, this, effect.message)
          break
        case 'rtt':
          this.leg.sample(nowMs, effect.ms)
          break
        case 'established':
          if (this.#state.type === 'dialing') this.#won(nowMs, runner, this.#state.race)
          break
        case 'closed':
          sink.hangUp(key)
          this.carrierClosed(nowMs, key, effect.code, effect.message)
          return
        case 'drained':
          break
      }
      if (this.#runner(key) === undefined) return
    }
  }

  #won(nowMs: number, runner: Runner, race: DialRace): void {
    this.#abandonRace(race, runner)
    this.#winner = { url: runner.url, carrier: runner.carrier }
    this.#backoff.established(nowMs)
    this.dialsFailed = 0
    this.#probesDone = 0
    this.#enter({ type: 'attached', runner, sinceMs: nowMs })
    if (this.#entry.draining === true) this.leaveByList(nowMs)
    this.#context.sink.attached(nowMs, this)
    this.#context.sink.dirty(this)
  }

  #abandonRace(race: DialRace, winner: Runner | undefined): void {
    for (const runner of race.runners()) if (runner !== winner) this.#context.sink.hangUp(runner.key)
  }

  #enter(state: State): void {
    const allowed = transitions[this.#state.type]
    if (!allowed.includes(state.type))
      throw new SennitError('internal', `attachment to ${this.relayId}: ${this.#state.type} -> ${state.type} is not a way it can go`)
    this.#state = state
    this.#wakeMs = undefined
  }
}

/** Ends that say nothing against the relay: it was not needed, it drained, we go. */
export const ownEnds: ReadonlySet<string> = new Set(['released', 'drained', 'draining', 'closed'])

const transitions: Readonly<Record<State['type'], readonly State['type'][]>> = {
  idle: ['waiting'],
  waiting: ['waiting', 'dialing', 'idle'],
  dialing: ['attached', 'waiting', 'idle'],
  attached: ['waiting', 'idle'],
}

function wakeLink(nowMs: number, link: HopLink): void {
  const atMs = link.wakeAtMs()
  if (atMs !== undefined && nowMs >= atMs) link.wake(nowMs)
}
