// One client of a plan in the simulated world: attaches, listens, calls, detaches, as the live runner's clients do.
import type { RunRecorder } from '../verdict/run-recorder.ts'
import type { Application, ApplicationEffect, ClientHost } from './client-host.ts'
import type { PlanFlow } from './plan-flow.ts'

/** How long a connection is asked for before its flow counts as failed (as in the live runner). */
const connectWaitMs = 30_000
/** Who is attached nowhere after this has failed to start (the client library's own bound). */
const openMs = 6_000

export class PlanClientApplication implements Application {
  readonly #index: number
  readonly #recorder: RunRecorder
  readonly #flows: readonly PlanFlow[]
  readonly #calls = new Map<number, { readonly flow: PlanFlow; readonly startedMs: number }>()
  #startedMs = 0
  #attached = false
  #over = false

  constructor(index: number, recorder: RunRecorder, flows: readonly PlanFlow[]) {
    this.#index = index
    this.#recorder = recorder
    this.#flows = flows
  }

  started(client: ClientHost): void {
    this.#startedMs = client.world.nowMs
    client.touch()
    client.world.after(openMs, () => {
      if (this.#attached || this.#over) return
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
  detach(client: ClientHost): void {
    if (this.#over || !client.running) return
    for (const flow of this.#flows) if (flow.flow.caller === this.#index || flow.flow.listener === this.#index) flow.close()
    client.world.after(1_000, () => this.end(client))
    this.#recorder.clientDetached(client.world.nowMs, this.#index)
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
    const { world } = client
    world.at(flow.flow.openAtMs, () => {
      if (this.#over) return
      const listener = this.#recorder.plan.clients[flow.flow.listener]!
      const { user, label } = listener
      const { application } = flow.flow
      world.happened('calls', client.name, flow.flow.flow)
      const startedMs = world.nowMs
      const handle = client.act((machine, nowMs) =>
        machine.connect(nowMs, { user, application, waitMs: connectWaitMs, ...(label === '' ? {} : { label }) }),
      )
      this.#calls.set(handle, { flow, startedMs })
      const { closeAtMs } = flow.flow
      if (closeAtMs !== null) world.at(closeAtMs, () => flow.close())
    })
  }

  #connection(client: ClientHost, effect: Extract<ApplicationEffect, { type: 'connection' }>): void {
    const { world } = client
    const machine = client.machine.connection(effect.handle)
    if (machine === undefined) return
    const call = effect.connectHandle === undefined ? undefined : this.#calls.get(effect.connectHandle)
    if (call !== undefined) {
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
