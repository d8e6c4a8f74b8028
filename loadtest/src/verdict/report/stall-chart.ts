// One bar per act: how long the connections it hit stood still. The bar goes from the median to the worst, the mark is p99, the dashed line the limit.
import type { FailoverRecord, LimitResult } from '../run-result.ts'
import { niceStep } from './chart.ts'
import { duration, html } from './format.ts'

const width = 960
const left = 250
const right = 110
const rowHeight = 34
const top = 8
const bottom = 30
/** More acts than this are in the table only. */
const rowsMax = 40

export function stallChart(failovers: readonly FailoverRecord[], limits: readonly LimitResult[]): string {
  const rows = failovers.filter((one) => one.actualAtMs !== null).slice(0, rowsMax)
  if (rows.length === 0) return ''
  const lines = limits.filter((limit) => limit.metric === 'stall' && limit.op.startsWith('<')).map((limit) => limit.value)
  const most = Math.max(10, ...rows.map((row) => row.stallMs.max ?? 0), ...lines)
  const step = niceStep(most / 6)
  const high = Math.ceil(most / step) * step
  const height = top + rows.length * rowHeight + bottom
  const x = (ms: number): number => left + (ms / high) * (width - left - right)
  const ticks = Array.from({ length: Math.round(high / step) + 1 }, (_, i) => i * step)
  const base = height - bottom
  const parts = [
    '<title id="stall-t">Stall of the connections that each fault hit</title>',
    `<desc id="stall-d">${html(rows.map((row) => `${row.fault} ${row.target}: ${spoken(row)}`).join('. '))}</desc>`,
    ...ticks.map(
      (tick) =>
        `<line class="grid" x1="${at(x(tick))}" x2="${at(x(tick))}" y1="${top}" y2="${base}"/><text class="tick" x="${at(x(tick))}" y="${height - 10}" text-anchor="middle">${html(duration(tick))}</text>`,
    ),
    ...[...new Set(lines)].map(
      (line) =>
        `<line class="limit" x1="${at(x(line))}" x2="${at(x(line))}" y1="${top}" y2="${base}"><title>limit ${html(duration(line))}</title></line>`,
    ),
    ...rows.map((row, index) => bar(row, top + index * rowHeight, x)),
  ]
  const svg = `<svg viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="stall-t" aria-describedby="stall-d">${parts.join('')}</svg>`
  const legend =
    '<span class="legend"><span class="key s2">median to worst</span><span class="key s3">p99</span><span class="key limit">limit</span></span>'
  return `<figure class="chart"><figcaption><h3>Stall per fault</h3>${legend}</figcaption>${svg}</figure>`
}

function bar(row: FailoverRecord, y: number, x: (ms: number) => number): string {
  const middle = y + rowHeight / 2
  const name = `<text class="name" x="${left - 12}" y="${at(middle + 4)}" text-anchor="end"><tspan class="strong">${html(cut(row.fault, 18))}</tspan> ${html(cut(`${row.action} ${row.target}`, 26))}</text>`
  const { p50, p99, max } = row.stallMs
  if (p50 === null || p99 === null || max === null)
    return `${name}<text class="tick" x="${left + 8}" y="${at(middle + 4)}">${html(spoken(row))}</text>`
  const from = Math.min(x(p50), x(max) - 2)
  return [
    name,
    `<rect class="bar s2" x="${at(from)}" y="${at(middle - 6)}" width="${at(Math.max(3, x(max) - from))}" height="12" rx="3"><title>${html(spoken(row))}</title></rect>`,
    `<line class="mark s3" x1="${at(x(p99))}" x2="${at(x(p99))}" y1="${at(middle - 11)}" y2="${at(middle + 11)}"/>`,
    `<text class="tick halo" x="${at(Math.min(x(max) + 8, width - right + 8))}" y="${at(middle + 4)}">p99 ${html(duration(p99))}</text>`,
  ].join('')
}

function spoken(row: FailoverRecord): string {
  if (row.connections === 0) return 'it hit no connection'
  const { p50, p99, max } = row.stallMs
  if (p50 === null) return `${row.connections} connections, not measurable`
  return `${row.connections} connections, median ${duration(p50)}, p99 ${duration(p99)}, worst ${duration(max)}`
}

function cut(text: string, letters: number): string {
  return text.length <= letters ? text : `${text.slice(0, letters - 1)}…`
}

function at(value: number): string {
  return String(Number(value.toFixed(1)))
}
