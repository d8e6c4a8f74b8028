/**
 * The credit of one receiving half. `base` is the offset up to which memory is free again; the peer may send to `limit`, about one window
 * ahead. The window is 16 KiB until the stream is held back by it, then 1 MiB, then doubles each time it holds the stream back again.
 *
 * How the receiver knows without a clock: a sender that runs out of credit cuts its last frame exactly at a limit. If the application
 * then takes everything up to there before more came, neither it nor the path was the brake, the window was. Limits are made odd, so
 * that writes of round sizes do not end on one by chance.
 */
import type { CreditPool } from './credit-pool.ts'
import { firstWindowBytes, initialCreditBytes } from './limits.ts'

/** Limits a sender may still stand at; grants come at half a window, so more than a few are never open. */
const openLimitsMax = 8

export class CreditWindow {
  limit: number = initialCreditBytes
  windowBytes: number = initialCreditBytes
  private readonly pool: CreditPool
  private readonly windowMax: number
  private openLimits: number[] = [initialCreditBytes]
  private heldBackAt = -1 // the farthest limit a frame ended at
  private pooled = 0
  private asked = false
  private over = false

  constructor(pool: CreditPool, windowMax: number) {
    this.pool = pool
    this.windowMax = windowMax
  }

  /** A frame ended at `end`, farther than any before. Bytes behind a limit that came before the application was there: the reader is the brake. */
  ended(end: number): void {
    this.heldBackAt = this.openLimits.includes(end) ? end : -1
  }

  /** Memory is free up to `base`. Returns whether there is a new limit to tell. */
  freed(base: number): boolean {
    if (this.over) return false
    if (this.heldBackAt >= 0 && base >= this.heldBackAt) this.grow()
    this.shrink()
    let limit = base + this.windowBytes
    if (limit % 2 === 0) limit--
    const grants = limit - this.limit >= this.windowBytes / 2
    if (grants) {
      this.limit = limit
      this.openLimits.push(limit)
      if (this.openLimits.length > openLimitsMax) this.openLimits.shift()
    }
    this.settlePool(base)
    return grants
  }

  /** The half is over: gives everything back. */
  end(): void {
    this.over = true
    if (this.pooled > 0) this.pool.give(this.pooled)
    this.pooled = 0
    if (this.asked) this.pool.left()
    this.asked = false
  }

  private grow(): void {
    this.heldBackAt = -1
    this.openLimits = [] // one growth per round trip: only a limit told from now on counts
    if (!this.asked) {
      this.asked = true
      this.pool.joined()
    }
    const wanted = Math.min(this.windowMax, Math.max(firstWindowBytes, this.windowBytes * 2))
    const target = Math.min(wanted, initialCreditBytes + this.pool.shareBytes)
    const more = target - Math.max(this.windowBytes, initialCreditBytes + this.pooled)
    if (more > 0) this.pooled += this.pool.take(more)
    this.windowBytes = Math.max(this.windowBytes, Math.min(target, initialCreditBytes + this.pooled))
  }

  /** Falls to the fair share while others go without; credit already told stays. */
  private shrink(): void {
    if (this.pooled === 0) return
    const fair = initialCreditBytes + this.pool.shareBytes
    if (this.windowBytes > fair) this.windowBytes = Math.max(initialCreditBytes, fair)
  }

  /** Gives back what neither the window nor credit already told still needs. */
  private settlePool(base: number): void {
    const needed = Math.max(0, Math.max(this.windowBytes, this.limit - base) - initialCreditBytes)
    if (needed < this.pooled) {
      this.pool.give(this.pooled - needed)
      this.pooled = needed
    }
  }
}
