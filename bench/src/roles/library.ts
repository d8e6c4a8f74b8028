// Both ends of Sennit used as a library: streams for bulk and echo, messages for messages.
import { Client, type Connection, type Stream } from '@sennit/client'
import { messageBytes, warmUpOf, writeBytes } from './messages.ts'
import { percentiles } from './percentiles.ts'

export const benchApplication = 'bench'

/** Counts what streams and messages bring, and tells the other end. */
export async function runLibrarySink(credential: string, relayList: string): Promise<void> {
  const client = await Client.open({ credential, relays: relayList })
  const listener = await client.listen({ application: benchApplication })
  process.stdout.write(`${JSON.stringify({ ready: true })}\n`)
  for await (const connection of listener) {
    connection.onStream(serveStream)
    void countMessages(connection)
  }
}

function serveStream(stream: Stream): void {
  const mode = new TextDecoder().decode(stream.header)
  let bytes = 0
  stream.onReset(() => {})
  stream.onData((data) => {
    bytes += data.length
    if (mode === 'E') stream.write(data)
  })
  stream.onEnd(() => {
    const answer = Buffer.alloc(8)
    answer.writeDoubleBE(bytes)
    stream.write(answer)
    stream.end()
  })
}

/** An empty message asks for the count since the last one. */
async function countMessages(connection: Connection): Promise<void> {
  let count = 0
  try {
    for await (const message of connection) {
      if (message.length > 0) count += 1
      else {
        await connection.send(String(count))
        count = 0
      }
    }
  } catch {
    // The source ends without a farewell when it was interrupted; nothing to count then.
  }
}

export async function runLibrarySource(credential: string, relayList: string, user: string, mode: string, amount: number): Promise<void> {
  const client = await Client.open({ credential, relays: relayList })
  const connection = await client.connect({ user, application: benchApplication })
  const run = mode === 'M' ? messages : mode === 'E' ? echo : bulk
  await run(connection, warmUpOf(mode, amount))
  const result = await run(connection, amount)
  process.stdout.write(`${JSON.stringify(result)}\n`)
  await connection.close()
  await client.close()
}

async function bulk(connection: Connection, bytes: number): Promise<object> {
  const stream = await connection.openStream({ header: new TextEncoder().encode('B') })
  const block = Buffer.alloc(writeBytes)
  const startedMs = performance.now()
  const answered = new Promise<number>((done, fail) => {
    const parts: Uint8Array[] = []
    stream.onData((chunk) => parts.push(chunk))
    stream.onEnd(() => done(Buffer.concat(parts).readDoubleBE(0)))
    stream.onReset((code) => fail(new Error(`the stream was reset with ${code}`)))
  })
  let wake: (() => void) | undefined
  stream.onDrain(() => wake?.())
  for (let left = bytes; left > 0; left -= writeBytes) {
    const drained = new Promise<void>((done) => {
      wake = done
    })
    if (!stream.write(left >= writeBytes ? block : block.subarray(0, left))) await drained
  }
  stream.end()
  const received = await answered
  if (received !== bytes) throw new Error(`expected ${bytes} at the far end; found ${received}`)
  return { megabytesPerSecond: bytes / 1e6 / ((performance.now() - startedMs) / 1000) }
}

async function messages(connection: Connection, amount: number): Promise<object> {
  const startedMs = performance.now()
  for (let index = 0; index < amount; index += 1) {
    void connection.send(Buffer.allocUnsafe(messageBytes).fill(index & 0xff))
    // Waiting for each alone would measure promises; a careful program looks at the room there is, as a careful writer to a socket does.
    if (connection.writableBytes < writeBytes) await connection.drained()
  }
  await connection.send(new Uint8Array(0))
  const answer = await connection.receive({ timeoutMs: 60_000 })
  const received = Number(new TextDecoder().decode(answer))
  if (received !== amount) throw new Error(`expected ${amount} messages at the far end; found ${received}`)
  return { messagesPerSecond: amount / ((performance.now() - startedMs) / 1000) }
}

async function echo(connection: Connection, rounds: number): Promise<object> {
  const stream = await connection.openStream({ header: new TextEncoder().encode('E') })
  const message = Buffer.alloc(messageBytes)
  const times: number[] = []
  let received = 0
  let wake: (() => void) | undefined
  stream.onData((chunk) => {
    received += chunk.length
    if (received >= messageBytes) wake?.()
  })
  for (let index = 0; index < rounds; index += 1) {
    received = 0
    const startedMs = performance.now()
    const back = new Promise<void>((done) => {
      wake = done
    })
    stream.write(message)
    await back
    times.push((performance.now() - startedMs) * 1000)
  }
  stream.end()
  return percentiles(times)
}
