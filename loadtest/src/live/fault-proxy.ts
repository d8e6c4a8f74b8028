// The fault proxy: a TCP proxy between clients and one relay that can be slow, silent, one-way, corrupting or cut, per direction, from a seed.
// It stands for the network. Over a byte stream a lost packet is a late one, so a blackhole holds bytes and lets them go when it is healed,
// as TCP does; only what a network cannot repair (resets, flipped bytes, doubled or swapped pieces) changes what arrives.
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Direction, LinkRule } from '../network-script.ts'
import { answerCaptive } from './captive.ts'
import { DelayLine, type LineEffect, type LineRules } from './delay-line.ts'

export interface FaultProxyOptions {
  readonly target: { readonly host: string; readonly port: number }
  /** Numbers in [0, 1), from the run's seed: jitter and corruption repeat with it. */
  readonly random: () => number
  /** What the link is like without any fault. */
  readonly base?: LinkRule
}

interface Pair {
  readonly client: Socket
  readonly relay: Socket
  readonly lines: Record<Direction, DelayLine>
}

const both: readonly Direction[] = ['up', 'down']
/** Source addresses that a client has one after the other, 127.0.0.2 to 127.0.0.251. */
const addressesMax = 250

export class FaultProxy {
  readonly #options: FaultProxyOptions
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  readonly #rules = new Map<string, LinkRule>()
  /** Sockets nobody carries bytes for any more, open until their owner gives up. */
  readonly #stranded = new Set<Socket>()
  readonly #effects = new Map<LineEffect, number>()
  #addresses = 0

  private constructor(options: FaultProxyOptions) {
    this.#options = options
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#accept(socket))
    if (options.base !== undefined) this.#rules.set('base', options.base)
  }

  /** Listens on a free loopback port. */
  static async listen(options: FaultProxyOptions): Promise<FaultProxy> {
    const proxy = new FaultProxy(options)
    await new Promise<void>((done, fail) => {
      proxy.#server.once('error', fail)
      proxy.#server.listen(0, '127.0.0.1', () => done())
    })
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Connections that go through it now. */
  get connections(): number {
    return this.#pairs.size
  }

  /** How often a rule changed what passed, since the start. */
  get effects(): ReadonlyMap<LineEffect, number> {
    return this.#effects
  }

  /** Puts a rule in force under a name, for connections that live and those to come. */
  apply(name: string, rule: LinkRule): void {
    this.#rules.set(name, rule)
    this.#refresh()
  }

  /** Takes a rule away. Bytes it held go on at once, in order. Returns whether there was one. */
  heal(name: string): boolean {
    const had = this.#rules.delete(name)
    this.#refresh()
    return had
  }

  /** Cuts every connection with a reset, both ways. Returns how many. */
  resetAll(): number {
    const count = this.#pairs.size
    for (const pair of [...this.#pairs]) this.#cut(pair)
    return count
  }

  /** The relay's end of every connection is reset; the client is told nothing. Returns how many. */
  halfOpenAll(): number {
    const count = this.#pairs.size
    for (const pair of [...this.#pairs]) {
      this.#strand(pair, [pair.client])
      pair.relay.resetAndDestroy()
    }
    return count
  }

  /**
   * The client's address changes, as when a NAT forgets it: connections are dead, without a word (`silent`) or with a reset, and new ones reach the
   * relay from another address. Returns how many died.
   */
  rebind(how: 'silent' | 'reset'): number {
    this.#addresses = (this.#addresses + 1) % addressesMax
    if (how === 'reset') return this.resetAll()
    const count = this.#pairs.size
    for (const pair of [...this.#pairs]) this.#strand(pair, [pair.client, pair.relay])
    return count
  }

  /** Whoever was left with a dead connection and told nothing is told. */
  resetStranded(): void {
    for (const socket of [...this.#stranded]) socket.resetAndDestroy()
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((done) => this.#server.close(() => done()))
    this.resetAll()
    for (const socket of this.#stranded) socket.destroy()
    await closed
  }

  #accept(client: Socket): void {
    const rules = [...this.#rules.values()]
    if (rules.some((rule) => rule.refuse === true)) {
      client.resetAndDestroy()
      return
    }
    if (rules.some((rule) => rule.captive === true)) {
      this.#keep(client)
      answerCaptive(client)
      return
    }
    const localAddress = this.#addresses === 0 ? {} : { localAddress: `127.0.0.${1 + this.#addresses}` }
    const relay = connect({ ...this.#options.target, ...localAddress, noDelay: true, allowHalfOpen: true })
    const pair: Pair = { client, relay, lines: { up: this.#line(client, relay), down: this.#line(relay, client) } }
    this.#pairs.add(pair)
    for (const direction of both) pair.lines[direction].setRules(this.#lineRules(direction))
    for (const socket of [client, relay]) {
      socket.on('error', () => this.#cut(pair))
      socket.on('close', (hadError) => {
        if (hadError) this.#cut(pair)
        else if (client.destroyed && relay.destroyed) this.#forget(pair)
      })
    }
  }

  #line(from: Socket, to: Socket): DelayLine {
    return new DelayLine({
      from,
      to,
      random: this.#options.random,
      onEffect: (effect) => this.#effects.set(effect, (this.#effects.get(effect) ?? 0) + 1),
      onLimit: () => this.#cutWith(from),
    })
  }

  #cutWith(socket: Socket): void {
    for (const pair of this.#pairs) if (pair.client === socket || pair.relay === socket) this.#cut(pair)
  }

  #cut(pair: Pair): void {
    // A stranded socket that ends is nobody's business any more.
    if (!this.#pairs.has(pair)) return
    this.#forget(pair)
    for (const socket of [pair.client, pair.relay]) if (!socket.destroyed) socket.resetAndDestroy()
  }

  #forget(pair: Pair): void {
    this.#pairs.delete(pair)
    for (const direction of both) pair.lines[direction].stop()
  }

  /** Carries nothing for a connection any more, and tells these ends nothing. */
  #strand(pair: Pair, ends: readonly Socket[]): void {
    this.#forget(pair)
    for (const socket of ends) {
      socket.pause()
      this.#keep(socket)
    }
  }

  #keep(socket: Socket): void {
    if (socket.destroyed) return
    this.#stranded.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => this.#stranded.delete(socket))
  }

  #refresh(): void {
    for (const pair of this.#pairs) for (const direction of both) pair.lines[direction].setRules(this.#lineRules(direction))
  }

  #lineRules(direction: Direction): LineRules {
    const rules = [...this.#rules.values()].filter((rule) => rule.directions?.includes(direction) ?? true)
    return {
      latencyMs: rules.reduce((sum, rule) => sum + (rule.latencyMs ?? 0), 0),
      jitterMs: rules.reduce((sum, rule) => sum + (rule.jitterMs ?? 0), 0),
      held: rules.some((rule) => rule.held === true),
      ...only('bytesPerSecond', rules, Math.min),
      ...only('corruptOneIn', rules, Math.min),
      ...only('flipBits', rules, Math.max),
      ...only('lossShare', rules, Math.max),
      ...only('lossDelayMs', rules, Math.max),
      ...only('sliceBytes', rules, Math.min),
      ...only('sliceDelayMs', rules, Math.max),
      ...only('mtuBytes', rules, Math.min),
      ...only('limitBytes', rules, Math.min),
      ...only('duplicateShare', rules, Math.max),
      ...only('reorderShare', rules, Math.max),
      ...only('reorderDelayMs', rules, Math.max),
      ...only('endDelayMs', rules, Math.max),
    }
  }
}

type Numbers = Exclude<keyof LineRules, 'latencyMs' | 'jitterMs' | 'held'>

/** The tightest of several rules; nothing where there is none. */
function only(key: Numbers, rules: readonly LinkRule[], tightest: (...values: number[]) => number): Partial<LineRules> {
  const values = rules.map((rule) => rule[key]).filter((value) => value !== undefined)
  return values.length === 0 ? {} : { [key]: tightest(...values) }
}
