// Several links to one relay (`--bind`), and carriers per relay (`--carrier r1=http`), with the real program and real relays.
import { addUser, freePorts, initMesh } from '@sennit/protocol/node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LinkProxy } from './link-proxy.ts'
import type { ClientRow, ConnectionRow } from './mesh.ts'
import { deadlineMs, type Program, Workshop } from './program.ts'
import { download, expectedHash, type Service, startService } from './service.ts'

const mebibyte = 1024 * 1024
/** Of alice; bob dials from 127.0.0.1. */
const addresses = ['127.0.0.2', '127.0.0.3'] as const

interface LinkMesh {
  readonly shop: Workshop
  readonly service: Service
  readonly proxies: readonly LinkProxy[]
  as(user: string, ...more: string[]): Promise<string[]>
  close(): Promise<void>
}

/** Relays behind link proxies, and bob's web service exposed over them. */
async function startLinks(count: number): Promise<LinkMesh> {
  const shop = new Workshop()
  const service = await startService()
  shop.onEnd(() => service.close())
  const ports = await freePorts(count)
  const proxies = await Promise.all(ports.map((port) => LinkProxy.listen(port)))
  shop.onEnd(async () => {
    await Promise.all(proxies.map((proxy) => proxy.close()))
  })
  await initMesh(shop.path('mesh'), {
    relays: proxies.map(({ port }, place) => ({
      relayId: `r${place + 1}`,
      url: `http://127.0.0.1:${port}`,
      listen: `127.0.0.1:${ports[place]}`,
    })),
  })
  const as = async (user: string, ...more: string[]): Promise<string[]> => [
    '--credential',
    users.get(user)!,
    '--mesh',
    'mesh',
    '--json',
    ...more,
  ]
  const users = new Map<string, string>()
  for (const user of ['alice', 'bob']) users.set(user, await addUser(shop.path('mesh'), user))
  await Promise.all(ports.map((_, place) => shop.sennit('relay', '--config', `mesh/relays/r${place + 1}.toml`, '--json').ready()))
  await shop.sennit('expose', 'web', `127.0.0.1:${service.port}`, ...(await as('bob'))).ready()
  return { shop, service, proxies, as, close: () => shop.close() }
}

async function clientOf(mesh: LinkMesh, program: Program): Promise<ClientRow | undefined> {
  const asked = await mesh.shop.run('status', '--mesh', 'mesh', '--json')
  const clients = (asked.json[0]?.clients ?? []) as ClientRow[]
  return clients.find(({ pid }) => pid === program.pid)
}

async function clientWhen(mesh: LinkMesh, program: Program, fits: (client: ClientRow) => boolean): Promise<ClientRow> {
  const untilMs = performance.now() + deadlineMs
  for (;;) {
    const client = await clientOf(mesh, program)
    if (client !== undefined && fits(client)) return client
    if (performance.now() > untilMs) throw new Error(`expected another status; found ${JSON.stringify(client)}`)
  }
}

function openPaths(connection: ConnectionRow | undefined): string[] {
  const open = connection?.paths.filter((path) => path.state === 'open') ?? []
  return open.map((path) => String(path.relay)).sort()
}

describe.each(['best', 'mirror(2)'])('two links to the one relay there is, paths %s', (paths) => {
  let mesh: LinkMesh
  beforeAll(async () => {
    mesh = await startLinks(1)
  }, 60_000)
  afterAll(async () => {
    await mesh?.close()
  }, 30_000)

  it('shows both, and a download goes on when one of them is cut without a word', { timeout: 90_000 }, async () => {
    const [proxy] = mesh.proxies
    const forward = mesh.shop.sennit('forward', '0', 'bob/web', ...(await mesh.as('alice', '--bind', addresses.join(), '--paths', paths)))
    const port = (await forward.ready()).port as number
    await download(port, '/fast/1000')
    const before = await clientWhen(mesh, forward, ({ connections }) => openPaths(connections[0]).length === 2)
    expect(before.attachments.map(({ relay, carrier, localAddress }) => ({ relay, carrier, localAddress }))).toEqual(
      expect.arrayContaining([
        { relay: 'r1', carrier: 'upgrade', localAddress: addresses[0] },
        { relay: 'r1#2', carrier: 'upgrade', localAddress: addresses[1] },
      ]),
    )
    expect(before.connections[0]?.modes.whole).toBe(true)
    expect(proxy!.addresses).toEqual(['127.0.0.1', ...addresses])

    const size = 40 * mebibyte
    const cut = before.connections[0]?.active.receive === 'r1#2' ? addresses[1] : addresses[0]
    const atMs: number[] = []
    const note = (): Promise<void> => {
      atMs.push(performance.now())
      return Promise.resolve()
    }
    const marks = Array.from({ length: 33 }, (_, place) => (8 + place) * mebibyte).slice(0, -1)
    const body = await download(
      port,
      `/${size}`,
      marks.map((bytes, place) => ({
        bytes,
        act: () => {
          if (place === 0) proxy!.cut(cut)
          return note()
        },
      })),
    )
    expect(body).toEqual({ sha256: expectedHash(size), bytes: size })
    const pauseMs = Math.max(...atMs.slice(1).map((ms, place) => ms - atMs[place]!))
    console.log(`paths ${paths}: longest wait for a MiB after the cut of ${cut} ${Math.round(pauseMs)} ms`)
    // The relay itself finds a silent link dead after more than that.
    expect(pauseMs).toBeLessThan(deadlineMs / 2)
    const left = addresses.find((address) => address !== cut)
    const after = await clientWhen(mesh, forward, ({ attachments }) => attachments.length === 1)
    expect(after.attachments[0]?.localAddress).toBe(left)
    expect(openPaths(after.connections[0])).toHaveLength(1)
    expect(after.connections[0]?.state).toBe('open')
    await forward.stop()
  })
})

describe('carriers per relay', () => {
  let mesh: LinkMesh
  beforeAll(async () => {
    mesh = await startLinks(2)
  }, 60_000)
  afterAll(async () => {
    await mesh?.close()
  }, 30_000)

  it('one connection runs over r1 by http and r2 by upgrade', { timeout: 60_000 }, async () => {
    const options = ['--carrier', 'r1=http', '--carrier', 'r2=upgrade', '--paths', 'mirror(2)']
    const forward = mesh.shop.sennit('forward', '0', 'bob/web', ...(await mesh.as('alice', ...options)))
    const port = (await forward.ready()).port as number
    await download(port, '/fast/1000')
    const before = await clientWhen(mesh, forward, ({ connections }) => connections[0]?.modes.whole === true)
    expect(Object.fromEntries(before.attachments.map(({ relay, carrier }) => [relay, carrier]))).toEqual({ r1: 'http', r2: 'upgrade' })
    const size = 8 * mebibyte
    expect(await download(port, `/${size}`)).toEqual({ sha256: expectedHash(size), bytes: size })
    const { relayBytesSeen } = (await clientOf(mesh, forward))!.connections[0]!
    // The slower one leaves out what has arrived by then.
    expect(Math.min(relayBytesSeen.r1 ?? 0, relayBytesSeen.r2 ?? 0)).toBeGreaterThan(size / 16)
    await forward.stop()
  })

  it.each([
    ['--carrier', 'r1=pigeon', /upgrade, http, grpc for r1; found .*pigeon/],
    ['--carrier', 'r9=http', /a relay of the list, r1, r2/],
    ['--bind', 'eth0', /eth0.* is no IP address/],
  ])('%s %s is refused with what there is', async (option, value, says) => {
    const ended = await mesh.shop.run('ping', 'bob/web', ...(await mesh.as('alice', option, value)))
    expect(ended.code).toBe(2)
    expect(ended.stderr).toMatch(says)
  })
})
