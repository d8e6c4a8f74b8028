// The fault proxy: a TCP proxy between clients and one relay that can be slow, silent, one-way, corrupting or cut, per direction, from a seed.
// It stands for the network. Over a byte stream a lost packet is a late one, so a blackhole holds bytes and lets them go when it is healed,
// as TCP does; only `reset` and `corrupt` change what arrives.
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { DelayLine, type LineRules } from './delay-line.ts'

/** `up` is client to relay, `down` is relay to client. */
export type Direction = 'up' | 'down'

/** What the proxy does to bytes now. Rules of several faults add up: latencies add, any blackhole holds, any refusal refuses. */
export interface ProxyRule {
  readonly directions: readonly Direction[]
  readonly latencyMs?: number
  readonly jitterMs?: number
  readonly blackhole?: boolean
  /** One byte in so many has a bit flipped. */
  readonly corruptOneIn?: number
  readonly bytesPerSecond?: number
  /** New connections are refused. */
  readonly refuse?: boolean
}

export interface FaultProxyOptions {
  readonly target: { readonly host: string; readonly port: number }
  /** Numbers in [0, 1), from the run's seed: jitter and corruption repeat with it. */
  readonly random: () => number
  /** What the link is like without any fault. */
  readonly base?: ProxyRule
}

interface Pair {
  readonly client: Socket
  readonly relay: Socket
  readonly lines: Record<Direction, DelayLine>
}

const both: readonly Direction[] = ['up', 'down']

export class FaultProxy {
  readonly #options: FaultProxyOptions
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  readonly #rules = new Map<string, ProxyRule>()

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

  /** Puts a rule in force under a name, for connections that live and those to come. */
  apply(name: string, rule: ProxyRule): void {
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

  async close(): Promise<void> {
    const closed = new Promise<void>((done) => this.#server.close(() => done()))
    this.resetAll()
    await closed
  }

  #accept(client: Socket): void {
    const rules = [...this.#rules.values()]
    if (rules.some((rule) => rule.refuse === true)) {
      client.resetAndDestroy()
      return
    }
    const relay = connect({ ...this.#options.target, noDelay: true, allowHalfOpen: true })
    const pair: Pair = {
      client,
      relay,
      lines: {
        up: new DelayLine(client, relay, this.#options.random),
        down: new DelayLine(relay, client, this.#options.random),
      },
    }
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

  #cut(pair: Pair): void {
    this.#forget(pair)
    for (const socket of [pair.client, pair.relay]) if (!socket.destroyed) socket.resetAndDestroy()
  }

  #forget(pair: Pair): void {
    this.#pairs.delete(pair)
    for (const direction of both) pair.lines[direction].stop()
  }

  #refresh(): void {
    for (const pair of this.#pairs) for (const direction of both) pair.lines[direction].setRules(this.#lineRules(direction))
  }

  #lineRules(direction: Direction): LineRules {
    const rules = [...this.#rules.values()].filter((rule) => rule.directions.includes(direction))
    const least = (values: (number | undefined)[]): number | undefined => {
      const known = values.filter((value) => value !== undefined)
      return known.length === 0 ? undefined : Math.min(...known)
    }
    return {
      latencyMs: rules.reduce((sum, rule) => sum + (rule.latencyMs ?? 0), 0),
      jitterMs: rules.reduce((sum, rule) => sum + (rule.jitterMs ?? 0), 0),
      held: rules.some((rule) => rule.blackhole === true),
      corruptOneIn: least(rules.map((rule) => rule.corruptOneIn)),
      bytesPerSecond: least(rules.map((rule) => rule.bytesPerSecond)),
    }
  }
}
