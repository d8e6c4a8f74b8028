// A load of library clients that talk in pairs, both ways; the test set's checker sees every byte that arrives.
import { Client, type Connection } from '@sennit/client'
import { until } from '../../cli/test/program.ts'
import { encodeMessage, FlowChecker, keystreamKey } from '../../loadtest/src/verdict/index.ts'

const seed = 20_261_122
const messageBytes = 1_000
/** A hundred messages a second each way. */
const everyMs = 10

interface Direction {
  readonly checker: FlowChecker
  sentMessages: number
  sentBytes: number
  lastMs: number
  gapMs: number
}

export interface LoadResult {
  readonly messages: number
  readonly bytes: number
  /** Bytes by kind of damage; all 0 when nothing was lost. */
  readonly damage: Readonly<Record<string, number>>
  readonly failovers: number
  /** The longest silence of a direction, in ms. */
  readonly gapMs: number
}

export class CheckedLoad {
  readonly clients: Client[] = []
  readonly connections: Connection[] = []
  readonly #directions: Direction[] = []
  readonly #timers: NodeJS.Timeout[] = []
  readonly #readers: Promise<void>[] = []
  /** Relays that said that they go away, as clients heard it. */
  readonly drained = new Set<string>()

  /** Opens a pair for each two credentials. @param relays where they look for relays */
  async open(credentials: readonly string[], relays: string): Promise<void> {
    for (let at = 0; at + 1 < credentials.length; at += 2) {
      const [caller, listener] = await Promise.all(
        [credentials[at]!, credentials[at + 1]!].map((credential) => Client.open({ credential, relays, relayCache: '' })),
      )
      for (const client of [caller!, listener!]) {
        this.clients.push(client)
        client.on((event) => {
          if (event.type === 'relay_draining') this.drained.add(event.relayId)
        })
      }
      const application = 'load'
      const listening = await listener!.listen({ application })
      const user = credentials[at + 1]!.replace(/^.*\/(.*)\.cred$/, '$1')
      const connection = await caller!.connect({ user, application })
      const answered = (await listening[Symbol.asyncIterator]().next()).value as Connection
      this.#flow(connection, answered)
      this.#flow(answered, connection)
      this.connections.push(connection, answered)
    }
  }

  /** How often connections lost their relay, rather than left it. */
  get failovers(): number {
    return this.connections.reduce((sum, connection) => sum + (connection.status()?.failovers ?? 0), 0)
  }

  get listeners(): Client[] {
    return this.clients.filter((_, index) => index % 2 === 1)
  }

  /** Resolves when so many more messages have arrived in every direction. */
  async goesOn(messages: number): Promise<void> {
    const from = this.#directions.map(({ checker }) => checker.receivedMessages)
    await until(
      () => this.#directions.every(({ checker }, index) => checker.receivedMessages >= from[index]! + messages),
      `${messages} more messages in every direction`,
      60_000,
    )
  }

  /** Stops sending, waits for what is under way, and says what came of it. */
  async end(): Promise<LoadResult> {
    for (const timer of this.#timers) clearInterval(timer)
    await until(
      () => this.#directions.every(({ checker, sentBytes }) => checker.receivedBytes >= sentBytes),
      'what was sent',
      60_000,
    ).catch(
      // What is missing is counted below.
      () => {},
    )
    const damage: Record<string, number> = {}
    for (const { checker, sentBytes } of this.#directions) {
      checker.finish(sentBytes, 'lost')
      for (const [kind, bytes] of Object.entries(checker.counts)) damage[kind] = (damage[kind] ?? 0) + bytes
    }
    const sum = (of: (direction: Direction) => number): number => this.#directions.reduce((total, one) => total + of(one), 0)
    return {
      messages: sum(({ checker }) => checker.receivedMessages),
      bytes: sum(({ checker }) => checker.receivedBytes),
      damage,
      failovers: this.failovers,
      gapMs: Math.round(Math.max(...this.#directions.map(({ gapMs }) => gapMs))),
    }
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    await Promise.allSettled(this.clients.map((client) => client.close({ waitMs: 500 })))
    await Promise.allSettled(this.#readers)
  }

  #flow(from: Connection, to: Connection): void {
    const number = this.#directions.length
    const direction: Direction = {
      checker: new FlowChecker({ seed, direction: number }),
      sentMessages: 0,
      sentBytes: 0,
      lastMs: performance.now(),
      gapMs: 0,
    }
    this.#directions.push(direction)
    this.#readers.push(receive(direction, to))
    const key = keystreamKey(seed, number)
    this.#timers.push(
      setInterval(() => {
        const header = { direction: number, index: direction.sentMessages, offset: direction.sentBytes, dueMs: 0, length: messageBytes }
        direction.sentMessages += 1
        direction.sentBytes += messageBytes
        from.send(encodeMessage(key, header)).catch(() => {
          // A connection that ended loses what it holds: the checker counts that.
        })
      }, everyMs),
    )
  }
}

async function receive(direction: Direction, to: Connection): Promise<void> {
  try {
    for await (const message of to) {
      const nowMs = performance.now()
      direction.gapMs = Math.max(direction.gapMs, nowMs - direction.lastMs)
      direction.lastMs = nowMs
      direction.checker.received(message)
    }
  } catch {
    // As above.
  }
}
