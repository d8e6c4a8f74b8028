/** One client of a virtual world: the real machine, a small application, and the network around it. */
import { type ClientEffect, ClientMachine, type ClientMachineOptions, type ConnectRequest } from '@sennit/client/core'
import type { RelayEntry, UserIdentity } from '@sennit/protocol'
import type { MeshWorld } from './mesh-world.ts'
import type { Pipe } from './world-relay.ts'

export class WorldClient {
  readonly number: number
  readonly machine: ClientMachine
  readonly effects: ClientEffect[] = []
  /** Messages as they came, by connection handle. */
  readonly messages = new Map<number, string[]>()
  alive = true
  /** Whether messages are taken as they come. */
  reads = true
  /** Sends every message back. */
  echoes = false
  readonly #world: MeshWorld
  readonly #pipes = new Map<number, Pipe>()
  /** Local addresses whose cable is cut. */
  readonly #cut = new Set<string>()
  #wakes = 0
  #spinMs = 0
  #spins = 0

  constructor(world: MeshWorld, identity: UserIdentity, relays: RelayEntry[], options: Partial<Omit<ClientMachineOptions, 'relays'>>) {
    this.#world = world
    this.number = world.clients.length + 1
    const { crypto, random, mesh } = world
    this.machine = new ClientMachine({ crypto, random, identity, trust: mesh.trust, relays, carriers: ['upgrade'], ...options })
  }

  // What an application does.

  listen(application: string, from = '*'): number {
    return this.#do(() => this.machine.listen(this.#world.nowMs, { application, from }))
  }

  connect(user: string, application: string, waitMs = 30_000): number {
    return this.#do(() => this.machine.connect(this.#world.nowMs, { user, application, waitMs }))
  }

  connectTo(request: ConnectRequest): number {
    return this.#do(() => this.machine.connect(this.#world.nowMs, request))
  }

  relaysChanged(relays: readonly RelayEntry[]): void {
    this.#do(() => this.machine.relaysChanged(this.#world.nowMs, relays))
  }

  /** As an orderly end of the process. */
  shut(): void {
    this.#do(() => this.machine.close(this.#world.nowMs))
  }

  send(handle: number, text: string): void {
    this.#do(() => {
      this.machine.connection(handle)!.streams.offerMessage(new TextEncoder().encode(text))
      this.machine.changed(this.#world.nowMs, handle)
    })
  }

  close(handle: number): void {
    this.#do(() => this.machine.closeConnection(this.#world.nowMs, handle, 'closed', 'done'))
  }

  received(handle: number): string[] {
    return this.messages.get(handle) ?? []
  }

  /** Effects of one type. */
  all<T extends ClientEffect['type']>(type: T): Extract<ClientEffect, { type: T }>[] {
    return this.effects.filter((effect): effect is Extract<ClientEffect, { type: T }> => effect.type === type)
  }

  /** The newest connection told of. */
  get connection(): number | undefined {
    return this.all('connection').at(-1)?.handle
  }

  /** As by kill -9. */
  kill(): void {
    this.alive = false
    for (const pipe of this.#pipes.values()) {
      pipe.open = false
      this.#world.at(this.#world.nowMs + this.#world.legMs(this, pipe.relay), () =>
        this.#world.arrive(this, pipe.relay, 'up', () => pipe.relay.closed(pipe)),
      )
    }
    this.#pipes.clear()
  }

  /** Its sockets end here, and no relay hears of it, as behind a gate that forgot them. */
  losesSockets(): void {
    for (const pipe of this.#pipes.values()) {
      pipe.open = false
      this.#do(() => this.machine.carrierClosed(this.#world.nowMs, pipe.key, 'connection_reset', 'the gate forgot it'))
    }
    this.#pipes.clear()
  }

  /** The cable of one local address is cut: nothing comes or goes, and nobody is told. */
  cutLink(localAddress: string): void {
    this.#cut.add(localAddress)
  }

  /** It is whole again; what stood on it has timed out meanwhile. */
  mendLink(localAddress: string): void {
    this.#cut.delete(localAddress)
    for (const pipe of [...this.#pipes.values()].filter((one) => one.localAddress === localAddress)) {
      this.reset(pipe, 'carrier_lost')
      pipe.relay.closed(pipe)
    }
  }

  // What the network does.

  opened(pipe: Pipe): void {
    this.#later(pipe, () => this.machine.carrierOpened(this.#world.nowMs, pipe.key))
  }

  receive(pipe: Pipe, chunk: Uint8Array): void {
    this.#later(pipe, () => this.machine.carrierBytes(this.#world.nowMs, pipe.key, chunk))
  }

  reset(pipe: Pipe, code: string): void {
    this.#later(pipe, () => {
      pipe.open = false
      this.#pipes.delete(pipe.key)
      this.machine.carrierClosed(this.#world.nowMs, pipe.key, code, `${pipe.relay.relayId}: ${code}`)
    })
  }

  touch(): void {
    if (!this.alive) return
    for (let effect = this.machine.poll(); effect !== undefined; effect = this.machine.poll()) this.#effect(effect)
    this.#wakes += 1
    const wake = this.#wakes
    const atMs = this.machine.wakeAtMs()
    if (atMs === undefined) return
    if (atMs <= this.#world.nowMs) this.#spinning()
    this.#world.at(atMs, () => {
      if (wake === this.#wakes && this.alive) this.#do(() => this.machine.wake(this.#world.nowMs))
    })
  }

  #do<T>(run: () => T): T {
    const result = run()
    this.touch()
    return result
  }

  #later(pipe: Pipe, run: () => void): void {
    pipe.lastDownMs = Math.max(pipe.lastDownMs, this.#world.nowMs + this.#world.legMs(this, pipe.relay))
    this.#world.at(pipe.lastDownMs, () =>
      this.#world.arrive(this, pipe.relay, 'down', () => {
        if (this.alive && pipe.open && !this.#isCut(pipe)) this.#do(run)
      }),
    )
  }

  #effect(effect: ClientEffect): void {
    if (effect.type === 'dial') {
      this.#dial(effect)
      return
    }
    if (effect.type === 'write') {
      const pipe = this.#pipes.get(effect.key)
      if (pipe !== undefined) for (const piece of effect.pieces) this.#up(pipe, () => pipe.relay.bytes(pipe, piece))
      return
    }
    if (effect.type === 'hangUp') {
      const pipe = this.#pipes.get(effect.key)
      this.#pipes.delete(effect.key)
      if (pipe === undefined) return
      pipe.open = false
      this.#up(pipe, () => pipe.relay.closed(pipe))
      return
    }
    this.effects.push(effect)
    if (effect.type === 'streamEvent' && effect.event.type === 'message' && this.reads) this.#read(effect.handle)
  }

  #read(handle: number): void {
    const { streams } = this.machine.connection(handle)!
    const messages = this.messages.get(handle) ?? []
    this.messages.set(handle, messages)
    for (let message = streams.takeMessage(); message !== undefined; message = streams.takeMessage()) {
      messages.push(new TextDecoder().decode(message))
      if (this.echoes) streams.offerMessage(message.slice())
    }
    this.machine.changed(this.#world.nowMs, handle)
  }

  #dial(effect: Extract<ClientEffect, { type: 'dial' }>): void {
    const relay = this.#world.relay(effect.relayId)
    const { key, localAddress } = effect
    const pipe: Pipe = { key, client: this, relay, localAddress, open: true, relayKey: undefined, lastUpMs: 0, lastDownMs: 0 }
    this.#pipes.set(effect.key, pipe)
    const first = effect.first()
    this.#up(pipe, () => relay.dialled(pipe, effect.carrier, first))
  }

  #isCut({ localAddress }: Pipe): boolean {
    return localAddress !== undefined && this.#cut.has(localAddress)
  }

  #up(pipe: Pipe, run: () => void): void {
    pipe.lastUpMs = Math.max(pipe.lastUpMs, this.#world.nowMs + this.#world.legMs(this, pipe.relay))
    this.#world.at(pipe.lastUpMs, () =>
      this.#world.arrive(this, pipe.relay, 'up', () => {
        if (!this.#isCut(pipe)) run()
      }),
    )
  }

  /** A machine that wants to be woken at once, again and again, would burn a processor in production. */
  #spinning(): void {
    if (this.#spinMs !== this.#world.nowMs) this.#spins = 0
    this.#spinMs = this.#world.nowMs
    this.#spins += 1
    if (this.#spins > 1_000) throw new Error('the client machine asks to be woken at once for ever')
  }
}
