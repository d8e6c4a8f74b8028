/**
 * How one end of a connection sends: the mode in force, its scheduler, and what happens when there are too few paths for it. A mode that cannot
 * hold its promise says so at once, and then waits or ends the connection, as asked; it never goes on as a weaker one.
 *
 * What a mode tolerates (the loss of n − 1 paths of `mirror(n)`, of n − k of `disperse(k,n)`) it tolerates for a while, in which the lost ones are
 * replaced. The machine's own words (plans, answers to them) go on the active path all the time, or nothing could ever be agreed.
 */
import { type CryptoProvider, type PacketHeader, type SessionSecrets, ShareEncoder } from '@sennit/protocol'
import { relayOf } from '../attach/links.ts'
import type { AckTracker } from '../connection/ack-tracker.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Path } from '../connection/path.ts'
import type { PathTable } from '../connection/path-table.ts'
import type { Sender } from '../connection/sender.ts'
import type { ConnectionTuning } from '../connection/tuning.ts'
import { apartness } from './apart.ts'
import { Best } from './best.ts'
import { Disperse } from './disperse.ts'
import { Mirror } from './mirror.ts'
import { formatMode, type PathMode, pathsLeast, pathsNeeded } from './mode.ts'
import { Pair } from './pair.ts'
import { Rotate } from './rotate.ts'
import { firstPaths, type Scheduler } from './scheduler.ts'
import type { SharesNeeds } from './shares.ts'
import { Split } from './split.ts'
import { Spread } from './spread.ts'

export interface RouteNeeds {
  readonly crypto: CryptoProvider
  readonly random: () => number
  readonly secrets: SessionSecrets
  readonly tuning: ConnectionTuning
  readonly outbox: Outbox
  readonly table: PathTable
  readonly sender: Sender
  /** New data goes on this path from now on. */
  move(nowMs: number, to: Path): void
  /** Too few paths for too long, and the application wants to be told rather than to wait. */
  failed(nowMs: number, message: string): void
}

/** Too few paths for the mode, since. */
interface Shortage {
  readonly sinceMs: number
  /** When to ask for paths again. */
  askAtMs: number
  /** Nothing of the application is sent. */
  blocked: boolean
}

export class Route {
  mode: PathMode
  whenShort: 'wait' | 'fail'
  readonly #needs: RouteNeeds
  #encoder: ShareEncoder | undefined
  #scheduler: Scheduler
  #receives: PathMode
  /** The mode that the scheduler was made for. */
  #made = ''
  /** The mode has had all its paths once. */
  #held: boolean
  #shortage: Shortage | undefined
  /** The other end does not know the mode, so it cannot be had. */
  #unknown = false

  constructor(needs: RouteNeeds, mode: PathMode, whenShort: 'wait' | 'fail', nowMs: number) {
    this.#needs = needs
    this.mode = mode
    this.#receives = mode
    this.whenShort = whenShort
    this.#scheduler = this.#make(nowMs, mode)
    this.#held = tolerant(mode)
    this.#use()
  }

  /** Something of the application waits for paths. */
  get blocked(): boolean {
    return this.#shortage?.blocked === true
  }

  /** Fewer paths than the mode promises. */
  get short(): boolean {
    return this.#shortage !== undefined
  }

  /** Both ends agreed on a plan. @param unknown the other end does not know such modes */
  change(nowMs: number, mode: PathMode, whenShort: 'wait' | 'fail', unknown: boolean): void {
    this.whenShort = whenShort
    this.#unknown = unknown
    this.mode = mode
    // What the other end does not know is not begun: it would not tell what arrives, nor put shares together.
    if (unknown) this.#held = false
    else if (formatMode(mode) !== this.#made) {
      this.#scheduler.end?.()
      this.#scheduler = this.#make(nowMs, mode)
      // What runs is not stopped for copies that are still to come; shares are another matter.
      this.#held = mode.kind !== 'split' && mode.kind !== 'disperse'
      this.#use()
    }
    this.look(nowMs)
  }

  /** Paths that new data goes on now: one, or as many as the mode uses at once. */
  inUse(): readonly Path[] {
    const { active } = this.#needs.table
    return this.#scheduler instanceof Best ? (active === undefined ? [] : [active]) : this.#scheduler.paths()
  }

  /** How the other end sends. */
  receives(acks: AckTracker, mode: PathMode): void {
    this.#receives = mode
    acks.copies = isEchoed(mode)
    acks.reorders = reorders(mode)
  }

  /** Whether the path is worth to be known alive when nothing is sent. */
  carries(path: Path): boolean {
    return this.#scheduler.paths().includes(path)
  }

  /**
   * Whether both directions can go on without the path: on others that answer, or on relays where both ends could have one. Another one is agreed on
   * only when this one is given up, because the other end may not see its silence. What is silent itself, or is dead, takes nobody's place.
   */
  canLeave(path: Path): boolean {
    const { table } = this.#needs
    const modes = [this.mode, this.#receives].filter((mode) => pathsLeast(mode) > 1)
    if (modes.length === 0) return true
    const paths = [...table.all.values()]
    const silent = new Set(paths.filter((other) => other === path || isSilent(other)).map(({ relayId }) => relayId))
    // An older circuit at a relay says nothing against a newer one that answers.
    for (const other of paths) if (other !== path && other.open && !isSilent(other)) silent.delete(other.relayId)
    const others = new Set(table.known.filter((relayId) => !silent.has(relayId)).map(relayOf))
    return modes.every((mode) => {
      const least = pathsLeast(mode)
      const open = firstPaths(table, least, apartness(mode), path)
      return others.size >= least || (open.length === least && !open.some(isSilent))
    })
  }

  /** @returns how many packets went; `burst` asks to be called again */
  send(nowMs: number, burst: number): number {
    if (this.mode.kind !== 'best' || this.#unknown) this.look(nowMs)
    if (this.#shortage?.blocked === true) return this.#sendOwn(nowMs, burst)
    // In shares it would wait for a silent path.
    const own = this.#scheduler.pathsMin > 1 && this.#scheduler.paths().some(isKept) ? this.#sendOwn(nowMs, burst) : 0
    return own + this.#scheduler.send(nowMs, burst - own)
  }

  /** Paths that a datagram of so many bytes would go on now; none when it is better dropped. */
  ways(bytes: number): readonly Path[] {
    return this.blocked ? [] : this.#scheduler.ways(bytes)
  }

  /** Sends a sealed datagram, once, on `ways`. */
  sendDatagram(ways: readonly Path[], header: PacketHeader, pieces: Uint8Array[], bytes: number): void {
    const { outbox } = this.#needs
    const shares = this.#scheduler.cut?.(header, pieces)
    ways.forEach((path, place) => {
      const share = shares?.[place]
      if (share === undefined) outbox.send(path, header, pieces, bytes)
      else outbox.send(path, share.header, share.pieces, share.bytes)
    })
  }

  /** Paths came or went. */
  look(nowMs: number): void {
    const { outbox, tuning } = this.#needs
    const need = pathsNeeded(this.mode)
    if (need === 1 && !this.#unknown) {
      if (this.#shortage !== undefined) this.#whole()
      return
    }
    const have = this.#unknown ? 0 : this.#scheduler.paths().length
    if (have >= need) {
      this.#held = true
      if (this.#shortage !== undefined) this.#whole()
      return
    }
    if (this.#shortage === undefined) {
      this.#shortage = { sinceMs: nowMs, askAtMs: nowMs, blocked: false }
      outbox.event({ type: 'paths_short', mode: formatMode(this.mode), have, need })
    }
    if (nowMs >= this.#shortage.askAtMs) {
      this.#shortage.askAtMs = nowMs + tuning.wantPathsEveryMs
      outbox.effect({ type: 'wantPaths', why: 'short' })
    }
    const late = nowMs >= this.#shortage.sinceMs + tuning.pathsGraceMs
    this.#shortage.blocked = late || !this.#held || have < this.#scheduler.pathsMin
    if (!late || this.whenShort === 'wait') return
    const why = this.#unknown ? 'the other end does not know it' : `it needs ${need} relays apart and has ${have}`
    this.#needs.failed(nowMs, `paths ${formatMode(this.mode)}: ${why}, for ${Math.round(tuning.pathsGraceMs / 1_000)} s`)
  }

  wake(nowMs: number): void {
    this.#scheduler.wake?.(nowMs)
    if (nowMs >= this.#lookAtMs()) this.look(nowMs)
  }

  wakeAtMs(): number {
    return Math.min(this.#scheduler.wakeAtMs?.() ?? Number.POSITIVE_INFINITY, this.#lookAtMs())
  }

  #lookAtMs(): number {
    const shortage = this.#shortage
    if (shortage === undefined) return Number.POSITIVE_INFINITY
    const waits = shortage.blocked && this.whenShort === 'wait'
    return waits ? shortage.askAtMs : Math.min(shortage.askAtMs, shortage.sinceMs + this.#needs.tuning.pathsGraceMs)
  }

  #whole(): void {
    this.#shortage = undefined
    this.#needs.outbox.event({ type: 'paths_whole', mode: formatMode(this.mode) })
  }

  #sendOwn(nowMs: number, burst: number): number {
    const { table, sender } = this.#needs
    let sent = 0
    if (table.active !== undefined) while (sent < burst && sender.stepOwn(nowMs, table.active)) sent += 1
    return sent
  }

  /** The sender and the table do as the scheduler needs it. */
  #use(): void {
    const { sender, table } = this.#needs
    const { echoed } = this.#scheduler
    if (sender.echoed && !echoed) sender.flights.settle(table.all.values())
    sender.echoed = echoed
    table.roams = this.#scheduler instanceof Rotate
  }

  #make(nowMs: number, mode: PathMode): Scheduler {
    const needs = this.#needs
    this.#made = formatMode(mode)
    switch (mode.kind) {
      case 'best':
        return new Best(needs)
      case 'pair':
        return new Pair(needs)
      case 'rotate':
        return new Rotate(needs, mode, nowMs)
      case 'spread':
        return new Spread(needs)
      case 'mirror':
        return new Mirror(needs, mode.n)
      case 'split':
        return new Split(this.#sharesNeeds(), mode.n)
      case 'disperse':
        return new Disperse(this.#sharesNeeds(), mode.k, mode.n)
    }
  }

  /** One encoder for the whole connection: it counts the sets of shares. */
  #sharesNeeds(): SharesNeeds {
    const { table, sender, crypto, secrets } = this.#needs
    this.#encoder ??= new ShareEncoder(crypto, secrets)
    return { table, sender, encoder: this.#encoder }
  }
}

/** Begins with what paths there are, and is whole a moment later: its promise is about the relays over time. */
function tolerant(mode: PathMode): boolean {
  return mode.kind !== 'mirror' && mode.kind !== 'split' && mode.kind !== 'disperse'
}

function isSilent(path: Path): boolean {
  return path.state === 'bad' || path.suspicion !== undefined
}

function isKept(path: Path): boolean {
  return path.suspicion?.kept === true
}

/** Whether the sender of this mode wants to be told what arrives on each path. */
export function isEchoed(mode: PathMode): boolean {
  return mode.kind === 'mirror' || mode.kind === 'split' || mode.kind === 'disperse'
}

/** Whether packets of this mode overtake each other on their ways. */
export function reorders(mode: PathMode): boolean {
  return mode.kind !== 'best' && mode.kind !== 'pair'
}
