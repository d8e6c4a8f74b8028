/** The list of users that is in force at a relay: who is registered, who is revoked, and whether a certificate lets its bearer in. */
import type { UserList } from '@sennit/protocol'

/** Why a certificate lets nobody in. */
export interface Refusal {
  readonly refuse: string
  readonly message: string
}

export class UsersInForce {
  /** The lowest epoch that is let in, by user; a revoked user has none. */
  private epochs: ReadonlyMap<string, number>
  private current: number

  constructor(list: UserList) {
    this.epochs = epochsOf(list)
    this.current = list.version
  }

  /** Its version. */
  get version(): number {
    return this.current
  }

  /** @returns false, and nothing changes, when the list is older than the one in force */
  change(list: UserList): boolean {
    if (list.version < this.current) return false
    this.epochs = epochsOf(list)
    this.current = list.version
    return true
  }

  /** The list says that this one is revoked; one it does not know is not. */
  isRevoked(user: string): boolean {
    return this.epochs.get(user) === Number.POSITIVE_INFINITY
  }

  /** In the list, and not revoked. */
  isRegistered(user: string): boolean {
    return this.epochs.has(user) && !this.isRevoked(user)
  }

  /** Why a certificate of that epoch does not let its user in; undefined when it does. */
  refusalOf(user: string, epoch: number): Refusal | undefined {
    const required = this.epochs.get(user)
    if (required === undefined) return { refuse: 'not_registered', message: `user ${user} is not in the relay's list of users` }
    if (epoch < required) return { refuse: 'revoked', message: `the certificate of ${user} is revoked` }
    return undefined
  }
}

function epochsOf(list: UserList): ReadonlyMap<string, number> {
  return new Map(list.users.map((entry) => [entry.user, entry.revoked ? Number.POSITIVE_INFINITY : entry.epoch]))
}
