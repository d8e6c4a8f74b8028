/**
 * Watches paths for silence. A path is bad only **relative to another**: when something sent on it is not answered in time, it is probed, and
 * its oldest packet (or a ping) goes once over another path as well; when that was answered and this path stayed silent for another while,
 * it is judged. With no other path to compare, everything is kept and probed, and more paths are asked for. So is a path that a mode cannot do
 * without (one of three of `split(3)`): the others carry nothing without it, so leaving it would only lose what it still brings, if late.
 */
import type { Outbox } from './outbox.ts'
import type { Path, Suspicion } from './path.ts'
import type { PathTable } from './path-table.ts'
import type { Sender } from './sender.ts'
import type { ConnectionTuning } from './tuning.ts'
import type { MoveReason } from './types.ts'

/** Answers that may be awaited on one path; older ones are forgotten. */
const pingsMax = 8
/** Window in which forged payloads are counted. */
const forgedWindowMs = 10_000

export interface WatchNeeds {
  readonly tuning: ConnectionTuning
  readonly outbox: Outbox
  readonly table: PathTable
  readonly sender: Sender
  /** How much longer than usual the ack of a packet may take. */
  readonly ackExtraMs: () => number
  /** The verdict: the path is not to be used until it proved itself again. Called only when another one is open. */
  judged(nowMs: number, path: Path, why: MoveReason): void
  /** Whether enough other paths are open for the modes of both directions. */
  canLeave(path: Path): boolean
  /** Silent like one that is judged, and kept because it cannot be left. */
  doubted(nowMs: number, path: Path): void
  /** More paths would help; said again while it lasts. */
  wanted(nowMs: number): void
}

export class PathWatch {
  readonly #needs: WatchNeeds
  #nextPingId = 1
  /** Asked for while there was no path. */
  #unsentPings: number[] = []

  constructor(needs: WatchNeeds) {
    this.#needs = needs
  }

  /** A sealed ping, on the first path that opens when there is none. @returns its id */
  ping(nowMs: number, path: Path | undefined): number {
    const id = this.#nextPingId
    this.#nextPingId += 1
    if (path !== undefined) this.#send(nowMs, path, id)
    else if (this.#unsentPings.length < pingsMax) this.#unsentPings.push(id)
    return id
  }

  #send(nowMs: number, path: Path, id: number): void {
    if (path.pings.size >= pingsMax) path.pings.delete(path.pings.keys().next().value!)
    path.pings.set(id, nowMs)
    this.#needs.outbox.loose(path, [{ type: 'ping', id }])
  }

  /** @returns the round trip, undefined when nobody waited for it any more */
  onPong(nowMs: number, path: Path, id: number): number | undefined {
    const sentAtMs = path.pings.get(id)
    if (sentAtMs === undefined) return undefined
    // First in, first out: an answer to this one means that no earlier one is still to come, unless it is lost.
    for (const [other, otherAtMs] of path.pings) if (otherAtMs <= sentAtMs) path.pings.delete(other)
    const oldest = path.oldestFlight()
    if (oldest !== undefined && oldest.sentAtMs < sentAtMs && path.probes > 0) {
      path.swallowed += 1
      path.swallowedBeforeMs = sentAtMs
    }
    for (const suspect of this.#needs.table.all.values()) {
      const challenge = suspect.suspicion?.challenge
      if (suspect !== path && challenge?.path === path && challenge.pingId === id) this.#challengeAnswered(nowMs, suspect)
    }
    this.onProof(nowMs, path)
    return nowMs - sentAtMs
  }

  /** A round trip on this path was proved. */
  onProof(nowMs: number, path: Path): void {
    path.provedAtMs = nowMs
    path.probes = 0
    path.suspicion = undefined
  }

  /** An ack was taken in: copies sent over other paths may have been answered. */
  onAcked(nowMs: number): void {
    for (const path of this.#needs.table.all.values()) {
      const { suspicion, waiting } = path
      if (suspicion?.challenge?.packet?.acked && suspicion.judgeAtMs === undefined) this.#challengeAnswered(nowMs, path)
      if (waiting?.tried?.acked) {
        waiting.tried = undefined
        this.#needs.judged(nowMs, path, 'relay_wait')
      }
    }
  }

  /** A path opened: those under suspicion can be compared with it at once. */
  onOpened(nowMs: number, opened: Path): void {
    this.ping(nowMs, opened)
    for (const id of this.#unsentPings.splice(0)) this.#send(nowMs, opened, id)
    for (const path of this.#needs.table.all.values()) if (path.suspicion !== undefined) this.#challenge(nowMs, path, path.suspicion)
  }

  /** A payload on this path was not what the peer sealed. */
  onForged(nowMs: number, path: Path): void {
    const { tuning, table } = this.#needs
    path.forgedAtMs.push(nowMs)
    while (path.forgedAtMs[0]! < nowMs - forgedWindowMs) path.forgedAtMs.shift()
    if (path.forgedAtMs.length < tuning.forgedMax) return
    path.forgedAtMs.length = 0
    if (path.open && table.best(path) !== undefined) this.#needs.judged(nowMs, path, 'corrupt')
    else this.#needs.wanted(nowMs)
  }

  /** The process slept: what was silent may only have been unread. Nobody is judged, everybody is probed. */
  probeAll(nowMs: number, forgive: boolean): void {
    for (const path of this.#needs.table.all.values()) {
      if (forgive) {
        path.suspicion = undefined
        path.probes = 0
        path.provedAtMs = nowMs
        path.pings.clear()
        if (path.waiting !== undefined) path.waiting.saidAtMs = nowMs
      }
      if (path.open) this.ping(nowMs, path)
      else path.nextHelloAtMs = nowMs
    }
  }

  /** Of a path that is kept known to be alive, {@link idlePingAtMs} counts as well. */
  wakeAtMs(path: Path): number {
    return Math.min(this.#probeAtMs(path), this.#judgeAtMs(path), this.#waitTryAtMs(path))
  }

  /** @param kept whether it is to be known alive */
  wake(nowMs: number, path: Path, kept: boolean): void {
    if (!path.open) return
    this.#dropStaleWait(nowMs, path)
    if (this.#judgeAtMs(path) <= nowMs && this.#judge(nowMs, path)) return
    if (this.#probeAtMs(path) <= nowMs) this.#probe(nowMs, path)
    if (kept && this.idlePingAtMs(path) <= nowMs) {
      path.idlePingAtMs = nowMs
      this.ping(nowMs, path)
    }
    if (this.#waitTryAtMs(path) <= nowMs) this.#tryElsewhere(nowMs, path)
  }

  /** When something on this path should have been answered. Stands still while the relay says "please wait". */
  #probeAtMs(path: Path): number {
    if (path.waiting !== undefined) return path.waiting.saidAtMs + this.#needs.tuning.waitStaleMs
    const flight = path.oldestFlight()
    let since = flight === undefined ? Number.POSITIVE_INFINITY : flight.sentAtMs + this.#needs.ackExtraMs()
    if (path.pings.size > 0)
      for (const sentAtMs of path.pings.values()) {
        since = Math.min(since, sentAtMs)
        break
      }
    if (since === Number.POSITIVE_INFINITY) return since
    const { tuning } = this.#needs
    const base = Math.max(since, path.progressAtMs, path.provedAtMs, path.probes > 0 ? path.probedAtMs : 0)
    const onceMs = path.rtt.probeTimeoutMs(tuning)
    const timeoutMs = path.probes === 0 ? onceMs : onceMs * 2 ** Math.min(path.probes, 16)
    return base + Math.min(timeoutMs, Math.max(tuning.probePauseMaxMs, onceMs))
  }

  #probe(nowMs: number, path: Path): void {
    const { tuning, table, sender } = this.#needs
    const swallows = path.swallowed > 0 && path.oldestFlight() !== undefined
    if (swallows && path.swallowed >= tuning.swallowedProbes && table.best(path) !== undefined) {
      path.swallowed = 0
      this.#needs.judged(nowMs, path, 'silent')
      return
    }
    // Answered, and nothing that was sent before: all of it counts as lost, not only the oldest. At the second, fourth, eighth … such probe, because a
    // ping may overtake what waits at the start of a slow link.
    if (swallows && !sender.echoed && path.swallowed > 1 && Number.isInteger(Math.log2(path.swallowed)))
      sender.flights.loseBefore(path, path.swallowedBeforeMs)
    path.probes += 1
    path.probedAtMs = nowMs
    this.ping(nowMs, path)
    path.suspicion ??= doubt(nowMs, false)
    this.#challenge(nowMs, path, path.suspicion)
    // Pings come back and the packet does not: its own path is the only place left to send it again.
    if (swallows && path.suspicion.challenge === undefined) sender.resendOldest(nowMs, path)
  }

  /** Asks another path what this one does not answer; once, unless the other one is gone or silent too by now. */
  #challenge(nowMs: number, path: Path, suspicion: Suspicion): void {
    const { table, sender } = this.#needs
    if (suspicion.judgeAtMs !== undefined) return
    const asked = suspicion.challenge?.path
    if (asked?.open && asked.suspicion === undefined && asked.waiting === undefined) return
    const other = table.best(path)
    // Nobody to compare with, or only somebody as silent or held up.
    if (other === undefined || other.suspicion !== undefined || other.waiting !== undefined) this.#needs.wanted(nowMs)
    if (other === undefined || other === asked) return
    const packet = path.oldestFlight()?.packet
    if (packet?.acked) {
      // It arrived another way already, which is the answer.
      suspicion.challenge = { path: other, packet, pingId: undefined }
      this.#challengeAnswered(nowMs, path)
      return
    }
    if (packet !== undefined && sender.copy(nowMs, packet, other)) suspicion.challenge = { path: other, packet, pingId: undefined }
    // Nothing to copy, or no credit for it there: a ping asks the same of the other path.
    else suspicion.challenge = { path: other, packet: undefined, pingId: this.ping(nowMs, other) }
  }

  #challengeAnswered(nowMs: number, path: Path): void {
    const { tuning } = this.#needs
    if (path.suspicion === undefined || path.suspicion.judgeAtMs !== undefined) return
    path.suspicion.judgeAtMs = nowMs + Math.max(tuning.verdictSilenceMs, 2 * path.rtt.probeTimeoutMs(tuning))
  }

  #judgeAtMs(path: Path): number {
    if (path.suspicion === undefined || path.waiting !== undefined) return Number.POSITIVE_INFINITY
    return path.suspicion.turnAtMs ?? path.suspicion.judgeAtMs ?? Number.POSITIVE_INFINITY
  }

  /** @returns whether the verdict was spoken */
  #judge(nowMs: number, path: Path): boolean {
    const { tuning, table } = this.#needs
    const suspicion = path.suspicion!
    if (suspicion.turnAtMs === undefined) {
      suspicion.turnAtMs = nowMs + tuning.verdictTurnMs
      return false
    }
    if (table.best(path) === undefined) {
      // The witness is gone; nothing to compare with any more.
      path.suspicion = doubt(suspicion.sinceMs, suspicion.kept)
      this.#needs.wanted(nowMs)
      return false
    }
    if (!this.#needs.canLeave(path)) {
      // It is compared again at each probe: by then there may be another one in its place.
      path.suspicion = doubt(suspicion.sinceMs, true)
      this.#needs.doubted(nowMs, path)
      return false
    }
    this.#needs.judged(nowMs, path, 'silent')
    return true
  }

  /** When a path that carries, or may have to at once, is asked for a sign of life. */
  idlePingAtMs(path: Path): number {
    return Math.max(path.heardAtMs, path.idlePingAtMs) + this.#needs.tuning.idlePingMs
  }

  /** The relay repeats "please wait" each second; when it stops doing so the path is watched like any other. */
  #dropStaleWait(nowMs: number, path: Path): void {
    const { waiting } = path
    if (waiting === undefined || nowMs < waiting.saidAtMs + this.#needs.tuning.waitStaleMs) return
    path.waiting = undefined
    path.starvedSinceMs = undefined
    path.provedAtMs = nowMs
    if (path.pings.size === 0) this.ping(nowMs, path)
  }

  /** When to try elsewhere. A relay that gives no credit counts like one that says "please wait". */
  #waitTryAtMs(path: Path): number {
    const { waiting, starvedSinceMs } = path
    if (waiting !== undefined) return waiting.nextTryAtMs
    return starvedSinceMs === undefined ? Number.POSITIVE_INFINITY : starvedSinceMs + this.#needs.tuning.waitElsewhereMs
  }

  /** Too long in "please wait": one packet goes another way; its ack moves us, and all that is held up, there. */
  #tryElsewhere(nowMs: number, path: Path): void {
    const { table, sender, tuning } = this.#needs
    const nextTryAtMs = nowMs + tuning.waitElsewhereMs
    const waiting = path.waiting ?? { sinceMs: nowMs, saidAtMs: nowMs, nextTryAtMs, tried: undefined }
    path.waiting = waiting
    waiting.nextTryAtMs = nextTryAtMs
    if (path !== table.active && path.oldestFlight() === undefined) return
    const other = table.best(path)
    if (other === undefined || other.waiting !== undefined) this.#needs.wanted(nowMs)
    if (other === undefined) return
    const oldest = path.oldestFlight()?.packet
    if (oldest !== undefined && !oldest.acked) {
      if (sender.copy(nowMs, oldest, other)) waiting.tried = oldest
    } else if (sender.wrapped === undefined && sender.step(nowMs, other)) {
      waiting.tried = sender.lastSent
    }
  }
}

function doubt(sinceMs: number, kept: boolean): Suspicion {
  return { sinceMs, challenge: undefined, judgeAtMs: undefined, turnAtMs: undefined, kept }
}
