// The nemesis of a seed's world: what goes wrong, when, and for how long. It only breaks; whether the mesh stood it is for the checkers.
import type { ClientHost } from './client-host.ts'
import type { ConnectionEnd } from './connection-end.ts'
import type { Dice } from './dice.ts'
import type { Link, LinkFault } from './link.ts'
import type { RelayHost } from './relay-host.ts'
import type { World } from './world.ts'

export interface Battlefield {
  readonly world: World
  readonly relays: readonly RelayHost[]
  readonly clients: readonly ClientHost[]
  readonly links: () => readonly Link[]
  readonly ends: readonly ConnectionEnd[]
}

/** How bad it gets. */
export interface Fury {
  readonly acts: number
  /** Acts begin in here. */
  readonly fromMs: number
  readonly toMs: number
  /** Longest time any one act lasts. */
  readonly longestMs: number
}

type Act = (nemesis: Nemesis, forMs: number) => void

/** Acts with their weights: none so rare that some way to use relays would not meet it in a full run. */
const acts: readonly (readonly [name: string, weight: number, act: Act])[] = [
  ['kill a relay', 5, (n, forMs) => n.kill(n.relay(), forMs)],
  ['kill a relay in use', 5, (n, forMs) => n.kill(n.busiest(), forMs)],
  ['freeze a relay', 3, (n, forMs) => n.freeze(n.relay(), forMs)],
  ['freeze a relay in use', 4, (n, forMs) => n.freeze(n.busiest(), forMs)],
  ['drain a relay', 3, (n, forMs) => n.drain(n.relay(), forMs)],
  ['rolling restart', 2, (n, forMs) => n.rollingRestart(forMs)],
  ['no relay at all', 2, (n, forMs) => n.outage(forMs)],
  ['blackhole a relay', 3, (n, forMs) => n.links('blackhole', n.linksOf(n.busiest()), { held: true }, forMs)],
  ['blackhole some links', 3, (n, forMs) => n.links('blackhole', n.someLinks(), { held: true }, forMs)],
  ['one way only', 3, (n, forMs) => n.links('one way', n.someLinks(), { held: true, directions: [n.dice.pick(['up', 'down'])] }, forMs)],
  ['isolate a client', 3, (n, forMs) => n.links('isolate', n.linksOf(n.client()), { held: true }, forMs)],
  ['flap', 3, (n, forMs) => n.flap(forMs)],
  ['flap by resets', 2, (n, forMs) => n.flapByResets(forMs)],
  ['swizzle-clog', 3, (n, forMs) => n.swizzle(forMs)],
  ['reset pipes', 3, (n) => n.reset(n.someLinks())],
  ['reset every pipe', 2, (n) => n.reset(n.allLinks())],
  ['refuse dials', 2, (n, forMs) => n.links('refuse', n.linksOf(n.relay()), { refuse: true }, forMs)],
  ['slow dials', 2, (n, forMs) => n.links('slow dial', n.someLinks(), { slowDialMs: 2_500 }, forMs)],
  [
    'latency',
    3,
    (n, forMs) => n.links('latency', n.someLinks(), { latencyMs: n.dice.between(10, 400), jitterMs: n.dice.between(0, 100) }, forMs),
  ],
  ['narrow links', 3, (n, forMs) => n.links('narrow', n.someLinks(), { bytesPerMs: n.dice.between(2, 60) }, forMs)],
  ['corrupt links', 2, (n, forMs) => n.links('corrupt', n.someLinks(), { corruptOneIn: n.dice.pick([300, 3_000, 30_000]) }, forMs)],
  ['a relay that meddles', 4, (n, forMs) => n.meddle(forMs)],
  ['a relay that swallows', 2, (n, forMs) => n.swallow(forMs)],
  ['pause a client', 4, (n, forMs) => n.pause(n.client(), Math.min(forMs, 9_000), 0)],
  ['a client sleeps', 2, (n, forMs) => n.pause(n.client(), Math.min(forMs, 9_000), n.dice.between(600, 60_000))],
  ['restart a client', 4, (n, forMs) => n.restart(n.client(), n.dice.chance(0.3) ? forMs : n.dice.between(0, 300))],
  ['restart both ends', 2, (n, forMs) => n.restartBoth(forMs / 8)],
  ['slow readers', 4, (n, forMs) => n.slowReaders(forMs)],
  ['close connections', 3, (n) => n.closeConnections()],
  ['change paths', 6, (n) => n.changePaths()],
  ['half-open pipes', 2, (n) => n.eachLink(n.someLinks(), (link) => link.halfOpen())],
  ['new address', 2, (n) => n.eachLink(n.linksOf(n.client()), (link) => link.strand())],
  ['lossy links', 3, (n, forMs) => n.links('loss', n.someLinks(), { lossShare: n.dice.between(0.02, 0.3), lossDelayMs: 220 }, forMs)],
  ['long round trips', 2, (n, forMs) => n.links('far', n.allLinks(), { latencyMs: 375 }, forMs)],
  ['slices', 2, (n, forMs) => n.links('slices', n.someLinks(), { sliceBytes: n.dice.int(20, 600), sliceDelayMs: 3 }, forMs)],
  ['small packets only', 2, (n, forMs) => n.links('mtu', n.someLinks(), { mtuBytes: n.dice.int(200, 1_400) }, forMs)],
  ['pipes that end after some bytes', 2, (n, forMs) => n.links('limit', n.someLinks(), { limitBytes: n.dice.int(2_000, 60_000) }, forMs)],
  ['late ends', 2, (n, forMs) => n.links('late end', n.allLinks(), { endDelayMs: n.dice.between(200, 3_000) }, forMs)],
  ['captive portal', 2, (n, forMs) => n.links('captive', n.linksOf(n.client()), { captive: true }, forMs)],
  ['no names', 2, (n, forMs) => n.links('nameless', n.someLinks(), { nameless: true }, forMs)],
  ['a clock drifts', 2, (n, forMs) => n.drift(forMs)],
  ['a clock is an hour off', 2, (n) => n.hourOff()],
]

/** What can go wrong, by name. */
export const actNames: readonly string[] = acts.map(([name]) => name)

/** Swarm testing: a world with few kinds of faults goes deeper into what these do than one with all of them a little. */
const kindsMin = 3

function drawAct(swarm: readonly (typeof acts)[number][], at: number): (typeof acts)[number] {
  let sum = 0
  for (const one of swarm) {
    sum += one[1]
    if (at < sum) return one
  }
  return swarm[0]!
}

export class Nemesis {
  readonly dice: Dice
  readonly #field: Battlefield
  #faults = 0
  #over = false

  constructor(field: Battlefield) {
    this.#field = field
    this.dice = field.world.dice.fork()
  }

  /** Draws what is going to happen and arms it. */
  arm(fury: Fury): void {
    const swarm = this.dice.chance(0.15) ? acts : this.dice.shuffled(acts).slice(0, this.dice.int(kindsMin, Math.ceil(acts.length / 2)))
    const total = swarm.reduce((sum, [, weight]) => sum + weight, 0)
    for (let count = 0; count < fury.acts; count++) {
      const drawn = drawAct(swarm, this.dice.next() * total)
      const atMs = this.dice.between(fury.fromMs, fury.toMs)
      // Many short ones, some that last.
      const lastsMs = Math.min(fury.longestMs, fury.toMs - atMs, 80 + this.dice.next() ** 3 * fury.longestMs)
      this.#at(atMs, () => this.#act(drawn[0], drawn[2], lastsMs))
    }
  }

  /** Ends everything that is wrong, at once. */
  heal(): void {
    this.#over = true
    const { relays, clients, links, ends, world } = this.#field
    world.happened('heal', '')
    world.note(() => 'everything is healed')
    for (const link of links()) link.healAll()
    for (const relay of relays) {
      relay.meddler.meddling = undefined
      relay.thaw()
      // A relay that drains ends soon; its next life takes part in the healed world.
      if (relay.machine?.isDraining === true) relay.kill('close')
      if (relay.state === 'down') relay.start()
    }
    for (const client of clients) {
      client.resume()
      if (client.state === 'down') client.start()
    }
    for (const end of ends) end.startReading()
  }

  // Who.

  relay(): RelayHost {
    return this.dice.pick(this.#field.relays)
  }

  client(): ClientHost {
    return this.dice.pick(this.#field.clients)
  }

  /** The relay most ends send over now. */
  busiest(): RelayHost {
    const uses = new Map<string, number>()
    for (const end of this.#field.ends) {
      if (!end.alive) continue
      const active = end.machine.status().active.send
      if (active !== null) uses.set(active, (uses.get(active) ?? 0) + 1)
    }
    const running = this.#field.relays.filter((relay) => relay.running)
    let best = running.length === 0 ? this.relay() : this.dice.pick(running)
    for (const relay of running) if ((uses.get(relay.name) ?? 0) > (uses.get(best.name) ?? 0)) best = relay
    return best
  }

  allLinks(): readonly Link[] {
    return this.#field.links()
  }

  someLinks(): Link[] {
    const all = this.allLinks()
    return all.length === 0 ? [] : this.dice.shuffled(all).slice(0, this.dice.int(1, Math.ceil(all.length / 2)))
  }

  linksOf(host: RelayHost | ClientHost): Link[] {
    return this.allLinks().filter((link) => link.relay === host.name || link.client === host.name)
  }

  // What.

  kill(relay: RelayHost, forMs: number): void {
    if (relay.state === 'down') return
    relay.kill(this.dice.pick(['reset', 'reset', 'close', 'silent']))
    this.#later(forMs, () => relay.state === 'down' && relay.start())
  }

  freeze(relay: RelayHost, forMs: number): void {
    relay.freeze()
    this.#later(forMs, () => relay.thaw())
  }

  /** As by SIGTERM: clients are told, then the process ends, and starts again. */
  drain(relay: RelayHost, forMs: number): void {
    if (!relay.running) return
    const withinMs = this.dice.int(200, 4_000)
    const spreadMs = this.dice.int(0, 2_000)
    relay.drainClients(withinMs, spreadMs)
    const { machine } = relay
    this.#later(withinMs + spreadMs + 500, () => {
      if (relay.machine !== machine) return
      relay.kill('close')
      this.#later(forMs / 4, () => relay.state === 'down' && relay.start())
    })
  }

  rollingRestart(forMs: number): void {
    const stepMs = Math.max(500, forMs / this.#field.relays.length)
    this.#field.relays.forEach((relay, index) => {
      this.#later(index * stepMs, () => this.kill(relay, this.dice.between(50, stepMs)))
    })
  }

  outage(forMs: number): void {
    for (const relay of this.#field.relays) this.kill(relay, forMs + this.dice.between(0, 2_000))
  }

  links(what: string, links: readonly Link[], fault: LinkFault, forMs: number): void {
    this.#faults += 1
    const name = `${what} ${this.#faults}`
    for (const link of links) link.apply(name, fault)
    this.#later(forMs, () => {
      for (const link of links) link.heal(name)
    })
  }

  /** Two seconds gone, two seconds there. */
  flap(forMs: number): void {
    const links = this.dice.chance(0.5) ? this.linksOf(this.busiest()) : this.someLinks()
    for (let atMs = 0; atMs < forMs; atMs += 4_000) this.#later(atMs, () => this.links('flap', links, { held: true }, 2_000))
  }

  flapByResets(forMs: number): void {
    const links = this.dice.chance(0.5) ? this.linksOf(this.busiest()) : this.someLinks()
    for (let atMs = 0; atMs < forMs; atMs += 2_000) this.#later(atMs, () => this.reset(links))
  }

  /** Links are clogged one after the other and freed in another order. */
  swizzle(forMs: number): void {
    const links = this.someLinks()
    const half = forMs / 2
    for (const link of links)
      this.#later(this.dice.next() * half, () => this.links('clog', [link], { held: true }, this.dice.between(100, half + 100)))
  }

  reset(links: readonly Link[]): void {
    for (const link of links)
      for (const pipe of [...link.pipes]) {
        const drops = this.dice.chance(0.5)
        if (drops) {
          pipe.up.clear()
          pipe.down.clear()
        }
        pipe.up.put({ type: 'end', code: 'connection_reset' }, 0)
        pipe.down.put({ type: 'end', code: 'connection_reset' }, 0)
      }
  }

  meddle(forMs: number): void {
    const relay = this.busiest()
    const share = (): number => (this.dice.chance(0.5) ? 0 : this.dice.next() ** 2 * 0.3)
    relay.meddler.meddling = { drop: share() / 3, duplicate: share(), reorder: share(), flip: share() / 3 }
    this.#later(forMs, () => {
      relay.meddler.meddling = undefined
    })
  }

  swallow(forMs: number): void {
    const relay = this.busiest()
    relay.meddler.meddling = { drop: this.dice.pick([0.5, 1]), duplicate: 0, reorder: 0, flip: 0 }
    this.#later(forMs, () => {
      relay.meddler.meddling = undefined
    })
  }

  pause(client: ClientHost, forMs: number, clockJumpMs: number): void {
    if (!client.running) return
    client.pause()
    this.#later(forMs, () => client.resume(clockJumpMs))
  }

  restart(client: ClientHost, afterMs: number): void {
    if (client.state === 'down') return
    client.kill(this.dice.chance(0.7) ? 'reset' : 'silent')
    this.#later(afterMs, () => client.state === 'down' && client.start())
  }

  /** Both processes of a connection end at once, and neither knows the other when they start again. */
  restartBoth(afterMs: number): void {
    const alive = this.#field.ends.filter((end) => end.alive)
    if (alive.length === 0) return
    const { ledger } = this.dice.pick(alive)
    for (const end of alive) if (end.ledger === ledger) this.restart(end.client, this.dice.between(0, afterMs))
  }

  slowReaders(forMs: number): void {
    const ends = this.dice.some(this.#field.ends.filter((end) => end.alive))
    for (const end of ends) end.stopReading()
    this.#later(forMs, () => {
      for (const end of ends) end.startReading()
    })
  }

  /** Applications have had enough of each other; who called calls again. */
  closeConnections(): void {
    for (const end of this.dice.some(this.#field.ends.filter((one) => one.alive && !one.ledger.closing)).slice(0, 4))
      end.client.whenRunning(() => end.close())
  }

  /** Applications want their relays used in another way from now on. */
  changePaths(): void {
    for (const end of this.dice.some(this.#field.ends.filter((one) => one.alive && !one.ledger.closing)).slice(0, 4))
      end.client.whenRunning(() => end.changePaths())
  }

  eachLink(links: readonly Link[], act: (link: Link) => void): void {
    for (const link of links) act(link)
  }

  /** A clock that gains or loses a percent, on a client or a relay. */
  drift(forMs: number): void {
    const host = this.dice.chance(0.5) ? this.client() : this.relay()
    host.drift(1 + this.dice.pick([-0.01, 0.01]))
    this.#later(forMs, () => host.drift(1))
  }

  /** The time of day of a relay's machine is wrong from its next start on, and that is now. */
  hourOff(): void {
    const relay = this.relay()
    const jumpMs = this.dice.pick([-3_600_000, 3_600_000])
    relay.jumpClockLater(jumpMs)
    this.kill(relay, this.dice.between(50, 500))
  }

  /** Every relay is gone for longer than a connection lives without a path. */
  longOutage(atMs: number, forMs: number): void {
    this.#at(atMs, () => this.#act('outage beyond the life of connections', (nemesis) => nemesis.outage(forMs), forMs))
  }

  #act(name: string, act: Act, lastsMs: number): void {
    const { world, ends } = this.#field
    world.happened(name, 'nemesis', lastsMs)
    world.note(() => `NEMESIS ${name} for ${lastsMs.toFixed(0)} ms`)
    world.coverage.hit(`nemesis: ${name}`)
    // Each way to use relays that something goes wrong with while it is in use.
    for (const end of ends) if (end.alive) for (const mode of end.modes) world.coverage.hit(`${mode} met ${name}`)
    act(this, lastsMs)
  }

  #at(atMs: number, run: () => void): void {
    this.#field.world.at(atMs, () => {
      if (!this.#over) run()
    })
  }

  /** Not after the heal: that has ended everything. */
  #later(ms: number, run: () => void): void {
    this.#field.world.after(ms, () => {
      if (!this.#over) run()
    })
  }
}
