// From everything recorded to what is happening now.
import { plannedTarget } from '../act-target.ts'
import { percentileOfBins } from './latency-bins.ts'
import { limitState, measureLimit } from './limits.ts'
import type { RunRecorder } from './run-recorder.ts'
import { type LimitStatus, nextActsMax, type RunStatus } from './run-status.ts'

/** Between two looks at the limits at most so much is gone through for each second between them: a look costs a few ms then, however long the run. */
const worksPerSecond = 50_000

/** Says what is happening, and measures limits no more often than is cheap. */
export class StatusMaker {
  readonly #recorder: RunRecorder
  readonly #limitsEveryMs: number
  #limits: readonly LimitStatus[] = []
  #nextLimitsMs = Number.NEGATIVE_INFINITY
  /** Clients of this process, and connections that they call. */
  #own: { readonly clients: readonly number[]; readonly called: readonly number[] } | undefined

  constructor(recorder: RunRecorder) {
    this.#recorder = recorder
    const { plan } = recorder
    const work = plan.limits.length * (100 + plan.flows.length * (1 + plan.acts.length))
    this.#limitsEveryMs = 1_000 * Math.ceil(work / worksPerSecond)
  }

  status(nowMs: number): RunStatus {
    const recorder = this.#recorder
    const { plan, timeline, damage } = recorder
    const last = timeline.rows.at(-1)
    const { unknown: _unknown, ...damaged } = damage
    const clients = { planned: 0, attached: 0, rejected: 0, detached: 0 }
    // What several processes tell adds up: each counts its own clients, and the connections that they call.
    const own = this.#ownOnes()
    for (const client of own.clients) clients[recorder.clients[client]!.state] += 1
    const connections = { planned: 0, open: 0, closed: 0, failed: 0, broken: 0, withoutPath: 0 }
    for (const flow of own.called) {
      const { state, withoutPathSinceMs } = recorder.flows[flow]!
      connections[state] += 1
      if (state === 'open' && withoutPathSinceMs !== null) connections.withoutPath += 1
    }
    const paths = recorder.sendingEnds()
    if (nowMs >= this.#nextLimitsMs) {
      this.#limits = limitStatuses(recorder, nowMs)
      this.#nextLimitsMs = nowMs + this.#limitsEveryMs
    }
    return {
      nowMs,
      stage: nowMs < plan.run.warmupMs ? 'warmup' : nowMs < recorder.loadEndMs ? 'load' : 'drain',
      phases: (plan.phases ?? []).filter(({ startMs, endMs }) => nowMs >= startMs && nowMs < endMs).map(({ phase }) => phase),
      rampPaused: recorder.rampPaused,
      clients,
      connections,
      attached: clients.attached,
      rejected: clients.rejected,
      connected: connections.open,
      withoutPath: connections.withoutPath,
      sentMessages: recorder.sentMessages,
      sentBytes: recorder.sentBytes,
      messages: recorder.messages,
      bytes: recorder.bytes,
      sentPerSecond: last?.sentMessages ?? 0,
      messagesPerSecond: last?.messages ?? 0,
      bytesPerSecond: last?.bytes ?? 0,
      latencyLastSecond: timeline.lastSecond.response,
      latency: recorder.responseBins.read(),
      p99Ms: percentileOfBins(timeline.lastSecond.response, 99),
      damage: damaged,
      failovers: recorder.failovers,
      faults: recorder.faultsNow(),
      next: nextActs(recorder, nowMs),
      relays: plan.relays.map(({ relay }) => {
        const { state = 'unknown', rssBytes = null, cpu = null } = recorder.relaysNow.get(relay) ?? {}
        return { relay, state, rssBytes, cpu, paths: paths.get(relay) ?? 0 }
      }),
      limits: this.#limits,
      generators: [{ id: '', loopDelay: timeline.lastSecond.loopDelay, cpu: recorder.cpuNow }],
    }
  }

  /** Asked for once a second; who shares a run has a part of it. */
  #ownOnes(): { readonly clients: readonly number[]; readonly called: readonly number[] } {
    if (this.#own !== undefined) return this.#own
    const { plan, options } = this.#recorder
    const isMine = (client: number): boolean => options.mine?.has(client) ?? true
    this.#own = {
      clients: [...plan.clients.keys()].filter(isMine),
      called: plan.flows.filter(({ caller }) => isMine(caller)).map(({ flow }) => flow),
    }
    return this.#own
  }
}

function nextActs({ acts }: RunRecorder, nowMs: number): RunStatus['next'] {
  return acts
    .filter(({ act, startMs }) => startMs === null && act.atMs > nowMs)
    .sort((a, b) => a.act.atMs - b.act.atMs)
    .slice(0, nextActsMax)
    .map(({ act }) => ({ fault: act.fault, action: act.action, target: plannedTarget(act), atMs: act.atMs }))
}

/** How every limit of the plan stands. */
export function limitStatuses(recorder: RunRecorder, nowMs: number): LimitStatus[] {
  return recorder.plan.limits.map((limit) => {
    const result = measureLimit(limit, recorder, nowMs)
    const { metric, stat, op, value, unit, window, severity, measured } = result
    return { limit: limit.limit, metric, stat, op, value, unit, window, severity, measured, state: limitState(limit, result) }
  })
}
