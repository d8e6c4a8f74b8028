// Our relay, expose and forward, each in a process of its own.
import { Client } from '@sennit/client'
import { expose, forward } from '@sennit/client/forward'
import { readRelayConfig, startRelay } from '@sennit/relay'
import { benchApplication } from './library.ts'

const ready = (facts: object = {}): void => void process.stdout.write(`${JSON.stringify({ ready: true, ...facts })}\n`)

export async function runRelay(config: string): Promise<void> {
  await startRelay(await readRelayConfig(config))
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
