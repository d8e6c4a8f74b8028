// One connection of the plan: once, or again and again, one session after the other.
import type { Connection } from '@sennit/client'
import type { Flow, FlowSession } from '../plan.ts'
import type { Side } from '../verdict/run-recorder.ts'
import { type FlowContext, LiveSession } from './live-session.ts'

export class LiveFlow {
  readonly flow: Flow
  readonly #context: FlowContext
  #session: LiveSession
  #begun = false
  /** When the session that has begun last is over, and what says so. */
  #ended: Promise<void> = Promise.resolve()
  #end: () => void = () => {}

  constructor(flow: Flow, context: FlowContext) {
    this.flow = flow
    this.#context = context
    this.#session = new LiveSession(flow, context)
  }

  /** The caller wants to connect: when the session before is over, a new one begins, to which both ends that come belong. */
  async begin(): Promise<void> {
    await this.#ended
    this.#session.forget()
    if (this.#begun) this.#session = new LiveSession(this.flow, this.#context)
    this.#begun = true
    this.#ended = new Promise((done) => {
      this.#end = done
    })
  }

  /** It came to nothing. */
  failed(): void {
    this.#end()
  }

  /** Takes one end as soon as it has its connection. */
  attach(side: Side, connection: Connection): void {
    this.#session.attach(side, connection)
  }

  /** Ends the session as planned. Resolves when it is over. */
  async end(how: FlowSession['end'], isOver: () => boolean): Promise<void> {
    const session = this.#session
    const end = this.#end
    if (how === undefined) await session.closeInOrder(isOver)
    else if (how.how === 'reset') await session.reset(how.by)
    else session.abandon()
    end()
  }

  relays(side: Side): readonly string[] {
    return this.#session.relays(side)
  }

  stall(side: Side): void {
    this.#session.stall(side)
  }

  readOn(side: Side): number {
    return this.#session.readOn(side)
  }

  get settled(): boolean {
    return this.#session.settled
  }

  /** At the end of the run: in good order where everything has arrived. `unsettled`: connections of which something is missing, as is known elsewhere. */
  async close(unsettled: ReadonlySet<number> = new Set()): Promise<void> {
    await this.#session.close(unsettled)
    this.#end()
  }

  abort(): void {
    this.#session.abort()
    this.#end()
  }
}
