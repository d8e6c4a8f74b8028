// Charts as inline SVG, without a script: lines and areas over the time of the run, faults shaded. Colours come from the page's style sheet.
import { html } from './format.ts'

export interface Series {
  readonly name: string
  /** CSS class that gives the colour: `s1` … `s4`. */
  readonly style: string
  readonly shape: 'area' | 'line'
  /** One a point; null = nothing measured. */
  readonly values: readonly (number | null)[]
}

export interface ShadedFault {
  /** For who hears it: `F1 kill r1`. */
  readonly name: string
  readonly label: string
  readonly action: string
  readonly fromMs: number
  readonly toMs: number
  /** For the tooltip. */
  readonly detail: string
  /** Where its fail-overs are told, such as `#act-0`. */
  readonly link: string
}

/** A stage of the run. */
export interface MarkedPhase {
  readonly name: string
  readonly fromMs: number
  readonly toMs: number
}

export interface TimeChart {
  readonly id: string
  readonly title: string
  /** A sentence that says what the picture shows, for those who do not see it. */
  readonly description: string
  /** Begin of each point, ms. */
  readonly times: readonly number[]
  readonly stepMs: number
  readonly endMs: number
  readonly warmupMs: number
  readonly series: readonly Series[]
  readonly faults: readonly ShadedFault[]
  readonly phases: readonly MarkedPhase[]
  /** Logarithmic value axis, for latencies. */
  readonly logarithmic?: boolean
  readonly format: (value: number) => string
}

const width = 960
const height = 260
const left = 58
const right = 14
const bottom = 30
/** Letters of a fault label, about. */
const letterWidth = 6.2
const labelRows = 3

/** The chart of a run over time. */
export function timeChart(chart: TimeChart): string {
  const labels = placeLabels(chart)
  const rows = labels.reduce((most, label) => Math.max(most, label.row + 1), 0)
  const top = 12 + rows * 14
  const x = (ms: number): number => left + (ms / Math.max(1, chart.endMs)) * (width - left - right)
  const axis = valueAxis(chart, top)
  const parts = [
    `<title id="${chart.id}-t">${html(chart.title)}</title><desc id="${chart.id}-d">${html(chart.description)}</desc>`,
    // What is drawn is said in the description; who listens to the page is not told each line of the grid.
    '<g aria-hidden="true">',
    ...chart.faults.map((fault) => shade(fault, x, top)),
    chart.warmupMs > 0
      ? `<rect class="warmup" x="${left}" y="${top}" width="${fixed(x(chart.warmupMs) - left)}" height="${height - bottom - top}"/>`
      : '',
    ...axis.ticks.map((tick) => gridLine(axis.y(tick), chart.format(tick))),
    ...timeTicks(chart.endMs).map((ms) => timeTick(x(ms), ms)),
    ...chart.phases.map((phase) => mark(phase, x, top)),
    ...chart.series.map((series) => draw(series, chart, x, axis.y)),
    '</g>',
    ...labels.map(({ fault, at, row }) => {
      const y = 11 + row * 14
      const text = `<text class="fault ${html(fault.action)}" x="${fixed(at)}" y="${y}">${html(fault.label)}</text>`
      return `<a href="${html(fault.link)}" aria-label="${html(`${fault.name}: show its fail-overs`)}">${text}</a>`
    }),
    ...hovers(chart, x, top),
  ]
  return figure(
    chart,
    `<svg viewBox="0 0 ${width} ${height}" role="${labels.length === 0 ? 'img' : 'group'}" aria-labelledby="${chart.id}-t" aria-describedby="${chart.id}-d">${parts.join('')}</svg>`,
  )
}

function figure(chart: TimeChart, svg: string): string {
  const legend = chart.series.map(({ name, style }) => `<span class="key ${style}">${html(name)}</span>`).join('')
  return `<figure class="chart"><figcaption><h3>${html(chart.title)}</h3><span class="legend">${legend}</span></figcaption>${svg}</figure>`
}

/** Labels side by side, in up to three rows when they would touch. */
function placeLabels({ faults, endMs }: TimeChart): { fault: ShadedFault; at: number; row: number }[] {
  const ends: number[] = []
  return faults.slice(0, 40).flatMap((fault) => {
    const size = fault.label.length * letterWidth + 8
    const wanted = left + (fault.fromMs / Math.max(1, endMs)) * (width - left - right)
    const at = Math.min(wanted, width - right - size)
    let row = ends.findIndex((end) => end <= at)
    if (row === -1) row = ends.length
    if (row >= labelRows) return []
    ends[row] = at + size
    return [{ fault, at, row }]
  })
}

/** A line where a phase begins, and its name where there is room for it. */
function mark({ name, fromMs, toMs }: MarkedPhase, x: (ms: number) => number, top: number): string {
  const from = x(fromMs)
  const room = Math.floor((x(toMs) - from - 8) / letterWidth)
  const text = room < 2 ? '' : name.length <= room ? name : `${name.slice(0, room - 1)}…`
  const tip = `<title>${html(`phase ${name}`)}</title>`
  return `<g class="phase">${tip}<line x1="${fixed(from)}" x2="${fixed(from)}" y1="${top}" y2="${height - bottom}"/><text class="halo" x="${fixed(from + 4)}" y="${top + 11}">${html(text)}</text></g>`
}

function shade(fault: ShadedFault, x: (ms: number) => number, top: number): string {
  const from = x(fault.fromMs)
  const wide = Math.max(2, x(fault.toMs) - from)
  const tip = `<title>${html(fault.detail)}</title>`
  return `<g class="shade ${html(fault.action)}"><rect x="${fixed(from)}" y="${top}" width="${fixed(wide)}" height="${height - bottom - top}">${tip}</rect><line x1="${fixed(from)}" x2="${fixed(from)}" y1="${top - 3}" y2="${height - bottom}"/></g>`
}

interface Axis {
  readonly ticks: readonly number[]
  y(value: number): number
}

function valueAxis(chart: TimeChart, top: number): Axis {
  const values = chart.series.flatMap((series) => series.values.filter((value) => value !== null))
  const most = Math.max(0, ...values)
  const room = height - bottom - top - 4
  if (chart.logarithmic === true) {
    const positive = values.filter((value) => value > 0)
    const low = 10 ** Math.floor(Math.log10(Math.max(0.01, Math.min(1, ...positive))))
    const high = 10 ** Math.max(Math.log10(low) + 1, Math.ceil(Math.log10(Math.max(low * 10, most))))
    const span = Math.log10(high / low)
    const ticks: number[] = []
    for (let tick = low; tick <= high * 1.001; tick *= 10) ticks.push(Number(tick.toPrecision(3)))
    return { ticks, y: (value) => height - bottom - (Math.log10(Math.max(low, value) / low) / span) * room }
  }
  const step = niceStep(most / 4)
  const high = Math.max(step, Math.ceil(most / step) * step)
  const ticks = Array.from({ length: Math.round(high / step) + 1 }, (_, i) => Number((i * step).toPrecision(12)))
  return { ticks, y: (value) => height - bottom - (value / high) * room }
}

/** 1, 2 or 5 times a power of ten. */
export function niceStep(about: number): number {
  if (about <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(about))
  const factor = about / power
  return (factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10) * power
}

function gridLine(y: number, label: string): string {
  return `<line class="grid" x1="${left}" x2="${width - right}" y1="${fixed(y)}" y2="${fixed(y)}"/><text class="tick" x="${left - 8}" y="${fixed(y + 4)}" text-anchor="end">${html(label)}</text>`
}

function timeTicks(endMs: number): number[] {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600]
  const step = (steps.find((one) => endMs / 1000 / one <= 12) ?? 43_200) * 1000
  return Array.from({ length: Math.floor(endMs / step) + 1 }, (_, i) => i * step)
}

function timeTick(x: number, ms: number): string {
  const seconds = ms / 1000
  const label = seconds < 600 ? `${seconds} s` : seconds < 7200 ? `${seconds / 60} min` : `${Number((seconds / 3600).toFixed(2))} h`
  return `<line class="axis" x1="${fixed(x)}" x2="${fixed(x)}" y1="${height - bottom}" y2="${height - bottom + 4}"/><text class="tick" x="${fixed(x)}" y="${height - 10}" text-anchor="middle">${label}</text>`
}

/** Steps, not slopes: a value belongs to its whole second and to none beside it. */
function draw(series: Series, chart: TimeChart, x: (ms: number) => number, y: (value: number) => number): string {
  const runs: { from: number; to: number; y: number }[][] = [[]]
  series.values.forEach((value, index) => {
    const from = chart.times[index]!
    if (value === null || from >= chart.endMs) runs.push([])
    else runs.at(-1)!.push({ from: x(from), to: x(Math.min(chart.endMs, from + chart.stepMs)), y: y(value) })
  })
  const base = height - bottom
  return runs
    .filter((run) => run.length > 0)
    .map((run) => {
      const steps = run.map((step, index) => `${index === 0 ? 'M' : 'L'}${fixed(step.from)} ${fixed(step.y)}H${fixed(step.to)}`).join('')
      const area = series.shape === 'area' ? `<path class="fill ${series.style}" d="${steps}V${base}H${fixed(run[0]!.from)}Z"/>` : ''
      return `${area}<path class="line ${series.style}" d="${steps}"/>`
    })
    .join('')
}

/** Invisible strips whose tooltips give the numbers of a moment; where a fault is in force, a click leads to its fail-overs. */
function hovers(chart: TimeChart, x: (ms: number) => number, top: number): string[] {
  const groups: { fault: ShadedFault | undefined; strips: string[] }[] = []
  for (const [index, ms] of chart.times.entries()) {
    const wide = Math.max(1, x(Math.min(chart.endMs, ms + chart.stepMs)) - x(ms))
    const lines = chart.series.map(({ name, values }) => {
      const value = values[index] ?? null
      return `${name}: ${value === null ? '–' : chart.format(value)}`
    })
    const tip = html([`${Number((ms / 1000).toFixed(1))} s`, ...lines].join('\n'))
    const fault = chart.faults.findLast(({ fromMs, toMs }) => ms < Math.max(toMs, fromMs + 1) && ms + chart.stepMs > fromMs)
    if (groups.length === 0 || groups.at(-1)!.fault !== fault) groups.push({ fault, strips: [] })
    groups
      .at(-1)!
      .strips.push(
        `<rect class="hover" x="${fixed(x(ms))}" y="${top}" width="${fixed(wide)}" height="${height - bottom - top}"><title>${tip}</title></rect>`,
      )
  }
  return groups.map(({ fault, strips }) => {
    const group = `<g aria-hidden="true">${strips.join('')}</g>`
    // Keyboards reach the fault by its label.
    return fault === undefined
      ? group
      : `<a href="${html(fault.link)}" tabindex="-1" aria-label="${html(`${fault.name}: show its fail-overs`)}">${group}</a>`
  })
}

function fixed(value: number): string {
  return String(Number(value.toFixed(1)))
}
