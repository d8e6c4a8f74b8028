// One connection of the plan, both ends of it: opened by the caller, paced, checked, and closed in good order.
import type { Connection, ConnectionEvent } from '@sennit/client'
import type { Pace } from '../pace.ts'
import type { Flow, FlowDirection, Plan } from '../plan.ts'
import { keystreamKey } from '../verdict/keystream.ts'
import type { RunRecorder, Side } from '../verdict/run-recorder.ts'
import { PacedDirection, type PacedSink, type Pacer } from './pacer.ts'

export interface FlowContext {
  readonly plan: Plan
  readonly recorder: RunRecorder
  readonly pacer: Pacer
  /** Those of the plan. */
  readonly paces: readonly Pace[]
  readonly now: () => number
}

/** Phases are drawn from the keystream so that a run repeats. */
const phaseSteps = 0x1_0000_0000

export class LiveFlow {
  readonly flow: Flow
  readonly #context: FlowContext
  readonly #ends = new Map<Side, Connection>()
  readonly #readers: Promise<void>[] = []
  /** Ends whose application reads nothing now, with what lets them go on. */
  readonly #stalled = new Map<Side, { readonly over: Promise<void>; readonly end: () => void }>()
  #closing = false

  constructor(flow: Flow, context: FlowContext) {
    this.flow = flow
    this.#context = context
  }

  /** Takes one end as soon as it has its connection. */
  attach(side: Side, connection: Connection): void {
    // A second connection of one name means that the first is over for that end; the run has counted that already.
    this.#ends.set(side, connection)
    const { recorder, now } = this.#context
    connection.on((event) => this.#onEvent(side, event))
    if (this.#half && side === 'listener') recorder.connectionAccepted(now(), this.flow.flow)
    const active = connection.status()?.active.send ?? null
    if (active !== null) recorder.activePath(now(), this.flow.flow, side, active)
    void connection.closed.then((info) => {
      if (this.#closing) return
      // The other end is closed by its own agent, a moment before this one is.
      if (this.#half && (info.code === 'closed' || info.code === 'peer_closed')) recorder.connectionClosed(now(), this.flow.flow)
      else recorder.connectionBroken(now(), this.flow.flow, info.code, `${side} of flow ${this.flow.flow}: ${info.message}`)
    })
    for (const direction of this.flow.directions) {
      const sends = direction.from === (side === 'caller' ? this.flow.caller : this.flow.listener)
      if (sends) this.#send(direction, connection)
      else this.#readers.push(this.#receive(direction, side, connection))
    }
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

  /** Every message that was sent has arrived, as far as that is known here. */
  get settled(): boolean {
    const { recorder, now } = this.#context
    if (this.#half) return true
    return this.flow.directions.every(({ direction }) => recorder.directions[direction]?.settled(now()) ?? true)
  }

  /** Closes both ends in good order. `unsettled`: connections of which something is missing, as far as that is known elsewhere. */
  async close(unsettled: ReadonlySet<number> = new Set()): Promise<void> {
    // Whoever closes it already waits for an end that will not answer.
    if (this.#closing && unsettled.has(this.flow.flow)) for (const end of this.#ends.values()) end.abort('closed')
    if (this.#closing) return
    this.#closing = true
    for (const side of [...this.#stalled.keys()]) this.readOn(side)
    const { recorder, now } = this.#context
    const open = recorder.flows[this.flow.flow]?.state === 'open'
    const caller = this.#ends.get('caller')
    const seen = caller?.status()?.relayBytesSeen
    if (seen !== undefined) recorder.relayBytesSeen(this.flow.flow, seen)
    const listener = this.#ends.get('listener')
    for (const { compression } of this.#ends.values())
      if (compression !== undefined) recorder.compressed(compression.bytesBefore, compression.bytesAfter)
    const ends = [caller, listener].filter((end) => end !== undefined)
    if (open && this.settled && !unsettled.has(this.flow.flow)) {
      await Promise.allSettled(ends.map((end) => end.close()))
      recorder.connectionClosed(now(), this.flow.flow)
    } else {
      for (const end of ends) end.abort('closed')
    }
    await Promise.allSettled(this.#readers)
  }

  /** Ends both ends at once: the run was interrupted, and nobody waits for what is under way. What a peer still does not know, its checker counts. */
  abort(): void {
    const wasClosing = this.#closing
    for (const side of [...this.#stalled.keys()]) this.readOn(side)
    this.#closing = true
    const { recorder, now } = this.#context
    if (!wasClosing && this.settled && recorder.flows[this.flow.flow]?.state === 'open') recorder.connectionClosed(now(), this.flow.flow)
    for (const end of this.#ends.values()) end.abort('closed')
  }

  #onEvent(side: Side, event: ConnectionEvent): void {
    const { recorder, now } = this.#context
    if (this.#closing) return
    if (event.type === 'failover') recorder.failover(now(), this.flow.flow, side, event.fromRelay, event.toRelay)
    else if (event.type === 'path_moved') recorder.activePath(now(), this.flow.flow, side, event.to)
  }

  #send(direction: FlowDirection, connection: Connection): void {
    const { plan, recorder, pacer, paces, now } = this.#context
    pacer.add(
      new PacedDirection({
        plan,
        direction,
        sink: direction.mode === 'datagram' ? this.#datagramSink(direction, connection) : connection,
        startMs: now(),
        phase: keystreamKey(plan.seed ^ 0x5bd1e995, direction.direction) / phaseSteps,
        pace: direction.pace === undefined ? undefined : paces[direction.pace],
        onSent: (bytes, dueMs) => recorder.messageSent(now(), direction.direction, bytes, dueMs),
        onError: (error) => {
          if (!this.#closing) recorder.error(now(), codeOf(error), error instanceof Error ? error.message : String(error))
        },
      }),
    )
  }

  /** A datagram leaves or is dropped, at once. */
  #datagramSink({ direction }: FlowDirection, connection: Connection): PacedSink {
    const { recorder, now } = this.#context
    return {
      send: async (bytes) => {
        if (!connection.sendDatagram(bytes)) recorder.datagramDropped(now(), direction)
      },
    }
  }

  async #receive(direction: FlowDirection, side: Side, connection: Connection): Promise<void> {
    const { recorder, now } = this.#context
    try {
      for await (const message of direction.mode === 'datagram' ? connection.datagrams() : connection) {
        recorder.messageReceived(now(), direction.direction, message)
        await this.#stalled.get(side)?.over
        if (direction.readBytesPerSecond !== null) await pause((message.length * 1000) / direction.readBytesPerSecond)
      }
    } catch {
      // How a connection ends is told by `closed`; what was not received is counted by the checker.
    }
  }
}

export function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'error'
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms))
}
