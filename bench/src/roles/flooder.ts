// A stranger that floods a relay: so many sockets a second, each of which does one bad thing until the relay ends it or a moment is over.
import net from 'node:net'

/** Sockets are begun in turns this far apart. */
const turnMs = 10
/** What the relay has not ended by then goes by itself, so that there are never more than this many milliseconds of sockets. */
const lifeMs = 500
/** One socket pours no more than this into a relay that goes on reading. */
const pourBytesMax = 4 * 1024 * 1024

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
])
const begin = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0, Buffer.alloc(0))])
const upgrade = 'GET /sennit/v1 HTTP/1.1\r\nHost: r\r\nConnection: Upgrade\r\nUpgrade: sennit/1\r\nSennit-First: \r\n\r\n'
const endHeaders = 4
const streamsReset = 300

/** Opens and resets stream after stream. */
function resets(): Buffer {
  const frames: Buffer[] = [begin]
  for (let stream = 1; stream < 2 * streamsReset; stream += 2)
    frames.push(frame(1, endHeaders, stream, call), frame(3, 0, stream, Buffer.from([0, 0, 0, 8])))
  return Buffer.concat(frames)
}

/** Lengths that name far more than ever comes: of an HTTP/2 frame, of a body, of a hop record. */
const huge = [
  Buffer.concat([begin, Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])]),
  Buffer.from(`POST /sennit/v1/http HTTP/1.1\r\nHost: r\r\nContent-Length: ${Number.MAX_SAFE_INTEGER}\r\n\r\n`),
  Buffer.concat([Buffer.from(upgrade), Buffer.from([0xff, 0xff])]),
]

/** A header that never ends. */
const headless = Buffer.concat([begin, frame(1, 0, 1, call)])
const more = Buffer.concat(Array.from({ length: 64 }, (_, index) => frame(9, 0, 1, field(`x-${index}`, 'y'.repeat(200)))))

type Flood = (socket: net.Socket, number: number) => void

const floods: Readonly<Record<string, Flood>> = {
  continuation: (socket) => {
    let poured = 0
    const pour = (): void => {
      while (!socket.destroyed && poured < pourBytesMax) {
        poured += more.length
        if (!socket.write(more)) return
      }
    }
    socket.on('drain', pour)
    socket.write(headless)
    pour()
  },
  resets: (socket) => void socket.write(resets()),
  'hang-up': (socket) => void socket.resetAndDestroy(),
  'half a header': (socket) => void socket.write('GET /sennit/v1 HTTP/1.1\r\nHost:', () => socket.resetAndDestroy()),
  'huge lengths': (socket, number) => void socket.write(huge[number % huge.length]!),
}

export const floodNames: readonly string[] = Object.keys(floods)

/** Floods until the process ends. */
export function runFlooder(port: number, name: string, socketsPerSecond: number): void {
  const flood = floods[name]
  if (flood === undefined) throw new Error(`expected one of ${floodNames.join(', ')}; found "${name}"`)
  let due = 0
  let begun = 0
  setInterval(() => {
    due += (socketsPerSecond * turnMs) / 1_000
    for (; due >= 1; due -= 1) {
      const number = begun++
      const socket = net.connect(port, '127.0.0.1', () => flood(socket, number))
      const timer = setTimeout(() => socket.destroy(), lifeMs)
      socket.on('error', () => {}).on('data', () => {})
      socket.on('close', () => clearTimeout(timer))
    }
  }, turnMs)
  process.stdout.write(`${JSON.stringify({ ready: true })}\n`)
}
