/**
 * One connection inside a client: its machine, the circuits that are its paths, its joins, and its agreement with the peer. The machine
 * decides what is sent where; this decides which paths there are.
 */
import { FEATURE, hex, joinTag, PACKET_KIND, type PacketHeader } from '@sennit/protocol'
import type { Attachment } from '../attach/attachment.ts'
import { relayOf } from '../attach/links.ts'
import { type ConnectionEvent, ConnectionMachine } from '../connection/index.ts'
import { type PathsOption, pathsWanted } from '../paths/index.ts'
import { deflateFlag, zstdFlag } from '../streams/index.ts'
import type { Circuit, CircuitOwner } from './circuits.ts'
import type { ConnectionFacts, Stage } from './connection-facts.ts'
import type { ConnectionHost } from './connection-host.ts'
import { JoinKeeper, type WantedPath } from './joins.ts'
import { LastWord } from './last-word.ts'
import { PathAgreement } from './path-agreement.ts'
import { Revocation } from './revocation.ts'
import { SilenceWatch } from './silence-watch.ts'

/** A suspicion keeps the next relays of the plan wanted this long; a verdict or an ack comes well before. */
const suspectMs = 10_000
/** After a loss of all paths, joins stand everywhere until this long after the first one is back: the captain plans meanwhile. */
const everywhereMs = 10_000
/** The path that brought the verdict proves itself within this, or the connection counts as one without a path. */
const validateMs = 1_000
/** Datagrams that may wait for one carrier: a burst of a video's key frame. What waits behind more would be old when it comes. */
const datagramQueueBytesMax = 262_144
/** A path that should have answered by now, where every path is silent. */
const againMs = 3_000
/** Relays of the plan that are opened beyond active and standby when these are in doubt. */
const nextRelays = 2

const handshakeHeader: PacketHeader = { form: 0, kind: PACKET_KIND.handshake, epoch: 0, counter: 0 }

/** The message flags of what we said we inflate. */
function flagsOf(features: number): number {
  return ((features & FEATURE.inflatesDeflate) === 0 ? 0 : deflateFlag) | ((features & FEATURE.inflatesZstd) === 0 ? 0 : zstdFlag)
}

export class ManagedConnection implements CircuitOwner {
  readonly facts: ConnectionFacts
  readonly id: string
  readonly machine: ConnectionMachine
  readonly agreement: PathAgreement
  readonly createdAtMs: number
  #announced = false
  readonly #host: ConnectionHost
  readonly #joins: JoinKeeper
  readonly #paths = new Map<number, Circuit>()
  readonly #validated = new Set<number>()
  readonly #silence = new SilenceWatch()
  readonly #lastWord = new LastWord()
  readonly #revocation = new Revocation()
  #stage: Stage
  #pathlessSinceMs: number | undefined
  #hadPath = false
  /** It had as many paths as its modes need. */
  #hadAll = false
  #toldGone = false
  #everywhereUntilMs = 0
  #suspectUntilMs = 0
  #shortUntilMs = 0
  #validateByMs = Number.POSITIVE_INFINITY
  #resendAtMs = Number.POSITIVE_INFINITY
  #resendAfterMs: number
  /** Of datagrams that were not pumped yet. */
  #datagramBytes = 0

  constructor(host: ConnectionHost, facts: ConnectionFacts, stage: 'confirming' | 'challenging', nowMs: number) {
    this.facts = facts
    this.id = hex(facts.secrets.connectionId)
    this.createdAtMs = nowMs
    this.#host = host
    this.#stage = stage
    this.#resendAfterMs = host.tuning.confirmResendMs
    this.machine = new ConnectionMachine({
      crypto: host.crypto,
      random: host.random,
      secrets: facts.secrets,
      paths: facts.paths,
      nowMs,
      streams: { ...host.streams, inflates: flagsOf(host.features) },
      ...(host.connectionTuning === undefined ? {} : { tuning: host.connectionTuning }),
    })
    this.agreement = new PathAgreement({
      host,
      machine: this.machine,
      captain: this.captain,
      policy: facts.policy,
      handle: facts.handle,
      paths: facts.paths,
      wish: facts.wish ?? false,
      relays: () => [...this.#paths.values()].map((circuit) => circuit.relayId),
      openRelays: () => this.#openRelays(),
      calm: () => this.#suspectUntilMs === 0 && this.#everywhereUntilMs === 0 && this.#pathlessSinceMs === undefined,
      dirty: () => host.dirty(this),
    })
    this.#joins = new JoinKeeper({
      random: host.random,
      retryMs: host.tuning.joinRetryMs,
      nextJoinId: () => host.nextJoinId(this),
      tag: (relayId) => joinTag(host.crypto, facts.secrets, relayId),
      peer: facts.peer,
    })
    if (stage === 'confirming') this.#resendAtMs = nowMs + this.#resendAfterMs
  }

  get stage(): Stage {
    return this.#stage
  }

  get role(): 'caller' | 'listener' {
    return this.facts.secrets.role
  }

  /** The captain decides on plans: the caller. */
  get captain(): boolean {
    return this.role === 'caller'
  }

  /** Open, and no path answers, since. */
  get pathlessSinceMs(): number | undefined {
    return this.#stage === 'open' ? this.#pathlessSinceMs : undefined
  }

  /** Open, and data waits or soon will: no path answers, or fewer than its mode needs (it had as many before). */
  get standsStill(): boolean {
    return this.#stage === 'open' && (this.#pathlessSinceMs !== undefined || (this.#hadAll && this.#validated.size < this.agreement.needed))
  }

  /** No relay is left to stand by, or too few for its mode: the next failure would be a pause, or this is one. */
  get exposed(): boolean {
    return this.#stage === 'open' && (this.agreement.plan?.standby === '' || this.agreement.short || this.agreement.bare)
  }

  /** Exposed, and its modes have no weaker way to go on meanwhile: what it lost a moment ago is looked for more often. */
  get bare(): boolean {
    return this.#stage === 'open' && this.agreement.bare
  }

  /** The application wants its relays used in another way. */
  setPaths(nowMs: number, paths: PathsOption): void {
    this.agreement.setPaths(nowMs, paths)
    this.#host.needsSync()
    this.#host.dirty(this)
  }

  /** Sends a datagram now, or drops it: no path, no credit, or too much before it. @throws SennitError `too_large` */
  sendDatagram(nowMs: number, data: Uint8Array): boolean {
    const { machine } = this
    // The least of them: one path that stands still is no reason to drop what others take.
    let queuedBytes = Number.POSITIVE_INFINITY
    for (const pathId of machine.datagramPathIds(data.length)) {
      const circuit = this.#paths.get(pathId)
      if (circuit !== undefined) queuedBytes = Math.min(queuedBytes, circuit.attachment.queuedDatagramBytes(circuit.number))
    }
    if (Number.isFinite(queuedBytes) && this.#datagramBytes + queuedBytes > datagramQueueBytesMax) {
      machine.datagramDropped()
      return false
    }
    const sent = machine.sendDatagram(nowMs, data)
    if (sent) this.#datagramBytes += data.length
    this.#host.dirty(this)
    return sent
  }

  /** A relay said that the peer is gone from it: with no path left, a hint to ask at once. */
  get toldGone(): boolean {
    return this.#toldGone
  }

  /** Relays that carry it when it has what it was asked for, and one to stand by. */
  get relaysWanted(): number {
    const { send, receive } = this.agreement.paths
    return Math.max(pathsWanted(send), pathsWanted(receive)) + 1
  }

  /** Circuits that are paths of it. */
  circuits(): Iterable<Circuit> {
    return this.#paths.values()
  }

  /** Adds the relays it has or wants a path at. */
  addRelaysInUse(relays: Set<string>): void {
    for (const circuit of this.#paths.values()) relays.add(relayOf(circuit.relayId))
    for (const relayId of this.#joins.relays()) relays.add(relayOf(relayId))
    if (this.#stage === 'open') for (const relayId of this.agreement.plannedRelays(0, 0)) relays.add(relayOf(relayId))
  }

  /** A relay gave a circuit to the peer: one more path. `proved`: the peer's answer to our handshake came over it. */
  addCircuit(nowMs: number, circuit: Circuit, proved = false): void {
    circuit.owner = this
    circuit.pathId = this.#host.nextPathId()
    circuit.openedAtMs = nowMs
    this.#paths.set(circuit.pathId, circuit)
    const { message3 } = this.facts
    const confirms = message3 !== undefined && this.#stage === 'confirming'
    if (confirms) circuit.attachment.sendPacket(circuit.number, handshakeHeader, [message3])
    const leg = circuit.attachment.leg.minimumMs()
    this.machine.pathOpened(nowMs, {
      pathId: circuit.pathId,
      relayId: circuit.relayId,
      creditBytes: circuit.creditBytes,
      sentBytes: confirms ? message3.length : 0,
      proved,
      ...(circuit.attachment.entry.failureDomain === undefined ? {} : { failureDomain: circuit.attachment.entry.failureDomain }),
      ...(leg === undefined ? {} : { expectedRttMs: 2 * leg }),
    })
    this.#host.dirty(this)
  }

  packet(nowMs: number, circuit: Circuit, header: PacketHeader, pieces: Uint8Array[]): void {
    // A repeated third message: the keys are known already.
    if (header.kind === PACKET_KIND.handshake) return
    this.machine.packet(nowMs, circuit.pathId, header, pieces)
    this.#host.dirty(this)
  }

  credit(nowMs: number, circuit: Circuit, limit: number, wait: boolean): void {
    circuit.creditBytes = limit
    this.machine.pathCredit(nowMs, circuit.pathId, limit, wait)
    this.#host.dirty(this)
  }

  circuitClosed(nowMs: number, circuit: Circuit, reason: string): void {
    if (!this.#paths.delete(circuit.pathId)) return
    if (reason === 'peer_detached') this.#toldGone = true
    this.#revocation.told(circuit.relayId, reason)
    this.machine.pathClosed(nowMs, circuit.pathId, reason)
    this.#pathGone(nowMs, circuit.pathId)
    this.#host.dirty(this)
    if (this.#stage === 'confirming') this.#host.unconfirmed(nowMs, this, circuit.relayId, reason)
  }

  /** The verdict was yes (said by us, or heard): the connection is on. */
  open(nowMs: number): void {
    this.#stage = 'open'
    this.#resendAtMs = Number.POSITIVE_INFINITY
    this.#validateByMs = nowMs + validateMs
    this.agreement.start(nowMs)
    this.#host.needsSync()
    this.#host.dirty(this)
  }

  /** The application knows of it. */
  get announced(): boolean {
    return this.#announced
  }

  /** From now on the application hears what happens, and first what happened before. */
  announce(): void {
    this.#announced = true
    this.#host.dirty(this)
  }

  /** Says no, sealed, and stays just long enough for it to arrive. */
  refuse(nowMs: number, verdict: 'yield' | 'exists'): void {
    this.#stage = 'refused'
    this.machine.sendControlFrame(nowMs, { type: verdict })
    this.#host.dirty(this)
  }

  /** Says yes, sealed. */
  confirm(nowMs: number): void {
    this.machine.sendControlFrame(nowMs, { type: 'confirm' })
    this.open(nowMs)
  }

  /** Gone without a word to the application: it never heard of it, or has heard its end. */
  discard(reason: string): void {
    this.#stage = 'over'
    this.#lastWord.end()
    this.#joins.leaveAll()
    for (const circuit of [...this.#paths.values()]) this.#host.circuits.close(circuit, reason)
    this.#paths.clear()
  }

  /** The peer says, by other means, that it looks for us: joins stand everywhere for a while. */
  joinEverywhere(nowMs: number): void {
    this.#everywhereUntilMs = nowMs + everywhereMs
    this.#host.needsSync()
  }

  joined(nowMs: number, attachment: Attachment, joinId: number, circuitNumber: number, creditBytes: number): void {
    const relayId = this.#joins.joined(joinId)
    const circuit = this.#host.circuits.add(attachment, circuitNumber, this, creditBytes, relayId ?? attachment.relayId)
    circuit.taggedAs = relayId
    if (relayId !== undefined && (this.#stage === 'open' || this.#unheard(nowMs))) this.addCircuit(nowMs, circuit)
    else this.#host.circuits.close(circuit, 'not_wanted')
  }

  joinRefused(nowMs: number, attachment: Attachment, joinId: number, code: string): void {
    this.#revocation.told(attachment.relayId, code)
    this.#joins.refused(nowMs, joinId)
  }

  /** An attachment came, went or drains. */
  attachmentChanged(nowMs: number, attachment: Attachment): void {
    if (!attachment.attached) {
      this.#joins.detached(attachment)
      this.#revocation.forget(attachment.relayId)
    }
    if (this.#stage === 'open') this.agreement.attachmentChanged(nowMs, attachment)
  }

  /** Brings joins in line with what is wanted now. */
  sync(nowMs: number): void {
    this.#endRevoked(nowMs)
    this.#straighten(nowMs)
    this.#joins.sync(nowMs, this.#wanted(nowMs), (relayId) => this.#hasPath(nowMs, relayId))
  }

  wake(nowMs: number): void {
    const machineAtMs = this.machine.wakeAtMs()
    if (machineAtMs !== undefined && nowMs >= machineAtMs) {
      this.machine.wake(nowMs)
      this.#host.dirty(this)
    }
    if (nowMs >= this.#resendAtMs) this.#resendMessage3(nowMs)
    if (this.#lastWord.wake(nowMs, this.#joins.wakeAtMs())) this.#host.needsSync()
    if (this.#stage !== 'open') return
    if (nowMs >= this.#validateByMs) {
      this.#validateByMs = Number.POSITIVE_INFINITY
      if (this.#validated.size === 0) this.#lostAllPaths(nowMs - validateMs)
    }
    this.agreement.wake(nowMs)
    if (nowMs >= this.#silence.wakeAtMs()) {
      const someAnswers = this.machine.status().paths.some((path) => path.state === 'open')
      const sinceMs = this.#silence.look(nowMs, someAnswers)
      if (sinceMs !== undefined) this.#lostAllPaths(sinceMs)
    }
    if (nowMs >= this.#joins.wakeAtMs()) this.#host.needsSync()
    this.#calmDown(nowMs)
  }

  wakeAtMs(): number {
    const machineAtMs = this.machine.wakeAtMs() ?? Number.POSITIVE_INFINITY
    if (this.#stage !== 'open') return Math.min(machineAtMs, this.#resendAtMs, this.#lastWord.wakeAtMs(this.#joins.wakeAtMs()))
    let atMs = Math.min(machineAtMs, this.#validateByMs, this.agreement.wakeAtMs(), this.#joins.wakeAtMs(), this.#silence.wakeAtMs())
    if (this.#suspectUntilMs > 0) atMs = Math.min(atMs, this.#suspectUntilMs)
    if (this.#everywhereUntilMs > 0) atMs = Math.min(atMs, this.#everywhereUntilMs)
    return atMs
  }

  /** Carries out what the machine wants. */
  pump(nowMs: number, answers = true): void {
    const { machine } = this
    if (answers) this.#datagramBytes = 0
    for (
      let effect = answers ? machine.poll() : machine.heard();
      effect !== undefined;
      effect = answers ? machine.poll() : machine.heard()
    ) {
      switch (effect.type) {
        case 'send': {
          const circuit = this.#paths.get(effect.pathId)
          circuit?.attachment.sendPacket(circuit.number, effect.header, effect.pieces)
          break
        }
        case 'closePath':
          this.#closePath(effect.pathId, effect.reason)
          break
        case 'wantPaths':
          if (effect.why === 'suspect') this.#suspect(nowMs)
          else if (effect.why === 'short') this.#shortUntilMs = nowMs + suspectMs
          else this.#everywhereUntilMs = nowMs + everywhereMs
          this.#host.needsSync()
          break
        case 'frame':
          if (effect.frame.type === 'confirm' || effect.frame.type === 'yield' || effect.frame.type === 'exists') {
            if (this.#stage === 'confirming') this.#host.verdict(nowMs, this, effect.frame.type)
          } else this.agreement.frame(nowMs, this.#paths.get(effect.pathId)?.relayId, effect.frame)
          break
        case 'datagram':
          if (this.#announced) this.#host.emit({ type: 'datagram', handle: this.facts.handle, data: effect.data })
          break
        case 'pathNamed': {
          const circuit = this.#paths.get(effect.pathId)
          if (circuit !== undefined) this.#named(circuit, effect.relayId)
          this.#host.needsSync()
          break
        }
        case 'sample':
          this.agreement.planner.endToEnd(nowMs, effect.relayId, effect.rttMs)
          this.#answered()
          break
        case 'event':
          this.#event(nowMs, effect.event)
          break
        case 'closed':
          this.#stage = 'over'
          this.#joins.leaveAll()
          if (this.#announced) this.#lastWord.begin(nowMs)
          this.#host.ended(nowMs, this, effect)
          break
      }
    }
    // Data may overtake the confirmation; what it brought is told when the application knows of the connection.
    if (!this.#announced) return
    for (let event = machine.streams.poll(); event !== undefined; event = machine.streams.poll())
      this.#host.emit({ type: 'streamEvent', handle: this.facts.handle, event })
  }

  /** Without a path, and every relay says that one of the two ends may not come back: it is over now, not when its time is. */
  #endRevoked(nowMs: number): void {
    if (this.pathlessSinceMs === undefined) return
    const verdict = this.#revocation.verdict(this.#host.attachments, this.facts.peerName)
    if (verdict === undefined) return
    this.machine.abort(nowMs, verdict.code, verdict.message)
    this.#host.dirty(this)
  }

  /**
   * A path that goes over another link of ours than the one it is named by (the call came there, or ours was dead) is asked for anew, while others
   * carry: two paths over one link would fail together.
   */
  #straighten(nowMs: number): void {
    if (this.#stage !== 'open' || this.#validated.size < 2 || !this.agreement.settled) return
    for (const circuit of this.#paths.values()) {
      const named = this.#host.attachments.byId(circuit.relayId)
      if (named === undefined || named === circuit.attachment || !named.usable) continue
      if (!this.agreement.plannedRelays(nowMs, 0).includes(circuit.relayId)) continue
      this.#host.circuits.close(circuit, 'other_link')
      this.circuitClosed(nowMs, circuit, 'other_link')
      return
    }
  }

  #unheard(nowMs: number): boolean {
    return this.#lastWord.wanted(nowMs, this.#paths.size === 0 && this.machine.unheard)
  }

  #wanted(nowMs: number): WantedPath[] {
    const { attachments } = this.#host
    const path = (relayId: string, anyLink: boolean): WantedPath[] => {
      const attachment = attachments.linkFor(relayId, anyLink)
      return attachment === undefined || !this.facts.policy.allows(attachment.entry) ? [] : [{ relayId, attachment }]
    }
    // Where ours and theirs of one id are not both alive, any two of one relay do.
    const allowed = () => this.agreement.names().flatMap((relayId) => path(relayId, true))
    if (this.#stage !== 'open') return this.#unheard(nowMs) ? allowed() : []
    if (this.#pathlessSinceMs !== undefined || nowMs < this.#everywhereUntilMs) return allowed()
    if (this.standsStill) return this.agreement.names().flatMap((relayId) => path(relayId, false))
    const planned = this.agreement.plannedRelays(nowMs, nowMs < Math.max(this.#suspectUntilMs, this.#shortUntilMs) ? nextRelays : 0)
    return planned.flatMap((relayId) => path(relayId, false))
  }

  /** Relays that both ends could use. */
  *#shared(): Iterable<string> {
    const { planner } = this.agreement
    for (const { relayId, entry } of this.#host.attachments.all())
      if (this.facts.policy.allows(entry) && planner.peerKnows(relayId)) yield relayId
  }

  #hasPath(nowMs: number, relayId: string): boolean {
    // Without any path and with links to choose from, what stays silent is asked for anew: it may go over a dead link of the other end.
    const doubted = this.#pathlessSinceMs !== undefined && this.agreement.hasLinks(relayId)
    for (const circuit of this.#paths.values())
      if (circuit.relayId === relayId && (!doubted || nowMs < circuit.openedAtMs + againMs)) return true
    return false
  }

  #openRelays(): Set<string> {
    return new Set([...this.#paths].filter(([pathId]) => this.#validated.has(pathId)).map(([, { relayId }]) => relayId))
  }

  #closePath(pathId: number, reason: string): void {
    const circuit = this.#paths.get(pathId)
    this.#paths.delete(pathId)
    this.#validated.delete(pathId)
    if (circuit !== undefined) this.#host.circuits.close(circuit, reason)
    this.#host.needsSync()
  }

  #answered(): void {
    this.#silence.answered()
    if (this.#pathlessSinceMs === undefined || this.#validated.size === 0) return
    this.#pathlessSinceMs = undefined
    this.#host.needsSync()
  }

  #suspect(nowMs: number): void {
    // Whoever is dead on our side of a relay shows within the hop's own three seconds.
    // All of them are asked, also those that carry nothing of this connection: when our own address changed, the next relay is as dead as this one.
    if (this.#suspectUntilMs === 0) for (const attachment of this.#host.attachments.all()) attachment.probe(nowMs)
    this.#suspectUntilMs = nowMs + suspectMs
    this.#silence.suspect(nowMs, this.#suspectUntilMs)
  }

  #calmDown(nowMs: number): void {
    const suspectOver = this.#suspectUntilMs > 0 && nowMs >= this.#suspectUntilMs
    const everywhereOver = this.#everywhereUntilMs > 0 && nowMs >= this.#everywhereUntilMs
    if (suspectOver) this.#suspectUntilMs = 0
    if (everywhereOver) this.#everywhereUntilMs = 0
    if (!suspectOver && !everywhereOver) return
    this.agreement.reapply(nowMs)
    this.#host.needsSync()
  }

  #resendMessage3(nowMs: number): void {
    this.#resendAfterMs *= 2
    this.#resendAtMs = nowMs + this.#resendAfterMs
    for (const circuit of this.#paths.values()) circuit.attachment.sendPacket(circuit.number, handshakeHeader, [this.facts.message3!])
  }

  #event(nowMs: number, event: ConnectionEvent): void {
    switch (event.type) {
      case 'path_opened':
        this.#pathOpened(nowMs, event.pathId, event.relayId)
        break
      case 'path_bad':
        this.agreement.pathBad(nowMs, event.relayId)
        this.#pathGone(nowMs, event.pathId)
        break
      case 'path_closed':
        this.#pathGone(nowMs, event.pathId)
        break
      case 'path_moved':
        if (event.to !== null && event.why !== 'plan' && event.why !== 'rotate') this.agreement.moved(nowMs, event.to)
    }
    if (this.#stage === 'open') this.#host.emit({ type: 'connectionEvent', handle: this.facts.handle, event })
  }

  #named(circuit: Circuit, relayId: string): void {
    circuit.relayId = relayId
    if (this.#validated.has(circuit.pathId)) this.#tag(circuit)
  }

  /** A circuit that began with a call is told its tag, so that our next JOIN there replaces it should its attachment die without a word. */
  #tag(circuit: Circuit): void {
    const { attachment, relayId, number, taggedAs } = circuit
    if (taggedAs === relayId) return
    circuit.taggedAs = relayId
    attachment.sendControl({ type: 'circuitTag', circuit: number, tag: joinTag(this.#host.crypto, this.facts.secrets, relayId) })
  }

  #pathOpened(nowMs: number, pathId: number, relayId: string): void {
    const circuit = this.#paths.get(pathId)
    if (circuit !== undefined) this.#tag(circuit)
    const first = this.#validated.size === 0
    const stoodStill = this.standsStill
    this.#validated.add(pathId)
    if (this.#validated.size >= this.agreement.needed) this.#hadAll = true
    this.#revocation.forget(relayId)
    this.#toldGone = false
    if (stoodStill && this.#hadPath) this.#everywhereUntilMs = nowMs + everywhereMs
    this.#pathlessSinceMs = undefined
    this.#hadPath = true
    this.agreement.pathOpened(nowMs, relayId, first)
    this.#host.needsSync()
  }

  #pathGone(nowMs: number, pathId: number): void {
    const stoodStill = this.standsStill
    this.#validated.delete(pathId)
    if (this.#stage !== 'open') return
    if (this.#validated.size === 0) this.#lostAllPaths(nowMs)
    else if (this.standsStill && !stoodStill) this.#dialAll()
    this.agreement.repairSoon(nowMs)
  }

  #lostAllPaths(sinceMs: number): void {
    if (this.#pathlessSinceMs === undefined) this.#dialAll()
    this.#pathlessSinceMs ??= sinceMs
    this.#host.needsSync()
  }

  /** What stands still for want of a relay does not wait for the back-off of one that may be back. */
  #dialAll(): void {
    this.#host.attachments.stoodStill(this.#shared())
    this.#host.needsSync()
  }
}
