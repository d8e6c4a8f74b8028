// Finds the rate at which a mesh breaks: runs a plan again and again, at other factors on its rates.
import { SennitError } from '@sennit/protocol'
import type { Plan } from '../plan.ts'
import type { RunResult } from '../verdict/run-result.ts'
import { type KneeEnd, KneeSearch, type KneeSearchOptions } from './knee-search.ts'
import { judgeStep, type KneeFigures, limitsLatency, stepPlan } from './knee-step.ts'

export interface KneeOptions extends KneeSearchOptions {
  readonly plan: Plan
  /** Runs a plan to its end; live or simulated. */
  readonly run: (plan: Plan) => Promise<RunResult>
  /** How long each step measures, after the clients have come. @default 15_000 */
  readonly stepMs?: number
  /** Aborting it ends the search with what is known. */
  readonly signal?: AbortSignal
  /** After every run. `factor` 0 is the one without load. */
  readonly onStep?: (figures: KneeFigures) => void
}

export interface Knee {
  /** `stopped`: aborted before it was found. */
  readonly end: KneeEnd | 'stopped'
  readonly lastGood: KneeFigures | undefined
  readonly firstBad: KneeFigures | undefined
  /** Where it could not be told: the lowest such step above the last good one. */
  readonly unsure: KneeFigures | undefined
  /** Every run, in the order of time. */
  readonly steps: readonly KneeFigures[]
}

/** Without limits on latency a run at this share of the load says what latency is without a queue. */
const unloadedFactor = 0.05
/** It needs so many messages for its p99. */
const unloadedMessagesMin = 200

/** Throws `usage` when the plan sends nothing. */
export async function findKnee(options: KneeOptions): Promise<Knee> {
  const { plan, run, stepMs = 15_000, signal, onStep } = options
  const asked = plan.flows.flatMap(({ directions }) => directions).reduce((sum, { messagesPerSecond }) => sum + messagesPerSecond, 0)
  if (asked === 0) throw new SennitError('usage', 'expected a test that sends at a rate; found no rate to multiply')
  const steps: KneeFigures[] = []
  const stopped = (): boolean => signal?.aborted === true
  /** undefined: stopped before it began. */
  const runAt = async (factor: number): Promise<RunResult | undefined> => {
    try {
      return await run(stepPlan(plan, factor, stepMs))
    } catch (error) {
      if (stopped()) return undefined
      throw error
    }
  }
  let unloadedP99Ms: number | undefined
  if (!limitsLatency(plan)) {
    const from = options.from ?? 1
    const factor = Math.min(from / 2, Math.max(from * unloadedFactor, unloadedMessagesMin / (asked * (stepMs / 1_000))))
    const result = await runAt(factor)
    if (result !== undefined && !stopped()) {
      const figures = judgeStep(result, factor)
      unloadedP99Ms = figures.p99Ms ?? undefined
      steps.push(figures)
      onStep?.(figures)
      if (unloadedP99Ms === undefined || figures.outcome !== 'good')
        return { end: figures.outcome === 'bad' ? 'never_good' : 'unsure', ...known(steps) }
    }
  }
  const search = new KneeSearch(options)
  for (let factor = search.next(); factor !== undefined && !stopped(); factor = search.next()) {
    const result = await runAt(factor)
    // A run that was cut short says nothing about its factor.
    if (result === undefined || stopped()) break
    const figures = judgeStep(result, factor, unloadedP99Ms)
    steps.push(figures)
    onStep?.(figures)
    search.took(factor, figures.outcome)
  }
  return { end: search.end ?? 'stopped', ...known(steps, search) }
}

function known(steps: readonly KneeFigures[], search?: KneeSearch): Omit<Knee, 'end'> {
  const last = (fits: (one: KneeFigures) => boolean): KneeFigures | undefined => steps.filter(fits).at(-1)
  const lastGood = last(({ factor, outcome }) => outcome === 'good' && (search?.good ?? factor) === factor)
  const firstBad = last(({ factor, outcome }) => outcome === 'bad' && (search?.bad ?? factor) === factor)
  const above = steps.filter(({ factor, outcome }) => outcome === 'unsure' && factor > (lastGood?.factor ?? 0))
  const unsure = above.sort((a, b) => a.factor - b.factor)[0]
  return { lastGood, firstBad, unsure, steps }
}
