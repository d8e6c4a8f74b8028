// A relay over its limit, for real: it asks a client to make room, the client goes to another relay, and nothing is lost on the way.
import { appendFileSync } from 'node:fs'
import { Client, type Connection } from '@sennit/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Flow } from './flow.ts'
import { type Program, until, Workshop } from './program.ts'

/** It looks every 5 s, gives those it asks 5 s, and one of two may be asked at the second look only. */
const movedWithinMs = 45_000

describe('a relay that carries more clients than it wants', { timeout: 90_000 }, () => {
  const shop = new Workshop()
  const clients: Client[] = []

  beforeAll(async () => {
    for (const words of [
      ['mesh', 'init', 'mesh', '--relays', '2'],
      ['user', 'add', 'alice', '--mesh', 'mesh'],
      ['user', 'add', 'bob', '--mesh', 'mesh'],
    ])
      expect((await shop.sennit(...words).end()).code).toBe(0)
    // The last table of the file is that of its limits.
    appendFileSync(shop.path('mesh/relays/r1.toml'), 'busy_attachments = 1\n')
  }, 60_000)
  afterAll(async () => {
    for (const client of clients) await client.close({ waitMs: 500 })
    await shop.close()
  }, 30_000)

  async function start(id: string): Promise<{ readonly relay: Program; readonly adminUrl: string }> {
    const relay = shop.sennit('relay', '--config', `mesh/relays/${id}.toml`, '--json')
    const { adminUrl } = (await relay.ready()) as { adminUrl: string }
    return { relay, adminUrl }
  }

  async function open(user: string): Promise<Client> {
    const client = await Client.open({ credential: shop.path(`mesh/users/${user}.cred`), relays: shop.path('mesh') })
    clients.push(client)
    return client
  }

  it('asks them to make room; they choose the other one, without a fail-over and without a byte lost', async () => {
    const { adminUrl } = await start('r1')
    const bob = await open('bob')
    const alice = await open('alice')
    const listener = await bob.listen({ application: 'count' })
    const connection = await alice.connect({ user: 'bob', application: 'count' })
    const accepted = (await listener[Symbol.asyncIterator]().next()).value as Connection
    const flow = new Flow(connection, accepted)
    const uses = (one: Connection): (string | null)[] => [one.status()!.active.send, one.status()!.active.receive]
    expect(uses(connection)).toEqual(['r1', 'r1'])

    // Asked with nowhere to go they stay; now there is somewhere.
    await start('r2')
    await until(
      () =>
        uses(connection)
          .concat(uses(accepted))
          .every((relay) => relay === 'r2'),
      'both ends on the other relay',
      movedWithinMs,
    )

    const metrics = await (await fetch(`${adminUrl}/metrics`)).text()
    expect(Number(/^sennit_relay_asked_to_move_total\S* (\d+)/m.exec(metrics)?.[1])).toBeGreaterThan(0)
    expect(connection.status()!.failovers).toBe(0)
    expect((await flow.end()).sent).toBeGreaterThan(0)
  })
})
