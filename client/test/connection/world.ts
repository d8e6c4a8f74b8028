/**
 * Two ends, some relays, one clock, one seed. Everything between two connection machines that may go wrong can be made to: a relay is killed
 * (what it held is lost, both ends are told), frozen (what it holds comes later), blocked one way, slow, it duplicates, it says "please wait";
 * an end sleeps; a reader is slow. The world checks at every step that what is delivered is a prefix of what was sent, that no nonce ever
 * carries two byte strings, and that no credit is overrun; at the end, that everything sent was delivered.
 */
import { deriveSessionSecrets, type Frame, hex, isKept, PACKET_KIND, type PacketHeader, simulatorCrypto } from '@sennit/protocol'
import {
  type ConnectionEffect,
  type ConnectionEvent,
  ConnectionMachine,
  type ConnectionTuning,
  type PathPlan,
} from '../../src/core/connection/index.ts'
import { type PathsOption, turned } from '../../src/core/paths/index.ts'
import type { StreamSetOptions } from '../../src/core/streams/index.ts'

/** 0 calls, 1 listens. */
export type Side = 0 | 1

export interface WorldOptions {
  readonly seed: number
  /** Relay ids with their one-way latency through them. @default r1 5, r2 8, r3 12 */
  readonly relays?: Readonly<Record<string, number>>
  /** Circuits opened at the start. @default the first two relays */
  readonly openFirst?: readonly string[]
  readonly tuning?: Partial<ConnectionTuning>
  /** How relays are used before any plan, as side 0 sees it. @default best */
  readonly paths?: PathsOption
  /** Relays that fail together. */
  readonly failureDomains?: Readonly<Record<string, string>>
  readonly streams?: Omit<StreamSetOptions, 'role'>
  /** Whether acks may stand in data packets, as each side believes. @default both do */
  readonly acksInData?: readonly [boolean, boolean]
  /** Bytes a relay takes for one direction of a circuit before it must have delivered some. @default 1 MiB */
  readonly creditBytes?: number
  /** Whether relays are joined when an end asks for paths. @default true */
  readonly joins?: boolean
}

/** How an application behaves. */
export interface Traffic {
  /** Messages to send, of `messageBytes` each (uniform). */
  messages?: number
  messageBytes?: readonly [number, number]
  /** Bytes to send on each of `streams` streams. */
  streams?: number
  streamBytes?: number
  /** Of these, at most so many in one turn. @default 100 000 */
  streamTurnBytes?: number
  /** Pause between two turns of the application. @default 5 */
  everyMs?: number
  /** Messages offered in one turn. @default 4 */
  perTurn?: number
}

interface Circuit {
  readonly relay: Relay
  readonly pathIds: [number, number]
  readonly opened: [boolean, boolean]
  readonly queues: [Pipe, Pipe]
  dead: boolean
}

/** One direction of a circuit; index = the side that sends. */
interface Pipe {
  /** Packets inside the relay, in order. */
  readonly held: { header: PacketHeader; pieces: Uint8Array[]; readyAtMs: number; bytes: number }[]
  lastReadyAtMs: number
  /** The wire is busy until then. */
  freeAtMs: number
  sentBytes: number
  deliveredBytes: number
  limit: number
  scheduled: boolean
}

export class Relay {
  readonly relayId: string
  latencyMs: number
  jitterMs = 0
  /** What a direction carries. */
  bytesPerMs: number = Number.POSITIVE_INFINITY
  /** Data packets that came whole, and shares, from either side. */
  sawWhole = 0
  sawShares = 0
  alive = true
  frozen = false
  /** What is not kept overtakes what is, as in the queues of clients and relays. */
  overtakes = false
  /** Held directions, by sending side. */
  readonly blocked: [boolean, boolean] = [false, false]
  duplicates = 0
  /** Chance that one bit of a payload is flipped. */
  corrupts = 0
  waits = false
  /** So many kept packets, the next ones, are lost here and nobody is told. */
  swallows = 0
  circuit: Circuit | undefined
  constructor(relayId: string, latencyMs: number) {
    this.relayId = relayId
    this.latencyMs = latencyMs
  }
}

interface Timed {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

/** Bytes of a flow at an offset: any received byte can be checked, nothing is stored. */
export function keystream(flow: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let index = 0; index < length; index += 1) {
    const at = offset + index
    bytes[index] = (Math.imul(at + 1, 0x9e3779b1) >>> 24) ^ (at >>> 8) ^ Math.imul(flow + 7, 31)
  }
  return bytes
}

class Failure extends Error {}

/** The plan as the other side sees it. */
function turnedPlan(plan: PathPlan): PathPlan {
  const { modes } = plan
  const own = { ...plan, activeSend: plan.activeReceive, activeReceive: plan.activeSend }
  if (modes === undefined) return own
  const { send, receive, sendRelays, receiveRelays } = modes
  return { ...own, modes: { ...modes, send: receive, receive: send, sendRelays: receiveRelays, receiveRelays: sendRelays } }
}

/** One end: its machine, its application, what it has seen. */
export class End {
  readonly side: Side
  readonly machine: ConnectionMachine
  readonly events: { atMs: number; event: ConnectionEvent }[] = []
  readonly effects: { atMs: number; effect: ConnectionEffect }[] = []
  closed: Extract<ConnectionEffect, { type: 'closed' }> | undefined
  pausedUntilMs = 0
  /** Inputs that came while paused. */
  readonly inbox: (() => void)[] = []
  /** Bytes the application takes a turn; Infinity is all. */
  readBytesPerTurn: number = Number.POSITIVE_INFINITY
  readEveryMs = 0
  traffic: Traffic = {}
  messagesSent = 0
  messagesAccepted = 0
  messagesGot = 0
  messageBytesGot = 0
  readonly streamsSent: Map<number, { written: number; finished: boolean }> = new Map()
  readonly streamsGot: Map<number, { got: number; finished: boolean }> = new Map()
  readonly incoming: Set<number> = new Set()
  readonly keptHashes: Map<number, string> = new Map()
  readonly looseCounters: Set<number> = new Set()
  readonly datagramHashes: Map<number, string> = new Map()
  readonly datagramsGot: Uint8Array[] = []
  readonly framesGot: Frame[] = []
  /** Times at which a message was taken, for stalls. */
  lastGotAtMs = 0
  longestGapMs = 0
  messagesPending: { index: number; bytes: number }[] = []
  constructor(side: Side, machine: ConnectionMachine) {
    this.side = side
    this.machine = machine
  }
}

export class World {
  nowMs = 0
  readonly random: () => number
  readonly ends: readonly [End, End]
  readonly relays: Map<string, Relay> = new Map()
  packets = 0
  readonly log: string[] = []
  readonly #options: WorldOptions
  readonly #heap: Timed[] = []
  #order = 0
  #nextPathId = 1
  readonly #credit: number
  #wanted = false

  constructor(options: WorldOptions) {
    this.#options = options
    this.random = generator(options.seed)
    this.#credit = options.creditBytes ?? 1024 * 1024
    const crypto = simulatorCrypto(this.random)
    const keys = { initiatorKey: crypto.randomBytes(32), responderKey: crypto.randomBytes(32), handshakeHash: crypto.randomBytes(32) }
    const connectionId = crypto.randomBytes(16)
    const end = (side: Side): End => {
      const secrets = deriveSessionSecrets(crypto, side === 0 ? 'caller' : 'listener', keys, connectionId)
      const { tuning, streams } = options
      const machine = new ConnectionMachine({
        crypto,
        random: this.random,
        secrets,
        nowMs: 0,
        acksInData: options.acksInData?.[side] ?? true,
        ...(tuning === undefined ? {} : { tuning }),
        ...(options.paths === undefined ? {} : { paths: side === 0 ? options.paths : turned(options.paths) }),
        ...(streams === undefined ? {} : { streams }),
      })
      return new End(side, machine)
    }
    this.ends = [end(0), end(1)]
    const relays = options.relays ?? { r1: 5, r2: 8, r3: 12 }
    for (const [relayId, latencyMs] of Object.entries(relays)) this.relays.set(relayId, new Relay(relayId, latencyMs))
    for (const relayId of options.openFirst ?? Object.keys(relays).slice(0, 2)) this.join(relayId)
  }

  relay(relayId: string): Relay {
    return this.relays.get(relayId)!
  }

  at(atMs: number, run: () => void): void {
    push(this.#heap, { atMs: Math.max(atMs, this.nowMs), order: this.#order++, run })
  }

  after(ms: number, run: () => void): void {
    this.at(this.nowMs + ms, run)
  }

  /** Both ends join at the relay. */
  join(relayId: string): void {
    const relay = this.relay(relayId)
    if (!relay.alive || relay.frozen || relay.circuit !== undefined) return
    const pipe = (): Pipe => ({
      held: [],
      lastReadyAtMs: 0,
      freeAtMs: 0,
      sentBytes: 0,
      deliveredBytes: 0,
      limit: this.#credit,
      scheduled: false,
    })
    const circuit: Circuit = {
      relay,
      pathIds: [this.#nextPathId++, this.#nextPathId++],
      opened: [false, false],
      queues: [pipe(), pipe()],
      dead: false,
    }
    relay.circuit = circuit
    for (const side of [0, 1] as const) {
      this.after(relay.latencyMs / 2 + this.random() * 3, () => {
        if (circuit.dead) return
        this.input(side, () => {
          if (circuit.dead) return
          circuit.opened[side] = true
          const failureDomain = this.#options.failureDomains?.[relayId]
          const opening = {
            pathId: circuit.pathIds[side],
            relayId,
            creditBytes: circuit.queues[side].limit,
            ...(failureDomain === undefined ? {} : { failureDomain }),
          }
          this.ends[side].machine.pathOpened(this.nowMs, opening)
        })
        this.#pump(circuit, side === 0 ? 1 : 0)
      })
    }
  }

  /** kill -9: what it held is lost, both ends find out a moment later, apart. */
  kill(relayId: string): void {
    const relay = this.relay(relayId)
    relay.alive = false
    relay.frozen = false
    this.closeCircuit(relay, 'killed')
  }

  revive(relayId: string): void {
    const relay = this.relay(relayId)
    if (relay.alive) return
    relay.alive = true
    if (this.#wanted || this.random() < 0.5) this.after(this.random() * 500, () => this.join(relayId))
  }

  closeCircuit(relay: Relay, reason: string): void {
    const { circuit } = relay
    if (circuit === undefined) return
    circuit.dead = true
    relay.circuit = undefined
    for (const side of [0, 1] as const) {
      const pathId = circuit.pathIds[side]
      circuit.queues[side].held.length = 0
      this.after(this.random() * 2, () => this.input(side, () => this.ends[side].machine.pathClosed(this.nowMs, pathId, reason)))
    }
  }

  freeze(relayId: string): void {
    this.relay(relayId).frozen = true
  }

  thaw(relayId: string): void {
    const relay = this.relay(relayId)
    relay.frozen = false
    this.#pumpAll(relay)
  }

  /** Holds what `side` sends through the relay. */
  block(relayId: string, side: Side, blocked: boolean): void {
    const relay = this.relay(relayId)
    relay.blocked[side] = blocked
    if (!blocked) this.#pumpAll(relay)
  }

  /** The relay says "please wait" to both ends, and repeats it each second. */
  wait(relayId: string, waits: boolean): void {
    const relay = this.relay(relayId)
    relay.waits = waits
    const { circuit } = relay
    const say = (): void => {
      if (relay.waits !== waits || circuit === undefined || circuit.dead) return
      for (const side of [0, 1] as const) {
        const { limit } = circuit.queues[side]
        const pathId = circuit.pathIds[side]
        if (!relay.frozen) this.input(side, () => this.ends[side].machine.pathCredit(this.nowMs, pathId, limit, waits))
      }
      if (waits) this.after(1_000, say)
    }
    say()
    if (!waits) this.#pumpAll(relay)
  }

  /** The process of one end sleeps. */
  pause(side: Side, ms: number): void {
    const end = this.ends[side]
    end.pausedUntilMs = Math.max(end.pausedUntilMs, this.nowMs + ms)
    this.at(end.pausedUntilMs, () => {
      if (this.nowMs < end.pausedUntilMs) return
      const inputs = end.inbox.splice(0)
      // Timers run before sockets are read.
      this.#wake(end)
      for (const input of inputs) this.input(side, input)
    })
  }

  usePlan(plan: PathPlan): void {
    for (const side of [0, 1] as const) {
      const own = side === 0 ? plan : turnedPlan(plan)
      this.input(side, () => this.ends[side].machine.usePlan(this.nowMs, own))
    }
  }

  /** Starts the application of one end. */
  start(side: Side, traffic: Traffic): void {
    const end = this.ends[side]
    end.traffic = { ...end.traffic, ...traffic }
    const turn = (): void => {
      if (end.closed !== undefined) return
      this.input(side, () => this.#write(end))
      if (!this.#wrote(end)) this.after(end.traffic.everyMs ?? 5, turn)
    }
    turn()
    if (end.readEveryMs > 0) this.#readSlowly(end)
  }

  /** Slow reader: `bytes` every `everyMs`. */
  readSlowly(side: Side, bytes: number, everyMs: number): void {
    const end = this.ends[side]
    end.readBytesPerTurn = bytes
    end.readEveryMs = everyMs
    this.#readSlowly(end)
  }

  /** Runs until `untilMs` or until nothing happens any more. */
  run(untilMs: number, done: () => boolean = () => false): void {
    let steps = 0
    while (!done()) {
      const next = this.#heap[0]
      let atMs = next?.atMs ?? Number.POSITIVE_INFINITY
      let wakes: End | undefined
      for (const end of this.ends) {
        if (end.pausedUntilMs > this.nowMs) continue
        const wakeAtMs = end.machine.wakeAtMs()
        if (wakeAtMs !== undefined && wakeAtMs < atMs) {
          atMs = wakeAtMs
          wakes = end
        }
      }
      if (atMs > untilMs) {
        this.nowMs = untilMs
        return
      }
      steps = atMs > this.nowMs ? 0 : steps + 1
      if (steps > 100_000) this.fail('time stands still')
      if (atMs > this.nowMs) this.nowMs = atMs
      if (wakes !== undefined) this.#wake(wakes)
      else pop(this.#heap)!.run()
    }
  }

  /** The applications wrote all they had. */
  written(): boolean {
    return this.ends.every((end) => this.#wrote(end))
  }

  /** Everything sent so far was delivered, in both directions. */
  settled(): boolean {
    return ([0, 1] as const).every((side) => {
      const from = this.ends[side]
      const to = this.ends[side === 0 ? 1 : 0]
      if (!this.#wrote(from) || to.messagesGot !== from.messagesSent) return false
      for (const [streamId, sent] of from.streamsSent) {
        const got = to.streamsGot.get(streamId)
        if (got === undefined || got.got !== sent.written || got.finished !== sent.finished) return false
      }
      return from.machine.status().unackedBytes === 0
    })
  }

  fail(message: string): never {
    const shown = this.ends.map((end) => JSON.stringify(end.machine.status())).join('\n')
    throw new Failure(`seed ${this.#options.seed} at ${this.nowMs.toFixed(1)} ms: ${message}\n${shown}\n${this.log.slice(-40).join('\n')}`)
  }

  note(text: string): void {
    this.log.push(`${this.nowMs.toFixed(1)} ${text}`)
  }

  describe(): string {
    return ([0, 1] as const)
      .map((side) => {
        const from = this.ends[side]
        const to = this.ends[side === 0 ? 1 : 0]
        const streams = [...from.streamsSent].map(([id, sent]) => `${id}:${to.streamsGot.get(id)?.got ?? 0}/${sent.written}`)
        return `side ${side}: messages ${to.messagesGot}/${from.messagesSent} streams ${streams.join(' ')}`
      })
      .join('; ')
  }

  /** Hands an input to an end and carries out what comes of it; later if the end sleeps. */
  input(side: Side, run: () => void): void {
    const end = this.ends[side]
    if (end.pausedUntilMs > this.nowMs) {
      end.inbox.push(run)
      return
    }
    run()
    this.drain(end)
  }

  drain(end: End): void {
    for (;;) {
      for (let effect = end.machine.poll(); effect !== undefined; effect = end.machine.poll()) this.#carryOut(end, effect)
      if (!this.#takeStreamEvents(end)) return
      end.machine.changed(this.nowMs)
    }
  }

  #wake(end: End): void {
    end.machine.wake(this.nowMs)
    this.drain(end)
  }

  #carryOut(end: End, effect: ConnectionEffect): void {
    const { side } = end
    switch (effect.type) {
      case 'send':
        this.#checkNonce(end, effect.header, effect.pieces)
        this.#send(side, effect.pathId, effect.header, effect.pieces)
        return
      case 'closePath': {
        for (const relay of this.relays.values()) {
          if (relay.circuit?.pathIds[side] === effect.pathId) this.#leave(relay, side)
        }
        return
      }
      case 'wantPaths':
        end.effects.push({ atMs: this.nowMs, effect })
        this.#wanted = true
        if (this.#options.joins ?? true) {
          for (const relayId of this.relays.keys()) this.after(5 + this.random() * 45, () => this.join(relayId))
        }
        return
      case 'frame':
        end.framesGot.push(effect.frame)
        return
      case 'datagram':
        end.datagramsGot.push(effect.data)
        return
      case 'event':
        end.events.push({ atMs: this.nowMs, event: effect.event })
        this.note(`end ${side}: ${JSON.stringify(effect.event)}`)
        return
      case 'closed':
        if (end.closed !== undefined) this.fail('closed twice')
        end.closed = effect
        this.note(`end ${side}: closed ${effect.code} ${effect.message} ${effect.remote}`)
        return
      default:
        end.effects.push({ atMs: this.nowMs, effect })
    }
  }

  /** One end closed its half of a circuit; the relay tells the other one, after what was on the way to it. */
  #leave(relay: Relay, side: Side): void {
    const circuit = relay.circuit!
    const other = side === 0 ? 1 : 0
    relay.circuit = undefined
    const pathId = circuit.pathIds[other]
    const lastMs = Math.max(this.nowMs + relay.latencyMs, circuit.queues[side].lastReadyAtMs)
    circuit.opened[side] = false
    this.at(lastMs + 0.01, () => {
      circuit.dead = true
      this.input(other, () => this.ends[other].machine.pathClosed(this.nowMs, pathId, 'left'))
    })
  }

  #send(side: Side, pathId: number, header: PacketHeader, pieces: Uint8Array[]): void {
    let circuit: Circuit | undefined
    for (const relay of this.relays.values()) if (relay.circuit?.pathIds[side] === pathId) circuit = relay.circuit
    if (circuit === undefined || circuit.dead) return
    const { relay } = circuit
    const pipe = circuit.queues[side]
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
    pipe.sentBytes += bytes
    this.packets += 1
    if (relay.swallows > 0 && isKept(header.kind)) {
      relay.swallows -= 1
      return
    }
    if (header.form === 1) relay.sawShares += 1
    else if (header.kind === PACKET_KIND.data || header.kind === PACKET_KIND.datagram) relay.sawWhole += 1
    if (isKept(header.kind) && pipe.sentBytes > pipe.limit + 65_536) this.fail(`credit of ${relay.relayId} overrun by side ${side}`)
    if (relay.overtakes && !isKept(header.kind)) {
      const other = side === 0 ? 1 : 0
      pipe.freeAtMs = Math.max(pipe.freeAtMs, this.nowMs) + bytes / relay.bytesPerMs
      pipe.deliveredBytes += bytes
      this.after(relay.latencyMs + bytes / relay.bytesPerMs, () =>
        this.input(other, () => this.ends[other].machine.packet(this.nowMs, circuit!.pathIds[other], header, pieces)),
      )
      return
    }
    const times = this.random() < relay.duplicates ? 2 : 1
    for (let time = 0; time < times; time += 1) {
      pipe.freeAtMs = Math.max(pipe.freeAtMs, this.nowMs) + bytes / relay.bytesPerMs
      const readyAtMs = Math.max(pipe.lastReadyAtMs, pipe.freeAtMs + relay.latencyMs + this.random() * relay.jitterMs)
      pipe.lastReadyAtMs = readyAtMs
      pipe.held.push({ header, pieces: this.random() < relay.corrupts ? flipped(pieces, this.random) : pieces, readyAtMs, bytes })
    }
    this.#pump(circuit, side)
  }

  #pumpAll(relay: Relay): void {
    if (relay.circuit === undefined) return
    this.#pump(relay.circuit, 0)
    this.#pump(relay.circuit, 1)
  }

  /** Delivers what is ready, in order, unless the relay is stopped somehow. */
  #pump(circuit: Circuit, side: Side): void {
    const { relay } = circuit
    const pipe = circuit.queues[side]
    const other = side === 0 ? 1 : 0
    if (pipe.scheduled) return
    const stopped = (): boolean => circuit.dead || relay.frozen || relay.blocked[side] || relay.waits || !circuit.opened[other]
    while (pipe.held.length > 0 && !stopped()) {
      const packet = pipe.held[0]!
      if (packet.readyAtMs > this.nowMs) {
        pipe.scheduled = true
        this.at(packet.readyAtMs, () => {
          pipe.scheduled = false
          this.#pump(circuit, side)
        })
        return
      }
      pipe.held.shift()
      pipe.deliveredBytes += packet.bytes
      if (pipe.limit - pipe.deliveredBytes < this.#credit / 2) {
        pipe.limit = pipe.deliveredBytes + this.#credit
        const { limit } = pipe
        this.after(relay.latencyMs / 2, () => {
          if (!circuit.dead && !relay.frozen) {
            this.input(side, () => this.ends[side].machine.pathCredit(this.nowMs, circuit.pathIds[side], limit, relay.waits))
          } else pipe.limit = Math.min(pipe.limit, limit)
        })
      }
      this.input(other, () => this.ends[other].machine.packet(this.nowMs, circuit.pathIds[other], packet.header, packet.pieces))
    }
  }

  #checkNonce(end: End, header: PacketHeader, pieces: readonly Uint8Array[]): void {
    // Shares of a packet are cut anew each time.
    if (header.form === 1) return
    if (header.kind === PACKET_KIND.loose) {
      if (end.looseCounters.has(header.counter)) this.fail(`loose counter ${header.counter} sealed twice`)
      end.looseCounters.add(header.counter)
      return
    }
    if (header.kind === PACKET_KIND.datagram) {
      // Copies of one go over several relays.
      const known = end.datagramHashes.get(header.counter)
      const found = fingerprint(pieces)
      if (known !== undefined && known !== found) this.fail(`datagram counter ${header.counter} sealed twice`)
      end.datagramHashes.set(header.counter, found)
      return
    }
    const hash = `${header.kind} ${header.epoch} ${fingerprint(pieces)}`
    const known = end.keptHashes.get(header.counter)
    if (known !== undefined && known !== hash) this.fail(`two byte strings under kept number ${header.counter}`)
    end.keptHashes.set(header.counter, hash)
  }

  // ---- applications

  #wrote(end: End): boolean {
    const { messages = 0, streams = 0 } = end.traffic
    if (end.messagesSent < messages || end.streamsSent.size < streams) return false
    for (const sent of end.streamsSent.values()) if (!sent.finished) return false
    return true
  }

  #write(end: End): void {
    const { machine, traffic } = end
    const { messages = 0, messageBytes = [10, 2_000], streams = 0, streamBytes = 0, streamTurnBytes = 100_000, perTurn = 4 } = traffic
    if (end.closed !== undefined) return
    for (let turn = 0; turn < perTurn && end.messagesSent < messages && !machine.streams.messageQueueFull(); turn += 1) {
      const length = Math.floor(messageBytes[0] + this.random() * (messageBytes[1] - messageBytes[0] + 1))
      machine.streams.offerMessage(keystream(end.side * 1_000 + end.messagesSent, 0, length))
      end.messagesPending.push({ index: end.messagesSent, bytes: length })
      end.messagesSent += 1
    }
    while (end.streamsSent.size < streams) end.streamsSent.set(machine.streams.open(), { written: 0, finished: false })
    for (const [streamId, sent] of end.streamsSent) {
      if (sent.finished) continue
      const room = Math.min(machine.streams.writableBytes(streamId), streamBytes - sent.written, streamTurnBytes)
      if (room > 0) sent.written += machine.streams.write(streamId, keystream(streamId, sent.written, room))
      if (sent.written === streamBytes) {
        machine.streams.finish(streamId)
        sent.finished = true
      }
    }
    machine.changed(this.nowMs)
  }

  #readSlowly(end: End): void {
    const turn = (): void => {
      if (end.closed !== undefined) return
      this.input(end.side, () => {
        this.#read(end, end.readBytesPerTurn)
        end.machine.changed(this.nowMs)
      })
      if (end.readEveryMs > 0) this.after(end.readEveryMs, turn)
    }
    this.after(end.readEveryMs, turn)
  }

  #takeStreamEvents(end: End): boolean {
    let some = false
    for (let event = end.machine.streams.poll(); event !== undefined; event = end.machine.streams.poll()) {
      some = true
      if (event.type === 'streamOpened') end.incoming.add(event.streamId)
      else if (event.type === 'finished') this.#got(end, event.streamId).finished = true
      else if (event.type === 'messageAccepted') end.messagesAccepted = event.index + 1
      else if (event.type === 'reset' || event.type === 'stopped') this.fail(`stream ${event.streamId} was ${event.type}`)
    }
    if (some && end.readEveryMs === 0) this.#read(end, Number.POSITIVE_INFINITY)
    return some
  }

  #read(end: End, bytesMax: number): void {
    let left = bytesMax
    const peer = this.ends[end.side === 0 ? 1 : 0]
    while (left > 0) {
      const message = end.machine.streams.takeMessage()
      if (message === undefined) break
      left -= message.length
      const expected = peer.messagesPending.shift()
      if (expected === undefined || expected.index !== end.messagesGot) this.fail(`end ${end.side} got a message that was never sent`)
      const wanted = keystream(peer.side * 1_000 + expected.index, 0, expected.bytes)
      if (!same(message, wanted))
        this.fail(`message ${expected.index} to end ${end.side} differs (${message.length} of ${wanted.length} bytes)`)
      end.messagesGot += 1
      end.messageBytesGot += message.length
      if (end.lastGotAtMs > 0) end.longestGapMs = Math.max(end.longestGapMs, this.nowMs - end.lastGotAtMs)
      end.lastGotAtMs = this.nowMs
    }
    for (const streamId of end.incoming) {
      const got = this.#got(end, streamId)
      for (const piece of end.machine.streams.read(streamId, left)) {
        if (!same(piece, keystream(streamId, got.got, piece.length))) this.fail(`stream ${streamId} differs near ${got.got}`)
        got.got += piece.length
        left -= piece.length
        const sent = peer.streamsSent.get(streamId)
        if (sent !== undefined && got.got > sent.written) this.fail(`stream ${streamId} delivered more than was written`)
      }
      if (left <= 0) break
    }
  }

  #got(end: End, streamId: number): { got: number; finished: boolean } {
    let got = end.streamsGot.get(streamId)
    if (got === undefined) {
      got = { got: 0, finished: false }
      end.streamsGot.set(streamId, got)
    }
    return got
  }
}

function same(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false
  for (let index = 0; index < left.length; index += 1) if (left[index] !== right[index]) return false
  return true
}

/** The tag covers everything under the simulator's provider, so the tail and the length are enough. */
function fingerprint(pieces: readonly Uint8Array[]): string {
  let length = 0
  for (const piece of pieces) length += piece.length
  return `${length} ${hex(pieces.at(-1)!.subarray(-16))}`
}

function flipped(pieces: readonly Uint8Array[], random: () => number): Uint8Array[] {
  const copies = pieces.map((piece) => piece.slice())
  const piece = copies[Math.floor(random() * copies.length)]!
  if (piece.length > 0) piece[Math.floor(random() * piece.length)]! ^= 1 << Math.floor(random() * 8)
  return copies
}

/** mulberry32: small, fast, good enough for worlds. */
export function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), state | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296
  }
}

function before(left: Timed, right: Timed): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)
}

function push(heap: Timed[], item: Timed): void {
  let at = heap.length
  heap.push(item)
  while (at > 0) {
    const parent = (at - 1) >>> 1
    if (!before(item, heap[parent]!)) break
    heap[at] = heap[parent]!
    at = parent
  }
  heap[at] = item
}

function pop(heap: Timed[]): Timed | undefined {
  const top = heap[0]
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return top
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1
    if (!before(heap[child]!, last)) break
    heap[at] = heap[child]!
    at = child
  }
  heap[at] = last
  return top
}
