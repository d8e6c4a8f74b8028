// A simulated relay process: the real relay machine at the far ends of pipes.
import type { UserList } from '@sennit/protocol'
import { type RelayLimits, RelayMachine, type RelayStats } from '@sennit/relay/core'
import { Host, type HostOptions } from './host.ts'
import type { LineItem } from './line.ts'
import type { Pipe } from './link.ts'
import { Meddler } from './meddler.ts'
import { Violation } from './violation.ts'
import type { World } from './world.ts'

export interface RelayHostOptions extends HostOptions {
  readonly users: () => UserList
  readonly limits?: Partial<RelayLimits>
}

/** How a process ends: its sockets are reset, or closed after what was sent, or its machine is gone without a word. */
export type Death = 'reset' | 'close' | 'silent'

/** The limits per address are for strangers; here everybody comes from one. */
const openLimits: Partial<RelayLimits> = { newPerSecond: 1e6, newBurst: 1e6, openPerAddress: 1e6 }
/** How often a relay's shell looks whether a blocked carrier took something (relay/src/node does the same). */
const progressMs = 400
/** What a relay may have written beyond a full pipe: the record that filled it, the goodbye of its link. */
const overshootBytes = 600 * 1024

export class RelayHost extends Host {
  machine: RelayMachine | undefined
  /** Every pipe of this life, by the machine's key. */
  readonly pipes: Map<number, Pipe> = new Map()
  /** What this relay does to packets that it should only pass on. */
  readonly meddler: Meddler
  onIdle: (() => void) | undefined
  readonly #options: RelayHostOptions
  #identity: ReturnType<World['relayIdentity']>
  readonly #blocked = new Map<Pipe, number>()
  #keys = 0
  #watchesProgress = false
  /** Every pipe that reaches this host, of this life or an earlier one. */
  readonly #reaching = new Set<Pipe>()
  /** The whole machine is off: nobody answers for the process. */
  #dark = false

  constructor(world: World, relayId: string, options: RelayHostOptions) {
    super(world, relayId, options)
    this.#options = options
    this.#identity = world.relayIdentity(relayId)
    this.meddler = new Meddler(world, () => this.touch())
    this.start()
  }

  start(): void {
    const { crypto, dice, mesh } = this.world
    const { users, limits } = this.#options
    const machine = new RelayMachine({
      crypto,
      random: dice.next,
      identity: this.#identity,
      trust: mesh.trust,
      users: users(),
      limits: { ...openLimits, ...limits },
    })
    this.machine = machine
    this.#dark = false
    this.meddler.watch(machine)
    this.world.happened('relay starts', this.name)
    this.world.note(() => `${this.name} starts`)
    this.started()
    for (const pipe of [...this.#reaching]) pipe.up.pump()
  }

  kill(how: Death): void {
    if (this.state === 'down') return
    this.world.happened('relay ends', this.name)
    this.world.note(() => `${this.name} ends: ${how}`)
    this.stopped()
    this.machine = undefined
    this.#dark = how === 'silent'
    this.#blocked.clear()
    for (const pipe of this.pipes.values()) {
      pipe.relayOpen = false
      if (how === 'silent') continue
      if (how === 'reset') pipe.down.clear()
      pipe.down.put({ type: 'end', code: how === 'reset' ? 'connection_reset' : 'connection_closed' }, 0)
      this.#forget(pipe)
    }
    this.pipes.clear()
    for (const pipe of [...this.#reaching]) pipe.up.pump()
  }

  freeze(): void {
    if (this.state !== 'running') return
    this.world.happened('relay freezes', this.name)
    this.world.note(() => `${this.name} freezes`)
    this.paused()
  }

  thaw(): void {
    if (this.state !== 'paused') return
    this.world.happened('relay thaws', this.name)
    this.world.note(() => `${this.name} thaws`)
    this.resumed()
    for (const pipe of [...this.#reaching]) pipe.up.pump()
  }

  drainClients(withinMs: number, spreadMs: number): void {
    if (this.state !== 'running') return
    this.world.happened('relay drains', this.name)
    this.world.note(() => `${this.name} drains within ${withinMs.toFixed(0)} ms`)
    this.machine?.drain(this.now(), { withinMs, spreadMs })
    this.touch()
  }

  /** Its next life has another key; `endsAtMs`: and a certificate that ends at this time of the world. */
  renewKey(endsAtMs?: number): void {
    this.#identity = this.world.relayIdentity(this.name, endsAtMs)
  }

  usersChanged(users: UserList): void {
    this.whenRunning(() => {
      this.machine?.usersChanged(this.now(), users)
      this.touch()
    })
  }

  stats(): RelayStats | undefined {
    return this.machine?.stats()
  }

  // What the network brings.

  /** A client's dial is on its way here. */
  reachedBy(pipe: Pipe): void {
    this.#reaching.add(pipe)
  }

  /** Bytes are taken while the process runs; a dead process on a live machine answers with a reset, a dead machine not at all. */
  reads(): boolean {
    return this.state === 'running' || (this.state === 'down' && !this.#dark)
  }

  take(pipe: Pipe, item: LineItem): void {
    if (item.type === 'dial') {
      this.#dialled(pipe, item.bytes)
      return
    }
    const { machine } = this
    if (machine === undefined || pipe.relayKey === undefined || this.pipes.get(pipe.relayKey) !== pipe) {
      this.#refuse(pipe, 'connection_reset', item.type === 'end')
      return
    }
    if (item.type === 'bytes') {
      this.world.happened('relay bytes', this.name, item.bytes.length)
      this.world.digest.bytes(item.bytes)
      machine.bytes(this.now(), pipe.relayKey, item.bytes)
    } else if (item.type === 'end') {
      this.world.happened('relay closed', this.name, pipe.relayKey)
      this.pipes.delete(pipe.relayKey)
      pipe.relayOpen = false
      this.#forget(pipe)
      machine.closed(this.now(), pipe.relayKey, item.code)
    }
    this.touch()
  }

  drained(pipe: Pipe): void {
    this.whenRunning(() => {
      if (pipe.relayKey === undefined || this.pipes.get(pipe.relayKey) !== pipe || pipe.down.full) return
      this.#blocked.delete(pipe)
      this.machine?.writable(this.now(), pipe.relayKey, true)
      this.touch()
    })
  }

  protected wakeMachine(nowMs: number): void {
    this.machine?.wake(nowMs)
  }

  protected wakeAtMs(): number | undefined {
    return this.machine?.wakeAtMs()
  }

  protected drain(): void {
    const { machine, world } = this
    if (machine === undefined) return
    for (let effect = machine.poll(); effect !== undefined; effect = machine.poll()) {
      switch (effect.type) {
        case 'write': {
          const pipe = this.pipes.get(effect.key)
          if (pipe === undefined) break
          const bytes = world.slab.joined(effect.pieces)
          world.followed('relay writes', this.name, bytes.length)
          if (!pipe.down.write(bytes)) this.#isFull(pipe)
          break
        }
        case 'close': {
          const pipe = this.pipes.get(effect.key)
          world.followed('relay closes', this.name, effect.key)
          world.digest.text(effect.reason)
          world.coverage.hit(`relay closes: ${effect.reason}`)
          world.note(() => `${this.name} closes the pipe of ${pipe?.link.client}: ${effect.reason}`)
          if (pipe === undefined) break
          this.pipes.delete(effect.key)
          this.#blocked.delete(pipe)
          pipe.relayOpen = false
          pipe.down.put({ type: 'end', code: 'connection_closed' }, 0)
          this.#forget(pipe)
          break
        }
        case 'idle':
          world.followed('relay idle', this.name)
          this.onIdle?.()
          break
        default:
          break
      }
    }
  }

  #dialled(pipe: Pipe, first: Uint8Array): void {
    if (this.machine === undefined || pipe.link.refuses) {
      this.#refuse(pipe, 'connection_refused', false)
      return
    }
    this.#keys += 1
    pipe.relayKey = this.#keys
    pipe.relayOpen = true
    this.pipes.set(this.#keys, pipe)
    this.world.happened('relay accepts', this.name, this.#keys)
    pipe.down.put({ type: 'open' }, 0)
    this.machine.accepted(this.now(), this.#keys, { carrier: pipe.carrier, address: '127.0.0.1' })
    this.machine.bytes(this.now(), this.#keys, first)
    this.touch()
  }

  /** Nobody is there for this pipe. */
  #refuse(pipe: Pipe, code: string, ended: boolean): void {
    pipe.up.clear()
    this.#forget(pipe)
    if (!ended && pipe.clientOpen) pipe.down.put({ type: 'end', code }, 0)
  }

  #forget(pipe: Pipe): void {
    this.#reaching.delete(pipe)
  }

  #isFull(pipe: Pipe): void {
    if (pipe.down.queuedBytes > pipe.down.capacityBytes + overshootBytes)
      throw new Violation(
        'bounded queues',
        `${this.name} wrote ${pipe.down.queuedBytes} bytes into a pipe that was full at ${pipe.down.capacityBytes}`,
      )
    this.world.coverage.hit('pipe full (relay)')
    this.machine?.writable(this.now(), pipe.relayKey!, false)
    this.#blocked.set(pipe, pipe.down.queuedBytes)
    this.#watchProgress()
  }

  #watchProgress(): void {
    if (this.#watchesProgress) return
    this.#watchesProgress = true
    this.world.after(progressMs, () => {
      this.#watchesProgress = false
      if (this.#blocked.size === 0 || this.state === 'down') return
      if (this.state === 'running') {
        for (const [pipe, before] of this.#blocked) {
          if (pipe.down.queuedBytes < before) this.machine?.progress(this.now(), pipe.relayKey!)
          this.#blocked.set(pipe, pipe.down.queuedBytes)
        }
        this.touch()
      }
      this.#watchProgress()
    })
  }
}
