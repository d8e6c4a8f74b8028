/**
 * When and where to acknowledge. Acks go back on the path that brought the newest new packet; a duplicate is acked at once on the path it
 * came by, because its sender did not hear the first ack.
 *
 * Where packets come on several paths at once (`copies`), duplicates are what is expected: each path that brought something is told so with the
 * next ack, and nothing is answered one by one. Where packets of one flow take several paths (`reorders`), a gap is no news either.
 */
import type { ConnectionTuning } from './tuning.ts'

/** Copies that may wait for an ack on their own path: they only feed its estimates. */
const copiesPerAck = 8

export class AckTracker {
  /** The path that brought the newest kept packet. */
  newestPathId: number | undefined
  /** The peer sends on several paths at once and wants to know what arrives where. */
  copies = false
  /** Packets overtake each other on their ways. */
  reorders = false
  #newestAtMs = 0
  #bulk = false
  #pending = 0
  #copiesPending = 0
  #dueAtMs: number | undefined
  #loneDelayMs: number
  readonly #owedAtOnce = new Set<number>()
  readonly #arrivals = new Set<number>()
  readonly #tuning: ConnectionTuning

  constructor(tuning: ConnectionTuning) {
    this.#tuning = tuning
    this.#loneDelayMs = tuning.ackDelayMs
  }

  /** The peer says how long the ack of a lone small packet may wait. */
  mayWait(delayMs: number): void {
    this.#loneDelayMs = Math.max(this.#tuning.ackDelayMs, Math.min(delayMs, this.#tuning.loneAckDelayMs))
  }

  /** @param atOnce a gap is open or was just filled, or the packet asks for it. @param lone it is small, and of data */
  onNew(nowMs: number, pathId: number, atOnce: boolean, lone = false): void {
    this.newestPathId = pathId
    this.#newestAtMs = nowMs
    this.#bulk = !lone
    this.#pending += 1
    if (this.copies) this.#arrivals.add(pathId)
    if ((atOnce && !this.reorders && !this.copies) || this.#pending >= this.#tuning.ackEveryPackets) this.#dueAtMs = nowMs
    else {
      const dueAtMs = nowMs + (lone ? this.#loneDelayMs : this.#tuning.ackDelayMs)
      if (this.#dueAtMs === undefined || dueAtMs < this.#dueAtMs) this.#dueAtMs = dueAtMs
    }
  }

  /** A number that was there already, or a share whose packet is not complete. */
  onDuplicate(nowMs: number, pathId: number): void {
    if (!this.copies) {
      this.#owedAtOnce.add(pathId)
      return
    }
    this.#arrivals.add(pathId)
    this.#copiesPending += 1
    if (this.#copiesPending >= copiesPerAck) this.#dueAtMs = nowMs
    else this.#dueAtMs ??= nowMs + this.#tuning.ackDelayMs
  }

  /** The path is gone: what was owed there is owed where the newest goes. */
  forget(nowMs: number, pathId: number): void {
    this.#arrivals.delete(pathId)
    if (this.#owedAtOnce.delete(pathId) || this.newestPathId === pathId) this.#dueAtMs = nowMs
    if (this.newestPathId === pathId) this.newestPathId = undefined
  }

  /** Acks again, now: whoever lost the earlier ones hears the whole state. */
  repeat(nowMs: number): void {
    this.#dueAtMs = nowMs
  }

  /** What is owed at once goes with the next poll and needs no clock. */
  wakeAtMs(): number | undefined {
    return this.#dueAtMs
  }

  /** The wait of the newest packet, for the ack's own field. */
  delayMs(nowMs: number): number {
    return this.#pending === 0 ? 0 : Math.max(0, nowMs - this.#newestAtMs)
  }

  /** When the newest packet came, where its sender may come to wait for acks. */
  get bulkAtMs(): number | undefined {
    return this.#pending > 1 || (this.#bulk && this.#pending > 0) ? this.#newestAtMs : undefined
  }

  /** Something new came that was not acked yet. */
  get waits(): boolean {
    return this.#pending > 0
  }

  newestIsDue(nowMs: number): boolean {
    return this.#dueAtMs !== undefined && this.#dueAtMs <= nowMs
  }

  /** Paths owed an ack of their own, each once. */
  takeOwed(): number[] {
    if (this.#owedAtOnce.size === 0) return noPaths
    const owed = [...this.#owedAtOnce]
    this.#owedAtOnce.clear()
    return owed
  }

  /** Paths that brought something since they were told last what came. */
  takeArrivals(): number[] {
    if (this.#arrivals.size === 0) return noPaths
    const arrivals = [...this.#arrivals]
    this.#arrivals.clear()
    return arrivals
  }

  /** An ack went out where the newest goes. */
  settled(): void {
    this.#pending = 0
    this.#copiesPending = 0
    this.#dueAtMs = undefined
  }
}

const noPaths: number[] = []
