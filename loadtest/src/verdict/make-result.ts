// From everything recorded to the result: limits measured, verdict decided, tables cut.
import { plannedTarget } from '../act-target.ts'
import { planHash } from '../plan.ts'
import type { ActRecord } from './act-record.ts'
import { blocksOf } from './blocks.ts'
import { expectationReasons, isExpected } from './expectations.ts'
import { type Percentiles, percentileOf } from './histogram.ts'
import { measureLimits } from './limits.ts'
import type { RunRecorder } from './run-recorder.ts'
import type { ActImpacts, ClientResult, FailoverRecord, LimitResult, PhaseResult, RunResult, SpectrumRow, Summary } from './run-result.ts'
import { decide } from './verdict.ts'
import { survivalMs } from './windows.ts'

/** Points of the percentile spectrum. */
const spectrumPoints = [0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 100]

/** Connections of an act that are kept one by one: more are in its percentiles only. */
const impactsMax = 200

export function makeResult(recorder: RunRecorder, endedAtMs: number, interrupted: boolean): RunResult {
  const phases = recorder.phases.results(Math.min(endedAtMs, recorder.loadEndMs))
  const limits = [...measureLimits(recorder, endedAtMs), ...survivalLimits(recorder)]
  const failed = [...recorder.breaches, ...connectionReasons(recorder), ...expectationReasons(recorder), ...limitReasons(limits, recorder)]
  const lost = lostAgents(recorder)
  const { verdict, exitCode, reasons } = decide({
    interrupted,
    integrity: integrityReasons(recorder),
    neverRecovered: neverRecoveredReasons(recorder),
    // What is measured with a part of the load missing says nothing about the relays.
    limits: lost.length === 0 ? failed : [],
    inconclusive: [
      ...lost,
      ...(lost.length === 0 ? [] : failed),
      ...inconclusiveReasons(recorder, limits, interrupted),
      ...phaseReasons(phases),
    ],
  })
  return {
    plan: recorder.plan,
    summary: summaryOf(recorder, endedAtMs, { verdict, exitCode, limits, phases }),
    reasons,
    startedAt: recorder.options.startedAt,
    timeline: recorder.timeline.rows,
    spectrum: spectrumOf(recorder),
    faultLog: recorder.acts.map((record) => ({
      act: record.act,
      target: record.target === '' ? plannedTarget(record.act) : record.target,
      actualAtMs: rounded(record.startMs),
      healedAtMs: rounded(record.endMs),
      receipt: record.receipt,
      healReceipt: record.healReceipt,
    })),
    impacts: recorder.acts.map((record) => actImpacts(record, recorder)),
    clients: clientResults(recorder),
    incidents: recorder.incidents,
    incidentsLeftOut: recorder.incidentsLeftOut,
    relays: recorder.plan.relays.map(({ relay, zone }) => ({
      relay,
      zone,
      rssMaxBytes: recorder.relaySamples.get(relay)?.rssMaxBytes ?? null,
      cpuMax: rounded(recorder.relaySamples.get(relay)?.cpuMax ?? null),
      pathShare: rounded(recorder.timeline.pathShare(relay)),
    })),
  }
}

type Decided = Pick<Summary, 'verdict' | 'exitCode' | 'limits'> & { readonly phases: readonly PhaseResult[] }

function summaryOf(recorder: RunRecorder, endedAtMs: number, decided: Decided): Summary {
  const { plan, options, damage } = recorder
  const loadSeconds = Math.max(0.001, Math.min(endedAtMs, recorder.loadEndMs) / 1000)
  const opened = recorder.flows.filter((flow) => flow.opened > 0).length
  return {
    verdict: decided.verdict,
    exitCode: decided.exitCode,
    name: plan.name,
    seed: plan.seed,
    planHash: planHash(plan),
    engine: options.engine,
    durationMs: Math.round(endedAtMs),
    ...(recorder.endedEarly === undefined ? {} : { endedEarly: recorder.endedEarly }),
    environment: options.environment,
    clients: {
      planned: plan.clients.length,
      attached: recorder.clients.filter((client) => client.attachMs !== null).length,
      rejected: recorder.clients.filter((client) => client.state === 'rejected').length,
    },
    connections: {
      planned: plan.flows.length,
      opened,
      failed: recorder.flows.filter((flow) => flow.failed > 0 && flow.opened === 0).length,
      neverRecovered: recorder.flows.filter((flow) => flow.neverRecovered).length,
      reset: recorder.resets,
      ...(plan.flows.some(({ sessions }) => sessions !== undefined)
        ? { sessions: recorder.flows.reduce((sum, flow) => sum + flow.opened, 0) }
        : {}),
    },
    integrity: { sentBytes: recorder.sentBytes, deliveredBytes: recorder.bytes, messages: recorder.messages, ...damage },
    datagrams: recorder.datagrams(),
    failovers: recorder.acts.map(failoverRecord),
    latencyMs: { response: roundedAll(recorder.response.percentiles()), service: roundedAll(recorder.service.percentiles()) },
    throughput: {
      messagesPerSecond: Math.round((recorder.messages / loadSeconds) * 10) / 10,
      bytesPerSecond: Math.round(recorder.bytes / loadSeconds),
    },
    blocks: blocksOf(plan, recorder.timeline.rows, recorder.loadEndMs),
    ...(decided.phases.length === 0 ? {} : { phases: decided.phases.map(roundedPhase) }),
    limits: decided.limits,
    errors: [...recorder.errors].map(([code, { count, message }]) => ({ code, count, message })),
    agents: recorder.agents ?? [
      {
        id: '0',
        zone: '',
        host: '',
        clients: plan.clients.length,
        loopDelayP99Ms: rounded(recorder.loopDelays.at(99)),
        cpu: rounded(recorder.cpuMax),
        clockOffsetMs: 0,
        clockErrorMs: 0,
        lost: false,
      },
    ],
    generator: { loopDelayP99Ms: rounded(recorder.loopDelays.at(99)), cpu: rounded(recorder.cpuMax) },
  }
}

function roundedPhase(phase: PhaseResult): PhaseResult {
  const { response, service } = phase.latencyMs
  return { ...phase, latencyMs: { response: roundedAll(response), service: roundedAll(service) } }
}

/** A load that was not there proves nothing about what would have borne it. */
function phaseReasons(phases: readonly PhaseResult[]): string[] {
  return phases.filter(({ held }) => held === false).map(({ phase, remark }) => `phase ${phase}: ${remark}`)
}

function failoverRecord(record: ActRecord): FailoverRecord {
  const impacts = record.impacts()
  const values = (of: 'stallMs' | 'detectMs' | 'failoverMs' | 'recoverToRateMs'): number[] =>
    impacts.map((impact) => impact[of]).filter((value) => value !== null)
  const short = (numbers: number[]): { p50: number | null; p99: number | null; max: number | null } => ({
    p50: rounded(percentileOf(numbers, 50)),
    p99: rounded(percentileOf(numbers, 99)),
    max: rounded(percentileOf(numbers, 100)),
  })
  const stalls = values('stallMs')
  return {
    fault: record.act.fault,
    action: record.act.action,
    target: record.target === '' ? plannedTarget(record.act) : record.target,
    plannedAtMs: record.act.atMs,
    ...(record.act.unplanned === true ? { unplanned: true } : {}),
    actualAtMs: rounded(record.startMs),
    healedAtMs: rounded(record.endMs),
    connections: record.connections,
    detectMs: short(values('detectMs')),
    stallMs: { ...short(stalls), p90: rounded(percentileOf(stalls, 90)) },
    failoverMs: short(values('failoverMs')),
    recoverToRateMs: short(values('recoverToRateMs')),
    neverRecovered: record.neverRecoveredCount(),
    unmeasured: impacts.length - stalls.length,
    loopDelayP99Ms: rounded(record.loopDelayP99Ms),
  }
}

/** The worst first: those that never came back, then by stall, then by how long nothing arrived. */
function actImpacts(record: ActRecord, { plan, flows }: RunRecorder): ActImpacts {
  const all = record.impacts()
  const weight = (value: number | null): number => value ?? -1
  all.sort(
    (a, b) =>
      Number(b.neverRecovered) - Number(a.neverRecovered) ||
      weight(b.stallMs) - weight(a.stallMs) ||
      weight(b.failoverMs) - weight(a.failoverMs) ||
      a.flow - b.flow,
  )
  const rows = all.slice(0, impactsMax).map((impact) => {
    const { caller, listener } = plan.flows[impact.flow]!
    return {
      ...impact,
      stallMs: rounded(impact.stallMs),
      detectMs: rounded(impact.detectMs),
      failoverMs: rounded(impact.failoverMs),
      recoverToRateMs: rounded(impact.recoverToRateMs),
      caller: plan.clients[caller]!.client,
      listener: plan.clients[listener]!.client,
      failovers: flows[impact.flow]!.failovers,
    }
  })
  return { rows, leftOut: all.length - rows.length }
}

function lostAgents({ agents = [], plan }: RunRecorder): string[] {
  const gone = agents.filter(({ lost }) => lost)
  return gone.map(
    ({ id, host, clients }) =>
      `agent ${id}${host === '' ? '' : ` (${host})`} was lost, with ${clients} of ${plan.clients.length} clients: what became of their connections is not known`,
  )
}

function integrityReasons({ damage }: RunRecorder): string[] {
  const kinds = ['lost', 'duplicated', 'reordered', 'corrupted', 'unexpected'] as const
  return kinds.filter((kind) => damage[kind] > 0).map((kind) => `${damage[kind]} bytes were ${kind}`)
}

function neverRecoveredReasons(recorder: RunRecorder): string[] {
  const { flows, plan, directions } = recorder
  const gone = plan.flows.filter(({ flow }) => flows[flow]!.neverRecovered)
  const unknown = gone.flatMap((flow) => flow.directions).reduce((sum, { direction }) => sum + directions[direction]!.unknownBytes, 0)
  return gone.length === 0 ? [] : [`${gone.length} connections never recovered; ${unknown} bytes of them are unknown`]
}

function connectionReasons(recorder: RunRecorder): string[] {
  const { plan, flows } = recorder
  const wanted = flows.filter(({ orphaned }, flow) => orphaned !== true && !isExpected(plan, plan.flows[flow]!, 'rejected'))
  const never = wanted.filter(({ opened, failed }) => opened === 0 && (failed > 0 || recorder.endedEarly === undefined)).length
  const again = wanted.reduce((sum, { opened, failed }) => sum + (opened === 0 ? 0 : failed), 0)
  return [
    ...(never === 0 ? [] : [`${never} of ${flows.length} connections were never opened`, ...heldReasons(recorder)]),
    ...(again === 0 ? [] : [`${again} times a connection that should have been opened again was not`]),
  ]
}

/** Why clients were not there in time, where the ramp was too steep. */
function heldReasons({ clients, plan }: RunRecorder): string[] {
  const held = clients.flatMap(({ heldMs }) => (heldMs === undefined ? [] : [heldMs]))
  if (held.length === 0) return []
  const seconds = (Math.max(...held) / 1000).toFixed(1)
  return [
    `${held.length} of ${plan.clients.length} clients could begin only up to ${seconds} s after their time: the ramp starts more a second than this machine and the relays carry out; set a lower ramp_limit`,
  ]
}

function limitReasons(limits: readonly LimitResult[], recorder: RunRecorder): string[] {
  // What integrity and recovery say already is not said twice.
  const said = ['lost', 'duplicated', 'reordered', 'corrupted', 'unexpected', 'never_recovered']
  const broken = limits.filter(
    (limit) => limit.held === false && limit.severity === 'fail' && !(said.includes(limit.metric) && (limit.measured ?? 0) > 0),
  )
  return [
    ...broken.map((one) =>
      `limit ${one.limit}: ${one.metric} ${one.stat} is ${shown(one.measured)}, must be ${one.op} ${shown(one.value)} ${one.unit}`.trimEnd(),
    ),
    ...(recorder.endedEarly?.by === 'limit' ? [recorder.endedEarly.why] : []),
    ...(recorder.droppedStarts > 0 ? [`${recorder.droppedStarts} starts that were due could not be tried`] : []),
  ]
}

function inconclusiveReasons(recorder: RunRecorder, limits: readonly LimitResult[], interrupted: boolean): string[] {
  const reasons: string[] = []
  for (const one of limits) {
    if (one.held === null && one.severity === 'fail') reasons.push(`limit ${one.limit} could not be measured: ${one.remark}`)
    if (one.held !== true && one.severity === 'sometimes')
      reasons.push(`limit ${one.limit} (sometimes) never held: what it asks for did not happen`)
  }
  const delay = recorder.loopDelays.at(99)
  const delayMax = recorder.plan.run.loopDelayP99MaxMs
  if (delay !== null && delay > delayMax)
    reasons.push(`the generator's event loop was late by ${delay.toFixed(1)} ms at p99 (at most ${delayMax} ms)`)
  for (const { id, lost, clockErrorMs, loopDelayP99Ms } of recorder.agents ?? []) {
    const { clockErrorMaxMs } = recorder.plan.run
    if (!lost && (clockErrorMs ?? 0) > clockErrorMaxMs)
      reasons.push(`the clock of agent ${id} is known to ${clockErrorMs!.toFixed(1)} ms only (clock_error_max is ${clockErrorMaxMs} ms)`)
    if ((loopDelayP99Ms ?? 0) > delayMax)
      reasons.push(`the event loop of agent ${id} was late by ${loopDelayP99Ms!.toFixed(1)} ms at p99 (at most ${delayMax} ms)`)
  }
  const underWay = recorder.flows.flatMap(({ underWayBytes = 0 }) => (underWayBytes > 0 ? [underWayBytes] : []))
  if (underWay.length > 0) {
    const bytes = underWay.reduce((sum, one) => sum + one, 0)
    reasons.push(
      `${bytes} bytes of ${underWay.length} connections were still under way when the drain (${recorder.plan.run.drainMs / 1000} s) was over, and are unknown: give a longer drain, or less load`,
    )
  }
  const unheld = interrupted
    ? []
    : recorder.acts.filter(({ act, startMs }) => startMs === null && act.unplanned !== true && act.atMs < recorder.loadEndMs)
  for (const record of unheld) {
    reasons.push(`fault ${record.act.fault} (${record.act.action}) did not happen${record.receipt === '' ? '' : `: ${record.receipt}`}`)
  }
  for (const { act, startMs, halted } of recorder.acts)
    if (startMs !== null && halted !== '') reasons.push(`fault ${act.fault} (${act.action}) was healed early: ${halted}`)
  if (recorder.messages === 0 && !recorder.plan.flows.every((flow) => isExpected(recorder.plan, flow, 'rejected')))
    reasons.push('not one message was delivered')
  return reasons
}

/** One line per fault that was expected to be survived and hit something: the longest time a connection was without a path. */
function survivalLimits(recorder: RunRecorder): LimitResult[] {
  const byFault = new Map<string, number>()
  for (const record of recorder.acts) {
    if (record.act.expect !== 'survive' || record.connections === 0) continue
    const gap = recorder.pathGaps.get(record.act.act) ?? 0
    byFault.set(record.act.fault, Math.max(byFault.get(record.act.fault) ?? 0, gap))
  }
  return [...byFault].map(([fault, gapMs]) => ({
    limit: `${fault} survived`,
    metric: 'time_without_path',
    stat: 'max',
    op: '<=',
    value: survivalMs,
    measured: rounded(gapMs),
    held: gapMs <= survivalMs,
    severity: 'fail',
    unit: 'ms',
    window: `during:${fault}`,
    remark: 'expect = survive',
  }))
}

function spectrumOf(recorder: RunRecorder): SpectrumRow[] {
  const points = [...new Set([...spectrumPoints, ...recorder.plan.run.percentiles])].sort((a, b) => a - b)
  return points.map((percentile) => ({
    percentile,
    responseMs: rounded(percentile === 0 ? recorder.response.min : recorder.response.at(percentile)),
    serviceMs: rounded(percentile === 0 ? recorder.service.min : recorder.service.at(percentile)),
  }))
}

function clientResults(recorder: RunRecorder): ClientResult[] {
  const { plan } = recorder
  const results = plan.clients.map((client, index) => {
    const record = recorder.clients[index]!
    const error: string = record.error
    return {
      client: client.client,
      user: client.label === '' ? client.user : `${client.user}/${client.label}`,
      zone: client.zone,
      profile: client.profile,
      state:
        record.state === 'rejected'
          ? ('rejected' as const)
          : record.attachMs === null
            ? ('never attached' as const)
            : ('attached' as const),
      attachMs: rounded(record.attachMs),
      peers: [] as string[],
      sentMessages: 0,
      sentBytes: 0,
      receivedMessages: 0,
      receivedBytes: 0,
      damagedBytes: 0,
      failovers: 0,
      worstStallMs: null as number | null,
      error,
    }
  })
  for (const flow of plan.flows) {
    const caller = results[flow.caller]!
    const listener = results[flow.listener]!
    const record = recorder.flows[flow.flow]!
    caller.peers.push(listener.client)
    listener.peers.push(caller.client)
    for (const one of [caller, listener]) {
      one.failovers += record.failovers
      if (one.error === '') one.error = record.code
    }
    for (const { direction, from, to } of flow.directions) {
      const kept = recorder.directions[direction]!
      const [sender, receiver] = [results[from]!, results[to]!]
      sender.sentMessages += kept.sentMessages
      sender.sentBytes += kept.sentBytes
      receiver.receivedMessages += kept.receivedMessages
      receiver.receivedBytes += kept.checker.receivedBytes
      receiver.damagedBytes += kept.damagedBytes
      if (kept.worstStallMs !== null) receiver.worstStallMs = Math.max(receiver.worstStallMs ?? 0, kept.worstStallMs)
    }
  }
  return results.map((result) => ({ ...result, peers: result.peers.join(', '), worstStallMs: rounded(result.worstStallMs) }))
}

function roundedAll({ p50, p90, p99, p999, max }: Percentiles): Percentiles {
  return { p50: rounded(p50), p90: rounded(p90), p99: rounded(p99), p999: rounded(p999), max: rounded(max) }
}

/** To the microsecond: more digits say nothing. */
function rounded(value: number | null): number | null {
  return value === null ? null : Math.round(value * 1000) / 1000
}

function shown(value: number | null): string {
  return value === null ? 'not measured' : String(rounded(value))
}
