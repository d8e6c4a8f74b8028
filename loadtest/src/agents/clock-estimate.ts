// How far the clock of an agent is from the coordinator's, by round trips as NTP has them (RFC 5905, section 8): the shortest one of several tells the
// offset, and half of it bounds the error whatever the two ways share.

/** One round trip: sent and back by the agent's clock, received and answered by the coordinator's. Milliseconds. */
export interface RoundTrip {
  readonly sentMs: number
  readonly receivedMs: number
  readonly answeredMs: number
  readonly backMs: number
}

export interface ClockEstimate {
  /** Added to the agent's clock it gives the coordinator's. */
  readonly offsetMs: number
  /** The offset is right to this, if both clocks run evenly. */
  readonly errorMs: number
}

/** The best of these; undefined when none makes sense. */
export function estimateClock(trips: readonly RoundTrip[]): ClockEstimate | undefined {
  let best: ClockEstimate | undefined
  for (const { sentMs, receivedMs, answeredMs, backMs } of trips) {
    const errorMs = (backMs - sentMs - (answeredMs - receivedMs)) / 2
    if (!(errorMs >= 0) || answeredMs < receivedMs) continue
    if (best === undefined || errorMs < best.errorMs) best = { offsetMs: (receivedMs - sentMs + (answeredMs - backMs)) / 2, errorMs }
  }
  return best
}

/**
 * An offset that is in use, after a later look: moved as little as the look demands. Round trips are slow while a machine is busy, and what they say then is
 * true but vague; only what they rule out counts.
 */
export function correctedOffset(usedMs: number, { offsetMs, errorMs }: ClockEstimate): number {
  return Math.min(offsetMs + errorMs, Math.max(offsetMs - errorMs, usedMs))
}

/** What an offset that was used from `before` on may be wrong by, seen with a later estimate: clocks drift apart. */
export function clockErrorOver(before: ClockEstimate, later: ClockEstimate | undefined): number {
  if (later === undefined) return before.errorMs
  return Math.max(before.errorMs, Math.abs(later.offsetMs - before.offsetMs) + later.errorMs)
}

/** The clock of this process, as close to the machine's as that was when it began, and steady from there on: nobody who sets the machine's moves it. */
export function steadyMs(): number {
  return performance.timeOrigin + performance.now()
}
