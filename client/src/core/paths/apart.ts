/** How far apart the paths of one direction must be for its mode to be what it promises. */
import { type FailsTogether, failTogether, relayOf } from '../attach/links.ts'
import { type PathMode, type PathsOption, pathsNeeded } from './mode.ts'

/** `links`: each over a link of its own, perhaps to one relay; `relays`: each at a relay of its own; `domains`: and in a failure domain of its own. */
export type Apart = 'links' | 'relays' | 'domains'

/** A share must not meet another of its packet anywhere; `rotate` is about what one relay sees, whichever link it comes over. */
export function apartness({ kind }: PathMode): Apart {
  if (kind === 'split' || kind === 'disperse') return 'domains'
  return kind === 'rotate' ? 'relays' : 'links'
}

/** Whether two paths are closer than that. */
export function meets(left: FailsTogether, right: FailsTogether, apart: Apart): boolean {
  if (apart === 'domains') return failTogether(left, right)
  return apart === 'relays' ? relayOf(left.relayId) === relayOf(right.relayId) : left.relayId === right.relayId
}

/** How many of `relays`, the first ones first, are that far apart from each other. */
export function countApart(relays: Iterable<FailsTogether>, apart: Apart): number {
  const chosen: FailsTogether[] = []
  for (const relay of relays) if (!chosen.some((one) => meets(one, relay, apart))) chosen.push(relay)
  return chosen.length
}

/** Whether there is one more than either direction needs. */
export function hasSpare(relays: readonly FailsTogether[], { send, receive }: PathsOption): boolean {
  return [send, receive].every((mode) => countApart(relays, apartness(mode)) > pathsNeeded(mode))
}
