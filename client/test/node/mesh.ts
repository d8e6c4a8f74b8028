/** A mesh in a temporary folder with relays in this process, and clients on it; everything ends with `close`. */

import { mkdtempSync, rmSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, type ClientOptions } from '@sennit/client'
import type { RelayEntry } from '@sennit/protocol'
import { addUser, initMesh, readCredential, readRelayList } from '@sennit/protocol/node'
import { type RelayConfig, type RunningRelay, readRelayConfig, startRelay } from '@sennit/relay'

export interface TestMesh {
  readonly dir: string
  readonly relays: readonly RelayEntry[]
  /** The running relays by id. */
  readonly running: Map<string, RunningRelay>
  start(relayId: string): Promise<RunningRelay>
  /** Closes a relay at once, as a kill would. */
  kill(relayId: string): Promise<void>
  /** A client of `user`, who is added when new. */
  client(user: string, options?: Partial<ClientOptions>): Promise<Client>
  close(): Promise<void>
}

/** @param config laid over what each relay's file says */
export async function startMesh(relayCount = 1, config: Partial<RelayConfig> = {}): Promise<TestMesh> {
  const dir = mkdtempSync(join(tmpdir(), 'sennit-client-'))
  const ports = await freePorts(relayCount * 2)
  const ids = Array.from({ length: relayCount }, (_, index) => `r${index + 1}`)
  await initMesh(dir, {
    relays: ids.map((relayId, index) => ({
      relayId,
      url: `http://127.0.0.1:${ports[index]}`,
      listen: [`127.0.0.1:${ports[index]}`],
      admin: `127.0.0.1:${ports[relayCount + index]}`,
    })),
  })
  const users = new Map<string, string>()
  for (const user of ['alice', 'bob']) users.set(user, await addUser(dir, user))
  const running = new Map<string, RunningRelay>()
  const clients: Client[] = []
  const mesh: TestMesh = {
    dir,
    relays: readRelayList(join(dir, 'relays.list'), readCredential(users.get('alice')!).trust).relays,
    running,
    async start(relayId) {
      const relay = await startRelay({ ...readRelayConfig(join(dir, 'relays', `${relayId}.toml`)), logLevel: 'silent', ...config })
      running.set(relayId, relay)
      return relay
    },
    async kill(relayId) {
      await running.get(relayId)?.close()
      running.delete(relayId)
    },
    async client(user, options = {}) {
      const client = await Client.open({ credential: users.get(user)!, relays: dir, env: {}, ...options })
      clients.push(client)
      return client
    },
    async close() {
      await Promise.all(clients.map((client) => client.close({ waitMs: 1_000 })))
      for (const id of [...running.keys()]) await mesh.kill(id)
      rmSync(dir, { recursive: true, force: true })
    },
  }
  for (const id of ids) await mesh.start(id)
  return mesh
}

export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => net.createServer())
  const ports: number[] = []
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    ports.push((server.address() as AddressInfo).port)
  }
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))))
  return ports
}
