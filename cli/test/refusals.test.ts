// Who is refused, with which words and which exit code; and what a script may rely on: JSON only on stdout, settings from the environment.
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { signRelayList } from '@sennit/protocol'
import { nodeCrypto, readKeyFile, readMeshTrust, readRelayList } from '@sennit/protocol/node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Mesh } from './mesh.ts'
import { deadlineMs } from './program.ts'

let mesh: Mesh

beforeAll(async () => {
  mesh = await Mesh.start(2)
}, 60_000)
afterAll(async () => {
  await mesh?.close()
}, 30_000)

function ping(credential: string, target = 'bob/web', ...more: string[]): ReturnType<Mesh['shop']['run']> {
  return mesh.shop.run('ping', target, '--count', '1', '--credential', credential, '--mesh', 'mesh', '--json', ...more)
}

interface CredentialFile {
  [key: string]: unknown
}

/** A credential file with one of its values replaced by that of another. */
function mixed(name: string, base: string, other: string, keys: readonly string[]): string {
  const read = (user: string): CredentialFile =>
    JSON.parse(readFileSync(mesh.shop.path(`mesh/users/${user}.cred`), 'utf8')) as CredentialFile
  const value = read(base)
  const from = read(other)
  for (const key of keys) {
    if (!(key in value)) throw new Error(`expected ${key} in a credential file; found ${Object.keys(value)}`)
    value[key] = from[key]
  }
  writeFileSync(mesh.shop.path(name), JSON.stringify(value))
  return name
}

describe('ping and relays', { timeout: 60_000 }, () => {
  it('measure the way, and say when the other end is not there, with the answer of every relay', async () => {
    const listener = mesh.shop.sennit('receive', '--dir', '.', '--application', 'pinged', ...mesh.as('bob', '--label', 'ping'))
    await listener.ready()
    const answered = await mesh.shop.run('ping', 'bob/ping/pinged', '--count', '3', '--interval', '10ms', ...mesh.as('alice'))
    expect(answered.code).toBe(0)
    const [connected, ...rest] = answered.json
    expect(connected).toMatchObject({ connected: true, peer: 'bob/ping', application: 'pinged' })
    expect(rest.slice(0, 3).map((line) => [line.seq, typeof line.rttMs, typeof line.relay])).toEqual(
      [0, 1, 2].map((seq) => [seq, 'number', 'string']),
    )
    expect(rest.at(-1)).toMatchObject({ summary: true, count: 3 })
    const nobody = await ping('mesh/users/alice.cred', 'bob/nothing', '--wait', '1s')
    expect(nobody.code).toBe(4)
    expect(nobody.stdout).toBe('')
    expect(nobody.stderr).toMatch(/no_peer/)
    for (const relay of ['r1', 'r2']) expect(nobody.stderr).toContain(relay)
    const stranger = await ping('mesh/users/alice.cred', 'mallory/web', '--wait', '6s')
    expect([3, 4]).toContain(stranger.code)
    expect(stranger.stderr).toMatch(/not_registered|not registered/)
    const self = await ping('mesh/users/alice.cred', 'alice/me/web', '--label', 'me', '--wait', '2s')
    expect(self.code).toBe(3)
    expect(self.stderr).toMatch(/self/)
    await listener.stop()

    const list = await mesh.shop.run('relays', ...mesh.as('alice'))
    expect(list.code).toBe(0)
    expect(list.json).toHaveLength(1)
    const rows = list.json[0]?.relays as Record<string, unknown>[]
    expect(rows.map((row) => [row.relay, row.state, row.carrier])).toEqual([
      ['r1', 'attached', 'upgrade'],
      ['r2', 'attached', 'upgrade'],
    ])
    for (const row of rows) expect(row.rttMs).toBeTypeOf('number')
  })

  it('say when a relay list that was named is not taken, because another of its version is in force', async () => {
    expect((await mesh.shop.run('relays', ...mesh.as('alice'))).code).toBe(0)
    const trust = readMeshTrust(mesh.shop.path('mesh/mesh.json'))
    const { privateKey } = readKeyFile(mesh.shop.path('mesh/issuers/list.key'))
    const { version, expiresMs, relays } = await readRelayList(mesh.shop.path('mesh/relays.list'), trust)
    const byHand = { version, expiresMs, relays: relays.slice(0, 1) }
    writeFileSync(mesh.shop.path('by-hand.list'), signRelayList(nodeCrypto(), privateKey, trust.meshId, byHand))
    const credential = ['--credential', 'mesh/users/alice.cred', '--json']
    const asked = await mesh.shop.run('relays', '--relay-list', 'by-hand.list', ...credential)
    expect(asked.stderr).toMatch(
      /by-hand\.list: expected version \d+ of the relay list to be the one in force \(r1 .*, r2 .*\[list_conflict\]/,
    )
    expect(asked.json[0]?.relays).toHaveLength(2)
    expect((await mesh.shop.run('relays', ...mesh.as('alice'))).stderr).not.toMatch(/list_/)
  })

  it('take their settings from SENNIT_ variables', async () => {
    const program = mesh.shop.program(process.execPath, [new URL('../bin/sennit.mjs', import.meta.url).pathname, 'relays'], {
      SENNIT_CREDENTIAL: 'mesh/users/alice.cred',
      SENNIT_MESH: 'mesh',
      SENNIT_JSON: '1',
      SENNIT_CARRIER: 'http',
      SENNIT_LABEL: 'env',
    })
    expect(await program.end()).toEqual({ code: 0, signal: null })
    expect(program.json[0]?.relays).toContainEqual(expect.objectContaining({ carrier: 'http' }))
  })
})

describe('credentials', { timeout: 60_000 }, () => {
  it('that have expired are refused with 3, and the reason', async () => {
    await mesh.addUser('old', '--valid-for', '1ms')
    const refused = await ping('mesh/users/old.cred')
    expect(refused.code).toBe(3)
    expect(refused.stderr).toMatch(/certificate_expired/)
  })

  it('of another mesh are refused with 3, and the reason', async () => {
    expect((await mesh.shop.run('mesh', 'init', 'foreign', '--relays', '1')).code).toBe(0)
    expect((await mesh.shop.run('user', 'add', 'alice', '--mesh', 'foreign')).code).toBe(0)
    const refused = await ping('foreign/users/alice.cred')
    expect(refused.code).toBe(3)
    expect(refused.stderr).toMatch(/foreign|forged|wrong_mesh/)
  })

  it('with a certificate that is not of their keys are refused with 3, and the reason', async () => {
    await mesh.addUser('eve')
    const refused = await ping(mixed('stolen.cred', 'eve', 'bob', ['certificate']))
    expect(refused.code).toBe(3)
    expect(refused.stderr).toMatch(/key_mismatch|handshake_forged|malformed/)
  })

  it('that are none are refused: a file of something else with 3, a missing one with 2', async () => {
    writeFileSync(mesh.shop.path('junk.cred'), 'not a credential')
    const junk = await ping('junk.cred')
    expect(junk).toMatchObject({ code: 3, stdout: '' })
    expect(junk.stderr).toMatch(/credential_malformed/)
    expect(await ping('missing.cred')).toMatchObject({ code: 2, stdout: '' })
  })

  it('that are revoked end: the attachments within 5 s, the command with 3, and no new one is let in', async () => {
    await mesh.addUser('dave')
    const service = mesh.shop.sennit('expose', 'web', '127.0.0.1:9', ...mesh.as('dave'))
    await service.ready()
    const attached = await mesh.statusUntil((clients) =>
      clients.some((client) => client.user === 'dave' && client.attachments.length === 2),
    )
    expect(attached).toHaveLength(1)
    const startedMs = performance.now()
    const revoked = await mesh.shop.run('user', 'revoke', 'dave', '--mesh', 'mesh', '--json')
    expect(revoked.json).toEqual([{ user: 'dave', revoked: true }])
    const { code } = await service.end()
    expect(performance.now() - startedMs).toBeLessThan(5_000)
    expect(code).toBe(3)
    expect(service.stderr).toMatch(/revoked/)
    const refused = await ping('mesh/users/dave.cred')
    expect(refused.code).toBe(3)
    expect(refused.stderr).toMatch(/revoked/)
    const list = await mesh.shop.run('user', 'list', '--mesh', 'mesh', '--json')
    expect(list.json[0]?.users).toContainEqual(expect.objectContaining({ user: 'dave', revoked: true }))
  })

  it('of a user who was just added work at once', async () => {
    await mesh.addUser('fresh')
    const list = await mesh.shop.run('relays', ...mesh.as('fresh'))
    expect(list.code).toBe(0)
  })

  it('that allow other applications only are refused with 3', async () => {
    await mesh.addUser('narrow', '--applications', 'web')
    const refused = await ping('mesh/users/narrow.cred', 'bob/postgres', '--wait', '2s')
    expect(refused.code).toBe(3)
    expect(refused.stderr).toMatch(/not_allowed|application_not_allowed/)
  })
})

describe('relays that are not there', { timeout: 60_000 }, () => {
  it('give 4 and the answer of each; an impostor with a foreign certificate is refused', async () => {
    const made = await mesh.shop.run('mesh', 'init', 'dead', '--relays', '2', '--json')
    expect(made.code).toBe(0)
    await mesh.shop.run('user', 'add', 'alice', '--mesh', 'dead')
    const as = ['--credential', 'dead/users/alice.cred', '--mesh', 'dead', '--wait', '3s', '--json']
    const nobody = await mesh.shop.run('ping', 'bob/web', ...as)
    expect(nobody.code).toBe(4)
    expect(nobody.stderr).toMatch(/no_relay.*r1.*ECONNREFUSED.*r2/s)

    // r1 of another mesh on the port of ours: keys, certificate and papers all its own.
    await mesh.shop.run('mesh', 'init', 'impostor', '--relays', '1')
    const toml = (dir: string): string => readFileSync(mesh.shop.path(dir, 'relays/r1.toml'), 'utf8')
    const listen = /^listen.*$/m.exec(toml('dead'))?.[0] ?? ''
    writeFileSync(mesh.shop.path('impostor/relays/r1.toml'), toml('impostor').replace(/^listen.*$/m, listen))
    cpSync(mesh.shop.path('dead/relays/r1.toml'), mesh.shop.path('dead/kept.toml'))
    const impostor = mesh.shop.sennit('relay', '--config', 'impostor/relays/r1.toml', '--json')
    await impostor.ready()
    const refused = await mesh.shop.run('ping', 'bob/web', ...as)
    expect([3, 4]).toContain(refused.code)
    expect(refused.stderr).toMatch(/r1: (key_mismatch|certificate_\w+|relay_mismatch|wrong_mesh|handshake_forged)/)
    await impostor.stop()
  })

  it('a forward started before any relay listens at once, and works when one comes', async () => {
    await mesh.shop.run('mesh', 'init', 'later', '--relays', '1', '--json')
    await mesh.shop.run('user', 'add', 'alice', '--mesh', 'later')
    const early = mesh.shop.sennit('forward', '0', 'bob/web', '--credential', 'later/users/alice.cred', '--mesh', 'later', '--json')
    await early.ready()
    await early.says(/r1 cannot be reached/)
    const relay = mesh.shop.sennit('relay', '--config', 'later/relays/r1.toml', '--json')
    await relay.ready()
    await early.says(/attached to r1/, deadlineMs)
    expect(await early.stop()).toEqual({ code: 0, signal: null })
    await relay.stop()
  })
})

describe('usage', { timeout: 30_000 }, () => {
  it.each([
    [[], 2, /Usage: sennit/],
    [['fly'], 2, /unknown command 'fly'/],
    [['ping'], 2, /missing required argument/],
    [['ping', 'bob'], 2, /expected USER\/APP/],
    [['ping', 'bob/web'], 2, /expected --mesh DIR, --relay-list FILE or --directory URL/],
    [['ping', 'bob/web', '--mesh', 'mesh'], 2, /expected --credential FILE/],
    [['ping', 'bob/web', '--mesh', 'nowhere', '--credential', 'x'], 2, /no relay list at nowhere/],
    [['ping', 'bob/web', '--mesh', 'mesh', '--credential', 'mesh/users/alice.cred', '--wait', 'long'], 2, /--wait: expected a duration/],
    [['ping', 'bob/web', '--mesh', 'mesh', '--credential', 'mesh/users/alice.cred', '--carrier', 'pigeon'], 2, /pigeon/],
    [['forward', 'x', 'bob/web', '--mesh', 'mesh', '--credential', 'mesh/users/alice.cred'], 2, /expected PORT or HOST:PORT/],
    [['user', 'add', 'Not A Name!', '--mesh', 'mesh'], 2, /bad_name/],
    [['user', 'add', 'alice', '--mesh', 'mesh'], 2, /user_exists/],
    [['user', 'revoke', 'nobody', '--mesh', 'mesh'], 2, /user_unknown/],
    [['user', 'list', '--mesh', 'nowhere'], 2, /expected a mesh document in nowhere/],
    [['relay', '--config', 'nowhere.toml'], 2, /nowhere\.toml/],
    [['status', '--mesh', 'nowhere'], 2, /expected a mesh directory/],
  ])('sennit %j gives %i', async (args, code, words) => {
    const run = await mesh.shop.run(...args)
    expect(`${run.stdout}${run.stderr}`).toMatch(words)
    expect(run.stderr).not.toMatch(/this is a bug/)
    expect(run.code).toBe(code)
  })

  it.each([
    ['mesh', 'up'],
    ['mesh', 'init'],
    ['user', 'add'],
    ['user', 'list'],
    ['user', 'revoke'],
    ['relay'],
    ['expose'],
    ['forward'],
    ['send'],
    ['receive'],
    ['ping'],
    ['relays'],
    ['status'],
    ['test', 'check'],
    ['test', 'run'],
    ['simulate'],
  ])('sennit %s %s has help with examples and --json', async (...command) => {
    const run = await mesh.shop.run(...command, '--help')
    expect(run.code).toBe(0)
    expect(run.stdout).toMatch(/Examples:\n {2}sennit /)
    expect(run.stdout).toMatch(/--json/)
  })
})
