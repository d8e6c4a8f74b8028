// A real Slurm cluster on loopback: munged, one controller, two node daemons, from Debian's packages. Nothing outside its folder is touched.
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { freePorts } from '@sennit/protocol/node'
import { type Program, until, type Workshop } from '../../cli/test/program.ts'
import { findTool } from '../../scripts/tools.mjs'

const programs = ['munged', 'slurmctld', 'slurmd', 'sbatch', 'sinfo'].map((name) => ({ name, path: findTool('slurm', name) }))
const missing = programs.filter(({ path }) => path === undefined).map(({ name }) => name)

/** Why there is no Slurm here; undefined when there is. */
export const noSlurm: string | undefined =
  missing.length > 0
    ? `no ${missing.join(', ')}; apt-get install slurm-wlm munge`
    : process.getuid?.() === 0
      ? undefined
      : 'node daemons start jobs as their users, so they want root'
if (noSlurm !== undefined) console.log(`left out: tests with a real Slurm: ${noSlurm}`)

const pathOf = (name: string): string => programs.find((one) => one.name === name)!.path!

export class SlurmCluster {
  readonly #shop: Workshop
  readonly #environment: Readonly<Record<string, string>>

  private constructor(shop: Workshop, environment: Readonly<Record<string, string>>) {
    this.#shop = shop
    this.#environment = environment
  }

  /** A cluster of the nodes eu1 and us1, of four processors each as far as Slurm knows, both idle. */
  static async start(shop: Workshop): Promise<SlurmCluster> {
    const dir = shop.path('slurm')
    for (const name of ['', 'state', 'spool/eu1', 'spool/us1']) mkdirSync(`${dir}/${name}`, { recursive: true })
    chmodSync(shop.dir, 0o755)
    writeFileSync(`${dir}/munge.key`, randomBytes(128), { mode: 0o600 })
    const [controller, eu, us] = await freePorts(3)
    const host = hostname().split('.')[0]
    const settings = {
      ClusterName: 'sennit',
      SlurmctldHost: `${host}(127.0.0.1)`,
      SlurmctldPort: controller,
      SlurmUser: 'root',
      SlurmdUser: 'root',
      AuthType: 'auth/munge',
      AuthInfo: `socket=${dir}/munge.socket`,
      CredType: 'cred/munge',
      ProctrackType: 'proctrack/pgid',
      TaskPlugin: 'task/none',
      SelectType: 'select/cons_tres',
      SelectTypeParameters: 'CR_CPU',
      ReturnToService: 2,
      MpiDefault: 'none',
      SlurmdParameters: 'config_overrides',
      StateSaveLocation: `${dir}/state`,
      SlurmdSpoolDir: `${dir}/spool/%n`,
      SlurmctldPidFile: `${dir}/slurmctld.pid`,
      SlurmdPidFile: `${dir}/slurmd-%n.pid`,
      SlurmctldLogFile: `${dir}/slurmctld.log`,
      SlurmdLogFile: `${dir}/slurmd-%n.log`,
    }
    const node = (name: string, port: number | undefined, feature: string): string =>
      `NodeName=${name} NodeHostname=${host} NodeAddr=127.0.0.1 Port=${port} CPUs=4 Features=${feature}`
    const lines = [
      ...Object.entries(settings).map(([key, value]) => `${key}=${value}`),
      node('eu1', eu, 'eu'),
      node('us1', us, 'us'),
      'PartitionName=all Nodes=eu1,us1 Default=YES MaxTime=INFINITE State=UP',
    ]
    writeFileSync(`${dir}/slurm.conf`, `${lines.join('\n')}\n`)
    const environment = { SLURM_CONF: `${dir}/slurm.conf` }
    const cluster = new SlurmCluster(shop, environment)
    const start = (name: string, ...args: string[]): Program => shop.program(pathOf(name), args, environment)
    // --force: the folder lies in /tmp, which others may write to as well.
    const files = Object.entries({ 'key-file': 'key', 'log-file': 'log', 'pid-file': 'pid', 'seed-file': 'seed' })
    start('munged', '-F', '--force', '-S', `${dir}/munge.socket`, ...files.map(([option, end]) => `--${option}=${dir}/munge.${end}`))
    start('slurmctld', '-D', '-c')
    start('slurmd', '-D', '-N', 'eu1')
    start('slurmd', '-D', '-N', 'us1')
    await cluster.#idle()
    return cluster
  }

  /** `sbatch --wait`: runs a script as a job to its end. @param environment what `sbatch` finds, and hands on */
  batch(script: string, args: readonly string[], environment: Readonly<Record<string, string>>): Program {
    return this.#shop.program(pathOf('sbatch'), ['--wait', ...args, script], { ...this.#environment, ...environment })
  }

  async #idle(): Promise<void> {
    let nodes: string[] = []
    let over = false
    const ask = (): void => {
      const asked = this.#shop.program(pathOf('sinfo'), ['--noheader', '--Node', '--format=%N %T'], this.#environment)
      void asked.exited.then(() => {
        nodes = asked.stdout.trim().split('\n')
        if (!over) setTimeout(ask, 200)
      })
    }
    ask()
    try {
      await until(() => ['eu1 idle', 'us1 idle'].every((one) => nodes.includes(one)), 'two idle nodes of Slurm', 60_000)
    } finally {
      over = true
    }
  }
}
