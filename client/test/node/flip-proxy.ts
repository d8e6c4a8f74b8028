/** A TCP proxy that flips single bits at chosen places of what goes through it, and nothing else. */
import net, { type AddressInfo, type Socket } from 'node:net'

export type FlipDirection = 'up' | 'down'

/** One flip: bit `bit` of byte number `at` (counted from now on, over the connections that live), in one direction. */
export interface Flip {
  readonly direction: FlipDirection
  readonly at: number
  readonly bit: number
}

export class FlipProxy {
  readonly #server: net.Server
  readonly #sockets = new Set<Socket>()
  readonly #passed: Record<FlipDirection, number> = { up: 0, down: 0 }
  #planned: { direction: FlipDirection; at: number; bit: number; done: () => void } | undefined

  private constructor(targetPort: number) {
    this.#server = net.createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
      const relay = net.connect({ port: targetPort, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
      this.#join(client, relay, 'up')
      this.#join(relay, client, 'down')
    })
  }

  static async listen(targetPort: number): Promise<FlipProxy> {
    const proxy = new FlipProxy(targetPort)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Bytes that went through so far. */
  passed(direction: FlipDirection): number {
    return this.#passed[direction]
  }

  /** Resolves when the byte came by and was changed. One at a time; a new one replaces the old. */
  flip({ direction, at, bit }: Flip): Promise<void> {
    return new Promise((done) => {
      this.#planned = { direction, at: this.#passed[direction] + at, bit, done }
    })
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #join(from: Socket, to: Socket, direction: FlipDirection): void {
    this.#sockets.add(from)
    from.on('data', (chunk: Buffer) => {
      const start = this.#passed[direction]
      this.#passed[direction] += chunk.length
      const planned = this.#planned
      if (planned?.direction === direction && planned.at >= start && planned.at < start + chunk.length) {
        const place = planned.at - start
        chunk[place] = chunk[place]! ^ (1 << planned.bit)
        this.#planned = undefined
        planned.done()
      }
      if (!to.write(chunk)) from.pause()
    })
    to.on('drain', () => from.resume())
    from.on('end', () => to.end())
    from.on('error', () => to.destroy())
    from.on('close', () => {
      this.#sockets.delete(from)
      to.destroy()
    })
  }
}
