// The life of one client of the plan with the real client library: it attaches, listens, calls and detaches.
import { Client, type ClientOptions } from '@sennit/client'
import type { Flow, Plan, PlanClient } from '../plan.ts'
import type { RunRecorder, Side } from '../verdict/run-recorder.ts'
import type { ListFiles } from './list-files.ts'
import { codeOf, type LiveFlow } from './live-flow.ts'
import type { Culprit } from './misbehaviour.ts'
import type { Network } from './network.ts'
import type { TestMesh } from './test-mesh.ts'

/** What the run gives to each of its clients. */
export interface LiveClientContext {
  readonly plan: Plan
  readonly recorder: RunRecorder
  readonly mesh: TestMesh
  readonly network: Network
  readonly lists: ListFiles
  readonly now: () => number
  /** Does something at a time of the run, unless the run is over by then. */
  readonly at: (atMs: number, what: () => Promise<void>) => void
  /** The same for what belongs to the ramp, which may be paused. */
  readonly ramp: (atMs: number, what: () => Promise<void>) => void
  /** Work that the run waits for at its end. */
  readonly track: (work: Promise<void>) => void
  /** The run ends: what fails now is no fault. */
  readonly isOver: () => boolean
}

/** How long a connection is asked for before its flow counts as failed. */
const connectWaitMs = 30_000

/** One end of a connection. */
export interface LiveEnd {
  readonly flow: LiveFlow
  readonly side: Side
}

export class LiveClient {
  readonly planned: PlanClient
  /** Its connections, and which end of each it is. */
  readonly flows: readonly LiveEnd[]
  readonly #index: number
  readonly #context: LiveClientContext
  #client: Client | undefined

  constructor(index: number, flows: readonly LiveEnd[], context: LiveClientContext) {
    this.#index = index
    this.flows = flows
    this.#context = context
    this.planned = context.plan.clients[index]!
  }

  /** Attaches, and begins what the plan says from then on. */
  async run(): Promise<void> {
    const { recorder, now, at, ramp, track, isOver } = this.#context
    const { detachAtMs } = this.planned
    const dialledMs = now()
    let client: Client
    try {
      client = await Client.open(this.#options())
    } catch (error) {
      recorder.clientRejected(now(), this.#index, codeOf(error), messageOf(error))
      return
    }
    if (isOver()) {
      await client.close()
      return
    }
    this.#client = client
    recorder.clientAttached(now(), this.#index, now() - dialledMs)
    if (detachAtMs !== null) at(detachAtMs, () => this.#detach())
    const serves = this.flows.filter(({ side }) => side === 'listener')
    for (const application of new Set(serves.map(({ flow }) => flow.flow.application))) track(this.#listen(client, application))
    for (const { flow, side } of this.flows) if (side === 'caller') ramp(flow.flow.openAtMs, () => this.#connect(client, flow))
  }

  /** Ends it, whatever it does. */
  async close(options: { readonly waitMs?: number } = {}): Promise<void> {
    await this.#client?.close(options)
  }

  /** What somebody needs who acts in its name; undefined while it is not there. */
  culprit(): Culprit | undefined {
    const { plan, recorder, network } = this.#context
    const { planned: client } = this
    if (this.#client === undefined) return undefined
    const [entry] = network.entriesFor(client)
    const relayUrl = entry?.urls[0]
    if (entry === undefined || relayUrl === undefined) return undefined
    const flow = this.flows.find(({ flow: one }) => recorder.flows[one.flow.flow]?.state === 'open')?.flow.flow
    const serves = flow?.listener === this.#index
    const other = flow === undefined ? undefined : plan.clients[serves ? flow.caller : flow.listener]
    const peer = other === undefined ? '' : fullName(other)
    return { client, options: this.#options(), relayUrl, relayId: entry.relayId, flow, peer, serves }
  }

  #options(): ClientOptions {
    const { mesh, network, lists } = this.#context
    const { planned } = this
    return {
      credential: mesh.credentials.get(planned.user) ?? '',
      relays: lists.fileFor(planned) ?? network.entriesFor(planned),
      dialThrough: (url, relayId) => network.dialled(planned, url, relayId),
      ...(planned.label === '' ? {} : { label: planned.label }),
      ...(planned.carrier === 'auto' ? {} : { carriers: [planned.carrier] }),
      ...(planned.proxy === '' ? {} : { proxy: planned.proxy }),
      ...(planned.paths === '' ? {} : { paths: planned.paths }),
      ...(planned.keyMode === undefined ? {} : { keyMode: planned.keyMode }),
      ...(planned.compress === undefined ? {} : { compress: planned.compress === 'auto' ? 'auto' : planned.compress === 'always' }),
    }
  }

  async #listen(client: Client, application: string): Promise<void> {
    const { plan, recorder, now, isOver } = this.#context
    try {
      const listener = await client.listen({ application })
      for await (const connection of listener) {
        const served = this.flows.find(({ flow: { flow }, side }) => {
          const caller = plan.clients[flow.caller]
          return (
            side === 'listener' &&
            flow.application === application &&
            caller !== undefined &&
            caller.user === connection.peer.user &&
            caller.label === connection.peer.label
          )
        })
        if (served === undefined) connection.abort('rejected')
        else served.flow.attach('listener', connection)
      }
    } catch (error) {
      if (!isOver()) recorder.error(now(), codeOf(error), messageOf(error))
    }
  }

  async #connect(client: Client, live: LiveFlow): Promise<void> {
    const { plan, recorder, now, at, isOver } = this.#context
    const { flow }: { flow: Flow } = live
    const listener = plan.clients[flow.listener]
    if (listener === undefined) return
    const startedMs = now()
    try {
      const connection = await client.connect({ user: fullName(listener), application: flow.application, waitMs: connectWaitMs })
      recorder.connectionOpened(now(), flow.flow, now() - startedMs)
      live.attach('caller', connection)
      if (flow.closeAtMs !== null) at(flow.closeAtMs, async () => await live.close())
    } catch (error) {
      if (!isOver()) recorder.connectionFailed(now(), flow.flow, codeOf(error), messageOf(error))
    }
  }

  async #detach(): Promise<void> {
    const { recorder, now } = this.#context
    await Promise.allSettled(this.flows.map(({ flow }) => flow.close()))
    await this.#client?.close()
    this.#client = undefined
    recorder.clientDetached(now(), this.#index)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function fullName({ user, label }: PlanClient): string {
  return label === '' ? user : `${user}/${label}`
}
