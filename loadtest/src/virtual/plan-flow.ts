// One connection of a plan in the simulated world, both ends of it: paced, checked and closed in good order, and told to the recorder exactly as
// the live runner tells it.
import type { ConnectionEvent, ConnectionMachine, StreamEvent } from '@sennit/client/core'
import { dueAtMs, type Pace } from '../pace.ts'
import type { Flow, FlowDirection } from '../plan.ts'
import { keystreamKey } from '../verdict/keystream.ts'
import { encodeMessage } from '../verdict/message.ts'
import type { Side } from '../verdict/recorded.ts'
import type { RunRecorder } from '../verdict/run-recorder.ts'
import { messageSize } from '../verdict/sizes.ts'
import type { ClientHost } from './client-host.ts'
import type { World } from './world.ts'

/** A direction that waits for credit holds no more than this many messages; the rest stay due (the live pacer does the same). */
const pendingMessagesMax = 64
const phaseSteps = 0x1_0000_0000

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
  readonly startMs: number
  readonly phase: number
  index: number
  offset: number
  armedMs: number
  stopped: boolean
}

export class PlanFlow {
  readonly flow: Flow
  readonly #world: World
  readonly #recorder: RunRecorder
  readonly #ends = new Map<Side, End>()
  readonly #paces: readonly Pace[]
  #closing = false

  constructor(world: World, recorder: RunRecorder, paces: readonly Pace[], flow: Flow) {
    this.#world = world
    this.#paces = paces
    this.#recorder = recorder
    this.flow = flow
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
    const phase = keystreamKey(seed ^ 0x5bd1e995, direction.direction) / phaseSteps
    end.sender = {
      direction,
      key: keystreamKey(seed, direction.direction),
      startMs: this.#world.nowMs,
      phase,
      index: 0,
      offset: 0,
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
    } else if (event.type === 'messageAccepted') this.#pump(end)
  }

  datagram(side: Side, bytes: Uint8Array): void {
    const direction = this.#incoming(side)
    if (direction !== undefined) this.#recorder.messageReceived(this.#world.nowMs, direction.direction, bytes)
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
    for (const end of this.#ends.values()) if (end.sender !== undefined) end.sender.stopped = true
  }

  /** Every message that was sent has arrived, or the connection is not there any more. */
  get done(): boolean {
    return this.#settled || this.#recorder.flows[this.flow.flow]?.state !== 'open'
  }

  /** Both ends have said their end. */
  get over(): boolean {
    return [...this.#ends.values()].every((end) => end.over)
  }

  /** Closes both ends in good order, or at once when not all has arrived. */
  close(): void {
    if (this.#closing) return
    this.#closing = true
    const caller = this.#ends.get('caller')
    if (caller !== undefined && !caller.over) {
      const seen = caller.client.machine.connection(caller.handle)?.status().relayBytesSeen
      if (seen !== undefined) this.#recorder.relayBytesSeen(this.flow.flow, seen)
    }
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

  get #settled(): boolean {
    return this.flow.directions.every(({ direction }) => {
      const record = this.#recorder.directions[direction]
      return record === undefined || record.settled(this.#world.nowMs)
    })
  }

  /** Sends everything that is due, as far as the connection takes it. */
  #pump(end: End): void {
    const { sender, machine } = end
    if (sender === undefined || sender.stopped || end.over) return
    const { plan } = this.#recorder
    const { direction } = sender
    const { streams } = machine
    const nowMs = this.#world.nowMs
    let sent = false
    for (;;) {
      const pace = direction.pace === undefined ? undefined : this.#paces[direction.pace]
      const dueMs = dueAtMs(direction, pace, sender.startMs, sender.phase, sender.index)
      if (dueMs >= plan.run.durationMs) break
      if (dueMs > nowMs) {
        this.#arm(end, sender, dueMs)
        break
      }
      const isDatagram = direction.mode === 'datagram'
      if (!isDatagram && (sender.index - streams.messageAcceptedIndex() > pendingMessagesMax || streams.messageQueueFull())) break
      const length = messageSize(plan.seed, direction, sender.index)
      if (direction.dataLimitBytes !== null && sender.offset + length > direction.dataLimitBytes) {
        sender.stopped = true
        break
      }
      const { index, offset } = sender
      const header = { direction: direction.direction, index, offset, dueMs, length }
      const bytes = encodeMessage(sender.key, header, direction.content)
      sender.index += 1
      sender.offset += length
      this.#recorder.messageSent(nowMs, direction.direction, length, dueMs)
      if (!isDatagram) {
        streams.offerMessage(bytes)
        sent = true
      } else if (!end.client.act((client, atMs) => client.sendDatagram(atMs, end.handle, bytes)))
        this.#recorder.datagramDropped(nowMs, direction.direction)
    }
    if (sent) this.#changed(end)
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
      const message = end.machine.streams.takeMessage()
      if (message === undefined) break
      bytes += message.length
      if (direction !== undefined) this.#recorder.messageReceived(this.#world.nowMs, direction.direction, message)
    }
    return bytes
  }

  #incoming(side: Side): FlowDirection | undefined {
    const self = side === 'caller' ? this.flow.caller : this.flow.listener
    return this.flow.directions.find((one) => one.from !== self)
  }

  #changed({ client, handle, over }: End): void {
    if (!over) client.act((machine, nowMs) => machine.changed(nowMs, handle))
  }
}
