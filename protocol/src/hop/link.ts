/**
 * The machine of one attachment's byte stream, at either end: handshake, records, fair sending, heartbeat, close.
 * A carrier is a reliable, ordered pipe of bytes in each direction; chunks may be cut anywhere.
 */

import { totalBytes } from '../bytes.ts'
import { decodeControl, encodeControl } from '../control/codec.ts'
import type { HopControl } from '../control/types.ts'
import { Deque } from '../deque.ts'
import { ProtocolError, SennitError } from '../errors.ts'
import { type PacketHeader, packetBytesMax } from '../packet.ts'
import {
  decodeRefusal,
  encodeRefusal,
  HANDSHAKE_FRAME,
  HandshakeFailure,
  handshakeWithinMs,
  printable,
  type TransportKeys,
} from './handshake-frame.ts'
import { HandshakeReader } from './handshake-reader.ts'
import { Heartbeat, heartbeatMs, heartbeatSaverMs, ownPauseMs } from './heartbeat.ts'
import { InitiatorHandshake } from './initiator-handshake.ts'
import { encodeBlock, RecordReader, recordBytesMax, websocketRecordBytesMax } from './record.ts'
import { RecordCipher } from './record-cipher.ts'
import { ResponderHandshake } from './responder-handshake.ts'
import { SendScheduler } from './send-scheduler.ts'
import type { EstablishedRelay, EstablishedUser, HopLinkOptions, LinkEffect } from './types.ts'

/** A carrier that takes nothing for this long is dead or useless; owners with many others choose a shorter time. */
const writeStallMsDefault = 15_000

/** Control is small and rare; this much unsent means that the peer does not read. */
const controlQueueBytesMax = 1_048_576

/** Characters of a close: a sentence. */
const closeMessageMax = 900

/** Who the other end is; known before it is confirmed by its first record. */
type Peer =
  | { readonly relay: Omit<EstablishedRelay, 'attachmentId'>; readonly attachmentId?: Uint8Array }
  | { readonly user: EstablishedUser }

interface Channel {
  readonly send: RecordCipher
  readonly receive: RecordCipher
  readonly reader: RecordReader
  readonly handshakeHash: Uint8Array
  readonly heartbeat: Heartbeat
}

type State =
  | { readonly name: 'handshake'; readonly handshake: InitiatorHandshake | ResponderHandshake }
  /** Keys agreed; the peer's first record is awaited (at an XX initiator: the welcome). */
  | { readonly name: 'confirming'; readonly channel: Channel; readonly peer: Peer }
  | { readonly name: 'established'; readonly channel: Channel }
  | { readonly name: 'closed' }

/** One attachment's link. Feed it bytes and time; drain `poll()` after every call. */
export class HopLink {
  readonly #options: HopLinkOptions
  readonly #recordBytesMax: number
  readonly #handshakeReader = new HandshakeReader()
  readonly #scheduler: SendScheduler
  #state: State
  readonly #effects = new Deque<LinkEffect>()
  #nowMs = 0
  #deadlineMs: number | undefined
  #writable = true
  #stalledSinceMs: number | undefined
  #pongNonce: number | undefined

  constructor(options: HopLinkOptions) {
    this.#options = options
    this.#recordBytesMax = options.carrier === 'websocket' ? websocketRecordBytesMax : recordBytesMax
    this.#scheduler = new SendScheduler(this.#recordBytesMax)
    const handshake = options.role === 'initiator' ? new InitiatorHandshake(options) : new ResponderHandshake(options)
    this.#state = { name: 'handshake', handshake }
  }

  /** The initiator's first handshake bytes, which ride in the carrier's first request. Call it once, before all else. */
  first(nowMs: number): Uint8Array {
    this.#now(nowMs)
    if (this.#state.name !== 'handshake' || !(this.#state.handshake instanceof InitiatorHandshake)) {
      throw new SennitError('internal', 'only an initiator has first bytes')
    }
    return this.#state.handshake.first()
  }

  /**
   * Bytes of the carrier, cut anywhere. The chunk becomes the link's (unless `lentChunks`): packets are handed on as slices of it.
   * @returns how many bytes of the chunk packets hold, those handed on now and later; when they are done with, its memory may be used again (with a
   *   provider whose `open` makes memory of its own, as node:crypto's does). Infinity when that cannot be told: in a handshake, and at the end
   */
  receive(nowMs: number, chunk: Uint8Array): number {
    this.#now(nowMs)
    try {
      let rest = chunk
      while (rest.length > 0 && this.#state.name === 'handshake') rest = this.#readHandshake(this.#state.handshake, rest)
      if (rest.length === 0 || this.#state.name === 'handshake' || this.#state.name === 'closed') return Number.POSITIVE_INFINITY
      const { channel } = this.#state
      channel.heartbeat.received(nowMs)
      const held = channel.reader.receive(rest)
      return rest.length === chunk.length ? held : Number.POSITIVE_INFINITY
    } catch (error) {
      this.#fail(error)
      return Number.POSITIVE_INFINITY
    }
  }

  /** False: no more records until true. Starts true. */
  carrierWritable(nowMs: number, writable: boolean): void {
    this.#now(nowMs)
    this.#writable = writable
    this.#stalledSinceMs = writable ? undefined : (this.#stalledSinceMs ?? nowMs)
  }

  /** Queues a control message; before the link is established it waits. @throws SennitError `too_large` */
  sendControl(message: HopControl): void {
    if (this.#state.name === 'closed') return
    this.#scheduler.addControl(encodeControl(message))
    if (this.#scheduler.controlBytes > controlQueueBytesMax)
      this.#end('control_overflow', 'the peer does not take its control messages', false)
  }

  /** Queues a packet, 1 to 65 536 bytes, on a circuit from 1. The pieces become the link's. */
  sendPacket(circuit: number, header: PacketHeader, pieces: readonly Uint8Array[]): void {
    if (this.#state.name === 'closed') return
    const bytes = totalBytes(pieces)
    if (circuit === 0 || bytes === 0 || bytes > packetBytesMax) {
      throw new SennitError(
        'internal',
        `expected a packet of 1 to ${packetBytesMax} bytes on a circuit from 1, found ${bytes} on ${circuit}`,
      )
    }
    this.#scheduler.addPacket({ circuit, header, pieces, bytes })
  }

  /** Payload bytes that wait here, of one circuit or of all. */
  queuedBytes(circuit?: number): number {
    return this.#scheduler.queuedBytes(circuit)
  }

  /** Bytes of datagrams that wait here on one circuit. */
  queuedDatagramBytes(circuit: number): number {
    return this.#scheduler.queuedDatagramBytes(circuit)
  }

  /** Forgets what waits on a circuit. */
  dropCircuit(circuit: number): void {
    this.#scheduler.dropCircuit(circuit)
  }

  /** Pings now: a round trip comes as `rtt`, or the link closes. */
  probe(nowMs: number): void {
    this.#now(nowMs)
    if (this.#state.name === 'established') this.#state.channel.heartbeat.probe()
  }

  /** Tells the other side why, and ends. */
  close(reason: string, message = ''): void {
    this.#end(reason, message, false)
  }

  /** Time has come. */
  wake(nowMs: number): void {
    this.#now(nowMs)
    if (this.#deadlineMs !== undefined && nowMs >= this.#deadlineMs) {
      if (nowMs - this.#deadlineMs < ownPauseMs) this.#end('handshake_timeout', `no handshake within ${handshakeWithinMs} ms`, false)
      else this.#deadlineMs = nowMs + ownPauseMs
    }
    const stalledAtMs = this.#stallDeadlineMs()
    if (stalledAtMs !== undefined && nowMs >= stalledAtMs) {
      if (nowMs - stalledAtMs < ownPauseMs) this.#end('write_stalled', 'the carrier takes no bytes', false)
      else this.#stalledSinceMs = nowMs
    }
    if (this.#state.name === 'established' && this.#state.channel.heartbeat.wake(nowMs)) {
      this.#end('heartbeat_timeout', 'the other end does not answer', false)
    }
  }

  /** When to call {@link wake}; undefined when nothing is due. Ask after draining {@link poll}. */
  wakeAtMs(): number | undefined {
    let at = this.#deadlineMs
    const stalled = this.#stallDeadlineMs()
    if (stalled !== undefined && (at === undefined || stalled < at)) at = stalled
    if (this.#state.name === 'established') {
      const beat = this.#state.channel.heartbeat.wakeAtMs()
      if (beat !== undefined && (at === undefined || beat < at)) at = beat
    }
    return at
  }

  /** The next effect, until undefined. Records are built here, from all that waits. */
  poll(): LinkEffect | undefined {
    return this.heard() ?? this.#nextRecord()
  }

  /** As {@link poll}, but builds no record: what came in, and nothing of what waits to go out. */
  heard(): LinkEffect | undefined {
    return this.#effects.shift()
  }

  #nextRecord(): LinkEffect | undefined {
    return this.#writable && this.#state.name === 'established' ? this.#buildRecord(this.#state.channel) : undefined
  }

  #buildRecord({ send, heartbeat }: Channel): LinkEffect | undefined {
    if (this.#pongNonce !== undefined) {
      this.#scheduler.addControl(encodeControl({ type: 'pong', nonce: this.#pongNonce }))
      this.#pongNonce = undefined
    }
    if (heartbeat.wanted) this.#scheduler.addControl(encodeControl({ type: 'ping', nonce: heartbeat.take(this.#nowMs) }))
    const content = this.#scheduler.take()
    if (content === undefined) return undefined
    const pieces: Uint8Array[] = [send.seal(encodeBlock(content.controls, content.packets))]
    for (const packet of content.packets) {
      for (const piece of packet.pieces) pieces.push(piece)
    }
    // One circuit's packets of a class stand together in a record, so that runs are few.
    let circuit = 0
    let bytes = 0
    for (const packet of content.packets) {
      if (packet.circuit !== circuit) {
        if (bytes > 0) this.#effects.push({ type: 'drained', circuit, bytes })
        circuit = packet.circuit
        bytes = 0
      }
      bytes += packet.bytes
    }
    if (bytes > 0) this.#effects.push({ type: 'drained', circuit, bytes })
    return { type: 'write', pieces }
  }

  #readHandshake(handshake: InitiatorHandshake | ResponderHandshake, chunk: Uint8Array): Uint8Array {
    const { frame, rest } = this.#handshakeReader.read(chunk)
    if (frame === undefined) return rest
    const step = handshake.receive(this.#nowMs, frame.type, frame.body)
    if (step.write !== undefined) this.#effects.push({ type: 'write', pieces: [step.write] })
    if ('refusal' in step && step.refusal !== undefined) {
      this.#finish(step.refusal.code, step.refusal.message, false)
    } else if (step.result !== undefined && 'relay' in step.result) {
      const { keys, relay, attachmentId } = step.result
      const saver = this.#options.heartbeat === 'saver'
      const channel = this.#open(keys, saver)
      if (attachmentId === undefined) this.#state = { name: 'confirming', channel, peer: { relay } }
      else this.#establish(channel, { relay, attachmentId })
    } else if (step.result !== undefined) {
      const { keys, user, saver, pattern } = step.result
      const channel = this.#open(keys, saver)
      if (pattern === 'IK') {
        this.#state = { name: 'confirming', channel, peer: { user } }
      } else {
        this.#scheduler.addControlFirst(encodeControl({ type: 'welcome', attachmentId: user.attachmentId }))
        this.#establish(channel, { user })
      }
    }
    return rest
  }

  #open(keys: TransportKeys, saver: boolean): Channel {
    const { crypto, role, random } = this.#options
    const receive = new RecordCipher(crypto, keys.receive)
    const heartbeat = new Heartbeat({ role, random, intervalMs: saver ? heartbeatSaverMs : heartbeatMs }, this.#nowMs)
    const reader = new RecordReader(
      {
        openBlock: (sealed) => this.#openBlock(receive, sealed),
        onControl: (body) => this.#onControl(body),
        onPacket: (circuit, header, pieces) => {
          this.#confirm()
          heartbeat.packet(this.#nowMs)
          this.#effects.push({ type: 'packet', circuit, header, pieces })
        },
      },
      this.#recordBytesMax,
      this.#options.lentChunks,
    )
    return { send: new RecordCipher(crypto, keys.send), receive, reader, handshakeHash: keys.handshakeHash, heartbeat }
  }

  #openBlock(receive: RecordCipher, sealed: Uint8Array): Uint8Array {
    const block = receive.open(sealed)
    const state = this.#state
    if (block === undefined) {
      if (state.name === 'confirming' && sealed[0] === HANDSHAKE_FRAME.refuse) {
        const { code, message } = decodeRefusal(sealed.subarray(1))
        throw new HandshakeFailure(code, message, { remote: true })
      }
      throw new ProtocolError('bad_record', 'a record does not authenticate: it was changed on the way')
    }
    if (state.name !== 'closed' && state.name !== 'handshake') state.channel.heartbeat.opened(this.#nowMs)
    return block
  }

  #onControl(body: Uint8Array): void {
    const message = decodeControl(body)
    if (message?.type !== 'close' && message?.type !== 'welcome') this.#confirm()
    if (message === undefined) return
    const state = this.#state
    if (message.type === 'close') {
      this.#finish(message.code, printable(message.message), true)
    } else if (message.type === 'welcome') {
      if (state.name !== 'confirming' || !('relay' in state.peer))
        throw new ProtocolError('unexpected_message', 'a welcome is not expected now')
      this.#establish(state.channel, { relay: state.peer.relay, attachmentId: message.attachmentId })
    } else if (message.type === 'ping') {
      this.#pongNonce = message.nonce
    } else if (message.type === 'pong') {
      const ms = state.name === 'established' ? state.channel.heartbeat.pong(this.#nowMs, message.nonce) : undefined
      if (ms !== undefined) this.#effects.push({ type: 'rtt', ms })
    } else {
      this.#effects.push({ type: 'control', message })
    }
  }

  /** Something came under the peer's key: a responder now knows that the client is really there; an initiator of XX is owed a welcome. */
  #confirm(): void {
    const state = this.#state
    if (state.name !== 'confirming') return
    if ('relay' in state.peer) throw new ProtocolError('unexpected_message', 'expected a welcome, found something else')
    this.#establish(state.channel, state.peer)
  }

  #establish(channel: Channel, peer: Peer): void {
    this.#state = { name: 'established', channel }
    this.#deadlineMs = undefined
    const { handshakeHash } = channel
    if ('user' in peer) {
      this.#effects.push({ type: 'established', user: peer.user, handshakeHash })
    } else {
      const relay = { ...peer.relay, attachmentId: peer.attachmentId! }
      this.#effects.push({ type: 'established', relay, handshakeHash })
    }
    // The first round trip is measured at once; an IK responder is confirmed by this very ping.
    channel.heartbeat.probe()
  }

  #fail(error: unknown): void {
    if (!(error instanceof SennitError)) throw error
    if (error instanceof HandshakeFailure) {
      if (error.keys !== undefined) {
        const send = new RecordCipher(this.#options.crypto, error.keys.send)
        this.#effects.push({ type: 'write', pieces: [closeRecord(send, error.code, error.message)] })
      }
      if (error.remote || error.keys !== undefined) this.#finish(error.code, error.message, error.remote)
    }
    this.#end(error.code, error.message, false)
  }

  /** Tells the other side as well as the state allows, and ends. */
  #end(code: string, message: string, remote: boolean): void {
    const state = this.#state
    if (state.name === 'closed') return
    const last = state.name === 'handshake' ? encodeRefusal(code, message) : closeRecord(state.channel.send, code, message)
    this.#effects.push({ type: 'write', pieces: [last] })
    this.#finish(code, message, remote)
  }

  #finish(code: string, message: string, remote: boolean): void {
    if (this.#state.name === 'closed') return
    if (this.#state.name !== 'handshake') this.#state.channel.reader.stop()
    this.#state = { name: 'closed' }
    this.#deadlineMs = undefined
    this.#stalledSinceMs = undefined
    this.#scheduler.clear()
    this.#effects.push({ type: 'closed', code, message, remote })
  }

  #stallDeadlineMs(): number | undefined {
    if (this.#stalledSinceMs === undefined || this.#state.name !== 'established') return undefined
    if (!this.#scheduler.hasWork && !this.#state.channel.heartbeat.wanted && this.#pongNonce === undefined) return undefined
    return this.#stalledSinceMs + (this.#options.writeStallMs ?? writeStallMsDefault)
  }

  #now(nowMs: number): void {
    this.#nowMs = nowMs
    if (this.#deadlineMs === undefined && this.#state.name === 'handshake') this.#deadlineMs = nowMs + handshakeWithinMs
  }
}

function closeRecord(send: RecordCipher, code: string, message: string): Uint8Array {
  return send.seal(encodeBlock([encodeControl({ type: 'close', code, message: message.slice(0, closeMessageMax) })], []))
}
