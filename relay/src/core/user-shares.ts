/** What each user has of a relay: attachments, listens and circuits up to a limit of each, and lookups of others at a bounded rate. */
import { TokenBucket } from './admission.ts'
import type { UserShare } from './core.ts'
import type { RelayLimits } from './limits.ts'

export class UserShares {
  private readonly limits: RelayLimits
  private readonly used: Readonly<Record<UserShare, Map<string, number>>> = {
    attachments: new Map<string, number>(),
    listens: new Map<string, number>(),
    circuits: new Map<string, number>(),
  }
  private readonly lookups = new Map<string, TokenBucket>()

  constructor(limits: RelayLimits) {
    this.limits = limits
  }

  /** Users who are attached. */
  get users(): number {
    return this.used.attachments.size
  }

  /** Whether one more would be over the limit. */
  isFull(user: string, what: UserShare): boolean {
    return (this.used[what].get(user) ?? 0) >= this.maxOf(what)
  }

  /** @returns false, and nothing is counted, when the limit is reached */
  take(user: string, what: UserShare): boolean {
    const used = this.used[what].get(user) ?? 0
    if (used >= this.maxOf(what)) return false
    this.used[what].set(user, used + 1)
    return true
  }

  give(user: string, what: UserShare): void {
    const used = (this.used[what].get(user) ?? 0) - 1
    if (used <= 0) this.used[what].delete(user)
    else this.used[what].set(user, used)
  }

  /** @returns false when this user looks others up too often */
  takeLookup(nowMs: number, user: string): boolean {
    let bucket = this.lookups.get(user)
    if (bucket === undefined) {
      bucket = new TokenBucket(this.limits.lookupsPerSecond, this.limits.lookupsBurst, nowMs)
      this.lookups.set(user, bucket)
    }
    return bucket.take(nowMs)
  }

  /** Forgets the rates of users who are gone. */
  sweep(): void {
    for (const user of this.lookups.keys()) if (!this.used.attachments.has(user)) this.lookups.delete(user)
  }

  private maxOf(what: UserShare): number {
    const { attachmentsPerUser, listensPerUser, circuitsPerUser } = this.limits
    return what === 'attachments' ? attachmentsPerUser : what === 'listens' ? listensPerUser : circuitsPerUser
  }
}
