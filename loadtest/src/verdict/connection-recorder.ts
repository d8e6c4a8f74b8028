// What becomes of clients and of their connections, as the runner tells it.
import { isExpected } from './expectations.ts'
import { type FlowEnd, flowEnd } from './flow-end.ts'
import type { Side } from './recorded.ts'
import { RecordedRun } from './recorded-run.ts'

/** What a timer is late by is no wait. */
const heldMsMin = 100

export abstract class ConnectionRecorder extends RecordedRun {
  // Clients

  /** `tookMs`: from the first dial to the first relay that let it in. */
  clientAttached(nowMs: number, client: number, tookMs?: number): void {
    this.at(nowMs)
    const record = this.clients[client]!
    if (record.attachMs === null) record.attachMs = nowMs
    if (tookMs !== undefined) this.windowed.recordClient('handshake_time', nowMs, tookMs, client)
    if (record.state !== 'attached') this.phases.attached(nowMs, client)
    record.state = 'attached'
  }

  /** Its turn came so late: what began before it took longer than was planned. */
  clientHeld(nowMs: number, client: number, heldMs: number): void {
    this.at(nowMs)
    if (heldMs >= heldMsMin) this.clients[client]!.heldMs = heldMs
  }

  /** Refused for good, or given up. */
  clientRejected(nowMs: number, client: number, code: string, message: string): void {
    this.at(nowMs)
    this.clients[client]!.state = 'rejected'
    this.clients[client]!.error = code
    this.error(nowMs, code, message)
  }

  /** It ended as planned, or with a code when it did not. */
  clientDetached(nowMs: number, client: number, code = ''): void {
    this.at(nowMs)
    if (this.clients[client]!.state === 'attached') this.phases.detached(nowMs, client)
    this.clients[client]!.state = 'detached'
    if (code !== '') this.clients[client]!.error = code
  }

  /** A start that was due could not even be tried. */
  startDropped(nowMs: number, why: string): void {
    this.at(nowMs)
    this.droppedStarts += 1
    this.error(nowMs, 'start_dropped', why)
  }

  // Connections

  /** A connection of which only the listening end is here was accepted. */
  connectionAccepted(nowMs: number, flow: number): void {
    this.at(nowMs)
    this.flows[flow]!.state = 'open'
  }

  /** The connections that the flow had are over, and another one comes: what was sent over them and has not come yet may come or not. */
  connectionReplaced(nowMs: number, flow: number): void {
    this.at(nowMs)
    this.#cut(flow)
  }

  /** `connectMs` is from the call of `connect` to the connection. */
  connectionOpened(nowMs: number, flow: number, connectMs: number): void {
    this.at(nowMs)
    const record = this.flows[flow]!
    if (record.state === 'broken') {
      // The next session hides nothing: the last one did not come back.
      if (!isExpected(this.plan, this.plan.flows[flow]!, 'disconnected')) record.neverRecovered = true
      this.#cut(flow)
    }
    // Those of the last one are nobody's ends any more.
    if (record.opened > 0) record.withoutPathSinceMs = null
    record.opened += 1
    record.state = 'open'
    this.windowed.record('connect_time', nowMs, connectMs, flow)
    this.windowed.count('connections_opened', nowMs, 1, flow)
  }

  /** It never came to be. */
  connectionFailed(nowMs: number, flow: number, code: string, message: string): void {
    this.at(nowMs)
    this.flows[flow]!.failed += 1
    this.flows[flow]!.state = 'failed'
    this.windowed.count('connections_failed', nowMs, 1, flow)
    this.flows[flow]!.code = code
    this.error(nowMs, code, message)
  }

  /** Over which relay an end sends now; null when it has no path. Say it at the first path and at every change. */
  activePath(nowMs: number, flow: number, side: Side, relay: string | null): void {
    this.at(nowMs)
    const record = this.flows[flow]!
    const before = record.activeRelay[side]
    if (before !== null && before !== relay) for (const act of this.acts) act.moved(nowMs, flow, side, before)
    record.activeRelay[side] = relay
    if (relay === null) {
      record.withoutPathSinceMs ??= nowMs
    } else if (this.endsOf(this.plan.flows[flow]!).every((end) => record.activeRelay[end] !== null)) {
      this.pathGap(nowMs, flow)
      if (record.withoutPathSinceMs !== null) this.windowed.record('reconnect_time', nowMs, nowMs - record.withoutPathSinceMs, flow)
      record.withoutPathSinceMs = null
    }
  }

  /** An end gave a path up for another one. `fromRelay` may be one it had already lost. */
  failover(nowMs: number, flow: number, side: Side, fromRelay: string, toRelay: string): void {
    this.at(nowMs)
    this.failovers += 1
    this.flows[flow]!.failovers += 1
    this.timeline.failover()
    for (const act of this.acts) act.moved(nowMs, flow, side, fromRelay)
    this.activePath(nowMs, flow, side, toRelay)
  }

  /** It was closed by the plan, all in order. */
  connectionClosed(nowMs: number, flow: number): void {
    this.at(nowMs)
    const record = this.flows[flow]!
    if (record.state !== 'open') return
    record.state = 'closed'
    if (this.plan.flows[flow]!.sessions === undefined) return
    record.withoutPathSinceMs = null
    record.activeRelay.caller = null
    record.activeRelay.listener = null
  }

  /**
   * It was ended by the plan, and not in good order (reset, or gone without a word): what is under way may come or not, and counts as unknown when
   * it does not.
   */
  connectionCut(nowMs: number, flow: number): void {
    this.at(nowMs)
    const record = this.flows[flow]!
    if (record.state !== 'open') return
    record.state = 'closed'
    record.withoutPathSinceMs = null
    record.activeRelay.caller = null
    record.activeRelay.listener = null
    this.#cut(flow)
  }

  #cut(flow: number): void {
    const whole = this.endsOf(this.plan.flows[flow]!).length === 2
    for (const { direction } of this.plan.flows[flow]!.directions) {
      if (whole) this.directions[direction]!.cut()
      else this.directions[direction]!.cutElsewhere()
    }
  }

  /**
   * It is to be closed by the plan, and nobody waits any longer for what has not come. A connection that is gone counts as broken; what was still
   * under way on one that lives counts as unknown, and makes the run inconclusive.
   */
  connectionGivenUp(nowMs: number, flow: number): void {
    this.at(nowMs)
    const record = this.flows[flow]!
    if (record.state !== 'open') return
    const end = this.endOf(flow, nowMs, false)
    if (end === 'gone') {
      const why = record.withoutPathSinceMs !== null ? 'had no path' : 'was silent'
      this.connectionBroken(nowMs, flow, 'no_path', `flow ${flow} ${why} when it was to be closed`)
      return
    }
    record.underWayBytes = (record.underWayBytes ?? 0) + this.tailOf(flow)
    this.connectionCut(nowMs, flow)
  }

  /** It is closed in good order by an end that cannot ask whether all has arrived: the other one is on another agent. */
  connectionUnchecked(flow: number): void {
    this.flows[flow]!.unchecked = true
  }

  /** Every message that was sent over it, as far as that is known here, has arrived, and it has a path: it can be closed in good order. */
  connectionSettled(nowMs: number, flow: number): boolean {
    if (this.flows[flow]!.withoutPathSinceMs !== null) return false
    const planned = this.plan.flows[flow]!
    // What the other end sent or got is known to another agent.
    if (this.endsOf(planned).length === 1) return true
    return planned.directions.every(({ direction }) => this.directions[direction]!.settled(nowMs))
  }

  protected tailOf(flow: number): number {
    return this.plan.flows[flow]!.directions.reduce((sum, { direction }) => sum + this.directions[direction]!.tailBytes, 0)
  }

  /** @param waitedUntilMs so long it was waited for what was under way */
  protected endOf(flow: number, waitedUntilMs: number, brokenOff: boolean): FlowEnd {
    const silences = this.plan.flows[flow]!.directions.flatMap(({ direction }) => {
      const record = this.directions[direction]!
      return record.tailBytes > 0 ? [waitedUntilMs - (record.lastMs ?? waitedUntilMs)] : []
    })
    return flowEnd({ record: this.flows[flow]!, tailBytes: this.tailOf(flow), silentMs: Math.max(0, ...silences), brokenOff })
  }

  /** The application saw it end otherwise (reset, timeout, superseded …): its missing bytes are unknown, and it counts as never recovered. */
  connectionBroken(nowMs: number, flow: number, code: string, message: string): void {
    this.at(nowMs)
    const record = this.flows[flow]!
    if (record.state !== 'open') return
    record.state = 'broken'
    record.code = code
    record.broken += 1
    this.error(nowMs, code, message)
    if (isExpected(this.plan, this.plan.flows[flow]!, 'disconnected')) return
    // Where its ends are on two agents both see it, and one counts it.
    if (this.endsOf(this.plan.flows[flow]!).includes('caller')) this.windowed.count('connections_reset', nowMs, 1, flow)
    this.resets += 1
  }
}
