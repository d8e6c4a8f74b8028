// Through a SOCKS5 proxy that everybody has: `ssh -D` of OpenSSH, to a server of our own on loopback.
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { userInfo } from 'node:os'
import { afterEach, describe, expect, it } from 'vitest'
import { Mesh } from './mesh.ts'
import { until } from './program.ts'

const path = `${process.env.PATH}:/usr/sbin:/sbin`
const lacking = ['ssh', 'sshd', 'ssh-keygen'].filter(
  (program) => spawnSync('sh', ['-c', `command -v ${program}`], { env: { PATH: path } }).status !== 0,
)
if (lacking.length > 0) console.log(`left out: tests through ssh -D, for want of ${lacking}; apt-get install openssh-server openssh-client`)

let mesh: Mesh | undefined
afterEach(async () => {
  await mesh?.close()
}, 30_000)

describe.skipIf(lacking.length > 0)('ssh -D', { timeout: 90_000 }, () => {
  it('carries a file and an answer to ping', async () => {
    mesh = await Mesh.start(2)
    const proxy = await startSshProxy(mesh)
    const { shop } = mesh
    mkdirSync(shop.path('in'))
    const receive = shop.sennit('receive', '--dir', 'in', '--once', ...mesh.as('bob'), '--proxy', proxy)
    await receive.ready()
    const bytes = randomBytes(3_000_000)
    writeFileSync(shop.path('file.bin'), bytes)
    const sent = await shop.run('send', 'bob', 'file.bin', ...mesh.as('alice'), '--proxy', proxy)
    expect({ code: sent.code, stderr: sent.code === 0 ? '' : sent.stderr }).toEqual({ code: 0, stderr: '' })
    await receive.end()
    expect(readFileSync(shop.path('in/file.bin')).equals(bytes)).toBe(true)
  })
})

/** An sshd with keys of its own and a client that forwards; gives the proxy's URL. */
async function startSshProxy({ shop }: Mesh): Promise<string> {
  mkdirSync(shop.path('ssh'))
  const at = (name: string): string => shop.path('ssh', name)
  for (const key of ['host', 'own']) spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(key)])
  copyFileSync(at('own.pub'), at('authorized'))
  const [sshPort, socksPort] = [await freePort(), await freePort()]
  // As root sshd wants this folder; elsewhere it is not asked for.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  writeFileSync(
    at('sshd.conf'),
    `Port ${sshPort}\nListenAddress 127.0.0.1\nHostKey ${at('host')}\nAuthorizedKeysFile ${at('authorized')}\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin prohibit-password\n`,
  )
  const sshd = spawnSync('sh', ['-c', 'command -v sshd'], { env: { PATH: path }, encoding: 'utf8' }).stdout.trim()
  shop.program(sshd, ['-D', '-e', '-f', at('sshd.conf')])
  await answers(sshPort)
  const options = ['-i', at('own'), '-o', 'StrictHostKeyChecking=no', '-o', `UserKnownHostsFile=${at('known')}`, '-o', 'BatchMode=yes']
  shop.program('ssh', [
    '-N',
    '-F',
    'none',
    '-D',
    `127.0.0.1:${socksPort}`,
    '-p',
    String(sshPort),
    ...options,
    `${userInfo().username}@127.0.0.1`,
  ])
  await answers(socksPort)
  return `socks5h://127.0.0.1:${socksPort}`
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

async function answers(port: number): Promise<void> {
  let open = false
  let trying = false
  await until(() => {
    if (open || trying) return open
    trying = true
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      open = true
      socket.destroy()
    })
    socket.once('error', () => {
      trying = false
    })
    return false
  }, `port ${port} to answer`)
}
