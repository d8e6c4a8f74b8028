// `sennit expose` and `sennit forward` under a plain HTTP client, while the relay in use is killed: what a user of the tunnel may notice is nothing.
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Mesh } from './mesh.ts'
import type { Program } from './program.ts'
import { download, expectedHash, type Service, startService, upload } from './service.ts'

const mebibyte = 1024 * 1024

let mesh: Mesh
let service: Service
let expose: Program
let forward: Program
let port: number

beforeAll(async () => {
  mesh = await Mesh.start(3)
  service = await startService()
  mesh.shop.onEnd(() => service.close())
  expose = mesh.shop.sennit('expose', 'web', `127.0.0.1:${service.port}`, ...mesh.as('bob'))
  forward = mesh.shop.sennit('forward', '0', 'bob/web', ...mesh.as('alice'))
  port = (await forward.ready()).port as number
  await expose.ready()
}, 60_000)
afterAll(async () => {
  await mesh?.close()
}, 30_000)

/** Kills the relay that status names as the one in use. */
async function killActive(killed: string[]): Promise<void> {
  const { active } = await mesh.connectionOf(forward)
  const relay = active.send ?? active.receive
  if (relay === null) throw new Error('expected a relay in use; found none')
  killed.push(relay)
  await mesh.killRelay(relay)
}

async function reviveAll(relays: readonly string[]): Promise<void> {
  await Promise.all(relays.map((relay) => mesh.startRelay(relay)))
  // Back in the ranking before the next test kills the one in use.
  await mesh.statusUntil((clients) => clients.every((client) => client.attachments.length === 3 || client.command === 'forward'))
}

describe('a tunnel', { timeout: 90_000 }, () => {
  it('shows in status in exactly the shape that is promised', async () => {
    await download(port, '/fast/1000')
    const clients = await mesh.statusUntil((found) => found.find((one) => one.command === 'forward')?.connections[0]?.standby != null)
    expect(clients.map((client) => client.command).sort()).toEqual(['expose', 'forward'])
    for (const client of clients) {
      expect(Object.keys(client)).toEqual(['pid', 'command', 'user', 'label', 'attachments', 'connections'])
      expect(client).toMatchObject(client.command === 'expose' ? { pid: expose.pid, user: 'bob' } : { pid: forward.pid, user: 'alice' })
      for (const attachment of client.attachments) {
        expect(Object.keys(attachment)).toEqual(['relay', 'carrier', 'rttMs'])
        expect(attachment.carrier).toBe('upgrade')
      }
      for (const connection of client.connections) {
        expect(Object.keys(connection)).toEqual([
          'id',
          'peer',
          'application',
          'keyMode',
          'state',
          'paths',
          'active',
          'standby',
          'failovers',
          'ranking',
          'modes',
          'relayBytesSeen',
        ])
        expect(connection.modes).toEqual({ send: 'best', receive: 'best', short: 'wait', whole: true })
        expect(Object.keys(connection.active)).toEqual(['send', 'receive'])
        expect(connection).toMatchObject({ application: 'web', state: 'open', failovers: 0, peer: client.user === 'bob' ? 'alice' : 'bob' })
        expect(['r1', 'r2', 'r3']).toContain(connection.active.send)
        for (const row of connection.ranking) expect(Object.keys(row)).toEqual(['relay', 'costMs', 'ownRttMs', 'peerRttMs', 'why'])
        expect(connection.ranking.length).toBeGreaterThan(0)
      }
    }
    const words = await mesh.shop.run('status', '--mesh', 'mesh')
    expect(words.stdout).toMatch(/web with bob: open, active r\d/)
  })

  it('carries a download through two kills of the relay in use', async () => {
    const size = 64 * mebibyte
    const killed: string[] = []
    const act = (): Promise<void> => killActive(killed)
    const body = await download(port, `/${size}`, [
      { bytes: 8 * mebibyte, act },
      { bytes: 36 * mebibyte, act },
    ])
    expect(body).toEqual({ sha256: expectedHash(size), bytes: size })
    expect(new Set(killed).size).toBe(2)
    expect((await mesh.connectionOf(forward)).failovers + (await mesh.connectionOf(expose)).failovers).toBeGreaterThan(0)
    await reviveAll(killed)
  })

  it('carries an upload through two kills of the relay in use', async () => {
    const size = 64 * mebibyte
    const killed: string[] = []
    const act = (): Promise<void> => killActive(killed)
    const sha256 = await upload(port, size, [
      { bytes: 8 * mebibyte, act },
      { bytes: 36 * mebibyte, act },
    ])
    expect(sha256).toBe(expectedHash(size))
    expect(service.taken()).toBe(sha256)
    await reviveAll(killed)
  })

  it('goes on with both directions after every relay was dead for seconds and one came back', async () => {
    const size = 32 * mebibyte
    const killed: string[] = []
    const blackout = async (): Promise<void> => {
      killed.push(...mesh.relayIds)
      await Promise.all(killed.map((relay) => mesh.killRelay(relay)))
      await mesh.statusUntil((clients) => clients.every((client) => client.attachments.length === 0))
      await mesh.startRelay('r2')
    }
    const [down, up] = await Promise.all([download(port, `/${size}`, [{ bytes: 4 * mebibyte, act: blackout }]), upload(port, size)])
    expect(down.sha256).toBe(expectedHash(size))
    expect(up).toBe(expectedHash(size))
    // Not waited for here: a client that has a relay again is in no hurry to dial those that failed for long.
    await Promise.all(['r1', 'r3'].map((relay) => mesh.startRelay(relay)))
  })

  it.each(['http', 'grpc'])('works over %s', async (carrier) => {
    const other = mesh.shop.sennit(
      'expose',
      `web-${carrier}`,
      `127.0.0.1:${service.port}`,
      ...mesh.as('bob', '--carrier', carrier, '--label', carrier),
    )
    await other.ready()
    const client = mesh.shop.sennit(
      'forward',
      '0',
      `bob/${carrier}/web-${carrier}`,
      ...mesh.as('alice', '--carrier', carrier, '--label', carrier),
    )
    const { port: own } = await client.ready()
    const body = await download(own as number, `/fast/${8 * mebibyte}`)
    expect(body.sha256).toBe(expectedHash(8 * mebibyte))
    const rows = (await mesh.status()).filter((row) => row.label === carrier)
    expect(rows).toHaveLength(2)
    for (const row of rows) expect(new Set(row.attachments.map((one) => one.carrier))).toEqual(new Set([carrier]))
    expect(await client.stop()).toEqual({ code: 0, signal: null })
    expect(await other.stop()).toEqual({ code: 0, signal: null })
  })

  it('takes a renewed credential while it runs, from the file it was given', async () => {
    expect((await mesh.shop.run('user', 'renew', 'bob', '--mesh', 'mesh')).code).toBe(0)
    expect(await expose.says(/credential_\w+/)).toBe('credential_renewed')
    expect((await download(port, '/fast/1000')).sha256).toBe(expectedHash(1000))
  })

  it('carries 50 downloads at once', async () => {
    const size = mebibyte
    const bodies = await Promise.all(Array.from({ length: 50 }, () => download(port, `/fast/${size}`)))
    expect(new Set(bodies.map((body) => body.sha256))).toEqual(new Set([expectedHash(size)]))
    expect((await mesh.status()).find((client) => client.pid === forward.pid)?.connections).toHaveLength(1)
  })
})

describe('the manners of TCP through a tunnel', { timeout: 60_000 }, () => {
  let echo: Server
  let tunnel: { port: number; expose: Program; forward: Program }

  beforeAll(async () => {
    // Answers only when the other half has ended: half-close must pass.
    echo = createServer({ allowHalfOpen: true }, (socket) => {
      const chunks: Buffer[] = []
      socket.on('error', () => {})
      socket.on('data', (chunk: Buffer) => {
        if (chunk.toString() === 'reset me') socket.resetAndDestroy()
        else chunks.push(chunk)
      })
      socket.on('end', () => socket.end(`got ${Buffer.concat(chunks).length}`))
    })
    await new Promise<void>((done) => echo.listen(0, '127.0.0.1', done))
    mesh.shop.onEnd(() => void echo.close())
    tunnel = await openTunnel('echo', (echo.address() as AddressInfo).port)
  }, 30_000)

  async function openTunnel(application: string, target: number): Promise<{ port: number; expose: Program; forward: Program }> {
    const one = mesh.shop.sennit('expose', application, `127.0.0.1:${target}`, ...mesh.as('bob', '--label', application))
    const two = mesh.shop.sennit('forward', '0', `bob/${application}/${application}`, ...mesh.as('alice', '--label', application))
    const { port: own } = await two.ready()
    await one.ready()
    return { port: own as number, expose: one, forward: two }
  }

  it('passes a half-close each way', async () => {
    const socket = connect({ port: tunnel.port, host: '127.0.0.1', allowHalfOpen: true })
    const text = textOf(socket)
    socket.end('x'.repeat(100_000))
    expect(await text).toBe('got 100000')
  })

  it('passes a reset of the service', async () => {
    const socket = connect({ port: tunnel.port, host: '127.0.0.1' })
    socket.write('reset me')
    expect(await endOf(socket)).toBe('ECONNRESET')
  })

  it('turns a service that refuses into a reset, with the reason in the log of both ends', async () => {
    const closed = createServer()
    await new Promise<void>((done) => closed.listen(0, '127.0.0.1', done))
    const { port: free } = closed.address() as AddressInfo
    await new Promise((done) => closed.close(done))
    const refused = await openTunnel('nobody', free)
    const socket = connect({ port: refused.port, host: '127.0.0.1' })
    expect(await endOf(socket)).toBe('ECONNRESET')
    await refused.expose.says(/could not be reached for alice\/nobody: ECONNREFUSED/)
    await refused.forward.says(/the service refused the connection/)
    expect(refused.forward.json).toHaveLength(1)
  })

  it('holds a socket for a peer that comes late, and resets it with a reason when the wait is over', async () => {
    const early = mesh.shop.sennit('forward', '0', 'bob/late/late', ...mesh.as('alice', '--label', 'early'))
    const { port: own } = await early.ready()
    const socket = connect({ port: own as number, host: '127.0.0.1', allowHalfOpen: true })
    const text = textOf(socket)
    socket.end('held')
    const late = mesh.shop.sennit(
      'expose',
      'late',
      `127.0.0.1:${(echo.address() as AddressInfo).port}`,
      ...mesh.as('bob', '--label', 'late'),
    )
    await late.ready()
    expect(await text).toBe('got 4')

    const never = mesh.shop.sennit('forward', '0', 'bob/never', ...mesh.as('alice', '--label', 'never', '--wait', '1s'))
    const { port: other } = await never.ready()
    expect(await endOf(connect({ port: other as number, host: '127.0.0.1' }))).toBe('ECONNRESET')
    await never.says(/was reset: .*(not there|no_peer|nobody|r1)/)
  })

  it('serves only the user named with --from', async () => {
    await mesh.addUser('carol')
    const only = mesh.shop.sennit(
      'expose',
      'private',
      `127.0.0.1:${service.port}`,
      ...mesh.as('bob', '--label', 'private', '--from', 'carol'),
    )
    await only.ready()
    const carol = await mesh.shop.run('ping', 'bob/private/private', '--count', '1', ...mesh.as('carol'))
    expect(carol.code).toBe(0)
    const alice = await mesh.shop.run('ping', 'bob/private/private', '--count', '1', '--wait', '2s', ...mesh.as('alice'))
    expect([3, 4]).toContain(alice.code)
    expect(alice.stderr).toMatch(/r1/)
  })

  it('gives 2 for a port that is taken', async () => {
    const taken = await mesh.shop.run('forward', String(service.port), 'bob/web', ...mesh.as('alice', '--label', 'taken'))
    expect(taken.code).toBe(2)
    expect(taken.stderr).toMatch(/listen_failed.*EADDRINUSE/s)
    expect(taken.stdout).toBe('')
  })
})

describe('ends that are killed and started again', { timeout: 60_000 }, () => {
  it('a service end killed -9: open sockets are reset, and a new one works within 5 s of its start', async () => {
    const one = (): Program => mesh.shop.sennit('expose', 'again', `127.0.0.1:${service.port}`, ...mesh.as('bob', '--label', 'again'))
    const first = one()
    const caller = mesh.shop.sennit('forward', '0', 'bob/again/again', ...mesh.as('alice', '--label', 'again'))
    const own = (await caller.ready()).port as number
    await first.ready()
    let restarted: Promise<number> | undefined
    const restart = async (): Promise<number> => {
      first.signal('SIGKILL')
      await first.end()
      const startedMs = performance.now()
      await one().ready()
      await download(own, '/fast/1000')
      return performance.now() - startedMs
    }
    const cut = download(own, `/${64 * mebibyte}`, [
      {
        bytes: mebibyte,
        act: async () => {
          restarted = restart()
          await restarted
        },
      },
    ])
    await expect(cut).rejects.toThrow(/ECONNRESET|aborted|cut|hang up/)
    const tookMs = await restarted
    expect(tookMs).toBeLessThan(5_000)
  })

  it('a calling end killed -9 and started again at once gets its connection', async () => {
    const start = (): Program => mesh.shop.sennit('forward', '0', 'bob/web', ...mesh.as('alice', '--label', 'caller'))
    const first = start()
    await download((await first.ready()).port as number, '/fast/1000')
    first.signal('SIGKILL')
    await first.end()
    const startedMs = performance.now()
    const second = start()
    await download((await second.ready()).port as number, '/fast/1000')
    expect(performance.now() - startedMs).toBeLessThan(5_000)
    await second.stop()
  })
})

function textOf(socket: Socket): Promise<string> {
  return new Promise((done, fail) => {
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    socket.once('end', () => done(text))
    socket.once('error', fail)
  })
}

/** How a socket ended: the code of its error, or 'end'. */
function endOf(socket: Socket): Promise<string> {
  return new Promise((done) => {
    socket.resume()
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message))
    socket.once('end', () => done('end'))
  })
}
