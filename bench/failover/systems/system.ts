/** What the scorecard knows of a system: how to start it, where its stream is entered, and which processes in the middle faults may hit. */
import { accessSync, constants } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { freePorts } from '@sennit/protocol/node'
import { type Command, Loop, Role, Running, Server } from '../processes.ts'

export interface System {
  readonly system: string
  readonly carrier: string
  readonly paths: string
  /** How many servers stand in the middle, each in a failure domain of its own; for systems that can have them in different numbers. */
  readonly relays?: number
  /** The command that installs what is missing on this machine, or undefined when it can run. */
  missing(): string | undefined
  /** What runs here, for the page: a version line. */
  version(): string
  start(rig: Rig): Promise<Started>
}

/** A system that runs. */
export interface Started {
  /** Where the source enters; 0 when the source is the library itself. */
  readonly port: number
  readonly source: Role
  readonly sink: Role
  /** Any of them may be hit; those that carry nothing are spared. */
  readonly servers: readonly Server[]
}

/** Where a server is reached, on 127.0.0.1, and where it listens. */
export interface Place {
  readonly outer: number
  readonly inner: number
  readonly innerHost?: string
}

/** Collects what a system starts, so that all of it ends. */
export class Rig {
  readonly dir: string
  /** Servers stand behind fault proxies: for faults of the network. */
  readonly proxied: boolean
  readonly bytesPerSecond: number
  readonly #ends: (() => void)[] = []
  readonly #proxies = new Map<Server, Role[]>()
  #onCut: (event: Record<string, unknown>) => void = () => {}
  #streams = 0

  constructor(dir: string, proxied: boolean, bytesPerSecond: number) {
    this.dir = dir
    this.proxied = proxied
    this.bytesPerSecond = bytesPerSecond
  }

  /** A number for a new stream: none is used twice. */
  nextStream(): number {
    this.#streams += 1
    return this.#streams
  }

  /** Called when the source says that its stream was cut. */
  onCut(callback: (event: Record<string, unknown>) => void): void {
    this.#onCut = callback
  }

  async role(name: string, ...args: (string | number)[]): Promise<{ role: Role; facts: Record<string, unknown> }> {
    const role = new Role(name, args, (event) => this.#onCut(event))
    this.#ends.push(() => role.running.signal('SIGKILL'))
    return { role, facts: await role.ready() }
  }

  /** A program that stays: an agent, a bridge. */
  program(command: Command): Running {
    const running = new Running(command, 'quiet')
    this.#ends.push(() => running.signalTree('SIGKILL'))
    return running
  }

  loop(command: Command, restartMs: number): void {
    const loop = new Loop(command, restartMs)
    this.#ends.push(() => loop.end())
  }

  async server(name: string, command: Command, port: { readonly host: string; readonly port: number }): Promise<Server> {
    const server = new Server(name, command, port)
    this.#ends.push(() => server.end())
    await server.start()
    return server
  }

  /** A port for a server to be reached at, and the port where it listens: two when a fault proxy is to stand between. */
  async place(): Promise<Place> {
    const [outer = 0, inner = 0] = await freePorts(2)
    return this.proxied ? { outer, inner } : { outer, inner: outer }
  }

  /** Puts fault proxies before places of a server, for faults of the network; for other faults there are none. */
  async guard(server: Server, ...places: readonly Place[]): Promise<void> {
    if (!this.proxied) return
    for (const { outer, inner, innerHost = '127.0.0.1' } of places) {
      const { role } = await this.role('fault-proxy', outer, innerHost, inner)
      this.#proxies.set(server, [...(this.#proxies.get(server) ?? []), role])
    }
  }

  async network(server: Server, what: 'cut' | 'heal' | 'reset'): Promise<void> {
    await Promise.all((this.#proxies.get(server) ?? []).map((proxy) => proxy.ask(what)))
  }

  end(): void {
    for (const end of this.#ends.splice(0).reverse()) end()
  }
}

/** The TCP source and sink of a system between sockets. */
export async function tcpEnds(rig: Rig): Promise<{ source: Role; sink: Role; sinkPort: number }> {
  const sink = await rig.role('tcp-sink')
  const source = await rig.role('tcp-source', rig.bytesPerSecond)
  return { source: source.role, sink: sink.role, sinkPort: Number(sink.facts.port) }
}

/** Where `npm run tools` puts what it installs. */
export const toolsDir: string = process.env.SENNIT_TOOLS_DIR ?? join(homedir(), '.cache', 'sennit-tools')

/** The path of a program: of the tools, else of PATH or where Debian keeps servers. */
export function findProgram(name: string): string | undefined {
  const places = [
    join(toolsDir, name, 'bin', name),
    join(toolsDir, 'bin', name),
    join(toolsDir, name, name),
    ...[...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
      .filter((folder) => folder !== '')
      .map((folder) => join(folder, name)),
  ]
  return places.find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
