// How far the clock of an agent is from the coordinator's, by round trips.
import { SennitError } from '@sennit/protocol'
import { type ClockEstimate, estimateClock, type RoundTrip } from './clock-estimate.ts'

/** Round trips for the clock: the best of so many is as good as it gets on a quiet network. */
const tripsMin = 12
/** On a busy one more are tried, until one is good enough. */
const tripsMax = 60
/** A clock known to this needs no more tries. */
const goodErrorMs = 0.5
/** Where even the least number of tries takes longer, the machine has too much to do for better ones. */
const tripsMaxMs = 3_000

/** @throws SennitError `coordinator_unreachable`, and what `roundTrip` throws */
export async function measureClock(roundTrip: () => Promise<RoundTrip>): Promise<ClockEstimate> {
  const trips: RoundTrip[] = []
  let best: ClockEstimate | undefined
  const lastMs = performance.now() + tripsMaxMs
  const more = (): boolean =>
    trips.length < tripsMax && performance.now() < lastMs && (best?.errorMs ?? Number.POSITIVE_INFINITY) > goodErrorMs
  while (trips.length < tripsMin || more()) {
    trips.push(await roundTrip())
    best = estimateClock(trips)
  }
  if (best === undefined) throw new SennitError('coordinator_unreachable', 'the clock of the coordinator runs backwards')
  return best
}
