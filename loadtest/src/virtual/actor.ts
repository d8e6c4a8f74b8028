// The program on one client of a seed's world: it listens, calls, calls again, and holds the mesh to its promises.

import type { ClientEvent } from '@sennit/client/core'
import type { Distribution } from '../plan.ts'
import type { Application, ApplicationEffect, ClientHost } from './client-host.ts'
import { ConnectionEnd, type Load } from './connection-end.ts'
import type { Ledgers } from './ledger.ts'
import { Violation } from './violation.ts'

export interface Call {
  readonly user: string
  readonly label: string
  readonly application: string
  /** When it is made first. */
  readonly atMs: number
}

export interface ActorPlan {
  readonly listens: readonly { readonly application: string; readonly from: string }[]
  readonly calls: readonly Call[]
}

/** What all actors of a world share. */
export interface Stage {
  readonly ledgers: Ledgers
  /** The load of a new connection's end. */
  load(): Load
  size(): Distribution
  /** Every end there ever was. */
  readonly ends: ConnectionEnd[]
  /** No connection is asked for any more. */
  closing: boolean
  /** A connection may die of having no path: some outage of this world is longer than its life without one. */
  readonly mayTimeOut: boolean
}

/** Answers that a healthy mesh never gives to these actors: all users are registered and allowed everything. */
const impossibleCodes = new Set(['self', 'not_allowed', 'not_registered', 'both_passive'])
/** Ends that an application asked for. */
const orderlyCodes = new Set(['closed', 'peer_closed'])
const callWaitMs = 30_000
/** Two things so close to each other happened together. */
const closeMs = 500

export class Actor implements Application {
  readonly plan: ActorPlan
  readonly ends: Map<number, ConnectionEnd> = new Map()
  readonly #stage: Stage
  /** Calls under way, by the machine's handle. */
  readonly #calling = new Map<number, number>()
  /** Connections that have lost every path, by handle. */
  readonly #pathless = new Set<number>()
  /** When each connection failed over last, by handle. */
  readonly #failedOverMs = new Map<number, number>()

  constructor(stage: Stage, plan: ActorPlan) {
    this.#stage = stage
    this.plan = plan
  }

  started(client: ClientHost): void {
    for (const end of this.ends.values()) end.ledger.broken = true
    this.ends.clear()
    this.#calling.clear()
    this.#pathless.clear()
    const { world, generation } = client
    client.act((machine, nowMs) => {
      for (const listen of this.plan.listens) machine.listen(nowMs, listen)
    })
    this.plan.calls.forEach((call, number) => {
      const delayMs = generation === 1 ? Math.max(0, call.atMs - world.nowMs) : world.dice.between(0, 1_000)
      this.#callLater(client, number, delayMs)
    })
  }

  resumed(client: ClientHost): void {
    for (const end of this.ends.values()) end.tick()
    this.plan.calls.forEach((_call, number) => {
      if (!this.connected(number) && ![...this.#calling.values()].includes(number)) this.#callLater(client, number, 10)
    })
  }

  effect(client: ClientHost, effect: ApplicationEffect): void {
    const { world } = client
    switch (effect.type) {
      case 'connection':
        this.#connection(client, effect)
        return
      case 'connectionClosed':
        this.#closed(client, effect)
        return
      case 'connectFailed': {
        const number = this.#calling.get(effect.connectHandle)
        this.#calling.delete(effect.connectHandle)
        world.note(() => `${client.name} cannot connect: ${effect.code}: ${effect.message}`)
        world.coverage.hit(`connect failed: ${effect.code}`)
        if (impossibleCodes.has(effect.code))
          throw new Violation('answers', `${client.name} was refused with ${effect.code}: ${effect.message}`)
        if (number !== undefined) this.#callLater(client, number, world.dice.between(200, 2_000))
        return
      }
      case 'streamEvent':
        this.ends.get(effect.handle)?.event(effect.event)
        return
      case 'connectionEvent':
        this.#connectionEvent(client, effect)
        return
      case 'listenFailed':
        throw new Violation('answers', `${client.name} cannot listen: ${effect.code}: ${effect.message}`)
      case 'event':
        world.note(() => `${client.name} ${JSON.stringify(effect.event)}`)
        world.coverage.hit(clientStep(effect.event))
        return
      default:
        return
    }
  }

  /** The connection that a call of the plan gave, if it lives. */
  connected(number: number): boolean {
    const call = this.plan.calls[number]!
    for (const end of this.ends.values()) if (end.alive && end.peer === peerName(call.user, call.label, call.application)) return true
    return false
  }

  #callLater(client: ClientHost, number: number, delayMs: number): void {
    const { generation, world } = client
    world.after(delayMs, () =>
      client.whenRunning(() => {
        if (client.generation !== generation || this.#stage.closing || this.connected(number)) return
        if ([...this.#calling.values()].includes(number)) return
        const { user, label, application } = this.plan.calls[number]!
        world.happened('calls', client.name, number)
        world.note(() => `${client.name} calls ${user}/${label} for ${application}`)
        const handle = client.act((machine, nowMs) =>
          machine.connect(nowMs, { user, application, waitMs: callWaitMs, ...(label === '' ? {} : { label }) }),
        )
        this.#calling.set(handle, number)
      }),
    )
  }

  #connection(client: ClientHost, effect: Extract<ApplicationEffect, { type: 'connection' }>): void {
    const { world } = client
    const { ledgers, ends } = this.#stage
    const machine = client.machine.connection(effect.handle)
    const called = effect.connectHandle === undefined ? undefined : this.#calling.get(effect.connectHandle)
    if (effect.connectHandle !== undefined) this.#calling.delete(effect.connectHandle)
    // It may be over before its application hears of it.
    if (machine === undefined) return
    const peer = peerName(effect.peer.user, effect.peer.label, effect.application)
    for (const end of this.ends.values())
      if (end.alive && end.peer === peer)
        throw new Violation('one connection', `${client.name} has two connections with ${peer}: ${end.ledger.id} and ${effect.id}`)
    const { role } = machine.secrets
    const [first, second] = role === 'caller' ? [client.name, peer] : [peer, client.name]
    const ledger = ledgers.of(effect.id, `${first}>${second}#${effect.id.slice(0, 6)}`, () => this.#stage.size())
    world.note(() => `${client.name} has connection ${ledger.name} as its ${role}`)
    world.coverage.hit('connection opened', role === 'caller' ? 1 : 0)
    if (role === 'listener' && called !== undefined) world.coverage.hit('glare')
    const end = new ConnectionEnd({ client, handle: effect.handle, machine, ledger, peer, load: this.#stage.load(), callNumber: called })
    this.ends.set(effect.handle, end)
    ends.push(end)
  }

  #closed(client: ClientHost, effect: Extract<ApplicationEffect, { type: 'connectionClosed' }>): void {
    const { world } = client
    const end = this.ends.get(effect.handle)
    world.note(() => `${client.name} lost connection ${end?.ledger.name ?? effect.handle}: ${effect.code}: ${effect.message}`)
    world.coverage.hit(`connection closed: ${effect.code}`)
    if (end === undefined) return
    this.ends.delete(effect.handle)
    end.closed(effect.code, effect.remote)
    this.#judge(end, effect.code, effect.message)
    this.#judgeBoth(end)
    end.ledger.broken = true
    const number = this.plan.calls.findIndex((call) => peerName(call.user, call.label, call.application) === end.peer)
    if (number !== -1 && !this.#stage.closing) this.#callLater(client, number, world.dice.between(50, 1_500))
  }

  /** Both ends have ended: all that an end had accepted before it closed in good order must have come out. */
  #judgeBoth(end: ConnectionEnd): void {
    const { ledger } = end
    const other = this.#stage.ends.find((one) => one.ledger === ledger && one !== end)
    if (other?.over === undefined) return
    for (const one of [end, other]) {
      if (one.over?.code !== 'closed') continue
      // What waited for credit was never promised: whoever sent it is told so.
      const promised = one.machine.streams.messageAcceptedIndex() + 1
      const { receivedMessages } = ledger.directions[one.role]
      if (receivedMessages < promised)
        throw new Violation(
          'lost',
          `${ledger.name} was closed in good order by its ${one.role}, but only ${receivedMessages} of ${promised} accepted messages came out`,
        )
    }
  }

  /** A connection outlives everything but its two processes. */
  #judge(end: ConnectionEnd, code: string, message: string): void {
    const { ledger } = end
    if (this.#stage.closing || ledger.broken) return
    // Who closes waits for its acks a while only: with a path 30 s, without one 120 s.
    if (ledger.closing && (orderlyCodes.has(code) || code === 'timeout')) return
    if (code === 'timeout' && this.#stage.mayTimeOut) return
    // The other half may never have come to be, or its process is gone.
    const other = this.#stage.ends.find((one) => one.ledger === ledger && one !== end)
    if (other === undefined || !other.alive) return
    throw new Violation('survival', `${ledger.name} ended at its ${end.role} with ${code} (${message}), and nobody asked for it`)
  }

  #connectionEvent(client: ClientHost, effect: Extract<ApplicationEffect, { type: 'connectionEvent' }>): void {
    const { world } = client
    const { event } = effect
    world.note(() => `${client.name} ${this.ends.get(effect.handle)?.ledger.name ?? effect.handle} ${JSON.stringify(event)}`)
    switch (event.type) {
      case 'failover':
        world.coverage.hit('failover')
        this.#failedOverMs.set(effect.handle, world.nowMs)
        world.coverage.hit(`failover: ${event.why}`)
        world.coverage.hit('packet resent', event.resentPackets)
        break
      case 'path_moved':
        world.coverage.hit(event.to === null ? 'all paths lost' : `path moved: ${event.why}`)
        if (event.to === null) this.#pathless.add(effect.handle)
        else if (this.#pathless.delete(effect.handle)) world.coverage.hit('went on after all paths were lost')
        break
      case 'pong':
        this.ends.get(effect.handle)?.answered()
        break
      case 'path_opened':
        world.coverage.hit('path opened')
        break
      case 'path_closed':
        world.coverage.hit(`path closed: ${event.reason}`)
        break
      case 'path_bad':
        world.coverage.hit(`path bad: ${event.why}`)
        break
      case 'waiting':
        world.coverage.hit(`waiting: ${event.why}`)
        break
      case 'rekeyed':
        world.coverage.hit('rekeyed')
        if (world.nowMs - (this.#failedOverMs.get(effect.handle) ?? Number.NEGATIVE_INFINITY) < closeMs)
          world.coverage.hit('rekeyed during a fail-over')
        break
      default:
        break
    }
  }
}

/** What a client says of its attachments, calls and plans, with its reason where there are few. */
function clientStep(event: ClientEvent): string {
  switch (event.type) {
    case 'attached':
      return `client attached: ${event.carrier}`
    case 'detached':
    case 'dial_failed':
      return `client ${event.type}: ${event.code}`
    case 'connect_answer':
      return `client connect_answer: ${event.answer.split(':')[0]}`
    default:
      return `client ${event.type}`
  }
}

function peerName(user: string, label: string, application: string): string {
  return `${label === '' ? user : `${user}/${label}`}:${application}`
}
