/** `best`, and `pair`: one path carries the direction, the active one. Which one that is, plans and failures say (path-table.ts). */
import type { Path } from '../connection/path.ts'
import { type Scheduler, type SchedulerNeeds, takes } from './scheduler.ts'

export class Best implements Scheduler {
  readonly echoed = false
  readonly pathsMin = 1
  readonly #needs: SchedulerNeeds

  constructor(needs: SchedulerNeeds) {
    this.#needs = needs
  }

  paths(): readonly Path[] {
    const { active } = this.#needs.table
    return active === undefined ? [] : [active]
  }

  ways(bytes: number): readonly Path[] {
    const { active } = this.#needs.table
    return active !== undefined && takes(active, bytes) ? [active] : []
  }

  send(nowMs: number, burst: number): number {
    const { table, sender } = this.#needs
    const path = table.active
    let sent = 0
    if (path !== undefined) while (sent < burst && sender.step(nowMs, path)) sent += 1
    return sent
  }
}
