// The sheet `Limits`: what must hold, and whether it can be measured at all with this workbook.
import {
  type FaultAction,
  type FlowDirection,
  type Limit,
  type LimitOperator,
  type LimitStat,
  type LimitWindow,
  type Metric,
  metrics,
} from '../plan.ts'
import { stallRateMin } from '../verdict/act-record.ts'
import { momentCounters } from '../verdict/windowed-metrics.ts'
import {
  anyText,
  bandwidth,
  duration,
  fits,
  type Kind,
  name,
  oneOf,
  operators,
  percent,
  quantity,
  rate,
  size,
  whole,
  yesNo,
} from './grammar.ts'
import { listed, nearest } from './problems.ts'
import type { Table, TableRow } from './table.ts'

export interface LimitsContext {
  readonly faults: readonly string[]
  readonly actions: ReadonlySet<FaultAction>
  readonly tags: readonly string[]
  readonly profiles: readonly string[]
  readonly zones: readonly string[]
  readonly clients: readonly string[]
  readonly relays: readonly string[]
  readonly phases: readonly string[]
  readonly directions: readonly FlowDirection[]
}

const metricNames = Object.keys(metrics) as Metric[]

const metricKind: Kind<Metric> = {
  code: 'W112',
  expected: `one of ${metricNames.join(', ')}`,
  parse: (text) => metricNames.find((metric) => metric === text.toLowerCase().replace(/ /g, '_')),
  guess: (text) => nearest(text.replace(/ /g, '_'), metricNames),
}

const statKind: Kind<LimitStat> = {
  code: 'W133',
  expected: 'p(99), max, min, avg, count, rate or value',
  parse: (text) => {
    const plain = text.toLowerCase().replace(/ /g, '')
    const percentile = /^p\((\d{1,3}(?:\.\d{1,4})?)\)$/.exec(plain)
    if (percentile !== null) return Number(percentile[1]) <= 100 ? { kind: 'p', percentile: Number(percentile[1]) } : undefined
    const kind = (['max', 'avg', 'count', 'rate', 'value', 'min'] as const).find((one) => one === plain)
    return kind === undefined ? undefined : { kind }
  },
  guess: (text) => {
    const number = /^p?_?(\d{1,3}(?:\.\d+)?)$/i.exec(text)
    return number === null ? undefined : `p(${number[1]})`
  },
}

const operatorKind: Kind<LimitOperator> = { code: 'W112', expected: 'one of <, <=, =, !=, >=, >', parse: (text) => operators[text] }

const windowKind: Kind<LimitWindow> = {
  code: 'W132',
  expected: 'a window such as run, steady, phase:rush, during:F1 or after:F1+10s',
  parse: (text) => {
    const plain = text.replace(/ /g, '')
    if (plain.toLowerCase() === 'run' || plain.toLowerCase() === 'steady') return { kind: plain.toLowerCase() as 'run' }
    const phase = /^phase:(.{1,80})$/i.exec(text.trim())
    if (phase !== null) return { kind: 'phase', phase: phase[1]!.trim() }
    const during = /^during:([\w.-]{1,63})$/i.exec(plain)
    if (during !== null) return { kind: 'during', fault: during[1]! }
    const after = /^after:([\w.-]{1,63})(?:\+(.{1,20}))?$/i.exec(plain)
    if (after === null) return undefined
    const delayMs = after[2] === undefined ? 0 : duration.parse(after[2])
    return delayMs === undefined ? undefined : { kind: 'after', fault: after[1]!, delayMs }
  },
}

/** Rates and latencies need some seconds to say anything: a limit must be broken for so long. */
const abortDelayMs = 5_000

/** Integrity counters need a checker that looks. */
const checked: Partial<Record<Metric, readonly FlowDirection['check'][]>> = {
  lost: ['full', 'counter'],
  duplicated: ['full', 'counter'],
  reordered: ['full', 'counter'],
  corrupted: ['full'],
  unexpected: ['full', 'counter'],
  unknown: ['full', 'counter'],
}

export function readLimits(table: Table, context: LimitsContext): Limit[] {
  const limits = new Map<string, Limit>()
  for (const row of table.rows) {
    const limit = readRow(row, context)
    if (limit === undefined) continue
    if (limits.has(limit.limit.toLowerCase()))
      row.wrong('W113', 'limit', 'expected a name that is not used above', `"${limit.limit}" again`)
    else limits.set(limit.limit.toLowerCase(), limit)
  }
  return [...limits.values()]
}

function readRow(row: TableRow, context: LimitsContext): Limit | undefined {
  const limit = row.read('limit', name, `L${row.row - 1}`)
  const severity = row.read('severity', oneOf(['fail', 'warn', 'sometimes']), 'fail')
  const abortAfterMs = readAbort(row, severity)
  const note = row.read('note', anyText, '')
  const op = row.need('op', operatorKind)
  const window = readWindow(row, context)
  const metric = row.need('metric', metricKind)
  if (metric === undefined) {
    row.read('stat', statKind, { kind: 'value' })
    return undefined
  }
  const stat = readStat(row, metric)
  const value = row.need('value', valueKind(metric))
  const chosen = readFilter(row, metric, context)
  checkMeasurable(row, metric, window, context)
  if (op === undefined || value === undefined) return undefined
  return {
    limit,
    metric,
    ...chosen,
    stat,
    statText: statText(stat),
    op,
    value: value ?? 0,
    valueText: row.text('value'),
    window,
    windowText: windowText(window),
    severity,
    ...(abortAfterMs === undefined ? {} : { abortAfterMs }),
    note,
  }
}

/** A limit that says `abort` ends the run when it was broken for so long. */
function readAbort(row: TableRow, severity: Limit['severity']): number | undefined {
  const aborts = row.read('abort', yesNo, false)
  const delayMs = row.read('abort_delay', duration, abortDelayMs)
  if (!aborts) {
    if (row.has('abort_delay')) row.wrong('W120', 'abort_delay', 'expected nothing (abort is not yes)')
    return undefined
  }
  if (severity === 'fail') return delayMs
  row.wrong('W112', 'abort', `expected no (only a limit of severity fail ends a run; this one is ${severity})`)
  return undefined
}

function readStat(row: TableRow, metric: Metric): LimitStat {
  const { kind } = metrics[metric]
  const fallback: LimitStat =
    kind === 'histogram' || kind === 'act'
      ? { kind: 'p', percentile: 99 }
      : { kind: kind === 'gauge' || kind === 'seen' || kind === 'shares' ? 'max' : 'value' }
  const stat = row.read('stat', statKind, fallback)
  const allowed: Record<string, readonly string[]> = {
    histogram: ['p', 'max', 'min', 'avg', 'count', 'rate'],
    act: ['p', 'max', 'min', 'avg', 'count'],
    rate: ['value', 'rate', 'avg', 'count'],
    counter: ['value', 'count'],
    gauge: ['max', 'value'],
    ratio: ['value'],
    seen: ['p', 'max', 'min', 'avg', 'count'],
    shares: ['p', 'max', 'min', 'avg'],
  }
  if (row.has('stat') && !allowed[kind]!.includes(stat.kind)) {
    const words = allowed[kind]!.map((one) => (one === 'p' ? 'p(99)' : one)).join(', ')
    row.wrong('W133', 'stat', `expected one of ${words} for ${metric}`)
    return fallback
  }
  return stat
}

/** What the value is written in follows from the metric. */
function valueKind(metric: Metric): Kind<number | null> {
  switch (metrics[metric].unit) {
    case 'ms':
      return duration
    case 'B':
      return size
    case 'B/s':
      return { ...bandwidth, parse: (text) => bandwidth.parse(text) ?? undefined }
    case 'messages/s':
      return { ...rate, parse: (text) => rate.parse(text) ?? quantity.parse(text) }
    case 'share':
      return percent
    case 'connections':
    case 'datagrams':
    case 'descriptors':
    case 'clients':
      return whole(0, 1_000_000)
    default:
      return quantity
  }
}

function readWindow(row: TableRow, { faults, phases }: LimitsContext): LimitWindow {
  const window = row.read('window', windowKind, { kind: 'run' })
  if (window.kind === 'phase') {
    const phase = phases.find((one) => one.toLowerCase() === window.phase.toLowerCase())
    if (phase !== undefined) return { kind: 'phase', phase }
    const near = nearest(window.phase, phases)
    const expected = `expected the name of a phase (${listed(phases) || 'there is none'})`
    row.wrong('W111', 'window', expected, `"${window.phase}"`, near === undefined ? '' : `Nearest: ${near}`)
    return { kind: 'run' }
  }
  if (!('fault' in window)) return window
  const fault = faults.find((one) => one.toLowerCase() === window.fault.toLowerCase())
  if (fault !== undefined) return { ...window, fault }
  const near = nearest(window.fault, faults)
  row.wrong(
    'W111',
    'window',
    `expected the name of a fault (${listed(faults) || 'there is none'})`,
    `"${window.fault}"`,
    near === undefined ? '' : `Nearest: ${near}`,
  )
  return { kind: 'run' }
}

/** What a filter may name, and the sheet that has the names. */
const filterSheets = {
  action: 'Faults',
  fault: 'Faults',
  tag: 'Clients',
  profile: 'Profiles',
  zone: 'Zones',
  client: 'Clients',
  relay: 'Relays',
}

type FilterWord = keyof typeof filterSheets

/** What a metric can be told apart by. */
function filterWords(metric: Metric): readonly FilterWord[] {
  const ofClients = ['tag', 'profile', 'zone', 'client'] as const
  switch (metrics[metric].kind) {
    case 'act':
      return ['action', 'fault', 'relay', ...ofClients]
    case 'gauge':
    case 'shares':
      return ['relay']
    case 'seen':
      return ['relay', ...ofClients]
    case 'ratio':
      return metric === 'bystander_p99_ratio' ? ['action', 'fault', ...ofClients] : []
    case 'counter':
      return metric === 'dropped_starts' || metric === 'datagrams_missing' ? [] : ofClients
    default:
      return metric === 'generator_loop_delay' ? [] : ofClients
  }
}

type Chosen = Pick<Limit, 'actions' | 'faults' | 'tags' | 'profiles' | 'zones' | 'clients' | 'relays'>

/** `action:kill,pause`, `tag:measured` and so on, joined by `;`. */
function readFilter(row: TableRow, metric: Metric, context: LimitsContext): Chosen {
  const { actions, faults, tags, profiles, zones, clients, relays } = context
  const known: Record<FilterWord, readonly string[]> = {
    action: [...actions],
    fault: faults,
    tag: tags,
    profile: profiles,
    zone: zones,
    client: clients,
    relay: relays,
  }
  const chosen: Record<FilterWord, string[]> = { action: [], fault: [], tag: [], profile: [], zone: [], client: [], relay: [] }
  const words = filterWords(metric)
  for (const part of row.text('filter').replace(/ /g, '').split(';')) {
    if (part === '') continue
    const match = /^([a-z]+):([\w.,*-]{1,200})$/i.exec(part)
    const word = words.find((one) => one === match?.[1]?.toLowerCase())
    if (match === null || word === undefined) {
      const can =
        words.length === 0 ? `expected nothing (${metric} cannot be told apart)` : `expected ${words.map((one) => `${one}:…`).join(', ')}`
      row.wrong('W107', 'filter', words.length === 0 ? can : `${can}, joined by ;, for ${metric}`)
      continue
    }
    for (const one of match[2]!.split(',')) {
      const found = known[word].filter((candidate) => fits(one, candidate))
      chosen[word].push(...found)
      if (found.length > 0 || one === '') continue
      const near = nearest(one, known[word])
      const expectation = `expected what the sheet ${filterSheets[word]} has (${listed(known[word]) || 'nothing'})`
      row.wrong('W111', 'filter', expectation, `"${one}"`, near === undefined ? '' : `Nearest: ${near}`)
    }
  }
  const { action, fault, tag, profile, zone, client, relay } = chosen
  return {
    actions: action as FaultAction[],
    faults: fault,
    tags: tag,
    ...(profile.length === 0 ? {} : { profiles: profile }),
    ...(zone.length === 0 ? {} : { zones: zone }),
    ...(client.length === 0 ? {} : { clients: client }),
    ...(relay.length === 0 ? {} : { relays: relay }),
  }
}

/** A limit that nothing can break is worse than none. */
function checkMeasurable(row: TableRow, metric: Metric, window: LimitWindow, { directions, actions }: LimitsContext): void {
  const needed = checked[metric]
  if (needed !== undefined && directions.length > 0 && !directions.some((one) => needed.includes(one.check))) {
    row.wrong('W131', 'metric', `no enabled client has flow_check = ${needed.join(' or ')}, so "${metric}" cannot be measured`, metric)
  }
  const { kind } = metrics[metric]
  if (metric === 'datagrams_missing' || metric === 'datagram_loss') {
    if (directions.length > 0 && !directions.some(({ mode }) => mode === 'datagram'))
      row.wrong('W131', 'metric', `no enabled client has mode = datagram, so "${metric}" cannot be measured`, metric)
  }
  if (metric === 'compression_ratio' && directions.length > 0 && !directions.some(({ content }) => content === 'text'))
    row.wrong('W131', 'metric', `no enabled client has compression = auto or always, so "${metric}" cannot be measured`, metric)
  if (metric === 'bystander_p99_ratio') {
    if (actions.size === 0) row.wrong('W131', 'metric', `the sheet Faults has no act, so "${metric}" cannot be measured`, metric)
    if (window.kind !== 'run' && window.kind !== 'during')
      row.wrong('W132', 'window', `expected run or during:F1 (${metric} compares with quiet times)`, windowText(window))
  } else if (
    window.kind !== 'run' &&
    (['gauge', 'ratio', 'shares', 'seen'].includes(kind) || (kind === 'counter' && !momentCounters.includes(metric)))
  ) {
    row.wrong('W132', 'window', `expected run (${metric} is known for the whole run only)`, windowText(window))
  }
  if (kind !== 'act') return
  if (window.kind !== 'run' && window.kind !== 'during')
    row.wrong('W132', 'window', `expected run or during:F1 (${metric} belongs to a fault)`, windowText(window))
  if (actions.size === 0) row.wrong('W131', 'metric', `the sheet Faults has no act, so "${metric}" cannot be measured`, metric)
  else if (metric === 'stall' && directions.length > 0 && !hasMeasurableFlow(directions)) {
    row.wrong(
      'W134',
      'metric',
      `no connection carries ${stallRateMin} messages/s each way, so "stall" cannot be measured`,
      metric,
      'Raise the rate',
    )
  }
}

function hasMeasurableFlow(directions: readonly FlowDirection[]): boolean {
  const fast = directions.filter((one) => one.mode !== 'datagram' && one.messagesPerSecond >= stallRateMin).map((one) => one.flow)
  return new Set(fast).size < fast.length
}

function statText(stat: LimitStat): string {
  return stat.kind === 'p' ? `p(${stat.percentile})` : stat.kind
}

function windowText(window: LimitWindow): string {
  if (window.kind === 'during') return `during:${window.fault}`
  if (window.kind === 'phase') return `phase:${window.phase}`
  return window.kind === 'after' ? `after:${window.fault}+${window.delayMs / 1000}s` : window.kind
}
