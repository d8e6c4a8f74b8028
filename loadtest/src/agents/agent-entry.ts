// An agent as its coordinator knows it, and how long it is waited for: one that is silent is gone, one that lives gets the time that its clients need.
import { type Drain, type Ready, silenceMaxMs } from './messages.ts'

export interface AgentEntry {
  readonly rank: number
  readonly session: string
  readonly zone: string
  readonly host: string
  readonly pid: number
  heardMs: number
  /** Indexes of its clients. */
  clients: readonly number[]
  state: 'joined' | 'ready' | 'finished' | 'lost'
  clock: Ready | undefined
  drain: Drain | undefined
  /** What it still had to close, as it told last; undefined before the end. */
  left: number | undefined
  /** When less was left than before, or what it recorded came. */
  progressMs: number
}

/** At the end an agent may stand still for so long: one that has too much to do still closes a connection now and again. */
const stillMaxMs = 30_000
/** What closing all of it and telling what was recorded may take, and for each client on top of it, on a machine that hardly comes to it. */
const closeMaxMs = 30_000
const closeEachMs = 20
/** A look that comes so much too late was kept from listening as well. */
const lateLookMs = 1_000

export const untold = 'it did not tell what it recorded'

export function isLive({ state }: AgentEntry): boolean {
  return state === 'joined' || state === 'ready'
}

/** What the end of a run may take in all, once everything has arrived. */
export function closingMs(agents: readonly AgentEntry[]): number {
  return closeMaxMs + closeEachMs * Math.max(0, ...agents.map(({ clients }) => clients.length))
}

/** When the agent is not waited for any more, if nothing comes of it. */
export function patienceEndMs(agent: AgentEntry, closing: boolean): number {
  return Math.min(agent.heardMs + silenceMs(agent), closing ? agent.progressMs + stillMaxMs : Number.POSITIVE_INFINITY)
}

/** Why it is not waited for any more; undefined while it is. */
export function impatience(nowMs: number, agent: AgentEntry, closing: boolean): string | undefined {
  if (nowMs < patienceEndMs(agent, closing)) return undefined
  const silence = silenceMs(agent)
  if (nowMs >= agent.heardMs + silence) return `nothing was heard of it for ${silence / 1000} s`
  return `${untold}: for ${stillMaxMs / 1000} s it got no further`
}

/** Whoever stood still itself has heard nobody: what agents said in the meantime is read after this. */
export function forgive(agents: readonly AgentEntry[], lateMs: number): void {
  if (lateMs < lateLookMs) return
  for (const agent of agents) {
    agent.heardMs += lateMs
    agent.progressMs += lateMs
  }
}

/** Writing down what thousands of clients did is one long turn, in which an agent says nothing. */
function silenceMs({ left }: AgentEntry): number {
  return left === 0 ? stillMaxMs : silenceMaxMs
}
