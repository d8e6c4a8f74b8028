// Source and sink of every system that is entered and left by a TCP socket.
import { type AddressInfo, connect, createServer } from 'node:net'
import { numberBytes, numberHeader, type Outlet, type OutletEvents } from './outlet.ts'
import { Sink, type SinkStream } from './sink.ts'
import { serveSource } from './source.ts'

/** A dial that takes longer has failed; the scorecard dials again. */
const connectMs = 2_000

export function runTcpSource(bytesPerSecond: number): void {
  serveSource(openSocket, bytesPerSecond)
}

function openSocket(number: number, port: number, events: OutletEvents): Promise<Outlet> {
  return new Promise((done, fail) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true })
    let ours = false
    let why = ''
    const timer = setTimeout(() => socket.destroy(new Error(`no connection within ${connectMs} ms`)), connectMs)
    socket.on('error', (error: NodeJS.ErrnoException) => {
      why = error.code ?? error.message
      fail(error)
    })
    socket.on('drain', () => events.onDrain())
    // The sink says nothing, so an end from there is a cut of the system in between.
    socket.on('end', () => {
      why ||= 'ended'
      socket.destroy()
    })
    socket.on('close', () => {
      if (!ours) events.onCut(why || 'closed')
    })
    socket.resume()
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.write(numberHeader(number))
      done({
        write: (bytes) => socket.write(bytes),
        taken: () => Math.max(0, socket.bytesWritten - socket.writableLength - numberBytes),
        end: () => {
          ours = true
          socket.end()
        },
        drop: () => {
          ours = true
          socket.destroy()
        },
      })
    })
  })
}

export function runTcpSink(): void {
  const sink = new Sink()
  const server = createServer({ noDelay: true }, (socket) => {
    let stream: SinkStream | undefined
    let header = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      if (stream !== undefined) return stream.take(chunk)
      header = Buffer.concat([header, chunk])
      if (header.length < numberBytes) return
      stream = sink.begin(header.readUInt32LE(0))
      if (header.length > numberBytes) stream.take(header.subarray(numberBytes))
    })
    socket.on('end', () => {
      if (stream !== undefined) stream.over ??= 'ended'
    })
    socket.on('close', () => {
      if (stream !== undefined) stream.over ??= 'cut'
    })
  })
  server.listen(0, '127.0.0.1', () => sink.ready({ port: (server.address() as AddressInfo).port }))
  sink.serve()
}
