// The last minutes of a run, as the charts of the live page draw them: a page that is opened late shows them, too.
import { percentileOfBins } from '../verdict/latency-bins.ts'
import type { RunStatus } from '../verdict/run-status.ts'

export interface StatusPoint {
  readonly atMs: number
  readonly sent: number
  readonly arrived: number
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly fault: boolean
}

/** Ten minutes at one a second. */
export const pointsMax = 600

export class StatusHistory {
  readonly points: StatusPoint[] = []

  add(status: RunStatus): StatusPoint {
    const point = {
      atMs: Math.round(status.nowMs),
      sent: status.sentPerSecond,
      arrived: status.messagesPerSecond,
      p50Ms: percentileOfBins(status.latencyLastSecond, 50),
      p99Ms: percentileOfBins(status.latencyLastSecond, 99),
      fault: status.faults.length > 0,
    }
    this.points.push(point)
    if (this.points.length > pointsMax) this.points.shift()
    return point
  }
}
