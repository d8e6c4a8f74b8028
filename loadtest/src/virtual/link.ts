// What lies between one client and one relay: its delays, the faults in force on it, and the pipes that go through it.
import type { Direction, LinkRule } from '../network-script.ts'
import { Line, type LineEnds, type LineRule, type SpecialRule } from './line.ts'
import type { World } from './world.ts'

export type { Direction } from '../network-script.ts'

/** What a fault changes: the rules of the fault proxy, and what only a simulated link can do. */
export interface LinkFault extends LinkRule {
  readonly bytesPerMs?: number
  /** A dial takes so much longer. */
  readonly slowDialMs?: number
}

/** What a link is like without any fault. */
export interface LinkNature {
  /** One way. */
  readonly latencyMs: number
  readonly jitterMs: number
  readonly bytesPerMs: number
  /** Bytes a pipe holds in one direction before its writer has to wait. */
  readonly capacityBytes: number
  readonly cutShare: number
  /** Share of dials that fail for no reason. */
  readonly dialFailShare: number
}

/** One carrier connection. Each side is open until it closed it or was told; a host that vanished tells nobody. */
export interface Pipe {
  readonly number: number
  readonly link: Link
  readonly up: Line
  readonly down: Line
  /** The client machine's key. */
  readonly clientKey: number
  readonly carrier: string
  clientOpen: boolean
  /** The relay machine's key, once it was accepted. */
  relayKey: number | undefined
  relayOpen: boolean
}

export class Link {
  readonly client: string
  readonly relay: string
  /** Which of the client's links to the relay, from 1. */
  readonly number: number
  readonly pipes: Set<Pipe> = new Set()
  readonly nature: LinkNature
  rules: Record<Direction, LineRule>
  refuses = false
  /** Something on the way answers in the relay's place. */
  captive = false
  /** The relay's name is not found. */
  nameless = false
  slowDialMs = 0
  readonly #world: World
  readonly #faults = new Map<string, LinkFault>()
  #pipes = 0

  constructor(world: World, client: string, relay: string, nature: LinkNature, number = 1) {
    this.#world = world
    this.client = client
    this.relay = relay
    this.nature = nature
    this.number = number
    this.rules = { up: this.#rule('up'), down: this.#rule('down') }
  }

  get name(): string {
    return this.number === 1 ? `${this.client}~${this.relay}` : `${this.client}~${this.relay}#${this.number}`
  }

  get faulty(): boolean {
    return this.#faults.size > 0
  }

  /** Puts a fault in force, on pipes that live and those to come. */
  apply(name: string, fault: LinkFault): void {
    this.#faults.set(name, fault)
    this.#refresh()
  }

  /** Takes it away; what it held goes on at once. */
  heal(name: string): boolean {
    const had = this.#faults.delete(name)
    this.#refresh()
    return had
  }

  healAll(): void {
    this.#faults.clear()
    this.#refresh()
  }

  /** Every pipe is reset, and both ends are told. */
  reset(): void {
    for (const pipe of this.pipes) {
      pipe.up.put({ type: 'end', code: 'connection_reset' }, 0)
      pipe.down.put({ type: 'end', code: 'connection_reset' }, 0)
    }
  }

  /** Pipes are dead: neither end is told, and nothing comes through any more. New ones pass. */
  strand(): void {
    for (const pipe of this.pipes) for (const line of [pipe.up, pipe.down]) line.strand()
  }

  /** The same, but the relay is told that its end was reset. */
  halfOpen(): void {
    for (const { up, down } of this.pipes) {
      down.strand()
      up.clear()
      up.put({ type: 'end', code: 'connection_reset' }, 0)
    }
  }

  open(clientKey: number, carrier: string, ends: (pipe: () => Pipe) => Record<Direction, LineEnds>): Pipe {
    this.#pipes += 1
    for (const pipe of this.pipes) if (!pipe.clientOpen && !pipe.relayOpen && pipe.up.empty && pipe.down.empty) this.pipes.delete(pipe)
    const { capacityBytes, cutShare } = this.nature
    const line = (direction: Direction): Line =>
      new Line({ world: this.#world, rule: () => this.rules[direction], ends: bothEnds[direction], capacityBytes, cutShare })
    const bothEnds = ends(() => pipe)
    const pipe: Pipe = {
      number: this.#pipes,
      link: this,
      up: line('up'),
      down: line('down'),
      clientKey,
      carrier,
      clientOpen: true,
      relayKey: undefined,
      relayOpen: false,
    }
    this.pipes.add(pipe)
    return pipe
  }

  #refresh(): void {
    this.rules = { up: this.#rule('up'), down: this.#rule('down') }
    const faults = [...this.#faults.values()]
    this.refuses = faults.some((fault) => fault.refuse === true)
    this.captive = faults.some((fault) => fault.captive === true)
    this.nameless = faults.some((fault) => fault.nameless === true)
    this.slowDialMs = Math.max(0, ...faults.map((fault) => fault.slowDialMs ?? 0))
    for (const pipe of [...this.pipes]) {
      pipe.up.pump()
      pipe.down.pump()
    }
  }

  #rule(direction: Direction): LineRule {
    let { latencyMs, jitterMs, bytesPerMs } = this.nature
    let held = false
    let corruptOneIn = 0
    for (const fault of this.#faults.values()) {
      if (fault.directions !== undefined && !fault.directions.includes(direction)) continue
      latencyMs += fault.latencyMs ?? 0
      jitterMs += fault.jitterMs ?? 0
      const { bytesPerSecond = Number.POSITIVE_INFINITY } = fault
      bytesPerMs = Math.min(bytesPerMs, fault.bytesPerMs ?? Number.POSITIVE_INFINITY, bytesPerSecond / 1_000)
      held ||= fault.held ?? false
      const every = fault.corruptOneIn ?? 0
      if (every > 0) corruptOneIn = corruptOneIn === 0 ? every : Math.min(corruptOneIn, every)
    }
    const special = this.#special(direction)
    const flipBits = Math.max(0, ...[...this.#faults.values()].map((fault) => fault.flipBits ?? 0))
    if (flipBits > 0)
      return { latencyMs, jitterMs, bytesPerMs, held, corruptOneIn, flipBits, ...(special === undefined ? {} : { special }) }
    return { latencyMs, jitterMs, bytesPerMs, held, corruptOneIn, ...(special === undefined ? {} : { special }) }
  }

  #special(direction: Direction): SpecialRule | undefined {
    const faults = [...this.#faults.values()].filter((fault) => fault.directions?.includes(direction) ?? true)
    const least = (key: 'mtuBytes' | 'limitBytes' | 'sliceBytes'): number =>
      Math.min(Number.POSITIVE_INFINITY, ...faults.map((fault) => fault[key] ?? Number.POSITIVE_INFINITY))
    const most = (key: 'sliceDelayMs' | 'lossShare' | 'lossDelayMs' | 'endDelayMs'): number =>
      Math.max(0, ...faults.map((fault) => fault[key] ?? 0))
    const rule: SpecialRule = {
      mtuBytes: least('mtuBytes'),
      limitBytes: least('limitBytes'),
      sliceBytes: least('sliceBytes'),
      sliceDelayMs: most('sliceDelayMs'),
      lossShare: most('lossShare'),
      lossDelayMs: most('lossDelayMs'),
      endDelayMs: most('endDelayMs'),
    }
    return Object.values(rule).some((value) => value !== 0 && value !== Number.POSITIVE_INFINITY) ? rule : undefined
  }
}
