/**
 * How many bytes may be in flight on one path: what it carries in two of its idle round trips, so that it is busy and its queue is short (BBR's
 * bound, draft-ietf-ccwg-bbr §4.6.4.1), and in the time that acks wait behind what the peer sends, which is no queue of ours.
 *
 * A path that is busy for long has a queue of its own, and shows no idle round trip any more: what is believed to be one would double with every
 * window. So once a window what is in flight is let down to half of what the path holds, until a packet came that found it empty.
 */

import { OneWayDelays } from './one-way-delays.ts'
import type { RateEstimator } from './rate-estimator.ts'
import type { RttEstimator } from './rtt-estimator.ts'
import { minimumWindowMs } from './windowed-minimum.ts'

/** Event loops, pipes and TCP buffers add this to an idle round trip as soon as there is load; without it the cap would throttle itself. */
const loadedRttFloorMs = 25
/** For that reason never more than this: what TCP itself would hold on one hop. More only gets old, and old memory costs a collector most. */
const loadedBytesMax: number = 8 * 1024 * 1024
/** Never fewer bytes in flight than this: a rate that is believed too low must not be what keeps it low. */
const floorBytes = 65_536
/** The same while the path is drained: two packets keep acks coming. */
const drainedBytes = 4_096
/** How far into a window a path has time to show its idle round trip by itself. */
const drainAfterMs: number = (minimumWindowMs * 2) / 3
/** A round trip is no idle one any more when it is longer than the last by so much. */
const risenShare = 1 / 4
const risenMs = 5
/** The clocks of two ends may go wrong; not so far. */
const minShareLeast = 1 / 4

interface Drain {
  /** It takes no longer than until then. */
  readonly untilMs: number
  /** Since when little enough is in flight. */
  lowSinceMs: number | undefined
}

export class SendLimit {
  readonly #rate: RateEstimator
  readonly #rtt: RttEstimator
  readonly #delays = new OneWayDelays()
  #drain: Drain | undefined
  /** The window in which the path was drained last. */
  #drainedWindowMs = Number.NEGATIVE_INFINITY

  constructor(rate: RateEstimator, rtt: RttEstimator) {
    this.#rate = rate
    this.#rtt = rtt
  }

  /** In flight is let down to see how long the path is without its queue. */
  get drains(): boolean {
    return this.#drain !== undefined
  }

  bytes(): number {
    const { rate } = this.#rate
    if (rate === undefined) return floorBytes
    const minMs = this.#minMs()
    if (this.#drain !== undefined) return Math.max(drainedBytes, (rate * minMs) / 2)
    const idle = 2 * rate * minMs
    const waits = rate * this.#waitsBackMs(minMs)
    const loaded = Math.min(2 * rate * loadedRttFloorMs + waits, loadedBytesMax)
    return Math.max(floorBytes, loaded, idle + Math.min(waits, loadedBytesMax))
  }

  /** The peer says when a packet arrived, by its clock. `rttMs` is without what its ack waited for. */
  arrived(nowMs: number, sentAtMs: number, rttMs: number, arrivedAtMs: number): void {
    this.#delays.sample(nowMs, rttMs, arrivedAtMs - sentAtMs)
  }

  /** A round trip was measured: decides whether to drain the path, and whether it is drained. */
  measured(nowMs: number, rttMs: number, inFlightBytes: number): void {
    const drain = this.#drain
    const { minimum } = this.#rtt
    if (drain === undefined) {
      const risen = minimum.current > minimum.previous * (1 + risenShare) && minimum.current > minimum.previous + risenMs
      if (!risen || nowMs < minimum.startMs + drainAfterMs || this.#drainedWindowMs === minimum.startMs) return
      this.#drainedWindowMs = minimum.startMs
      this.#drain = { untilMs: nowMs + 4 * Math.max(this.#rtt.srttMs ?? 0, loadedRttFloorMs), lowSinceMs: undefined }
      return
    }
    if (drain.lowSinceMs === undefined && inFlightBytes <= this.bytes()) drain.lowSinceMs = nowMs
    const found = drain.lowSinceMs !== undefined && nowMs - rttMs >= drain.lowSinceMs
    if (found || nowMs >= drain.untilMs) this.#drain = undefined
  }

  #minMs(): number {
    const seen = this.#rtt.minMs ?? 0
    const idle = this.#delays.minRoundTripMs
    return idle === undefined ? seen : Math.min(seen, Math.max(idle, seen * minShareLeast))
  }

  #waitsBackMs(minMs: number): number {
    return Math.min(this.#delays.backQueueMs, Math.max(0, (this.#rtt.srttMs ?? 0) - minMs))
  }
}
