/** One relay of a virtual world: the real machine, and what can happen to the process around it. */
import type { RelayIdentity } from '@sennit/protocol'
import { RelayMachine } from '@sennit/relay/core'
import type { MeshWorld } from './mesh-world.ts'
import type { WorldClient } from './world-client.ts'

/** One byte pipe between a client and a relay. */
export interface Pipe {
  readonly key: number
  readonly client: WorldClient
  readonly relay: WorldRelay
  readonly localAddress: string | undefined
  open: boolean
  /** Known to the relay under its own number. */
  relayKey: number | undefined
  lastUpMs: number
  lastDownMs: number
}

export class WorldRelay {
  readonly relayId: string
  readonly pipes = new Map<number, Pipe>()
  readonly #world: MeshWorld
  readonly #identity: RelayIdentity
  machine: RelayMachine | undefined
  state: 'up' | 'frozen' | 'dead' = 'up'
  #waiting: (() => void)[] = []
  #keys = 0
  #wakes = 0

  constructor(world: MeshWorld, relayId: string, identity: RelayIdentity) {
    this.#world = world
    this.relayId = relayId
    this.#identity = identity
    this.start()
  }

  start(): void {
    const { crypto, random, mesh, users } = this.#world
    this.state = 'up'
    // The limits per address are for strangers; here all come from one.
    const limits = { newPerSecond: 1e6, newBurst: 1e6, openPerAddress: 1e6 }
    this.machine = new RelayMachine({ crypto, random, identity: this.#identity, trust: mesh.trust, users, limits })
    this.touch()
  }

  /** As by kill -9: its sockets are reset. */
  kill(): void {
    this.state = 'dead'
    this.machine = undefined
    this.#waiting = []
    for (const pipe of this.pipes.values()) pipe.client.reset(pipe, 'connection_reset')
    this.pipes.clear()
  }

  /** As by SIGSTOP: sockets stay, nothing moves. */
  freeze(): void {
    this.state = 'frozen'
  }

  thaw(): void {
    this.state = 'up'
    const waiting = this.#waiting
    this.#waiting = []
    for (const run of waiting) run()
    this.touch()
  }

  drain(withinMs: number, spreadMs: number): void {
    this.machine?.drain(this.#world.nowMs, { withinMs, spreadMs })
    this.touch()
  }

  usersChanged(): void {
    this.machine?.usersChanged(this.#world.nowMs, this.#world.users)
    this.touch()
  }

  dialled(pipe: Pipe, carrier: string, first: Uint8Array): void {
    // A proxy on the way that swallows what it does not understand.
    if (this.#world.blockedCarriers.has(carrier)) return
    if (this.state === 'dead') {
      pipe.client.reset(pipe, 'connection_refused')
      return
    }
    this.do(() => {
      if (!pipe.open || this.machine === undefined) return
      this.#keys += 1
      pipe.relayKey = this.#keys
      this.pipes.set(pipe.relayKey, pipe)
      pipe.client.opened(pipe)
      this.machine.accepted(this.#world.nowMs, pipe.relayKey, { carrier, address: '127.0.0.1' })
      this.machine.bytes(this.#world.nowMs, pipe.relayKey, first)
    })
  }

  bytes(pipe: Pipe, chunk: Uint8Array): void {
    this.do(() => {
      if (pipe.relayKey !== undefined && this.pipes.has(pipe.relayKey)) this.machine?.bytes(this.#world.nowMs, pipe.relayKey, chunk)
    })
  }

  closed(pipe: Pipe): void {
    this.do(() => {
      if (pipe.relayKey !== undefined && this.pipes.delete(pipe.relayKey)) this.machine?.closed(this.#world.nowMs, pipe.relayKey, 'reset')
    })
  }

  do(run: () => void): void {
    if (this.state === 'dead') return
    if (this.state === 'frozen') {
      this.#waiting.push(run)
      return
    }
    run()
    this.touch()
  }

  touch(): void {
    const { machine } = this
    if (machine === undefined || this.state !== 'up') return
    for (let effect = machine.poll(); effect !== undefined; effect = machine.poll()) {
      if (effect.type === 'write') {
        const pipe = this.pipes.get(effect.key)
        if (pipe !== undefined) for (const piece of effect.pieces) pipe.client.receive(pipe, piece)
      } else if (effect.type === 'close') {
        const pipe = this.pipes.get(effect.key)
        this.pipes.delete(effect.key)
        if (pipe !== undefined) pipe.client.reset(pipe, 'closed')
      }
    }
    this.#wakes += 1
    const wake = this.#wakes
    const atMs = machine.wakeAtMs()
    if (atMs === undefined) return
    this.#world.at(atMs, () => {
      if (wake !== this.#wakes || this.machine !== machine) return
      this.do(() => machine.wake(this.#world.nowMs))
    })
  }
}
