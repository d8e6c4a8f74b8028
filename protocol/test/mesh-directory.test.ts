import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hex, verifyRelayCertificate, verifyUserCertificate } from '../src/index.ts'
import {
  addRelay,
  addUser,
  addUsers,
  initMesh,
  listUsers,
  nodeCrypto,
  readCredential,
  readMeshTrust,
  readRelayIdentity,
  readRelayList,
  readUserList,
  renewUser,
  revokeUser,
} from '../src/node/index.ts'

const crypto = nodeCrypto()
const relays = [1, 2].map((index) => ({
  relayId: `r${index}`,
  url: `http://127.0.0.1:800${index}`,
  listen: `127.0.0.1:800${index}`,
  admin: `127.0.0.1:900${index}`,
}))
let scratch: string
let directory: string

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'sennit-mesh-'))
  directory = join(scratch, 'mesh')
})
afterEach(() => rmSync(scratch, { recursive: true, force: true }))

const at = (...parts: string[]): string => join(directory, ...parts)
const mode = (file: string): string => (statSync(file).mode & 0o777).toString(8)

/** Every file below the directory, by its path in it. */
function files(): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort()
}

test('a new mesh has every file, keys 0600, and leaves no temporary one', async () => {
  await initMesh(directory, { relays })
  await addUser(directory, 'Alice')
  expect(files()).toEqual([
    'issuers/list.key',
    'issuers/relay.key',
    'issuers/user.key',
    'mesh.json',
    'relays.list',
    'relays/r1.cert',
    'relays/r1.key',
    'relays/r1.toml',
    'relays/r2.cert',
    'relays/r2.key',
    'relays/r2.toml',
    'root/root.key',
    'roster.json',
    'users.list',
    'users/alice.cred',
  ])
  for (const file of files()) expect([file, mode(at(file))]).toEqual([file, /\.(key|cred)$/.test(file) ? '600' : '644'])
  for (const name of ['root', 'issuers', 'users', 'run']) expect([name, mode(at(name))]).toEqual([name, '700'])
})

test('relays read their identity, the mesh and the lists', async () => {
  await initMesh(directory, { relays })
  const trust = readMeshTrust(at('mesh.json'))
  const identity = readRelayIdentity('r1', at('relays', 'r1.key'), at('relays', 'r1.cert'))
  const certificate = verifyRelayCertificate(trust, identity.certificate, Date.now(), crypto)
  expect([certificate.relayId, hex(certificate.staticKey)]).toEqual(['r1', hex(identity.staticKey.publicKey)])
  const list = readRelayList(at('relays.list'), trust)
  expect(list.version).toBe(1)
  expect(list.relays.map(({ relayId, urls }) => [relayId, ...urls])).toEqual(relays.map(({ relayId, url }) => [relayId, url]))
  expect(hex(list.relays[0]!.key!)).toBe(hex(identity.staticKey.publicKey))
  expect(readUserList(at('users.list'), trust).users).toEqual([])
})

test('the configuration of a relay names its files beside it, and lets a loopback crowd in', async () => {
  await initMesh(directory, { relays })
  const toml = readFileSync(at('relays', 'r1.toml'), 'utf8')
  for (const line of [
    'id = "r1"',
    'listen = ["127.0.0.1:8001"]',
    'admin = "127.0.0.1:9001"',
    'mesh = "../mesh.json"',
    'key = "r1.key"',
    'certificate = "r1.cert"',
    'users = "../users.list"',
    'relays = "../relays.list"',
    '[limits]',
    'open_per_address = 4096',
  ]) {
    expect(toml.split('\n')).toContain(line)
  }
})

test('limits stay strict for a relay that listens on the world', async () => {
  await initMesh(directory, { relays: [{ relayId: 'r1', url: 'https://relay.example', listen: ['0.0.0.0:443', '[::]:80'] }] })
  const toml = readFileSync(at('relays', 'r1.toml'), 'utf8')
  expect(toml).toContain('listen = ["0.0.0.0:443", "[::]:80"]')
  expect(toml).not.toContain('[limits]')
})

test('a credential holds the mesh, the keys and a certificate over them', async () => {
  await initMesh(directory, { relays })
  const file = await addUser(directory, 'alice', { applications: ['web'] })
  expect(file).toBe(at('users', 'alice.cred'))
  const { trust, identity } = readCredential(file)
  const certificate = verifyUserCertificate(trust, identity.certificate, Date.now(), crypto)
  expect(certificate).toMatchObject({ user: 'alice', applications: ['web'], epoch: 1 })
  expect([certificate.identityKey, certificate.hopKey, certificate.endKey].map(hex)).toEqual(
    [identity.identityKey, identity.hopKey, identity.endKey].map(({ publicKey }) => hex(publicKey)),
  )
  const message = new Uint8Array([1, 2, 3])
  expect(crypto.ed25519Verify(certificate.identityKey, message, crypto.ed25519Sign(identity.identityKey.privateKey, message))).toBe(true)
})

test('add, revoke, add again: the epoch rises, the list version too', async () => {
  await initMesh(directory, { relays })
  await addUser(directory, 'bob')
  await addUser(directory, 'alice')
  expect(await listUsers(directory)).toEqual([
    { user: 'alice', epoch: 1, revoked: false },
    { user: 'bob', epoch: 1, revoked: false },
  ])
  await revokeUser(directory, 'bob')
  expect((await listUsers(directory))[1]).toEqual({ user: 'bob', epoch: 2, revoked: true })
  const file = await addUser(directory, 'bob')
  expect((await listUsers(directory))[1]).toEqual({ user: 'bob', epoch: 2, revoked: false })
  const { trust, identity } = readCredential(file)
  expect(verifyUserCertificate(trust, identity.certificate, Date.now(), crypto).epoch).toBe(2)
  expect(readUserList(at('users.list'), trust).version).toBe(5)
})

test('a renewed user has new keys and a new end, the old applications and policy, and the old certificate holds', async () => {
  await initMesh(directory, { relays })
  const file = await addUser(directory, 'alice', { applications: ['web'], policy: 'price=2' })
  const before = readCredential(file)
  const notAfterMs = Date.now() + 3_600_000
  expect(await renewUser(directory, 'alice', { notAfterMs })).toBe(file)
  const { trust, identity, policy } = readCredential(file)
  const renewed = verifyUserCertificate(trust, identity.certificate, Date.now(), crypto)
  expect(renewed).toMatchObject({ user: 'alice', applications: ['web'], epoch: 1, notAfterMs })
  expect(policy).toBe('price=2')
  expect(hex(renewed.identityKey)).not.toBe(hex(before.identity.identityKey.publicKey))
  expect(readUserList(at('users.list'), trust).version).toBe(2)
  await revokeUser(directory, 'alice')
  await expect(renewUser(directory, 'alice')).rejects.toMatchObject({ code: 'user_unknown' })
  await expect(renewUser(directory, 'bob')).rejects.toMatchObject({ code: 'user_unknown' })
})

test('a renewed user whose old file is gone needs its applications said', async () => {
  await initMesh(directory, { relays })
  const file = await addUser(directory, 'alice', { applications: ['web'] })
  rmSync(file)
  await expect(renewUser(directory, 'alice')).rejects.toMatchObject({ code: 'file_unreadable' })
  await renewUser(directory, 'alice', { applications: ['db'] })
  const { trust, identity } = readCredential(file)
  expect(verifyUserCertificate(trust, identity.certificate, Date.now(), crypto).applications).toEqual(['db'])
})

test('twenty users added at once are all there', async () => {
  await initMesh(directory, { relays })
  const names = Array.from({ length: 20 }, (_, index) => `user${String(index).padStart(2, '0')}`)
  await Promise.all(names.map((name) => addUser(directory, name)))
  expect((await listUsers(directory)).map(({ user }) => user)).toEqual(names)
})

test('many users are added in a few steps, those that were revoked with their next epoch, and none twice', async () => {
  await initMesh(directory, { relays })
  await addUser(directory, 'user0007')
  await revokeUser(directory, 'user0007')
  const names = Array.from({ length: 300 }, (_, index) => `user${String(index).padStart(4, '0')}`)
  const files = await addUsers(directory, names, { durable: false })
  expect([...files.keys()]).toEqual(names)
  expect(readCredential(files.get('user0123')!).identity.user).toBe('user0123')
  const users = await listUsers(directory)
  expect(users.map(({ user }) => user)).toEqual(names)
  expect(users.filter(({ epoch, revoked }) => epoch === 2 || revoked)).toEqual([{ user: 'user0007', epoch: 2, revoked: false }])
  await expect(addUsers(directory, ['fresh', 'user0001'])).rejects.toMatchObject({ code: 'user_exists' })
  expect(await listUsers(directory)).toHaveLength(300)
})

test('the lock of a process that is gone is taken over', async () => {
  await initMesh(directory, { relays })
  writeFileSync(at('.lock'), '2147483646')
  await addUser(directory, 'alice')
  expect(await listUsers(directory)).toHaveLength(1)
})

test('a relay can be added', async () => {
  await initMesh(directory, { relays })
  await addRelay(directory, { relayId: 'r3', url: ['http://127.0.0.1:8003'], listen: '127.0.0.1:8003', zone: 'eu' })
  const list = readRelayList(at('relays.list'), readMeshTrust(at('mesh.json')))
  expect([list.version, ...list.relays.map(({ relayId }) => relayId)]).toEqual([2, 'r1', 'r2', 'r3'])
  expect(list.relays[2]!.zone).toBe('eu')
})

describe('is refused, and nothing changes:', () => {
  test.each([
    ['a mesh in a directory that has something', 'directory_not_empty', () => initMesh(directory, { relays })],
    ['a user that is there', 'user_exists', () => addUser(directory, 'ALICE')],
    ['a name that is none', 'bad_name', () => addUser(directory, '../alice')],
    ['revoking nobody', 'user_unknown', () => revokeUser(directory, 'bob')],
    ['a relay that is there', 'relay_exists', () => addRelay(directory, relays[0]!)],
    ['a user of a mesh that is not there', 'file_unreadable', () => addUser(join(directory, 'none'), 'bob')],
  ])('%s: %s', async (_what, code, run) => {
    await initMesh(directory, { relays })
    await addUser(directory, 'alice')
    const before = files().map((file) => [file, readFileSync(at(file)).toString('base64')])
    await expect(run()).rejects.toMatchObject({ code })
    expect(files().map((file) => [file, readFileSync(at(file)).toString('base64')])).toEqual(before)
  })
})

describe('a file that is wrong is named in the error:', () => {
  test.each([
    ['a credential that is no JSON', 'users/alice.cred', '{', 'file_malformed', () => readCredential(at('users', 'alice.cred'))],
    ['a credential of another type', 'users/alice.cred', '{"type":"x"}', 'file_malformed', () => readCredential(at('users', 'alice.cred'))],
    [
      'a certificate that is no base64url',
      'relays/r1.cert',
      '!!!',
      'file_malformed',
      () => readRelayIdentity('r1', at('relays/r1.key'), at('relays/r1.cert')),
    ],
    [
      'a key that is too short',
      'relays/r1.key',
      '{"type":"sennit key 1","publicKey":"00","privateKey":"00"}',
      'file_malformed',
      () => readRelayIdentity('r1', at('relays/r1.key'), at('relays/r1.cert')),
    ],
    ['a mesh document that is no JSON', 'mesh.json', 'x', 'file_malformed', () => readMeshTrust(at('mesh.json'))],
  ])('%s', async (_what, name, content, code, run) => {
    await initMesh(directory, { relays })
    await addUser(directory, 'alice')
    writeFileSync(at(name), content)
    expect(run).toThrowError(expect.objectContaining({ code, facts: expect.objectContaining({ file: at(name) }) }))
  })

  test('a file that is missing', () => {
    mkdirSync(directory)
    expect(() => readCredential(at('users', 'nobody.cred'))).toThrowError(
      expect.objectContaining({ code: 'file_unreadable', facts: { file: at('users', 'nobody.cred') } }),
    )
  })
})
