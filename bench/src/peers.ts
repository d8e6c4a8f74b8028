// Peers that carry a TCP connection through one process in the middle, each with a fair, documented set-up.
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { installed, type Processes } from './processes.ts'

/** A peer that does not answer by then did not start. */
const upTimeoutMs = 10_000
const retryMs = 50

export async function startHaproxy(processes: Processes, dir: string, target: number): Promise<number | undefined> {
  if (!installed('haproxy')) return undefined
  const port = await freePort()
  const config = join(dir, 'haproxy.cfg')
  writeFileSync(
    config,
    `global\n  maxconn 1000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 10m\n  timeout server 10m\nlisten bench\n  bind 127.0.0.1:${port}\n  server sink 127.0.0.1:${target}\n`,
  )
  processes.program('haproxy', ['-f', config, '-db'])
  await up(port)
  return port
}

/** `ssh -R`: the agent dials out to sshd, which listens for it; aes128-gcm, its fastest cipher here. */
export async function startSshReverse(processes: Processes, dir: string, target: number): Promise<number | undefined> {
  const sshd = ['/usr/sbin/sshd', 'sshd'].find(installed)
  if (sshd === undefined || !installed('ssh') || !installed('ssh-keygen')) return undefined
  const home = join(dir, 'ssh')
  mkdirSync(home, { mode: 0o700 })
  for (const name of ['host', 'user']) spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(home, name)])
  spawnSync('cp', [join(home, 'user.pub'), join(home, 'authorized')])
  chmodSync(join(home, 'authorized'), 0o600)
  const [server, listen] = [await freePort(), await freePort()]
  const config = join(home, 'sshd_config')
  writeFileSync(
    config,
    `Port ${server}\nListenAddress 127.0.0.1\nHostKey ${join(home, 'host')}\nAuthorizedKeysFile ${join(home, 'authorized')}\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nAllowTcpForwarding yes\n`,
  )
  mkdirSync('/run/sshd', { recursive: true })
  processes.program(sshd, ['-D', '-f', config])
  await up(server)
  processes.program('ssh', [
    ...['-N', '-p', String(server), '-i', join(home, 'user'), '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
    ...['-o', 'LogLevel=ERROR', '-o', 'BatchMode=yes', '-o', 'ExitOnForwardFailure=yes', '-c', 'aes128-gcm@openssh.com', '-F', 'none'],
    ...['-R', `127.0.0.1:${listen}:127.0.0.1:${target}`, `${userInfo().username}@127.0.0.1`],
  ])
  await up(listen)
  return listen
}

async function up(port: number): Promise<void> {
  const deadline = performance.now() + upTimeoutMs
  while (performance.now() < deadline) {
    const answered = await new Promise<boolean>((done) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => {
        socket.destroy()
        done(true)
      })
      socket.once('error', () => done(false))
    })
    if (answered) return
    await new Promise((done) => setTimeout(done, retryMs))
  }
  throw new Error(`nothing listened on port ${port} within ${upTimeoutMs} ms`)
}
