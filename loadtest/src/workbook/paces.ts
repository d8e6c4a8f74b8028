// From phases to what the runners follow: how each sender's rate changes over time, and what each phase asks for in figures.
import { hasRate, type PacePoint } from '../pace.ts'
import type { Flow, FlowDirection, PlanPhase } from '../plan.ts'
import type { Phase } from './phases-sheet.ts'

export interface Paced {
  readonly phases: readonly PlanPhase[]
  readonly paces: readonly (readonly PacePoint[])[]
  readonly flows: readonly Flow[]
}

/** Gives every sender that phases speed up or slow down its pace. */
export function pacedFlows(phases: readonly Phase[], flows: readonly Flow[], members: number): Paced {
  const own = flows.flatMap(({ directions }) => directions.filter(hasRate))
  const rated = phases.filter(({ sets }) => sets === 'rate').sort((a, b) => a.startMs - b.startMs)
  const byClient = new Map<number, number[]>()
  for (const [index, phase] of rated.entries()) for (const member of phase.members) push(byClient, member, index)
  const totals = new Map(
    phases.map((phase): [Phase, number] => {
      const inside = new Set(phase.members)
      return [phase, own.reduce((sum, { from, messagesPerSecond }) => sum + (inside.has(from) ? messagesPerSecond : 0), 0)]
    }),
  )
  const factors = rated.map((phase) => factorsOf(phase, totals.get(phase)!))
  const paces: PacePoint[][] = []
  const paceOf = new Map<string, number>()
  const pace = (client: number): number | undefined => {
    const key = byClient.get(client)?.join()
    if (key === undefined) return undefined
    const known = paceOf.get(key)
    if (known !== undefined) return known
    paces.push(joined(key.split(',').map((index) => factors[Number(index)]!)))
    paceOf.set(key, paces.length - 1)
    return paces.length - 1
  }
  return {
    phases: phases.map((phase) => planPhase(phase, totals.get(phase)!, members)),
    flows:
      rated.length === 0
        ? flows
        : flows.map((flow) => ({
            ...flow,
            directions: flow.directions.map((one) => withPace(one, hasRate(one) ? pace(one.from) : undefined)),
          })),
    paces,
  }
}

function withPace(direction: FlowDirection, pace: number | undefined): FlowDirection {
  return pace === undefined ? direction : { ...direction, pace }
}

function factorsOf(phase: Phase, total: number): PacePoint[] {
  if (phase.isShare) return phase.line.map(({ atMs, value }) => ({ atMs, factor: value }))
  if (total === 0 && phase.members.length > 0)
    phase.row.wrong('W123', 'target', 'expected clients that send at a rate of their own', `"${phase.target}"`, 'none of them does')
  return phase.line.map(({ atMs, value }) => ({ atMs, factor: total === 0 ? 0 : value / total }))
}

/** Outside of these stages a sender has its own rate. */
function joined(stages: readonly (readonly PacePoint[])[]): PacePoint[] {
  const points: PacePoint[] = [{ atMs: 0, factor: 1 }]
  const add = (point: PacePoint): void => {
    const last = points.at(-1)!
    if (last.atMs !== point.atMs || last.factor !== point.factor) points.push(point)
  }
  for (const [index, stage] of stages.entries()) {
    const before = stages[index - 1]?.at(-1)
    if (before !== undefined && before.atMs < stage[0]!.atMs) add({ atMs: before.atMs, factor: 1 })
    if (points.at(-1)!.atMs < stage[0]!.atMs) add({ atMs: stage[0]!.atMs, factor: 1 })
    for (const point of stage) add(point)
  }
  add({ atMs: stages.at(-1)!.at(-1)!.atMs, factor: 1 })
  return points
}

function planPhase(phase: Phase, total: number, clients: number): PlanPhase {
  const { startMs, endMs, executor, sets, target, members, all, size, line, isShare } = phase
  const whole = sets === 'rate' ? total : size
  const values = line.map(({ atMs, value }) => ({
    atMs,
    value: isShare ? value * whole : Math.min(value, sets === 'clients' ? whole : value),
  }))
  return {
    phase: phase.phase,
    startMs,
    endMs,
    executor,
    sets,
    target,
    ...(all || members.length === clients ? {} : { clients: members }),
    ...(sets === 'nothing' ? {} : { line: values }),
  }
}

function push(lists: Map<number, number[]>, key: number, value: number): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [value])
  else list.push(value)
}
