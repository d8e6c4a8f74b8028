/** A running relay from its configuration to its end. */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { initMesh, revokeUser } from '@sennit/protocol/node'
import { readRelayConfig, startRelay } from '@sennit/relay'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LiveClient, type LiveMesh, liveMesh, livePair } from './live.ts'
import { dialGrpc, dialHttpStream, dialUpgrade } from './raw-carriers.ts'
import { selfSigned } from './self-signed.ts'

const get = async (url: string): Promise<{ status: number; text: string }> => {
  const response = await fetch(url)
  return { status: response.status, text: await response.text() }
}

describe('relay.toml', () => {
  let dir: string
  let file: string
  let whole: string
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'sennit-config-'))
    await initMesh(dir, {
      relays: ['r1', 'r2'].map((relayId) => ({
        relayId,
        url: 'http://127.0.0.1:1',
        listen: ['127.0.0.1:0', '[::1]:0'],
        admin: '127.0.0.1:0',
      })),
    })
    file = join(dir, 'relays', 'r1.toml')
    whole = readFileSync(file, 'utf8')
  })
  afterAll(() => rmSync(dir, { recursive: true, force: true }))

  it('is read with all it names', () => {
    const config = readRelayConfig(file)
    expect(config).toMatchObject({
      listen: [
        { host: '127.0.0.1', port: 0 },
        { host: '::1', port: 0 },
      ],
      admin: { host: '127.0.0.1', port: 0 },
      usersFile: join(dir, 'users.list'),
      identity: { relayId: 'r1' },
    })
    expect(config.limits?.newPerSecond).toBeGreaterThan(20)
  })

  const faults: { why: string; change(text: string): string; code: string; says: RegExp }[] = [
    { why: 'it is no TOML', change: (text) => `${text}\n= 1`, code: 'config_invalid', says: /r1\.toml:\d+:\d+/ },
    { why: 'a key is misspelt', change: (text) => text.replace('listen =', 'listn ='), code: 'config_invalid', says: /listen: .*listn/ },
    {
      why: 'an address has no port',
      change: (text) => text.replace('127.0.0.1:0', '127.0.0.1'),
      code: 'config_invalid',
      says: /listen\.0: expected "host:port"/,
    },
    {
      why: 'a limit is negative',
      change: (text) => text.replace(/new_burst = \d+/, 'new_burst = -1'),
      code: 'config_invalid',
      says: /limits\.new_burst/,
    },
    {
      why: 'the certificate is missing',
      change: (text) => text.replace('r1.cert', 'nowhere.cert'),
      code: 'file_unreadable',
      says: /r1\.toml: .*nowhere\.cert/,
    },
    {
      why: 'the key is of another relay',
      change: (text) => text.replace('r1.key', 'r2.key'),
      code: 'config_invalid',
      says: /key: r2\.key is not the key/,
    },
    {
      why: 'the certificate is of another relay',
      change: (text) => text.replace('r1.cert', 'r2.cert'),
      code: 'config_invalid',
      says: /issued to r2/,
    },
  ]
  it.each(faults)('is refused when $why', ({ change, code, says }) => {
    const changed = change(whole)
    expect(changed).not.toBe(whole)
    writeFileSync(file, changed)
    try {
      expect(() => readRelayConfig(file)).toThrowError(expect.objectContaining({ code, message: expect.stringMatching(says) }))
    } finally {
      writeFileSync(file, whole)
    }
  })

  it('gives way to what an engine says that starts the relay', () => {
    const config = readRelayConfig(file, {
      listen: ['0.0.0.0:24001'],
      admin: '127.0.0.1:24002',
      directory: 'consul://127.0.0.1:8500',
      urls: ['http://10.0.0.7:24001'],
    })
    expect(config).toMatchObject({
      listen: [{ host: '0.0.0.0', port: 24_001 }],
      admin: { host: '127.0.0.1', port: 24_002 },
      directory: { urls: ['http://10.0.0.7:24001'] },
      identity: { relayId: 'r1' },
    })
    expect(() => readRelayConfig(file, { listen: ['24001'] })).toThrowError(/listen\.0: expected "host:port"/)
    expect(() => readRelayConfig(file, { urls: ['http://10.0.0.7:24001'] })).toThrowError(/directory\.consul/)
  })

  it('is refused with every fault at once', () => {
    writeFileSync(file, 'id = 5\nlisten = []\n')
    try {
      expect(() => readRelayConfig(file)).toThrowError(/id: .*; listen: .*; mesh: .*; key: .*; certificate: .*; users: /)
    } finally {
      writeFileSync(file, whole)
    }
  })

  it('is refused when it is not there', () => {
    expect(() => readRelayConfig(join(dir, 'none.toml'))).toThrowError(expect.objectContaining({ code: 'config_unreadable' }))
  })

  it('gives a relay that listens on every address', async () => {
    const relay = await startRelay(readRelayConfig(file), { log: pino({ level: 'silent' }) })
    expect(new Set(relay.ports).size).toBe(2)
    for (const [index, host] of ['127.0.0.1', '[::1]'].entries())
      expect((await get(`http://${host}:${relay.ports[index]}/`)).status).toBe(404)
    await relay.close()
  })

  it('ends in a clear error when an address is taken', async () => {
    const config = readRelayConfig(file)
    const relay = await startRelay(config, { log: pino({ level: 'silent' }) })
    const taken = { ...config, listen: [{ host: '127.0.0.1', port: relay.ports[0]! }] }
    await expect(startRelay(taken, { log: pino({ level: 'silent' }) })).rejects.toMatchObject({
      code: 'listen_failed',
      message: expect.stringContaining('EADDRINUSE'),
    })
    await relay.close()
    expect(existsSync(file)).toBe(true)
  })
})

describe('the admin port', () => {
  let mesh: LiveMesh
  beforeAll(async () => {
    mesh = await liveMesh()
  })
  afterAll(() => mesh.end())

  it('tells health, readiness and metrics', async () => {
    const url = mesh.relay.adminUrl!
    const { a, b, circuitA } = await livePair(mesh, 'upgrade', dialUpgrade)
    a.send(circuitA, { form: 0, kind: 0, epoch: 0, counter: 0 }, [new Uint8Array(12_345)])
    await b.until(() => b.packets.length === 1, 'a packet')
    expect(await get(`${url}/healthz`)).toEqual({ status: 200, text: 'ok\n' })
    expect(await get(`${url}/readyz`)).toEqual({ status: 200, text: 'ready\n' })
    expect((await get(`${url}/`)).status).toBe(404)
    expect((await get(`${mesh.relay.url}/metrics`)).status).toBe(404)
    const { text } = await get(`${url}/metrics`)
    expect(text).toContain('sennit_relay_forwarded_bytes_total{relay="r1"} 12345')
    expect(text).toContain('sennit_relay_attachments{carrier="upgrade",relay="r1"} 2')
    expect(text).toContain('sennit_relay_attachments{carrier="grpc",relay="r1"} 0')
    expect(text).toContain('sennit_relay_refusals_total{reason="not_found",relay="r1"} 1')
    expect(text).toContain('sennit_relay_answers_total{code="connected",relay="r1"} 1')
    a.close()
    b.close()
  })
})

describe('the list of users', () => {
  it('is read again within a second: the revoked are detached, the new let in', async () => {
    const mesh = await liveMesh()
    try {
      const bob = new LiveClient(mesh, await mesh.identity('bob'), 'upgrade', dialUpgrade)
      await bob.until(() => bob.established, 'attached')
      await revokeUser(mesh.dir, 'bob')
      await bob.until(() => bob.closed !== undefined, 'detached', 2000)
      expect(bob.closed).toBe('revoked')
      const again = new LiveClient(mesh, await mesh.identity('bob'), 'upgrade', dialUpgrade)
      await again.until(() => again.closed !== undefined, 'refused')
      expect(again.closed).toBe('revoked')
    } finally {
      await mesh.end()
    }
  })

  it('stays in force when the file is broken', async () => {
    const mesh = await liveMesh()
    try {
      const identity = await mesh.identity('bob')
      const file = join(mesh.dir, 'users.list')
      const list = readFileSync(file)
      list[list.length - 1]! ^= 1
      writeFileSync(file, list)
      mesh.relay.reloadUsers()
      const bob = new LiveClient(mesh, identity, 'upgrade', dialUpgrade)
      await bob.until(() => bob.established, 'attached')
      bob.close()
    } finally {
      await mesh.end()
    }
  })
})

describe('draining', () => {
  it('tells clients, refuses new ones on every carrier, and ends when the last has gone', async () => {
    const mesh = await liveMesh()
    const identity = await mesh.identity('alice')
    const alice = new LiveClient(mesh, identity, 'upgrade', dialUpgrade)
    await alice.until(() => alice.established, 'attached')
    const drained = mesh.relay.drain({ withinMs: 20_000, spreadMs: 1000 })
    expect(await alice.heard('drain')).toMatchObject({ withinMs: 20_000, spreadMs: 1000 })
    for (const [carrier, dial] of [
      ['upgrade', dialUpgrade],
      ['http', dialHttpStream],
      ['grpc', dialGrpc],
    ] as const) {
      const late = new LiveClient(mesh, identity, carrier, dial)
      await late.until(() => late.closed !== undefined, `${carrier} refused`)
      expect(late.closed).toMatch(/503|draining/)
      late.close()
    }
    expect((await get(`${mesh.relay.adminUrl}/readyz`)).status).toBe(503)
    alice.close()
    await drained
    await expect(fetch(mesh.relay.url)).rejects.toThrow()
    await mesh.end()
  })
})

describe('TLS', () => {
  it('carries every carrier on the same port, beside plain sockets', async () => {
    const { certificate, key } = selfSigned()
    const mesh = await liveMesh({ change: (config) => ({ ...config, tls: { certificate, key } }) })
    try {
      expect(mesh.relay.url).toMatch(/^https:/)
      for (const [carrier, dial] of [
        ['upgrade', dialUpgrade],
        ['grpc', dialGrpc],
      ] as const) {
        const client = new LiveClient(mesh, await mesh.identity('alice'), carrier, dial)
        await client.until(() => client.established, `${carrier} over TLS`)
        client.close()
      }
      const plain = { ...mesh, relay: { ...mesh.relay, url: mesh.relay.url.replace('https:', 'http:') } }
      const client = new LiveClient(plain, await mesh.identity('alice'), 'upgrade', dialUpgrade)
      await client.until(() => client.established, 'plain beside TLS')
      client.close()
    } finally {
      await mesh.end()
    }
  })
})
