/**
 * One link to a relay of the list and the attachment over it, if there is one: idle, waiting for its next dial, dialing, attached. It owns the hop
 * links and says upwards only what a connection can use; the shell sees dials, writes and hang-ups.
 */
import type { HopControl, HopLink, PacketHeader, RelayEntry } from '@sennit/protocol'
import { ListParts } from '../directory/list-parts.ts'
import { LegEstimator } from '../plan/estimator.ts'
import type { AttachmentContext } from './attachment-context.ts'
import { type AttachmentState, checkTransition } from './attachment-state.ts'
import type { BackoffStep } from './backoff.ts'
import type { DialRace, Runner } from './dial-race.ts'
import { DialTurns, type Turn, type Waiting, waitingFor } from './dial-turns.ts'
import { Dialer } from './dialer.ts'
import { LegWatch } from './leg-watch.ts'
import type { LinkFacts } from './links.ts'
import { RelayNotices } from './relay-notices.ts'

export class Attachment {
  /** The relay's own id, or that of a further link to it (links.ts). */
  readonly relayId: string
  readonly localAddress: string | undefined
  readonly #context: AttachmentContext
  readonly #dialer: Dialer
  readonly #turns: DialTurns
  #entry: RelayEntry
  #state: AttachmentState = { type: 'idle' }
  /** Round trips to this relay; survives the attachment. */
  readonly leg: LegEstimator = new LegEstimator()
  /** When they are measured. */
  readonly watch: LegWatch = new LegWatch(() => {
    this.#wakeMs = undefined
  })
  /** What the relay said of itself since we attached. */
  readonly notices: RelayNotices
  /** The list this relay is handing out. */
  readonly listParts: ListParts = new ListParts()
  /** Drawn anew at each loss, [0, 1): which of equal relays this client takes, and when. Two draws, or the best lots would all be the first. */
  lot = 0
  pace = 0
  /** The list has it; once it has not, it is only kept until its circuits have moved. */
  listed = true
  /** Wanted by nobody since. */
  unwantedSinceMs: number | undefined
  /** What the last failed dial or lost attachment said. */
  lastFailure: { readonly code: string; readonly message: string } | undefined
  #failedSinceAttached = false
  #wakeMs: number | undefined

  constructor(context: AttachmentContext, entry: RelayEntry, link: LinkFacts = { id: entry.relayId }) {
    this.relayId = link.id
    this.localAddress = link.localAddress
    this.#context = context
    this.#entry = entry
    this.#dialer = new Dialer(context, this)
    this.#turns = new DialTurns(context.tuning, context.random)
    this.notices = new RelayNotices(context.tuning, context.random)
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
    return this.attached && !(this.notices.draining?.left ?? false)
  }

  /** On its way for the first time, or again without having failed. */
  get coming(): boolean {
    return (this.#state.type === 'dialing' || (this.#state.type === 'waiting' && this.#state.staggered)) && !this.failing
  }

  /** Failing since its last attachment. */
  get failing(): boolean {
    return !this.attached && this.#failedSinceAttached
  }

  get carrier(): string | undefined {
    return this.#state.type === 'attached' ? this.#state.runner.carrier : undefined
  }

  get url(): string | undefined {
    return this.#state.type === 'attached' ? this.#state.runner.url : this.#dialer.url
  }

  /** The list says something new of it. One that is on its way out is left like one that says so itself, at a time of our own. */
  entryChanged(nowMs: number, entry: RelayEntry): void {
    const moved = entry.urls.join() !== this.#entry.urls.join()
    this.#entry = entry
    this.listed = true
    // The operator named it anew: what failed before says nothing now. A list that only grew says nothing of this relay.
    if (moved) this.#turns.forget()
    if (entry.draining === true) this.#leaveByList(nowMs)
    else this.notices.stayByList()
  }

  /** The list has it no more. */
  unlisted(nowMs: number): void {
    this.listed = false
    this.#leaveByList(nowMs)
    if (!this.attached) this.unwant(nowMs)
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
    if (this.#state.type === 'waiting') this.#wait(this.#turns.hurried(nowMs, this.#state))
  }

  /** Lost a moment ago, and a connection needs as many relays as it has left: one that is only being started again is found within a second. */
  returnSoon(nowMs: number): void {
    if (this.#state.type === 'waiting') this.#wait(this.#turns.returned(nowMs, this.#state))
  }

  /** A connection stands still from now on, for want of a path or of a relay for its mode: one dial out of turn, within a quarter second. */
  prompt(nowMs: number): void {
    if (this.#state.type === 'waiting') this.#wait(this.#turns.prompted(nowMs, this.#state))
  }

  /** Who listens rests no relay for longer than this; half of it is jitter, as in any rest. */
  restAtMost(nowMs: number, maxMs: number): void {
    if (this.#state.type === 'waiting') this.#wait(this.#turns.restedAtMost(nowMs, this.#state, maxMs))
  }

  /** Nobody needs it now; an attachment lingers until {@link release}. */
  unwant(nowMs: number): void {
    const state = this.#state
    if (state.type === 'attached') this.unwantedSinceMs ??= nowMs
    if (state.type === 'dialing') this.#dialer.abandon(state.race, undefined)
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
    this.watch.measured(nowMs)
    this.#state.runner.link.probe(nowMs)
    this.#context.sink.dirty(this)
  }

  /** Our own loop stood still: measure anew, and let dials hear the answers that wait in their sockets. */
  resumedFromPause(nowMs: number): void {
    this.#wakeMs = undefined
    this.probe(nowMs)
    if (this.#state.type === 'dialing') this.#state.race.postpone(nowMs)
  }

  carrierWaits(nowMs: number, key: number, waits: boolean): void {
    this.#wakeMs = undefined
    if (this.#state.type === 'dialing') this.#state.race.waits(nowMs, key, waits)
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
      if (nowMs >= this.watch.nextAtMs(state.sinceMs)) {
        this.watch.done()
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
    return Math.min(state.runner.link.wakeAtMs() ?? Number.POSITIVE_INFINITY, this.watch.nextAtMs(state.sinceMs))
  }

  /** Takes what the links have to say. */
  pump(nowMs: number): void {
    this.#wakeMs = undefined
    if (this.#state.type === 'attached') this.#take(nowMs, this.#state.runner, true)
    else if (this.#state.type === 'dialing') for (const runner of [...this.#state.race.runners()]) this.#take(nowMs, runner, true)
  }

  #runner(key: number): Runner | undefined {
    if (this.#state.type === 'attached') return this.#state.runner.key === key ? this.#state.runner : undefined
    return this.#state.type === 'dialing' ? this.#state.race.runner(key) : undefined
  }

  #dial(nowMs: number): void {
    const race = this.#dialer.race(nowMs)
    this.#enter({ type: 'dialing', race, after: this.#state.type === 'waiting' ? this.#state.after : undefined })
    this.#raceStep(nowMs, race)
  }

  #raceStep(nowMs: number, race: DialRace): void {
    // A start that fails at once (no address for this carrier) must not leave the race standing still.
    this.#dialer.step(nowMs, race)
    if (race.lost && this.#state.type === 'dialing') this.#dialLost(nowMs, race.lastFailure, this.#state.after)
  }

  #dialLost(nowMs: number, failure: { readonly code: string; readonly message: string }, after: Turn | undefined): void {
    this.#failedSinceAttached = true
    this.lastFailure = failure
    const { sink } = this.#context
    if (after !== undefined && after.untilMs > nowMs) {
      this.#enter({ type: 'waiting', ...after, staggered: false })
      sink.dialFailed(nowMs, this, failure.code, failure.message, after.untilMs - nowMs, after.resting)
    } else {
      const { delayMs, type } = this.#retryLater(nowMs)
      sink.dialFailed(nowMs, this, failure.code, failure.message, delayMs, type === 'rest')
    }
  }

  #lost(nowMs: number, code: string, message: string): void {
    this.lastFailure = { code, message }
    const wentInOrder = this.notices.draining
    // What went in order has said when to come back.
    if (wentInOrder === undefined) this.#turns.lost(nowMs)
    this.notices.clear()
    const wanted = this.unwantedSinceMs === undefined
    this.unwantedSinceMs = undefined
    if (!ownEnds.has(code)) this.leg.trouble(nowMs)
    if (wanted && wentInOrder !== undefined)
      this.#enter(waitingFor(nowMs, this.#turns.wentInOrder(nowMs, wentInOrder.spreadMs, this.#context.sink.backoffFacts(this))))
    else if (wanted) this.#retryLater(nowMs)
    else this.#enter({ type: 'idle' })
    this.#context.sink.detached(nowMs, this, code, message)
  }

  #retryLater(nowMs: number): BackoffStep {
    const step = this.#turns.failed(nowMs, this.#context.sink.backoffFacts(this))
    this.#enter(waitingFor(nowMs, step))
    return step
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
    this.#dialer.abandon(race, runner)
    this.#dialer.won(runner)
    this.#turns.attached(nowMs)
    this.#failedSinceAttached = false
    this.watch.restart()
    this.#enter({ type: 'attached', runner, sinceMs: nowMs })
    if (this.#entry.draining === true) this.#leaveByList(nowMs)
    this.#context.sink.attached(nowMs, this)
    this.#context.sink.dirty(this)
  }

  /** Its circuits move to others, and it is kept for as long as they have none. */
  #leaveByList(nowMs: number): void {
    if (this.attached) this.notices.leaveByList(nowMs)
  }

  #wait(waiting: Waiting | undefined): void {
    if (waiting !== undefined) this.#enter(waiting)
  }

  #enter(state: AttachmentState): void {
    checkTransition(this.relayId, this.#state, state)
    this.#state = state
    this.#wakeMs = undefined
  }
}

/** Ends that say nothing against the relay: it was not needed, it drained, we go. */
export const ownEnds: ReadonlySet<string> = new Set(['released', 'drained', 'draining', 'closed'])

function wakeLink(nowMs: number, link: HopLink): void {
  const atMs = link.wakeAtMs()
  if (atMs !== undefined && nowMs >= atMs) link.wake(nowMs)
}
