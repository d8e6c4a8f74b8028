// An agent: dials its coordinator, is handed a share of the clients, sets its clock, waits for the start, runs them alone, and tells what it recorded.
import { hostname } from 'node:os'
import { SennitError } from '@sennit/protocol'
import { ListFiles } from '../live/list-files.ts'
import { type LoadSteering, runDice, runLoad } from '../live/live-load.ts'
import { Network } from '../live/network.ts'
import { type RecorderState, recorderState, type StateParts, watchedParts } from '../verdict/recorder-state.ts'
import { RunRecorder } from '../verdict/run-recorder.ts'
import type { Environment } from '../verdict/run-result.ts'
import type { TimelineSecond } from '../verdict/timeline.ts'
import { openAgentMesh } from './agent-mesh.ts'
import { type ClockEstimate, clockErrorOver, correctedOffset, estimateClock, type RoundTrip, steadyMs } from './clock-estimate.ts'
import { CoordinatorLink } from './coordinator-link.ts'
import { measureClock } from './measure-clock.ts'
import { agentProtocol, bodyMax, type Clock, type Drain, type Order, type Share, type Snapshot, silenceMaxMs } from './messages.ts'
import { type SteeringOrder, steer, steers } from './steering.ts'

export interface AgentOptions {
  /** `http://host:port`, `https://host:port`, `https://host:port#sha256=FINGERPRINT` as the coordinator says it */
  readonly coordinator: string
  /** Authorities to trust instead of the system's, PEM. */
  readonly ca?: string
  readonly token: string
  /** '' = any. */
  readonly zone: string
  readonly rank: number | null
  readonly size: number | null
  /** Of the program: coordinator and agents must be the same. */
  readonly version: string
  readonly environment: Environment
  /** How long a coordinator that does not answer yet is dialled. */
  readonly waitMs: number
  /** Aborting it heals what this agent does and tells the coordinator. */
  readonly signal: AbortSignal
  readonly onNote: (text: string) => void
}

/** A coordinator that is not there yet is dialled again after this. */
const dialEveryMs = 500
/** Where nothing listens any more nobody comes back in a moment. */
const refusedMaxMs = 3_000
/** While everything that is under way arrives, it is told this often. */
const drainEveryMs = 100
/** How often the clock is looked at while the run lasts: quartzes stray by some 50 µs a second. */
const clockEveryMs = 5_000
/** Seconds that are kept for a coordinator that does not answer. */
const secondsMax = 600

/** Telling what limits are about takes at most this share of the time. */
const seenShare = 0.01

/** Runs one share to its end. @throws SennitError `agent_refused`, `version_incompatible`, `token_wrong`, `certificate_wrong`, `tls_failed`, `coordinator_unreachable`, `coordinator_gone` */
export async function runAgent(options: AgentOptions): Promise<void> {
  const link = new CoordinatorLink(options.coordinator, options.token, options.ca)
  try {
    await new AgentRun(options, link).run()
  } finally {
    link.close()
  }
}

class AgentRun {
  readonly #options: AgentOptions
  readonly #link: CoordinatorLink
  /** Aborted with why the run ends here: the coordinator is gone, or says so. */
  readonly #end = new AbortController()
  /** Either that, or somebody at this machine says so. */
  readonly #signal: AbortSignal
  readonly #heard = new Map<Order['do'], (order: Order) => void>()
  readonly #orders = new Map<Order['do'], Order>()
  #load: LoadSteering | undefined
  readonly #early: SteeringOrder[] = []
  #heardMs = 0
  #told = false
  #offsetMs = 0
  #startMs = 0
  #seconds: TimelineSecond[] = []
  #telling: Promise<void> | undefined
  #clockMs = 0
  #watched: StateParts | undefined
  #nextSeenMs = 0

  constructor(options: AgentOptions, link: CoordinatorLink) {
    this.#options = options
    this.#link = link
    this.#signal = AbortSignal.any([options.signal, this.#end.signal])
  }

  async run(): Promise<void> {
    const { onNote, signal } = this.#options
    const rank = await this.#join()
    onNote(`agent ${rank} of the coordinator ${this.#link.host}`)
    const listening = this.#listen().catch(() => {})
    try {
      await this.#take('share')
      const share = await this.#insist(() => this.#link.long<Share>('GET', '/v1/share', { signal: this.#signal }))
      onNote(`runs ${share.clients.length} of ${share.plan.clients.length} clients of ${share.plan.name}`)
      await this.#work(share)
      this.#told = true
    } catch (error) {
      signal.throwIfAborted()
      if (!this.#end.signal.aborted) throw error
      // Told to end before it had begun: there is nothing to tell.
      if (this.#end.signal.reason?.code !== 'stopped') throw this.#end.signal.reason
    } finally {
      this.#end.abort(new SennitError('aborted', 'the agent ends'))
      await listening
    }
    signal.throwIfAborted()
  }

  /** Dials until somebody answers. */
  async #join(): Promise<number> {
    const { zone, rank, size, version, waitMs, signal, onNote } = this.#options
    const join = { version, protocol: agentProtocol, zone, rank, size, host: hostname(), pid: process.pid }
    const untilMs = performance.now() + waitMs
    let told = false
    for (;;) {
      try {
        const joined = await this.#link.join(join, signal)
        this.#heardMs = performance.now()
        return joined.rank
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof SennitError) || error.code !== 'coordinator_unreachable' || performance.now() > untilMs) throw error
        if (!told) onNote(`${error.message}; tries again for ${waitMs / 1000} s`)
        told = true
        await pause(dialEveryMs, signal)
      }
    }
  }

  /** Asks for orders as long as the run lasts, and for nothing else: that the coordinator answers is what tells that it lives. */
  async #listen(): Promise<void> {
    let after = 0
    while (!this.#end.signal.aborted) {
      try {
        const orders = await this.#link.get<Order[]>(`/v1/orders?after=${after}`, { signal: this.#end.signal })
        this.#heardMs = performance.now()
        after += orders.length
        for (const order of orders) this.#order(order)
      } catch (error) {
        if (this.#end.signal.aborted) return
        const refused = error instanceof SennitError && error.code !== 'coordinator_unreachable'
        const silentMs = performance.now() - this.#heardMs
        if (refused) this.#end.abort(error)
        else if (silentMs > (isRefused(error) ? refusedMaxMs : silenceMaxMs)) {
          const why = error instanceof Error ? error.message : String(error)
          this.#end.abort(
            new SennitError(
              'coordinator_gone',
              `the coordinator is gone: nothing was heard of it for ${Math.round(silentMs / 1000)} s (${why})`,
            ),
          )
        } else await pause(dialEveryMs, this.#end.signal)
      }
    }
  }

  #order(order: Order): void {
    if (steers(order)) {
      if (this.#load === undefined) this.#early.push(order)
      else steer(this.#load, order)
      return
    }
    if (order.do === 'stop') {
      this.#options.onNote(`the coordinator ends the run: ${order.why}`)
      this.#end.abort(new SennitError('stopped', order.why))
      return
    }
    if (order.do === 'leave') {
      if (!this.#told && !this.#end.signal.aborted)
        this.#end.abort(new SennitError('agent_refused', `the coordinator sends this agent away: ${order.why}`))
      return
    }
    this.#orders.set(order.do, order)
    this.#heard.get(order.do)?.(order)
  }

  /** The order of that kind, when it comes. @throws why the run ends before */
  #take<K extends Order['do']>(kind: K): Promise<Extract<Order, { do: K }>> {
    return new Promise((done, fail) => {
      const known = this.#orders.get(kind)
      if (known !== undefined) return done(known as Extract<Order, { do: K }>)
      const ended = (): void => fail(this.#signal.reason)
      if (this.#signal.aborted) return ended()
      this.#signal.addEventListener('abort', ended, { once: true })
      this.#heard.set(kind, (order) => {
        this.#signal.removeEventListener('abort', ended)
        done(order as Extract<Order, { do: K }>)
      })
    })
  }

  async #work({ plan, clients, relays, credentials }: Share): Promise<void> {
    const { environment, onNote } = this.#options
    const mine = new Set(clients)
    const here = { ...plan, clients: plan.clients.filter((_, index) => mine.has(index)) }
    const mesh = openAgentMesh(
      { relays, credentials },
      async (body) => await this.#insist(() => this.#link.long<string[]>('POST', '/v1/lists', { body, signal: this.#signal })),
    )
    let network: Network | undefined
    let lists: ListFiles | undefined
    try {
      network = await Network.open(here, mesh.entries, runDice(plan))
      lists = await ListFiles.open(here, mesh, network)
      const clock = await this.#setClock()
      this.#offsetMs = clock.offsetMs
      await this.#insist(() => this.#link.post('/v1/ready', clock, { signal: this.#signal }))
      const { atMs } = await this.#take('start')
      this.#startMs = atMs
      const recorder = new RunRecorder(plan, { engine: 'agent', environment, startedAt: new Date().toISOString(), mine })
      this.#watched = watchedParts(plan)
      recorder.timeline.onSecond = (second) => {
        this.#seconds.push(second)
        if (this.#seconds.length > secondsMax) this.#seconds.shift()
      }
      await pause(-this.#now(), this.#signal)
      onNote('the run begins')
      await runLoad(
        {
          plan,
          recorder,
          mesh,
          network,
          lists,
          fleet: undefined,
          now: () => this.#now(),
          onSecond: () => {
            void this.#tell(recorder)
            void this.#keepClock()
          },
          part: {
            acts: { does: 'clients' },
            onBegin: (load) => {
              this.#load = load
              for (const order of this.#early.splice(0)) steer(load, order)
            },
            drained: (settled) => this.#drained(recorder, settled),
          },
        },
        this.#signal,
      )
      recorder.endSeconds(this.#now())
      onNote('tells the coordinator what it recorded')
      // Writing it down may be a long turn: that all is closed is told before.
      await this.#telling
      await this.#tell(recorder)
      await this.#finish(recorder, clock)
    } finally {
      await network?.close()
      lists?.dispose()
      mesh.dispose()
    }
  }

  async #finish(recorder: RunRecorder, clock: ClockEstimate): Promise<void> {
    const stopped = this.#end.signal.reason
    if (stopped instanceof SennitError && stopped.code !== 'stopped') throw stopped
    const later = this.#signal.aborted ? undefined : await this.#setClock().catch(() => undefined)
    const finished = {
      state: recorderState(recorder, this.#now()),
      seconds: this.#seconds,
      clock: { offsetMs: this.#offsetMs, errorMs: clockErrorOver({ ...clock, offsetMs: this.#offsetMs }, later) },
    }
    // Told even to a coordinator that was interrupted: it still listens for a moment.
    await this.#insist(() => this.#link.long('POST', '/v1/finished', { body: finished }))
  }

  /** Asks again for as long as a coordinator may be silent: one dial that fails is no reason to end a run. What is asked so may be heard twice. */
  async #insist<T>(ask: () => Promise<T>): Promise<T> {
    const untilMs = performance.now() + silenceMaxMs
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        const again = error instanceof SennitError && error.code === 'coordinator_unreachable' && !this.#signal.aborted
        if (!again || performance.now() > untilMs || isRefused(error)) throw error
        await pause(dialEveryMs, this.#signal)
      }
    }
  }

  async #setClock(): Promise<ClockEstimate> {
    return await measureClock(() => this.#insist(() => this.#roundTrip()))
  }

  /** Keeps the offset right as the clocks drift apart. */
  async #keepClock(): Promise<void> {
    if (steadyMs() - this.#clockMs < clockEveryMs) return
    this.#clockMs = steadyMs()
    try {
      const estimate = estimateClock([await this.#roundTrip()])
      if (estimate !== undefined) this.#offsetMs = correctedOffset(this.#offsetMs, estimate)
    } catch {
      // Whether the coordinator is gone is told by the request for orders.
    }
  }

  async #roundTrip(): Promise<RoundTrip> {
    const sentMs = steadyMs()
    const { receivedMs, answeredMs } = await this.#link.post<Clock>('/v1/clock', {}, { signal: this.#signal, bytesMax: bodyMax.small })
    return { sentMs, receivedMs, answeredMs, backMs: steadyMs() }
  }

  /** Milliseconds of the run, by the coordinator's clock. */
  #now(): number {
    return steadyMs() + this.#offsetMs - this.#startMs
  }

  /** Tells how it stands; what could not be told goes with the next. */
  async #tell(recorder: RunRecorder, drain?: Drain): Promise<void> {
    if (this.#telling !== undefined) return
    this.#telling = this.#say(recorder, drain)
    await this.#telling
    this.#telling = undefined
  }

  async #say(recorder: RunRecorder, drain: Drain | undefined): Promise<void> {
    const seconds = this.#seconds
    this.#seconds = []
    const beganMs = performance.now()
    const left = this.#load?.left()
    const traffic = recorder.traffic()
    const seen = drain === undefined && left === undefined && beganMs >= this.#nextSeenMs ? this.#seen(recorder) : undefined
    const snapshot: Snapshot = {
      status: recorder.status(this.#now()),
      seconds,
      traffic: recorder.plan.relays.map(({ relay }) => [relay, traffic.get(relay) ?? 0] as const),
      ...(drain === undefined ? {} : { drain }),
      ...(left === undefined ? {} : { left }),
      ...(seen === undefined ? {} : { seen }),
    }
    try {
      const told = this.#link.post('/v1/snapshot', snapshot, { signal: this.#end.signal })
      // By now it is collected and written down.
      if (seen !== undefined) this.#nextSeenMs = beganMs + (performance.now() - beganMs) / seenShare
      await told
      this.#heardMs = performance.now()
    } catch {
      // Whether the coordinator is gone is told by the request for orders.
      this.#seconds = [...seconds, ...this.#seconds].slice(-secondsMax)
    }
  }

  /** What the coordinator looks at the whole with; not while saying it would cost what the clients need. */
  #seen(recorder: RunRecorder): RecorderState | undefined {
    return this.#watched === undefined ? undefined : recorderState(recorder, this.#now(), this.#watched)
  }

  async #drained(recorder: RunRecorder, settled: () => boolean): Promise<ReadonlySet<number>> {
    const across = recorder.plan.flows.filter((flow) => recorder.endsOf(flow).length === 1).flatMap((flow) => flow.directions)
    const isMine = (client: number): boolean => recorder.options.mine?.has(client) === true
    const closed = this.#take('close').catch(() => undefined)
    let close: Extract<Order, { do: 'close' }> | undefined
    void closed.then((order) => {
      close = order
    })
    while (close === undefined && !this.#signal.aborted) {
      const counts = (sent: boolean): [number, number][] =>
        across.flatMap(({ direction, from, to }) => {
          const record = recorder.directions[direction]
          return record !== undefined && isMine(sent ? from : to) ? [[direction, sent ? record.sentMessages : record.receivedMessages]] : []
        })
      await this.#tell(recorder, { settled: settled(), sent: counts(true), received: counts(false) })
      await Promise.race([closed, pause(drainEveryMs, this.#signal).catch(() => {})])
    }
    return new Set(close?.unsettled ?? [])
  }
}

/** The machine answers, and says that nothing listens there. */
function isRefused(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if ((at as NodeJS.ErrnoException).code === 'ECONNREFUSED') return true
  return false
}

/** @throws the signal's reason */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    if (signal.aborted) return fail(signal.reason)
    const ended = (): void => {
      clearTimeout(timer)
      fail(signal.reason)
    }
    const timer = setTimeout(
      () => {
        signal.removeEventListener('abort', ended)
        done()
      },
      Math.max(0, ms),
    )
    signal.addEventListener('abort', ended, { once: true })
  })
}
