// A relay's entry in a directory that answers as badly as one can.
import { SennitError } from '@sennit/protocol'
import type { RelayRegistration } from '@sennit/protocol/node'
import { afterEach, expect, it, vi } from 'vitest'
import { ConsulRegistration } from '../../src/node/registration/consul-registration.ts'

class Agent {
  readonly name = 'agent'
  readonly said: string[] = []
  readonly known = new Map<string, RelayRegistration>()
  state: 'up' | 'away' | 'frozen' = 'up'

  async register(relay: RelayRegistration): Promise<void> {
    await this.#answer()
    this.known.set(relay.relayId, relay)
    this.said.push(relay.draining ? 'draining' : 'registered')
  }

  async passing(relayId: string): Promise<void> {
    await this.#answer()
    if (!this.known.has(relayId)) throw new SennitError('consul_unknown', 'unknown check', {})
    this.said.push('alive')
  }

  async deregister(relayId: string): Promise<void> {
    await this.#answer()
    this.known.delete(relayId)
    this.said.push('gone')
  }

  async #answer(): Promise<void> {
    if (this.state === 'frozen') await new Promise(() => {})
    if (this.state === 'away') throw new SennitError('consul_failed', 'connection refused', {})
  }
}

function registered(): { agent: Agent; registration: ConsulRegistration; logs: string[] } {
  vi.useFakeTimers()
  const agent = new Agent()
  const logs: string[] = []
  const relay = { meshId: 'm', relayId: 'r1', urls: ['http://127.0.0.1:80'] }
  const registration = new ConsulRegistration({
    agent,
    relay,
    ttlMs: 9_000,
    log: (_level, event) => void logs.push(event),
    random: () => 1,
  })
  return { agent, registration, logs }
}

afterEach(() => {
  vi.useRealTimers()
})

it('registers, and lives three times in a ttl', async () => {
  const { agent } = registered()
  await vi.advanceTimersByTimeAsync(9_000)
  expect(agent.said).toEqual(['registered', 'alive', 'alive', 'alive'])
})

it('registers again when the agent has forgotten it, at the next heartbeat', async () => {
  const { agent, logs } = registered()
  await vi.advanceTimersByTimeAsync(1_000)
  agent.known.clear()
  await vi.advanceTimersByTimeAsync(3_000)
  expect([...agent.known.keys()]).toEqual(['r1'])
  expect(logs).toEqual(['consul_registered', 'consul_forgot', 'consul_registered'])
})

it('asks an agent that is away every one and a half seconds, and says so once', async () => {
  const { agent, logs } = registered()
  agent.state = 'away'
  await vi.advanceTimersByTimeAsync(60_000)
  expect(logs).toEqual(['consul_away'])
  agent.state = 'up'
  await vi.advanceTimersByTimeAsync(1_500)
  expect([...agent.known.keys()]).toEqual(['r1'])
})

it('says that it drains, and takes itself out at the end', async () => {
  const { agent, registration } = registered()
  await vi.advanceTimersByTimeAsync(1_000)
  registration.drain()
  await vi.advanceTimersByTimeAsync(4_000)
  expect(agent.said).toEqual(['registered', 'draining', 'alive'])
  await registration.stop()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(agent.said.at(-1)).toBe('gone')
})

it('ends within a second beside an agent that is frozen', async () => {
  const { agent, registration } = registered()
  await vi.advanceTimersByTimeAsync(1_000)
  agent.state = 'frozen'
  let over = false
  void registration.stop().then(() => {
    over = true
  })
  await vi.advanceTimersByTimeAsync(1_000)
  expect(over).toBe(true)
})
