// The result workbook: the sheets of the scenario as they were, and behind them what came of them.
import * as xlsx from 'xlsx'
import { appendSheet, bytesOf, type CellValue, escaped, type WrittenSheet } from '../workbook/write-workbook.ts'
import type { Percentiles } from './histogram.ts'
import { latencyNote } from './report/latency-note.ts'
import { timelineTable } from './report/timeline-table.ts'
import type { PhaseResult, RunResult } from './run-result.ts'

/** The bytes of the result. `input` is the scenario's workbook, if there is one. */
export function resultWorkbook(result: RunResult, input: Uint8Array | undefined): Uint8Array {
  const book =
    input === undefined ? xlsx.utils.book_new() : xlsx.read(input, { type: 'array', cellNF: true, cellFormula: true, cellStyles: true })
  for (const sheet of resultSheets(result)) {
    const at = book.SheetNames.findIndex((name) => name.toLowerCase() === sheet.name.toLowerCase())
    if (at !== -1) {
      delete book.Sheets[book.SheetNames[at]!]
      book.SheetNames.splice(at, 1)
    }
    appendSheet(book, {
      name: sheet.name,
      rows: sheet.rows.map((row) => row.map((cell) => (typeof cell === 'string' ? escaped(cell) : cell))),
    })
  }
  return bytesOf(book)
}

/** The sheets that a run adds. */
function resultSheets(result: RunResult): WrittenSheet[] {
  const { summary } = result
  return [
    { name: 'Summary', rows: summaryRows(result) },
    { name: 'Timeline', rows: timelineTable(result.timeline) },
    {
      name: 'Latency',
      rows: [['percentile', 'response_ms', 'service_ms'], ...result.spectrum.map((row) => [row.percentile, row.responseMs, row.serviceMs])],
    },
    {
      name: 'Failovers',
      rows: [
        [
          'fault',
          'action',
          'target',
          'planned_at_ms',
          'actual_at_ms',
          'healed_at_ms',
          'connections',
          'detect_p50_ms',
          'detect_p99_ms',
          'detect_max_ms',
          'stall_p50_ms',
          'stall_p90_ms',
          'stall_p99_ms',
          'stall_max_ms',
          'failover_p99_ms',
          'recover_to_rate_p99_ms',
          'unmeasured',
          'never_recovered',
        ],
        ...summary.failovers.map((row) => [
          row.fault,
          row.action,
          row.target,
          row.plannedAtMs,
          row.actualAtMs,
          row.healedAtMs,
          row.connections,
          row.detectMs.p50,
          row.detectMs.p99,
          row.detectMs.max,
          row.stallMs.p50,
          row.stallMs.p90,
          row.stallMs.p99,
          row.stallMs.max,
          row.failoverMs.p99,
          row.recoverToRateMs.p99,
          row.unmeasured,
          row.neverRecovered,
        ]),
      ],
    },
    {
      name: 'FaultLog',
      rows: [
        [
          'act',
          'fault',
          'action',
          'target',
          'planned_at_ms',
          'actual_at_ms',
          'healed_at_ms',
          'heal',
          'receipt',
          'heal_receipt',
          'unplanned',
        ],
        ...result.faultLog.map((row) => [
          row.act.act,
          row.act.fault,
          row.act.action,
          row.target,
          row.act.atMs,
          row.actualAtMs,
          row.healedAtMs,
          row.act.heal,
          row.receipt,
          row.healReceipt,
          row.act.unplanned === true ? 'begun by hand' : null,
        ]),
      ],
    },
    {
      name: 'ClientResults',
      rows: [
        [
          'client',
          'user',
          'zone',
          'profile',
          'state',
          'attach_ms',
          'peers',
          'sent_messages',
          'sent_bytes',
          'received_messages',
          'received_bytes',
          'damaged_bytes',
          'failovers',
          'worst_stall_ms',
          'error',
        ],
        ...result.clients.map((row) => [
          row.client,
          row.user,
          row.zone,
          row.profile,
          row.state,
          row.attachMs,
          row.peers,
          row.sentMessages,
          row.sentBytes,
          row.receivedMessages,
          row.receivedBytes,
          row.damagedBytes,
          row.failovers,
          row.worstStallMs,
          row.error,
        ]),
      ],
    },
    {
      name: 'Integrity',
      rows: [
        ['at_ms', 'kind', 'flow', 'from', 'to', 'message', 'offset', 'bytes', 'relay', 'faults'],
        ...result.incidents.map((row) => [
          row.atMs,
          row.kind,
          row.flow,
          row.from,
          row.to,
          row.message,
          row.offset,
          row.bytes,
          row.relay,
          row.faults,
        ]),
        ...(result.incidentsLeftOut > 0 ? [[`${result.incidentsLeftOut} more were only counted`]] : []),
      ],
    },
    ...(summary.phases === undefined ? [] : [{ name: 'PhaseResults', rows: phaseRows(summary.phases) }]),
    {
      name: 'Agents',
      rows: [
        ['agent', 'zone', 'host', 'clients', 'loop_delay_p99_ms', 'cpu_max_cores', 'clock_offset_ms', 'clock_error_ms', 'lost'],
        ...(summary.agents ?? []).map((row) => [
          row.id,
          row.zone,
          row.host,
          row.clients,
          row.loopDelayP99Ms,
          row.cpu,
          row.clockOffsetMs,
          row.clockErrorMs,
          row.lost ? 'yes' : 'no',
        ]),
      ],
    },
    { name: 'Errors', rows: [['code', 'count', 'first_message'], ...summary.errors.map((row) => [row.code, row.count, row.message])] },
  ]
}

function phaseRows(phases: readonly PhaseResult[]): CellValue[][] {
  return [
    [
      ...[
        'phase',
        'start_ms',
        'end_ms',
        'executor',
        'target',
        'wanted_per_s',
        'reached_per_s',
        'clients_wanted',
        'clients_reached',
        'held',
      ],
      ...['delivered', 'response_p50_ms', 'response_p90_ms', 'response_p99_ms', 'response_max_ms', 'remark'],
    ],
    ...phases.map(({ latencyMs: { response }, ...row }) => [
      ...[row.phase, row.startMs, row.endMs, row.executor, row.target, row.wanted, row.reached, row.clients.wanted, row.clients.reached],
      row.held === null ? '' : row.held ? 'yes' : 'no',
      ...[row.delivered, response.p50, response.p90, response.p99, response.max, row.remark],
    ]),
  ]
}

function summaryRows(result: RunResult): CellValue[][] {
  const { summary } = result
  const note = latencyNote(result.plan)
  const percentiles = (name: string, of: Percentiles): CellValue[][] =>
    Object.entries(of).map(([point, value]) => [`${name} ${point}`, value, 'ms'])
  return [
    ['what', 'value', 'unit'],
    ['verdict', summary.verdict],
    ['exit code', summary.exitCode],
    ...result.reasons.map((reason) => ['because', reason]),
    ['name', summary.name],
    ['seed', summary.seed],
    ['plan hash', summary.planHash],
    ['engine', summary.engine],
    ['started', result.startedAt],
    ['duration', summary.durationMs, 'ms'],
    ...(summary.endedEarly === undefined
      ? []
      : [
          ['ended early', summary.endedEarly.why],
          ['ended early at', summary.endedEarly.atMs, 'ms'],
        ]),
    ...Object.entries(summary.clients).map(([name, value]) => [`clients ${name}`, value]),
    ...Object.entries(summary.connections).map(([name, value]) => [`connections ${name}`, value]),
    ...(summary.datagrams.sent === 0
      ? []
      : Object.entries(summary.datagrams).map(([name, value]) => [`datagrams ${name}`, value, 'datagrams'])),
    ...Object.entries(summary.integrity).map(([name, value]) => [`integrity ${name}`, value, name === 'messages' ? 'messages' : 'B']),
    ...percentiles('response', summary.latencyMs.response),
    ...percentiles('service', summary.latencyMs.service),
    ...(note === '' ? [] : [['response and service', note]]),
    ['throughput', summary.throughput.messagesPerSecond, 'messages/s'],
    ['throughput', summary.throughput.bytesPerSecond, 'B/s'],
    ['event loop p99', summary.generator.loopDelayP99Ms, 'ms'],
    ...Object.entries(summary.environment).map(([name, value]) => [`environment ${name}`, value]),
    [],
    ['limit', 'held', 'measured', 'unit', 'rule', 'window', 'severity', 'remark'],
    ...summary.limits.map((row) => [
      row.limit,
      row.held === null ? 'not measured' : row.held ? 'yes' : 'no',
      row.measured,
      row.unit,
      `${row.metric} ${row.stat} ${row.op} ${row.value}`,
      row.window,
      row.severity,
      row.remark,
    ]),
  ]
}
