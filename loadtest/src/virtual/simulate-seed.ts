// One seed: a random mesh under a random load and a random nemesis. First anything may fail and the checkers hold at every step; then
// everything is healed, and all that was promised must come true within a bound of virtual time.

import type { RelayEntry } from '@sennit/protocol'
import { Actor, type Stage } from './actor.ts'
import { ClientHost } from './client-host.ts'
import type { ConnectionEnd } from './connection-end.ts'
import { Ledgers } from './ledger.ts'
import { Link } from './link.ts'
import { Nemesis } from './nemesis.ts'
import { RelayHost } from './relay-host.ts'
import { drawScenario, type Scenario } from './scenario.ts'
import { Violation } from './violation.ts'
import { World } from './world.ts'

interface SimulateOptions {
  /** Keeps the last lines of what happened, in `trace` of the result. @default false */
  readonly trace?: boolean
}

export interface SeedResult {
  readonly seed: number
  readonly passed: boolean
  /** The first property that did not hold. */
  readonly violation: { readonly property: string; readonly message: string; readonly atMs: number } | undefined
  /** Hash of every event and effect: equal for two runs of one seed. */
  readonly digest: string
  readonly relays: number
  readonly clients: number
  readonly connections: number
  readonly virtualMs: number
  readonly events: number
  readonly messages: number
  /** How often each interesting thing happened. */
  readonly coverage: Readonly<Record<string, number>>
  /** With `trace`: the last lines. */
  readonly trace: readonly string[]
}

/** Load goes on for so long after the heal: what is healed must also carry. */
const loadAfterHealMs = 1_500
/** All that was sent has arrived, and everybody is attached and connected, this long after the heal. Rests of relays and retries fit in. */
const livenessMs = 100_000
/** Connections that are asked to end have ended by then (a close waits up to 30 s for its acks). */
const closingMs = 60_000
/** A relay that heard no goodbye asks after 55 s and a fifth, give or take a tenth, and waits 3 s for the answer. */
const goneWithinMs = 90_000
/** A ping over the slowest link of any world is back by then. */
const pingMs = 5_000
const pingTries = 3
/** Part of a world's events that its attachments are, before anything is said. */
const attachingShare = 0.1
/** Messages of a world that is ahead of its aim, and of one that is behind it: even the former has messages for its faults to meet. */
const slowest = 0.25
const fastest = 2.5
/** How often the liveness of a world is looked at. */
const lookMs = 250

export function simulateSeed(seed: number, options: SimulateOptions = {}): SeedResult {
  const play = new Play(seed, options)
  return play.run()
}

class Play {
  readonly #seed: number
  readonly #world: World
  readonly #scenario: Scenario
  readonly #stage: Stage
  readonly #relays: RelayHost[]
  readonly #clients: ClientHost[] = []
  readonly #actors = new Map<ClientHost, Actor>()
  readonly #links = new Map<string, Link>()
  readonly #ends: ConnectionEnd[] = []

  constructor(seed: number, options: SimulateOptions) {
    this.#seed = seed
    const world = new World({ seed, trace: options.trace ?? false })
    this.#world = world
    const dice = world.dice.fork()
    const scenario = drawScenario(dice)
    this.#scenario = scenario
    const untilMs = scenario.safetyMs + loadAfterHealMs
    this.#stage = {
      ledgers: new Ledgers(seed),
      load: () => ({
        messagesPerSecond: scenario.messagesPerSecond,
        haste: () => this.#haste(),
        streamsPerSecond: scenario.streamsPerSecond,
        untilMs,
        paths: scenario.paths,
        firstPaths: scenario.firstPaths,
      }),
      size: scenario.size,
      ends: this.#ends,
      closing: false,
      mayTimeOut: scenario.longOutage !== undefined,
    }
    const users = world.userList(scenario.clients.map((client) => client.user))
    this.#relays = scenario.relays.map(
      (relayId) =>
        new RelayHost(world, relayId, {
          users: () => users,
          limits: scenario.limits,
          turnMs: scenario.relayTurnMs,
          clock: { offsetMs: dice.between(-300_000, 300_000), rate: 1 + dice.between(-2e-4, 2e-4) },
        }),
    )
    for (const client of scenario.clients) this.#addClient(client)
  }

  run(): SeedResult {
    const world = this.#world
    let violation: SeedResult['violation']
    try {
      this.#safety()
      this.#liveness()
      this.#pings()
      this.#ending()
    } catch (error) {
      const property = error instanceof Violation ? error.property : 'nothing throws'
      const message = error instanceof Violation ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)
      violation = { property, message, atMs: world.nowMs }
      world.note(() => `VIOLATED ${property}: ${message}`)
    }
    this.#count()
    return {
      seed: this.#seed,
      passed: violation === undefined,
      violation,
      digest: world.digest.hex(),
      relays: this.#relays.length,
      clients: this.#clients.length,
      connections: this.#stage.ledgers.all.size,
      virtualMs: Math.round(world.nowMs),
      events: world.events,
      messages: [...this.#stage.ledgers.all.values()].reduce(
        (sum, { directions }) => sum + directions.caller.receivedMessages + directions.listener.receivedMessages,
        0,
      ),
      coverage: world.coverage.toJSON(),
      trace: world.trace,
    }
  }

  #safety(): void {
    const { fury, safetyMs, longOutage } = this.#scenario
    const nemesis = new Nemesis({
      world: this.#world,
      relays: this.#relays,
      clients: this.#clients,
      links: () => [...this.#links.values()],
      ends: this.#ends,
    })
    nemesis.arm(fury)
    if (longOutage !== undefined) nemesis.longOutage(longOutage.atMs, longOutage.forMs)
    while (this.#world.step(safetyMs));
    nemesis.heal()
  }

  #liveness(): void {
    const world = this.#world
    const untilMs = world.nowMs + livenessMs
    const loadEndMs = world.nowMs + loadAfterHealMs
    while (world.step(loadEndMs));
    for (;;) {
      const missing = this.#missing()
      if (missing === undefined) break
      if (world.nowMs >= untilMs) throw new Violation('liveness', `${livenessMs / 1000} s after everything was healed ${missing}`)
      const lookAtMs = Math.min(untilMs, world.nowMs + lookMs)
      while (world.step(lookAtMs));
    }
  }

  /** In a world with an aim: whether its messages have to hurry or to wait, by what has happened until now. */
  #haste(): number {
    const { nowMs, events } = this.#world
    const { eventsAimed, safetyMs } = this.#scenario
    if (eventsAimed === undefined) return 1
    // Everybody attaches first.
    const share = attachingShare + (1 - attachingShare) * Math.min(1, nowMs / safetyMs)
    return events > eventsAimed * share ? slowest : fastest
  }

  /** Every connection answers a ping of either end. */
  #pings(): void {
    const world = this.#world
    const asked = this.#ends.filter((end) => end.alive)
    const waiting = (): ConnectionEnd[] => asked.filter((end) => end.unanswered)
    for (const end of asked) end.ping()
    // A ping is loose: one that travels when its path is given up is gone, and it is for the asker to ask again.
    for (let tries = 0; tries < pingTries && waiting().length > 0; tries++) {
      const untilMs = world.nowMs + pingMs
      while (waiting().length > 0 && world.step(untilMs));
      for (const end of waiting()) end.ping()
    }
    for (const end of waiting()) throw new Violation('liveness', `${end.ledger.name} answers no ping of its ${end.role}`)
  }

  /** Closes all in good order; nothing may be left behind in any relay. */
  #ending(): void {
    const world = this.#world
    this.#stage.closing = true
    const closed = this.#ends.filter((end) => end.alive)
    for (const end of closed) {
      end.ledger.closing = true
      if (end.role === 'caller' || world.dice.chance(0.3))
        end.client.act((machine, nowMs) => machine.closeConnection(nowMs, end.handle, 'closed', 'done'))
    }
    const untilMs = world.nowMs + closingMs
    while (closed.some((end) => end.over === undefined) && world.nowMs < untilMs) {
      const lookAtMs = world.nowMs + lookMs
      while (world.step(lookAtMs));
    }
    for (const { over, ledger, role } of closed) {
      if (over === undefined)
        throw new Violation('liveness', `${ledger.name} was not closed ${closingMs / 1000} s after it was asked to, at its ${role}`)
      if (over.code !== 'closed' && over.code !== 'peer_closed')
        throw new Violation('orderly close', `${ledger.name} ended with ${over.code} at its ${role}, though nothing was wrong`)
      if (!ledger.settled) throw new Violation('lost', `${ledger.name} was closed in good order, but not all that was sent had arrived`)
    }
    for (const client of this.#clients) client.act((machine, nowMs) => machine.close(nowMs))
    // A goodbye on a narrow link takes its time; a relay that missed it finds out by its heartbeat.
    const goneMs = world.nowMs + goneWithinMs
    while (this.#relays.some((relay) => Object.keys(relay.stats()?.attachments ?? {}).length > 0) && world.step(goneMs));
    for (const relay of this.#relays) {
      const stats = relay.stats()
      if (stats === undefined) continue
      const left = {
        attachments: Object.values(stats.attachments).reduce((sum, count) => sum + count, 0),
        circuits: stats.circuits,
        held: stats.heldRequests,
        joins: stats.pendingJoins,
        listens: stats.listens,
        queued: stats.queuedBytes,
      }
      if (Object.values(left).some((count) => count !== 0))
        throw new Violation('nothing left behind', `${relay.name} still holds ${JSON.stringify(left)} when everybody has gone`)
    }
  }

  /** What is not as it should be in a healthy world; undefined when all is well. */
  #missing(): string | undefined {
    // What costs least to know is asked first: most looks find something missing.
    for (const end of this.#ends) if (end.alive && !end.ledger.settled) return this.#unsettled(end)
    for (const client of this.#clients) {
      const actor = this.#actors.get(client)!
      for (let call = 0; call < actor.plan.calls.length; call++)
        if (!actor.connected(call))
          return `${client.name} is not connected with ${actor.plan.calls[call]!.user} for ${actor.plan.calls[call]!.application}`
    }
    for (const end of this.#ends) {
      if (!end.alive) continue
      const { ledger } = end
      const other = this.#ends.find((one) => one.ledger === ledger && one !== end)
      if (other?.alive !== true) return `${ledger.name} lives on at its ${end.role} alone`
      const { standby, planEpoch } = end.machine.status()
      if (standby === null && this.#common(end, other) > 1) return `${ledger.name} has no standby at its ${end.role}`
      const theirs = other.machine.status().planEpoch
      if (planEpoch !== theirs) return `${ledger.name} has plan ${planEpoch} at its ${end.role} and plan ${theirs} at the other end`
    }
    for (const client of this.#clients)
      if (client.machine.status().attachments.length === 0) return `${client.name} is attached to no relay`
    return undefined
  }

  #unsettled({ ledger }: ConnectionEnd): string {
    const { caller, listener } = ledger.directions
    return `${ledger.name} has delivered ${caller.receivedMessages} of ${caller.sentMessages} and ${listener.receivedMessages} of ${listener.sentMessages} messages, and ${[...ledger.streams.values()].filter((one) => one.done < 2).length} streams are open`
  }

  /** How many relays both ends have on their lists. */
  #common(end: ConnectionEnd, other: ConnectionEnd): number {
    const theirs = new Set(other.client.options.relays.map((relay) => relay.relayId))
    return end.client.options.relays.filter((relay) => theirs.has(relay.relayId)).length
  }

  #addClient(planned: Scenario['clients'][number]): void {
    const world = this.#world
    const scenario = this.#scenario
    const name = planned.label === '' ? planned.user : `${planned.user}/${planned.label}`
    const relays: RelayEntry[] = planned.relays.map((relayId) => ({ relayId, urls: [`http://${relayId}:80`] }))
    for (const relayId of planned.relays) this.#links.set(`${name}~${relayId}`, new Link(world, name, relayId, scenario.nature()))
    const actor = new Actor(this.#stage, planned.plan)
    const client = new ClientHost(world, name, {
      user: planned.user,
      label: planned.label,
      relays,
      machine: {
        carriers: ['upgrade', 'http'],
        connectionTuning: scenario.connectionTuning,
        streams: scenario.streams,
        ...(scenario.firstPaths === undefined ? {} : { paths: scenario.firstPaths }),
      },
      application: actor,
      link: (relayId) => this.#links.get(`${name}~${relayId}`)!,
      relay: (relayId) => this.#relays.find((relay) => relay.name === relayId),
      deadCarriers: planned.deadCarriers,
      turnMs: planned.turnMs,
      clock: planned.clock,
    })
    this.#clients.push(client)
    this.#actors.set(client, actor)
    world.at(planned.startAtMs, () => {
      if (client.generation === 0) client.start()
    })
  }

  /** Sums that no single event tells. */
  #count(): void {
    const { coverage } = this.#world
    for (const end of this.#ends) {
      const { kept, epoch } = end.machine.status()
      coverage.hit('kept packet resent', kept.resent)
      coverage.hit('duplicate packet seen', kept.duplicates)
      coverage.hit('epoch', epoch.receive)
    }
    coverage.hit('connection', this.#stage.ledgers.all.size)
    for (const relay of this.#relays) {
      const stats = relay.stats()
      for (const [reason, count] of Object.entries(stats?.closes ?? {})) coverage.hit(`relay detaches: ${reason}`, count)
      for (const [answer, count] of Object.entries(stats?.answers ?? {})) coverage.hit(`relay answers: ${answer}`, count)
    }
  }
}
