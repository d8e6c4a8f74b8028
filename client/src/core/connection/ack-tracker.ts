/**
 * When and where to acknowledge. Acks go back on the path that brought the newest new packet; a duplicate is acked at once on the path it
 * came by, because its sender did not hear the first ack.
 */
import type { ConnectionTuning } from './tuning.ts'

export class AckTracker {
  /** The path that brought the newest kept packet. */
  newestPathId: number | undefined
  #newestAtMs = 0
  #pending = 0
  #dueAtMs: number | undefined
  readonly #owedAtOnce = new Set<number>()
  readonly #tuning: ConnectionTuning

  constructor(tuning: ConnectionTuning) {
    this.#tuning = tuning
  }

  /** @param atOnce a gap is open or was just filled, or the packet asks for it */
  onNew(nowMs: number, pathId: number, atOnce: boolean): void {
    this.newestPathId = pathId
    this.#newestAtMs = nowMs
    this.#pending += 1
    if (atOnce || this.#pending >= this.#tuning.ackEveryPackets) this.#dueAtMs = nowMs
    else this.#dueAtMs ??= nowMs + this.#tuning.ackDelayMs
  }

  onDuplicate(pathId: number): void {
    this.#owedAtOnce.add(pathId)
  }

  /** The path is gone: what was owed there is owed where the newest goes. */
  forget(nowMs: number, pathId: number): void {
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

  newestIsDue(nowMs: number): boolean {
    return this.#dueAtMs !== undefined && this.#dueAtMs <= nowMs
  }

  /** Paths owed an ack of their own, each once. */
  takeOwed(): number[] {
    if (this.#owedAtOnce.size === 0) return []
    const owed = [...this.#owedAtOnce]
    this.#owedAtOnce.clear()
    return owed
  }

  /** An ack went out where the newest goes. */
  settled(): void {
    this.#pending = 0
    this.#dueAtMs = undefined
  }
}
