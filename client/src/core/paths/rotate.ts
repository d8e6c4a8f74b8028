/**
 * `rotate`: the direction moves between its relays about every `everyMs`. `regular`: each in turn at equal times. `random`: when and where to
 * are drawn here. `secret`: they come from a secret that both ends share (protocol: `rotationStep`), so that an observer of one relay can
 * tell neither, and both ends can. The paths are open all the time, so a move costs nothing: what is on the old path arrives, the next
 * packet takes the new one.
 */
import type { CryptoProvider, SessionSecrets } from '@sennit/protocol'
import { rotationStep } from '@sennit/protocol'
import { relayOf } from '../attach/links.ts'
import type { Path } from '../connection/path.ts'
import { Best } from './best.ts'
import { type PathMode, rotatePathsMax } from './mode.ts'
import { firstPaths, type SchedulerNeeds } from './scheduler.ts'

export interface RotateNeeds extends SchedulerNeeds {
  readonly crypto: CryptoProvider
  readonly random: () => number
  readonly secrets: SessionSecrets
  /** New data goes on this path from now on. */
  move(nowMs: number, to: Path): void
}

export class Rotate extends Best {
  readonly #needs: RotateNeeds
  readonly #mode: Extract<PathMode, { kind: 'rotate' }>
  #step = 0
  #untilMs: number

  constructor(needs: RotateNeeds, mode: Extract<PathMode, { kind: 'rotate' }>, nowMs: number) {
    super(needs)
    this.#needs = needs
    this.#mode = mode
    this.#untilMs = nowMs + this.#lengthMs()
  }

  override paths(): readonly Path[] {
    return firstPaths(this.#needs.table, rotatePathsMax, 'relays')
  }

  wakeAtMs(): number {
    return this.#untilMs
  }

  wake(nowMs: number): void {
    if (nowMs < this.#untilMs) return
    const { table } = this.#needs
    const { active } = table
    // In an order that both ends know.
    const others = this.paths()
      .filter(
        (path) => relayOf(path.relayId) !== relayOf(active?.relayId ?? '') && path.suspicion === undefined && path.waiting === undefined,
      )
      .sort((left, right) => (left.relayId < right.relayId ? -1 : 1))
    const next = active === undefined ? undefined : others[this.#place(others, active.relayId)]
    this.#step += 1
    this.#untilMs = nowMs + this.#lengthMs()
    if (next !== undefined) this.#needs.move(nowMs, next)
  }

  #place(others: readonly Path[], activeId: string): number {
    const { how } = this.#mode
    if (how === 'regular') {
      const after = others.findIndex((path) => path.relayId > activeId)
      return after === -1 ? 0 : after
    }
    const share = how === 'random' ? this.#needs.random() : this.#drawn().where
    return Math.floor(share * others.length)
  }

  #lengthMs(): number {
    const { how, everyMs } = this.#mode
    if (how === 'regular') return everyMs
    return everyMs * (0.5 + (how === 'random' ? this.#needs.random() : this.#drawn().when))
  }

  #drawn(): { readonly when: number; readonly where: number } {
    const { crypto, secrets } = this.#needs
    return rotationStep(crypto, secrets, secrets.role, this.#step)
  }
}
