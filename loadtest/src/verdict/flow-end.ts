// How a connection stood when nobody waited for it any more, and what follows for what has not come. A byte is *lost* only when the connection
// itself says so: a later message of it came out, or it was closed in good order. All else may have been under way: nobody was told that it
// arrived, and the honest word is *unknown*.
import type { FlowRecord } from './recorded.ts'
import { survivalMs } from './windows.ts'

export interface FlowFacts {
  readonly record: Pick<FlowRecord, 'state' | 'withoutPathSinceMs' | 'orphaned' | 'unchecked'>
  /** Bytes sent after the last message that came, in both directions. */
  readonly tailBytes: number
  /** How long nothing was sent, and nothing came, of a direction of which something is missing; 0 when nothing is. */
  readonly silentMs: number
  /** The run was interrupted, or broken off. */
  readonly brokenOff: boolean
}

/**
 * - `in_order`: both ends closed it, all confirmed. What is missing is lost.
 * - `gone`: no path, broken, or nothing came for as long as a fault may take (10 s) although something was under way. It never recovered.
 * - `under_way`: it still lived, and the drain was over before all had come. Neither a pass nor a failure.
 * - `not_known`: the run was broken off, or an agent was lost. What it was is said elsewhere.
 */
export type FlowEnd = 'in_order' | 'gone' | 'under_way' | 'not_known'

export function flowEnd({ record, tailBytes, silentMs, brokenOff }: FlowFacts): FlowEnd {
  const { state, withoutPathSinceMs, orphaned, unchecked } = record
  if (orphaned === true) return 'not_known'
  if (state === 'broken' || (state === 'open' && withoutPathSinceMs !== null)) return 'gone'
  if (brokenOff) return 'not_known'
  if ((state === 'closed' && unchecked !== true) || tailBytes === 0) return 'in_order'
  return state === 'open' && silentMs >= survivalMs ? 'gone' : 'under_way'
}
