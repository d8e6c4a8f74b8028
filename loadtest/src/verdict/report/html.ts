// The report: one HTML file, no script, no network, nothing to install. It opens from a mail as well as from a disk; links lead within it.
import type { LimitResult, RunResult, Summary, TimelineRow } from '../run-result.ts'
import { agentsSection } from './agents-section.ts'
import { type ShadedFault, type TimeChart, timeChart } from './chart.ts'
import { faultPanels, panelLink } from './fault-panels.ts'
import { bytes, count, duration, html, inUnit, moment, short } from './format.ts'
import { latencyNote } from './latency-note.ts'
import { planSection } from './plan-section.ts'
import { stallChart } from './stall-chart.ts'
import { style } from './style.ts'
import { badge, table } from './table.ts'

/** Points a chart shows at most: one a pixel is plenty. */
const pointsMax = 600
/** A longer table of clients is folded. */
const openClientsMax = 40

export function reportHtml(result: RunResult): string {
  const { summary } = result
  const title = `${summary.name}: ${summary.verdict}`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="generator" content="sennit ${html(summary.environment.sennit)}">
<title>${html(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
${heading(result)}
${verdict(result)}
${cards(result)}
<section aria-labelledby="time"><h2 id="time">Over time</h2>
${timeCharts(result)}
</section>
${phaseSection(summary)}
${faultSection(result)}
<section aria-labelledby="limits"><h2 id="limits">Limits</h2>
${limitTable(summary.limits)}
</section>
${latencySection(result)}
${integritySection(result)}
${detailSection(result)}
${agentsSection(result)}
${planSection(result)}
</main>
</body>
</html>
`
}

function heading({ summary, startedAt, plan }: RunResult): string {
  const world = `${plan.clients.length} clients, ${plan.flows.length} connections, ${plan.relays.length} relays, ${plan.acts.length} fault acts`
  return `<header><div><p class="soft small">Sennit test report</p><h1>${html(summary.name)}</h1><p class="soft">${html(world)} · ${html(moment(summary.durationMs))} · engine ${html(summary.engine)}</p></div>
<div class="small soft"><p>started ${html(startedAt.replace('T', ' ').replace(/\.\d+Z$/, ' UTC'))}</p><p>seed ${summary.seed} · plan <code>${html(summary.planHash.slice(0, 16))}</code></p></div></header>`
}

function verdict({ summary, reasons }: RunResult): string {
  const words = {
    pass: 'Every limit held, and every byte arrived once, in order and unchanged.',
    fail: 'Something that must hold did not.',
    inconclusive: 'Nothing was found wrong, but the run does not prove what it was made for.',
  }
  const list = reasons.length === 0 ? '' : `<ul>${reasons.map((reason) => `<li>${html(reason)}</li>`).join('')}</ul>`
  return `<section class="verdict ${summary.verdict}" aria-label="verdict"><strong>${summary.verdict}</strong> <span class="soft">exit code ${summary.exitCode}</span><p>${words[summary.verdict]}</p>${list}${byHand(summary)}</section>`
}

/** What a person did to the run, which its plan does not say. */
function byHand({ endedEarly, failovers, durationMs }: RunResult['summary']): string {
  const injected = failovers.filter(({ unplanned }) => unplanned === true).length
  const lines = [
    ...(endedEarly?.by === 'hand'
      ? [`The load was ${endedEarly.why} at ${moment(endedEarly.atMs)}; the verdict is about these ${moment(durationMs)}.`]
      : []),
    ...(injected === 0 ? [] : [`${count(injected)} fault acts were begun by hand; the plan does not have them.`]),
  ]
  return lines.map((line) => `<p class="soft">${html(line)}</p>`).join('')
}

function cards({ summary }: RunResult): string {
  const { integrity, connections, clients, latencyMs, throughput, failovers } = summary
  const damaged = integrity.lost + integrity.duplicated + integrity.reordered + integrity.corrupted + integrity.unexpected
  const worst = Math.max(...failovers.map((one) => one.stallMs.max ?? 0), 0)
  const hit = failovers.reduce((sum, one) => sum + one.connections, 0)
  const card = (value: string, name: string, more: string, tone = ''): string =>
    `<div class="card ${tone}"><span>${html(name)}</span><b>${html(value)}</b><em>${html(more)}</em></div>`
  return `<section class="cards" aria-label="key figures">
${card(count(integrity.messages), 'messages', `${bytes(integrity.deliveredBytes)} of ${bytes(integrity.sentBytes)}`)}
${card(count(damaged), 'damaged bytes', damaged === 0 ? 'every byte checked' : 'see Integrity', damaged === 0 ? 'good' : 'bad')}
${card(count(connections.neverRecovered), 'never recovered', `of ${connections.opened} connections`, connections.neverRecovered === 0 ? 'good' : 'bad')}
${card(hit === 0 ? '–' : duration(worst), 'worst stall', `${count(hit)} connections hit by faults`)}
${card(duration(latencyMs.response.p99), 'response p99', `median ${duration(latencyMs.response.p50)}`)}
${card(`${short(throughput.messagesPerSecond)}/s`, 'throughput', `${bytes(throughput.bytesPerSecond)}/s · ${clients.attached} of ${clients.planned} clients`)}
</section>`
}

function timeCharts(result: RunResult): string {
  const { plan, timeline, summary } = result
  const group = Math.max(1, Math.ceil(timeline.length / pointsMax))
  const points = grouped(timeline, group)
  const faults = shadedFaults(result)
  const base = {
    times: points.map((rows) => rows[0]!.second * 1000),
    stepMs: group * 1000,
    endMs: Math.max(summary.durationMs, 1),
    warmupMs: Math.min(plan.run.warmupMs, summary.durationMs),
    faults,
    phases: (summary.phases ?? []).map(({ phase, startMs, endMs }) => ({ name: phase, fromMs: startMs, toMs: endMs })),
  }
  const mean = (of: (row: TimelineRow) => number): (number | null)[] =>
    points.map((rows) => rows.reduce((sum, row) => sum + of(row), 0) / rows.length)
  const most = (of: (row: TimelineRow) => number | null): (number | null)[] =>
    points.map((rows) => rows.reduce<number | null>((top, row) => (of(row) === null ? top : Math.max(top ?? 0, of(row)!)), null))
  const shaded = faults.length === 0 ? '' : ' Faults are shaded, the warm-up is grey.'
  const charts: TimeChart[] = [
    {
      ...base,
      id: 'throughput',
      title: 'Messages per second',
      description: `Messages sent and delivered in each second; on average ${summary.throughput.messagesPerSecond} a second were delivered.${shaded}`,
      series: [
        { name: 'delivered', style: 's1', shape: 'area', values: mean((row) => row.messages) },
        { name: 'sent', style: 's4', shape: 'line', values: mean((row) => row.sentMessages) },
      ],
      format: short,
    },
    {
      ...base,
      id: 'latency',
      title: 'Response time, from the intended send time',
      description: `Median, 99th percentile and largest response time of each second, logarithmic; over the run the p99 was ${duration(summary.latencyMs.response.p99)}.${shaded}`,
      logarithmic: true,
      series: [
        { name: 'largest', style: 's3', shape: 'line', values: most((row) => row.maxMs) },
        { name: 'p99', style: 's2', shape: 'line', values: most((row) => row.p99Ms) },
        { name: 'median', style: 's1', shape: 'line', values: most((row) => row.p50Ms) },
      ],
      format: duration,
    },
    {
      ...base,
      id: 'failovers',
      title: 'Fail-overs and connections without a path',
      description: `Path changes and connections without any path in each second.${shaded}`,
      series: [
        {
          name: 'fail-overs (ends that moved)',
          style: 's2',
          shape: 'area',
          values: points.map((rows) => rows.reduce((sum, row) => sum + row.failovers, 0)),
        },
        { name: 'without a path', style: 's3', shape: 'line', values: most((row) => row.withoutPath) },
      ],
      format: short,
    },
  ]
  if (timeline.some((row) => row.loopDelayMaxMs !== null)) {
    charts.push({
      ...base,
      id: 'loop',
      title: 'Delay of the generator’s event loop',
      description: `The largest delay in each second. What is measured while it is high may be the generator's own.${shaded}`,
      series: [{ name: 'largest', style: 's4', shape: 'area', values: most((row) => row.loopDelayMaxMs) }],
      format: duration,
    })
  }
  return charts.map(timeChart).join('\n')
}

function grouped(timeline: readonly TimelineRow[], size: number): TimelineRow[][] {
  const groups: TimelineRow[][] = []
  for (let from = 0; from < timeline.length; from += size) groups.push(timeline.slice(from, from + size))
  return groups
}

function shadedFaults({ faultLog, summary }: RunResult): ShadedFault[] {
  return faultLog
    .filter((row) => row.actualAtMs !== null)
    .map((row) => ({
      name: `${row.act.fault} ${row.act.action} ${row.target}`,
      link: panelLink(row.act.act),
      label: `${row.act.fault} ${row.target}`,
      action: row.act.action,
      fromMs: row.actualAtMs!,
      toMs: row.healedAtMs ?? (row.act.durationMs === 0 && row.act.heal === 'auto' ? row.actualAtMs! : summary.durationMs),
      detail: `${row.act.fault}: ${row.act.action} ${row.target}, ${moment(row.actualAtMs)} to ${row.healedAtMs === null ? 'the end' : moment(row.healedAtMs)}`,
    }))
}

function phaseSection({ phases = [] }: Summary): string {
  if (phases.length === 0) return ''
  return `<section aria-labelledby="phases"><h2 id="phases">Phases</h2>
${table(
  'What each phase asked for and what was reached. A message belongs to the phase in which it was due; a rate is held when it is within 1 %.',
  [
    { name: 'phase', cell: (row) => row.phase },
    { name: 'from', kind: 'n', cell: (row) => moment(row.startMs) },
    { name: 'to', kind: 'n', cell: (row) => moment(row.endMs) },
    { name: 'executor', cell: (row) => row.executor },
    { name: 'target', cell: (row) => row.target },
    { name: 'wanted/s', kind: 'n', cell: (row) => inUnit(row.wanted, 'messages/s') },
    { name: 'reached/s', kind: 'n', cell: (row) => inUnit(row.reached, 'messages/s') },
    {
      name: 'clients',
      kind: 'n',
      cell: (row) => `${short(row.clients.reached)}${row.clients.wanted === null ? '' : ` of ${short(row.clients.wanted)}`}`,
    },
    { name: 'p50', kind: 'n', cell: (row) => duration(row.latencyMs.response.p50) },
    { name: 'p99', kind: 'n', cell: (row) => duration(row.latencyMs.response.p99) },
    { name: 'largest', kind: 'n', cell: (row) => duration(row.latencyMs.response.max) },
    {
      name: 'held',
      kind: 'html',
      cell: ({ held }) => (held === null ? '–' : held ? badge('held', 'good') : badge('not reached', 'open')),
    },
  ],
  phases,
)}</section>`
}

function faultSection(result: RunResult): string {
  const { summary, faultLog } = result
  if (faultLog.length === 0) return ''
  return `<section aria-labelledby="faults"><h2 id="faults">Faults</h2>
${stallChart(summary.failovers, summary.limits)}
${table(
  'What each fault did to the connections whose active path it carried. Stall: the largest delay of a message due in the ten seconds after, over the median before.',
  [
    { name: 'fault', kind: 'html', cell: ({ act, row }) => `<a href="${panelLink(act)}">${html(row.fault)}</a>` },
    { name: 'action', cell: ({ row }) => row.action },
    { name: 'target', cell: ({ row }) => row.target },
    { name: 'at', kind: 'n', cell: ({ row }) => moment(row.actualAtMs) },
    { name: 'healed', kind: 'n', cell: ({ row }) => moment(row.healedAtMs) },
    { name: 'connections', kind: 'n', cell: ({ row }) => count(row.connections) },
    { name: 'detected p50', kind: 'n', cell: ({ row }) => duration(row.detectMs.p50) },
    { name: 'stall p50', kind: 'n', cell: ({ row }) => duration(row.stallMs.p50) },
    { name: 'stall p99', kind: 'n', cell: ({ row }) => duration(row.stallMs.p99) },
    { name: 'worst', kind: 'n', cell: ({ row }) => duration(row.stallMs.max) },
    { name: 'never recovered', kind: 'n', cell: ({ row }) => count(row.neverRecovered) },
  ],
  summary.failovers.map((row, act) => ({ act, row })),
)}
${faultPanels(result)}
<details><summary>Fault log with receipts</summary>
${table(
  'What was planned, what was done, and that it was healed',
  [
    { name: 'fault', cell: (row) => `${row.act.fault} ${row.act.action}` },
    { name: 'target', cell: (row) => row.target },
    { name: 'planned', kind: 'n', cell: (row) => moment(row.act.atMs) },
    { name: 'actual', kind: 'n', cell: (row) => moment(row.actualAtMs) },
    { name: 'healed', kind: 'n', cell: (row) => (row.act.heal === 'never' ? 'never' : moment(row.healedAtMs)) },
    { name: 'receipt', kind: 'wrap', cell: (row) => row.receipt },
    { name: 'heal receipt', kind: 'wrap', cell: (row) => row.healReceipt },
  ],
  faultLog,
)}</details>
</section>`
}

function limitTable(limits: readonly LimitResult[]): string {
  if (limits.length === 0) return '<p class="soft">The workbook sets no limits; only integrity and recovery were judged.</p>'
  return table(
    'What must hold, and what was measured',
    [
      { name: 'limit', cell: (row) => row.limit },
      { name: 'metric', cell: (row) => `${row.metric} ${row.stat}` },
      { name: 'window', cell: (row) => row.window },
      { name: 'must be', kind: 'n', cell: (row) => `${row.op} ${inUnit(row.value, row.unit)}` },
      { name: 'measured', kind: 'n', cell: (row) => inUnit(row.measured, row.unit) },
      { name: 'held', kind: 'html', cell: heldBadge },
      { name: 'remark', kind: 'wrap', cell: (row) => row.remark },
    ],
    limits,
  )
}

function heldBadge({ held, severity }: LimitResult): string {
  if (held === true) return badge('held', 'good')
  if (held === null) return badge('not measured', 'open')
  return severity === 'fail' ? badge('broken', 'bad') : badge(severity === 'warn' ? 'warning' : 'never held', 'open')
}

function latencySection({ spectrum, summary, plan }: RunResult): string {
  const note = latencyNote(plan)
  return `<section aria-labelledby="spectrum"><h2 id="spectrum">Latency</h2>
${table(
  `Messages due after the warm-up. Response: from the intended send time; service: from when it was handed over (median ${duration(summary.latencyMs.service.p50)}).${note === '' ? '' : ` ${note}`}`,
  [
    { name: 'percentile', cell: (row) => (row.percentile === 0 ? 'smallest' : row.percentile === 100 ? 'largest' : `p${row.percentile}`) },
    { name: 'response', kind: 'n', cell: (row) => duration(row.responseMs) },
    { name: 'service', kind: 'n', cell: (row) => duration(row.serviceMs) },
  ],
  spectrum,
)}</section>`
}

function integritySection({ summary, incidents, incidentsLeftOut }: RunResult): string {
  const { integrity } = summary
  const counters = (['lost', 'duplicated', 'reordered', 'corrupted', 'unexpected', 'unknown'] as const).map((kind) => ({
    kind,
    value: integrity[kind],
  }))
  const list =
    incidents.length === 0
      ? ''
      : table(
          `What went wrong, with the relay and the faults of that moment${incidentsLeftOut === 0 ? '' : ` (${incidentsLeftOut} more were only counted)`}`,
          [
            { name: 'at', kind: 'n', cell: (row) => moment(row.atMs) },
            { name: 'kind', cell: (row) => row.kind },
            { name: 'from', cell: (row) => row.from },
            { name: 'to', cell: (row) => row.to },
            { name: 'message', kind: 'n', cell: (row) => (row.message < 0 ? '–' : count(row.message)) },
            { name: 'offset', kind: 'n', cell: (row) => count(row.offset) },
            { name: 'bytes', kind: 'n', cell: (row) => count(row.bytes) },
            { name: 'relay', cell: (row) => row.relay },
            { name: 'faults', kind: 'wrap', cell: (row) => row.faults },
          ],
          incidents,
        )
  return `<section aria-labelledby="integrity"><h2 id="integrity">Integrity</h2>
${table(
  `${count(integrity.messages)} messages, ${bytes(integrity.deliveredBytes)}: every byte is compared with a keystream that follows from seed, flow and offset`,
  [
    { name: 'counter', cell: (row) => row.kind },
    { name: 'bytes', kind: 'n', cell: (row) => count(row.value) },
    {
      name: '',
      kind: 'html',
      cell: (row) => (row.value === 0 ? badge('none', 'good') : badge('found', row.kind === 'unknown' ? 'open' : 'bad')),
    },
  ],
  counters,
)}
${list}</section>`
}

function detailSection(result: RunResult): string {
  const { summary, clients, relays } = result
  const errors =
    summary.errors.length === 0
      ? '<p class="soft">No errors.</p>'
      : table(
          'Errors by code',
          [
            { name: 'code', cell: (row) => row.code },
            { name: 'count', kind: 'n', cell: (row) => count(row.count) },
            { name: 'first message', kind: 'wrap', cell: (row) => row.message },
          ],
          summary.errors,
        )
  return `<section aria-labelledby="relays">
<h2 id="relays">Relays</h2>
${table(
  'What each relay carried and used',
  [
    { name: 'relay', cell: (row) => row.relay },
    { name: 'zone', cell: (row) => row.zone || '–' },
    { name: 'share of paths', kind: 'n', cell: (row) => (row.pathShare === null ? '–' : `${Math.round(row.pathShare * 100)} %`) },
    { name: 'memory, most', kind: 'n', cell: (row) => bytes(row.rssMaxBytes) },
    { name: 'CPU, most', kind: 'n', cell: (row) => (row.cpuMax === null ? '–' : `${row.cpuMax} cores`) },
  ],
  relays,
)}
</section>
<section aria-labelledby="errors"><h2 id="errors">Errors</h2>
${errors}</section>
<section aria-labelledby="clients"><h2 id="clients">Clients</h2>
<details${clients.length > openClientsMax ? '' : ' open'}><summary>${count(clients.length)} clients, one row each</summary>
${table(
  'One row a client',
  [
    { name: 'client', cell: (row) => row.client },
    { name: 'state', cell: (row) => row.state },
    { name: 'attached', kind: 'n', cell: (row) => moment(row.attachMs) },
    { name: 'peers', kind: 'wrap', cell: (row) => row.peers },
    { name: 'sent', kind: 'n', cell: (row) => count(row.sentMessages) },
    { name: 'received', kind: 'n', cell: (row) => count(row.receivedMessages) },
    { name: 'damaged', kind: 'n', cell: (row) => count(row.damagedBytes) },
    { name: 'fail-overs', kind: 'n', cell: (row) => count(row.failovers) },
    { name: 'worst stall', kind: 'n', cell: (row) => duration(row.worstStallMs) },
    { name: 'error', cell: (row) => row.error },
  ],
  clients,
)}</details>
</section>`
}
