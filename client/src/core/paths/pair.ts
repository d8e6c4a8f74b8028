/**
 * `pair`: a relay of its own for each direction. The plan gives them; when one fails, only its direction moves, to the standby and not to the
 * other direction's relay as long as there is another (path-table.ts ranks that one last).
 */
import type { Path } from '../connection/path.ts'
import { Best } from './best.ts'
import type { SchedulerNeeds } from './scheduler.ts'

export class Pair extends Best {
  readonly #needs: SchedulerNeeds

  constructor(needs: SchedulerNeeds) {
    super(needs)
    this.#needs = needs
  }

  /** Two when the directions are apart. */
  override paths(): readonly Path[] {
    const { table } = this.#needs
    const { active, plan } = table
    if (active === undefined) return []
    const other = table.inOrder().find((path) => path.relayId === plan?.activeReceive && path.relayId !== active.relayId)
    const spare = other ?? table.inOrder().find((path) => path.relayId !== active.relayId)
    return spare === undefined ? [active] : [active, spare]
  }
}
