// Streams on one end of one connection: opened, written as credit allows, half-closed, reset, stopped; every byte that comes is checked.
import type { ConnectionMachine, StreamEvent } from '@sennit/client/core'
import { SennitError } from '@sennit/protocol'
import { fillKeystream, findMismatch } from '../verdict/keystream.ts'
import type { ConnectionLedger, StreamLedger } from './ledger.ts'
import { Violation } from './violation.ts'
import type { World } from './world.ts'

/** What the header of a stream tells the other end. */
interface Announced {
  readonly key: number
  readonly length: number
  readonly replyLength: number
}

interface Half {
  readonly key: number
  readonly length: number
  done: number
}

interface OpenStream {
  readonly mine: boolean
  readonly ledger: StreamLedger
  send: Half
  receive: Half
  /** Our half is given up after so many bytes. */
  resetAt: number | undefined
  /** We read no further than this. */
  stopAt: number | undefined
  sending: 'open' | 'over'
  receiving: 'open' | 'over'
}

const scratch = new Uint8Array(4_096)
/** One write of an application. */
const writeBytesMax = 16_384

export class StreamTraffic {
  readonly #world: World
  readonly #machine: ConnectionMachine
  readonly #ledger: ConnectionLedger
  readonly #streams = new Map<number, OpenStream>()
  /** A slow application reads later. */
  reading = true

  constructor(world: World, machine: ConnectionMachine, ledger: ConnectionLedger) {
    this.#world = world
    this.#machine = machine
    this.#ledger = ledger
  }

  /** Opens one stream of some length; its end and its fate are drawn here. */
  open(): void {
    const { dice } = this.#world
    const announced: Announced = {
      key: dice.int(1, 0x7fffffff),
      length: dice.pick([0, dice.int(1, 2_000), dice.int(1, 20_000), dice.int(17_000, 90_000)]),
      replyLength: dice.pick([0, dice.int(1, 3_000), dice.int(1, 25_000)]),
    }
    const streamId = this.#machine.streams.open(encodeHeader(announced))
    const ledger: StreamLedger = { written: [0, 0], done: 0 }
    if (this.#ledger.streams.has(streamId)) throw new Violation('stream ids', `${this.#ledger.name}: stream ${streamId} was opened twice`)
    this.#ledger.streams.set(streamId, ledger)
    const resetAt = dice.chance(0.1) && announced.length > 0 ? dice.int(0, announced.length - 1) : undefined
    this.#streams.set(streamId, this.#stream(true, ledger, announced, resetAt))
    this.#world.coverage.hit('stream opened')
    this.#write(streamId)
  }

  event(event: StreamEvent): void {
    switch (event.type) {
      case 'streamOpened':
        this.#opened(event.streamId, event.header)
        return
      case 'readable':
        if (this.reading) this.#read(event.streamId)
        return
      case 'writable':
        this.#write(event.streamId)
        return
      case 'finished':
        this.#finished(event.streamId)
        return
      case 'reset': {
        this.#world.coverage.hit('stream reset seen')
        const stream = this.#streams.get(event.streamId)
        if (stream === undefined) return
        stream.receiving = 'over'
        // Whose other half is gone gives up its own.
        if (stream.sending === 'open') {
          stream.sending = 'over'
          this.#machine.streams.reset(event.streamId, event.errorCode)
        }
        return
      }
      case 'stopped': {
        this.#world.coverage.hit('stream stop seen')
        const stream = this.#streams.get(event.streamId)
        if (stream !== undefined) stream.sending = 'over'
        return
      }
      case 'streamDone':
        this.#done(event.streamId)
        return
      default:
        return
    }
  }

  readAll(): void {
    this.reading = true
    for (const streamId of [...this.#streams.keys()]) this.#read(streamId)
  }

  #stream(mine: boolean, ledger: StreamLedger, announced: Announced, resetAt: number | undefined): OpenStream {
    const there: Half = { key: announced.key, length: announced.length, done: 0 }
    const back: Half = { key: announced.key ^ 0x2545f491, length: announced.replyLength, done: 0 }
    const { dice } = this.#world
    const receive = mine ? back : there
    return {
      mine,
      ledger,
      send: mine ? there : back,
      receive,
      resetAt,
      stopAt: dice.chance(0.07) && receive.length > 1 ? dice.int(1, receive.length - 1) : undefined,
      sending: 'open',
      receiving: 'open',
    }
  }

  #opened(streamId: number, header: Uint8Array): void {
    const announced = decodeHeader(header)
    const ledger = this.#ledger.streams.get(streamId)
    if (announced === undefined || ledger === undefined)
      throw new Violation('unexpected', `${this.#ledger.name}: stream ${streamId} came that nobody opened`)
    if (this.#streams.has(streamId)) throw new Violation('duplicated', `${this.#ledger.name}: stream ${streamId} came twice`)
    this.#streams.set(streamId, this.#stream(false, ledger, announced, undefined))
    this.#write(streamId)
  }

  #write(streamId: number): void {
    const stream = this.#streams.get(streamId)
    if (stream === undefined || stream.sending === 'over') return
    const { streams } = this.#machine
    const { send, ledger } = stream
    const until = Math.min(send.length, stream.resetAt ?? send.length)
    while (send.done < until) {
      const bytes = new Uint8Array(Math.min(writeBytesMax, until - send.done))
      fillKeystream(send.key, send.done, bytes)
      const taken = this.#taken(stream, streamId, bytes)
      if (taken === undefined) return
      send.done += taken
      ledger.written[stream.mine ? 0 : 1] += taken
      if (taken < bytes.length) {
        this.#world.coverage.hit('credit wait (stream)')
        return
      }
    }
    stream.sending = 'over'
    if (stream.resetAt === undefined) streams.finish(streamId)
    else {
      this.#world.coverage.hit('stream reset')
      streams.reset(streamId, 9)
    }
  }

  /** Undefined: the other end reads no more; `stopped` is on its way to us. */
  #taken(stream: OpenStream, streamId: number, bytes: Uint8Array): number | undefined {
    try {
      return this.#machine.streams.write(streamId, bytes)
    } catch (error) {
      if (!(error instanceof SennitError) || error.code !== 'stream_closed') throw error
      stream.sending = 'over'
      return undefined
    }
  }

  #read(streamId: number): void {
    const stream = this.#streams.get(streamId)
    if (stream === undefined) return
    const { receive, ledger } = stream
    for (const piece of this.#machine.streams.read(streamId)) {
      const wrong = findMismatch(receive.key, receive.done, piece, scratch)
      if (wrong !== -1)
        throw new Violation('corrupted', `${this.#ledger.name}: stream ${streamId} is wrong at byte ${receive.done + wrong}`)
      receive.done += piece.length
    }
    const written = ledger.written[stream.mine ? 1 : 0]
    if (receive.done > written)
      throw new Violation('unexpected', `${this.#ledger.name}: ${receive.done} bytes of stream ${streamId} came of ${written} written`)
    if (stream.stopAt !== undefined && receive.done >= stream.stopAt && stream.receiving === 'open') {
      stream.receiving = 'over'
      this.#world.coverage.hit('stream stop')
      this.#machine.streams.stop(streamId, 5)
    }
  }

  #finished(streamId: number): void {
    const stream = this.#streams.get(streamId)
    if (stream === undefined) return
    stream.receiving = 'over'
    const { receive, ledger } = stream
    // A connection that is closed in good order finishes its streams where they stand.
    const whole = this.#ledger.closing ? ledger.written[stream.mine ? 1 : 0] : receive.length
    if (receive.done !== whole)
      throw new Violation('lost', `${this.#ledger.name}: stream ${streamId} finished after ${receive.done} of ${whole} bytes`)
    this.#world.coverage.hit('stream finished')
  }

  #done(streamId: number): void {
    const stream = this.#streams.get(streamId)
    if (stream === undefined) throw new Violation('duplicated', `${this.#ledger.name}: stream ${streamId} was over twice`)
    stream.ledger.done += 1
    this.#streams.delete(streamId)
  }
}

function encodeHeader({ key, length, replyLength }: Announced): Uint8Array {
  const view = new DataView(new ArrayBuffer(12))
  view.setUint32(0, key)
  view.setUint32(4, length)
  view.setUint32(8, replyLength)
  return new Uint8Array(view.buffer)
}

function decodeHeader(bytes: Uint8Array): Announced | undefined {
  if (bytes.length !== 12) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return { key: view.getUint32(0), length: view.getUint32(4), replyLength: view.getUint32(8) }
}
