// The servers behind `expose`: nginx, PostgreSQL, sshd, each with a configuration, a port and a folder of its own.

import { createHash } from 'node:crypto'
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '@sennit/protocol/node'
import type { Workshop } from '../program.ts'
import { answers, isRoot, pathOf, runOnce } from './machine.ts'

export async function startNginx(shop: Workshop, bytesPerSecond: number): Promise<number> {
  for (const folder of ['www', 'www/up', 'tmp']) mkdirSync(shop.path(folder))
  const [port = 0] = await freePorts(1)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${shop.path('tmp', name)};`)
    .join(' ')
  writeFileSync(
    shop.path('nginx.conf'),
    `${isRoot ? 'user root;' : ''} worker_processes 1; pid ${shop.path('nginx.pid')}; error_log stderr; daemon off; master_process off;
     events { worker_connections 64; }
     http { access_log off; sendfile on; client_max_body_size 0; limit_rate ${bytesPerSecond}; ${temporary}
       server { listen 127.0.0.1:${port}; root ${shop.path('www')}; location /up/ { dav_methods PUT; } } }`,
  )
  shop.program(pathOf('nginx'), ['-e', 'stderr', '-p', shop.dir, '-c', shop.path('nginx.conf')])
  await answers(port)
  return port
}

/** PostgreSQL refuses to run as root; then it runs as the user that its package made. */
export async function startPostgres(shop: Workshop): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'sennit-postgres-'))
  shop.onEnd(() => rmSync(folder, { recursive: true, force: true }))
  const as: string[] = []
  if (isRoot) {
    const [uid, gid] = ['-u', '-g'].map((what) => Number(runOnce('id', what, 'postgres'))) as [number, number]
    chownSync(folder, uid, gid)
    as.push(pathOf('setpriv'), `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups')
  }
  const [port = 0] = await freePorts(1)
  const data = join(folder, 'data')
  const [program = '', ...args] = [
    ...as,
    pathOf('initdb'),
    '-D',
    data,
    '-U',
    'sennit',
    '-A',
    'trust',
    '--no-sync',
    '--locale=C',
    '-E',
    'UTF8',
  ]
  runOnce(program, ...args)
  const [first = '', ...rest] = [...as, pathOf('postgres'), '-D', data, '-p', String(port), '-k', folder, '-h', '127.0.0.1', '-F']
  shop.program(first, rest)
  await answers(port)
  return port
}

export interface SshService {
  readonly port: number
  /** Options and target of `ssh`, for a server behind `port`. */
  argsFor(port: number): string[]
}

export async function startSshd(shop: Workshop): Promise<SshService> {
  const home = shop.path('ssh')
  mkdirSync(home, { mode: 0o700 })
  for (const name of ['host', 'user']) runOnce('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(home, name))
  copyFileSync(join(home, 'user.pub'), join(home, 'authorized'))
  chmodSync(join(home, 'authorized'), 0o600)
  const [port = 0] = await freePorts(1)
  const settings = [
    ...[`Port ${port}`, 'ListenAddress 127.0.0.1', `HostKey ${join(home, 'host')}`, `AuthorizedKeysFile ${join(home, 'authorized')}`],
    ...['StrictModes no', 'UsePAM no', 'PidFile none', 'PermitRootLogin yes', 'PrintMotd no', ''],
  ]
  writeFileSync(join(home, 'sshd_config'), settings.join('\n'))
  if (isRoot) mkdirSync('/run/sshd', { recursive: true })
  shop.program(pathOf('sshd'), ['-D', '-e', '-f', join(home, 'sshd_config')])
  await answers(port)
  const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'BatchMode=yes']
  return {
    port,
    argsFor: (entry) => [
      ...['-F', 'none', '-tt', '-p', String(entry), '-i', join(home, 'user'), ...options.flatMap((option) => ['-o', option])],
      `${userInfo().username}@127.0.0.1`,
    ],
  }
}

/** Answers every text message of a WebSocket (RFC 6455) with its SHA-256, and a binary one with its bytes. */
export async function startWebSocketServer(shop: Workshop): Promise<number> {
  const server = createServer()
  const sockets = new Set<Socket>()
  server.on('upgrade', (request: IncomingMessage, socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
    let rest = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      for (let frame = readFrame(rest); frame !== undefined; frame = readFrame(rest)) {
        rest = rest.subarray(frame.bytes)
        if (frame.opcode === 8) socket.end(frameOf(8, frame.payload))
        else if (frame.opcode === 1) socket.write(frameOf(1, Buffer.from(createHash('sha256').update(frame.payload).digest('hex'))))
        else socket.write(frameOf(2, frame.payload))
      }
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  shop.onEnd(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** One whole masked frame, if it is there. Messages here are never fragmented. */
function readFrame(bytes: Buffer): { opcode: number; payload: Buffer; bytes: number } | undefined {
  if (bytes.length < 2) return undefined
  const short = bytes.readUInt8(1) & 0x7f
  const head = short === 127 ? 10 : short === 126 ? 4 : 2
  if (bytes.length < head + 4) return undefined
  const length = short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short
  if (bytes.length < head + 4 + length) return undefined
  const mask = bytes.subarray(head, head + 4)
  const payload = Buffer.from(bytes.subarray(head + 4, head + 4 + length).map((byte, index) => byte ^ (mask[index & 3] ?? 0)))
  return { opcode: bytes.readUInt8(0) & 0x0f, payload, bytes: head + 4 + length }
}

function frameOf(opcode: number, payload: Buffer): Buffer {
  const head = payload.length < 126 ? Buffer.from([0x80 | opcode, payload.length]) : Buffer.alloc(10)
  if (head.length === 10) {
    head.writeUInt8(0x80 | opcode, 0)
    head.writeUInt8(127, 1)
    head.writeBigUInt64BE(BigInt(payload.length), 2)
  }
  return Buffer.concat([head, payload])
}
