// One connection while it lasts, both ends of it: opened by the caller, paced, checked, and ended as the plan says.
import type { Connection, ConnectionEvent } from '@sennit/client'
import type { Pace } from '../pace.ts'
import type { Flow, FlowDirection, Plan } from '../plan.ts'
import type { MessageHeader } from '../verdict/message.ts'
import type { RunRecorder, Side } from '../verdict/run-recorder.ts'
import { AnsweringDirection, PacedDirection, type PacedSink, type Pacer, type SenderOptions } from './pacer.ts'

export interface FlowContext {
  readonly plan: Plan
  readonly recorder: RunRecorder
  readonly pacer: Pacer
  /** Those of the plan. */
  readonly paces: readonly Pace[]
  readonly now: () => number
}

/** How often a connection that is to be closed is asked whether everything has arrived. */
const settlePollMs = 10
/** The other end is on another agent and cannot be asked whether all has arrived: nothing for so long says that it has. */
const otherAgentMs = 1_000
/** How long both ends may take to say their end once everything has arrived: the library would wait for two minutes for a path. */
const farewellMs = 5_000
/** How long the other end may take to see that a connection was aborted. */
const abortedMs = 5_000

const taken = Promise.resolve()

export class LiveSession {
  readonly flow: Flow
  readonly #context: FlowContext
  readonly #ends = new Map<Side, Connection>()
  readonly #senders = new Map<number, PacedDirection | AnsweringDirection>()
  readonly #readers: Promise<void>[] = []
  /** Ends whose application reads nothing now, with what lets them go on. */
  readonly #stalled = new Map<Side, { readonly over: Promise<void>; readonly end: () => void }>()
  /** Nothing that is due is sent any more. */
  #quiet = false
  #closing = false

  constructor(flow: Flow, context: FlowContext) {
    this.flow = flow
    this.#context = context
  }

  /** Takes one end as soon as it has its connection. */
  attach(side: Side, connection: Connection): void {
    if (this.#closing) {
      connection.abort('closed')
      return
    }
    const { recorder, now } = this.#context
    const self = side === 'caller' ? this.flow.caller : this.flow.listener
    const outgoing = this.flow.directions.find(({ from }) => from === self)
    if (this.#ends.has(side)) {
      // A second connection of one name means that the first is over for that end, and perhaps never was one for the other.
      if (outgoing !== undefined) this.#senders.get(outgoing.direction)?.stop()
      recorder.connectionReplaced(now(), this.flow.flow)
    }
    this.#ends.set(side, connection)
    connection.on((event) => this.#onEvent(side, event))
    if (this.#half && side === 'listener') recorder.connectionAccepted(now(), this.flow.flow)
    const active = connection.status()?.active.send ?? null
    if (active !== null) recorder.activePath(now(), this.flow.flow, side, active)
    void connection.closed.then((info) => {
      if (this.#closing || this.#ends.get(side) !== connection) return
      // The other end is closed by its own agent, a moment before this one is.
      if (this.#half && (info.code === 'closed' || info.code === 'peer_closed')) recorder.connectionClosed(now(), this.flow.flow)
      else recorder.connectionBroken(now(), this.flow.flow, info.code, `${side} of flow ${this.flow.flow}: ${info.message}`)
    })
    if (outgoing !== undefined) this.#send(outgoing, connection)
    const incoming = this.flow.directions.find(({ to }) => to === self)
    if (incoming !== undefined) this.#readers.push(this.#receive(incoming, side, connection, outgoing))
  }

  /** Relays that an end sends over now. */
  relays(side: Side): readonly string[] {
    return this.#closing ? [] : (this.#ends.get(side)?.status()?.sendsOver ?? [])
  }

  /** The application at that end reads nothing until it is told to go on. */
  stall(side: Side): void {
    if (this.#stalled.has(side) || this.#closing) return
    let end = (): void => {}
    const over = new Promise<void>((done) => {
      end = done
    })
    this.#stalled.set(side, { over, end })
  }

  /** It reads on. Returns how many messages had been sent to it and not been read. */
  readOn(side: Side): number {
    this.#stalled.get(side)?.end()
    this.#stalled.delete(side)
    const incoming = this.flow.directions.find(({ to }) => to === (side === 'caller' ? this.flow.caller : this.flow.listener))
    const record = incoming === undefined ? undefined : this.#context.recorder.directions[incoming.direction]
    return record === undefined ? 0 : record.sentMessages - record.receivedMessages
  }

  /** The other end is on another agent, and what it sent and got is known there. */
  get #half(): boolean {
    return this.#context.recorder.endsOf(this.flow).length === 1
  }

  /** Somebody has ended it, or begun to. */
  get over(): boolean {
    return this.#closing
  }

  /** Every message that was sent has arrived, as far as that is known here, and there is a path to say the end over. */
  get settled(): boolean {
    const { recorder, now } = this.#context
    return recorder.connectionSettled(now(), this.flow.flow)
  }

  /** Nothing more is sent; who answers goes on, for what was asked is waited for. */
  stopSending(): void {
    this.#quiet = true
    for (const sender of this.#senders.values()) if (sender instanceof PacedDirection) sender.stop()
  }

  /** When something was sent or came last; `sinceMs` if that is later. */
  #heardMs(sinceMs: number): number {
    const { directions } = this.#context.recorder
    return Math.max(sinceMs, ...this.flow.directions.map(({ direction }) => directions[direction]?.lastMs ?? sinceMs))
  }

  /** Nothing more is sent, everything that was sent is waited for (at most as long as a drain), and both ends close in good order. */
  async closeInOrder(isOver: () => boolean): Promise<void> {
    const { plan, now } = this.#context
    this.stopSending()
    const beganMs = now()
    const deadlineMs = beganMs + plan.run.drainMs
    const waits = (): boolean => !this.settled || (this.#half && now() < this.#heardMs(beganMs) + otherAgentMs)
    while (waits() && this.#isOpen && now() < deadlineMs && !isOver()) await pause(settlePollMs)
    // At the end of the run the drain goes on, and whoever ends it closes what is left.
    if (isOver()) return
    const { recorder } = this.#context
    if (this.#half) recorder.connectionUnchecked(this.flow.flow)
    if (!this.settled) recorder.connectionGivenUp(now(), this.flow.flow)
    await this.close()
  }

  /**
   * Closes both ends: in good order where everything has arrived, else at once. `unsettled`: connections of which something is missing, as far as
   * that is known elsewhere.
   */
  async close(unsettled: ReadonlySet<number> = new Set()): Promise<void> {
    // Whoever closes it already waits for an end that will not answer.
    if (this.#closing && unsettled.has(this.flow.flow)) for (const end of this.#ends.values()) end.abort('closed')
    if (this.#closing) return
    const { recorder, now } = this.#context
    const inOrder = this.#isOpen && this.settled && !unsettled.has(this.flow.flow)
    const ends = this.#leave()
    if (inOrder) {
      await this.#closeEnds(ends)
      recorder.connectionClosed(now(), this.flow.flow)
    } else {
      for (const end of ends) end.abort('closed')
    }
    await Promise.allSettled(this.#readers)
  }

  /** All has arrived; an end that does not hear so, because its last path went at this moment, is not waited for. */
  async #closeEnds(ends: readonly Connection[]): Promise<void> {
    const timer = setTimeout(() => {
      for (const end of ends) end.abort('closed')
    }, farewellMs)
    await Promise.allSettled(ends.map((end) => end.close()))
    clearTimeout(timer)
  }

  /** One end aborts, as planned: what is under way may be lost. Resolves when the other end knows. */
  async reset(by: Side): Promise<void> {
    if (this.#closing) return
    const { recorder, now } = this.#context
    const ends = this.#leave()
    const other = this.#ends.get(by === 'caller' ? 'listener' : 'caller')
    this.#ends.get(by)?.abort('aborted')
    const timer = setTimeout(() => other?.abort('aborted'), abortedMs)
    await Promise.allSettled(ends.map((end) => end.closed))
    clearTimeout(timer)
    await Promise.allSettled(this.#readers)
    recorder.connectionCut(now(), this.flow.flow)
  }

  /** One end has gone without a word, as planned. The other does not know it yet, and is left to find out. */
  abandon(): void {
    if (this.#closing) return
    const { recorder, now } = this.#context
    this.#leave()
    recorder.connectionCut(now(), this.flow.flow)
  }

  /** The caller never had its connection: an end that has it, or gets it yet, is of no use. */
  discard(): void {
    if (this.#closing) return
    for (const end of this.#leave()) end.abort('aborted')
  }

  /** The calling end, if it is still there: its other end is gone. */
  forget(): void {
    if (this.#closing) this.#ends.get('caller')?.abort('aborted')
  }

  /** Ends both ends at once: the run was interrupted, and nobody waits for what is under way. What a peer still does not know, its checker counts. */
  abort(): void {
    const { recorder, now } = this.#context
    const closes = !this.#closing && this.settled && this.#isOpen
    this.#leave()
    if (closes) recorder.connectionClosed(now(), this.flow.flow)
    for (const end of this.#ends.values()) end.abort('closed')
  }

  get #isOpen(): boolean {
    return this.#context.recorder.flows[this.flow.flow]?.state === 'open'
  }

  /** From here on whatever ends is planned. Returns the ends. */
  #leave(): Connection[] {
    const first = !this.#closing
    this.#closing = true
    for (const side of [...this.#stalled.keys()]) this.readOn(side)
    for (const sender of this.#senders.values()) sender.stop()
    const { recorder } = this.#context
    if (first) {
      const seen = this.#ends.get('caller')?.status()?.relayBytesSeen
      if (seen !== undefined) recorder.relayBytesSeen(this.flow.flow, seen)
      for (const { compression } of this.#ends.values())
        if (compression !== undefined) recorder.compressed(compression.bytesBefore, compression.bytesAfter)
    }
    return [...this.#ends.values()]
  }

  #onEvent(side: Side, event: ConnectionEvent): void {
    const { recorder, now } = this.#context
    if (this.#closing) return
    if (event.type === 'failover') recorder.failover(now(), this.flow.flow, side, event.fromRelay, event.toRelay)
    else if (event.type === 'path_moved') recorder.activePath(now(), this.flow.flow, side, event.to)
  }

  #send(direction: FlowDirection, connection: Connection): void {
    const { plan, recorder, pacer, paces, now } = this.#context
    const record = recorder.directions[direction.direction]
    const options: SenderOptions = {
      plan,
      direction,
      paces,
      sink: direction.mode === 'datagram' ? this.#datagramSink(direction, connection) : connection,
      startMs: now(),
      before: { messages: record?.sentMessages ?? 0, bytes: record?.sentBytes ?? 0 },
      onSent: (bytes, dueMs) => recorder.messageSent(now(), direction.direction, bytes, dueMs),
      onError: (error) => {
        if (!this.#closing) recorder.error(now(), codeOf(error), error instanceof Error ? error.message : String(error))
      },
    }
    const sender = direction.role === 'answers' ? new AnsweringDirection(options) : new PacedDirection(options)
    this.#senders.set(direction.direction, sender)
    if (!(sender instanceof PacedDirection)) return
    if (this.#quiet) sender.stop()
    else pacer.add(sender)
  }

  /** A datagram leaves or is dropped, at once. */
  #datagramSink({ direction }: FlowDirection, connection: Connection): PacedSink {
    const { recorder, now } = this.#context
    return {
      send: (bytes) => {
        try {
          if (!connection.sendDatagram(bytes)) recorder.datagramDropped(now(), direction)
          return taken
        } catch (error) {
          return Promise.reject(error)
        }
      },
    }
  }

  async #receive(direction: FlowDirection, side: Side, connection: Connection, back: FlowDirection | undefined): Promise<void> {
    const { recorder, now } = this.#context
    if (direction.mode !== 'datagram' && direction.role === undefined && direction.readBytesPerSecond === null) {
      connection.onMessage((message) => {
        recorder.messageReceived(now(), direction.direction, message)
        return this.#stalled.get(side)?.over
      })
      await connection.closed
      return
    }
    try {
      for await (const message of direction.mode === 'datagram' ? connection.datagrams() : connection) {
        const header = recorder.messageReceived(now(), direction.direction, message)
        if (header !== undefined && direction.role !== undefined) await this.#reply(direction, back, header)
        await this.#stalled.get(side)?.over
        if (direction.readBytesPerSecond !== null) await pause((message.length * 1000) / direction.readBytesPerSecond)
      }
    } catch {
      // How a connection ends is told by `closed`; what was not received is counted by the checker.
    }
  }

  /** A question is answered; an answer lets whoever asked go on. */
  async #reply({ role }: FlowDirection, back: FlowDirection | undefined, header: MessageHeader): Promise<void> {
    const sender = back === undefined ? undefined : this.#senders.get(back.direction)
    if (role === 'asks' && sender instanceof AnsweringDirection) await sender.answer(header)
    else if (role === 'answers' && sender instanceof PacedDirection) sender.answered(this.#context.now())
  }
}

export function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'error'
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms))
}
