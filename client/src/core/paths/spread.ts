/**
 * `spread`: each packet goes on the path that will deliver it first, full or not: a packet that waits for a fast path is there sooner than one
 * that a slow path has taken (ECF, Lim et al. 2017; BLEST, Ferlin et al. 2016). So a slow path gets only what it delivers before the
 * fast one would have come to it, and never holds up what was sent after it for long. Each path has its own limit of bytes in flight.
 */
import type { Path } from '../connection/path.ts'
import { spreadPathsMax } from './mode.ts'
import { firstPaths, type Scheduler, type SchedulerNeeds, takes } from './scheduler.ts'

/** Round trip of a path that nobody measured. */
const unknownRttMs = 100

export class Spread implements Scheduler {
  readonly echoed = false
  readonly pathsMin = 1
  readonly #needs: SchedulerNeeds

  constructor(needs: SchedulerNeeds) {
    this.#needs = needs
  }

  paths(): readonly Path[] {
    return firstPaths(this.#needs.table, spreadPathsMax, 'links')
  }

  ways(bytes: number): readonly Path[] {
    const sure = this.paths().filter((path) => path.suspicion === undefined && takes(path, bytes))
    const path = soonest(sure, bytes) ?? sure[0]
    return path === undefined ? [] : [path]
  }

  send(nowMs: number, burst: number): number {
    const { sender } = this.#needs
    const all = this.paths()
    const sure = all.filter((path) => path.suspicion === undefined)
    const paths = sure.length === 0 ? all : sure
    let sent = 0
    while (sent < burst && sender.hasWork) {
      const path = soonest(paths, sender.resendBytes)
      // Nobody has credit: the first one says so, and is looked after when that lasts.
      if (path === undefined) {
        if (paths[0] !== undefined) sender.step(nowMs, paths[0])
        break
      }
      if (!sender.step(nowMs, path)) break
      sent += 1
    }
    // What was not filled shows less than the path can do.
    for (const path of paths)
      if (path.inFlightBytes < path.capBytes() / 2) path.applicationLimitedUntil = path.deliveredBytes + path.inFlightBytes
    return sent
  }
}

/** The path that delivers a packet of so many bytes (0: a new one) first; undefined when none has credit. */
function soonest(paths: readonly Path[], bytes: number): Path | undefined {
  let found: Path | undefined
  let foundMs = Number.POSITIVE_INFINITY
  for (const path of paths) {
    const atMs = deliveryMs(path, bytes)
    if (atMs < foundMs) {
      found = path
      foundMs = atMs
    }
  }
  return found
}

/** Until a packet sent now would be there, by what the path showed: all that is before it, then half a round trip. */
function deliveryMs(path: Path, bytes: number): number {
  const packetBytes = bytes === 0 ? path.rate.packetBytes() : bytes
  if (path.creditLeft() < packetBytes && path.inFlightBytes > 0) return Number.POSITIVE_INFINITY
  const halfMs = (path.rtt.minMs ?? path.rtt.srttMs ?? unknownRttMs) / 2
  const { rate } = path.rate
  // A path that was never measured gets one packet, to measure it.
  if (rate === undefined) return path.inFlightBytes === 0 ? halfMs : Number.POSITIVE_INFINITY
  return halfMs + (path.inFlightBytes + packetBytes) / rate
}
