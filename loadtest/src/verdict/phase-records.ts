// What is kept of each phase of the run: how much its clients were to send and sent in time, how many of them were there, and how fast their
// messages arrived. A message belongs to the phase in which it was due.
import { hasRate, Pace } from '../pace.ts'
import type { Flow, FlowDirection, PhasePoint, Plan, PlanPhase } from '../plan.ts'
import { DurationHistogram, type HistogramState } from './histogram.ts'
import type { PhaseResult } from './run-result.ts'

/** A message that is sent later than this after the end of its phase was not sent in it. */
const lateMs = 100
/** Rates are held to 1 %. */
const tolerance = 0.01
/** A count may stray from the rate by chance: each sender's first message lies anywhere in its interval. Three standard deviations of that. */
const chance = 3 / Math.sqrt(6)

/** What one agent kept of a phase, as data. */
export interface PhaseState {
  readonly sent: number
  readonly received: number
  readonly attached: number
  /** Clients × ms, up to `untilMs`. */
  readonly presence: number
  readonly untilMs: number
  readonly response: HistogramState
  readonly service: HistogramState
}

class PhaseRecord {
  readonly phase: PlanPhase
  readonly response: DurationHistogram = new DurationHistogram(2)
  readonly service: DurationHistogram = new DurationHistogram(2)
  readonly #members: ReadonlySet<number> | undefined
  sent = 0
  received = 0
  /** Of its clients, those that are attached now. */
  attached = 0
  /** Clients × ms. */
  #presence = 0
  #presenceUntilMs: number

  constructor(phase: PlanPhase) {
    this.phase = phase
    this.#members = phase.clients === undefined ? undefined : new Set(phase.clients)
    this.#presenceUntilMs = phase.startMs
  }

  has(client: number): boolean {
    return this.#members === undefined || this.#members.has(client)
  }

  covers(atMs: number): boolean {
    return atMs >= this.phase.startMs && atMs < this.phase.endMs
  }

  /** One of its clients comes or goes. */
  changed(nowMs: number, by: 1 | -1): void {
    this.#advance(nowMs)
    if (nowMs < this.phase.endMs) this.attached += by
  }

  state(nowMs: number): PhaseState {
    this.#advance(nowMs)
    const { sent, received, attached } = this
    const [response, service] = [this.response.state(), this.service.state()]
    return { sent, received, attached, presence: this.#presence, untilMs: this.#presenceUntilMs, response, service }
  }

  add(state: PhaseState): void {
    this.sent += state.sent
    this.received += state.received
    this.attached += state.attached
    this.#presence += state.presence
    this.#presenceUntilMs = Math.max(this.#presenceUntilMs, state.untilMs)
    this.response.add(state.response)
    this.service.add(state.service)
  }

  /** How many of its clients were there on average. */
  meanAttached(untilMs: number): number {
    this.#advance(untilMs)
    const { startMs, endMs } = this.phase
    return this.#presence / Math.max(1, Math.min(endMs, untilMs) - startMs)
  }

  #advance(nowMs: number): void {
    const until = Math.min(nowMs, this.phase.endMs)
    if (until <= this.#presenceUntilMs) return
    this.#presence += this.attached * (until - this.#presenceUntilMs)
    this.#presenceUntilMs = until
  }
}

export class PhaseRecords {
  readonly #plan: Plan
  readonly #phases: readonly PhaseRecord[]

  constructor(plan: Plan) {
    this.#plan = plan
    this.#phases = (plan.phases ?? []).map((phase) => new PhaseRecord(phase))
  }

  attached(nowMs: number, client: number): void {
    for (const phase of this.#phases) if (phase.has(client)) phase.changed(nowMs, 1)
  }

  detached(nowMs: number, client: number): void {
    for (const phase of this.#phases) if (phase.has(client)) phase.changed(nowMs, -1)
  }

  sent(nowMs: number, direction: FlowDirection, dueMs: number): void {
    if (this.#phases.length === 0 || !hasRate(direction)) return
    const { from } = direction
    for (const one of this.#phases) if (one.covers(dueMs) && nowMs < one.phase.endMs + lateMs && one.has(from)) one.sent += 1
  }

  received({ from, to, role }: FlowDirection, dueMs: number, responseMs: number | undefined, serviceMs: number | undefined): void {
    // An answer belongs to whom asked for it.
    const client = role === 'answers' ? to : from
    for (const one of this.#phases) {
      if (!one.covers(dueMs) || !one.has(client)) continue
      one.received += 1
      if (responseMs !== undefined) one.response.record(responseMs)
      if (serviceMs !== undefined) one.service.record(serviceMs)
    }
  }

  /** One for each phase, in the order of the plan. */
  state(nowMs: number): PhaseState[] {
    return this.#phases.map((phase) => phase.state(nowMs))
  }

  /** Adds what another recorder of the same plan kept. */
  add(states: readonly PhaseState[]): void {
    for (const [index, state] of states.entries()) this.#phases[index]?.add(state)
  }

  /** One for each phase that had begun. */
  results(endedAtMs: number): PhaseResult[] {
    const begun = this.#phases.filter(({ phase }) => phase.startMs < endedAtMs)
    if (begun.length === 0) return []
    const paces = (this.#plan.paces ?? []).map((points) => new Pace(points))
    return begun.map((record) => resultOf(record, this.#plan, paces, endedAtMs))
  }
}

function resultOf(record: PhaseRecord, plan: Plan, paces: readonly Pace[], endedAtMs: number): PhaseResult {
  const { phase, executor, target, sets, startMs, line = [] } = record.phase
  const endMs = Math.min(record.phase.endMs, endedAtMs)
  const seconds = Math.max(0.001, (endMs - startMs) / 1000)
  const senders = plan.flows.flatMap((flow) =>
    flow.directions.filter((one) => record.has(one.from) && hasRate(one)).map((direction) => ({ flow, direction })),
  )
  const planned = senders.reduce((sum, { flow, direction }) => sum + dueIn(flow, direction, paces, startMs, endMs), 0)
  const wantedMessages = sets === 'rate' ? areaOf(line, endMs) / 1000 : planned
  const wantedClients = sets === 'clients' ? areaOf(line, endMs) / Math.max(1, endMs - startMs) : null
  const reachedClients = record.meanAttached(endMs)
  const sent = record.sent
  let held: boolean | null = null
  let remark = ''
  // What a warm-up is for, such as clients that are still on their way, is no fault.
  const judged = endMs > plan.run.warmupMs
  if (sets === 'rate' && judged) {
    const bursts = senders.reduce((sum, { direction }) => sum + direction.burst ** 2, 0)
    held = Math.abs(sent - wantedMessages) <= Math.max(tolerance * wantedMessages, chance * Math.sqrt(bursts))
    if (!held) remark = `${shown(sent / seconds)} of ${shown(wantedMessages / seconds)} messages/s were sent in time (must be within 1 %)`
  } else if (sets === 'clients' && judged && endMs === record.phase.endMs) {
    const wanted = Math.round(line.at(-1)?.value ?? 0)
    held = Math.abs(record.attached - wanted) <= Math.max(1, tolerance * wanted)
    if (!held) remark = `${record.attached} of ${wanted} clients were there at its end`
  }
  return {
    phase,
    startMs,
    endMs: Math.round(endMs),
    executor,
    target,
    wanted: rounded(wantedMessages / seconds),
    reached: rounded(sent / seconds),
    clients: { wanted: wantedClients === null ? null : rounded(wantedClients), reached: rounded(reachedClients) },
    held,
    remark,
    delivered: record.received,
    latencyMs: { response: record.response.percentiles(), service: record.service.percentiles() },
  }
}

/** Messages of a sender that are due in [fromMs, toMs), if it is connected as planned. */
function dueIn(flow: Flow, { bursts, burst, pace }: FlowDirection, paces: readonly Pace[], fromMs: number, toMs: number): number {
  const line = pace === undefined ? undefined : paces[pace]
  let sum = 0
  for (const { openAtMs, closeAtMs } of flow.sessions ?? [flow]) {
    const from = Math.max(fromMs, openAtMs)
    const to = Math.min(toMs, closeAtMs ?? toMs)
    if (to > from) sum += line === undefined ? to - from : line.between(from, to)
  }
  return (sum * bursts * burst) / 1000
}

/** The area under a line up to a moment, in its unit × ms. */
function areaOf(line: readonly PhasePoint[], untilMs: number): number {
  const pace = new Pace(line.map(({ atMs, value }) => ({ atMs, factor: value })))
  return pace.between(line[0]!.atMs, untilMs)
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}

function shown(value: number): string {
  return String(Number(value.toPrecision(4)))
}
