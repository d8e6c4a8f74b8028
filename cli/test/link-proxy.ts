// The network before one relay, which knows its clients by the address they dial from: the cable of one address can be cut without a word.
import net, { type AddressInfo, type Socket } from 'node:net'

export class LinkProxy {
  readonly port: number
  readonly #server: net.Server
  readonly #target: number
  readonly #sockets = new Map<Socket, string>()
  readonly #cut = new Set<string>()

  private constructor(server: net.Server, target: number) {
    this.#server = server
    this.#target = target
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (socket) => this.#accept(socket))
  }

  /** @param target port of the relay on loopback */
  static async listen(target: number): Promise<LinkProxy> {
    const server = net.createServer({ noDelay: true, pauseOnConnect: true })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    return new LinkProxy(server, target)
  }

  /** Nothing comes from there or goes there any more, and what is dialled from there is never answered. */
  cut(address: string): void {
    this.#cut.add(address)
    for (const [socket, from] of this.#sockets) if (from === address) socket.unpipe().pause()
  }

  /** Addresses that something comes from now. */
  get addresses(): string[] {
    return [...new Set(this.#sockets.values())].sort()
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.keys()) socket.destroy()
    await new Promise<void>((done) => this.#server.close(() => done()))
  }

  #accept(client: Socket): void {
    const from = client.remoteAddress ?? ''
    const relay = net.connect({ host: '127.0.0.1', port: this.#target, noDelay: true })
    for (const [socket, other] of [
      [client, relay],
      [relay, client],
    ] as const) {
      this.#sockets.set(socket, from)
      socket.on('error', () => {})
      socket.once('close', () => {
        this.#sockets.delete(socket)
        // A cut cable brings no news of the other end.
        if (!this.#cut.has(from)) other.destroy()
      })
      if (!this.#cut.has(from)) socket.pipe(other)
    }
  }
}
