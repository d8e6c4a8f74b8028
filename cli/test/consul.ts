// A real Consul agent on loopback, from the cache of `npm run tools`.
import { freePorts } from '@sennit/protocol/node'
import { findTool } from '../../scripts/tools.mjs'
import { type Program, until, type Workshop } from './program.ts'

/** The agent's program; where it is missing, tests are left out, and a line says how to get it. */
export const consulProgram: string | undefined = findTool('consul')
if (consulProgram === undefined)
  console.log('left out: tests with a real Consul agent; npm run tools -- consul builds one (10 to 15 minutes)')

export class ConsulProcess {
  readonly url: string
  readonly #shop: Workshop
  readonly #ports: readonly number[]
  readonly #data: string
  #program: Program | undefined

  private constructor(shop: Workshop, ports: readonly number[]) {
    this.#shop = shop
    this.#ports = ports
    this.#data = shop.path('consul')
    this.url = `consul://127.0.0.1:${ports[0]}`
  }

  static async start(shop: Workshop): Promise<ConsulProcess> {
    const consul = new ConsulProcess(shop, await freePorts(7))
    await consul.start()
    return consul
  }

  /** Starts it, with what it had on disk, or with nothing. */
  async start(empty = false): Promise<void> {
    const [http, dns, server, lan, wan, grpc, grpcTls] = this.#ports
    const data = empty ? `${this.#data}-${Date.now()}` : this.#data
    const ports = Object.entries({
      'http-port': http,
      'dns-port': dns,
      'server-port': server,
      'serf-lan-port': lan,
      'serf-wan-port': wan,
      'grpc-port': grpc,
      'grpc-tls-port': grpcTls,
    })
    const args = [
      'agent',
      '-server',
      '-bootstrap-expect',
      '1',
      '-data-dir',
      data,
      '-bind',
      '127.0.0.1',
      '-client',
      '127.0.0.1',
      '-disable-host-node-id',
      '-log-level',
      'error',
    ]
    this.#program = this.#shop.program(consulProgram!, [...args, ...ports.flatMap(([name, port]) => [`-${name}`, String(port)])], {})
    const leader = async (): Promise<boolean> => {
      const answer = await fetch(`http://127.0.0.1:${http}/v1/kv/ready`, { method: 'PUT', body: 'yes' }).catch(() => undefined)
      return (await answer?.text()) === 'true'
    }
    let ready = false
    const ask = (): void => {
      void leader().then((is) => {
        ready = is
        if (!is && this.#program?.running === true) setTimeout(ask, 50)
      })
    }
    ask()
    await until(() => ready, 'a Consul agent that leads', 60_000)
  }

  /** Resolves when so many relays are registered. */
  async knows(count: number): Promise<void> {
    await this.#knows((found) => found >= count, `${count} relays registered`)
  }

  /** Resolves when no relay is registered any more. */
  async knowsNone(): Promise<void> {
    await this.#knows((found) => found === 0, 'no relay registered')
  }

  async #knows(fits: (count: number) => boolean, what: string): Promise<void> {
    let found = -1
    const isSo = (): boolean => found >= 0 && fits(found)
    const ask = (): void => {
      void fetch(`http://127.0.0.1:${this.#ports[0]}/v1/health/service/sennit-relay`)
        .then((answer) => answer.json())
        .then((rows) => {
          found = (rows as unknown[]).length
        })
        .catch(() => {})
        .finally(() => {
          if (!isSo() && this.#program?.running === true) setTimeout(ask, 50)
        })
    }
    ask()
    await until(isSo, what, 30_000)
  }

  /** Registers something under the name of relays. */
  async register(id: string, meta: Record<string, string>): Promise<void> {
    const body = JSON.stringify({ ID: id, Name: 'sennit-relay', Port: 1, Meta: meta })
    const answer = await fetch(`http://127.0.0.1:${this.#ports[0]}/v1/agent/service/register`, { method: 'PUT', body })
    if (!answer.ok) throw new Error(`expected the agent to take a registration; found ${answer.status}`)
  }

  /** As by kill -9. */
  async kill(): Promise<void> {
    this.#program?.signal('SIGKILL')
    await this.#program?.end()
  }

  freeze(): void {
    this.#program?.signal('SIGSTOP')
  }

  thaw(): void {
    this.#program?.signal('SIGCONT')
  }
}
