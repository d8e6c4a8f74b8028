// What Consul says is untrusted input; what is signed of it is the operator's.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hex, type RelayEntry, type SeenRelay } from '../src/index.ts'
import { registrationWords, relaysOfAnswer } from '../src/node/consul/consul-rows.ts'
import { addRelay, initMesh, parseConsulUrl, readMeshTrust, readRelayList, removeRelay, signRelays } from '../src/node/index.ts'

const meshId = 'a'.repeat(32)
const row = (meta: Record<string, string>, tags: string[] | null = []) => ({
  Service: { ID: 'x', Tags: tags, Meta: { mesh: meshId, ...meta } },
})

describe('an answer of Consul', () => {
  it('gives back what a relay registered', () => {
    const relay = {
      meshId,
      relayId: 'r1',
      urls: ['http://1.2.3.4:80', 'https://relay.example:443'],
      zone: 'a',
      failureDomain: 'rack-3',
      traits: { region: 'eu', price: 1.5, securityRating: 80, uptime: 0.99, speedMbps: 100, qos: 3 },
      draining: true,
    }
    const { tags, meta } = registrationWords(relay)
    const { meshId: _mesh, ...seen } = relay
    expect(relaysOfAnswer(meshId, [{ Service: { Tags: tags, Meta: meta } }])).toEqual({ relays: [seen], strange: 0 })
  })

  it.each<[string, unknown, string[], number]>([
    ['nothing', [], [], 0],
    ['no list', { error: 'no leader' }, [], 1],
    ['rows of anything', [null, 7, {}, { Service: {} }, { Service: { Tags: null, Meta: null } }], [], 5],
    ['a relay of another mesh', [row({ mesh: 'b', relay: 'r1', urls: 'http://h' })], [], 0],
    ['a name that is none', [row({ relay: '../r1', urls: 'http://h' })], [], 1],
    [
      'URLs that are none',
      [row({ relay: 'r1', urls: 'ftp://h' }), row({ relay: 'r2', urls: '' }), row({ relay: 'r3', urls: 'http://h/path' })],
      [],
      3,
    ],
    ['one relay twice', [row({ relay: 'r1', urls: 'http://h' }), row({ relay: 'r1', urls: 'http://elsewhere' })], ['r1'], 0],
    ['traits that are none', [row({ relay: 'r1', urls: 'http://h', price: 'cheap', uptime: '7', region: 'a b', qos: '1.5' })], ['r1'], 0],
    ['more rows than a mesh has', Array.from({ length: 1_500 }, (_, index) => row({ relay: `r${index}`, urls: 'http://h' })), [], 500],
  ])('%s is taken for what it is', (_name, answer, ids, strange) => {
    const found = relaysOfAnswer(meshId, answer)
    expect(found.strange).toBe(strange)
    if (strange < 500) expect(found.relays.map(({ relayId, traits }) => [relayId, traits])).toEqual(ids.map((id) => [id, undefined]))
    else expect(found.relays).toHaveLength(1_000)
  })
})

describe('the address of an agent', () => {
  it.each([
    ['consul://127.0.0.1', { host: '127.0.0.1', port: 8_500, secure: false, service: 'sennit-relay' }],
    ['consuls://consul.example:8501/edge', { host: 'consul.example', port: 8_501, secure: true, service: 'edge' }],
    ['consul://[::1]:80?token-file=/t', { host: '::1', port: 80, secure: false, service: 'sennit-relay', tokenFile: '/t' }],
  ])('%s', (text, address) => {
    expect(parseConsulUrl(text)).toEqual(address)
  })

  it.each(['consul:', 'http://h:1', 'consul://h/a/b', 'consul://user@h', 'consul://h?tokenfile=t', 'consul://h:99999'])(
    '%s is refused',
    (text) => {
      expect(() => parseConsulUrl(text)).toThrowError(expect.objectContaining({ code: 'bad_directory' }))
    },
  )
})

describe('the signer', () => {
  let folder: string
  beforeEach(async () => {
    folder = join(mkdtempSync(join(tmpdir(), 'sennit-signer-')), 'mesh')
    const relay = (relayId: string, more = {}) => ({ relayId, url: `http://${relayId}:80`, listen: '127.0.0.1:80', ...more })
    await initMesh(folder, { relays: [relay('r1', { traits: { price: 2, securityRating: 50 } }), relay('r2'), relay('r3')] })
  })
  afterEach(() => {
    rmSync(join(folder, '..'), { recursive: true, force: true })
  })

  const seen = (relayId: string, more: Partial<SeenRelay> = {}): SeenRelay => ({ relayId, urls: [`http://${relayId}:80`], ...more })
  const inForce = () => readRelayList(join(folder, 'relays.list'), readMeshTrust(join(folder, 'mesh.json')))
  /** Keys as text: a file gives them in another kind of array than a roster. */
  const plain = (relays: readonly RelayEntry[]) => relays.map(({ key, ...entry }) => ({ ...entry, key: hex(key!) }))

  it("signs those of the operator's relays that are seen, where they are seen, and no other", async () => {
    const keys = inForce().relays.map(({ key }) => hex(key!))
    const sight = [
      seen('r1', { urls: ['http://moved:81'], traits: { price: 1, securityRating: 99 } }),
      seen('r3', { draining: true }),
      seen('evil'),
    ]
    const { list, changed, strangers } = await signRelays(folder, { seen: sight })
    expect([changed, strangers, list.version]).toEqual([true, ['evil'], 2])
    expect(plain(list.relays)).toEqual([
      { relayId: 'r1', urls: ['http://moved:81'], key: keys[0], traits: { price: 2, securityRating: 50 } },
      { relayId: 'r3', urls: ['http://r3:80'], key: keys[2], draining: true },
    ])
    expect(plain(inForce().relays)).toEqual(plain(list.relays))
  })

  it('signs nothing anew that says the same, and nothing when nothing is seen', async () => {
    expect(await signRelays(folder, { seen: ['r1', 'r2', 'r3'].map((id) => seen(id)) })).toMatchObject({
      changed: false,
      list: { version: 1 },
    })
    expect(await signRelays(folder, { seen: [] })).toMatchObject({ changed: false, list: { version: 1 } })
    expect(await signRelays(folder, { seen: [seen('evil')] })).toMatchObject({ changed: false, strangers: ['evil'] })
  })

  it('brings a relay back as the operator knows it', async () => {
    const before = plain(inForce().relays)
    await signRelays(folder, { seen: [seen('r2')] })
    const { list } = await signRelays(folder, { seen: ['r1', 'r2', 'r3'].map((id) => seen(id)) })
    expect(plain(list.relays)).toEqual(before)
  })

  it('renews a list when half of its life is over', async () => {
    const dayMs = 24 * 3_600_000
    const nowMs = Date.now()
    expect(await signRelays(folder, { nowMs, lifeMs: 100 * dayMs })).toMatchObject({ changed: false })
    const { list, changed } = await signRelays(folder, { nowMs: nowMs + 330 * dayMs, lifeMs: 100 * dayMs })
    expect([changed, list.version, list.expiresMs]).toEqual([true, 2, nowMs + 430 * dayMs])
  })

  it('knows a removed relay no more, and never removes the last', async () => {
    await removeRelay(folder, 'r2')
    expect(await signRelays(folder, { seen: ['r1', 'r2', 'r3'].map((id) => seen(id)) })).toMatchObject({ strangers: ['r2'] })
    await removeRelay(folder, 'r1')
    await expect(removeRelay(folder, 'r3')).rejects.toMatchObject({ code: 'relay_last' })
    await expect(removeRelay(folder, 'r9')).rejects.toMatchObject({ code: 'relay_unknown' })
  })

  it('puts a relay that registers into the list when it is there, not before', async () => {
    await addRelay(folder, { relayId: 'r4', url: 'http://r4:80', listen: '127.0.0.1:84', directory: 'consul://127.0.0.1' })
    expect(inForce().relays.map(({ relayId }) => relayId)).toEqual(['r1', 'r2', 'r3'])
    const { list } = await signRelays(folder, { seen: ['r1', 'r2', 'r3', 'r4'].map((id) => seen(id)) })
    expect(list.relays.map(({ relayId }) => relayId)).toEqual(['r1', 'r2', 'r3', 'r4'])
  })
})
