// Peers with one process in the middle: what they lose with it is gone; their agents come back by themselves, or are started again.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '@sennit/protocol/node'
import { findProgram, type System, tcpEnds } from './system.ts'

/** A loop around an agent that ends with its server starts it again this much later: quick, and not a busy loop. */
const againMs = 200

export const haproxy: System = {
  ...peer('HAProxy', 'tcp', ['haproxy'], 'apt-get install haproxy', ['-v']),
  async start(rig) {
    const ends = await tcpEnds(rig)
    const place = await rig.place()
    const config = join(rig.dir, 'haproxy.cfg')
    writeFileSync(
      config,
      `global\n  maxconn 1000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 10m\n  timeout server 10m\n` +
        `listen scorecard\n  bind 127.0.0.1:${place.inner}\n  server sink 127.0.0.1:${ends.sinkPort}\n`,
    )
    const command = { program: programOf('haproxy'), args: ['-f', config, '-db'] }
    const server = await rig.server('haproxy', command, { host: '127.0.0.1', port: place.inner })
    await rig.guard(server, place)
    return { port: place.outer, ...ends, servers: [server] }
  },
}

export const sshReverse: System = {
  ...peer('ssh -R in a loop', 'ssh', ['sshd', 'ssh', 'ssh-keygen'], 'apt-get install openssh-server', ['-V']),
  version: () => versionOf('ssh', ['-V']),
  async start(rig) {
    const ends = await tcpEnds(rig)
    const home = join(rig.dir, 'ssh')
    mkdirSync(home, { mode: 0o700 })
    for (const name of ['host', 'user']) spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(home, name)])
    const [control, entry] = [await rig.place(), await rig.place()]
    const config = join(home, 'sshd_config')
    writeFileSync(
      config,
      [
        ...[
          `Port ${control.inner}`,
          'ListenAddress 127.0.0.1',
          `HostKey ${join(home, 'host')}`,
          `AuthorizedKeysFile ${join(home, 'user.pub')}`,
        ],
        ...['StrictModes no', 'UsePAM no', 'PidFile none', 'PermitRootLogin yes', 'AllowTcpForwarding yes', 'MaxStartups 100'],
        ...['ClientAliveInterval 1', 'ClientAliveCountMax 3', ''],
      ].join('\n'),
    )
    mkdirSync('/run/sshd', { recursive: true })
    const command = { program: programOf('sshd'), args: ['-D', '-f', config] }
    const server = await rig.server('sshd', command, { host: '127.0.0.1', port: control.inner })
    await rig.guard(server, control, entry)
    const options = [
      'StrictHostKeyChecking=no',
      'UserKnownHostsFile=/dev/null',
      'LogLevel=ERROR',
      'BatchMode=yes',
      'ExitOnForwardFailure=yes',
    ]
    const alive = ['ServerAliveInterval=1', 'ServerAliveCountMax=3', 'ConnectTimeout=2']
    rig.loop(
      {
        program: programOf('ssh'),
        args: [
          ...['-N', '-F', 'none', '-p', String(control.outer), '-i', join(home, 'user'), '-c', 'aes128-gcm@openssh.com'],
          ...[...options, ...alive].flatMap((option) => ['-o', option]),
          ...['-R', `127.0.0.1:${entry.inner}:127.0.0.1:${ends.sinkPort}`, `${userInfo().username}@127.0.0.1`],
        ],
      },
      againMs,
    )
    return { port: entry.outer, ...ends, servers: [server] }
  },
}

export const rathole: System = {
  ...peer('rathole', 'tcp', ['rathole'], 'npm run tools -- rathole', ['--version']),
  async start(rig) {
    const ends = await tcpEnds(rig)
    const [control, entry] = [await rig.place(), await rig.place()]
    const token = 'default_token = "scorecard"\n'
    const [serverFile, clientFile] = [join(rig.dir, 'rathole-server.toml'), join(rig.dir, 'rathole-client.toml')]
    writeFileSync(
      serverFile,
      `[server]\nbind_addr = "127.0.0.1:${control.inner}"\nheartbeat_interval = 1\n${token}[server.services.scorecard]\nbind_addr = "127.0.0.1:${entry.inner}"\n`,
    )
    writeFileSync(
      clientFile,
      `[client]\nremote_addr = "127.0.0.1:${control.outer}"\nheartbeat_timeout = 3\nretry_interval = 1\n${token}[client.services.scorecard]\nlocal_addr = "127.0.0.1:${ends.sinkPort}"\n`,
    )
    const command = { program: programOf('rathole'), args: ['--server', serverFile] }
    const server = await rig.server('rathole', command, { host: '127.0.0.1', port: control.inner })
    await rig.guard(server, control, entry)
    rig.program({ program: programOf('rathole'), args: ['--client', clientFile] })
    return { port: entry.outer, ...ends, servers: [server] }
  },
}

/** Its control port is fixed, so its server has an address of its own; `bore local` ends when it loses its server, hence the loop. */
export const bore: System = {
  ...peer('bore in a loop', 'tcp', ['bore'], 'npm run tools -- bore', ['--version']),
  async start(rig) {
    const ends = await tcpEnds(rig)
    const [tunnel = 0] = await freePorts(1)
    const [controlPort, innerHost] = [7835, '127.0.0.2']
    const control = { outer: controlPort, inner: controlPort, innerHost }
    const entry = { outer: tunnel, inner: tunnel, innerHost }
    const host = rig.proxied ? innerHost : '127.0.0.1'
    const command = { program: programOf('bore'), args: ['server', '--bind-addr', host, '--bind-tunnels', host] }
    const server = await rig.server('bore', command, { host, port: controlPort })
    await rig.guard(server, control, entry)
    rig.loop({ program: programOf('bore'), args: ['local', String(ends.sinkPort), '--to', '127.0.0.1', '--port', String(tunnel)] }, againMs)
    return { port: tunnel, ...ends, servers: [server] }
  },
}

function peer(
  system: string,
  carrier: string,
  programs: readonly string[],
  install: string,
  version: readonly string[],
): Omit<System, 'start'> {
  return {
    system,
    carrier,
    paths: '-',
    missing: () => (programs.every((name) => findProgram(name) !== undefined) ? undefined : install),
    version: () => versionOf(programs[0] ?? '', version),
  }
}

function programOf(name: string): string {
  const found = findProgram(name)
  if (found === undefined) throw new Error(`expected ${name} on PATH or among the tools; found none`)
  return found
}

function versionOf(name: string, args: readonly string[]): string {
  const { stdout, stderr } = spawnSync(programOf(name), args, { encoding: 'utf8' })
  return (
    (stdout || stderr)
      .split('\n')
      .find((line) => /\d/.test(line))
      ?.trim() ?? ''
  )
}
