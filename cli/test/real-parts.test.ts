// The tunnel under programs that know nothing of it: nginx behind `expose`, curl before `forward`, tinyproxy between. Where they are not
// installed the tests are left out, and a line says how to get them.
import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Mesh } from './mesh.ts'
import { type Program, until } from './program.ts'

const mebibyte = 1024 * 1024
const size = 64 * mebibyte

function missing(...programs: string[]): string[] {
  return programs.filter((program) => spawnSync('sh', ['-c', `PATH="$PATH:/usr/sbin:/sbin" command -v ${program}`]).status !== 0)
}

const lacking = missing('nginx', 'curl')
if (lacking.length > 0) console.log(`left out: tests with nginx and curl, for want of ${lacking}; apt-get install nginx-light curl`)
const lackingProxy = missing('nginx', 'curl', 'tinyproxy')
if (lackingProxy.length > 0)
  console.log(`left out: tests through tinyproxy, for want of ${lackingProxy}; apt-get install tinyproxy nginx-light curl`)

describe.skipIf(lacking.length > 0)('nginx and curl', { timeout: 90_000 }, () => {
  let mesh: Mesh
  let hash: string
  let nginxPort: number

  beforeAll(async () => {
    mesh = await Mesh.start(3)
    const bytes = randomBytes(size)
    hash = createHash('sha256').update(bytes).digest('hex')
    nginxPort = await startNginx(bytes)
    const expose = mesh.shop.sennit('expose', 'web', `127.0.0.1:${nginxPort}`, ...mesh.as('bob'))
    await expose.ready()
  }, 60_000)
  afterAll(async () => {
    await mesh?.close()
  }, 30_000)

  async function startNginx(bytes: Buffer): Promise<number> {
    const { shop } = mesh
    for (const folder of ['www', 'www/up', 'tmp']) mkdirSync(shop.path(folder))
    writeFileSync(shop.path('www/file.bin'), bytes)
    const port = await freePort()
    const user = process.getuid?.() === 0 ? 'user root;' : ''
    writeFileSync(
      shop.path('nginx.conf'),
      `${user} worker_processes 1; pid ${shop.path('nginx.pid')}; error_log stderr; daemon off; master_process off;
       events { worker_connections 256; }
       http { access_log off; sendfile on; client_max_body_size 0; limit_rate 25m;
         client_body_temp_path ${shop.path('tmp/body')}; proxy_temp_path ${shop.path('tmp/proxy')}; fastcgi_temp_path ${shop.path('tmp/fastcgi')};
         uwsgi_temp_path ${shop.path('tmp/uwsgi')}; scgi_temp_path ${shop.path('tmp/scgi')};
         server { listen 127.0.0.1:${port}; root ${shop.path('www')}; location /up/ { dav_methods PUT; } } }`,
    )
    program('nginx', ['-e', 'stderr', '-p', shop.dir, '-c', shop.path('nginx.conf')])
    await answers(port)
    return port
  }

  function program(name: string, args: readonly string[]): Program {
    return mesh.shop.program(name, args, { PATH: `${process.env.PATH}:/usr/sbin:/sbin` })
  }

  async function forwarded(...more: string[]): Promise<{ port: number; program: Program }> {
    const forward = mesh.shop.sennit('forward', '0', 'bob/web', ...mesh.as('alice'), ...more)
    return { port: (await forward.ready()).port as number, program: forward }
  }

  async function killActive(forward: Program): Promise<string> {
    const { active } = await mesh.connectionOf(forward)
    const relay = active.receive ?? active.send
    if (relay === null) throw new Error('expected a relay in use; found none')
    await mesh.killRelay(relay)
    return relay
  }

  function fileHash(path: string): string {
    return createHash('sha256')
      .update(readFileSync(mesh.shop.path(path)))
      .digest('hex')
  }

  function bytesOf(path: string): number {
    return statSync(mesh.shop.path(path), { throwIfNoEntry: false })?.size ?? 0
  }

  it('a download and an upload by curl outlive kill -9 of the relay in use, without a retry', async () => {
    const { port, program: forward } = await forwarded('--label', 'curl')
    const down = program('curl', ['-sS', '--fail', '--limit-rate', '20M', '-o', 'down.bin', `http://127.0.0.1:${port}/file.bin`])
    const killed: string[] = []
    for (const bytes of [8, 32]) {
      await until(() => bytesOf('down.bin') > bytes * mebibyte, `${bytes} MiB to arrive`)
      killed.push(await killActive(forward))
    }
    expect(down.running).toBe(true)
    expect(await down.end(60_000)).toEqual({ code: 0, signal: null })
    expect(fileHash('down.bin')).toBe(hash)
    await Promise.all(killed.map((relay) => mesh.startRelay(relay)))

    const up = program('curl', ['-sS', '--fail', '--limit-rate', '25M', '-T', 'www/file.bin', `http://127.0.0.1:${port}/up/put.bin`])
    // nginx keeps a body that is not whole yet under a name of its own; the first of it is there when the transfer runs.
    await until(() => partBytes() > 8 * mebibyte, 'the upload to run')
    await killActive(forward)
    expect(await up.end(60_000)).toEqual({ code: 0, signal: null })
    expect(fileHash('www/up/put.bin')).toBe(hash)
    expect(await forward.stop()).toEqual({ code: 0, signal: null })
  })

  function partBytes(): number {
    const found = spawnSync('du', ['-sb', mesh.shop.path('tmp/body')], { encoding: 'utf8' }).stdout
    return Number.parseInt(found, 10) || 0
  }

  it.skipIf(lackingProxy.length > 0).each(['upgrade', 'http'])('a download over %s passes tinyproxy', async (carrier) => {
    const proxyPort = await freePort()
    const log = `tinyproxy-${carrier}.log`
    writeFileSync(
      mesh.shop.path(`tinyproxy-${carrier}.conf`),
      `Port ${proxyPort}\nListen 127.0.0.1\nTimeout 600\nMaxClients 100\nAllow 127.0.0.1\nLogFile "${mesh.shop.path(log)}"\nLogLevel Connect\n`,
    )
    const proxy = program('tinyproxy', ['-d', '-c', mesh.shop.path(`tinyproxy-${carrier}.conf`)])
    await answers(proxyPort)
    const more = ['--label', `proxy-${carrier}`, '--carrier', carrier, '--proxy', `http://127.0.0.1:${proxyPort}`]
    const { port, program: forward } = await forwarded(...more)
    const down = program('curl', ['-sS', '--fail', '-o', `${carrier}.bin`, `http://127.0.0.1:${port}/file.bin`])
    expect(await down.end(60_000)).toEqual({ code: 0, signal: null })
    expect(fileHash(`${carrier}.bin`)).toBe(hash)
    expect(readFileSync(mesh.shop.path(log), 'utf8')).toMatch(/(CONNECT|POST|GET) /)
    expect(await forward.stop()).toEqual({ code: 0, signal: null })
    proxy.signal('SIGKILL')
  })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as { port: number }
  await new Promise((done) => server.close(done))
  return port
}

/** Resolves when something listens. */
async function answers(port: number): Promise<void> {
  let listening = false
  await until(() => {
    if (!listening)
      void fetch(`http://127.0.0.1:${port}/`).then(
        () => {
          listening = true
        },
        () => {},
      )
    return listening
  }, `something to listen on ${port}`)
}
