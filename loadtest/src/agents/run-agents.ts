// A run that several agents share: the shell around the coordinator's machine. Relays and the faults on them are here, clients are there, and what the
// agents recorded becomes one result.
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { SennitError } from '@sennit/protocol'
import { possibleActs } from '../act-target.ts'
import { certificateEnds, familyOf, refuseActs } from '../fault-actions.ts'
import { openRelays, type RelayOptions, type RunRelays } from '../live/run-relays.ts'
import type { Plan } from '../plan.ts'
import type { RunControls } from '../run-controls.ts'
import { DurationHistogram } from '../verdict/histogram.ts'
import { addRecorderState } from '../verdict/recorder-state.ts'
import { RunRecorder } from '../verdict/run-recorder.ts'
import type { AgentResult, Environment, RunResult } from '../verdict/run-result.ts'
import type { RunStatus } from '../verdict/run-status.ts'
import type { TimelineSecond } from '../verdict/timeline.ts'
import type { AgentEntry } from './agent-entry.ts'
import { listsOf, sharedRelay } from './agent-mesh.ts'
import { steadyMs } from './clock-estimate.ts'
import { type CoordinatorEffect, CoordinatorMachine } from './coordinator-machine.ts'
import { CoordinatorPart, type Heard } from './coordinator-part.ts'
import { CoordinatorServer, type Desk } from './coordinator-server.ts'
import { selfSignedTls, tlsOfFiles } from './coordinator-tls.ts'
import { LocalAgents } from './local-agents.ts'
import { mergeSeconds } from './merge-seconds.ts'
import type { Finished, Share, Snapshot } from './messages.ts'
import { zonesOfLocalAgents } from './share.ts'

export interface AgentsOptions extends RelayOptions {
  readonly environment: Environment
  /** Of the program: coordinator and agents must be the same. */
  readonly version: string
  /** So many agents take part. */
  readonly agents: number
  /** Where the coordinator listens; port 0 is any free one. */
  readonly listen: { readonly host: string; readonly port: number }
  /** Agents come over HTTPS: with this certificate, or with one that is made for the run and known by its fingerprint. Absent: HTTP. */
  readonly tls?: 'self-signed' | { readonly certificateFile: string; readonly keyFile: string }
  readonly token: string
  /** How long all agents are waited for. */
  readonly waitMs: number
  /** Agents that are started here, of all. */
  readonly local: { readonly count: number; readonly command: readonly string[] }
  /** Aborting it tells the agents, heals every fault, ends every relay, and gives the partial result. */
  readonly signal: AbortSignal
  /** Once, when agents can dial in: with the URL that they are to be given. */
  readonly onListening: (url: string) => void
  /** About once a second. */
  readonly onStatus: (status: RunStatus) => void
  /** Once, when the start is agreed on: what a person may do to the run. */
  readonly onControls?: (controls: RunControls) => void
  readonly onNote: (text: string) => void
}

/** Lists get a new version each time that they are put right: far more often than a run does. */
const listVersionMax = 10_000
/** Agents that were told to leave get their order within this. */
const lastOrdersMs = 500

/** Runs a plan on several agents. @throws SennitError `agents_missing` when they do not come, and whatever keeps a run from beginning */
export async function runAgents(options: AgentsOptions): Promise<RunResult> {
  const { plan, agents, local } = options
  refuseActs(plan, 'live')
  refuseCertificates(plan)
  if (local.count > agents) throw new SennitError('usage', `expected at most ${agents} agents of this machine; found ${local.count}`)
  const relays = await openRelays(options)
  try {
    return await new AgentsRun(options, relays).run()
  } finally {
    await relays.end()
    relays.mesh.dispose()
  }
}

/** Certificates of clients are made with the mesh's own keys, which do not travel. */
function refuseCertificates(plan: Plan): void {
  const [client] = certificateEnds(plan).keys()
  if (client !== undefined)
    throw new SennitError(
      'not_allowed',
      `cert_expired of client ${client} cannot be done by agents: it needs the mesh's own keys, which stay with the coordinator. Run it in one process, or take it out`,
    )
}

class AgentsRun {
  readonly #options: AgentsOptions
  readonly #relays: RunRelays
  readonly #machine: CoordinatorMachine
  readonly #recorder: RunRecorder
  readonly #statuses = new Map<number, Snapshot>()
  readonly #seconds = new Map<number, TimelineSecond[]>()
  readonly #finished = new Map<number, Finished>()
  readonly #over: Promise<void>
  #ended: (error?: Error) => void = () => {}
  #server: CoordinatorServer | undefined
  #timer: NodeJS.Timeout | undefined
  #startMs = Number.POSITIVE_INFINITY
  /** Lists get a new version each time that they are put right; 0: none is needed. */
  readonly #listVersionMax: number
  readonly #part: CoordinatorPart

  constructor(options: AgentsOptions, relays: RunRelays) {
    const { plan, version, agents, waitMs, environment, meshDir } = options
    this.#options = options
    this.#relays = relays
    this.#listVersionMax = possibleActs(plan).some(({ action }) => action === 'directory_down') ? listVersionMax : 0
    this.#over = new Promise((done, fail) => {
      this.#ended = (error) => (error === undefined ? done() : fail(error))
    })
    this.#over.catch(() => {})
    this.#machine = new CoordinatorMachine({ plan, version, agents, waitMs, relaysOnLoopback: meshDir === undefined }, steadyMs())
    this.#recorder = new RunRecorder(plan, { engine: plan.run.engine ?? 'local', environment, startedAt: new Date().toISOString() })
    this.#part = new CoordinatorPart({
      recorder: this.#recorder,
      relays,
      now: () => steadyMs() - this.#startMs,
      heard: () => this.#heard(),
      tell: (order) => {
        this.#machine.tell(order)
        this.#pump()
      },
      onEnd: (why) => {
        this.#machine.endLoad(steadyMs(), why)
        this.#pump()
      },
      onHealed: () => {
        this.#machine.relaysHealed(steadyMs())
        this.#pump()
      },
      onStatus: options.onStatus,
      onControls: options.onControls,
    })
  }

  async run(): Promise<RunResult> {
    const { token, listen, tls: asked, signal, onListening } = this.#options
    const tls =
      asked === undefined ? undefined : asked === 'self-signed' ? selfSignedTls() : tlsOfFiles(asked.certificateFile, asked.keyFile)
    this.#server = await CoordinatorServer.listen({ desk: this.#desk(), token, ...listen, ...(tls === undefined ? {} : { tls }) })
    const everywhere = /^(0\.0\.0\.0|::)$/.test(listen.host)
    const urlAt = (host: string): string => {
      const fragment = tls?.fingerprint === undefined ? '' : `#sha256=${tls.fingerprint}`
      return `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${this.#server?.port}${fragment}`
    }
    onListening(urlAt(everywhere ? hostname() : listen.host))
    const stop = (): void => {
      this.#machine.stop(steadyMs(), 'the run was interrupted')
      this.#pump()
    }
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    const local = this.#startLocal(urlAt(everywhere ? '127.0.0.1' : listen.host))
    this.#pump()
    try {
      await this.#over
    } finally {
      signal.removeEventListener('abort', stop)
      clearTimeout(this.#timer)
      await this.#part.end()
      await this.#server.close(lastOrdersMs)
      await local.end()
    }
    return this.#result()
  }

  #desk(): Desk {
    const machine = this.#machine
    const rankOf = (session: string): number => machine.agent(session)?.rank ?? -1
    const now = (): number => steadyMs()
    const then = <T>(value: T): T => {
      this.#pump()
      return value
    }
    const keep = (rank: number, seconds: readonly TimelineSecond[]): void => {
      const kept = this.#seconds.get(rank) ?? []
      this.#seconds.set(rank, kept)
      // An agent that did not hear that it was heard tells them again.
      const last = kept.at(-1)?.row.second ?? -1
      kept.push(...seconds.filter(({ row }) => row.second > last))
    }
    return {
      now,
      isKnown: (session) => machine.agent(session) !== undefined,
      heard: (session) => machine.heard(now(), session),
      telling: (session) => machine.telling(now(), session),
      join: (session, join, isLocal) => then(machine.join(now(), session, join, isLocal)),
      share: (session) => this.#shareOf(machine.agent(session)),
      lists: async (_session, asked) => {
        if (this.#listVersionMax === 0) throw new SennitError('agent_refused', 'no fault of this run takes lists of relays away')
        const { entries, signLists } = this.#relays.mesh
        const signed = await signLists(asked.version, listsOf(asked, entries, this.#listVersionMax))
        return signed.map((list) => Buffer.from(list).toString('base64'))
      },
      ready: (session, clock) => then(machine.ready(now(), session, clock)),
      snapshot: (session, snapshot) => {
        this.#statuses.set(rankOf(session), snapshot)
        this.#part.told(rankOf(session), snapshot)
        keep(rankOf(session), snapshot.seconds)
        then(machine.snapshot(now(), session, snapshot))
      },
      finished: (session, finished) => {
        this.#finished.set(rankOf(session), finished)
        keep(rankOf(session), finished.seconds)
        then(machine.finished(now(), session, finished.clock))
      },
    }
  }

  #startLocal(coordinator: string): LocalAgents {
    const { plan, token, agents, local, onNote } = this.#options
    return new LocalAgents({
      command: local.command,
      coordinator,
      token,
      zones: zonesOfLocalAgents(plan.zones, local.count),
      size: agents,
      onNote,
      onExit: (rank, pid, how) => {
        // Another machine's agent may have taken the rank.
        const agent = this.#machine.agents.find((one) => one.rank === rank && one.pid === pid && one.host === hostname())
        if (agent !== undefined) this.#machine.lost(steadyMs(), agent.session, how)
        else if (this.#machine.phase === 'waiting')
          this.#machine.stop(steadyMs(), `agent ${rank} ended before all were there: ${how}`, 'agents_missing')
        this.#pump()
      },
    })
  }

  /** Does what the machine says, and comes back when it wants to. */
  #pump(): void {
    for (let effect = this.#machine.poll(); effect !== undefined; effect = this.#machine.poll()) this.#do(effect)
    clearTimeout(this.#timer)
    const wakeAtMs = this.#machine.wakeAtMs()
    if (wakeAtMs === undefined) return
    this.#timer = setTimeout(
      () => {
        this.#machine.tick(steadyMs())
        this.#pump()
      },
      Math.max(1, wakeAtMs - steadyMs()),
    )
  }

  #do(effect: CoordinatorEffect): void {
    switch (effect.type) {
      case 'order': {
        const agent = this.#machine.agents.find(({ rank }) => rank === effect.rank)
        if (agent !== undefined) this.#server?.order(agent.session, effect.order)
        return
      }
      case 'note':
        this.#options.onNote(effect.text)
        return
      case 'start':
        this.#startMs = effect.atMs
        this.#part.start()
        return
      case 'failed':
        this.#ended(new SennitError(effect.code, effect.message))
        return
      case 'over':
        this.#ended()
    }
  }

  #shareOf(agent: AgentEntry | undefined): Share {
    const { plan } = this.#options
    const { entries, credentials } = this.#relays.mesh
    const clients = agent?.clients ?? []
    const users = new Set(clients.map((index) => plan.clients[index]!.user))
    return {
      plan,
      clients,
      relays: entries.map(sharedRelay),
      credentials: [...users].map((user) => [user, readFileSync(credentials.get(user) ?? '', 'utf8')] as const),
    }
  }

  /** Of every agent that is there, once all of them have told something. */
  #heard(): ReadonlyMap<number, Heard> | undefined {
    const there = this.#machine.agents.filter(({ state }) => state !== 'lost').map(({ rank }) => rank)
    const heard = there.flatMap((rank) => {
      const last = this.#statuses.get(rank)
      return last === undefined ? [] : [[rank, { last, seconds: this.#seconds.get(rank) ?? [] }] as const]
    })
    return heard.length === 0 || heard.length < there.length ? undefined : new Map(heard)
  }

  #result(): RunResult {
    const { signal } = this.#options
    const recorder = this.#recorder
    const nowMs = steadyMs() - this.#startMs
    const lost: number[] = []
    const agents = this.#machine.agents.map((agent): AgentResult => {
      const finished = agent.state === 'finished' ? this.#finished.get(agent.rank) : undefined
      const whole = finished !== undefined && this.#take(agent, finished)
      if (!whole) lost.push(...agent.clients)
      return agentResult(agent, whole ? finished : undefined)
    })
    recorder.timeline.adopt(mergeSeconds([...this.#seconds.values()]))
    recorder.agents = agents
    recorder.lostClients = lost
    return recorder.finish(nowMs, {
      interrupted: signal.aborted,
      brokenOff: this.#machine.stopped !== undefined,
    })
  }

  /** Takes in what an agent recorded. false: it makes no sense, and the agent counts as lost. */
  #take(agent: AgentEntry, { state }: Finished): boolean {
    try {
      addRecorderState(this.#recorder, state, `agent ${agent.rank}`, (act) => familyOf(this.#recorder.acts[act]!.act) !== 'process')
      return true
    } catch (error) {
      this.#options.onNote(`what agent ${agent.rank} told makes no sense: ${error instanceof Error ? error.message : String(error)}`)
      return false
    }
  }
}

function agentResult({ rank, zone, host, pid, clients, clock }: AgentEntry, finished: Finished | undefined): AgentResult {
  const loopDelays = new DurationHistogram()
  if (finished !== undefined) loopDelays.add(finished.state.loopDelays)
  const rounded = (value: number | null | undefined): number | null => (value == null ? null : Math.round(value * 1000) / 1000)
  return {
    id: String(rank),
    zone,
    host: `${host} pid ${pid}`,
    clients: clients.length,
    loopDelayP99Ms: rounded(loopDelays.at(99)),
    cpu: rounded(finished?.state.cpuMax),
    clockOffsetMs: rounded(clock?.offsetMs),
    clockErrorMs: rounded(clock?.errorMs),
    lost: finished === undefined,
  }
}
