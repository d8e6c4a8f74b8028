// Programs that know nothing of us, through `forward` and `expose`, while a random relay is killed and started again every 3 s: each must finish,
// and with the right bytes. 9 s of that in `npm test`, a minute by `npm run test:programs`.
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { Mesh } from '../mesh.ts'
import { Dialogue } from './dialogue.ts'
import { lacks, pathOf } from './machine.ts'
import { startNginx, startPostgres, startSshd, startWebSocketServer } from './servers.ts'
import { type Storm, startStorm } from './storm.ts'

const seconds = Number(process.env.SENNIT_PROGRAMS_SECONDS ?? 9)
/** Fast enough to be in the middle of something all the time, slow enough to last the storm. */
const bytesPerSecond = 8 * 1024 * 1024
const size = bytesPerSecond * seconds
const timeout = (seconds + 60) * 1_000

const noWeb = lacks('a download and an upload', 'nginx-light curl', 'nginx', 'curl')
const noDatabase = lacks('a database session', 'postgresql util-linux', 'initdb', 'postgres', 'psql', 'setpriv')
const noSsh = lacks('an ssh session', 'openssh-server openssh-client', 'sshd', 'ssh', 'ssh-keygen')

describe(`programs through a mesh whose relays are killed for ${seconds} s`, { timeout, concurrent: true }, () => {
  let mesh: Mesh
  let storm: Storm
  const ports = new Map<string, number>()
  let ssh: Awaited<ReturnType<typeof startSshd>> | undefined
  let file = ''

  beforeAll(async () => {
    mesh = await Mesh.start(3, ['alice', 'web', 'database', 'ssh', 'chat'])
    const { shop } = mesh
    const services = new Map<string, number>()
    if (!noWeb) {
      services.set('web', await startNginx(shop, bytesPerSecond))
      const bytes = randomBytes(size)
      file = hashOf(bytes)
      writeFileSync(shop.path('www/file.bin'), bytes)
    }
    if (!noDatabase) services.set('database', await startPostgres(shop))
    if (!noSsh) {
      ssh = await startSshd(shop)
      services.set('ssh', ssh.port)
    }
    services.set('chat', await startWebSocketServer(shop))
    await Promise.all(
      [...services].map(async ([name, port]) => {
        await shop.sennit('expose', name, `127.0.0.1:${port}`, ...mesh.as(name)).ready()
        const forward = shop.sennit('forward', '0', `${name}/${name}`, ...mesh.as('alice', '--label', name))
        ports.set(name, (await forward.ready()).port as number)
      }),
    )
    storm = startStorm(mesh, seconds)
  }, 60_000)

  afterAll(async () => {
    await storm?.over
    console.log(`${storm?.kills.length} relays killed: ${storm?.kills.join(' ')}`)
    await mesh?.close()
  }, timeout)

  function portOf(name: string): number {
    return ports.get(name) ?? 0
  }

  it.skipIf(noWeb)('curl downloads a large file from nginx', async ({ expect }) => {
    const { shop } = mesh
    const curl = shop.program(pathOf('curl'), ['-sS', '--fail', '-o', 'down.bin', `http://127.0.0.1:${portOf('web')}/file.bin`])
    expect(await curl.end(timeout)).toEqual({ code: 0, signal: null })
    expect(hashOf(readFileSync(shop.path('down.bin')))).toBe(file)
  })

  it.skipIf(noWeb)('curl uploads it again', async ({ expect }) => {
    const { shop } = mesh
    const url = `http://127.0.0.1:${portOf('web')}/up/put.bin`
    const curl = shop.program(pathOf('curl'), ['-sS', '--fail', '--limit-rate', String(bytesPerSecond), '-T', 'www/file.bin', url])
    expect(await curl.end(timeout)).toEqual({ code: 0, signal: null })
    expect(hashOf(readFileSync(shop.path('www/up/put.bin')))).toBe(file)
  })

  it.skipIf(noDatabase)('psql keeps one session, inside one transaction', async ({ expect }) => {
    const args = ['-h', '127.0.0.1', '-p', String(portOf('database')), '-U', 'sennit', '-d', 'postgres', '-XAtq', '-v', 'ON_ERROR_STOP=1']
    const psql = new Dialogue(pathOf('psql'), args, { PGSSLMODE: 'disable', PGCONNECT_TIMEOUT: '20' })
    const session = await psql.ask('begin; create table t (n int, body text); select pg_backend_pid(), txid_current();\n')
    const hash = createHash('sha256')
    let rows = 0
    do {
      rows += 1
      const body = hashOf(Buffer.from(`row ${rows}`)).repeat(100)
      hash.update(body)
      expect(await psql.ask(`insert into t values (${rows}, '${body}') returning n;\n`)).toBe(String(rows))
    } while (storm.rages)
    expect(await psql.ask('select pg_backend_pid(), txid_current();\n')).toBe(session)
    psql.say('commit;\n')
    const sum = "select count(*), encode(sha256(convert_to(string_agg(body, '' order by n), 'UTF8')), 'hex') from t;\n"
    expect(await psql.ask(sum)).toBe(`${rows}|${hash.digest('hex')}`)
    expect(await psql.end()).toBe(0)
  })

  it.skipIf(noSsh)('an interactive ssh session answers every line', async ({ expect }) => {
    const shell = new Dialogue(pathOf('ssh'), [...(ssh?.argsFor(portOf('ssh')) ?? []), 'stty -echo; echo ready; exec sh'])
    while ((await shell.line()) !== 'ready');
    shell.say('PS1=; PS2=\n')
    const pid = (await shell.ask('echo $$\n')).replace(/^[#$] /, '')
    let count = 0
    do {
      count += 1
      expect(await shell.ask(`echo $$ $((${count} * ${count})) ${'x'.repeat(count % 500)}\n`)).toBe(
        `${pid} ${count * count} ${'x'.repeat(count % 500)}`.trimEnd(),
      )
    } while (storm.rages)
    shell.say('exit 7\n')
    expect(await shell.end()).toBe(7)
  })

  it('a WebSocket answers every message', async ({ expect }) => {
    const client = new URL('./web-socket-client.mjs', import.meta.url).pathname
    const url = `ws://127.0.0.1:${portOf('chat')}/`
    const flags = typeof WebSocket === 'undefined' ? ['--experimental-websocket', '--no-warnings'] : []
    const socket = new Dialogue(process.execPath, [...flags, client, url])
    let count = 0
    do {
      count += 1
      const bytes = 1 + ((count * 7_919) % 200_000)
      const seed = `message${count}`
      const body = seed.repeat(Math.ceil(bytes / seed.length)).slice(0, bytes)
      expect(await socket.ask(`${count % 2 === 0 ? 'text' : 'binary'} ${bytes} ${seed}\n`)).toBe(hashOf(Buffer.from(body)))
    } while (storm.rages)
    expect(await socket.end()).toBe(0)
  })
})

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
