/** Sends the acks that are due: on the path that brought the newest packet, on those owed one, or on each that brought something. */
import type { Frame } from '@sennit/protocol'
import type { AckTracker } from './ack-tracker.ts'
import type { Outbox } from './outbox.ts'
import type { Path } from './path.ts'
import type { PathKeeper } from './path-keeper.ts'
import type { PathTable } from './path-table.ts'
import type { Receiver } from './receiver.ts'

/** Behind more than this of our own data an ack inside of data would wait in queues that a loose one overtakes, and the peer take the path for silent. */
const aheadBytesMax = 4_096

export interface AckSenderNeeds {
  /** When the connection began here. */
  readonly startMs: number
  readonly acks: AckTracker
  readonly receiver: Receiver
  readonly table: PathTable
  readonly keeper: PathKeeper
  readonly outbox: Outbox
  /** An ack may stand in a data packet. */
  readonly insideData: boolean
}

export class AckSender {
  readonly #needs: AckSenderNeeds

  constructor(needs: AckSenderNeeds) {
    this.#needs = needs
  }

  send(nowMs: number): void {
    const { acks, table, keeper, outbox } = this.#needs
    const owed = acks.takeOwed()
    const due = acks.newestIsDue(nowMs)
    if (owed.length === 0 && !due) return
    const frame = this.#ack(nowMs)
    if (acks.copies && this.#sendSeen(nowMs, frame, owed)) return
    const frames = this.#withArrival(frame)
    const newest = keeper.ackPath()
    for (const pathId of owed) {
      const path = table.all.get(pathId)
      if (path !== undefined && path !== newest) outbox.loose(path, [frame])
    }
    if (newest !== undefined && (due || owed.includes(newest.pathId))) outbox.loose(newest, frames)
    if (due) acks.settled()
  }

  /**
   * The ack that waits, where it may stand in front of data that goes on this path: one packet less to seal, carry and open. Only what is short, and
   * no part of a bulk: it is read when the data is, and once more when that was sent again.
   */
  inside(nowMs: number, path: Path): Frame | undefined {
    const { acks, keeper, insideData } = this.#needs
    if (!insideData || !acks.waits || acks.copies || acks.bulkAtMs !== undefined || keeper.ackPath() !== path) return undefined
    if (path.inFlightBytes > aheadBytesMax) return undefined
    const ack = this.#ack(nowMs)
    return ack.ranges.length > 0 ? undefined : ack
  }

  /** Packets of ours went out: an ack that waits goes with them, in their record, rather than alone a moment later. */
  sendAlong(nowMs: number): void {
    const { acks, table, keeper, outbox } = this.#needs
    if (!acks.waits || acks.copies) return
    const newest = keeper.ackPath()
    if (newest === undefined || newest !== table.active) return
    outbox.loose(newest, this.#withArrival(this.#ack(nowMs)))
    acks.settled()
  }

  /** Answers a ping; where packets come on several paths at once, also with what came last on this one. */
  answerPing(nowMs: number, path: Path, id: number): void {
    const { acks, receiver, outbox } = this.#needs
    const pong: Frame = { type: 'pong', id }
    if (!acks.copies) outbox.loose(path, [pong])
    else outbox.loose(path, [pong, { type: 'ack', ...receiver.ackState(), delayMs: 0 }, ...seenOn(nowMs, path)])
  }

  #ack(nowMs: number): Extract<Frame, { type: 'ack' }> {
    const { acks, receiver } = this.#needs
    return { type: 'ack', ...receiver.ackState(), delayMs: acks.delayMs(nowMs) }
  }

  #withArrival(ack: Frame): Frame[] {
    const { acks, startMs } = this.#needs
    const atMs = acks.bulkAtMs
    return atMs === undefined ? [ack] : [{ type: 'arrived', atMs: atMs - startMs }, ack]
  }

  /** Each path that brought something hears what, beside the ack. @returns whether the ack went out by that */
  #sendSeen(nowMs: number, frame: Frame, owed: readonly number[]): boolean {
    const { acks, table, outbox } = this.#needs
    let told = 0
    for (const pathId of new Set([...acks.takeArrivals(), ...owed])) {
      const path = table.all.get(pathId)
      if (path === undefined || path.state === 'bad') continue
      outbox.loose(path, [frame, ...seenOn(nowMs, path)])
      told += 1
    }
    if (told === 0) return false
    acks.settled()
    return true
  }
}

/** What came last on the path, for its sender. */
function seenOn(nowMs: number, path: Path): Frame[] {
  if (path.arrivedNumber === undefined) return []
  return [{ type: 'seen', number: path.arrivedNumber, delayMs: nowMs - path.arrivedAtMs }]
}
