// The near end of every TCP system: one connection, one measurement, one JSON line.
import { connect, type Socket } from 'node:net'
import { filledWrites, messageBytes, warmUpOf, writeBytes } from './messages.ts'
import { percentiles } from './percentiles.ts'

export async function runTcpSource(port: number, mode: string, amount: number): Promise<void> {
  await once(port, mode, warmUpOf(mode, amount))
  process.stdout.write(`${JSON.stringify(await once(port, mode, amount))}\n`)
}

async function once(port: number, mode: string, amount: number): Promise<object> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  await new Promise<void>((done, fail) => {
    socket.once('connect', done)
    socket.once('error', fail)
  })
  const result = mode === 'E' ? await echo(socket, amount) : await push(socket, mode, amount)
  socket.destroy()
  return result
}

async function push(socket: Socket, mode: string, amount: number): Promise<object> {
  const startedMs = performance.now()
  const answered = new Promise<number>((done, fail) => {
    const parts: Buffer[] = []
    socket.on('data', (chunk: Buffer) => parts.push(chunk))
    socket.on('end', () => done(Buffer.concat(parts).readDoubleBE(0)))
    socket.on('error', fail)
  })
  socket.write(mode)
  const writes = mode === 'M' ? filledWrites(amount) : zeroWrites(amount)
  for (const write of writes) if (!socket.write(write)) await new Promise((done) => socket.once('drain', done))
  socket.end()
  const received = await answered
  if (received !== amount) throw new Error(`expected ${amount} at the far end; found ${received}`)
  const seconds = (performance.now() - startedMs) / 1000
  return mode === 'M' ? { messagesPerSecond: amount / seconds } : { megabytesPerSecond: amount / 1e6 / seconds }
}

function* zeroWrites(bytes: number): Generator<Buffer> {
  const block = Buffer.alloc(writeBytes)
  for (let left = bytes; left > 0; left -= writeBytes) yield left >= writeBytes ? block : block.subarray(0, left)
}

async function echo(socket: Socket, rounds: number): Promise<object> {
  const message = Buffer.alloc(messageBytes)
  const times: number[] = []
  let received = 0
  let wake: (() => void) | undefined
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length
    if (received >= messageBytes) wake?.()
  })
  socket.write('E')
  for (let index = 0; index < rounds; index += 1) {
    received = 0
    const startedMs = performance.now()
    const back = new Promise<void>((done) => {
      wake = done
    })
    socket.write(message)
    await back
    times.push((performance.now() - startedMs) * 1000)
  }
  return percentiles(times)
}
