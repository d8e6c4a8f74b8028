// When clients are there and when they are connected, worked out before the run: from attach_at and detach_at, from the phases that say how many
// clients there are, and from the columns connect, session and reconnect, drawn from the seed.
import type { Flow, FlowSession, PlanClient } from '../plan.ts'
import { keystreamKey } from '../verdict/keystream.ts'
import { sample } from '../verdict/sizes.ts'
import type { Client } from './clients-sheet.ts'
import type { Pair } from './pairs.ts'
import type { Phase } from './phases-sheet.ts'
import { randomStream, shuffled } from './random.ts'

/** [fromMs, toMs); Infinity: to the end of the run. */
export interface Interval {
  readonly fromMs: number
  readonly toMs: number
}

/** A session that is drawn shorter lasts this long: a connection needs a moment to be one. */
const sessionMsMin = 100
/** More connections of one client are no test of anything. */
const sessionsMax = 10_000

/** When the clients are there whose number phases set, by index. Who is in no such phase is not in the map. */
export function presencesOf(
  phases: readonly Phase[],
  clients: readonly Client[],
  pairs: readonly Pair[],
  seed: number,
): Map<number, Interval[]> {
  const presences = new Map<number, Interval[]>()
  const byTarget = new Map<string, Phase[]>()
  for (const phase of phases) {
    if (phase.sets !== 'clients') continue
    const key = phase.target.toLowerCase()
    byTarget.set(key, [...(byTarget.get(key) ?? []), phase])
  }
  for (const [key, group] of byTarget) {
    const stages = group.toSorted((a, b) => a.startMs - b.startMs)
    const order = inOrder(stages[0]!.members, pairs, randomStream(seed, `phase clients ${key}`))
    for (const member of order)
      if (clients[member]!.row.has('attach_at') || clients[member]!.row.has('detach_at')) refuseTimes(clients[member]!, stages[0]!)
    for (const [rank, member] of order.entries()) presences.set(member, above(stages, order.length, rank + 0.5))
  }
  return presences
}

function refuseTimes({ row }: Client, { phase, row: phaseRow }: Phase): void {
  const column = row.has('attach_at') ? 'attach_at' : 'detach_at'
  row.wrong('W123', column, `expected nothing (${phaseRow.address('phase')} ${phase} says when it is there)`)
}

/** Those who talk to each other come together, the groups in an order drawn from the seed. */
function inOrder(members: readonly number[], pairs: readonly Pair[], random: () => number): number[] {
  const inside = new Set(members)
  const root = new Map(members.map((member): [number, number] => [member, member]))
  const find = (member: number): number => {
    let at = member
    while (root.get(at) !== at) {
      root.set(at, root.get(root.get(at)!)!)
      at = root.get(at)!
    }
    return at
  }
  for (const { caller, listener } of pairs) if (inside.has(caller) && inside.has(listener)) root.set(find(caller), find(listener))
  const groups = new Map<number, number[]>()
  for (const member of members) groups.set(find(member), [...(groups.get(find(member)) ?? []), member])
  return shuffled([...groups.values()], random).flat()
}

/** Where the number of clients is over `threshold`. Before the first stage and after each it stays where that stage begins or ended. */
function above(stages: readonly Phase[], members: number, threshold: number): Interval[] {
  const points = stages.flatMap(({ line, isShare }) => line.map(({ atMs, value }) => ({ atMs, value: isShare ? value * members : value })))
  const intervals: Interval[] = []
  let since = points[0]!.value >= threshold ? 0 : undefined
  let [lastMs, last] = [0, points[0]!.value]
  // A stage that begins later than the one before ended: the number stays, then jumps.
  for (const { atMs, value, held } of points.map((point, i) => ({
    ...point,
    held: i > 0 && i % 2 === 0 && point.atMs > points[i - 1]!.atMs,
  }))) {
    const crossed = held || last === value ? atMs : lastMs + ((threshold - last) / (value - last)) * (atMs - lastMs)
    if (value >= threshold && since === undefined) since = Math.min(atMs, crossed)
    else if (value < threshold && since !== undefined) {
      if (crossed > since) intervals.push({ fromMs: since, toMs: Math.min(atMs, crossed) })
      since = undefined
    }
    lastMs = atMs
    last = value
  }
  if (since !== undefined) intervals.push({ fromMs: since, toMs: Number.POSITIVE_INFINITY })
  return intervals
}

/** Whether its connections come and go within the time that it is there. */
export function hasSessions({ session, connect }: Client): boolean {
  return session !== null || (connect.kind !== 'once' && connect.kind !== 'never')
}

/** When a client is connected: from each opening for as long as its session lasts, and again after `reconnect`. */
export function sessionsOf(
  client: Client,
  presences: readonly Interval[],
  context: { readonly seed: number; readonly durationMs: number },
): Interval[] {
  const { session, reconnect, connect } = client
  const random = randomStream(context.seed, `sessions ${client.client.toLowerCase()}`)
  const key = keystreamKey(context.seed, Math.floor(random() * 0x1_0000_0000))
  const repeats = connect.kind === 'every' || connect.kind === 'poisson'
  const again = reconnect === 'default' ? (repeats ? null : 'now') : reconnect
  const sessions: Interval[] = []
  let draw = 0
  for (const { fromMs, toMs } of presences) {
    const endMs = Math.min(toMs, context.durationMs)
    const openings = openingsOf(client, fromMs, endMs, random)
    let atMs = openings.next().value
    while (atMs !== undefined && atMs < endMs && sessions.length < sessionsMax) {
      const next = repeats ? openings.next().value : undefined
      draw += 1
      const lastsMs = session === null ? Number.POSITIVE_INFINITY : Math.max(sessionMsMin, sample(session, key, draw))
      const over = Math.min(atMs + lastsMs, session === null && next !== undefined ? next : Number.POSITIVE_INFINITY)
      sessions.push({ fromMs: Math.round(atMs), toMs: over >= endMs ? toMs : Math.round(over) })
      if (over >= endMs) break
      if (again === null) {
        atMs = next
        // Who is still connected when the next connection is due does not connect twice.
        while (atMs !== undefined && atMs < over) atMs = openings.next().value
      } else atMs = over + (again === 'now' ? 0 : Math.max(0, sample(again, key ^ 0x2545f491, draw)))
    }
  }
  if (sessions.length >= sessionsMax)
    client.row.wrong(
      'W118',
      client.row.has('session') ? 'session' : 'connect',
      `expected at most ${sessionsMax} connections of one client`,
      'more',
    )
  return sessions
}

function* openingsOf({ connect }: Client, fromMs: number, endMs: number, random: () => number): Generator<number, undefined> {
  if (connect.kind === 'at') {
    yield Math.max(fromMs, connect.atMs)
    return
  }
  let atMs = connect.kind === 'poisson' ? fromMs - (Math.log(1 - random()) / connect.perSecond) * 1000 : fromMs
  while (atMs < endMs) {
    yield atMs
    if (connect.kind === 'every') atMs += Math.max(1, connect.everyMs * (1 + connect.spread * (2 * random() - 1)))
    else if (connect.kind === 'poisson') atMs -= Math.min(-1e-6, (Math.log(1 - random()) / connect.perSecond) * 1000)
    else return
  }
}

/** What the plan says of one client: its first presence, and what is more than that. */
export function presenceFields(presences: readonly Interval[]): Pick<PlanClient, 'attachAtMs' | 'detachAtMs' | 'again'> {
  const [first, ...more] = presences.map(({ fromMs, toMs }) => ({
    attachAtMs: Math.round(fromMs),
    detachAtMs: Number.isFinite(toMs) ? Math.round(toMs) : null,
  }))
  return { ...first!, ...(more.length === 0 ? {} : { again: more }) }
}

/** One end of a connection, for {@link flowSessions}. */
export interface EndLife {
  readonly intervals: readonly Interval[]
  readonly disconnect: Client['disconnect']
}

/** When a connection is there: while both ends say so. Whoever leaves first ends it, in its own way. */
export function flowSessions(caller: EndLife, listener: EndLife): Pick<Flow, 'openAtMs' | 'closeAtMs' | 'sessions'> | undefined {
  const sessions: FlowSession[] = []
  let [a, b] = [0, 0]
  while (a < caller.intervals.length && b < listener.intervals.length) {
    const [mine, other] = [caller.intervals[a]!, listener.intervals[b]!]
    const openAtMs = Math.max(mine.fromMs, other.fromMs)
    const toMs = Math.min(mine.toMs, other.toMs)
    const by = mine.toMs <= other.toMs ? 'caller' : 'listener'
    const how = by === 'caller' ? caller.disconnect : listener.disconnect
    if (toMs > openAtMs) {
      const closeAtMs = Number.isFinite(toMs) ? toMs : null
      sessions.push({ openAtMs, closeAtMs, ...(closeAtMs === null || how === 'clean' ? {} : { end: { by, how } }) })
    }
    if (mine.toMs <= other.toMs) a += 1
    else b += 1
  }
  const [first] = sessions
  if (first === undefined) return undefined
  const plain = sessions.length === 1 && first.end === undefined
  return { openAtMs: first.openAtMs, closeAtMs: sessions.at(-1)!.closeAtMs, ...(plain ? {} : { sessions }) }
}
