/**
 * The one typed wrapper around the npm package `consul`: registrations with a TTL, blocking queries that start again by themselves, and the
 * signed relay list in the key-value store. Nothing it says is trusted here; the package is loaded only when somebody uses Consul.
 */

import type Consul from 'consul'
import { z } from 'zod'
import { SennitError } from '../../errors.ts'
import { listBytesMax } from '../../trust/lists.ts'
import type { SeenRelay } from '../../trust/seen-relays.ts'
import { boundedAgent } from './bounded-agent.ts'
import { type ConsulAddress, consulToken } from './consul-address.ts'
import { type RelayRegistration, registrationWords, relaysOfAnswer } from './consul-rows.ts'

/** A blocking query stands this long when nothing changes; the package adds a tenth before it gives a silent agent up. */
const waitSeconds = 20
/** An agent that restarts is asked again within this, which is the half of what a change may take to reach everybody. */
const backoffMaxMs = 2_000
/** A single question; an agent that is frozen must not hold up a start or a shutdown. */
const askMs = 3_000
/** A relay that is gone for good disappears from Consul after this. A minute is the least Consul takes. */
const forgottenAfter = '10m'

const keyRow = z.object({ Value: z.string().max(Math.ceil((listBytesMax * 4) / 3) + 4) })

export interface ConsulWatcher<News> {
  /** @param afterGap it is the first answer, or the first since the agent could not be asked */
  news(news: News, afterGap: boolean): void
  /** The agent cannot be asked, or answers strangely; it is asked again. Told once per kind of trouble, until news come. */
  trouble(error: SennitError): void
}

export class ConsulAgent {
  readonly name: string
  readonly #consul: Consul
  readonly #address: ConsulAddress
  readonly #meshId: string

  private constructor(consul: Consul, address: ConsulAddress, meshId: string) {
    this.#consul = consul
    this.#address = address
    this.#meshId = meshId
    this.name = `consul ${address.host}:${address.port}/${address.service}`
  }

  /** Loads the package; asks nobody yet. */
  static async load(address: ConsulAddress, meshId: string): Promise<ConsulAgent> {
    const { default: Package } = await import('consul')
    const { host, port, secure } = address
    return new ConsulAgent(new Package({ host, port, secure, agent: boundedAgent(secure) as never }), address, meshId)
  }

  /** Registers a relay, or replaces what it said before. Its check passes until `ttlMs` are over without {@link passing}. */
  async register(relay: RelayRegistration, ttlMs: number): Promise<void> {
    const { tags, meta } = registrationWords(relay)
    const first = new URL(relay.urls[0]!)
    const check = { name: 'heartbeat', ttl: `${ttlMs}ms`, status: 'passing', deregistercriticalserviceafter: forgottenAfter }
    await this.#ask((options) =>
      this.#consul.agent.service.register({
        ...options,
        name: this.#address.service,
        id: this.#serviceId(relay.relayId),
        address: first.hostname.replace(/^\[|\]$/g, ''),
        port: Number(first.port || (first.protocol === 'https:' ? 443 : 80)),
        tags,
        meta,
        check: check as never,
      }),
    )
  }

  /** The heartbeat of a registration. @throws SennitError `consul_unknown` when the agent does not know it (any more) */
  async passing(relayId: string): Promise<void> {
    await this.#ask((options) => this.#consul.agent.check.pass({ ...options, id: `service:${this.#serviceId(relayId)}` }))
  }

  async deregister(relayId: string): Promise<void> {
    await this.#ask((options) => this.#consul.agent.service.deregister({ ...options, id: this.#serviceId(relayId) }))
  }

  /** The relays that are registered now. @throws SennitError `consul_failed` */
  async relays(): Promise<SeenRelay[]> {
    const answer = await this.#ask((options) => this.#consul.health.service({ ...options, service: this.#address.service }))
    return relaysOfAnswer(this.#meshId, answer).relays
  }

  /** Calls with the relays now and at each change. @returns how to stop */
  watchRelays(watcher: ConsulWatcher<SeenRelay[]>): () => void {
    return this.#watch(this.#consul.health.service, { service: this.#address.service }, watcher, (answer, afterGap) => {
      const { relays, strange } = relaysOfAnswer(this.#meshId, answer)
      if (strange > 0) watcher.trouble(failed(`${this.name}: ${strange} rows of its answer are no registrations of relays`))
      watcher.news(relays, afterGap)
    })
  }

  /** The signed relay list that the signer put there, not checked. @throws SennitError `consul_failed` */
  async list(): Promise<Uint8Array | undefined> {
    return listOfRow(await this.#ask((options) => this.#consul.kv.get({ ...options, key: this.#listKey })))
  }

  async putList(bytes: Uint8Array): Promise<void> {
    const value = Buffer.from(bytes).toString('base64')
    await this.#ask((options) => this.#consul.kv.set({ ...options, key: this.#listKey, value }))
  }

  /** Calls with the signed list now and at each change. @returns how to stop */
  watchList(watcher: ConsulWatcher<Uint8Array>): () => void {
    return this.#watch(this.#consul.kv.get, { key: this.#listKey }, watcher, (answer, afterGap) => {
      const bytes = listOfRow(answer)
      if (bytes !== undefined) watcher.news(bytes, afterGap)
    })
  }

  close(): void {
    this.#consul.destroy()
  }

  get #listKey(): string {
    return `${this.#address.service}/${this.#meshId}/relays.list`
  }

  #serviceId(relayId: string): string {
    return `${this.#address.service}-${this.#meshId.slice(0, 8)}-${relayId}`
  }

  async #ask<Answer>(question: (options: { token?: string; timeout: number }) => Promise<Answer>): Promise<Answer> {
    try {
      return await question({ ...this.#token(), timeout: askMs })
    } catch (cause) {
      throw this.#error(cause)
    }
  }

  /** One watch after the other: the package ends one for good when an answer has no index, which an agent behind a bad proxy may do. */
  #watch<News>(
    // biome-ignore lint/complexity/noBannedTypes: the package's own type of a method to watch
    method: Function,
    options: Record<string, string>,
    watcher: ConsulWatcher<News>,
    take: (answer: unknown, afterGap: boolean) => void,
  ): () => void {
    let stopped = false
    let told = ''
    let afterGap = true
    let timer: NodeJS.Timeout | undefined
    let end = (): void => {}
    const tell = (error: SennitError): void => {
      if (stopped || told === error.message) return
      told = error.message
      watcher.trouble(error)
    }
    const begin = (): void => {
      let watch: ReturnType<Consul['watch']>
      try {
        watch = this.#consul.watch({
          method,
          options: { ...options, ...this.#token(), wait: `${waitSeconds}s` },
          backoffFactor: 100,
          backoffMax: backoffMaxMs,
        })
      } catch (cause) {
        tell(this.#error(cause))
        timer = setTimeout(begin, backoffMaxMs)
        return
      }
      watch.on('change', (answer: unknown) => {
        if (stopped) return
        told = ''
        const first = afterGap
        afterGap = false
        take(answer, first)
      })
      watch.on('error', (cause: unknown) => {
        afterGap = true
        tell(this.#error(cause))
      })
      watch.on('end', () => {
        if (!stopped) timer = setTimeout(begin, backoffMaxMs)
      })
      end = () => watch.end()
    }
    begin()
    return () => {
      stopped = true
      clearTimeout(timer)
      end()
    }
  }

  #token(): { token?: string } {
    const token = consulToken(this.#address)
    return token === undefined ? {} : { token }
  }

  #error(cause: unknown): SennitError {
    const { message = String(cause), statusCode } = (cause ?? {}) as { message?: string; statusCode?: number }
    // Consul 1.22 says 404 for a check it does not know, older ones 500 with the same words.
    const code = statusCode === 404 || /unknown check|does not have associated/i.test(message) ? 'consul_unknown' : 'consul_failed'
    return new SennitError(code, `${this.name}: ${message}`, statusCode === undefined ? {} : { status: statusCode }, cause)
  }
}

function listOfRow(answer: unknown): Uint8Array | undefined {
  const read = keyRow.safeParse(answer)
  return read.success ? Buffer.from(read.data.Value, 'base64') : undefined
}

function failed(message: string): SennitError {
  return new SennitError('consul_failed', message, {})
}
