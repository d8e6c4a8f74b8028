/** Guards the private options of grpc-js that the relay sets: without them an upload is capped at 64 KiB per round trip. */

import { connect } from 'node:http2'
import net from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sessionWindowBytes, streamWindowBytes } from '../../src/node/grpc-front.ts'
import { decodeChunk, encodeChunk } from '../../src/node/grpc-service.ts'
import { type LiveMesh, liveMesh } from './live.ts'

describe('the gRPC server', () => {
  let mesh: LiveMesh
  beforeAll(async () => {
    mesh = await liveMesh()
  })
  afterAll(() => mesh.end())

  it('advertises its windows and limits', async () => {
    const session = connect(mesh.relay.url)
    const settings = await new Promise<Record<string, unknown>>((resolve, reject) => {
      session.on('error', reject)
      session.once('remoteSettings', (found) => resolve(found as unknown as Record<string, unknown>))
    })
    expect(settings).toMatchObject({ initialWindowSize: streamWindowBytes, maxConcurrentStreams: 8, maxHeaderListSize: 8192 })
    // The session's own window comes as a WINDOW_UPDATE; a PING behind it says that it has arrived.
    await new Promise((resolve) => session.ping(resolve))
    expect(session.state.remoteWindowSize).toBe(sessionWindowBytes)
    session.destroy()
  })

  it('does not mistake a reset socket for anything else', async () => {
    const socket = net.connect(mesh.relay.ports[0]!, '127.0.0.1')
    await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    await new Promise<void>((resolve) => socket.once('data', () => resolve()))
    socket.resetAndDestroy()
    expect(mesh.relay.stats().attachments).toEqual({})
  })
})

describe('a Chunk', () => {
  it.each([0, 1, 127, 128, 16_383, 16_384, 70_000])('of %i bytes survives', (length) => {
    const data = new Uint8Array(length).fill(7)
    const encoded = encodeChunk({ pieces: [data.subarray(0, length >> 1), data.subarray(length >> 1)] })
    expect(Buffer.concat(decodeChunk(encoded).pieces).equals(data)).toBe(true)
  })

  it('is read past fields that are not known', () => {
    const message = Buffer.from([0x10, 0x96, 0x01, 0x0a, 2, 65, 66, 0x1d, 1, 2, 3, 4, 0x22, 1, 9])
    expect(Buffer.concat(decodeChunk(message).pieces).toString()).toBe('AB')
  })

  it.each([[0x0a, 5, 1], [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [0x0b], [0x80]])(
    'that is malformed is a ProtocolError (%#)',
    (...message) => {
      expect(() => decodeChunk(Uint8Array.from(message))).toThrowError(expect.objectContaining({ code: 'malformed' }))
    },
  )
})
