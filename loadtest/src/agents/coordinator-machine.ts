// The coordinator as a machine: who is there, what comes next, who is lost. No clock, timer or socket of its own: `nowMs` comes in, orders go out.
//
//   waiting -> sharing -> running -> draining -> closing -> over
import type { Plan } from '../plan.ts'
import type { EndedEarly } from '../verdict/run-result.ts'
import { type AgentEntry, closingMs, forgive, impatience, isLive, patienceEndMs, untold } from './agent-entry.ts'
import { agentProtocol, type Join, type Order, type Ready, type Snapshot } from './messages.ts'
import { shareClients } from './share.ts'

export interface CoordinatorOptions {
  readonly plan: Plan
  readonly version: string
  /** So many agents take part. */
  readonly agents: number
  /** How long all of them are waited for. */
  readonly waitMs: number
  /** Only agents of this machine reach the relays. */
  readonly relaysOnLoopback: boolean
}

export type CoordinatorEffect =
  | { readonly type: 'order'; readonly rank: number; readonly order: Order }
  | { readonly type: 'note'; readonly text: string }
  /** All are ready: the run starts then. */
  | { readonly type: 'start'; readonly atMs: number }
  /** It never began. */
  | { readonly type: 'failed'; readonly code: string; readonly message: string }
  /** All that will come has come. */
  | { readonly type: 'over' }

export interface Refusal {
  readonly status: 403 | 409 | 426
  readonly code: string
  readonly message: string
}

/** The start is agreed on so far ahead that the slowest agent has heard of it: a request for orders waits for nothing. */
const startAheadMs = 1_500
/** Fetching a share, opening proxies and setting the clock takes a few seconds for ten thousand clients. */
const readyMaxMs = 120_000
/** The same, for who is told to end at once. */
const stopMaxMs = 6_000
/** A datagram that has not come so long after the load is over does not come any more. */
const datagramPatienceMs = 1_000

type Phase = 'waiting' | 'sharing' | 'running' | 'draining' | 'closing' | 'over'

export class CoordinatorMachine {
  readonly #options: CoordinatorOptions
  readonly #agents = new Map<string, AgentEntry>()
  readonly #effects: CoordinatorEffect[] = []
  /** Directions whose ends are on two agents. */
  #across: readonly {
    readonly direction: number
    readonly flow: number
    readonly datagrams: boolean
    readonly from: number
    readonly to: number
  }[] = []
  #phase: Phase = 'waiting'
  #deadlineMs: number
  #startMs = 0
  #loadEndMs = 0
  #relaysHealed = false
  #stopped: string | undefined

  constructor(options: CoordinatorOptions, nowMs: number) {
    this.#options = options
    this.#deadlineMs = nowMs + options.waitMs
  }

  get phase(): Phase {
    return this.#phase
  }

  /** In order of rank. */
  get agents(): readonly AgentEntry[] {
    return [...this.#agents.values()].sort((a, b) => a.rank - b.rank)
  }

  /** Why the run was ended early; undefined when it was not. */
  get stopped(): string | undefined {
    return this.#stopped
  }

  agent(session: string): AgentEntry | undefined {
    return this.#agents.get(session)
  }

  poll(): CoordinatorEffect | undefined {
    return this.#effects.shift()
  }

  /** When to call `tick` at the latest. */
  wakeAtMs(): number | undefined {
    if (this.#phase === 'over') return undefined
    return Math.min(this.#deadlineMs, ...this.agents.filter(isLive).map((agent) => patienceEndMs(agent, this.#phase === 'closing')))
  }

  /** An agent dials in with the right token. */
  join(nowMs: number, session: string, join: Join, isLocal: boolean): { readonly rank: number } | Refusal {
    const { version, agents: wanted, relaysOnLoopback } = this.#options
    if (join.version !== version || join.protocol !== agentProtocol)
      return {
        status: 426,
        code: 'version_incompatible',
        message: `the coordinator is sennit ${version} (agent protocol ${agentProtocol}), this agent is sennit ${join.version} (agent protocol ${join.protocol}): install the same version on both`,
      }
    if (this.#phase !== 'waiting') return refused('the run has begun, and takes no more agents')
    if (relaysOnLoopback && !isLocal)
      return refused(
        `the relays of this run listen on loopback of the coordinator's machine, and an agent on ${join.host} cannot reach them: start the run with --mesh DIR of a mesh that runs, or agents on that machine`,
        403,
      )
    if (join.size !== null && join.size !== wanted)
      return refused(`this run has ${wanted} agents, and this one says that there are ${join.size}`)
    const taken = new Set(this.agents.map(({ rank }) => rank))
    if (taken.size >= wanted) return refused(`all ${wanted} agents are there already`)
    if (join.rank !== null && join.rank >= wanted)
      return refused(`this run has ranks 0 to ${wanted - 1}, and this agent says that it is ${join.rank}`)
    if (join.rank !== null && taken.has(join.rank)) return refused(`there is an agent of rank ${join.rank} already`)
    let rank = join.rank ?? 0
    while (taken.has(rank)) rank += 1
    const { zone, host, pid } = join
    this.#agents.set(session, {
      rank,
      session,
      zone,
      host,
      pid,
      heardMs: nowMs,
      clients: [],
      state: 'joined',
      clock: undefined,
      drain: undefined,
      left: undefined,
      progressMs: nowMs,
    })
    this.#note(`agent ${rank} is there${zone === '' ? '' : ` (zone ${zone})`}: ${host}, pid ${pid}; ${this.#agents.size} of ${wanted}`)
    if (this.#agents.size === wanted) this.#share(nowMs)
    return { rank }
  }

  /** Any sign of life. */
  heard(nowMs: number, session: string): void {
    const agent = this.#agents.get(session)
    if (agent !== undefined) agent.heardMs = nowMs
  }

  ready(nowMs: number, session: string, clock: Ready): void {
    const agent = this.#agents.get(session)
    if (agent?.state !== 'joined' || this.#phase !== 'sharing') return
    agent.state = 'ready'
    agent.clock = clock
    if (!this.agents.every(({ state }) => state === 'ready')) return
    this.#startMs = nowMs + startAheadMs
    this.#loadEndMs = this.#startMs + this.#options.plan.run.durationMs
    this.#enter('running', this.#loadEndMs)
    this.#note(`all agents are ready; clocks are known to ${Math.max(...this.agents.map((one) => one.clock?.errorMs ?? 0)).toFixed(2)} ms`)
    this.#order({ do: 'start', atMs: this.#startMs })
    this.#effects.push({ type: 'start', atMs: this.#startMs })
  }

  snapshot(nowMs: number, session: string, { drain, left }: Pick<Snapshot, 'drain' | 'left'>): void {
    const agent = this.#agents.get(session)
    if (agent === undefined) return
    if (left !== undefined && left < (agent.left ?? Number.POSITIVE_INFINITY)) {
      agent.left = left
      agent.progressMs = nowMs
    }
    if (drain === undefined) return
    agent.drain = drain
    this.#lookAtDrain(nowMs)
  }

  /** A part of what it recorded came. */
  telling(nowMs: number, session: string): void {
    this.heard(nowMs, session)
    const agent = this.#agents.get(session)
    if (agent !== undefined) agent.progressMs = nowMs
  }

  finished(nowMs: number, session: string, clock: Ready): void {
    const agent = this.#agents.get(session)
    if (agent === undefined || !isLive(agent)) return
    if (this.#phase !== 'closing') {
      // Somebody ended it: its share of the load is missing from here on, as when it had died.
      this.#lose(nowMs, agent, 'it ended before the run did')
      return
    }
    agent.state = 'finished'
    agent.clock = clock
    this.#lookAtEnd()
  }

  /** It is gone: its process ended, or it said so. */
  lost(nowMs: number, session: string, why: string): void {
    const agent = this.#agents.get(session)
    if (agent === undefined || !isLive(agent)) return
    this.#lose(nowMs, agent, why)
  }

  /** The coordinator's own part is done: relays run again, faults are healed. */
  relaysHealed(nowMs: number): void {
    this.#relaysHealed = true
    this.#lookAtDrain(nowMs)
  }

  /** Orders of the coordinator's own: what it chose or healed. */
  tell(order: Order): void {
    if (this.#phase === 'running' || this.#phase === 'draining') this.#order(order)
  }

  /** Ends the load before its time: what is under way is waited for. */
  endLoad(nowMs: number, why: Omit<EndedEarly, 'atMs'>): void {
    if (this.#phase !== 'running') return
    this.#loadEndMs = Math.max(this.#startMs, nowMs)
    this.#order({ do: 'end', why })
    this.#enter('draining', this.#loadEndMs + this.#options.plan.run.drainMs)
    this.#lookAtDrain(nowMs)
  }

  /** Ends the run now. `code` is what it fails with when it has not begun. */
  stop(nowMs: number, why: string, code = 'interrupted'): void {
    if (this.#phase === 'over' || this.#stopped !== undefined) return
    this.#stopped = why
    if (this.#phase === 'waiting' || this.#phase === 'sharing') {
      this.#order({ do: 'leave', why })
      this.#fail(code, why)
      return
    }
    if (this.#phase === 'closing') {
      this.#deadlineMs = Math.min(this.#deadlineMs, nowMs + stopMaxMs)
    } else this.#enter('closing', nowMs + stopMaxMs)
    this.#order({ do: 'stop', why })
    this.#lookAtEnd()
  }

  tick(nowMs: number): void {
    forgive(this.agents, nowMs - (this.wakeAtMs() ?? nowMs))
    for (const agent of this.agents) {
      const why = isLive(agent) ? impatience(nowMs, agent, this.#phase === 'closing') : undefined
      if (why !== undefined) this.#lose(nowMs, agent, why)
    }
    if (nowMs < this.#deadlineMs) return
    const { plan, agents: wanted, waitMs } = this.#options
    switch (this.#phase) {
      case 'waiting':
        this.#order({ do: 'leave', why: 'not all agents came' })
        this.#fail(
          'agents_missing',
          `expected ${wanted} agents within ${waitMs / 1000} s; found ${this.#agents.size}. --agents-wait gives them longer`,
        )
        return
      case 'sharing': {
        const slow = this.agents.filter(({ state }) => state === 'joined').map(({ rank }) => rank)
        this.#order({ do: 'leave', why: 'not all agents got ready' })
        this.#fail('agents_missing', `agents ${slow.join(', ')} did not get ready within ${readyMaxMs / 1000} s`)
        return
      }
      case 'running':
        this.#enter('draining', this.#loadEndMs + plan.run.drainMs)
        this.#lookAtDrain(nowMs)
        return
      case 'draining':
        this.#close(nowMs)
        return
      case 'closing':
        for (const agent of this.agents) if (isLive(agent)) this.#lose(nowMs, agent, `${untold} in time`)
        this.#over()
        return
      case 'over':
    }
  }

  #share(nowMs: number): void {
    const { plan } = this.#options
    const shares = shareClients(plan, this.agents)
    if ('problem' in shares) {
      this.#order({ do: 'leave', why: shares.problem })
      this.#fail('agents_missing', shares.problem)
      return
    }
    const { rankOf } = shares
    for (const agent of this.agents) agent.clients = rankOf.flatMap((rank, client) => (rank === agent.rank ? [client] : []))
    this.#across = plan.flows
      .flatMap((flow) => flow.directions)
      .map(({ direction, flow, from, to, mode }) => ({
        direction,
        flow,
        datagrams: mode === 'datagram',
        from: rankOf[from]!,
        to: rankOf[to]!,
      }))
      .filter(({ from, to }) => from !== to)
    this.#enter('sharing', nowMs + readyMaxMs)
    this.#order({ do: 'share' })
  }

  #lookAtDrain(nowMs: number): void {
    if (this.#phase !== 'draining') return
    const live = this.agents.filter(isLive)
    if (!this.#relaysHealed || !live.every(({ drain }) => drain?.settled === true)) return
    if (this.#unsettled(nowMs).length === 0) this.#close(nowMs)
  }

  /** Connections between two agents of which something has not arrived, as they told last. Those of an agent that is gone are not waited for. */
  #unsettled(nowMs: number): number[] {
    const byRank = new Map(this.agents.map((agent) => [agent.rank, agent]))
    const told = this.agents.map(({ drain }) => ({ sent: new Map(drain?.sent), received: new Map(drain?.received) }))
    const patience = nowMs >= this.#loadEndMs + datagramPatienceMs
    const flows = this.#across.flatMap(({ direction, flow, datagrams, from, to }) => {
      if (byRank.get(from)?.state === 'lost' || byRank.get(to)?.state === 'lost' || (datagrams && patience)) return []
      const sent = told[from]?.sent.get(direction) ?? 0
      const received = told[to]?.received.get(direction) ?? 0
      return received < sent ? [flow] : []
    })
    return [...new Set(flows)]
  }

  /** Connections with an end on an agent that is gone: nobody is there to close them with. */
  #orphans(): number[] {
    const gone = new Set(this.agents.filter(({ state }) => state === 'lost').map(({ rank }) => rank))
    return this.#across.filter(({ from, to }) => gone.has(from) || gone.has(to)).map(({ flow }) => flow)
  }

  #close(nowMs: number): void {
    const unsettled = [...new Set([...this.#unsettled(nowMs), ...this.#orphans()])]
    this.#enter('closing', nowMs + closingMs(this.agents))
    for (const agent of this.agents) agent.progressMs = nowMs
    this.#order({ do: 'close', unsettled })
    this.#lookAtEnd()
  }

  #lookAtEnd(): void {
    const all = this.agents
    if (this.#phase === 'closing' && !all.some(isLive)) this.#over()
    // Nobody is left to wait for.
    if ((this.#phase === 'running' || this.#phase === 'draining') && !all.some(isLive)) this.#over()
  }

  #lose(nowMs: number, agent: AgentEntry, why: string): void {
    this.#note(`agent ${agent.rank} (${agent.host}, pid ${agent.pid}) was lost: ${why}`)
    if (this.#phase === 'waiting') {
      this.#agents.delete(agent.session)
      return
    }
    agent.state = 'lost'
    // It may only have been slow, and is not waited for any more: were it not told, it would wait for the end for ever.
    this.#effects.push({ type: 'order', rank: agent.rank, order: { do: 'leave', why: `it counts as lost: ${why}` } })
    if (this.#phase === 'sharing') {
      this.#order({ do: 'leave', why: `agent ${agent.rank} was lost before the start` })
      this.#fail('agents_missing', `agent ${agent.rank} was lost before the start: ${why}`)
      return
    }
    this.#abortIfAsked(nowMs, `agent ${agent.rank} was lost`)
    this.#lookAtDrain(nowMs)
    this.#lookAtEnd()
  }

  #abortIfAsked(nowMs: number, why: string): void {
    if (this.#options.plan.run.onAgentLoss === 'abort') this.stop(nowMs, `${why}, and on_agent_loss is abort`)
  }

  #enter(phase: Phase, deadlineMs: number): void {
    this.#phase = phase
    this.#deadlineMs = deadlineMs
  }

  #over(): void {
    if (this.#phase === 'over') return
    this.#phase = 'over'
    this.#order({ do: 'leave', why: 'the run is over' })
    this.#effects.push({ type: 'over' })
  }

  #fail(code: string, message: string): void {
    this.#phase = 'over'
    this.#effects.push({ type: 'failed', code, message })
  }

  #order(order: Order): void {
    for (const { rank, state } of this.agents) if (state !== 'lost') this.#effects.push({ type: 'order', rank, order })
  }

  #note(text: string): void {
    this.#effects.push({ type: 'note', text })
  }
}

function refused(message: string, status: Refusal['status'] = 409): Refusal {
  return { status, code: 'agent_refused', message }
}
