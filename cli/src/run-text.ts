// What a test run says: its parameters, a line on where it stands, and its verdict.
import { relative } from 'node:path'
import type { Plan, RunResult, RunStatus } from '@sennit/loadtest'
import { latencyNote, viewOf } from '@sennit/loadtest'
import { table } from './output.ts'

export function describePlan(plan: Plan): string {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(0)} s`
  const rate = plan.flows.flatMap((flow) => flow.directions).reduce((sum, direction) => sum + direction.messagesPerSecond, 0)
  const lines = [
    `${plan.name}: ${plan.clients.length} clients, ${plan.flows.length} connections, ${plan.relays.length} relays, ${rate.toFixed(0)} messages/s for ${seconds(plan.run.durationMs)}, seed ${plan.seed}`,
    ...plan.acts.map(
      (act) =>
        `  at ${seconds(act.atMs)}  ${act.fault}: ${act.action} ${targetText(act.target)}${act.durationMs > 0 ? ` for ${seconds(act.durationMs)}` : ''}`,
    ),
  ]
  return lines.join('\n')
}

function targetText(target: Plan['acts'][number]['target']): string {
  switch (target.kind) {
    case 'relay':
      return `relay:${target.relay}`
    case 'busiest':
      return 'the busiest relay'
    case 'zone':
      return `zone:${target.zone}`
    case 'link':
      return `link:${target.from}>${target.to}`
    case 'clients':
      return target.name
  }
}

/** One line, where there is no screen. */
export function statusLine(status: RunStatus, plan: Plan): string {
  const broken = status.limits.filter(({ state }) => state === 'broken')
  const limits = broken.length === 0 ? '' : `  BROKEN ${broken.map(({ limit }) => limit).join(', ')}`
  const faults = status.faults.length === 0 ? '' : `  [${status.faults.join('; ')}]`
  return `${(status.nowMs / 1000).toFixed(0).padStart(4)} s  ${status.attached}/${plan.clients.length} attached  ${status.connected}/${plan.flows.length} connected  ${status.messagesPerSecond} msg/s  p99 ${status.p99Ms?.toFixed(1) ?? '-'} ms  ${status.failovers} fail-overs  ${viewOf(status).damage}${limits}${faults}`
}

export function describeResult(result: RunResult, files: readonly string[]): string {
  const { summary } = result
  const { integrity } = summary
  const note = latencyNote(result.plan)
  const milliseconds = (value: number | null): string => (value === null ? '-' : value.toFixed(1))
  const lines = [
    '',
    `verdict: ${summary.verdict.toUpperCase()} (exit code ${summary.exitCode})`,
    ...result.reasons.map((reason) => `  ${reason}`),
    ...(summary.endedEarly?.by === 'hand'
      ? [`${summary.endedEarly.why} at ${(summary.endedEarly.atMs / 1000).toFixed(1)} s: the verdict is about what there was`]
      : []),
    `integrity: ${integrity.messages} messages, ${integrity.deliveredBytes} of ${integrity.sentBytes} bytes delivered; lost ${integrity.lost}, duplicated ${integrity.duplicated}, reordered ${integrity.reordered}, corrupted ${integrity.corrupted}, unexpected ${integrity.unexpected}, unknown ${integrity.unknown}`,
    ...datagramText(summary),
    `connections: ${summary.connections.opened} of ${summary.connections.planned} opened, ${summary.connections.neverRecovered} never recovered`,
    `latency ms (from the intended time): p50 ${milliseconds(summary.latencyMs.response.p50)}, p99 ${milliseconds(summary.latencyMs.response.p99)}, max ${milliseconds(summary.latencyMs.response.max)}`,
    ...(note === '' ? [] : [note]),
  ]
  if (summary.failovers.length > 0) {
    lines.push(
      '',
      table(
        ['fault', 'action', 'target', 'connections', 'stall p50', 'p99', 'max ms'],
        summary.failovers.map((act) => [
          act.unplanned === true ? `${act.fault} (by hand)` : act.fault,
          act.action,
          act.target,
          String(act.connections),
          milliseconds(act.stallMs.p50),
          milliseconds(act.stallMs.p99),
          milliseconds(act.stallMs.max),
        ]),
      ),
    )
  }
  if (summary.limits.length > 0) {
    lines.push(
      '',
      table(
        ['limit', 'wanted', 'measured', 'held'],
        summary.limits.map((limit) => [
          limit.limit,
          `${limit.metric} ${limit.stat} ${limit.op} ${limit.value}`,
          limit.measured === null ? '-' : String(Math.round(limit.measured * 100) / 100),
          limit.held === null ? 'not measured' : limit.held ? 'yes' : 'NO',
        ]),
      ),
    )
  }
  lines.push('', ...files.map((file) => relative(process.cwd(), file)))
  return lines.join('\n')
}

function datagramText({ datagrams: { sent, delivered, dropped, missing } }: RunResult['summary']): string[] {
  return sent === 0 ? [] : [`datagrams: ${delivered} of ${sent} delivered; ${missing} missing, of which ${dropped} never left`]
}
