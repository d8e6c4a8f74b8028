import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type CryptoProvider,
  certificateAllows,
  hex,
  isName,
  issueMesh,
  type MeshTrust,
  parseMeshTrust,
  type RelayList,
  SennitError,
  signRelayList,
  signUserList,
  simulatorCrypto,
  textOf,
  type UserList,
  utf8,
  verifyRelayCertificate,
  verifyRelayList,
  verifyUserCertificate,
  verifyUserList,
} from '../src/index.ts'
import { nodeCrypto } from '../src/node/index.ts'
import { hopWorld, relayOf, startMs, userOf } from './hop-fixtures.ts'
import { seededRandom } from './seeded-random.ts'

const node = nodeCrypto()
const world = hopWorld(node)
const foreign = hopWorld(node)
const { trust } = world.mesh

function codeOf(run: () => unknown): string {
  try {
    run()
    return 'fine'
  } catch (error) {
    if (!(error instanceof SennitError)) throw error
    return error.code
  }
}

describe.each([
  ['node', node],
  ['simulator', simulatorCrypto(seededRandom(9))],
] as const)('with %s cryptography', (_name, crypto: CryptoProvider) => {
  const here = hopWorld(crypto)

  test('a user certificate says what was asked for', () => {
    const user = userOf(crypto, here.mesh, { user: 'bob', applications: ['web', 'postgres'], epoch: 3 })
    const read = verifyUserCertificate(here.mesh.trust, user.certificate, startMs, crypto)
    expect(read).toMatchObject({ meshId: here.mesh.trust.meshId, user: 'bob', applications: ['web', 'postgres'], epoch: 3 })
    expect([read.identityKey, read.hopKey, read.endKey].map(hex)).toEqual(
      [user.identityKey, user.hopKey, user.endKey].map(({ publicKey }) => hex(publicKey)),
    )
    expect(read.serial).toHaveLength(16)
    expect([certificateAllows(read, 'web'), certificateAllows(read, 'ssh')]).toEqual([true, false])
    expect(certificateAllows({ ...read, applications: [] }, 'ssh')).toBe(true)
  })

  test('a relay certificate says what was asked for', () => {
    const relay = relayOf(crypto, here.mesh, { relayId: 'r7' })
    const read = verifyRelayCertificate(here.mesh.trust, relay.certificate, startMs, crypto)
    expect([read.relayId, hex(read.staticKey)]).toEqual(['r7', hex(relay.staticKey.publicKey)])
  })

  test('a mesh document gives the trust it was made with', () => {
    expect(describeTrust(parseMeshTrust(here.mesh.document, crypto, startMs))).toEqual(describeTrust(here.mesh.trust))
  })
})

function describeTrust(value: MeshTrust): Record<string, string> {
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, typeof field === 'string' ? field : hex(field)]))
}

describe('a certificate', () => {
  const user = (wishes = {}): Uint8Array => userOf(node, world.mesh, wishes).certificate
  const relay = (wishes = {}): Uint8Array => relayOf(node, world.mesh, wishes).certificate
  const stolenIssuer = { ...world.mesh, keys: foreign.mesh.keys }
  const swappedIssuers = {
    ...world.mesh,
    keys: { ...world.mesh.keys, userIssuer: world.mesh.keys.relayIssuer, relayIssuer: world.mesh.keys.userIssuer },
  }
  const late = { notAfterMs: startMs + 50, notBeforeMs: startMs - 50 }
  test.each([
    ['of a user, now', () => verifyUserCertificate(trust, user(), startMs, node), 'fine'],
    ['of another mesh', () => verifyUserCertificate(trust, foreign.alice.certificate, startMs, node), 'certificate_foreign'],
    ['by another issuer', () => verifyUserCertificate(trust, userOf(node, stolenIssuer).certificate, startMs, node), 'certificate_forged'],
    [
      'of a user by the relay issuer',
      () => verifyUserCertificate(trust, userOf(node, swappedIssuers).certificate, startMs, node),
      'certificate_forged',
    ],
    [
      'of a relay by the user issuer',
      () => verifyRelayCertificate(trust, relayOf(node, swappedIssuers).certificate, startMs, node),
      'certificate_forged',
    ],
    ['at its first moment', () => verifyUserCertificate(trust, user(late), startMs - 50, node), 'fine'],
    ['before its first moment', () => verifyUserCertificate(trust, user(late), startMs - 51, node), 'certificate_not_yet_valid'],
    ['at its last moment', () => verifyUserCertificate(trust, user(late), startMs + 49, node), 'fine'],
    ['at its end', () => verifyUserCertificate(trust, user(late), startMs + 50, node), 'certificate_expired'],
    ['of a relay, of another mesh', () => verifyRelayCertificate(trust, foreign.relay.certificate, startMs, node), 'certificate_foreign'],
    ['of a relay, at its end', () => verifyRelayCertificate(trust, relay(late), startMs + 50, node), 'certificate_expired'],
    ['with a name that is none', () => verifyUserCertificate(trust, user({ user: 'Bob !' }), startMs, node), 'certificate_malformed'],
    ['with a short key', () => verifyUserCertificate(trust, user({ hopKey: new Uint8Array(31) }), startMs, node), 'certificate_malformed'],
    [
      'of a relay where a user is meant',
      () => verifyUserCertificate(trust, relay(), startMs, node),
      'certificate_malformed|certificate_forged',
    ],
    [
      'of a user where a relay is meant',
      () => verifyRelayCertificate(trust, user(), startMs, node),
      'certificate_malformed|certificate_forged',
    ],
    ['of nothing', () => verifyUserCertificate(trust, new Uint8Array(0), startMs, node), 'malformed|certificate_foreign'],
    ['of 5 000 bytes', () => verifyUserCertificate(trust, new Uint8Array(5_000), startMs, node), 'certificate_malformed'],
  ])('%s', (_what, run, expected) => {
    expect(codeOf(run)).toMatch(new RegExp(`^(${expected})$`))
  })

  test('with any bit flipped is refused', () => {
    const bytes = user()
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = bytes.slice()
      changed[bit >> 3]! ^= 1 << (bit & 7)
      expect(codeOf(() => verifyUserCertificate(trust, changed, startMs, node))).toMatch(
        /^(certificate_malformed|certificate_foreign|certificate_forged)$/,
      )
    }
  })

  test('of random bytes only ends in a SennitError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(codeOf(() => verifyUserCertificate(trust, bytes, startMs, node))).not.toBe('fine')
        expect(codeOf(() => verifyRelayList(trust, bytes, startMs, node))).not.toBe('fine')
      }),
    )
  })

  test('that is refused for time carries the clock that judged', () => {
    expect(() => verifyUserCertificate(trust, user(late), startMs + 60, node)).toThrowError(
      expect.objectContaining({ facts: { nowMs: startMs + 60, notBeforeMs: startMs - 50, notAfterMs: startMs + 50 } }),
    )
  })
})

describe('a signed list', () => {
  const relays: RelayList = {
    version: 7,
    expiresMs: startMs + 1_000,
    relays: [
      {
        relayId: 'r1',
        urls: ['http://127.0.0.1:80', 'https://relay.example:443'],
        key: world.relay.staticKey.publicKey,
        failureDomain: 'a',
        zone: 'eu',
      },
      {
        relayId: 'r2',
        urls: [],
        traits: { region: 'eu', price: 1.5, securityRating: 80, uptime: 0.999, speedMbps: 100, qos: 3 },
        draining: true,
      },
    ],
  }
  const users: UserList = {
    version: 9,
    expiresMs: startMs + 1_000,
    users: [
      { user: 'alice', epoch: 1, revoked: false },
      { user: 'bob', epoch: 4, revoked: true },
    ],
  }
  const signer = world.mesh.keys.listSigner.privateKey
  const relayList = signRelayList(node, signer, trust.meshId, relays)
  const userList = signUserList(node, signer, trust.meshId, users)

  test('says what was signed', () => {
    expect(JSON.stringify(verifyRelayList(trust, relayList, startMs, node))).toBe(JSON.stringify(relays))
    expect(verifyUserList(trust, userList, startMs, node)).toEqual(users)
  })

  test.each([
    ['at its end', () => verifyUserList(trust, userList, startMs + 1_000, node), 'list_expired'],
    ['of another mesh', () => verifyUserList(foreign.mesh.trust, userList, startMs, node), 'list_foreign'],
    [
      'by the user issuer',
      () => verifyUserList(trust, signUserList(node, world.mesh.keys.userIssuer.privateKey, trust.meshId, users), startMs, node),
      'list_forged',
    ],
    ['of relays where users are meant', () => verifyUserList(trust, relayList, startMs, node), 'malformed|list_forged'],
    ['of users where relays are meant', () => verifyRelayList(trust, userList, startMs, node), 'malformed|list_forged'],
    ['with a version of 2^64 - 1', () => verifyUserList(trust, unbounded(), startMs, node), 'malformed'],
  ])('%s is refused', (_what, run, expected) => {
    expect(codeOf(run)).toMatch(new RegExp(`^(${expected})$`))
  })

  function unbounded(): Uint8Array {
    return signUserList(node, signer, trust.meshId, { ...users, version: 2 ** 64 - 2 ** 11 })
  }

  test('with any bit flipped is refused', () => {
    for (let bit = 0; bit < userList.length * 8; bit += 1) {
      const changed = userList.slice()
      changed[bit >> 3]! ^= 1 << (bit & 7)
      expect(codeOf(() => verifyUserList(trust, changed, startMs, node))).toMatch(/^(malformed|list_foreign|list_forged|list_expired)$/)
    }
  })
})

describe('a mesh document', () => {
  const fields = JSON.parse(textOf(world.mesh.document)) as Record<string, string>
  const others = JSON.parse(textOf(foreign.mesh.document)) as Record<string, string>
  const parse = (value: unknown, nowMs = startMs): unknown =>
    parseMeshTrust(utf8(typeof value === 'string' ? value : JSON.stringify(value)), node, nowMs)
  test.each([
    ['as made', () => parse(fields), 'fine'],
    ['with another root key', () => parse({ ...fields, rootKey: others.rootKey }), 'certificate_forged'],
    ['with an issuer of another mesh', () => parse({ ...fields, userIssuer: others.userIssuer }), 'certificate_foreign'],
    ['with the id of another mesh', () => parse({ ...fields, meshId: others.meshId }), 'certificate_foreign'],
    ['with two issuers swapped', () => parse({ ...fields, userIssuer: fields.relayIssuer }), 'malformed'],
    ['before it was made', () => parse(fields, startMs - 1), 'certificate_not_yet_valid'],
    ['eleven years later', () => parse(fields, startMs + 11 * 366 * 86_400_000), 'certificate_expired'],
    ['that is no JSON', () => parse('{'), 'malformed'],
    ['that is null', () => parse('null'), 'malformed'],
    ['of another type', () => parse({ ...fields, type: 'x' }), 'malformed'],
    ['without a field', () => parse({ ...fields, listSigner: undefined }), 'malformed'],
    ['of 100 KB', () => parse(' '.repeat(100_000)), 'malformed'],
  ])('%s', (_what, run, expected) => {
    expect(codeOf(run)).toBe(expected)
  })

  test('two meshes never share an id or a key', () => {
    const [one, two] = [issueMesh(node, startMs), issueMesh(node, startMs)]
    expect(new Set([...Object.values(describeTrust(one.trust)), ...Object.values(describeTrust(two.trust))]).size).toBe(10)
  })
})

test.each([
  ['alice', true],
  ['a', true],
  ['0.x_y-z', true],
  ['a'.repeat(63), true],
  ['a'.repeat(64), false],
  ['', false],
  ['Alice', false],
  ['-a', false],
  ['_central', false],
  ['../x', false],
  ['a/b', false],
  ['ä', false],
])('%s is a name: %s', (name, right) => {
  expect(isName(name)).toBe(right)
})
