// A web service behind `sennit expose`, in this process, and what a plain HTTP client makes of it.
import { createHash, randomBytes } from 'node:crypto'
import { createServer, get, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

const block = randomBytes(256 * 1024)
/** A block each turn of the clock makes a transfer last long enough for relays to be killed under it. */
const paceMs = 10

export interface Service {
  readonly port: number
  /** SHA-256 of the last body that was PUT. */
  readonly taken: () => string | undefined
  close(): Promise<void>
}

/** Serves `GET /BYTES` at a steady pace, `GET /fast/BYTES` as fast as it goes, and takes `PUT /`. */
export async function startService(): Promise<Service> {
  const sockets = new Set<Socket>()
  let taken: string | undefined
  const server = createServer((incoming, outgoing) => {
    if (incoming.method === 'PUT') {
      void hashOf(incoming).then(
        ({ sha256 }) => {
          taken = sha256
          outgoing.end(sha256)
        },
        () => {},
      )
      return
    }
    const [, way, size] = /^\/(fast\/)?(\d+)$/.exec(incoming.url ?? '') ?? []
    outgoing.setHeader('content-length', Number(size))
    if (way === undefined) pace(outgoing, Number(size))
    else flood(outgoing, Number(size))
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    port: (server.address() as AddressInfo).port,
    taken: () => taken,
    close: () =>
      new Promise((done) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => done())
      }),
  }
}

function pace(outgoing: ServerResponse, size: number): void {
  let left = size
  let full = false
  outgoing.on('drain', () => {
    full = false
  })
  const timer = setInterval(() => {
    if (full) return
    const bytes = Math.min(left, block.length)
    left -= bytes
    full = !outgoing.write(block.subarray(0, bytes))
    if (left > 0) return
    clearInterval(timer)
    outgoing.end()
  }, paceMs)
  outgoing.once('close', () => clearInterval(timer))
}

function flood(outgoing: ServerResponse, size: number): void {
  let left = size
  const write = (): void => {
    while (left > 0) {
      const bytes = Math.min(left, block.length)
      left -= bytes
      if (!outgoing.write(block.subarray(0, bytes))) {
        outgoing.once('drain', write)
        return
      }
    }
    outgoing.end()
  }
  write()
}

/** The hash of the first `size` bytes that the service gives. */
export function expectedHash(size: number): string {
  const hash = createHash('sha256')
  for (let left = size; left > 0; left -= block.length) hash.update(block.subarray(0, Math.min(left, block.length)))
  return hash.digest('hex')
}

export interface Body {
  readonly sha256: string
  readonly bytes: number
}

/** @param onBytes called with the bytes so far */
export function hashOf(message: IncomingMessage, onBytes: (bytes: number) => void = () => {}): Promise<Body> {
  return new Promise((done, fail) => {
    const hash = createHash('sha256')
    let bytes = 0
    message.on('data', (chunk: Buffer) => {
      hash.update(chunk)
      bytes += chunk.length
      onBytes(bytes)
    })
    message.once('end', () =>
      message.complete ? done({ sha256: hash.digest('hex'), bytes }) : fail(new Error(`cut after ${bytes} bytes`)),
    )
    message.once('error', fail)
    message.once('aborted', () => fail(new Error(`aborted after ${bytes} bytes`)))
  })
}

/** A download that calls `at[n].act` when so many bytes have come; the acts are waited for. */
export async function download(
  port: number,
  path: string,
  at: readonly { readonly bytes: number; act(): Promise<void> }[] = [],
): Promise<Body> {
  const acts: Promise<void>[] = []
  let next = 0
  const body = await new Promise<Body>((done, fail) => {
    get({ port, host: '127.0.0.1', path, agent: false }, (message) => {
      hashOf(message, (bytes) => {
        const due = at[next]
        if (due === undefined || bytes < due.bytes) return
        next += 1
        acts.push(due.act())
      }).then(done, fail)
    }).once('error', fail)
  })
  await Promise.all(acts)
  if (next < at.length) throw new Error(`expected ${at.length} acts during the download; found ${next}`)
  return body
}

/** An upload at the same steady pace, likewise. Resolves with what the service says it took. */
export async function upload(
  port: number,
  size: number,
  at: readonly { readonly bytes: number; act(): Promise<void> }[] = [],
): Promise<string> {
  const acts: Promise<void>[] = []
  const answer = await new Promise<string>((done, fail) => {
    const put = request(
      { port, host: '127.0.0.1', path: '/', method: 'PUT', agent: false, headers: { 'content-length': size } },
      (message) => {
        let text = ''
        message.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk
        })
        message.once('end', () => done(text))
      },
    )
    put.once('error', fail)
    let next = 0
    let left = size
    const timer = setInterval(() => {
      if (put.writableNeedDrain) return
      const bytes = Math.min(left, block.length)
      left -= bytes
      put.write(block.subarray(0, bytes))
      const due = at[next]
      if (due !== undefined && size - left >= due.bytes) {
        next += 1
        acts.push(due.act())
      }
      if (left > 0) return
      clearInterval(timer)
      put.end()
    }, paceMs)
    put.once('close', () => clearInterval(timer))
  })
  await Promise.all(acts)
  return answer
}
