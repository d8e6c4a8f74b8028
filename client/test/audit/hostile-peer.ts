/** A connection machine whose peer is in the test's hands: it has the keys and may say anything under them. */
import {
  decodeFrames,
  deriveSessionSecrets,
  encodeFrames,
  type Frame,
  PACKET_KIND,
  type PacketHeader,
  PacketSealer,
  simulatorCrypto,
} from '@sennit/protocol'
import { type ConnectionEffect, ConnectionMachine, type ConnectionOptions } from '../../src/core/connection/index.ts'
import { generator } from '../connection/world.ts'

interface Sent {
  readonly pathId: number
  readonly header: PacketHeader
  readonly frames: readonly Frame[]
}

export class HostilePeer {
  readonly machine: ConnectionMachine
  readonly sent: Sent[] = []
  readonly effects: ConnectionEffect[] = []
  nowMs = 0
  kept = 0
  loose = 0
  readonly #sealer: PacketSealer
  readonly #anotherSealer: () => PacketSealer

  constructor(options: Partial<Pick<ConnectionOptions, 'tuning' | 'streams'>> = {}) {
    const random = generator(1)
    const crypto = simulatorCrypto(random)
    const keys = { initiatorKey: crypto.randomBytes(32), responderKey: crypto.randomBytes(32), handshakeHash: crypto.randomBytes(32) }
    const id = crypto.randomBytes(16)
    const secrets = deriveSessionSecrets(crypto, 'caller', keys, id)
    this.machine = new ConnectionMachine({ crypto, random, secrets, nowMs: 0, ...options })
    this.#anotherSealer = () => new PacketSealer(crypto, deriveSessionSecrets(crypto, 'listener', keys, id))
    this.#sealer = this.#anotherSealer()
  }

  /** Opens a path that carries data at once. */
  open(pathId: number, relayId = `r${pathId}`, creditBytes = 1_048_576): void {
    this.machine.pathOpened(this.nowMs, { pathId, relayId, creditBytes, proved: true })
    this.drain()
  }

  get closed(): Extract<ConnectionEffect, { type: 'closed' }> | undefined {
    return this.effects.find((effect) => effect.type === 'closed')
  }

  /** Frames of one type that the machine sent. */
  said<T extends Frame['type']>(type: T): (Frame & { readonly type: T })[] {
    return this.sent.flatMap(({ frames }) => frames).filter((frame): frame is Frame & { readonly type: T } => frame.type === type)
  }

  /** Seals frames as the peer would; the number is the next one unless told. */
  seal(kind: 'data' | 'control' | 'loose', frames: readonly Frame[] | Uint8Array, number?: number): [PacketHeader, Uint8Array[]] {
    const counter = number ?? (kind === 'loose' ? this.loose : this.kept)
    if (kind === 'loose') this.loose = counter + 1
    else this.kept = counter + 1
    const header = { form: 0, kind: PACKET_KIND[kind], epoch: this.#sealer.sendEpoch, counter }
    return [header, this.#sealer.seal(header, frames instanceof Uint8Array ? [frames] : encodeFrames(frames))]
  }

  /** Seals something else under a number of the first epoch that was used before: what no honest sealer does. */
  sealAgain(kind: 'data' | 'control' | 'loose', frames: readonly Frame[], number: number): [PacketHeader, Uint8Array[]] {
    const header = { form: 0, kind: PACKET_KIND[kind], epoch: 0, counter: number }
    return [header, this.#anotherSealer().seal(header, encodeFrames(frames))]
  }

  /** The peer starts its next key epoch. */
  rekey(): void {
    this.#sealer.advanceSend()
  }

  say(pathId: number, kind: 'data' | 'control' | 'loose', frames: readonly Frame[] | Uint8Array, number?: number): void {
    this.hand(pathId, ...this.seal(kind, frames, number))
  }

  hand(pathId: number, header: PacketHeader, pieces: Uint8Array[]): void {
    this.machine.packet(this.nowMs, pathId, header, pieces)
    this.drain()
  }

  /** Wakes the machine whenever it asks for it, until then. */
  run(untilMs: number): void {
    for (let at = this.machine.wakeAtMs(); at !== undefined && at <= untilMs; at = this.machine.wakeAtMs()) {
      this.nowMs = Math.max(this.nowMs, at)
      this.machine.wake(this.nowMs)
      this.drain()
    }
    this.nowMs = untilMs
  }

  drain(): void {
    for (let effect = this.machine.poll(); effect !== undefined; effect = this.machine.poll()) {
      this.effects.push(effect)
      if (effect.type !== 'send') continue
      const plaintext = this.#sealer.open(effect.header, effect.pieces)
      this.sent.push({ pathId: effect.pathId, header: effect.header, frames: plaintext === undefined ? [] : decodeFrames(plaintext) })
    }
  }
}
