// `--paths` with real relays: a download over several of them at once, while one is killed and another one is frozen.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ClientRow, type ConnectionRow, Mesh } from './mesh.ts'
import type { Program } from './program.ts'
import { download, expectedHash, type Service, startService } from './service.ts'

const mebibyte = 1024 * 1024

let mesh: Mesh
let service: Service
const frozen = new Set<number>()

beforeAll(async () => {
  mesh = await Mesh.start(5)
  service = await startService()
  mesh.shop.onEnd(() => service.close())
  const expose = mesh.shop.sennit('expose', 'web', `127.0.0.1:${service.port}`, ...mesh.as('bob'))
  await expose.ready()
}, 60_000)
afterAll(async () => {
  for (const pid of frozen) process.kill(pid, 'SIGCONT')
  await mesh?.close()
}, 30_000)

/** Whether the connection of the process is as asked. */
async function connectionWhen(forward: Program, fits: (connection: ConnectionRow) => boolean): Promise<ConnectionRow> {
  const own = (clients: readonly ClientRow[]): ConnectionRow | undefined => clients.find(({ pid }) => pid === forward.pid)?.connections[0]
  const clients = await mesh.statusUntil((found) => {
    const connection = own(found)
    return connection !== undefined && fits(connection)
  })
  return own(clients)!
}

/** Relays whose paths carry something, best first. */
function openRelays(connection: ConnectionRow): string[] {
  return connection.paths.filter((path) => path.state === 'open').map((path) => String(path.relay))
}

describe.each([
  ['mirror(2)', 2],
  ['disperse(2,3)', 3],
])('a tunnel with --paths %s', (paths, relays) => {
  it('carries a download while one of its relays is killed and another one is frozen', { timeout: 90_000 }, async () => {
    const forward = mesh.shop.sennit('forward', '0', 'bob/web', ...mesh.as('alice', '--label', `p${relays}`, '--paths', paths))
    const port = (await forward.ready()).port as number
    await download(port, '/fast/1000')
    const before = await connectionWhen(forward, (one) => openRelays(one).length > relays && one.modes.whole)
    expect(before.modes).toEqual({ send: paths, receive: paths, short: 'wait', whole: true })

    const size = 48 * mebibyte
    const struck: string[] = []
    const next = async (): Promise<string> => {
      // On a busy machine the status may still name the relay that was killed before.
      const inUse = ({ active }: ConnectionRow): string | null => active.receive ?? active.send
      const fits = (one: ConnectionRow): boolean => inUse(one) !== null && !struck.includes(inUse(one) ?? '')
      const relay = inUse(await connectionWhen(forward, fits))
      if (relay === null) throw new Error('expected a relay in use; found none')
      struck.push(relay)
      return relay
    }
    const body = await download(port, `/${size}`, [
      { bytes: 8 * mebibyte, act: async () => await mesh.killRelay(await next()) },
      {
        bytes: 28 * mebibyte,
        act: async () => {
          const pid = mesh.pidOf(await next())
          frozen.add(pid)
          process.kill(pid, 'SIGSTOP')
        },
      },
    ])
    expect(body).toEqual({ sha256: expectedHash(size), bytes: size })
    for (const pid of frozen) process.kill(pid, 'SIGCONT')
    frozen.clear()
    await mesh.startRelay(struck[0]!)

    const after = await connectionWhen(forward, (one) => one.modes.whole && openRelays(one).length >= relays)
    // Every relay of the set carried its part: all of it, or a share of half the size.
    const seen = Object.values(after.relayBytesSeen).filter((bytes) => bytes > size / 8)
    expect(seen.length).toBeGreaterThanOrEqual(relays)
    await forward.stop()
  })
})
