/** Round trip of one path: smoothed, its variation, its minimum. RFC 9002 §5, fed by sealed pings and packets sent once only. */
import type { ConnectionTuning } from './tuning.ts'
import { WindowedMinimum } from './windowed-minimum.ts'

export class RttEstimator {
  /** Undefined until measured. */
  srttMs: number | undefined
  varMs = 0
  /** A route that got longer is believed after at most a minute. */
  readonly minimum: WindowedMinimum = new WindowedMinimum()
  #expectedMs: number | undefined

  /** @param expectedMs a guess that serves until the first sample */
  constructor(expectedMs?: number) {
    this.#expectedMs = expectedMs
  }

  get minMs(): number | undefined {
    return this.minimum.value
  }

  sample(nowMs: number, rttMs: number): void {
    const rtt = Math.max(0, rttMs)
    if (this.srttMs === undefined) {
      this.srttMs = rtt
      this.varMs = rtt / 2
    } else {
      this.varMs += (Math.abs(this.srttMs - rtt) - this.varMs) / 4
      this.srttMs += (rtt - this.srttMs) / 8
    }
    this.minimum.sample(nowMs, rtt)
  }

  /** How long an answer may take before the path is probed. */
  probeTimeoutMs(tuning: ConnectionTuning): number {
    const srtt = this.srttMs ?? this.#expectedMs ?? tuning.firstRttMs
    const variation = this.srttMs === undefined ? srtt / 2 : this.varMs
    return srtt + Math.max(4 * variation, tuning.varianceFloorMs) + tuning.ackDelayMs
  }
}
