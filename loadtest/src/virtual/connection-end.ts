// The application at one end of one connection of a seed's world: sends messages when they are due and streams now and then, reads, and
// checks whatever comes out.
import { bestPaths, type ConnectionMachine, formatPaths, type PathsOption, type StreamEvent } from '@sennit/client/core'
import type { ClientHost } from './client-host.ts'
import type { ConnectionLedger, DirectionLedger, Role } from './ledger.ts'
import { StreamTraffic } from './stream-traffic.ts'
import { Violation } from './violation.ts'

/** What an end sends. */
export interface Load {
  readonly messagesPerSecond: number
  /** How many times faster the next message comes. */
  haste(): number
  readonly streamsPerSecond: number
  /** Nothing new is sent after this time of the world. */
  readonly untilMs: number
  /** How relays may be used; one is drawn when the nemesis says so. */
  readonly paths: readonly PathsOption[]
  readonly firstPaths: PathsOption | undefined
}

/** Nobody's receive memory grows beyond its budget and one message. */
const waitingBytesMax = 64 * 1024 * 1024

export class ConnectionEnd {
  readonly client: ClientHost
  readonly generation: number
  readonly handle: number
  readonly machine: ConnectionMachine
  readonly ledger: ConnectionLedger
  readonly role: Role
  /** Full name of the other end and the application. */
  readonly peer: string
  readonly callNumber: number | undefined
  over: { readonly code: string; readonly remote: boolean } | undefined
  /** A ping was sent and no answer has come. */
  unanswered = false
  #paths: PathsOption = bestPaths
  readonly #load: Load
  readonly #out: DirectionLedger
  readonly #in: DirectionLedger
  readonly #streams: StreamTraffic
  #reading = true
  #nextDueMs: number
  #nextStreamMs: number
  #armedMs: number = Number.POSITIVE_INFINITY

  constructor(options: {
    client: ClientHost
    handle: number
    machine: ConnectionMachine
    ledger: ConnectionLedger
    peer: string
    load: Load
    callNumber: number | undefined
  }) {
    const { client, machine, ledger, load } = options
    this.client = client
    this.generation = client.generation
    this.handle = options.handle
    this.machine = machine
    this.ledger = ledger
    this.role = machine.secrets.role
    this.peer = options.peer
    this.callNumber = options.callNumber
    this.#load = load
    this.#paths = load.firstPaths ?? bestPaths
    this.#out = ledger.directions[this.role]
    this.#in = ledger.directions[this.role === 'caller' ? 'listener' : 'caller']
    this.#streams = new StreamTraffic(client.world, machine, ledger)
    if (ledger.ends.has(this.role)) throw new Violation('one connection', `${ledger.name} came to be twice at its ${this.role}`)
    ledger.ends.add(this.role)
    const { world } = client
    this.#nextDueMs = world.nowMs + world.dice.next() * (1000 / load.messagesPerSecond)
    this.#nextStreamMs = load.streamsPerSecond === 0 ? Number.POSITIVE_INFINITY : world.nowMs + this.#gapMs(load.streamsPerSecond)
    this.#arm()
  }

  /** The process that holds this end is the same and the end is not over. */
  get alive(): boolean {
    return this.over === undefined && this.client.generation === this.generation && this.client.state !== 'down'
  }

  /** Kinds of ways to use relays that are in force, as this end sees them. */
  get modes(): ReadonlySet<string> {
    return new Set([this.#paths.send.kind, this.#paths.receive.kind])
  }

  /** Asks for another way to use relays. */
  changePaths(): void {
    if (!this.alive || this.ledger.closing) return
    const { world } = this.client
    const paths = world.dice.pick(this.#load.paths)
    this.#paths = paths
    world.happened('paths', this.client.name)
    world.note(() => `${this.client.name} ${this.ledger.name} wants ${formatPaths(paths)}`)
    world.coverage.hit(`paths: ${formatPaths(paths)}`)
    this.client.act((machine, nowMs) => machine.setPaths(nowMs, this.handle, paths))
  }

  get reading(): boolean {
    return this.#reading
  }

  /** The application stops taking what comes. */
  stopReading(): void {
    this.#reading = false
    this.#streams.reading = false
  }

  /** It takes all that came and goes on. */
  startReading(): void {
    if (this.#reading) return
    this.#reading = true
    if (this.over !== undefined || !this.alive) return
    this.client.whenRunning(() => {
      if (!this.alive) return
      this.#streams.readAll()
      this.#take()
      this.#changed()
    })
  }

  /** The application ends it in good order: what it has sent must arrive, nothing new is sent. */
  close(): void {
    if (!this.alive || this.over !== undefined) return
    this.ledger.closing = true
    this.client.world.coverage.hit('closed by an application')
    this.client.world.happened('closes', this.client.name)
    this.client.act((machine, nowMs) => machine.closeConnection(nowMs, this.handle, 'closed', 'the application has had enough'))
  }

  /** Asks the other end for a sign of life. */
  ping(): void {
    this.unanswered = true
    this.client.world.happened('pings', this.client.name)
    this.client.act((machine, nowMs) => machine.ping(nowMs, this.handle))
  }

  answered(): void {
    this.unanswered = false
  }

  /** Sends whatever has become due. */
  tick(): void {
    if (!this.alive || !this.client.running || this.ledger.closing) return
    const { world } = this.client
    const { streams } = this.machine
    let sent = false
    while (this.#nextDueMs <= world.nowMs && this.#nextDueMs < this.#load.untilMs) {
      if (streams.messageQueueFull()) {
        world.coverage.hit('credit wait (message)')
        break
      }
      const dueMs = this.#nextDueMs
      this.#nextDueMs += this.#gapMs(this.#load.messagesPerSecond * this.#load.haste())
      world.happened('sends', this.client.name, this.#out.sentMessages)
      streams.offerMessage(this.#out.next(dueMs))
      sent = true
    }
    if (this.#nextStreamMs <= world.nowMs && this.#nextStreamMs < this.#load.untilMs) {
      this.#nextStreamMs = world.nowMs + this.#gapMs(this.#load.streamsPerSecond)
      world.happened('opens a stream', this.client.name)
      this.#streams.open()
      sent = true
    }
    if (sent) this.#changed()
    if (!streams.messageQueueFull()) this.#arm()
  }

  event(event: StreamEvent): void {
    const { world } = this.client
    switch (event.type) {
      case 'message':
        if (this.#reading) this.#take()
        else this.#checkBounds()
        break
      case 'messageAccepted':
        if (this.#nextDueMs <= world.nowMs) world.atOnce(() => this.tick())
        return
      case 'messageRefused':
      case 'messageTooLarge':
        throw new Violation('refused', `${this.ledger.name}: a message of an ordinary size was refused`)
      case 'messageDelivered':
        return
      default:
        this.#streams.event(event)
    }
    this.#changed()
  }

  /** The connection is over: what had arrived before is still there to be read. */
  closed(code: string, remote: boolean): void {
    this.over = { code, remote }
    this.#take()
  }

  /** Takes every message that waits. */
  #take(): void {
    const { streams } = this.machine
    for (let message = streams.takeMessage(); message !== undefined; message = streams.takeMessage()) {
      this.#in.received(message)
      this.client.world.digest.number(message.length)
    }
  }

  #changed(): void {
    if (this.over === undefined) this.client.act((machine, nowMs) => machine.changed(nowMs, this.handle))
  }

  #arm(): void {
    const { world } = this.client
    const dueMs = Math.min(this.#nextDueMs, this.#nextStreamMs)
    if (dueMs >= this.#load.untilMs) return
    const atMs = Math.max(dueMs, world.nowMs)
    if (this.#armedMs <= atMs) return
    this.#armedMs = atMs
    world.at(atMs, () => {
      if (this.#armedMs !== atMs) return
      this.#armedMs = Number.POSITIVE_INFINITY
      world.happened('application', this.client.name)
      this.tick()
    })
  }

  /** Exponential, so that bursts and lulls happen. */
  #gapMs(perSecond: number): number {
    return Math.min(60_000, (-Math.log(1 - this.client.world.dice.next()) * 1000) / perSecond)
  }

  #checkBounds(): void {
    const { bytes } = this.machine.streams.waitingMessages()
    if (bytes > waitingBytesMax) throw new Violation('bounded queues', `${this.ledger.name}: ${bytes} bytes wait to be read`)
  }
}
