/** A connection as an application sees it: messages, streams, its state and its end. It outlives any relay it runs through. */

import { type KeyMode, SennitError, utf8 } from '@sennit/protocol'
import type { ClientConnectionStatus, Peer } from '../core/client/types.ts'
import type { ConnectionMachine, ConnectionEvent as MachineConnectionEvent } from '../core/connection/index.ts'
import { type PathsOption, parsePaths } from '../core/paths/index.ts'
import type { StreamEvent, StreamSet } from '../core/streams/index.ts'
import { Listeners, tell } from './callbacks.ts'
import type { CompressionMethod, MessageCompressor } from './compression.ts'
import { DatagramInbox } from './datagram-inbox.ts'
import { type CloseInfo, type ConnectionEvent, endedInOrder } from './events.ts'
import { HandOver } from './hand-over.ts'
import { MessageReceiver, type OnMessage, type ReceiveOptions } from './message-receiver.ts'
import { MessageSender, type SendUntil } from './message-sender.ts'
import { Stream, type StreamHost } from './stream.ts'

/** How a connection reaches its client. */
export interface ConnectionHost {
  readonly machine: ConnectionMachine
  touch(): void
  /** As touch, when the end of the turn is soon enough. */
  touchLater(): void
  /** Sends a ping; the event `pong` has the returned id. */
  ping(): number | undefined
  close(reason: string, message: string): void
  abort(reason: string, message: string): void
  setPaths(paths: PathsOption): void
  sendDatagram(data: Uint8Array): boolean
  status(): ClientConnectionStatus | undefined
}

/** How long a close waits for the other application to make room: as long as it then waits for acks. */
const handOverMs = 30_000

type PingResult = { rttMs: number; relay: string } | SennitError

/** Fixed facts of a connection. */
export interface ConnectionFacts {
  /** For what we send, when it is to be compressed. */
  readonly compressor: MessageCompressor | undefined
  /** The connection id in hexadecimal, the same at both ends. */
  readonly id: string
  readonly peer: Peer
  readonly application: string
  readonly keyMode: KeyMode
}

export interface SendOptions {
  /**
   * `accepted`: the client has taken the message and keeps it until the other end has it; it survives the loss of any relay, but not of this
   * process. `delivered`: the other application has taken it with `receive`. @default 'accepted'
   */
  readonly until?: SendUntil
  /** Ends the wait. A message that the client has taken goes on its way all the same. */
  readonly signal?: AbortSignal
}

/**
 * One connection to one peer for one application. Iterating it gives its messages until the peer closes.
 * All methods may be called at any time; after the end they reject with the code it ended with.
 */
export class Connection implements AsyncIterable<Uint8Array> {
  readonly id: string
  readonly peer: Peer
  readonly application: string
  /** Who can read what is sent, as the two ends agreed: `blind` nobody, `relay` the relays, `none` everybody on the way. */
  readonly keyMode: KeyMode
  /** Resolves at the end, good or bad, with what is known about every byte. Never rejects. */
  readonly closed: Promise<CloseInfo>
  readonly #host: ConnectionHost
  readonly #streamHost: StreamHost
  readonly #streamSet: StreamSet
  readonly #sender: MessageSender
  readonly #receiver: MessageReceiver
  readonly #compressor: MessageCompressor | undefined
  readonly #streams = new Map<number, Stream>()
  readonly #incoming = new HandOver<Stream>()
  readonly #datagrams = new DatagramInbox()
  readonly #listeners = new Listeners<ConnectionEvent>()
  /** Who waits for a pong, and the ids of the pings that may bring it. */
  readonly #pings = new Map<(result: PingResult) => void, Set<number>>()
  #onStream: ((stream: Stream) => void) | undefined
  #handingOver: (() => void)[] = []
  #waitsForCredit = false
  #ended: CloseInfo | undefined
  #resolveClosed!: (info: CloseInfo) => void

  /** @internal */
  constructor(host: ConnectionHost, facts: ConnectionFacts) {
    this.#host = host
    this.id = facts.id
    this.peer = facts.peer
    this.application = facts.application
    this.keyMode = facts.keyMode
    const { streams } = host.machine
    const touch = (): void => host.touch()
    const ended = (): SennitError | undefined => this.#endError()
    this.#streamSet = streams
    this.#streamHost = { streams, touch, ended }
    this.#sender = new MessageSender({
      streams,
      compressor: facts.compressor,
      touch,
      ended,
      onRefused: (code, errorCode) => this.#listeners.emit({ type: 'message_refused', code, errorCode }),
    })
    this.#compressor = facts.compressor
    this.#receiver = new MessageReceiver(
      streams,
      () => host.touchLater(),
      () => host.abort('protocol_error', 'a compressed message is not what its head says'),
    )
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
  }

  /**
   * Sends one message, kept whole, in the order of the calls. Text goes as UTF-8. Bytes are not copied: never change them afterwards.
   * @returns a promise of `until`; it waits while the other end does not read (event `waiting` says why)
   * @throws SennitError `message_too_large` (limit 64 MiB by default, at either end), or the code the connection ended with
   */
  send(data: Uint8Array | string, options: SendOptions = {}): Promise<void> {
    const sent = this.#sender.send(typeof data === 'string' ? utf8(data) : data, options.until ?? 'accepted', options.signal)
    if (this.#sender.pending !== this.#waitsForCredit) this.#creditChanged()
    return sent
  }

  /**
   * The next message of the other end, or undefined when it closed in order and all messages were given.
   * @throws SennitError `receive_timeout`, or the code of an abnormal end
   */
  receive(options: ReceiveOptions = {}): Promise<Uint8Array | undefined> {
    return this.#receiver.receive(options)
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    // Leaving the loop early ends only the loop: what was not received waits for the next one.
    return { next: () => this.#receiver.next(), return: async () => ({ value: undefined, done: true }) }
  }

  /**
   * Calls back with each message of the other end: those that came already, at once, and later ones in the turn they come. When it returns a promise
   * the next message waits for that, and so does the other end's credit. Costs less than a loop, which matters to who has thousands of connections.
   * Use it or {@link receive}. After {@link closed} only what came before is still handed over.
   * A second call takes the place of the first.
   */
  onMessage(callback: OnMessage): void {
    this.#receiver.listen(callback)
  }

  /**
   * Opens a stream; the opening travels at once, so the other end may speak first. Up to 1 KiB of `header` goes with it.
   * @throws SennitError `too_many_streams` (1 024 are open), `too_large` (the header)
   */
  async openStream(options: { readonly header?: Uint8Array } = {}): Promise<Stream> {
    return this.openStreamNow(options.header)
  }

  /** As {@link openStream}, in this turn. @throws as openStream */
  openStreamNow(header: Uint8Array = new Uint8Array(0)): Stream {
    const ended = this.#endError()
    if (ended !== undefined) throw ended
    const id = this.#streamSet.open(header)
    const stream = new Stream(this.#streamHost, id, header)
    this.#streams.set(id, stream)
    this.#host.touch()
    return stream
  }

  /** Streams that the other end opens, oldest first; ends with the connection. Use it or {@link onStream}. */
  incomingStreams(): AsyncIterable<Stream> {
    return this.#incoming
  }

  /** Called with each stream that the other end opens, in the turn it arrives; those that came before, at once. */
  onStream(callback: (stream: Stream) => void): void {
    this.#onStream = callback
    for (const stream of this.#incoming.takeAll()) tell(callback, stream)
  }

  /**
   * Sends up to 65 280 bytes that are worth something now or never, such as a frame of a video: sealed like everything else, but never sent
   * again, in no order, and ahead of queued messages and streams. Not copied: never change them afterwards.
   * @returns false when it was dropped here: no relay in use (nor yet, in the first moments), or the way to it is full. True: it left, no more.
   * @throws SennitError `too_large`, or the code the connection ended with
   */
  sendDatagram(data: Uint8Array | string): boolean {
    const ended = this.#endError()
    if (ended !== undefined) throw ended
    return this.#host.sendDatagram(typeof data === 'string' ? utf8(data) : data)
  }

  /**
   * Datagrams of the other end as they come, none twice; ends with the connection. Up to 1 MiB or 4 096 wait for a slow loop, then the oldest make
   * way. `status().datagrams` counts those sent, dropped, received and missing.
   */
  datagrams(): AsyncIterable<Uint8Array> {
    return this.#datagrams
  }

  /** How messages that we send are compressed, how many were, and their bytes before and after; undefined when they are not. */
  get compression():
    | { readonly method: CompressionMethod; readonly messages: number; readonly bytesBefore: number; readonly bytesAfter: number }
    | undefined {
    const compressor = this.#compressor
    if (compressor === undefined) return undefined
    const { method, messages, bytesBefore, bytesAfter } = compressor
    return { method, messages, bytesBefore, bytesAfter }
  }

  /** Datagrams that came and made way for newer ones, because the loop over {@link datagrams} was too slow, or there was none. */
  get datagramsOverrun(): number {
    return this.#datagrams.overrun
  }

  /** Message bytes that `send` takes now without waiting; 0 after the end. */
  get writableBytes(): number {
    return this.#ended === undefined ? this.#sender.writableBytes : 0
  }

  /** Resolves when the next `send` would be taken at once. Rejects when the connection ends first. */
  drained(): Promise<void> {
    return this.#sender.drained()
  }

  /**
   * Closes in order: streams end, everything sent is confirmed by the other end's client, then the promise resolves. Waits up to 30 s for that
   * (120 s while there is no relay). @throws SennitError with the counts of what is unconfirmed, when it did not come to that
   */
  async close(reason = 'closed'): Promise<void> {
    // What the other end's credit does not cover yet is ours alone: the machine's close knows only what it was given.
    if (this.#ended === undefined && this.#holdsData()) await this.#handedOver()
    if (this.#ended === undefined) this.#host.close(reason, '')
    const info = await this.closed
    if (!endedInOrder(info.code)) throw closeError(info)
  }

  /** Ends at once; what is not confirmed may be lost, and the other end is told. */
  abort(reason = 'aborted'): void {
    if (this.#ended === undefined) this.#host.abort(reason, '')
  }

  /**
   * A sealed round trip to the other end's client over the relay in use.
   * @throws SennitError `ping_timeout`, or the code the connection ended with
   */
  ping(options: { readonly timeoutMs?: number } = {}): Promise<{ rttMs: number; relay: string }> {
    const { timeoutMs = 10_000 } = options
    return new Promise((resolve, reject) => {
      const ended = this.#endError()
      if (ended !== undefined) return reject(ended)
      const settle = (result: PingResult): void => {
        clearTimeout(timer)
        this.#pings.delete(settle)
        if (result instanceof SennitError) reject(result)
        else resolve(result)
      }
      const late = (): void => settle(new SennitError('ping_timeout', `no answer to a ping within ${timeoutMs} ms`, { timeoutMs }))
      const timer = setTimeout(late, timeoutMs)
      this.#pings.set(settle, new Set())
      this.#ping(settle)
    })
  }

  /**
   * Changes how the connection uses its relays while it runs, such as `spread` or `send=mirror(2),receive=best`, seen from this end. Either end
   * may; the later word counts. Nothing is lost or held up: data goes the old way until both ends agreed on the new one.
   * @throws SennitError `bad_paths`
   */
  setPaths(paths: string): void {
    this.#host.setPaths(parsePaths(paths))
  }

  /** Listens to events; see {@link ConnectionEvent}. @returns a function that stops it */
  on(listener: (event: ConnectionEvent) => void): () => void {
    return this.#listeners.add(listener)
  }

  /** Relays, paths and ranking of this connection now; undefined after its end. */
  status(): ClientConnectionStatus | undefined {
    return this.#host.status()
  }

  /** @internal */
  streamEvent(event: StreamEvent): void {
    this.#carryOut(event)
    if (this.#waitsForCredit || this.#handingOver.length > 0) this.#creditChanged()
  }

  #carryOut(event: StreamEvent): void {
    switch (event.type) {
      case 'streamOpened':
        this.#opened(event.streamId, event.header)
        return
      case 'readable':
        this.#streams.get(event.streamId)?.takeReadable()
        return
      case 'writable':
        if (event.streamId === 0) this.#sender.roomCame()
        else this.#streams.get(event.streamId)?.flushQueue()
        return
      case 'finished':
        this.#streams.get(event.streamId)?.peerFinished()
        return
      case 'reset':
        this.#streams.get(event.streamId)?.peerReset(event.errorCode)
        return
      case 'stopped':
        this.#streams.get(event.streamId)?.peerStopped(event.errorCode)
        return
      case 'streamDone':
        this.#streams.delete(event.streamId)
        return
      case 'message':
        this.#receiver.arrived()
        return
      case 'messageAccepted':
        this.#sender.accepted(event.index)
        return
      case 'messageDelivered':
        this.#sender.delivered(event.index)
        return
      case 'messageRefused':
        this.#sender.refused(event.index, event.errorCode)
        return
      case 'messageTooLarge':
        this.#listeners.emit({ type: 'message_too_large', bytes: event.bytes })
    }
  }

  /** @internal */
  datagramEvent(data: Uint8Array): void {
    this.#datagrams.push(data)
  }

  /** @internal */
  machineEvent(event: MachineConnectionEvent): void {
    if (event.type === 'pong') {
      for (const [settle, ids] of this.#pings) if (ids.has(event.id)) settle({ rttMs: event.rttMs, relay: event.relayId })
    }
    // A ping is never resent by the machine; one that went down with its path is sent again on the next.
    if (event.type === 'path_moved' && event.to !== null) for (const settle of [...this.#pings.keys()]) this.#ping(settle)
    this.#listeners.emit(event)
  }

  /** @internal */
  end(info: CloseInfo): void {
    if (this.#ended !== undefined) return
    this.#ended = info
    const error = closeError(info)
    this.#receiver.end(endedInOrder(info.code) ? undefined : error)
    this.#sender.end(error)
    for (const settle of [...this.#pings.keys()]) settle(error)
    for (const stream of this.#streams.values()) stream.connectionEnded()
    this.#streams.clear()
    this.#incoming.end()
    this.#datagrams.end()
    this.#creditChanged()
    this.#listeners.emit({ type: 'closed', ...info })
    this.#resolveClosed(info)
  }

  #opened(id: number, header: Uint8Array): void {
    const stream = new Stream(this.#streamHost, id, header)
    this.#streams.set(id, stream)
    if (this.#onStream !== undefined) tell(this.#onStream, stream)
    else this.#incoming.push(stream)
  }

  /** Messages or stream bytes wait on our side for credit. */
  #holdsData(): boolean {
    return this.#sender.pending || [...this.#streams.values()].some((stream) => stream.queuedBytes > 0)
  }

  /** Resolves when nothing waits for credit any more, at the end, or after the time of a close, which then ends as a timeout. */
  #handedOver(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.abort('timeout'), handOverMs)
      this.#handingOver.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  /** Credit came, or went: tells the listeners, and a close that waits for it. */
  #creditChanged(): void {
    const waits = this.#ended === undefined && this.#sender.pending
    if (waits !== this.#waitsForCredit) {
      this.#waitsForCredit = waits
      if (this.#ended === undefined) this.#listeners.emit(waits ? { type: 'waiting', why: 'credit' } : { type: 'resumed' })
    }
    if (this.#handingOver.length > 0 && (this.#ended !== undefined || !this.#holdsData())) {
      for (const resolve of this.#handingOver.splice(0)) resolve()
    }
  }

  #ping(settle: (result: PingResult) => void): void {
    const id = this.#host.ping()
    if (id === undefined) settle(new SennitError('closed', 'the connection is over'))
    else this.#pings.get(settle)?.add(id)
  }

  #endError(): SennitError | undefined {
    return this.#ended === undefined ? undefined : closeError(this.#ended)
  }
}

/** The error that operations on an ended connection give. */
function closeError(info: CloseInfo): SennitError {
  const who = info.remote ? 'the other end' : 'this end'
  const text = info.message === '' ? `the connection is over: ${info.code} (${who})` : `the connection is over: ${info.message}`
  return new SennitError(info.code, text, { remote: info.remote, counts: info.counts })
}
