/**
 * What a relay is judged by beside what is measured, each as a cost in milliseconds at weight 1. A criterion is one row; an application may add
 * rows of its own. Latency and errors are measured, and their terms stand in the cost itself; here they only have weights.
 */
import type { RelayEntry } from '@sennit/protocol'

/** One criterion. */
export interface Criterion {
  readonly name: string
  /** What this relay costs at weight 1, in milliseconds, never less than 0. */
  costMs(relay: RelayEntry, wanted: { readonly region?: string }): number
}

/** The largest usual packet: what a slow relay needs for it is time a faster one saves. */
const packetBits = 65_280 * 8
/** One percent of absence costs 10 ms: a fail-over now and then weighs like a detour. */
const absenceMs = 1_000
/** The best rating costs nothing, none known costs a detour across an ocean. */
const ratingStepMs = 1
/** Another region is about that far. */
const otherRegionMs = 50
/** Nine levels make about the same span as a region. */
const qosStepMs = 5
const qosBest = 9
const ratingBest = 100

/** The table. What is not known costs as much as the worst where more is better, and nothing where it can only add. */
export const criteria: readonly Criterion[] = [
  { name: 'speed', costMs: ({ traits }) => (traits?.speedMbps === undefined ? 0 : packetBits / 1_000 / Math.max(0.001, traits.speedMbps)) },
  { name: 'uptime', costMs: ({ traits }) => (traits?.uptime === undefined ? 0 : (1 - traits.uptime) * absenceMs) },
  { name: 'rating', costMs: ({ traits }) => (ratingBest - (traits?.securityRating ?? 0)) * ratingStepMs },
  { name: 'price', costMs: ({ traits }) => traits?.price ?? 0 },
  { name: 'region', costMs: ({ traits }, { region }) => (region === undefined || traits?.region === region ? 0 : otherRegionMs) },
  { name: 'qos', costMs: ({ traits }) => (qosBest - (traits?.qos ?? 0)) * qosStepMs },
]

/** Weights when nothing is said. Rating, price and quality of service are matters of taste, so they count only where somebody asks. */
export const neutralWeights: Readonly<Record<string, number>> = {
  latency: 1,
  errors: 1,
  speed: 1,
  uptime: 1,
  region: 1,
  rating: 0,
  price: 0,
  qos: 0,
}
