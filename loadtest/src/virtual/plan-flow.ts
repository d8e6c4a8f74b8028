// One connection of a plan in the simulated world, both ends of it: paced, checked and closed in good order, and told to the recorder exactly as
// the live runner tells it.
import type { ConnectionEvent, ConnectionMachine, StreamEvent } from '@sennit/client/core'
import { DueTimes } from '../due-times.ts'
import type { Pace } from '../pace.ts'
import type { Flow, FlowDirection, FlowSession } from '../plan.ts'
import { keystreamKey } from '../verdict/keystream.ts'
import { encodeMessage, type MessageHeader } from '../verdict/message.ts'
import type { Side } from '../verdict/recorded.ts'
import type { RunRecorder } from '../verdict/run-recorder.ts'
import { messageSize } from '../verdict/sizes.ts'
import type { ClientHost } from './client-host.ts'
import type { World } from './world.ts'

/** A direction that waits for credit holds no more than this many messages; the rest stay due (the live pacer does the same). */
const pendingMessagesMax = 64

interface End {
  readonly client: ClientHost
  readonly handle: number
  readonly machine: ConnectionMachine
  sender: Sender | undefined
  reading: 'now' | 'later' | 'not'
  over: boolean
}

/** What one direction has sent. */
interface Sender {
  readonly direction: FlowDirection
  readonly key: number
  /** undefined: it answers. */
  readonly due: DueTimes | undefined
  /** How many messages went on earlier connections. */
  readonly before: number
  index: number
  offset: number
  armedMs: number
  stopped: boolean
}

/** How often a connection that is to be closed is asked whether everything has arrived, and one that ends whether it has. */
const pollMs = 10

export class PlanFlow {
  readonly flow: Flow
  readonly #world: World
  readonly #recorder: RunRecorder
  #ends = new Map<Side, End>()
  readonly #paces: readonly Pace[]
  #begun = false
  #closing = false
  /** A session has begun that is to end before the next one does. */
  #lasts = false

  constructor(world: World, recorder: RunRecorder, paces: readonly Pace[], flow: Flow) {
    this.#world = world
    this.#paces = paces
    this.#recorder = recorder
    this.flow = flow
  }

  /** The caller wants to connect: when the session before is over, a new one begins, to which both ends that come belong. */
  begin(then: () => void): void {
    if (this.#lasts || (this.#begun && !this.over)) {
      this.#world.after(pollMs, () => this.begin(then))
      return
    }
    if (this.#begun && this.#world.nowMs < this.#recorder.loadEndMs) {
      this.#recorder.connectionReplaced(this.#world.nowMs, this.flow.flow)
      this.#ends = new Map()
      this.#closing = false
    }
    this.#begun = true
    this.#lasts = true
    then()
  }

  /** It came to nothing. */
  failed(): void {
    this.#lasts = false
  }

  /** Ends the session as planned. */
  end(how: FlowSession['end']): void {
    if (this.#closing) {
      this.#lasts = false
      return
    }
    if (how === undefined) {
      this.stopSending()
      this.#closeWhenSettled(this.#world.nowMs + this.#recorder.plan.run.drainMs)
      return
    }
    this.#closing = true
    this.#lasts = false
    for (const { sender } of this.#ends.values()) if (sender !== undefined) sender.stopped = true
    this.#countBytesSeen()
    this.#recorder.connectionCut(this.#world.nowMs, this.flow.flow)
    const end = this.#ends.get(how.by)
    if (how.how === 'vanish') {
      // Whoever called and is still there has no use for its end; who was called finds out by itself.
      const caller = this.#ends.get('caller')
      this.#ends = new Map()
      if (how.by === 'listener' && caller !== undefined && !caller.over)
        caller.client.act((machine, nowMs) => machine.abortConnection(nowMs, caller.handle, 'aborted', 'the other end is gone'))
    } else if (end !== undefined && !end.over)
      end.client.act((machine, nowMs) => machine.abortConnection(nowMs, end.handle, 'aborted', 'reset as planned'))
  }

  #closeWhenSettled(deadlineMs: number): void {
    const nowMs = this.#world.nowMs
    if (this.#closing) return
    const record = this.#recorder.flows[this.flow.flow]
    if (record?.state === 'open' && !this.#settled && nowMs < deadlineMs) {
      this.#world.after(pollMs, () => this.#closeWhenSettled(deadlineMs))
      return
    }
    if (!this.#settled) this.#recorder.connectionGivenUp(nowMs, this.flow.flow)
    this.close()
  }

  /** Takes one end as soon as it has its connection. */
  attach(side: Side, client: ClientHost, handle: number, machine: ConnectionMachine): void {
    const end: End = { client, handle, machine, sender: undefined, reading: 'now', over: false }
    this.#ends.set(side, end)
    const active = machine.status().active.send
    if (active !== null) this.#recorder.activePath(this.#world.nowMs, this.flow.flow, side, active)
    const direction = this.flow.directions.find((one) => one.from === (side === 'caller' ? this.flow.caller : this.flow.listener))
    if (direction === undefined) return
    const { seed } = this.#recorder.plan
    const sent = this.#recorder.directions[direction.direction]
    const before = sent?.sentMessages ?? 0
    end.sender = {
      direction,
      key: keystreamKey(seed, direction.direction),
      due:
        direction.role === 'answers'
          ? undefined
          : new DueTimes({ seed, direction, paces: this.#paces, startMs: this.#world.nowMs, before }),
      before,
      index: before,
      offset: sent?.sentBytes ?? 0,
      armedMs: Number.POSITIVE_INFINITY,
      stopped: false,
    }
    this.#pump(end)
  }

  connectionEvent(side: Side, event: ConnectionEvent): void {
    if (this.#closing) return
    if (event.type === 'failover') this.#recorder.failover(this.#world.nowMs, this.flow.flow, side, event.fromRelay, event.toRelay)
    else if (event.type === 'path_moved') this.#recorder.activePath(this.#world.nowMs, this.flow.flow, side, event.to)
  }

  streamEvent(side: Side, event: StreamEvent): void {
    const end = this.#ends.get(side)
    if (end === undefined) return
    if (event.type === 'message') {
      if (end.reading === 'now') this.#read(side, end)
    } else if (event.type === 'messageAccepted') {
      this.#pump(end)
      // What had to wait because its answer had no room.
      if (end.sender !== undefined && end.sender.due === undefined && end.reading === 'now') this.#read(side, end)
    }
  }

  datagram(side: Side, bytes: Uint8Array): void {
    const direction = this.#incoming(side)
    if (direction === undefined) return
    const header = this.#recorder.messageReceived(this.#world.nowMs, direction.direction, bytes)
    const end = this.#ends.get(side)
    if (header !== undefined && end !== undefined) this.#reply(end, direction, header)
  }

  /** Relays that an end sends over now. */
  relays(side: Side): readonly string[] {
    const end = this.#ends.get(side)
    return end === undefined || end.over ? [] : end.machine.status().sendsOver
  }

  /** The application at that end reads nothing until it is told to go on. */
  stall(side: Side): void {
    const end = this.#ends.get(side)
    if (end !== undefined) end.reading = 'not'
  }

  /** It reads on. Returns how many messages had been sent to it and not been read. */
  readOn(side: Side): number {
    const end = this.#ends.get(side)
    if (end === undefined || end.reading !== 'not') return 0
    const record = this.#recorder.directions[this.#incoming(side)?.direction ?? -1]
    const waited = record === undefined ? 0 : record.sentMessages - record.receivedMessages
    end.reading = 'now'
    end.client.whenRunning(() => {
      if (!end.over) this.#read(side, end)
    })
    return waited
  }

  closed(side: Side, code: string, message: string): void {
    const end = this.#ends.get(side)
    if (end === undefined || end.over) return
    this.#take(side, end, Number.POSITIVE_INFINITY)
    end.over = true
    if (!this.#closing)
      this.#recorder.connectionBroken(this.#world.nowMs, this.flow.flow, code, `${side} of flow ${this.flow.flow}: ${message}`)
  }

  /** Which end a client's connection handle is. */
  sideOf(client: ClientHost, handle: number): Side | undefined {
    for (const [side, end] of this.#ends) if (end.client === client && end.handle === handle) return side
    return undefined
  }

  stopSending(): void {
    // Who answers goes on: what was asked is waited for.
    for (const { sender } of this.#ends.values()) if (sender?.due !== undefined) sender.stopped = true
  }

  /** Every message that was sent has arrived, and there is a path to say the end over; or the connection is not there any more. */
  get done(): boolean {
    return this.#settled || this.#recorder.flows[this.flow.flow]?.state !== 'open'
  }

  /** Both ends have said their end. */
  get over(): boolean {
    return [...this.#ends.values()].every((end) => end.over)
  }

  /** Closes both ends in good order, or at once when not all has arrived. */
  close(): void {
    this.#lasts = false
    if (this.#closing) return
    this.#closing = true
    this.#countBytesSeen()
    const open = this.#recorder.flows[this.flow.flow]?.state === 'open'
    const orderly = open && this.#settled
    for (const { client, handle, over } of this.#ends.values()) {
      if (over) continue
      client.act((machine, nowMs) =>
        orderly
          ? machine.closeConnection(nowMs, handle, 'closed', 'the run is over')
          : machine.abortConnection(nowMs, handle, 'closed', 'the run is over'),
      )
    }
    if (orderly) this.#recorder.connectionClosed(this.#world.nowMs, this.flow.flow)
  }

  #countBytesSeen(): void {
    const caller = this.#ends.get('caller')
    if (caller === undefined || caller.over) return
    const seen = caller.client.machine.connection(caller.handle)?.status().relayBytesSeen
    if (seen !== undefined) this.#recorder.relayBytesSeen(this.flow.flow, seen)
  }

  get #settled(): boolean {
    return this.#recorder.connectionSettled(this.#world.nowMs, this.flow.flow)
  }

  /** Sends everything that is due, as far as the connection takes it. */
  #pump(end: End): void {
    const { sender } = end
    if (sender?.due === undefined || sender.stopped || end.over) return
    const { due } = sender
    let sent = false
    for (;;) {
      const dueMs = due.nextMs
      if (dueMs >= this.#recorder.plan.run.durationMs) break
      if (dueMs > this.#world.nowMs) {
        this.#arm(end, sender, dueMs)
        break
      }
      if (!this.#hasRoom(end, sender)) break
      due.sent()
      if (!this.#sendOne(end, sender, dueMs)) break
      sent = true
    }
    if (sent && sender.direction.mode !== 'datagram') this.#changed(end)
  }

  #hasRoom({ machine: { streams } }: End, { direction, index, before }: Sender): boolean {
    if (direction.mode === 'datagram') return true
    return index - before - streams.messageAcceptedIndex() <= pendingMessagesMax && !streams.messageQueueFull()
  }

  /** Sends the next message. Returns false when it has sent all that it may. */
  #sendOne(end: End, sender: Sender, dueMs: number, size?: number): boolean {
    const { direction, index, offset } = sender
    const nowMs = this.#world.nowMs
    const length = size ?? messageSize(this.#recorder.plan.seed, direction, index)
    if (direction.dataLimitBytes !== null && offset + length > direction.dataLimitBytes) {
      sender.stopped = true
      return false
    }
    const header = { direction: direction.direction, index, offset, dueMs, length }
    const bytes = encodeMessage(sender.key, header, direction.content)
    sender.index += 1
    sender.offset += length
    this.#recorder.messageSent(nowMs, direction.direction, length, dueMs)
    if (direction.mode !== 'datagram') end.machine.streams.offerMessage(bytes)
    else if (!end.client.act((client, atMs) => client.sendDatagram(atMs, end.handle, bytes)))
      this.#recorder.datagramDropped(nowMs, direction.direction)
    return true
  }

  #arm(end: End, sender: Sender, dueMs: number): void {
    if (sender.armedMs <= dueMs) return
    sender.armedMs = dueMs
    this.#world.at(dueMs, () => {
      end.client.whenRunning(() => {
        sender.armedMs = Number.POSITIVE_INFINITY
        this.#pump(end)
      })
    })
  }

  /** Takes what came; a slow reader one message at a time, at its own pace. */
  #read(side: Side, end: End): void {
    const rate = this.#incoming(side)?.readBytesPerSecond ?? null
    if (rate === null) {
      this.#take(side, end, Number.POSITIVE_INFINITY)
      this.#changed(end)
      return
    }
    const bytes = this.#take(side, end, 1)
    this.#changed(end)
    if (bytes === 0) return
    end.reading = 'later'
    this.#world.after((bytes * 1000) / rate, () => {
      end.client.whenRunning(() => {
        if (end.reading === 'not') return
        end.reading = 'now'
        if (!end.over) this.#read(side, end)
      })
    })
  }

  #take(side: Side, end: End, messagesMax: number): number {
    const direction = this.#incoming(side)
    let bytes = 0
    for (let count = 0; count < messagesMax; count++) {
      if (direction?.role === 'asks' && end.sender !== undefined && !end.over && !this.#hasRoom(end, end.sender)) break
      const message = end.machine.streams.takeMessage()
      if (message === undefined) break
      bytes += message.length
      if (direction === undefined) continue
      const header = this.#recorder.messageReceived(this.#world.nowMs, direction.direction, message)
      if (header !== undefined) this.#reply(end, direction, header)
    }
    return bytes
  }

  /** A question is answered; an answer lets whoever asked go on. */
  #reply(end: End, { role }: FlowDirection, header: MessageHeader): void {
    const { sender } = end
    if (role === undefined || sender === undefined || end.over || this.#closing) return
    if (role === 'asks' && sender.due === undefined) {
      if (!sender.stopped) this.#sendOne(end, sender, header.dueMs, header.length)
    } else if (role === 'answers' && sender.due !== undefined) {
      sender.due.answered(this.#world.nowMs)
      this.#pump(end)
    }
  }

  #incoming(side: Side): FlowDirection | undefined {
    const self = side === 'caller' ? this.flow.caller : this.flow.listener
    return this.flow.directions.find((one) => one.from !== self)
  }

  #changed({ client, handle, over }: End): void {
    if (!over) client.act((machine, nowMs) => machine.changed(nowMs, handle))
  }
}
