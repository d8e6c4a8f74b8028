/**
 * A relay's entry in Consul: registered with a TTL check, kept alive by heartbeats, marked while it drains, taken out at the end. Whatever the
 * agent does, the relay goes on: it registers again as soon as somebody answers.
 */

import { SennitError } from '@sennit/protocol'
import type { ConsulAgent, RelayRegistration } from '@sennit/protocol/node'

export interface ConsulRegistrationOptions {
  readonly agent: Pick<ConsulAgent, 'register' | 'passing' | 'deregister' | 'name'>
  readonly relay: Omit<RelayRegistration, 'draining'>
  /** How long the entry counts as alive without a heartbeat, in milliseconds. */
  readonly ttlMs: number
  readonly log: (level: 'info' | 'warn', event: string, fields: Readonly<Record<string, unknown>>) => void
  /** [0, 1), for jitter. @default Math.random */
  readonly random?: () => number
}

/** Heartbeats in one TTL: two may be lost. */
const beatsPerTtl = 3
/** An agent that is away is asked again within this, so that one that restarted with nothing knows the relay again in seconds. */
const againMs = 1_500
/** A relay that ends waits so long for the agent to take its entry out; the TTL does it otherwise. */
const farewellMs = 1_000

export class ConsulRegistration {
  readonly #options: ConsulRegistrationOptions
  #registered = false
  #draining = false
  #stopped = false
  #told = ''
  #timer: NodeJS.Timeout | undefined
  #turn: Promise<void> = Promise.resolve()

  constructor(options: ConsulRegistrationOptions) {
    this.#options = options
    this.#next(0)
  }

  /** Marks the entry: clients and the signer see that the relay goes. */
  drain(): void {
    this.#draining = true
    this.#registered = false
    this.#next(0)
  }

  /** Takes the entry out. Resolves within a second, whatever the agent does. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    const { agent, relay } = this.#options
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, farewellMs)
    })
    // A heartbeat under way must not register again what is taken out here.
    const out = this.#turn
      .then(() => agent.deregister(relay.relayId))
      .catch((error: unknown) => this.#tell('consul_left_registered', error))
    await Promise.race([out, late])
    clearTimeout(timer)
  }

  #next(delayMs: number): void {
    clearTimeout(this.#timer)
    if (this.#stopped) return
    this.#timer = setTimeout(() => {
      this.#turn = this.#turn.then(() => this.#beat())
    }, delayMs)
    this.#timer.unref()
  }

  async #beat(): Promise<void> {
    if (this.#stopped) return
    const { agent, relay, ttlMs, log, random = Math.random } = this.#options
    const draining = this.#draining
    try {
      if (this.#registered) await agent.passing(relay.relayId)
      else {
        await agent.register({ ...relay, draining }, ttlMs)
        this.#told = ''
        log('info', 'consul_registered', { agent: agent.name, draining })
      }
      // It may have begun to drain meanwhile; then the next turn says so.
      this.#registered = draining === this.#draining
      this.#next(this.#registered ? ttlMs / beatsPerTtl : 0)
    } catch (error) {
      const unknown = this.#registered && error instanceof SennitError && error.code === 'consul_unknown'
      this.#registered = false
      this.#tell(unknown ? 'consul_forgot' : 'consul_away', error)
      this.#next(unknown ? 0 : againMs * (0.5 + 0.5 * random()))
    }
  }

  /** Once per kind of trouble: an agent that is away for a day is one line. */
  #tell(event: string, error: unknown): void {
    if (this.#told === event) return
    this.#told = event
    this.#options.log('warn', event, { agent: this.#options.agent.name, message: (error as Error).message })
  }
}
