// A simulated client process: the real client machine, driven through the same seam as in Node (dial, write, hang up; bytes, room, close).

import { type ClientEffect, ClientMachine, type ClientMachineOptions } from '@sennit/client/core'
import type { RelayEntry } from '@sennit/protocol'
import { Host, type HostOptions } from './host.ts'
import type { LineItem } from './line.ts'
import type { Link, Pipe } from './link.ts'
import type { RelayHost } from './relay-host.ts'
import { Violation } from './violation.ts'
import type { World } from './world.ts'

type CarrierEffect = Extract<ClientEffect, { type: 'dial' | 'write' | 'hangUp' }>
/** What is left for the application. */
export type ApplicationEffect = Exclude<ClientEffect, CarrierEffect>

/** What runs on a client, like the code of a user of the library. */
export interface Application {
  /** The process has (re)started: `machine` is a new one. */
  started(client: ClientHost): void
  effect(client: ClientHost, effect: ApplicationEffect): void
  /** The process was stopped for a while and goes on. */
  resumed(client: ClientHost): void
}

export interface ClientHostOptions extends HostOptions {
  readonly user: string
  readonly label: string
  readonly relays: readonly RelayEntry[]
  readonly machine: Pick<
    ClientMachineOptions,
    'carriers' | 'tuning' | 'connectionTuning' | 'streams' | 'attach' | 'paths' | 'policy' | 'keyModes' | 'localAddresses'
  >
  readonly application: Application
  /** It has the certificate of its user, and another key. @default false */
  readonly wrongKey?: boolean
  /** Its certificate ends at this time of the world. @default after any run */
  readonly certificateEndsAtMs?: number
  /** The way to a relay, from one of its addresses where it has several. */
  readonly link: (relayId: string, localAddress: string | undefined) => Link
  readonly relay: (relayId: string) => RelayHost | undefined
  /** Carriers that never get through from here. */
  readonly deadCarriers?: readonly string[]
}

/** A loop that is late by more than this says so to its machine (client/src/node does the same). */
const noticedPauseMs = 500
/** What a link may have written beyond a full pipe: the record that filled it, its goodbye. */
const overshootBytes = 600 * 1024

export class ClientHost extends Host {
  machine: ClientMachine
  /** Rises with every start of the process. */
  generation = 0
  readonly pipes: Map<number, Pipe> = new Map()
  readonly options: ClientHostOptions
  readonly #reaching = new Set<Pipe>()
  readonly #effects: ApplicationEffect[] = []
  #pausedAtMs = 0
  #dark = false

  constructor(world: World, name: string, options: ClientHostOptions) {
    super(world, name, options)
    this.options = options
    this.machine = this.#machine()
    this.state = 'down'
  }

  start(): void {
    if (this.generation > 0) this.machine = this.#machine()
    this.generation += 1
    this.#dark = false
    this.world.happened('client starts', this.name, this.generation)
    this.world.note(() => `${this.name} starts (${this.generation})`)
    this.started()
    for (const pipe of [...this.#reaching]) pipe.down.pump()
    this.options.application.started(this)
    this.touch()
  }

  /** `silent`: nobody is told, as when a machine loses its power. */
  kill(how: 'reset' | 'silent'): void {
    if (this.state === 'down') return
    this.world.happened('client ends', this.name)
    this.world.note(() => `${this.name} ends: ${how}`)
    this.stopped()
    this.#dark = how === 'silent'
    for (const pipe of this.pipes.values()) {
      pipe.clientOpen = false
      if (how === 'silent') continue
      pipe.up.put({ type: 'end', code: 'connection_reset' }, 0)
      this.#forget(pipe)
    }
    this.pipes.clear()
    this.#effects.length = 0
    for (const pipe of [...this.#reaching]) pipe.down.pump()
  }

  pause(): void {
    if (this.state !== 'running') return
    this.world.happened('client pauses', this.name)
    this.world.note(() => `${this.name} pauses`)
    this.paused()
    this.#pausedAtMs = this.world.nowMs
  }

  /** Goes on; `clockJumpMs`: it slept, and its clock comes back with so much more on it. */
  resume(clockJumpMs = 0): void {
    if (this.state !== 'paused') return
    this.jumpClock(clockJumpMs)
    const sleptMs = this.world.nowMs - this.#pausedAtMs + clockJumpMs
    this.world.happened('client resumes', this.name, sleptMs)
    this.world.note(() => `${this.name} resumes after ${sleptMs.toFixed(0)} ms`)
    if (sleptMs > noticedPauseMs) {
      this.machine.resumedFromPause(this.now())
      this.world.coverage.hit('pause noticed')
    }
    this.resumed()
    for (const pipe of [...this.#reaching]) pipe.down.pump()
    this.options.application.resumed(this)
  }

  /** Calls into the machine as application code does; effects are drained in this turn. */
  act<T>(run: (machine: ClientMachine, nowMs: number) => T): T {
    const result = run(this.machine, this.now())
    this.touch()
    return result
  }

  // What the network brings.

  reads(): boolean {
    return this.state === 'running' || (this.state === 'down' && !this.#dark)
  }

  take(pipe: Pipe, item: LineItem): void {
    const key = pipe.clientKey
    if (this.pipes.get(key) !== pipe) {
      pipe.down.clear()
      this.#forget(pipe)
      // The bytes of a relay that does not know yet are answered with a reset.
      if (item.type !== 'end' && pipe.relayOpen) pipe.up.put({ type: 'end', code: 'connection_reset' }, 0)
      return
    }
    switch (item.type) {
      case 'open':
        this.world.happened('client opened', this.name, key)
        this.machine.carrierOpened(this.now(), key)
        break
      case 'bytes':
        this.world.happened('client bytes', this.name, item.bytes.length)
        this.world.digest.bytes(item.bytes)
        this.machine.carrierBytes(this.now(), key, item.bytes)
        break
      case 'end':
        this.world.happened('client closed', this.name, key)
        this.world.note(() => `${this.name} lost its pipe to ${pipe.link.relay}: ${item.code}`)
        this.pipes.delete(key)
        pipe.clientOpen = false
        this.#forget(pipe)
        this.machine.carrierClosed(this.now(), key, item.code, `${pipe.link.relay}: ${item.code}`)
        break
      default:
        break
    }
    this.touch()
  }

  drained(pipe: Pipe): void {
    this.whenRunning(() => {
      if (this.pipes.get(pipe.clientKey) !== pipe || pipe.up.full) return
      this.machine.carrierWritable(this.now(), pipe.clientKey, true)
      this.touch()
    })
  }

  protected wakeMachine(nowMs: number): void {
    this.machine.wake(nowMs)
  }

  protected wakeAtMs(): number | undefined {
    return this.machine.wakeAtMs()
  }

  protected drain(): void {
    const { machine, world } = this
    const { application } = this.options
    for (;;) {
      for (let effect = machine.poll(); effect !== undefined; effect = machine.poll()) {
        if (effect.type === 'dial') this.#dial(effect)
        else if (effect.type === 'write') this.#write(effect.key, effect.pieces)
        else if (effect.type === 'hangUp') this.#hangUp(effect.key)
        else this.#effects.push(effect)
      }
      if (this.#effects.length === 0) return
      // An application hears of things after the machine's turn, and what it does then is one more.
      for (const effect of this.#effects.splice(0)) {
        world.followed(effect.type, this.name)
        application.effect(this, effect)
        if (this.state !== 'running') return
      }
    }
  }

  #machine(): ClientMachine {
    const { crypto, dice, mesh } = this.world
    const { user, label, relays, machine, wrongKey = false, certificateEndsAtMs: endsAtMs } = this.options
    const own = endsAtMs === undefined ? this.world.identity(user) : this.world.identityThatEnds(user, endsAtMs)
    return new ClientMachine({
      crypto,
      random: dice.next,
      identity: wrongKey ? { ...own, hopKey: crypto.generateX25519() } : own,
      trust: mesh.trust,
      label,
      relays,
      ...machine,
    })
  }

  #dial(effect: Extract<ClientEffect, { type: 'dial' }>): void {
    const { world } = this
    const link = this.options.link(effect.relayId, effect.localAddress)
    const relay = this.options.relay(effect.relayId)
    world.followed('client dials', this.name, effect.key)
    world.note(() => `${this.name} dials ${effect.relayId} by ${effect.carrier}`)
    const pipe = link.open(effect.key, effect.carrier, (own) => ({
      up: {
        reads: () => relay === undefined || relay.reads(),
        take: (item) => relay?.take(own(), item),
        drained: () => this.drained(own()),
      },
      down: { reads: () => this.reads(), take: (item) => this.take(own(), item), drained: () => relay?.drained(own()) },
    }))
    this.pipes.set(effect.key, pipe)
    this.#reaching.add(pipe)
    const fails = world.dice.chance(link.nature.dialFailShare)
    // Something on the way that strips one carrier answers; where nothing listens nobody does, whatever the carrier.
    const stripped = this.options.deadCarriers?.includes(effect.carrier) === true
    if (fails || relay === undefined || stripped || link.nameless || link.captive) {
      world.coverage.hit(link.nameless ? 'name not found' : link.captive ? 'captive portal' : 'dial fails by chance')
      pipe.down.put({ type: 'end', code: stripped || link.captive ? 'dial_refused' : 'dial_failed' }, link.rules.up.latencyMs)
      return
    }
    relay.reachedBy(pipe)
    // SYN and its answer come before the request.
    const handshakeMs = link.rules.up.latencyMs + link.rules.down.latencyMs
    pipe.up.put({ type: 'dial', bytes: effect.first().slice() }, handshakeMs + link.slowDialMs * world.dice.next())
  }

  #write(key: number, pieces: readonly Uint8Array[]): void {
    const pipe = this.pipes.get(key)
    if (pipe === undefined) return
    const bytes = this.world.slab.joined(pieces)
    this.world.followed('client writes', this.name, bytes.length)
    if (pipe.up.write(bytes)) return
    if (pipe.up.queuedBytes > pipe.up.capacityBytes + overshootBytes)
      throw new Violation(
        'bounded queues',
        `${this.name} wrote ${pipe.up.queuedBytes} bytes into a pipe that was full at ${pipe.up.capacityBytes}`,
      )
    this.world.coverage.hit('pipe full (client)')
    this.machine.carrierWritable(this.now(), key, false)
  }

  #hangUp(key: number): void {
    const pipe = this.pipes.get(key)
    if (pipe === undefined) return
    this.world.followed('client hangs up', this.name, key)
    this.world.note(() => `${this.name} hangs up on ${pipe.link.relay}`)
    this.pipes.delete(key)
    pipe.clientOpen = false
    pipe.up.put({ type: 'end', code: 'connection_closed' }, 0)
    this.#forget(pipe)
  }

  #forget(pipe: Pipe): void {
    this.#reaching.delete(pipe)
  }
}
