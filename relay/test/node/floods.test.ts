/** Strangers that never stop sending: each costs one refusal and one closed socket, and the relay goes on for the others. */

import net from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LiveClient, type LiveMesh, liveMesh } from './live.ts'
import { dialUpgrade } from './raw-carriers.ts'

async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

/** Sends chunk after chunk, as fast as they are taken, until the relay ends the socket. Resolves with the bytes that were taken. */
function flood(port: number, head: Buffer, chunk: () => Buffer): Promise<number> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.write(head)
      pour()
    })
    const pour = (): void => {
      while (!socket.destroyed && socket.write(chunk()));
    }
    socket.on('drain', () => setImmediate(pour))
    socket.on('data', () => {})
    socket.on('error', () => {})
    socket.on('close', () => resolve(socket.bytesWritten - socket.writableLength))
  })
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)])
const field = (name: string, value: string): Buffer => Buffer.concat([Buffer.from([0]), text(name), text(value)])
const call = Buffer.concat([
  field(':method', 'POST'),
  field(':scheme', 'http'),
  field(':path', '/sennit.v1.Relay/Attach'),
  field(':authority', 'r'),
  field('content-type', 'application/grpc'),
  field('te', 'trailers'),
])
const http2Begin = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0, Buffer.alloc(0))])

/** Opens and resets a hundred streams at a time. */
function rapidResets(): () => Buffer {
  let stream = 1
  return () => {
    const frames: Buffer[] = []
    for (let pair = 0; pair < 100; pair += 1, stream += 2) {
      frames.push(frame(1, 4, stream, call), frame(3, 0, stream, Buffer.from([0, 0, 0, 8])))
    }
    return Buffer.concat(frames)
  }
}

const noise = Buffer.from(Array.from({ length: 65_536 }, (_, index) => (index * 197 + 91) % 256))
const upgrade = Buffer.from('GET /sennit/v1 HTTP/1.1\r\nHost: r\r\nConnection: Upgrade\r\nUpgrade: sennit/1\r\nSennit-First: \r\n\r\n')

const rows: { does: string; head: Buffer; chunk: () => () => Buffer; reason: string; bytesMax: number }[] = [
  { does: 'opens and resets streams without end', head: http2Begin, chunk: rapidResets, reason: 'http2_streams', bytesMax: 16e6 },
  { does: 'sends garbage without end', head: Buffer.alloc(0), chunk: () => () => noise, reason: 'http_malformed', bytesMax: 16e6 },
  {
    does: 'sends garbage without end after the upgrade',
    head: upgrade,
    chunk: () => () => noise,
    reason: 'handshake_too_large',
    bytesMax: 16e6,
  },
]

describe('when every place of strangers is taken', () => {
  it('the oldest one goes, and a client comes in', { timeout: 20_000 }, async () => {
    const mesh = await liveMesh({ change: (config) => ({ ...config, limits: { ...config.limits, openUnauthenticated: 3 } }) })
    const ended: number[] = []
    const idle: net.Socket[] = []
    for (const number of [1, 2, 3]) {
      const socket = net.connect(mesh.relay.ports[0]!, '127.0.0.1').on('error', () => {})
      socket.on('close', () => ended.push(number))
      idle.push(socket)
      await eventually(() => mesh.relay.stats().unauthenticated === number)
    }
    const client = new LiveClient(mesh, await mesh.identity('alice'), 'upgrade', dialUpgrade)
    await client.until(() => client.established, 'attached while strangers hold every place')
    await eventually(() => ended.length > 0)
    expect(ended).toEqual([1])
    expect(mesh.relay.stats().refusals).toMatchObject({ evicted: 1 })
    client.close()
    for (const socket of idle) socket.destroy()
    await mesh.end()
  })
})

describe('a stranger that', () => {
  let mesh: LiveMesh
  beforeAll(async () => {
    mesh = await liveMesh()
  })
  afterAll(() => mesh.end())

  it.each(rows)('$does is refused once and not read any more', { timeout: 20_000 }, async ({ head, chunk, reason, bytesMax }) => {
    const before = mesh.relay.stats().refusals[reason] ?? 0
    const taken = await flood(mesh.relay.ports[0]!, head, chunk())
    expect(mesh.relay.stats().refusals[reason]).toBe(before + 1)
    // What fits into the buffers of the kernel and of one read; reading for a second would be hundreds of megabytes.
    expect(taken).toBeLessThan(bytesMax)
    const client = new LiveClient(mesh, await mesh.identity('alice'), 'upgrade', dialUpgrade)
    await client.until(() => client.established, 'attached after the stranger')
    client.close()
  })
})
