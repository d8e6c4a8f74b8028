// A real sshd on loopback with keys of its own, for one user: whoever runs the tests.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { userInfo } from 'node:os'
import { until, type Workshop } from './program.ts'

/** Servers stand where only administrators look. */
export const pathWithServers: string = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`

/** What an ssh session needs and this machine lacks (`apt-get install openssh-server openssh-client`). */
export const lacksForSsh: readonly string[] = ['ssh', 'sshd', 'ssh-keygen'].filter(
  (name) => spawnSync('sh', ['-c', `command -v ${name}`], { env: { PATH: pathWithServers } }).status !== 0,
)

export interface Sshd {
  readonly port: number
  /** `user@host` and everything before it that `ssh` needs to know. */
  readonly login: readonly string[]
}

export async function startSshd(shop: Workshop): Promise<Sshd> {
  mkdirSync(shop.path('ssh'))
  const at = (name: string): string => shop.path('ssh', name)
  for (const key of ['host', 'own']) spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(key)])
  copyFileSync(at('own.pub'), at('authorized'))
  const port = await freePort()
  // As root sshd wants this folder; elsewhere it is not asked for.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  writeFileSync(
    at('sshd.conf'),
    `Port ${port}\nListenAddress 127.0.0.1\nHostKey ${at('host')}\nAuthorizedKeysFile ${at('authorized')}\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin prohibit-password\n`,
  )
  const sshd = spawnSync('sh', ['-c', 'command -v sshd'], { env: { PATH: pathWithServers }, encoding: 'utf8' }).stdout.trim()
  shop.program(sshd, ['-D', '-e', '-f', at('sshd.conf')])
  await answers(port)
  const options = ['-i', at('own'), '-o', 'StrictHostKeyChecking=no', '-o', `UserKnownHostsFile=${at('known')}`, '-o', 'BatchMode=yes']
  return { port, login: ['-F', 'none', '-p', String(port), ...options, `${userInfo().username}@127.0.0.1`] }
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

/** Resolves when something listens there. */
export async function answers(port: number): Promise<void> {
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
