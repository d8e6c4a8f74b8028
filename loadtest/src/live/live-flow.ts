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

  /**
   * The caller wants to connect: when all sessions that were asked for before are over, its own begins, to which both ends that come belong. On a slow
   * machine several are due at once; they take their turns. Once the run is over none begins: the one before is the last, and is judged as that.
   */
  async begin(isOver: () => boolean): Promise<LiveSession> {
    const before = this.#ended
    let end = (): void => {}
    this.#ended = new Promise((done) => {
      end = done
    })
    await before
    this.#end = end
    this.#session.forget()
    if (this.#begun && !isOver()) {
      this.#session = new LiveSession(this.flow, this.#context)
      this.#context.recorder.connectionReplaced(this.#context.now(), this.flow.flow)
    }
    this.#begun = true
    return this.#session
  }

  /** Nobody has ended the session yet. */
  lasts(session: LiveSession): boolean {
    return session === this.#session && !session.over
  }

  /** It came to nothing. The called end may have its connection already, and would go on sending beside the next session's. */
  failed(session: LiveSession): void {
    session.discard()
    if (session === this.#session) this.#end()
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

  /** Nothing more is sent by the ends that are here. */
  async stopSending(): Promise<void> {
    this.#session.stopSending()
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
