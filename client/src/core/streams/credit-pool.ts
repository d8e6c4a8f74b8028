/**
 * The receive memory of one connection that is granted on demand. The first 16 KiB of every stream are not in it, so a dry pool makes
 * streams slow and never stops one. When streams ask in vain, those above the fair share shrink as they are read.
 */
import type { ProcessBudget } from './process-budget.ts'

export class CreditPool {
  readonly totalBytes: number
  private readonly shared: ProcessBudget | undefined
  private held = 0
  /** Streams whose window is above the first credit, or wants to be. */
  private askers = 0
  private dry = false

  constructor(totalBytes: number, shared: ProcessBudget | undefined) {
    this.totalBytes = totalBytes
    this.shared = shared
  }

  joined(): void {
    this.askers++
  }

  left(): void {
    this.askers--
    if (this.askers === 0) this.dry = false
  }

  /** What one stream may hold while others go without; everything otherwise. */
  get shareBytes(): number {
    return this.dry ? Math.floor(this.totalBytes / Math.max(1, this.askers)) : this.totalBytes
  }

  /** Takes up to `bytes` and returns how many; less than asked marks the pool dry. */
  take(bytes: number): number {
    const own = Math.min(bytes, this.totalBytes - this.held)
    const taken = this.shared === undefined ? own : this.shared.take(own)
    this.held += taken
    if (taken < bytes) this.dry = true
    return taken
  }

  give(bytes: number): void {
    this.held -= bytes
    this.shared?.give(bytes)
    // Half of it free again: nobody needs to shrink any more.
    if (this.held * 2 < this.totalBytes) this.dry = false
  }
}
