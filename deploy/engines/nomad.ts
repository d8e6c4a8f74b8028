// A real Nomad agent on loopback, server and client in one, from the cache of `npm run tools`.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { freePorts } from '@sennit/protocol/node'
import { type Program, until, type Workshop } from '../../cli/test/program.ts'
import { findTool } from '../../scripts/tools.mjs'

/** The agent's program; where it is missing, tests are left out, and a line says how to get it. */
export const nomadProgram: string | undefined = findTool('nomad')
if (nomadProgram === undefined) console.log('left out: tests with a real Nomad agent; npm run tools -- nomad builds one (10 to 15 minutes)')

export interface TaskEvent {
  readonly Type: string
  /** Nanoseconds since 1970. */
  readonly Time: number
  readonly DisplayMessage: string
  readonly ExitCode?: number
  readonly Details?: Readonly<Record<string, string>>
}

export interface Allocation {
  readonly ID: string
  readonly Name: string
  readonly JobVersion: number
  readonly ClientStatus: string
  readonly DesiredStatus: string
  readonly NodeName: string
  readonly DeploymentStatus?: { readonly Healthy?: boolean | null; readonly Timestamp?: string }
  readonly TaskStates: Readonly<
    Record<string, { readonly State: string; readonly Restarts: number; readonly Failed: boolean; readonly Events: readonly TaskEvent[] }>
  > | null
}

export interface NomadAnswer {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export class NomadProcess {
  readonly url: string
  readonly #shop: Workshop
  readonly #rpc: number
  readonly #consul: string

  private constructor(shop: Workshop, url: string, rpc: number, consul: string) {
    this.#shop = shop
    this.url = url
    this.#rpc = rpc
    this.#consul = consul
  }

  /** An agent that takes jobs, with the Consul agent at `consul` (`host:port`) for services. */
  static async start(shop: Workshop, consul: string): Promise<NomadProcess> {
    const [http = 0, rpc = 0, serf = 0] = await freePorts(3)
    const url = `http://127.0.0.1:${http}`
    // What it would ask of a cloud it is not in takes it seconds, and more than is here.
    writeFileSync(
      shop.path('nomad.hcl'),
      `bind_addr = "127.0.0.1"
disable_update_check = true
ports { http = ${http} rpc = ${rpc} serf = ${serf} }
advertise { http = "127.0.0.1:${http}" rpc = "127.0.0.1:${rpc}" serf = "127.0.0.1:${serf}" }
client {
  cpu_total_compute = 16000
  network_interface = "lo"
  options = { "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean" }
}
plugin "raw_exec" { config { enabled = true } }
consul { address = "${consul}" }
`,
    )
    const agent = shop.program(nomadProgram!, [
      'agent',
      '-dev',
      '-config',
      'nomad.hcl',
      '-data-dir',
      shop.path('nomad'),
      '-log-level',
      'WARN',
    ])
    // Run by root it mounts the secrets of each task, and leaves them so when it is killed.
    shop.onEnd(() => unmountAll(shop.path('nomad')))
    const nomad = new NomadProcess(shop, url, rpc, consul)
    await nomad.#when(agent, async () => (await nomad.#readyNodes()) >= 1)
    return nomad
  }

  /** One more machine, as far as Nomad knows: a client agent on loopback with a node of its own. */
  async addClient(name: string): Promise<void> {
    const ready = await this.#readyNodes()
    const [http, rpc, serf] = await freePorts(3)
    const folder = this.#shop.path(name)
    writeFileSync(
      `${folder}.hcl`,
      `name = "${name}"
bind_addr = "127.0.0.1"
data_dir = "${folder}"
disable_update_check = true
ports { http = ${http} rpc = ${rpc} serf = ${serf} }
advertise { http = "127.0.0.1:${http}" rpc = "127.0.0.1:${rpc}" serf = "127.0.0.1:${serf}" }
client {
  enabled = true
  servers = ["127.0.0.1:${this.#rpc}"]
  cpu_total_compute = 16000
  network_interface = "lo"
  options = { "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean" }
}
plugin "raw_exec" { config { enabled = true } }
consul { address = "${this.#consul}" }
`,
    )
    const agent = this.#shop.program(nomadProgram!, ['agent', '-config', `${folder}.hcl`, '-log-level', 'WARN'])
    this.#shop.onEnd(() => unmountAll(folder))
    await this.#when(agent, async () => (await this.#readyNodes()) > ready)
  }

  async #readyNodes(): Promise<number> {
    const nodes = (await this.#get('/v1/nodes')) as { Status: string; Drivers?: Record<string, { Healthy: boolean }> }[]
    return nodes.filter(({ Status, Drivers }) => Status === 'ready' && Drivers?.raw_exec?.Healthy === true).length
  }

  async nodeId(name: string): Promise<string> {
    const nodes = (await this.#get('/v1/nodes')) as { ID: string; Name: string }[]
    const found = nodes.find(({ Name }) => Name === name)
    if (found === undefined) throw new Error(`expected a node ${name}; found ${nodes.map(({ Name }) => Name).join(', ')}`)
    return found.ID
  }

  /** Runs `nomad …` to its end. */
  async run(args: readonly string[], withinMs = 120_000): Promise<NomadAnswer> {
    const program = this.#shop.program(nomadProgram!, args, { NOMAD_ADDR: this.url })
    const { code } = await program.end(withinMs)
    return { code, stdout: program.stdout, stderr: program.stderr }
  }

  async allocations(job: string): Promise<Allocation[]> {
    return (await this.#get(`/v1/job/${job}/allocations`)) as Allocation[]
  }

  /** Resolves with the job's allocations as soon as they fit. */
  async allocationsWhen(
    job: string,
    fits: (all: readonly Allocation[]) => boolean,
    what: string,
    withinMs = 60_000,
  ): Promise<Allocation[]> {
    let found: Allocation[] = []
    let over = false
    const ask = (): void => {
      void this.allocations(job)
        .then((all) => {
          found = all
        })
        .catch(() => {})
        .finally(() => {
          if (!over) setTimeout(ask, 100)
        })
    }
    ask()
    try {
      await until(() => fits(found), what, withinMs)
    } catch (error) {
      throw new Error(`${(error as Error).message}; found ${JSON.stringify(found)}`)
    } finally {
      over = true
    }
    return found
  }

  async #get(path: string): Promise<unknown> {
    const answer = await fetch(`${this.url}${path}`)
    if (!answer.ok) throw new Error(`expected Nomad to answer ${path}; found ${answer.status}: ${await answer.text()}`)
    return await answer.json()
  }

  async #when(agent: Program, isSo: () => Promise<boolean>): Promise<void> {
    let ready = false
    const ask = (): void => {
      void isSo()
        .catch(() => false)
        .then((is) => {
          ready = is
          if (!is && agent.running) setTimeout(ask, 100)
        })
    }
    ask()
    try {
      await until(() => ready || !agent.running, 'a Nomad agent with a ready node', 60_000)
    } finally {
      if (!ready) console.log(agent.stdout.slice(-4_000), agent.stderr.slice(-1_000))
    }
    if (!ready) throw new Error('expected a Nomad agent that runs; it ended')
  }
}

function unmountAll(folder: string): void {
  if (!existsSync('/proc/mounts')) return
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${folder}/`))
  if (mounts.length > 0) spawnSync('umount', mounts.reverse())
}
