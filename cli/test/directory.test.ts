// Where the list comes from, with a real Consul agent, real relays and a real signer: what is added, drained or removed reaches every client within
// five seconds without a dropped byte, and an agent that is gone, empty, frozen or restarted disturbs nothing.
import { copyFileSync, readFileSync } from 'node:fs'
import { Client, type Connection } from '@sennit/client'
import { freePorts } from '@sennit/protocol/node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConsulProcess, consulProgram } from './consul.ts'
import { Flow } from './flow.ts'
import { type Program, until, Workshop } from './program.ts'

/** What the issue allows a change to take. */
const reachesWithinMs = 5_000

describe.skipIf(consulProgram === undefined)('relays that register in Consul', { timeout: 120_000 }, () => {
  const shop = new Workshop()
  const clients: Client[] = []
  const relays = new Map<string, Program>()
  let consul: ConsulProcess
  let signer: Program

  beforeAll(async () => {
    consul = await ConsulProcess.start(shop)
    await run('mesh', 'init', 'mesh', '--relays', '3', '--directory', consul.url)
    for (const user of ['alice', 'bob', 'carol']) await run('user', 'add', user, '--mesh', 'mesh')
    copyFileSync(shop.path('mesh/relays.list'), shop.path('copied.list'))
    for (const id of ['r1', 'r2', 'r3']) await startRelay(id)
    signer = shop.sennit('mesh', 'sign', '--mesh', 'mesh', '--directory', consul.url, '--watch', '--json')
    await signer.ready()
  }, 120_000)
  afterAll(async () => {
    for (const client of clients) await client.close({ waitMs: 500 })
    await shop.close()
  }, 30_000)

  async function run(...words: string[]): Promise<void> {
    expect((await shop.sennit(...words).end()).code).toBe(0)
  }

  async function startRelay(id: string): Promise<void> {
    const relay = shop.sennit('relay', '--config', `mesh/relays/${id}.toml`, '--json')
    await relay.ready()
    relays.set(id, relay)
  }

  async function open(user: string, relaySource: string, label = ''): Promise<Client> {
    const client = await Client.open({ credential: shop.path(`mesh/users/${user}.cred`), relays: relaySource, label })
    clients.push(client)
    return client
  }

  /** How long `act` takes to show at every one of the clients, in ms. */
  async function reached(who: readonly Client[], act: () => Promise<void> | void, shows: (client: Client) => boolean): Promise<number[]> {
    const startedMs = performance.now()
    const took = who.map(async (client) => {
      await until(() => shows(client), 'the change at every client', 30_000)
      return Math.round(performance.now() - startedMs)
    })
    await act()
    return await Promise.all(took)
  }

  const lists = (client: Client, id: string): boolean => client.relays().some(({ relay, state }) => relay === id && state !== 'draining')

  it('an added, a drained and a removed one reach every client in time, and no byte is dropped', async () => {
    const bob = await open('bob', consul.url)
    const alice = await open('alice', shop.path('copied.list'))
    const carol = await open('carol', shop.path('mesh'))
    const all = [alice, bob, carol]
    const listener = await bob.listen({ application: 'count' })
    const connection = await alice.connect({ user: 'bob', application: 'count' })
    const flow = new Flow(connection, (await listener[Symbol.asyncIterator]().next()).value as Connection)

    const [port] = await freePorts(1)
    const address = `127.0.0.1:${port}`
    await run('mesh', 'add-relay', 'r4', '--mesh', 'mesh', '--url', `http://${address}`, '--listen', address, '--directory', consul.url)
    const added = await reached(
      all,
      () => startRelay('r4'),
      (client) => lists(client, 'r4'),
    )
    await until(() => bob.status().attachments.some(({ relay }) => relay === 'r4'), 'the listener at the new relay')

    const { active } = connection.status()!
    const victim = active.send!
    const drained = await reached(
      all,
      () => void relays.get(victim)!.signal('SIGTERM'),
      (client) => !lists(client, victim),
    )
    expect((await relays.get(victim)!.end()).code).toBe(0)

    const other = connection.status()!.active.send!
    const removed = await reached(
      all,
      () => run('mesh', 'remove-relay', other, '--mesh', 'mesh'),
      (client) => !lists(client, other),
    )
    await until(() => connection.status()!.active.send !== other, 'the connection on another relay')

    const { sent, gapMs } = await flow.end()
    console.log(
      `added ${added} ms, drained ${drained} ms, removed ${removed} ms; ${sent} bytes in order, longest gap ${Math.round(gapMs)} ms`,
    )
    for (const took of [...added, ...drained, ...removed]) expect(took).toBeLessThanOrEqual(reachesWithinMs)
    expect(connection.status()!.failovers).toBe(0)
    await startRelay(victim)
    await until(() => all.every((client) => lists(client, victim)), 'the relay that came back, at every client')
  })

  it('an agent that is gone, empty, frozen or lying disturbs nothing that runs, nor a start', async () => {
    const bob = await open('bob', consul.url, 'b2')
    const alice = await open('alice', consul.url, 'a2')
    const listener = await bob.listen({ application: 'count' })
    const connection = await alice.connect({ user: 'bob/b2', application: 'count' })
    const flow = new Flow(connection, (await listener[Symbol.asyncIterator]().next()).value as Connection)
    const known = alice.relays().map(({ relay }) => relay)
    let troubles = 0
    const lost: string[] = []
    alice.on((event) => {
      if (event.type === 'directory_trouble') troubles += 1
      if (event.type === 'relay_list') lost.push(...known.filter((relay) => !event.relays.includes(relay)))
    })

    await consul.kill()
    await until(() => troubles > 0, 'a word about the agent that is gone')
    await open('alice', consul.url, 'while-gone')

    // The agent comes back with nothing, and one relay registers later than the others: for a while its answer lacks that one.
    const { active } = connection.status()!
    const late = known.find((relay) => relay !== active.send && relay !== active.receive)!
    relays.get(late)!.signal('SIGSTOP')
    await consul.start(true)
    await consul.knows(known.length - 1)
    await signer.says(new RegExp(`"held":\\["${late}"\\]`))
    relays.get(late)!.signal('SIGCONT')
    await consul.knows(known.length)

    consul.freeze()
    await open('alice', consul.url, 'while-frozen')
    consul.thaw()

    await consul.register('evil', {
      mesh: JSON.parse(readFileSync(shop.path('mesh/mesh.json'), 'utf8')).meshId,
      relay: 'evil',
      urls: 'http://127.0.0.1:1',
    })
    await consul.register('broken', { relay: '..', urls: 'ftp://nowhere' })
    await signer.line((line) => Array.isArray(line.strangers) && line.strangers.includes('evil'))

    const { sent, gapMs } = await flow.end()
    console.log(`${sent} bytes in order beside an agent that was killed, emptied, frozen and lied; longest gap ${Math.round(gapMs)} ms`)
    expect(lost).toEqual([])
    expect(alice.relays().map(({ relay }) => relay)).toEqual(known)
    expect(connection.status()!.failovers).toBe(0)
  })
})
