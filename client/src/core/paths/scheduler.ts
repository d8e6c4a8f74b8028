/**
 * The seam between the sender of a connection and the ways to use several relays: a scheduler says on which path, or paths, each kept packet
 * goes, first time and again. Each mode is one file beside this one.
 */
import type { PacketHeader, Share } from '@sennit/protocol'
import type { Path } from '../connection/path.ts'
import type { PathTable } from '../connection/path-table.ts'
import type { Sender } from '../connection/sender.ts'
import { type Apart, meets } from './apart.ts'

export interface Scheduler {
  /** The peer has to say what arrives on each path, because packets go out on several at once. */
  readonly echoed: boolean
  /** With fewer open paths than this nothing of the application is sent, whatever the mode's tolerance. */
  readonly pathsMin: number
  /** Relays that carry this direction now, best first; what it counts as having. */
  paths(): readonly Path[]
  /** Sends what may go now, at most `burst` packets. @returns how many; `burst` asks to be called again */
  send(nowMs: number, burst: number): number
  /**
   * Paths that a datagram of so many bytes would go on now; none when it is better dropped. Whole on each, or in `cut` shares, one on each.
   */
  ways(bytes: number): readonly Path[]
  /** Cuts a sealed datagram for {@link ways}; absent: it goes whole. */
  cut?(header: PacketHeader, pieces: readonly Uint8Array[]): readonly Share[]
  /** Another scheduler takes its place. */
  end?(): void
  wake?(nowMs: number): void
  wakeAtMs?(): number
}

export interface SchedulerNeeds {
  readonly table: PathTable
  readonly sender: Sender
}

/** Bytes may go on the path at once: the relay has credit for them, and does not say "please wait". */
export function takes(path: Path, bytes: number): boolean {
  return path.creditLeft() >= bytes
}

/** The first `count` of the open paths but `not`, each `apart` from the others. */
export function firstPaths(table: PathTable, count: number, apart: Apart, not?: Path): Path[] {
  const chosen: Path[] = []
  for (const path of table.inOrder()) {
    if (chosen.length === count) break
    if (path !== not && !chosen.some((one) => meets(one, path, apart))) chosen.push(path)
  }
  return chosen
}
