/**
 * Who may come in before anybody knows who it is. Only sockets that have not proved themselves count against an address, or the 65th colleague
 * behind one NAT would be refused; a socket that proves itself gives its place and its token back.
 */

import type { RelayLimits } from './limits.ts'

/** Why a socket was turned away, as it is counted. */
export type AdmissionRefusal = 'new_per_second' | 'open_per_address' | 'open_unauthenticated'

interface AddressState {
  open: number
  tokens: number
  refilledAtMs: number
}

/** Counts unproved sockets by address group; holds no more addresses than `openUnauthenticated` plus those whose bucket is still filling. */
export class Admission {
  private readonly limits: RelayLimits
  private readonly addresses = new Map<string, AddressState>()
  private openTotal = 0
  private sweepAtSize = 1024

  constructor(limits: RelayLimits) {
    this.limits = limits
  }

  /** Sockets that have not proved themselves. */
  get open(): number {
    return this.openTotal
  }

  /** A socket came; undefined when it may stay. */
  enter(nowMs: number, address: string): AdmissionRefusal | undefined {
    if (this.openTotal >= this.limits.openUnauthenticated) return 'open_unauthenticated'
    const state = this.stateOf(nowMs, addressGroup(address))
    if (state.open >= this.limits.openPerAddress) return 'open_per_address'
    if (state.tokens < 1) return 'new_per_second'
    state.tokens -= 1
    state.open += 1
    this.openTotal += 1
    return undefined
  }

  /** A socket that entered went away unproved, or proved itself (then its token comes back). */
  leave(nowMs: number, address: string, proved: boolean): void {
    const state = this.stateOf(nowMs, addressGroup(address))
    if (state.open === 0) return
    state.open -= 1
    this.openTotal -= 1
    if (proved) state.tokens = Math.min(this.limits.newBurst, state.tokens + 1)
  }

  private stateOf(nowMs: number, group: string): AddressState {
    const known = this.addresses.get(group)
    if (known === undefined) {
      if (this.addresses.size >= this.sweepAtSize) this.sweep(nowMs)
      const fresh: AddressState = { open: 0, tokens: this.limits.newBurst, refilledAtMs: nowMs }
      this.addresses.set(group, fresh)
      return fresh
    }
    this.refill(nowMs, known)
    return known
  }

  private refill(nowMs: number, state: AddressState): void {
    const elapsedMs = Math.max(0, nowMs - state.refilledAtMs)
    state.tokens = Math.min(this.limits.newBurst, state.tokens + (elapsedMs * this.limits.newPerSecond) / 1000)
    state.refilledAtMs = nowMs
  }

  /** Forgets addresses that have nothing open and a full bucket: they are as good as new. */
  private sweep(nowMs: number): void {
    for (const [group, state] of this.addresses) {
      this.refill(nowMs, state)
      if (state.open === 0 && state.tokens >= this.limits.newBurst) this.addresses.delete(group)
    }
    this.sweepAtSize = Math.max(1024, this.addresses.size * 2)
  }
}

/** A token bucket for one user. */
export class TokenBucket {
  private readonly perSecond: number
  private readonly burst: number
  private tokens: number
  private refilledAtMs: number

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.perSecond = perSecond
    this.burst = burst
    this.tokens = burst
    this.refilledAtMs = nowMs
  }

  /** Takes one token; false when there is none. */
  take(nowMs: number): boolean {
    const elapsedMs = Math.max(0, nowMs - this.refilledAtMs)
    this.tokens = Math.min(this.burst, this.tokens + (elapsedMs * this.perSecond) / 1000)
    this.refilledAtMs = nowMs
    if (this.tokens < 1) return false
    this.tokens -= 1
    return true
  }
}

/** The unit that limits per address count: an IPv4 address (also when mapped into IPv6), or the /64 of an IPv6 address, which is what one customer gets. */
export function addressGroup(address: string): string {
  const bare = address.split('%', 1)[0]!.toLowerCase()
  if (!bare.includes(':')) return bare
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(bare)
  if (mapped !== null) return mapped[1]!
  const [head = '', tail] = bare.split('::', 2)
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const gap = tail === undefined ? 0 : Math.max(0, 8 - front.length - back.length)
  const groups = [...front, ...Array.from({ length: gap }, () => '0'), ...back]
  const prefix = groups.slice(0, 4).map((group) => (Number.parseInt(group, 16) || 0).toString(16))
  return `${prefix.join(':')}::/64`
}
