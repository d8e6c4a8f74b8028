// The life of one client of the plan with the real client library: it attaches, listens, calls and detaches.
import { Client, type ClientOptions } from '@sennit/client'
import { readCredential } from '@sennit/protocol/node'
import type { Flow, FlowSession, Plan, PlanClient, Presence } from '../plan.ts'
import type { RunRecorder, Side } from '../verdict/run-recorder.ts'
import { clockOfZone } from '../zone-clock.ts'
import { credentialThatEnds } from './ended-certificate.ts'
import type { ListFiles } from './list-files.ts'
import type { LiveFlow } from './live-flow.ts'
import { codeOf } from './live-session.ts'
import { type Culprit, type StolenCredential, stealCredential } from './misbehaviour.ts'
import type { Network } from './network.ts'
import type { StartGate } from './start-gate.ts'
import type { TestMesh } from './test-mesh.ts'

/** What the run gives to each of its clients. */
export interface LiveClientContext {
  readonly plan: Plan
  readonly recorder: RunRecorder
  readonly mesh: TestMesh
  readonly network: Network
  readonly lists: ListFiles
  /** When the certificates of clients end, by name. */
  readonly certificateEnds: ReadonlyMap<string, number>
  readonly now: () => number
  /** Does something at a time of the run, unless the load is over by then; later by as long as the ramp was paused. */
  readonly ramp: (atMs: number, what: () => Promise<void>) => void
  /** Work that the run waits for at its end. */
  readonly track: (work: Promise<void>) => void
  /** Through which every client goes before it attaches. */
  readonly gate: StartGate
  /** The run ends: what fails now is no fault. */
  readonly isOver: () => boolean
}

/**
 * How long a client asks for a relay before it counts as rejected. The library's own 6 s are a person's patience: on a machine that did ten other things,
 * 78 of 100 clients were given up at them for the whole run.
 */
const attachWaitMs = 30_000
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
  /** When it has left, the last time that it did. */
  #left: Promise<void> = Promise.resolve()
  /** Its credential, where it is not the user's own. */
  #stolen: StolenCredential | undefined

  constructor(index: number, flows: readonly LiveEnd[], context: LiveClientContext) {
    this.#index = index
    this.flows = flows
    this.#context = context
    this.planned = context.plan.clients[index]!
  }

  /** Does all that the plan says of it, at its times. */
  start(): void {
    const { ramp } = this.#context
    const { attachAtMs, detachAtMs, again = [] } = this.planned
    for (const presence of [{ attachAtMs, detachAtMs }, ...again]) ramp(presence.attachAtMs, () => this.#run(presence))
  }

  /** Attaches, and does what the plan says for as long as it is there. */
  async #run({ attachAtMs, detachAtMs }: Presence): Promise<void> {
    const { recorder, network, now, ramp, track, gate, isOver } = this.#context
    // Who comes back waits until it has left.
    await this.#left
    const dueMs = now()
    const entered = await gate.enter()
    const dialledMs = now()
    if (this.planned.disconnect === 'vanish') network.cameBack(this.planned)
    recorder.clientHeld(dialledMs, this.#index, dialledMs - dueMs)
    let client: Client | undefined
    try {
      if (isOver()) return
      client = await Client.open({ ...this.#options(), openMs: attachWaitMs })
    } catch (error) {
      recorder.clientRejected(now(), this.#index, codeOf(error), messageOf(error))
      return
    } finally {
      entered(client !== undefined)
    }
    if (isOver()) {
      await client.close()
      return
    }
    this.#client = client
    recorder.clientAttached(now(), this.#index, now() - dialledMs)
    if (detachAtMs !== null)
      ramp(detachAtMs, async () => {
        this.#left = this.planned.disconnect === 'vanish' ? this.#vanish(client) : this.#detach(client)
        await this.#left
      })
    const serves = this.flows.filter(({ side }) => side === 'listener')
    for (const application of new Set(serves.map(({ flow }) => flow.flow.application))) track(this.#listen(client, application))
    for (const { flow, side } of this.flows) {
      const { openAtMs, closeAtMs, sessions = [{ openAtMs, closeAtMs }] } = flow.flow
      if (side === 'listener') {
        // Whoever calls is on another agent, and closes it there: it cannot stop who sends here.
        if (closeAtMs !== null && recorder.endsOf(flow.flow).length === 1) ramp(closeAtMs, () => flow.stopSending())
        continue
      }
      for (const session of sessions)
        if (session.openAtMs >= attachAtMs && session.openAtMs < (detachAtMs ?? Number.POSITIVE_INFINITY))
          ramp(session.openAtMs, () => this.#connect(client, flow, session))
    }
  }

  /** Ends it, whatever it does. */
  async close(options: { readonly waitMs?: number } = {}): Promise<void> {
    await this.#client?.close(options)
    this.#stolen?.dispose()
  }

  /** What somebody needs who acts in its name; undefined while it is not there. */
  culprit(): Culprit | undefined {
    const { plan, recorder, network, mesh } = this.#context
    const { planned: client } = this
    if (this.#client === undefined) return undefined
    const [entry] = network.entriesFor(client)
    const relayUrl = entry?.urls[0]
    if (entry === undefined || relayUrl === undefined) return undefined
    const flow = this.flows.find(({ flow: one }) => recorder.flows[one.flow.flow]?.state === 'open')?.flow.flow
    const serves = flow?.listener === this.#index
    const other = flow === undefined ? undefined : plan.clients[serves ? flow.caller : flow.listener]
    const peer = other === undefined ? '' : fullName(other)
    const credentialFile = mesh.credentials.get(client.user) ?? ''
    return { client, options: this.#options(), credentialFile, relayUrl, relayId: entry.relayId, flow, peer, serves }
  }

  #options(): ClientOptions {
    const { mesh, network, lists, certificateEnds, now } = this.#context
    const { planned } = this
    const own = mesh.credentials.get(planned.user) ?? ''
    if (planned.wrongKey === true) this.#stolen ??= stealCredential(own, planned.user)
    const endsAtMs = certificateEnds.get(planned.client)
    return {
      credential:
        endsAtMs === undefined || this.#stolen !== undefined
          ? // What is in it, and not its name: ten thousand clients would look every second whether it was renewed.
            readCredential(this.#stolen?.file ?? own)
          : credentialThatEnds(mesh.dir, own, Date.now() + endsAtMs - now()),
      relays: lists.fileFor(planned) ?? network.entriesFor(planned),
      dialThrough: (url, relayId, localAddress) => network.dialled(planned, url, relayId, localAddress),
      ...(planned.label === '' ? {} : { label: planned.label }),
      ...(planned.carrier === 'auto' ? {} : { carriers: [planned.carrier] }),
      ...(planned.bind === undefined ? {} : { bind: planned.bind }),
      ...(planned.proxy === '' ? {} : { proxy: planned.proxy }),
      ...(planned.paths === '' ? {} : { paths: planned.paths }),
      ...(planned.keyMode === undefined ? {} : { keyMode: planned.keyMode }),
      ...this.#clock(),
      ...(planned.compress === undefined ? {} : { compress: planned.compress === 'auto' ? 'auto' : planned.compress === 'always' }),
    }
  }

  /** The time that the machines of its zone go by. */
  #clock(): Pick<ClientOptions, 'now'> {
    const { plan, now } = this.#context
    const clock = clockOfZone(plan, this.planned.zone)
    if (clock === undefined) return {}
    const { offsetMs, drift } = clock
    return { now: () => performance.timeOrigin + performance.now() + offsetMs + now() * drift }
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
      // Who leaves as planned hears nobody any more.
      if (!isOver() && this.#client === client) recorder.error(now(), codeOf(error), messageOf(error))
    }
  }

  async #connect(client: Client, live: LiveFlow, { closeAtMs, end }: FlowSession): Promise<void> {
    const { plan, recorder, now, ramp, isOver } = this.#context
    const { flow }: { flow: Flow } = live
    const listener = plan.clients[flow.listener]
    if (listener === undefined) return
    const session = await live.begin(isOver)
    const startedMs = now()
    try {
      if (isOver() || this.#client !== client) return live.failed(session)
      const connection = await client.connect({ user: fullName(listener), application: flow.application, waitMs: connectWaitMs })
      // Whoever left in the meantime does not want it any more.
      if (!live.lasts(session)) return connection.abort('closed')
      recorder.connectionOpened(now(), flow.flow, now() - startedMs)
      live.attach('caller', connection)
      if (closeAtMs !== null) ramp(closeAtMs, () => live.end(end, isOver))
    } catch (error) {
      live.failed(session)
      if (!isOver()) recorder.connectionFailed(now(), flow.flow, codeOf(error), messageOf(error))
    }
  }

  /** It leaves in good order, or aborts what it has. */
  async #detach(client: Client): Promise<void> {
    const { recorder, now, isOver } = this.#context
    const resets = this.planned.disconnect === 'reset'
    await Promise.allSettled(this.flows.map(({ flow, side }) => flow.end(resets ? { by: side, how: 'reset' } : undefined, isOver)))
    if (this.#client === client) this.#client = undefined
    await client.close()
    recorder.clientDetached(now(), this.#index)
  }

  /** It is gone, without a word to anybody: what it still says goes nowhere. */
  async #vanish(client: Client): Promise<void> {
    const { recorder, network, now, isOver } = this.#context
    for (const { flow, side } of this.flows) void flow.end({ by: side, how: 'vanish' }, isOver)
    this.#client = undefined
    recorder.clientDetached(now(), this.#index)
    const back = network.vanish(this.planned)
    await client.close({ waitMs: 0 })
    back()
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function fullName({ user, label }: PlanClient): string {
  return label === '' ? user : `${user}/${label}`
}
