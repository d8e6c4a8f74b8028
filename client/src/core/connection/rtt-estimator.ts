/** Round trip of one path: smoothed, its variation, its minimum. RFC 9002 §5, fed by sealed pings and packets sent once only. */
import type { ConnectionTuning } from './tuning.ts'

/** Length of one of the two windows of the minimum: a route that got longer is believed after at most twice this. */
const minimumWindowMs = 30_000

export class RttEstimator {
  /** Undefined until measured. */
  srttMs: number | undefined
  varMs = 0
  #expectedMs: number | undefined
  #windowStartMs = 0
  #windowMinMs = Number.POSITIVE_INFINITY
  #previousMinMs = Number.POSITIVE_INFINITY

  /** @param expectedMs a guess that serves until the first sample */
  constructor(expectedMs?: number) {
    this.#expectedMs = expectedMs
  }

  get minMs(): number | undefined {
    const minimum = Math.min(this.#windowMinMs, this.#previousMinMs)
    return minimum === Number.POSITIVE_INFINITY ? undefined : minimum
  }

  sample(nowMs: number, rttMs: number): void {
    const rtt = Math.max(0, rttMs)
    if (this.srttMs === undefined) {
      this.srttMs = rtt
      this.varMs = rtt / 2
      this.#windowStartMs = nowMs
    } else {
      this.varMs += (Math.abs(this.srttMs - rtt) - this.varMs) / 4
      this.srttMs += (rtt - this.srttMs) / 8
    }
    if (nowMs - this.#windowStartMs > minimumWindowMs) {
      this.#previousMinMs = this.#windowMinMs
      this.#windowMinMs = rtt
      this.#windowStartMs = nowMs
    } else if (rtt < this.#windowMinMs) {
      this.#windowMinMs = rtt
    }
  }

  /** How long an answer may take before the path is probed. */
  probeTimeoutMs(tuning: ConnectionTuning): number {
    const srtt = this.srttMs ?? this.#expectedMs ?? tuning.firstRttMs
    const variation = this.srttMs === undefined ? srtt / 2 : this.varMs
    return srtt + Math.max(4 * variation, tuning.varianceFloorMs) + tuning.ackDelayMs
  }
}
