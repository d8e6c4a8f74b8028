// A mesh in a workshop, as a user has it: `sennit mesh up`, users, and commands that use them.
import { readFileSync } from 'node:fs'
import { deadlineMs, type Json, type Program, until, Workshop } from './program.ts'

export interface RelayRow {
  readonly id: string
  readonly url: string
  readonly pid: number
  readonly adminUrl: string
}

export interface ConnectionRow {
  readonly id: string
  readonly peer: string
  readonly application: string
  readonly state: string
  readonly active: { readonly send: string | null; readonly receive: string | null }
  readonly standby: string | null
  readonly failovers: number
  readonly ranking: readonly Json[]
  readonly paths: readonly Json[]
  readonly modes: { readonly send: string; readonly receive: string; readonly short: string; readonly whole: boolean }
  readonly relayBytesSeen: Readonly<Record<string, number>>
}

export interface ClientRow {
  readonly pid: number
  readonly command: string
  readonly user: string
  readonly label: string
  readonly attachments: readonly {
    readonly relay: string
    readonly carrier: string
    readonly rttMs: number | null
    readonly localAddress?: string
  }[]
  readonly connections: readonly ConnectionRow[]
}

export class Mesh {
  readonly shop: Workshop
  readonly up: Program
  /** Where each relay runs now: `mesh up` started it, or a `sennit relay` after it. */
  readonly #pids = new Map<string, number>()
  readonly #restarted = new Map<string, Program>()

  private constructor(shop: Workshop, up: Program, relays: readonly RelayRow[]) {
    this.shop = shop
    this.up = up
    for (const relay of relays) this.#pids.set(relay.id, relay.pid)
  }

  /** A running mesh with the users alice and bob. */
  static async start(relays = 3, users: readonly string[] = ['alice', 'bob']): Promise<Mesh> {
    const shop = new Workshop()
    try {
      const up = shop.sennit('mesh', 'up', '--dir', 'mesh', '--relays', String(relays), '--json')
      const ready = await up.ready()
      const mesh = new Mesh(shop, up, ready.relays as RelayRow[])
      for (const user of users) await mesh.addUser(user)
      return mesh
    } catch (error) {
      await shop.close()
      throw error
    }
  }

  /** The options of a client command of `user`. */
  as(user: string, ...more: string[]): string[] {
    return ['--credential', `mesh/users/${user}.cred`, '--mesh', 'mesh', '--json', ...more]
  }

  async addUser(name: string, ...more: string[]): Promise<void> {
    const added = await this.shop.run('user', 'add', name, '--mesh', 'mesh', ...more)
    if (added.code !== 0) throw new Error(`expected user add ${name} to work; found ${added.code}: ${added.stderr}`)
  }

  /** The clients that `sennit status` shows. */
  async status(): Promise<ClientRow[]> {
    const asked = await this.shop.run('status', '--mesh', 'mesh', '--json')
    if (asked.code !== 0 || asked.json.length !== 1) throw new Error(`expected one line of status; found ${asked.stdout}${asked.stderr}`)
    return asked.json[0]?.clients as ClientRow[]
  }

  /** The first connection of the process, as status shows it. */
  async connectionOf(program: Program): Promise<ConnectionRow> {
    const client = (await this.status()).find((one) => one.pid === program.pid)
    const connection = client?.connections[0]
    if (connection === undefined) throw new Error(`expected a connection of pid ${program.pid}; found ${JSON.stringify(client)}`)
    return connection
  }

  /** Asks for the status until it fits; the deadline is for the whole. */
  async statusUntil(fits: (clients: ClientRow[]) => boolean, withinMs: number = deadlineMs): Promise<ClientRow[]> {
    const untilMs = performance.now() + withinMs
    for (;;) {
      const clients = await this.status()
      if (fits(clients)) return clients
      if (performance.now() > untilMs) throw new Error(`expected another status within ${withinMs} ms; found ${JSON.stringify(clients)}`)
    }
  }

  pidOf(relay: string): number {
    const pid = this.#pids.get(relay)
    if (pid === undefined) throw new Error(`no relay ${relay} runs`)
    return pid
  }

  /** `kill -9`. Resolves when it is dead. */
  async killRelay(relay: string): Promise<void> {
    const pid = this.pidOf(relay)
    process.kill(pid, 'SIGKILL')
    const own = this.#restarted.get(relay)
    if (own !== undefined) await own.end()
    else await this.up.line((line) => line.exited === true && line.pid === pid)
    this.#pids.delete(relay)
    this.#restarted.delete(relay)
  }

  /** Brings a dead relay back, as a user would. */
  async startRelay(relay: string): Promise<Program> {
    const program = this.shop.sennit('relay', '--config', `mesh/relays/${relay}.toml`, '--json')
    await program.ready()
    this.#pids.set(relay, program.pid)
    this.#restarted.set(relay, program)
    return program
  }

  get relayIds(): string[] {
    return [...this.#pids.keys()].sort()
  }

  async close(): Promise<void> {
    try {
      if (this.up.running) await this.up.stop()
    } finally {
      await this.shop.close()
    }
  }
}

/** Whether a process is there: a zombie, whose parent has not read its end yet, is not. */
export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** Resolves when none of the processes is there any more. */
export async function allGone(pids: readonly number[], withinMs: number): Promise<void> {
  await until(() => !pids.some(alive), `processes ${pids} to be gone`, withinMs)
}
