// Source and sink of Sennit used as a library: one connection, a stream of it for each numbered stream.
import { Client, type Connection } from '@sennit/client'
import { numberBytes, numberHeader, type Outlet, type OutletEvents } from './outlet.ts'
import { Sink } from './sink.ts'
import { serveSource } from './source.ts'

const application = 'scorecard'

/** How a role enters the mesh. */
export interface MeshEntry {
  readonly credential: string
  readonly relays: string
  readonly carrier: string
}

export async function runLibrarySource(entry: MeshEntry, user: string, paths: string, bytesPerSecond: number): Promise<void> {
  const client = await Client.open({ credential: entry.credential, relays: entry.relays, carriers: [entry.carrier] })
  let connection: Connection | undefined
  const connected = async (): Promise<Connection> => {
    if (connection !== undefined) return connection
    const made = await client.connect({ user, application, ...(paths === 'best' ? {} : { paths: paths as 'best' }) })
    connection = made
    void made.closed.then(() => {
      connection = undefined
    })
    return made
  }
  // A mode that this tree cannot do, or a peer that is not there, fails the start of the system, not its rounds.
  await connected()
  serveSource(async (number, _port, events) => openOutlet(await connected(), number, events), bytesPerSecond)
}

async function openOutlet(connection: Connection, number: number, events: OutletEvents): Promise<Outlet> {
  const stream = await connection.openStream({ header: numberHeader(number) })
  let ours = false
  let written = 0
  const cut = (why: string): void => {
    if (!ours) events.onCut(why)
    ours = true
  }
  stream.onDrain(() => events.onDrain())
  stream.onReset((code) => cut(`reset ${code}`))
  stream.onStopped((code) => cut(`stopped ${code}`))
  return {
    write: (bytes) => {
      if (ours) return false
      written += bytes.length
      return stream.write(bytes)
    },
    taken: () => written,
    end: () => {
      ours = true
      stream.end()
    },
    drop: () => {
      ours = true
      stream.reset()
    },
  }
}

export async function runLibrarySink(entry: MeshEntry): Promise<void> {
  const sink = new Sink()
  const client = await Client.open({ credential: entry.credential, relays: entry.relays, carriers: [entry.carrier] })
  const listener = await client.listen({ application })
  listener.onConnection((connection) => {
    connection.onStream((incoming) => {
      if (incoming.header.length !== numberBytes) return incoming.stop()
      const stream = sink.begin(Buffer.from(incoming.header).readUInt32LE(0))
      incoming.onData((bytes) => stream.take(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)))
      incoming.onEnd(() => {
        stream.over ??= 'ended'
        incoming.end()
      })
      incoming.onReset(() => {
        stream.over ??= 'cut'
      })
    })
  })
  sink.ready({})
  sink.serve()
}
