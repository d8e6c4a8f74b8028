/** Makes the races by which one relay is dialled: its addresses and our carriers, the pair that won last time first, and a hop link for each runner. */
import { HopLink } from '@sennit/protocol'
import type { Attachment } from './attachment.ts'
import type { AttachmentContext } from './attachment-context.ts'
import { DialRace, type DialTarget, dialTargets, type Runner } from './dial-race.ts'

export class Dialer {
  readonly #context: AttachmentContext
  readonly #attachment: Attachment
  #winner: DialTarget | undefined

  constructor(context: AttachmentContext, attachment: Attachment) {
    this.#context = context
    this.#attachment = attachment
  }

  /** Where the relay was reached last. */
  get url(): string | undefined {
    return this.#winner?.url
  }

  /** This way was the first to answer, and is tried first from now on. */
  won({ url, carrier }: DialTarget): void {
    this.#winner = { url, carrier }
  }

  /** A race that starts now. */
  race(nowMs: number): DialRace {
    const { entry } = this.#attachment
    const { tuning, carriers, carriersOf } = this.#context
    // A relay may be called what every object has.
    const own = Object.hasOwn(carriersOf, entry.relayId) ? carriersOf[entry.relayId] : undefined
    const targets = dialTargets(entry.urls, own ?? carriers, this.#winner)
    return new DialRace(tuning, targets, (target) => this.#start(nowMs, target), nowMs)
  }

  /** Starts what is due, and gives up what is late. */
  step(nowMs: number, race: DialRace): void {
    for (const late of race.wake(nowMs)) this.#context.sink.hangUp(late.key)
  }

  /** Gives up all but the winner. */
  abandon(race: DialRace, winner: Runner | undefined): void {
    for (const runner of race.runners()) if (runner !== winner) this.#context.sink.hangUp(runner.key)
  }

  #start(nowMs: number, target: DialTarget): Runner {
    const context = this.#context
    const { entry, watch } = this.#attachment
    const { url, carrier } = target
    const link = new HopLink({
      role: 'initiator',
      crypto: context.crypto,
      random: context.random,
      meshId: context.trust.meshId,
      carrier,
      software: context.software,
      trust: context.trust,
      relayId: entry.relayId,
      ...(entry.key === undefined ? {} : { relayKey: entry.key }),
      lentChunks: context.lentChunks,
      identity: context.identity,
      label: context.label,
      instance: context.instance,
      heartbeat: watch.heartbeat,
    })
    // Written out, so that all runners are of one shape.
    const runner: Runner = { url, carrier, key: context.nextKey(), link, deadlineMs: nowMs + context.tuning.dialTimeoutMs }
    let first: Uint8Array | undefined
    context.sink.dial(this.#attachment, runner.key, target, () => {
      first ??= link.first(nowMs)
      return first
    })
    return runner
  }
}
