// `junit.xml`: what a build server shows. One case for each limit, for each kind of damage, for each fault that was planned, and for the verdict.
// Broken is a failure; what could not be measured is an error, so that no build is green by not looking; a broken limit that only warns is skipped.
import type { LimitResult, RunResult } from '../run-result.ts'

interface Case {
  readonly group: string
  readonly name: string
  readonly outcome: 'ok' | 'failure' | 'error' | 'skipped'
  readonly message: string
}

export function junitXml(result: RunResult): string {
  const { summary, startedAt } = result
  const cases = [...integrityCases(result), ...faultCases(result), ...summary.limits.map(limitCase), verdictCase(result)]
  const tally = (outcome: Case['outcome']): number => cases.filter((one) => one.outcome === outcome).length
  const seconds = (summary.durationMs / 1000).toFixed(3)
  const counts = `tests="${cases.length}" failures="${tally('failure')}" errors="${tally('error')}" skipped="${tally('skipped')}" time="${seconds}"`
  const properties = Object.entries({
    verdict: summary.verdict,
    exitCode: summary.exitCode,
    seed: summary.seed,
    planHash: summary.planHash,
    engine: summary.engine,
    ...summary.environment,
  })
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="sennit" ${counts}>`,
    `  <testsuite name="${xml(summary.name)}" ${counts} timestamp="${xml(startedAt.replace(/\.\d+Z$/, ''))}">`,
    '    <properties>',
    ...properties.map(([name, value]) => `      <property name="${xml(name)}" value="${xml(String(value))}"/>`),
    '    </properties>',
    ...cases.map((one) => `    ${caseXml(one, summary.name)}`),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n')
}

function integrityCases({ summary }: RunResult): Case[] {
  const { integrity, connections } = summary
  const zero = (name: string, value: number, unit: string): Case => ({
    group: 'integrity',
    name,
    outcome: value === 0 ? 'ok' : 'failure',
    message: `expected 0 ${unit}; found ${value}`,
  })
  return [
    ...(['lost', 'duplicated', 'reordered', 'corrupted', 'unexpected'] as const).map((kind) => zero(kind, integrity[kind], 'bytes')),
    zero('never_recovered', connections.neverRecovered, 'connections'),
    zero('connections_failed', connections.planned - connections.opened, 'connections that were never opened'),
  ]
}

/** A fault that did not happen proves nothing about it. */
function faultCases({ faultLog }: RunResult): Case[] {
  return faultLog.map(({ act, target, actualAtMs, receipt }) => ({
    group: 'faults',
    name: `${act.fault} ${act.action} ${target} at ${act.atMs / 1000}s`,
    outcome: actualAtMs === null ? 'error' : 'ok',
    message: `it did not happen${receipt === '' ? '' : `: ${receipt}`}`,
  }))
}

function limitCase({ limit, metric, stat, op, value, measured, held, severity, unit, window, remark }: LimitResult): Case {
  const broken = { fail: 'failure', sometimes: 'error', warn: 'skipped' } as const
  const open = { fail: 'error', sometimes: 'error', warn: 'skipped' } as const
  return {
    group: 'limits',
    name: limit,
    outcome: held === true ? 'ok' : held === null ? open[severity] : broken[severity],
    message: `${metric} ${stat} must be ${op} ${value} ${unit} in ${window}; ${held === null ? `not measured: ${remark}` : `found ${measured}`}`,
  }
}

function verdictCase({ summary, reasons }: RunResult): Case {
  const outcomes = { pass: 'ok', fail: 'failure', inconclusive: 'error' } as const
  return { group: 'run', name: 'verdict', outcome: outcomes[summary.verdict], message: [summary.verdict, ...reasons].join('; ') }
}

function caseXml({ group, name, outcome, message }: Case, run: string): string {
  const open = `<testcase classname="${xml(`${run}.${group}`)}" name="${xml(name)}"`
  return outcome === 'ok' ? `${open}/>` : `${open}><${outcome} message="${xml(message)}"/></testcase>`
}

/** Text for an attribute. XML 1.0 has no way to write most control characters and lone surrogates, so they go. */
function xml(text: string): string {
  return text
    .replace(/\p{Surrogate}|(?![\t\n\r])\p{Control}|[\ufffe\uffff]/gu, '\ufffd')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;')
    .replace(/[\t\n\r]/g, ' ')
}
