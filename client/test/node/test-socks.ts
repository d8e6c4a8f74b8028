/** A small SOCKS5 server (RFC 1928, login of RFC 1929): what a client says to it is kept. */
import net, { type AddressInfo } from 'node:net'

export interface TestSocks {
  readonly port: number
  /** What was asked for: `name relay.example:80`, `address 127.0.0.1:80`. */
  readonly seen: string[]
  close(): Promise<void>
}

export interface TestSocksOptions {
  /** `user:password` demanded of everybody. */
  readonly login?: string
  /** Where names lead, whatever they are. @default 127.0.0.1 */
  readonly resolveTo?: string
  /** Answers every request with "not allowed by ruleset". */
  readonly refuses?: boolean
}

export async function startTestSocks(options: TestSocksOptions = {}): Promise<TestSocks> {
  const seen: string[] = []
  const open = new Set<net.Socket>()
  const keep = (socket: net.Socket): void => {
    open.add(socket)
    socket.on('close', () => open.delete(socket)).on('error', () => {})
  }
  const server = net.createServer((socket) => {
    keep(socket)
    let state: 'greeting' | 'login' | 'request' = 'greeting'
    let bytes = Buffer.alloc(0)
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk])
      for (;;) {
        if (state === 'greeting' && bytes.length >= 2 && bytes.length >= 2 + bytes[1]!) {
          const method = options.login === undefined ? 0 : 2
          const offered = bytes.subarray(2, 2 + bytes[1]!)
          bytes = bytes.subarray(2 + bytes[1]!)
          socket.write(Buffer.from([5, offered.includes(method) ? method : 0xff]))
          state = method === 0 ? 'request' : 'login'
        } else if (state === 'login' && bytes.length >= 2 && bytes.length >= 3 + bytes[1]! + (bytes[2 + bytes[1]!] ?? 256)) {
          const user = bytes.toString('utf8', 2, 2 + bytes[1]!)
          const at = 2 + bytes[1]!
          const password = bytes.toString('utf8', at + 1, at + 1 + bytes[at]!)
          bytes = bytes.subarray(at + 1 + bytes[at]!)
          const right = `${user}:${password}` === options.login
          socket.write(Buffer.from([1, right ? 0 : 1]))
          if (!right) return void socket.end()
          state = 'request'
        } else if (state === 'request' && bytes.length >= 7) {
          const named = bytes[3] === 3
          const length = named ? 1 + bytes[4]! : 4
          if (bytes.length < 4 + length + 2) return
          const host = named ? bytes.toString('latin1', 5, 4 + length) : [...bytes.subarray(4, 8)].join('.')
          const port = bytes.readUInt16BE(4 + length)
          seen.push(`${named ? 'name' : 'address'} ${host}:${port}`)
          const answer = (code: number): Buffer => Buffer.from([5, code, 0, 1, 127, 0, 0, 1, 0, 0])
          if (options.refuses) return void socket.end(answer(2))
          const rest = bytes.subarray(4 + length + 2)
          socket.off('data', onData)
          const onward = net.connect(port, named ? (options.resolveTo ?? '127.0.0.1') : host, () => {
            socket.write(answer(0))
            onward.write(rest)
            socket.pipe(onward)
            onward.pipe(socket)
          })
          keep(onward)
          onward.on('close', () => socket.destroy())
          socket.on('close', () => onward.destroy())
          return
        } else return
      }
    }
    socket.on('data', onData)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    async close() {
      for (const socket of open) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
