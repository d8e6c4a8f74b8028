// Our relay, expose and forward, each in a process of its own.
import { createInterface } from 'node:readline'
import { Client } from '@sennit/client'
import { expose, forward } from '@sennit/client/forward'
import { readRelayConfig, startRelay } from '@sennit/relay'
import { benchApplication } from './library.ts'

const ready = (facts: object = {}): void => void process.stdout.write(`${JSON.stringify({ ready: true, ...facts })}\n`)

/** What a relay says when it is asked for `memory`, and after a collection for `collect`. Bytes. */
export interface RelayMemory {
  readonly rss: number
  readonly heapUsed: number
  /** Buffers, outside the heap. */
  readonly external: number
  readonly attachments: number
  readonly forwardedBytes: number
  /** Used by the process so far. */
  readonly cpuMs: number
}

export async function runRelay(config: string): Promise<void> {
  const relay = await startRelay({ ...(await readRelayConfig(config)), logLevel: 'silent' })
  createInterface({ input: process.stdin }).on('line', (line) => {
    if (line === 'collect') globalThis.gc?.()
    const { rss, heapUsed, external } = process.memoryUsage()
    const { forwardedBytes, attachments } = relay.stats()
    const counted = Object.values(attachments).reduce((sum, count) => sum + count, 0)
    const { user, system } = process.cpuUsage()
    const memory: RelayMemory = { rss, heapUsed, external, attachments: counted, forwardedBytes, cpuMs: (user + system) / 1_000 }
    process.stdout.write(`${JSON.stringify(memory)}\n`)
  })
  ready()
}

export async function runExpose(credential: string, relayList: string, port: number): Promise<void> {
  const client = await Client.open({ credential, relays: relayList })
  await expose({ client, application: benchApplication, target: { host: '127.0.0.1', port }, from: '*', log: () => {} })
  ready()
}

export async function runForward(credential: string, relayList: string, user: string): Promise<void> {
  const client = await Client.open({ credential, relays: relayList })
  const service = await forward({
    client,
    listen: { host: '127.0.0.1', port: 0 },
    user,
    application: benchApplication,
    waitMs: 30_000,
    log: () => {},
  })
  ready({ port: service.port })
}
