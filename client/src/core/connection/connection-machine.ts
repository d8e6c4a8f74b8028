/**
 * The end-to-end connection, composed of its machines: `sender` (numbers, resend buffer), `receiver` (numbers, acks), `path-hello` and
 * `path-watch` (validation and failure of paths), `path-table` (choice), `epochs` (keys) and `closing`.
 *
 * Why no byte is lost: a packet leaves the resend buffer only when the other end acknowledged its number under the connection's own keys.
 * Everything else in here (plans, verdicts, timers) decides only where and how soon bytes travel.
 */
import {
  type Frame,
  type PacketHeader,
  PacketSealer,
  ProtocolError,
  type SessionSecrets,
  ShareAssembler,
  totalBytes,
} from '@sennit/protocol'
import { relayOf } from '../attach/links.ts'
import { bestPaths, type PathMode } from '../paths/index.ts'
import { isEchoed, Route, reorders } from '../paths/route.ts'
import { StreamSet } from '../streams/index.ts'
import { AckSender } from './ack-sender.ts'
import { AckTracker } from './ack-tracker.ts'
import { Closing } from './closing.ts'
import { Datagrams } from './datagrams.ts'
import { Epochs } from './epochs.ts'
import { Farewell } from './farewell.ts'
import { Outbox } from './outbox.ts'
import { PacketBuilder } from './packet-builder.ts'
import { Path } from './path.ts'
import { PathHello } from './path-hello.ts'
import { PathKeeper } from './path-keeper.ts'
import { PathTable } from './path-table.ts'
import { PathWatch } from './path-watch.ts'
import { Patience } from './patience.ts'
import { Receiver } from './receiver.ts'
import { Sender } from './sender.ts'
import { connectionStatus } from './status.ts'
import { type ConnectionTuning, connectionTuning } from './tuning.ts'
import type { ConnectionEffect, ConnectionOptions, ConnectionStatus, PathOpening, PathPlan, WaitReason } from './types.ts'

/** Packets made at one go before the effects are drained, so that a long send does not hold all of itself twice. */
const burstPackets = 32
/** An answer this old proves nothing about now: it may come out of a relay that was frozen. Or four round trips, when that is more. */
const freshAnswerMs = 2_000
/** An ack inside of data that took this much longer than four round trips tells of none. */
const lateAckMs = 100
/** Pings of the application that are remembered; the answers to older ones are not told. */
const appPingsMax = 64
/** Relays whose lies are counted: more than one connection ever uses. */
const liarsMax = 64

/** One connection of two ends. Synchronous; all time comes in as `nowMs`, all effects go out by {@link poll}. */
export class ConnectionMachine {
  readonly streams: StreamSet
  readonly secrets: SessionSecrets
  readonly #tuning: ConnectionTuning
  readonly #table: PathTable = new PathTable()
  readonly #outbox: Outbox
  readonly #acks: AckTracker
  readonly #ackSender: AckSender
  readonly #epochs: Epochs
  readonly #builder: PacketBuilder
  readonly #sender: Sender
  readonly #datagrams: Datagrams
  readonly #receiver: Receiver
  readonly #hello: PathHello
  readonly #watch: PathWatch
  readonly #keeper: PathKeeper
  readonly #closing: Closing
  readonly #farewell: Farewell
  readonly #route: Route
  readonly #patience: Patience
  readonly #appPings: Map<number, number> = new Map()
  /** Forged payloads by relay. */
  readonly #lies: Map<string, number> = new Map()
  #nowMs: number
  #dirty = false
  #wakeMs: number | undefined
  #validAtMs: number
  #answeredAtMs: number
  #waitsFor: WaitReason | undefined

  constructor(options: ConnectionOptions) {
    const { crypto, random, secrets, nowMs } = options
    const tuning = { ...connectionTuning, ...options.tuning }
    const sealer = new PacketSealer(crypto, secrets)
    this.secrets = secrets
    this.#tuning = tuning
    this.#nowMs = nowMs
    this.#validAtMs = nowMs
    this.#answeredAtMs = nowMs
    this.streams = new StreamSet({ ...options.streams, role: secrets.role })
    const { streams } = this
    const table = this.#table
    const outbox = new Outbox(sealer)
    const acks = new AckTracker(tuning)
    const epochs = new Epochs(nowMs, sealer, tuning)
    const builder = new PacketBuilder({ sealer, epochs, streams })
    const sender = new Sender({
      tuning,
      outbox,
      builder,
      epochs,
      streams,
      ackInside: (now, path) => this.#ackSender.inside(now, path),
      ackWent: () => acks.settled(),
    })
    const { send, receive, whenShort } = options.paths ?? bestPaths
    this.#route = new Route(
      {
        crypto,
        random,
        secrets,
        tuning,
        outbox,
        table,
        sender,
        move: (now, to) => this.#keeper.roam(now, to),
        failed: (now, message) => this.#farewell.endSaying(now, { code: 'paths_short', message, remote: false }),
      },
      send,
      whenShort,
      nowMs,
    )
    this.#route.receives(acks, receive)
    let assembler: ShareAssembler | undefined
    this.#receiver = new Receiver({
      sealer,
      epochs,
      acks,
      assembler: () => (assembler ??= new ShareAssembler(crypto, secrets)),
      heard: (now, path) => {
        this.#validAtMs = now
        path.heardAtMs = now
      },
      forged: (now, path) => this.#onForged(now, path),
      // Once CLOSE is said nothing more can leave, so new credit must not make a message "accepted"; what was delivered still counts.
      streamFrame: (frame) => streams.onFrame(frame.type === 'credit' && builder.sealed ? { ...frame, limit: frame.consumed } : frame),
      datagram: (data) => outbox.effect({ type: 'datagram', data }),
      agreementFrame: (now, pathId, frame) => this.#onAgreement(now, pathId, frame),
      looseFrame: (now, path, frame) => this.#onLoose(now, path, frame),
      ackInside: (now, path, ack) => this.#onAck(now, path, ack, true),
      acksInData: options.acksInData === true,
    })
    const ackState = () => this.#receiver.ackState()
    this.#hello = new PathHello({ crypto, random, tuning, outbox, ackState, planEpoch: () => table.plan?.epoch ?? 0 })
    const patience = new Patience({ tuning, table, builder })
    this.#patience = patience
    this.#watch = new PathWatch({
      tuning,
      outbox,
      table,
      sender,
      ackExtraMs: () => patience.extraMs,
      judged: (now, path, why) => this.#keeper.judged(now, path, why),
      canLeave: (path) => this.#route.canLeave(path),
      doubted: (now, path) => this.#keeper.doubted(now, path),
      wanted: (now) => this.#keeper.wanted(now),
    })
    this.#keeper = new PathKeeper({
      nowMs,
      tuning,
      outbox,
      table,
      sender,
      acks,
      builder,
      hello: this.#hello,
      watch: this.#watch,
      carries: (path) => this.#route.carries(path),
    })
    this.#datagrams = new Datagrams({ sealer, epochs, route: this.#route, watch: this.#watch, sender, builder })
    this.#ackSender = new AckSender({
      startMs: nowMs,
      acks,
      receiver: this.#receiver,
      table,
      keeper: this.#keeper,
      outbox,
      insideData: options.acksInData === true,
    })
    this.#closing = new Closing(tuning, streams)
    const keeper = this.#keeper
    const closing = this.#closing
    this.#farewell = new Farewell({ closing, streams, builder, sender, receiver: this.#receiver, outbox, table, keeper })
    this.#outbox = outbox
    this.#acks = acks
    this.#epochs = epochs
    this.#builder = builder
    this.#sender = sender
  }

  /** Time of the newest round trip proved by a pong or a hello's echo; old packets from a pipe do not count. */
  get answeredSinceMs(): number {
    return this.#answeredAtMs
  }

  /** Kept packets of the peer that came without a gap. */
  get receivedPackets(): number {
    return this.#receiver.received
  }

  /** The application did something with {@link streams}. Cheap; packets are made when effects are polled. */
  changed(nowMs: number): void {
    this.#at(nowMs)
  }

  pathOpened(nowMs: number, opening: PathOpening): void {
    this.#at(nowMs)
    if (!this.#closing.remembers(nowMs)) {
      this.#outbox.effect({ type: 'closePath', pathId: opening.pathId, reason: 'closed' })
      return
    }
    // An id that comes again names a circuit that is gone.
    this.#keeper.pathClosed(nowMs, opening.pathId, 'replaced')
    const path = new Path(nowMs, opening, this.#hello.nonce())
    this.#table.all.set(path.pathId, path)
    this.#hello.send(nowMs, path, false)
    if (opening.proved === true) this.#keeper.proved(nowMs, path)
    if (this.#closing.over) this.#closing.end(nowMs, true)
  }

  pathClosed(nowMs: number, pathId: number, reason: string): void {
    this.#at(nowMs)
    this.#keeper.pathClosed(nowMs, pathId, reason)
  }

  /** What the relay said of its buffer for our direction. `limit` is absolute. */
  pathCredit(nowMs: number, pathId: number, limit: number, wait: boolean): void {
    this.#at(nowMs)
    const path = this.#table.all.get(pathId)
    if (path === undefined) return
    if (limit > path.creditBytes) path.starvedSinceMs = undefined
    path.creditBytes = Math.max(path.creditBytes, limit)
    if (!wait) {
      if (path.waiting !== undefined) path.provedAtMs = nowMs
      path.waiting = undefined
    } else if (path.waiting !== undefined) path.waiting.saidAtMs = nowMs
    else path.waiting = { sinceMs: nowMs, saidAtMs: nowMs, nextTryAtMs: nowMs + this.#tuning.waitElsewhereMs, tried: undefined }
  }

  /** A packet of the peer. Takes the pieces over; nothing is copied. */
  packet(nowMs: number, pathId: number, header: PacketHeader, pieces: Uint8Array[]): void {
    this.#at(nowMs)
    const path = this.#table.all.get(pathId)
    if (path === undefined) return
    path.receivedBytes += totalBytes(pieces)
    this.#guarded(nowMs, () => {
      if (!this.#receiver.packet(nowMs, path, header, pieces)) this.#farewell.answer(path)
    })
  }

  /** The paths that a datagram of this size would take now; none when it would be dropped. */
  datagramPathIds(bytes: number): number[] {
    return this.#closing.over ? [] : this.#datagrams.ways(bytes).map((path) => path.pathId)
  }

  /** Sends a datagram, at once and once. @returns false when it was dropped. @throws SennitError `too_large` */
  sendDatagram(nowMs: number, data: Uint8Array): boolean {
    this.#at(nowMs)
    return !this.#closing.over && this.#datagrams.send(nowMs, data)
  }

  /** A datagram that never got as far as {@link sendDatagram}: what carries the path is full. */
  datagramDropped(): void {
    this.#datagrams.dropped += 1
  }

  /** Sends a frame of the agreement, kept. */
  sendControlFrame(nowMs: number, frame: Frame): void {
    this.#at(nowMs)
    if (!this.#closing.over) this.#builder.queue(frame)
  }

  /** Sends a report on the best path, loose; without a path it is dropped, since it would be old. */
  sendReport(nowMs: number, frame: Frame): void {
    this.#at(nowMs)
    if (this.#table.active !== undefined && !this.#closing.over) this.#outbox.loose(this.#table.active, [frame])
  }

  usePlan(nowMs: number, plan: PathPlan): void {
    this.#at(nowMs)
    if (!this.#table.usePlan(plan)) return
    const { send, receive, whenShort } = plan.modes ?? bestPaths
    this.#route.receives(this.#acks, receive)
    this.#route.change(nowMs, send, whenShort, plan.modes?.unknown ?? false)
    this.#keeper.planned(nowMs)
    this.#patience.look(this.#closing.state.type !== 'open')
  }

  /** Relays at which both ends could have a path now, since the last plan: a silent one is given up only where enough others are left for the modes. */
  relaysKnown(known: readonly string[], alone = false): void {
    this.#table.known = known
    this.#table.alone = alone
    this.#dirty = true
    this.#wakeMs = undefined
    this.#patience.look(this.#closing.state.type !== 'open')
  }

  /** The peer may send in this way from now on, before the plan that says so is in force here. */
  expectMode(receive: PathMode): void {
    if (isEchoed(receive)) this.#acks.copies = true
    if (reorders(receive)) this.#acks.reorders = true
  }

  /** A sealed ping on the active path, or on the first that opens. The event `pong` names the same id. */
  ping(nowMs: number): number {
    this.#at(nowMs)
    const id = this.#watch.ping(nowMs, this.#table.active)
    this.#appPings.set(id, nowMs)
    if (this.#appPings.size > appPingsMax) this.#appPings.delete(this.#appPings.keys().next().value!)
    return id
  }

  /** Pings every open path now. */
  probeAll(nowMs: number): void {
    this.#at(nowMs)
    this.#watch.probeAll(nowMs, false)
  }

  /** The loop was late by more than half a second: no verdicts, everything is probed. */
  resumedFromPause(nowMs: number): void {
    this.#at(nowMs)
    this.#watch.probeAll(nowMs, true)
    // Time asleep is not silence of the peer: it gets the time of a few retries to answer.
    this.#validAtMs = Math.max(this.#validAtMs, nowMs - this.#tuning.deathMs + 2 * this.#tuning.wantPathsEveryMs)
  }

  /** Over, and the peer has not acknowledged that it heard so: worth a path while it may still look for us. */
  get unheard(): boolean {
    return this.#closing.over && this.#farewell.unheard
  }

  /** Finishes the streams, waits for all acks, tells the peer; the effect `closed` says how it went. */
  close(nowMs: number, reason: string, message: string): void {
    this.#at(nowMs)
    this.#closing.begin(nowMs, reason, message)
    this.#patience.look(true)
  }

  /** Ends at once. What is not acked may be lost; the counts say what is known. */
  abort(nowMs: number, reason: string, message: string): void {
    this.#at(nowMs)
    this.#farewell.endSaying(nowMs, { code: reason === '' ? 'aborted' : reason, message, remote: false })
  }

  wake(nowMs: number): void {
    const dueAtMs = this.wakeAtMs()
    this.#at(nowMs)
    if (dueAtMs === undefined) return
    if (nowMs - dueAtMs > this.#tuning.pauseMs) this.resumedFromPause(nowMs)
    this.#keeper.wake(nowMs, this.#closing.over)
    this.#farewell.wake(nowMs)
    const { state } = this.#closing
    if (state.type === 'over') {
      if (nowMs >= state.pathsUntilMs) this.#keeper.closeAll('closed')
      return
    }
    this.#route.wake(nowMs)
    if (this.#closing.over) return
    const hasPath = this.#table.active !== undefined
    const lingerUntilMs = this.#closing.deadlineMs(hasPath)
    if (nowMs >= this.#validAtMs + this.#tuning.deathMs) {
      const seconds = Math.round((nowMs - this.#validAtMs) / 1_000)
      this.#farewell.endSaying(nowMs, { code: 'timeout', message: `nothing valid came from the peer for ${seconds} s`, remote: false })
    } else if (lingerUntilMs !== undefined && nowMs >= lingerUntilMs) this.#farewell.giveUp(nowMs)
  }

  // Asked after every turn of a client for each of its connections, so it is remembered until something happens to this one.
  wakeAtMs(): number | undefined {
    this.#wakeMs ??= this.#nextWakeMs()
    return this.#wakeMs === Number.POSITIVE_INFINITY ? undefined : this.#wakeMs
  }

  #nextWakeMs(): number {
    const { state } = this.#closing
    let at = Math.min(this.#keeper.wakeAtMs(state.type === 'over'), this.#acks.wakeAtMs() ?? Number.POSITIVE_INFINITY)
    at = Math.min(at, this.#farewell.wakeAtMs())
    if (state.type === 'over') at = this.#table.all.size > 0 ? Math.min(at, state.pathsUntilMs) : Number.POSITIVE_INFINITY
    else {
      at = Math.min(at, this.#validAtMs + this.#tuning.deathMs, this.#route.wakeAtMs())
      at = Math.min(at, this.#closing.deadlineMs(this.#table.active !== undefined) ?? Number.POSITIVE_INFINITY)
    }
    return at
  }

  /** As {@link poll}, but makes no packets: what is known already. */
  heard(): ConnectionEffect | undefined {
    return this.#outbox.effects.shift()
  }

  poll(): ConnectionEffect | undefined {
    const effect = this.#outbox.effects.shift()
    if (effect !== undefined || !this.#dirty) return effect
    this.#work(this.#nowMs)
    return this.#outbox.effects.shift()
  }

  /** Some path is beyond doubt: asked for often by each of thousands of connections, when all of them are in doubt. */
  get hasSoundPath(): boolean {
    return this.#table.sound
  }

  status(): ConnectionStatus {
    return connectionStatus({
      closing: this.#closing,
      table: this.#table,
      sender: this.#sender,
      receiver: this.#receiver,
      acks: this.#acks,
      epochs: this.#epochs,
      datagrams: this.#datagrams,
      route: this.#route,
    })
  }

  #at(nowMs: number): void {
    this.#wakeMs = undefined
    this.#nowMs = nowMs
    this.#dirty = true
  }

  /** Makes the packets that are due. Leaves `#dirty` set when there is more. */
  #work(nowMs: number): void {
    this.#dirty = false
    this.#wakeMs = undefined
    this.#ackSender.send(nowMs)
    if (this.#closing.over) return
    const sent = this.#route.send(nowMs, burstPackets)
    if (sent > 0) this.#ackSender.sendAlong(nowMs)
    if (sent >= burstPackets) this.#dirty = true
    this.#tellWaiting(this.#table.active)
    if (sent === 0 && this.#sender.idle && !this.#closing.over) this.#farewell.whenIdle(nowMs)
  }

  #tellWaiting(path: Path | undefined): void {
    const { blockedBy } = this.#sender
    let why: WaitReason | undefined
    if (path === undefined) why = this.#sender.idle ? undefined : 'no_path'
    else if (this.#route.blocked) why = this.#sender.hasWork ? 'paths' : undefined
    else if (blockedBy === 'memory' || (blockedBy === 'relay_wait' && path.waiting !== undefined)) why = blockedBy
    if (why === this.#waitsFor) return
    this.#waitsFor = why
    this.#outbox.event(why === undefined ? { type: 'resumed' } : { type: 'waiting', why })
  }

  #onAgreement(nowMs: number, pathId: number, frame: Frame): void {
    if (frame.type === 'close') {
      if (this.#closing.over) return
      const ending = this.#closing.heard(frame)
      this.#farewell.end(nowMs, ending, true, frame.counts)
    } else if (this.#closing.over) return
    else if (frame.type === 'pathBad') this.#keeper.peerSaysBad(nowMs, frame.relayId)
    else if (frame.type === 'relayLies') this.#outbox.event({ type: 'relay_lies', relayId: frame.relayId, count: frame.count, here: false })
    else this.#outbox.effect({ type: 'frame', pathId, frame })
  }

  #onLoose(nowMs: number, path: Path, frame: Frame): void {
    switch (frame.type) {
      case 'ack':
        this.#onAck(nowMs, path, frame, false)
        return
      case 'ping':
        if (this.#closing.over) this.#farewell.answer(path)
        else this.#ackSender.answerPing(nowMs, path, frame.id)
        return
      case 'arrived':
        path.peerArrivedAtMs = frame.atMs
        return
      case 'seen': {
        const rttMs = this.#sender.flights.onSeen(nowMs, path, frame.number, frame.delayMs)
        if (rttMs === undefined) return
        this.#keeper.sample(nowMs, path, rttMs)
        this.#watch.onProof(nowMs, path)
        return
      }
      case 'pong': {
        const rttMs = this.#watch.onPong(nowMs, path, frame.id)
        if (rttMs !== undefined) this.#keeper.sample(nowMs, path, rttMs)
        if (rttMs !== undefined && rttMs <= freshness(path)) this.#answeredAtMs = nowMs
        const askedAtMs = this.#appPings.get(frame.id)
        if (askedAtMs === undefined) return
        this.#appPings.delete(frame.id)
        this.#outbox.event({ type: 'pong', id: frame.id, rttMs: nowMs - askedAtMs, relayId: path.relayId })
        return
      }
      case 'hello':
        if (frame.relayId !== path.relayId && !this.#renamed(path, frame.relayId)) return
        if (this.#hello.answers(nowMs, path, frame, freshness(path))) this.#answeredAtMs = nowMs
        this.#sender.onAck(nowMs, frame.ack, path, undefined)
        if (this.#hello.onHello(nowMs, path, frame) && !this.#closing.over) this.#keeper.validated(nowMs, path)
        if (this.#closing.over) this.#farewell.answer(path)
        else this.#afterAck(nowMs)
        return
      case 'report':
        if (!this.#closing.over) this.#outbox.effect({ type: 'frame', pathId: path.pathId, frame })
        return
      default:
        throw new ProtocolError('malformed', `expected loose frames in a loose packet, found ${frame.type}`)
    }
  }

  /** @param inside it came in a data packet, which may have been sent again since the ack was written */
  #onAck(nowMs: number, path: Path, ack: Extract<Frame, { type: 'ack' }>, inside: boolean): void {
    const { proof } = this.#sender.onAck(nowMs, ack, path, ack.delayMs)
    const { peerArrivedAtMs } = path
    path.peerArrivedAtMs = undefined
    if (proof !== undefined && !(inside && isLate(proof.rttMs, path))) {
      const { sentAtMs, rttMs } = proof
      if (peerArrivedAtMs !== undefined) path.limit.arrived(nowMs, sentAtMs, rttMs, peerArrivedAtMs)
      this.#keeper.sample(nowMs, path, rttMs)
      this.#watch.onProof(nowMs, path)
    }
    this.#afterAck(nowMs)
  }

  /** The first circuits come without a name: the listener takes the caller's, as long as it is a link to the same relay. */
  #renamed(path: Path, relayId: string): boolean {
    if (relayOf(relayId) !== relayOf(path.relayId)) return false
    if (this.secrets.role === 'listener') {
      this.#table.rename(path, relayId)
      this.#outbox.effect({ type: 'pathNamed', pathId: path.pathId, relayId })
    }
    return true
  }

  /** Both ends hear which relay it was: at the first time, and whenever the count doubled. */
  #onForged(nowMs: number, path: Path): void {
    const relayId = relayOf(path.relayId)
    const count = (this.#lies.get(relayId) ?? 0) + 1
    if (count > 1 || this.#lies.size < liarsMax) this.#lies.set(relayId, count)
    if ((count & (count - 1)) === 0 && !this.#closing.over) {
      this.#outbox.event({ type: 'relay_lies', relayId, count, here: true })
      this.#builder.queue({ type: 'relayLies', relayId, count })
    }
    this.#watch.onForged(nowMs, path)
  }

  #afterAck(nowMs: number): void {
    if (!this.#closing.over) this.#watch.onAcked(nowMs)
    this.#farewell.onAcked(nowMs)
  }

  /** A peer that breaks the protocol ends the connection; our own faults are thrown on. */
  #guarded(nowMs: number, action: () => void): void {
    try {
      action()
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      const code = error.code === 'unsupported' ? error.code : 'protocol_error'
      this.#farewell.endSaying(nowMs, { code, message: `${error.code}: ${error.message}`, remote: false })
    }
  }
}

/** So much more than usual that the packet with the ack was rather sent again: as after Karn, that is no round trip. A ping measures what really is longer. */
function isLate(rttMs: number, { rtt }: Path): boolean {
  return rtt.srttMs !== undefined && rttMs > 4 * rtt.srttMs + lateAckMs
}

function freshness(path: Path): number {
  return Math.max(freshAnswerMs, 4 * (path.rtt.srttMs ?? 0))
}
