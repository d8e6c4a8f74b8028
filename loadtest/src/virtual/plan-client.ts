// One client of a plan in the simulated world: attaches, listens, calls, detaches, as the live runner's clients do.
import type { FlowSession, Presence } from '../plan.ts'
import type { At } from '../ramp.ts'
import type { RunRecorder } from '../verdict/run-recorder.ts'
import type { Application, ApplicationEffect, ClientHost } from './client-host.ts'
import type { PlanFlow } from './plan-flow.ts'

/** How long a connection is asked for before its flow counts as failed (as in the live runner). */
const connectWaitMs = 30_000
/** Who is attached nowhere after this has failed to start (the client library's own bound). */
const openMs = 6_000

/** How often one who leaves looks whether what it had is closed, and how long that may take. */
const pollMs = 20
const closingMs = 35_000

export class PlanClientApplication implements Application {
  readonly #index: number
  readonly #recorder: RunRecorder
  readonly #flows: readonly PlanFlow[]
  readonly #ramp: At
  readonly #calls = new Map<number, { readonly flow: PlanFlow; readonly startedMs: number }>()
  #startedMs = 0
  #detachAtMs: number | null = null
  #attached = false
  #over = false

  /** `ramp`: does something at a time of the plan, later by as long as the ramp was paused. */
  constructor(index: number, recorder: RunRecorder, flows: readonly PlanFlow[], ramp: At) {
    this.#ramp = ramp
    this.#index = index
    this.#recorder = recorder
    this.#flows = flows
  }

  /** It comes for a time; what it had before is gone. */
  come(client: ClientHost, { detachAtMs }: Presence): void {
    this.#detachAtMs = detachAtMs
    if (client.running) client.kill('reset')
    client.start()
    if (detachAtMs !== null) this.#ramp(detachAtMs, () => this.#leave(client))
  }

  started(client: ClientHost): void {
    const { generation } = client
    this.#startedMs = client.world.nowMs
    this.#attached = false
    this.#over = false
    this.#calls.clear()
    client.touch()
    client.world.after(openMs, () => {
      if (this.#attached || this.#over || client.generation !== generation) return
      this.#over = true
      this.#recorder.clientRejected(client.world.nowMs, this.#index, 'no_relay', `no relay was reached in ${openMs / 1000} s`)
      client.kill('reset')
    })
  }

  effect(client: ClientHost, effect: ApplicationEffect): void {
    const { world } = client
    switch (effect.type) {
      case 'event':
        if (effect.event.type === 'attached') this.#isAttached(client)
        world.note(() => `${client.name} ${JSON.stringify(effect.event)}`)
        return
      case 'connection':
        this.#connection(client, effect)
        return
      case 'connectFailed': {
        const call = this.#calls.get(effect.connectHandle)
        this.#calls.delete(effect.connectHandle)
        call?.flow.failed()
        if (call !== undefined && !this.#over)
          this.#recorder.connectionFailed(world.nowMs, call.flow.flow.flow, effect.code, effect.message)
        return
      }
      case 'connectionEvent':
        this.#each(client, effect.handle, (flow, side) => flow.connectionEvent(side, effect.event))
        return
      case 'streamEvent':
        this.#each(client, effect.handle, (flow, side) => flow.streamEvent(side, effect.event))
        return
      case 'datagram':
        this.#each(client, effect.handle, (flow, side) => flow.datagram(side, effect.data))
        return
      case 'connectionClosed':
        this.#each(client, effect.handle, (flow, side) => flow.closed(side, effect.code, effect.message))
        return
      case 'listenFailed':
        this.#recorder.error(world.nowMs, effect.code, effect.message)
        return
      default:
        return
    }
  }

  resumed(): void {}

  /** It leaves as planned. */
  #leave(client: ClientHost): void {
    if (this.#over || !client.running) return
    const { disconnect } = this.#recorder.plan.clients[this.#index]!
    for (const flow of this.#flows) {
      const by = flow.flow.caller === this.#index ? 'caller' : flow.flow.listener === this.#index ? 'listener' : undefined
      if (by !== undefined) flow.end(disconnect === undefined ? undefined : { by, how: disconnect })
    }
    this.#recorder.clientDetached(client.world.nowMs, this.#index)
    if (disconnect === 'vanish') {
      this.#over = true
      for (const { flow } of this.#calls.values()) {
        flow.failed()
        this.#recorder.connectionFailed(client.world.nowMs, flow.flow.flow, 'client_closed', 'the client was gone before it was connected')
      }
      client.kill('silent')
    } else this.#endWhenClosed(client, client.generation, client.world.nowMs + this.#recorder.plan.run.drainMs + closingMs)
  }

  /** What it still has is closed first. */
  #endWhenClosed(client: ClientHost, generation: number, deadlineMs: number): void {
    const { world } = client
    world.after(pollMs, () => {
      if (client.generation !== generation || !client.running || this.#over) return
      const closed = this.#flows.every(({ flow, over }) => (flow.caller !== this.#index && flow.listener !== this.#index) || over)
      if (!closed && world.nowMs < deadlineMs) this.#endWhenClosed(client, generation, deadlineMs)
      else this.end(client)
    })
  }

  end(client: ClientHost): void {
    this.#over = true
    client.act((machine, nowMs) => machine.close(nowMs))
  }

  #listen(client: ClientHost): void {
    const served = this.#flows.filter(({ flow }) => flow.listener === this.#index).map(({ flow }) => flow.application)
    client.act((machine, nowMs) => {
      for (const application of new Set(served)) machine.listen(nowMs, { application, from: '*' })
    })
  }

  #isAttached(client: ClientHost): void {
    if (this.#attached || this.#over) return
    this.#attached = true
    this.#recorder.clientAttached(client.world.nowMs, this.#index, client.world.nowMs - this.#startedMs)
    this.#listen(client)
    for (const flow of this.#flows) if (flow.flow.caller === this.#index) this.#connectAt(client, flow)
  }

  #connectAt(client: ClientHost, flow: PlanFlow): void {
    const { world, generation } = client
    const { openAtMs, closeAtMs, sessions = [{ openAtMs, closeAtMs }] } = flow.flow
    for (const session of sessions) {
      if (session.openAtMs < this.#fromMs(client) || session.openAtMs >= (this.#detachAtMs ?? Number.POSITIVE_INFINITY)) continue
      this.#ramp(session.openAtMs, () => {
        if (this.#over || client.generation !== generation) return
        flow.begin(() => {
          if (this.#over || client.generation !== generation || world.nowMs >= this.#recorder.loadEndMs) flow.failed()
          else this.#connect(client, flow, session)
        })
      })
    }
  }

  /** Since when it is to be there: sessions that begin earlier were those of another time. */
  #fromMs(client: ClientHost): number {
    const { attachAtMs, again = [] } = this.#recorder.plan.clients[this.#index]!
    return again[client.generation - 2]?.attachAtMs ?? attachAtMs
  }

  #connect(client: ClientHost, flow: PlanFlow, { closeAtMs, end }: FlowSession): void {
    const { world } = client
    const listener = this.#recorder.plan.clients[flow.flow.listener]!
    const { user, label } = listener
    const { application } = flow.flow
    world.happened('calls', client.name, flow.flow.flow)
    const startedMs = world.nowMs
    const handle = client.act((machine, nowMs) =>
      machine.connect(nowMs, { user, application, waitMs: connectWaitMs, ...(label === '' ? {} : { label }) }),
    )
    this.#calls.set(handle, { flow, startedMs })
    if (closeAtMs !== null) this.#ramp(closeAtMs, () => flow.end(end))
  }

  #connection(client: ClientHost, effect: Extract<ApplicationEffect, { type: 'connection' }>): void {
    const { world } = client
    const machine = client.machine.connection(effect.handle)
    if (machine === undefined) return
    const call = effect.connectHandle === undefined ? undefined : this.#calls.get(effect.connectHandle)
    if (call !== undefined) {
      if (effect.connectHandle !== undefined) this.#calls.delete(effect.connectHandle)
      this.#recorder.connectionOpened(world.nowMs, call.flow.flow.flow, world.nowMs - call.startedMs)
      call.flow.attach('caller', client, effect.handle, machine)
      return
    }
    const { clients } = this.#recorder.plan
    const flow = this.#flows.find(({ flow: one }) => {
      const caller = clients[one.caller]
      return (
        one.listener === this.#index &&
        one.application === effect.application &&
        caller?.user === effect.peer.user &&
        caller.label === effect.peer.label
      )
    })
    if (flow === undefined) client.act((owner, nowMs) => owner.abortConnection(nowMs, effect.handle, 'rejected', 'not in the plan'))
    else flow.attach('listener', client, effect.handle, machine)
  }

  #each(client: ClientHost, handle: number, visit: (flow: PlanFlow, side: 'caller' | 'listener') => void): void {
    for (const flow of this.#flows) {
      const side = flow.sideOf(client, handle)
      if (side === undefined) continue
      visit(flow, side)
      return
    }
  }
}
