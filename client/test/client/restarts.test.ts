import { describe, expect, it } from 'vitest'
import { MeshWorld, seeded, type WorldClient } from './mesh-world.ts'

/** A program that keeps itself connected: it calls again whenever its connection is over, and is started again when it was killed. */
class Program {
  client: WorldClient
  readonly #world: MeshWorld
  readonly #user: string
  readonly #calls: string | undefined
  readonly #listens: boolean

  constructor(world: MeshWorld, user: string, calls: string | undefined, listens: boolean) {
    this.#world = world
    this.#user = user
    this.#calls = calls
    this.#listens = listens
    this.client = this.#start()
  }

  restart(afterMs: number): void {
    if (!this.client.alive) return
    this.client.kill()
    this.#world.at(this.#world.nowMs + afterMs, () => {
      this.client = this.#start()
    })
  }

  /** The live connection, if there is exactly one. */
  get connection(): { id: string; handle: number } | undefined {
    const over = new Set(this.client.all('connectionClosed').map((effect) => effect.handle))
    const live = this.client.all('connection').filter((effect) => !over.has(effect.handle))
    expect(live.length).toBeLessThanOrEqual(1)
    return live[0]
  }

  #start(): WorldClient {
    const client = this.#world.client(this.#user)
    client.echoes = true
    if (this.#listens) client.listen('chat')
    if (this.#calls !== undefined) this.#keepConnected(client, this.#calls)
    return client
  }

  #keepConnected(client: WorldClient, peer: string): void {
    let pending: number | undefined
    const look = (): void => {
      if (!client.alive) return
      const failed = client.all('connectFailed').some((effect) => effect.connectHandle === pending)
      const connected = client.all('connection').some((effect) => effect.connectHandle === pending)
      if (pending === undefined || failed || connected) pending = undefined
      if (pending === undefined && this.connection === undefined) pending = client.connect(peer, 'chat', 10_000)
      this.#world.at(this.#world.nowMs + 200, look)
    }
    this.#world.at(this.#world.nowMs, look)
  }
}

function seeds(): number[] {
  const from = Number(process.env.RESTART_FROM ?? 1)
  return Array.from({ length: Number(process.env.RESTART_SEEDS ?? 8) }, (_, index) => from + index)
}

describe('programs that are killed and started again', () => {
  it.each(seeds())('end up with one connection that both hold and that carries data, seed %i', (seed) => {
    const random = seeded(seed)
    const relays = ['r1', 'r2', 'r3']
    const world = new MeshWorld({ seed: seed + 5_000, relays, users: ['alice', 'bob'], legMs: 1 + random() * 40 })
    const crossing = random() < 0.5
    const listens = !crossing || random() < 0.3
    const bob = new Program(world, 'bob', crossing ? 'alice' : undefined, listens)
    if (random() < 0.5) world.run(random() * 1_000)
    const alice = new Program(world, 'alice', 'bob', crossing && listens)
    const endsAtMs = world.nowMs + 60_000
    const step = (): void => {
      if (world.nowMs >= endsAtMs) {
        for (const relay of world.relays.values()) {
          if (relay.state === 'frozen') relay.thaw()
          if (relay.state === 'dead') relay.start()
        }
        return
      }
      const what = random()
      const relay = world.relay(relays[Math.floor(random() * relays.length)]!)
      if (what < 0.35) alice.restart(random() < 0.5 ? 1 : random() * 3_000)
      else if (what < 0.7) bob.restart(random() < 0.5 ? 1 : random() * 3_000)
      else if (relay.state === 'dead') relay.start()
      else if (relay.state === 'frozen') relay.thaw()
      else if (what < 0.85) relay.kill()
      else relay.freeze()
      world.at(world.nowMs + random() * 6_000, step)
    }
    world.at(world.nowMs + 2_000, step)
    world.run(60_000)
    const agreed = (): boolean => alice.connection !== undefined && alice.connection.id === bob.connection?.id
    // The slowest way: an old connection without any path is found dead by a new instance's challenge; a listener waits for its caller.
    const tookMs = world.runUntil(agreed, 40_000)
    expect(tookMs).toBeDefined()
    world.run(10_000)
    expect(agreed()).toBe(true)
    const handle = alice.connection!.handle
    alice.client.send(handle, 'still here')
    // Both echo what they hear, so the words go round for ever; one way is enough here.
    bob.client.echoes = false
    expect(world.runUntil(() => bob.client.received(bob.connection!.handle).includes('still here'), 1_000)).toBeDefined()
  })
})
