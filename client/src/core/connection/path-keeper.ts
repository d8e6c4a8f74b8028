/** What happens to paths: they open, close, are judged, move, retire. Joins the table, the watch and the hello to the sender. */
import type { AckTracker } from './ack-tracker.ts'
import type { Outbox } from './outbox.ts'
import type { PacketBuilder } from './packet-builder.ts'
import type { Path } from './path.ts'
import type { PathHello } from './path-hello.ts'
import type { Move, PathTable } from './path-table.ts'
import type { PathWatch } from './path-watch.ts'
import type { Sender } from './sender.ts'
import type { ConnectionTuning } from './tuning.ts'
import type { MoveReason } from './types.ts'

/** Round trips are told to the ranking this often. */
const sampleEveryMs = 1_000
/** A path that is not in the plan closes when it was quiet for this long: the peer's last packets are through. */
const retireQuietMs = 1_000

export interface KeeperNeeds {
  readonly nowMs: number
  readonly tuning: ConnectionTuning
  readonly outbox: Outbox
  readonly table: PathTable
  readonly sender: Sender
  readonly acks: AckTracker
  readonly builder: PacketBuilder
  readonly hello: PathHello
  readonly watch: PathWatch
  /** The mode uses it. */
  carries(path: Path): boolean
}

/** The path we lost without another to go to. */
interface Loss {
  readonly relayId: string
  readonly why: MoveReason
  readonly resentPackets: number
  readonly rate: number | undefined
}

export class PathKeeper {
  readonly #needs: KeeperNeeds
  /** When to say again that there is no path. */
  #wantPathsAtMs: number
  #suspectSaidAtMs = Number.NEGATIVE_INFINITY
  #loss: Loss | undefined
  #plannedAtMs = 0

  constructor(needs: KeeperNeeds) {
    this.#needs = needs
    this.#wantPathsAtMs = needs.nowMs + needs.tuning.wantPathsEveryMs
  }

  /** The end-to-end handshake went both ways over it: an echo already, so the verdict need not wait for another. */
  proved(nowMs: number, path: Path): void {
    path.state = 'open'
    this.validated(nowMs, path)
  }

  /** The path's nonce came back, or something as good. */
  validated(nowMs: number, path: Path): void {
    const { outbox, watch, tuning, table } = this.#needs
    path.provedAtMs = nowMs
    path.progressAtMs = nowMs
    path.probes = 0
    path.swallowed = 0
    path.suspicion = undefined
    outbox.event({ type: 'path_opened', pathId: path.pathId, relayId: path.relayId, rttMs: path.rtt.srttMs ?? 0 })
    watch.onOpened(nowMs, path)
    this.#reconsider(nowMs)
    path.idlePingAtMs = path === table.active ? nowMs : nowMs - tuning.idlePingMs / 2
  }

  pathClosed(nowMs: number, pathId: number, reason: string): void {
    const { table, outbox, sender, acks } = this.#needs
    const path = table.all.get(pathId)
    if (path === undefined) return
    const wasOpen = path.open
    table.all.delete(pathId)
    path.state = 'bad'
    const resent = sender.flights.losePath(path)
    acks.forget(nowMs, pathId)
    table.forget(path)
    if (wasOpen) outbox.event({ type: 'path_closed', pathId, relayId: path.relayId, reason })
    this.#apply(nowMs, table.flee(path, 'path_closed'), resent)
  }

  /** The path failed, by our own verdict. */
  judged(nowMs: number, path: Path, why: MoveReason): void {
    const { table, builder, acks, sender } = this.#needs
    if (why === 'relay_wait') {
      // The relay is slow, perhaps for ever: what it holds may arrive late, so it goes the other way as well.
      this.#apply(nowMs, table.flee(path, why), sender.flights.losePath(path))
      return
    }
    builder.queue({ type: 'pathBad', relayId: path.relayId })
    acks.repeat(nowMs)
    this.#demote(nowMs, path, why)
    this.wanted(nowMs)
  }

  /** It is silent, and the modes have no other in its place: it stays, and what may go another way does. */
  doubted(nowMs: number, path: Path): void {
    const { table, sender } = this.#needs
    this.#apply(nowMs, table.flee(path, 'silent'), sender.flights.loseOwn(path))
    this.wanted(nowMs)
  }

  /** The peer suspects it. Death can be one way, so what we see ourselves does not matter. */
  peerSaysBad(nowMs: number, relayId: string): void {
    for (const path of this.#needs.table.all.values()) {
      if (path.open && path.relayId === relayId) this.#demote(nowMs, path, 'peer_says_bad')
    }
  }

  /** The mode moves new data to another path. */
  roam(nowMs: number, to: Path): void {
    this.#apply(nowMs, this.#needs.table.moveTo(to), 0)
  }

  planned(nowMs: number): void {
    this.#plannedAtMs = nowMs
    this.#reconsider(nowMs)
  }

  /** More paths would help. */
  wanted(nowMs: number): void {
    const { outbox, tuning } = this.#needs
    if (nowMs < this.#suspectSaidAtMs + tuning.wantPathsEveryMs) return
    this.#suspectSaidAtMs = nowMs
    outbox.effect({ type: 'wantPaths', why: 'suspect' })
  }

  sample(nowMs: number, path: Path, rttMs: number): void {
    path.measured(nowMs, rttMs)
    if (nowMs < path.sampledAtMs + sampleEveryMs) return
    path.sampledAtMs = nowMs
    const { pathId, relayId, rtt } = path
    // The least of the last half minute: a smoothed value of an idle path is its first ping, sent while the process was still cold.
    this.#needs.outbox.effect({ type: 'sample', pathId, relayId, rttMs: rtt.minMs ?? rttMs, varMs: rtt.varMs })
  }

  /** Where acks go: the path that brought the newest kept packet, unless somebody doubts it. */
  ackPath(): Path | undefined {
    const { table, acks } = this.#needs
    const newest = acks.newestPathId === undefined ? undefined : table.all.get(acks.newestPathId)
    if (newest !== undefined && newest.state !== 'bad') return newest
    const open = table.active ?? table.best()
    if (open !== undefined) return open
    let heard: Path | undefined
    for (const path of table.all.values()) if (heard === undefined || path.heardAtMs > heard.heardAtMs) heard = path
    return heard
  }

  closeAll(reason: string): void {
    const { table, outbox } = this.#needs
    for (const path of table.all.values()) {
      table.forget(path)
      outbox.effect({ type: 'closePath', pathId: path.pathId, reason })
    }
    table.all.clear()
    table.active = undefined
  }

  wakeAtMs(over: boolean): number {
    if (over) return Number.POSITIVE_INFINITY
    const { table, watch } = this.#needs
    let at = table.active === undefined ? this.#wantPathsAtMs : Number.POSITIVE_INFINITY
    for (const path of table.all.values()) {
      at = Math.min(at, path.open ? watch.wakeAtMs(path) : path.nextHelloAtMs)
      // Whether the mode uses it takes longer to know than when that would matter.
      const pingAtMs = path.open ? watch.idlePingAtMs(path) : at
      if (pingAtMs < at && (path === table.active || this.#keptWarm(path, table.standby()))) at = pingAtMs
      if (path.retiring && this.#mayRetire(path)) at = Math.min(at, this.#retiresAtMs(path))
    }
    return at
  }

  wake(nowMs: number, over: boolean): void {
    if (over) return
    const { table, hello, watch, tuning, outbox } = this.#needs
    const standby = table.standby()
    for (const path of table.all.values()) {
      hello.wake(nowMs, path)
      watch.wake(nowMs, path, watch.idlePingAtMs(path) <= nowMs && this.#keptWarm(path, standby))
      if (path.retiring && this.#mayRetire(path) && this.#retiresAtMs(path) <= nowMs) this.#retire(path)
    }
    if (table.active === undefined && this.#wantPathsAtMs <= nowMs) {
      this.#wantPathsAtMs = nowMs + tuning.wantPathsEveryMs
      outbox.effect({ type: 'wantPaths', why: 'no_path' })
    }
  }

  /** Not to be used until it validated itself again; all that was only on it goes elsewhere. */
  #demote(nowMs: number, path: Path, why: MoveReason): void {
    const { table, outbox, sender, hello } = this.#needs
    path.state = 'bad'
    path.suspicion = undefined
    path.waiting = undefined
    path.probes = 0
    path.swallowed = 0
    path.pings.clear()
    const resent = sender.flights.losePath(path)
    outbox.event({ type: 'path_bad', pathId: path.pathId, relayId: path.relayId, why })
    hello.restart(nowMs, path)
    this.#apply(nowMs, table.flee(path, why), resent)
  }

  #reconsider(nowMs: number): void {
    this.#apply(nowMs, this.#needs.table.reconsider(), 0)
  }

  #apply(nowMs: number, move: Move | undefined, resentPackets: number): void {
    if (move === undefined) return
    const { table, outbox } = this.#needs
    const { from, to, why } = move
    outbox.event({ type: 'path_moved', from: from?.relayId ?? null, to: to?.relayId ?? null, why })
    if (to === undefined) {
      if (from !== undefined) this.#loss = { relayId: from.relayId, why, resentPackets, rate: from.rate.rate }
      this.#onNoPath(nowMs)
      return
    }
    const loss = from === undefined ? this.#loss : { relayId: from.relayId, why, resentPackets, rate: from.rate.rate }
    this.#loss = undefined
    if (loss === undefined || why === 'plan' || why === 'rotate') return
    table.failovers += 1
    to.rate.inherit(loss.rate)
    const { relayId: fromRelay, resentPackets: resent } = loss
    outbox.event({ type: 'failover', fromRelay, toRelay: to.relayId, why: loss.why, resentPackets: resent })
  }

  /** Keep all, ask everyone: paths that were set aside may be back. */
  #onNoPath(nowMs: number): void {
    const { table, outbox, hello, tuning } = this.#needs
    this.#wantPathsAtMs = nowMs + tuning.wantPathsEveryMs
    outbox.effect({ type: 'wantPaths', why: 'no_path' })
    for (const path of table.all.values()) {
      path.nextHelloAtMs = nowMs
      hello.wake(nowMs, path)
    }
  }

  /** Worth a ping when nothing is sent: it may be needed at once. */
  #keptWarm(path: Path, standby: Path | undefined): boolean {
    return path === this.#needs.table.active || path === standby || this.#needs.carries(path)
  }

  #mayRetire(path: Path): boolean {
    const { table } = this.#needs
    const { active } = table
    if (path === active || !active?.open || active.retiring || active.waiting !== undefined || path.oldestFlight() !== undefined)
      return false
    for (const other of table.all.values()) if (other !== active && other.open && !other.retiring) return true
    return false
  }

  #retiresAtMs(path: Path): number {
    return Math.max(this.#plannedAtMs, path.heardAtMs) + retireQuietMs
  }

  #retire(path: Path): void {
    const { table, outbox } = this.#needs
    table.all.delete(path.pathId)
    table.forget(path)
    path.state = 'bad'
    outbox.effect({ type: 'closePath', pathId: path.pathId, reason: 'not_in_plan' })
    outbox.event({ type: 'path_closed', pathId: path.pathId, relayId: path.relayId, reason: 'not_in_plan' })
  }
}
