// The far end of every TCP system. The first byte of a connection says what to do: `B` count bytes, `E` echo, `M` count length-prefixed messages.
import { type AddressInfo, createServer } from 'node:net'
import { createMessageCounter } from './messages.ts'

export function runTcpSink(): void {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    let mode: string | undefined
    let bytes = 0
    const messages = createMessageCounter()
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      let data = chunk
      if (mode === undefined) {
        mode = String.fromCharCode(chunk[0] ?? 0)
        data = chunk.subarray(1)
      }
      bytes += data.length
      if (mode === 'M') messages.push(data)
      if (mode === 'E' && data.length > 0) socket.write(data)
    })
    socket.on('end', () => {
      const answer = Buffer.alloc(8)
      answer.writeDoubleBE(mode === 'M' ? messages.count : bytes)
      socket.end(answer)
    })
  })
  server.listen(0, '127.0.0.1', () => {
    process.stdout.write(`${JSON.stringify({ ready: true, port: (server.address() as AddressInfo).port })}\n`)
  })
}
