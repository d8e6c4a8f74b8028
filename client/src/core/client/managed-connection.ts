/**
 * One connection inside a client: its machine, the circuits that are its paths, its joins, and its agreement with the peer. The machine
 * decides what is sent where; this decides which paths there are.
 */
import { FEATURE, hex, PACKET_KIND, type PacketHeader } from '@sennit/protocol'
import type { Attachment } from '../attach/attachment.ts'
import { type ConnectionEvent, ConnectionMachine } from '../connection/index.ts'
import type { PathsOption } from '../paths/index.ts'
import { inflateFlags } from '../streams/index.ts'
import type { Circuit, CircuitOwner } from './circuits.ts'
import type { ConnectionFacts, Stage } from './connection-facts.ts'
import type { ConnectionHost } from './connection-host.ts'
import { DatagramQueue } from './datagram-queue.ts'
import { PathAgreement } from './path-agreement.ts'
import { PathCircuits } from './path-circuits.ts'
import { PathSearch } from './path-search.ts'
import { Shortage } from './shortage.ts'
import { ThirdMessage } from './third-message.ts'

export class ManagedConnection implements CircuitOwner {
  readonly facts: ConnectionFacts
  readonly id: string
  readonly machine: ConnectionMachine
  readonly agreement: PathAgreement
  readonly createdAtMs: number
  #announced = false
  readonly #host: ConnectionHost
  readonly #circuits: PathCircuits
  readonly #shortage: Shortage
  readonly #search: PathSearch
  readonly #thirdMessage: ThirdMessage | undefined
  readonly #datagrams: DatagramQueue
  #stage: Stage
  #toldGone = false

  constructor(host: ConnectionHost, facts: ConnectionFacts, stage: 'confirming' | 'challenging', nowMs: number) {
    this.facts = facts
    this.id = hex(facts.secrets.connectionId)
    this.createdAtMs = nowMs
    this.#host = host
    this.#stage = stage
    this.machine = new ConnectionMachine({
      crypto: host.crypto,
      random: host.random,
      secrets: facts.secrets,
      paths: facts.paths,
      acksInData: facts.keyMode === 'blind' && (facts.peerFeatures & FEATURE.acksInData) !== 0,
      nowMs,
      streams: { ...host.streams, inflates: inflateFlags(host.features) },
      ...(host.connectionTuning === undefined ? {} : { tuning: host.connectionTuning }),
    })
    const isOpen = () => this.#stage === 'open'
    this.#circuits = new PathCircuits(host, facts.secrets, this)
    this.#datagrams = new DatagramQueue(this.machine, this.#circuits, () => host.dirty(this))
    this.#shortage = new Shortage({
      isOpen,
      needed: () => this.agreement.inForce.needed,
      someAnswers: () => this.machine.hasSoundPath,
      stoodStill: () => this.#search.dialAll(),
      changed: () => host.needsSync(),
    })
    this.agreement = new PathAgreement({
      host,
      machine: this.machine,
      captain: this.captain,
      policy: facts.policy,
      handle: facts.handle,
      paths: facts.paths,
      wish: facts.wish ?? false,
      relays: () => [...this.#circuits.all()].map((circuit) => circuit.relayId),
      openRelays: () => this.#search.open(),
      calm: () => this.#shortage.calm,
      dirty: () => host.dirty(this),
    })
    this.#search = new PathSearch({
      host,
      facts,
      agreement: this.agreement,
      shortage: this.#shortage,
      circuits: this.#circuits,
      nextJoinId: () => host.nextJoinId(this),
      isOpen,
      isUnheard: () => this.machine.unheard,
    })
    const { message3 } = facts
    if (stage === 'confirming' && message3 !== undefined)
      this.#thirdMessage = new ThirdMessage(nowMs, message3, host.tuning.confirmResendMs)
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
    return this.#stage === 'open' ? this.#shortage.pathlessSinceMs : undefined
  }

  /** Open, and data waits or soon will, for want of paths. */
  get standsStill(): boolean {
    return this.#shortage.standsStill
  }

  /** No relay is left to stand by, or too few for its mode: the next failure would be a pause, or this is one. */
  get exposed(): boolean {
    return (
      this.#stage === 'open' && (this.agreement.inForce.plan?.standby === '' || this.agreement.inForce.short || this.agreement.inForce.bare)
    )
  }

  /** Exposed, and its modes have no weaker way to go on meanwhile: what it lost a moment ago is looked for more often. */
  get bare(): boolean {
    return this.#stage === 'open' && this.agreement.inForce.bare
  }

  /** The application wants its relays used in another way. */
  setPaths(nowMs: number, paths: PathsOption): void {
    this.agreement.setPaths(nowMs, paths)
    this.#host.needsSync()
    this.#host.dirty(this)
  }

  /** Sends a datagram now, or drops it: no path, no credit, or too much before it. @throws SennitError `too_large` */
  sendDatagram(nowMs: number, data: Uint8Array): boolean {
    return this.#datagrams.send(nowMs, data)
  }

  /** A relay said that the peer is gone from it: with no path left, a hint to ask at once. */
  get toldGone(): boolean {
    return this.#toldGone
  }

  /** Circuits that are paths of it. */
  circuits(): Iterable<Circuit> {
    return this.#circuits.all()
  }

  /** Adds the relays it has or wants a path at. */
  addRelaysInUse(relays: Set<string>): void {
    this.#search.addRelaysInUse(relays)
  }

  /** A relay gave a circuit to the peer: one more path. `proved`: the peer's answer to our handshake came over it. */
  addCircuit(nowMs: number, circuit: Circuit, proved = false): void {
    this.#circuits.add(nowMs, circuit)
    const sentBytes = this.#stage === 'confirming' ? (this.#thirdMessage?.send(circuit) ?? 0) : 0
    const leg = circuit.attachment.leg.minimumMs()
    this.machine.pathOpened(nowMs, {
      pathId: circuit.pathId,
      relayId: circuit.relayId,
      creditBytes: circuit.creditBytes,
      sentBytes,
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
    if (!this.#circuits.forget(circuit.pathId)) return
    if (reason === 'peer_detached') this.#toldGone = true
    this.#search.lost(circuit.relayId, reason)
    this.machine.pathClosed(nowMs, circuit.pathId, reason)
    this.#pathGone(nowMs, circuit.pathId)
    this.#host.dirty(this)
    if (this.#stage === 'confirming') this.#host.unconfirmed(nowMs, this, circuit.relayId, reason)
  }

  /** The verdict was yes (said by us, or heard): the connection is on. */
  open(nowMs: number): void {
    this.#stage = 'open'
    this.#thirdMessage?.done()
    this.#shortage.begin(nowMs)
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
    this.#search.stop()
    this.#circuits.closeAll(reason)
  }

  /** The peer says, by other means, that it looks for us: joins stand everywhere for a while. */
  joinEverywhere(nowMs: number): void {
    this.#shortage.lookEverywhere(nowMs)
    this.#host.needsSync()
  }

  joined(nowMs: number, attachment: Attachment, joinId: number, circuitNumber: number, creditBytes: number): void {
    const relayId = this.#search.joined(nowMs, joinId)
    const circuit = this.#host.circuits.add(attachment, circuitNumber, this, creditBytes, relayId ?? attachment.relayId)
    circuit.taggedAs = relayId
    if (relayId !== undefined) this.addCircuit(nowMs, circuit)
    else this.#host.circuits.close(circuit, 'not_wanted')
  }

  joinRefused(nowMs: number, attachment: Attachment, joinId: number, code: string): void {
    this.#search.refused(nowMs, attachment, joinId, code)
  }

  /** An attachment came, went or drains. */
  attachmentChanged(nowMs: number, attachment: Attachment): void {
    if (!attachment.attached) this.#search.detached(attachment)
    if (this.#stage === 'open') this.agreement.attachmentChanged(nowMs, attachment)
  }

  /** Brings joins in line with what is wanted now. */
  sync(nowMs: number): void {
    const revoked = this.pathlessSinceMs === undefined ? undefined : this.#search.inVain()
    if (revoked !== undefined) {
      this.machine.abort(nowMs, revoked.code, revoked.message)
      this.#host.dirty(this)
    }
    this.#straighten(nowMs)
    this.#search.sync(nowMs)
  }

  wake(nowMs: number): void {
    const machineAtMs = this.machine.wakeAtMs()
    if (machineAtMs !== undefined && nowMs >= machineAtMs) {
      this.machine.wake(nowMs)
      this.#host.dirty(this)
    }
    this.#thirdMessage?.wake(nowMs, this.#circuits.all())
    if (this.#search.wake(nowMs)) this.#host.needsSync()
    if (this.#stage !== 'open') return
    this.agreement.wake(nowMs)
    if (!this.#shortage.wake(nowMs)) return
    this.agreement.reapply(nowMs)
    this.#host.needsSync()
  }

  wakeAtMs(): number {
    const machineAtMs = this.machine.wakeAtMs() ?? Number.POSITIVE_INFINITY
    const atMs = Math.min(machineAtMs, this.#thirdMessage?.wakeAtMs() ?? Number.POSITIVE_INFINITY, this.#search.wakeAtMs())
    return this.#stage === 'open' ? Math.min(atMs, this.agreement.wakeAtMs(), this.#shortage.wakeAtMs()) : atMs
  }

  /** Carries out what the machine wants. */
  pump(nowMs: number, answers = true): void {
    const { machine } = this
    if (answers) this.#datagrams.pumped()
    for (
      let effect = answers ? machine.poll() : machine.heard();
      effect !== undefined;
      effect = answers ? machine.poll() : machine.heard()
    ) {
      switch (effect.type) {
        case 'send': {
          const circuit = this.#circuits.get(effect.pathId)
          circuit?.attachment.sendPacket(circuit.number, effect.header, effect.pieces)
          break
        }
        case 'closePath':
          this.#circuits.close(effect.pathId, effect.reason)
          this.#shortage.forget(effect.pathId)
          this.#host.needsSync()
          break
        case 'wantPaths':
          if (effect.why === 'suspect') this.#suspect(nowMs)
          else if (effect.why === 'short') this.#shortage.short(nowMs)
          else this.#shortage.lookEverywhere(nowMs)
          this.#host.needsSync()
          break
        case 'frame':
          if (effect.frame.type === 'confirm' || effect.frame.type === 'yield' || effect.frame.type === 'exists') {
            if (this.#stage === 'confirming') this.#host.verdict(nowMs, this, effect.frame.type)
          } else this.agreement.frame(nowMs, this.#circuits.get(effect.pathId)?.relayId, effect.frame)
          break
        case 'datagram':
          if (this.#announced) this.#host.emit({ type: 'datagram', handle: this.facts.handle, data: effect.data })
          break
        case 'pathNamed':
          this.#named(effect.pathId, effect.relayId)
          this.#host.needsSync()
          break
        case 'sample':
          this.agreement.planner.endToEnd(nowMs, effect.relayId, effect.rttMs)
          this.#shortage.answered()
          break
        case 'event':
          this.#event(nowMs, effect.event)
          break
        case 'closed':
          this.#stage = 'over'
          this.#search.stop()
          if (this.#announced) this.#search.stayForLastWord(nowMs)
          this.#host.ended(nowMs, this, effect)
          break
      }
    }
    // Data may overtake the confirmation; what it brought is told when the application knows of the connection.
    if (!this.#announced) return
    for (let event = machine.streams.poll(); event !== undefined; event = machine.streams.poll())
      this.#host.emit({ type: 'streamEvent', handle: this.facts.handle, event })
  }

  /** Has a path that goes over the wrong link of ours asked for anew. */
  #straighten(nowMs: number): void {
    const circuit = this.#search.misplaced(nowMs)
    if (circuit === undefined) return
    this.#host.circuits.close(circuit, 'other_link')
    this.circuitClosed(nowMs, circuit, 'other_link')
  }

  #suspect(nowMs: number): void {
    // Whoever is dead on our side of a relay shows within the hop's own three seconds.
    // All of them are asked, also those that carry nothing of this connection: when our own address changed, the next relay is as dead as this one.
    if (this.#shortage.suspect(nowMs)) for (const attachment of this.#host.attachments.all()) attachment.probe(nowMs)
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

  #named(pathId: number, relayId: string): void {
    const circuit = this.#circuits.get(pathId)
    if (circuit === undefined) return
    circuit.relayId = relayId
    if (this.#shortage.isValidated(pathId)) this.#circuits.tag(pathId)
  }

  #pathOpened(nowMs: number, pathId: number, relayId: string): void {
    this.#circuits.tag(pathId)
    const first = this.#shortage.validated === 0
    this.#shortage.pathOpened(nowMs, pathId)
    this.#search.found(relayId)
    this.#toldGone = false
    this.agreement.pathOpened(nowMs, relayId, first)
    this.#host.needsSync()
  }

  #pathGone(nowMs: number, pathId: number): void {
    this.#shortage.pathGone(nowMs, pathId)
    if (this.#stage === 'open') this.agreement.repairSoon(nowMs)
  }
}
