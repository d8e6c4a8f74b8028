/**
 * What one user may send through the relay: so many bytes a second, and so many a day. Over the rate a user gets no new credit until the debt is
 * paid, which the client sees as "buffer full, wait"; over the day's volume its circuits end.
 */

import type { RelayLimits } from './limits.ts'

const dayMs = 86_400_000

interface Account {
  /** Bytes that may be sent now; below zero, a debt. */
  balance: number
  atMs: number
  dayBytes: number
  dayEndsMs: number
}

export class UserTraffic {
  private readonly perSecond: number
  private readonly perDay: number
  private readonly accounts = new Map<string, Account>()

  constructor(limits: RelayLimits) {
    this.perSecond = limits.userBytesPerSecond
    this.perDay = limits.userBytesPerDay
  }

  /** Whether there is anything to count. */
  get limited(): boolean {
    return this.perSecond !== Number.POSITIVE_INFINITY || this.perDay !== Number.POSITIVE_INFINITY
  }

  /** The user sent bytes; false when the day's volume is used up. */
  sent(nowMs: number, user: string, bytes: number): boolean {
    const account = this.account(nowMs, user)
    account.balance -= bytes
    account.dayBytes += bytes
    return account.dayBytes <= this.perDay
  }

  /** The day's volume is used up. */
  spent(nowMs: number, user: string): boolean {
    return this.account(nowMs, user).dayBytes >= this.perDay
  }

  /** When the user may have credit again; in the past when it may now. */
  freeAtMs(nowMs: number, user: string): number {
    const { balance } = this.account(nowMs, user)
    return balance >= 0 ? nowMs : nowMs + (-balance * 1000) / this.perSecond
  }

  /** Forgets who has neither a debt nor a day begun. */
  sweep(nowMs: number): void {
    for (const [user, account] of this.accounts) {
      this.settle(nowMs, account)
      if (account.balance >= this.perSecond && account.dayBytes === 0) this.accounts.delete(user)
    }
  }

  private account(nowMs: number, user: string): Account {
    let account = this.accounts.get(user)
    if (account === undefined) {
      // A second's worth may go in one burst.
      account = { balance: this.perSecond, atMs: nowMs, dayBytes: 0, dayEndsMs: nowMs + dayMs }
      this.accounts.set(user, account)
    }
    this.settle(nowMs, account)
    return account
  }

  private settle(nowMs: number, account: Account): void {
    if (this.perSecond !== Number.POSITIVE_INFINITY) {
      account.balance = Math.min(this.perSecond, account.balance + (Math.max(0, nowMs - account.atMs) * this.perSecond) / 1000)
    }
    account.atMs = nowMs
    if (nowMs < account.dayEndsMs) return
    account.dayBytes = 0
    account.dayEndsMs = nowMs + dayMs
  }
}
