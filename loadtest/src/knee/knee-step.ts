// One step of the search for the knee: the plan at a factor on its rates, and whether the mesh held.
import { type Limit, metrics, type Plan } from '../plan.ts'
import type { RunResult } from '../verdict/run-result.ts'
import type { KneeOutcome } from './knee-search.ts'

/** What a step measured. Rates are messages a second of all clients together, latencies are from when a message was due. */
export interface KneeFigures {
  readonly factor: number
  readonly outcome: KneeOutcome
  /** Why it broke or says nothing; '' when it held. */
  readonly reason: string
  readonly asked: number
  readonly reached: number
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly loopDelayP99Ms: number | null
}

/** Clients have this long to settle after the last one began to attach. */
const settleMs = 3_000
/** Reached may be less than asked by this share: the last messages of a step arrive after it. */
const reachedShareMin = 0.99
/** A latency this many times the unloaded one is a queue. */
const queueTimes = 10
/** Below this an unloaded latency is the noise of a machine. */
const unloadedMsMin = 1

/** Limits that a larger load can break: not those that want much, count what grows with the run, or look at faults and stages, which a step has not. */
function judges({ metric, op, window, severity }: Limit): boolean {
  const steady = window.kind === 'run' || window.kind === 'steady'
  return severity === 'fail' && steady && ['<', '<=', '='].includes(op) && !['act', 'seen', 'shares'].includes(metrics[metric].kind)
}

/** The plan of one step: `factor` times its rates for `stepMs` after the warm-up, without faults and stages. */
export function stepPlan(plan: Plan, factor: number, stepMs: number): Plan {
  const { phases: _phases, paces: _paces, drills: _drills, ...rest } = plan
  const lastMs = plan.clients.reduce((last, { attachAtMs }) => Math.max(last, attachAtMs), 0)
  const warmupMs = Math.max(Math.min(plan.run.warmupMs, lastMs + 2 * settleMs), lastMs + settleMs)
  return {
    ...rest,
    run: { ...plan.run, warmupMs, durationMs: warmupMs + stepMs },
    acts: [],
    limits: plan.limits.filter(judges).map(({ abortAfterMs: _abort, ...limit }) => limit),
    flows: plan.flows.map((flow) => ({
      ...flow,
      closeAtMs: null,
      directions: flow.directions.map(({ pace: _pace, ...direction }) => ({
        ...direction,
        bursts: direction.bursts * factor,
        messagesPerSecond: direction.messagesPerSecond * factor,
      })),
    })),
    clients: plan.clients.map((client) => ({ ...client, detachAtMs: null })),
  }
}

/** Whether the workbook says how slow is too slow. If not, {@link judgeStep} compares with an unloaded run. */
export function limitsLatency(plan: Plan): boolean {
  return plan.limits.some((limit) => judges(limit) && metrics[limit.metric].kind === 'histogram')
}

/** @param unloadedP99Ms of a run with hardly any load; absent: the limits of the plan decide alone */
export function judgeStep(result: RunResult, factor: number, unloadedP99Ms?: number): KneeFigures {
  const { summary, plan, timeline } = result
  const { warmupMs, durationMs, loopDelayP99MaxMs } = plan.run
  const asked = plan.flows.flatMap(({ directions }) => directions).reduce((sum, { messagesPerSecond }) => sum + messagesPerSecond, 0)
  const [from, to] = [Math.ceil(warmupMs / 1_000), Math.floor(durationMs / 1_000)]
  const measured = timeline.filter(({ second }) => second >= from && second < to)
  const reached = measured.reduce((sum, { messages }) => sum + messages, 0) / Math.max(1, to - from)
  const { p50, p99 } = summary.latencyMs.response
  const figures = { factor, asked, reached, p50Ms: p50, p99Ms: p99, loopDelayP99Ms: summary.generator.loopDelayP99Ms }
  const told = (outcome: KneeOutcome, reason: string): KneeFigures => ({ ...figures, outcome, reason })
  const delay = summary.generator.loopDelayP99Ms ?? 0
  if (delay > loopDelayP99MaxMs)
    return told(
      'unsure',
      `the generator was the limit: its event loop was late by ${delay.toFixed(0)} ms at p99 (at most ${loopDelayP99MaxMs} ms)`,
    )
  if (summary.verdict === 'fail') return told('bad', result.reasons[0] ?? `exit code ${summary.exitCode}`)
  if (summary.verdict === 'inconclusive') return told('unsure', result.reasons[0] ?? 'inconclusive')
  if (unloadedP99Ms === undefined) return told('good', '')
  if (reached < asked * reachedShareMin)
    return told('bad', `${reached.toFixed(1)} of ${asked.toFixed(1)} messages/s arrived (at least 99 %)`)
  const mostMs = queueTimes * Math.max(unloadedMsMin, unloadedP99Ms)
  if (p99 !== null && p99 > mostMs)
    return told('bad', `p99 is ${p99.toFixed(1)} ms, more than ten times the ${unloadedP99Ms.toFixed(1)} ms without load`)
  return told('good', '')
}
