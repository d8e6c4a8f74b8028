// Three relays from the shipped Nomad job, on a real Nomad agent beside a real Consul agent, found through Consul by clients whose every byte is checked:
// one relay is killed, one is drained, all are upgraded, and nothing is lost.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Client } from '@sennit/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConsulProcess, consulProgram } from '../../cli/test/consul.ts'
import { bin, until, Workshop } from '../../cli/test/program.ts'
import { CheckedLoad } from './checked-load.ts'
import { type Allocation, NomadProcess, nomadProgram, type TaskEvent } from './nomad.ts'

const job = 'sennit-relays'
const pairs = 3
const file = (name: string): string => fileURLToPath(new URL(`../nomad/${name}`, import.meta.url))

describe.skipIf(nomadProgram === undefined || consulProgram === undefined)('relays under Nomad', { timeout: 400_000 }, () => {
  const shop = new Workshop()
  const load = new CheckedLoad()
  let consul: ConsulProcess
  let nomad: NomadProcess

  beforeAll(async () => {
    consul = await ConsulProcess.start(shop)
    nomad = await NomadProcess.start(shop, consul.url.replace('consul://', ''))
    const made = await shop.run('mesh', 'init', 'mesh', '--relays', '3', '--directory', consul.url)
    expect(made.code, made.stderr).toBe(0)
    for (const user of users()) expect((await shop.run('user', 'add', user, '--mesh', 'mesh')).code).toBe(0)
  }, 200_000)
  afterAll(async () => {
    await load.close()
    // What it started runs in groups of its own: it must end them itself.
    if (nomad !== undefined) await nomad.run(['job', 'stop', '-purge', job]).catch(() => {})
    await shop.close()
  }, 120_000)

  /** Takes the job as shipped; what the machine decides is said by its variables. */
  async function runJob(version: string): Promise<void> {
    const variables = {
      identities: shop.path('mesh'),
      consul: consul.url.replace('consul://', ''),
      sennit: `${process.execPath} ${bin}`,
      user: '',
      healthy_for: '3s',
      version,
    }
    const words = Object.entries(variables).flatMap(([name, value]) => ['-var', `${name}=${value}`])
    const done = await nomad.run(['job', 'run', ...words, file('relays.nomad.hcl')], 240_000)
    expect(done.code, done.stdout + done.stderr).toBe(0)
    expect(done.stdout).toMatch(/Status\s+= successful/)
  }

  const running = (all: readonly Allocation[]): Allocation[] => all.filter(({ ClientStatus }) => ClientStatus === 'running')
  const relayOf = ({ Name }: Allocation): string => `r${Number(/\[(\d+)\]/.exec(Name)?.[1]) + 1}`
  const eventsOf = ({ TaskStates }: Allocation): readonly TaskEvent[] => TaskStates?.relay?.Events ?? []
  const endOf = (allocation: Allocation): string | undefined =>
    eventsOf(allocation)
      .filter(({ Type }) => Type === 'Terminated')
      .at(-1)?.DisplayMessage
  const active = (): string => load.connections[0]!.status()!.active.send!

  it('start from the shipped job, and clients find them through Consul', async () => {
    await runJob('1')
    await consul.knows(3)
    // Ports are Nomad's: the signer turns what registers into the list of the mesh, here as on the operator's machine.
    const signer = shop.sennit('mesh', 'sign', '--mesh', 'mesh', '--directory', consul.url, '--watch', '--json')
    await signer.line((line) => Array.isArray(line.relays) && line.relays.length === 3)
    expect(
      running(await nomad.allocations(job))
        .map(relayOf)
        .sort(),
    ).toEqual(['r1', 'r2', 'r3'])
    const credentials = users().map((user) => shop.path(`mesh/users/${user}.cred`))
    await load.open(credentials, consul.url)
    await load.goesOn(100)
    expect(
      load.clients[0]!.relays()
        .map(({ relay }) => relay)
        .sort(),
    ).toEqual(['r1', 'r2', 'r3'])
  })

  it('one that is killed is started again by Nomad', async () => {
    const victim = active()
    process.kill(pidOf(victim), 'SIGKILL')
    const all = await nomad.allocationsWhen(
      job,
      (found) =>
        found.some((one) => relayOf(one) === victim && one.TaskStates?.relay?.Restarts === 1 && one.TaskStates.relay.State === 'running'),
      `a restart of ${victim}`,
    )
    expect(running(all)).toHaveLength(3)
    await load.goesOn(100)
    expect(load.failovers).toBeGreaterThan(0)
    await backAt(victim)
  })

  it('one that is stopped drains: its clients leave it before it ends', async () => {
    const victim = active()
    const before = running(await nomad.allocations(job)).find((one) => relayOf(one) === victim)!
    const failovers = load.failovers
    const stopped = await nomad.run(['alloc', 'stop', before.ID])
    expect(stopped.code, stopped.stderr).toBe(0)
    const all = await nomad.allocationsWhen(
      job,
      (found) =>
        found.some(({ ID, ClientStatus }) => ID === before.ID && ClientStatus === 'complete') &&
        found.some((one) => one.ID !== before.ID && relayOf(one) === victim && one.ClientStatus === 'running'),
      `another ${victim}`,
    )
    expect(endOf(all.find(({ ID }) => ID === before.ID)!)).toBe('Exit Code: 0')
    expect([...load.drained]).toContain(victim)
    await backAt(victim)
    await load.goesOn(100)
    expect(load.failovers).toBe(failovers)
  })

  it('all are replaced one by one when the job changes, each when the last was healthy', async () => {
    const before = running(await nomad.allocations(job))
    await runJob('2')
    const all = await nomad.allocations(job)
    const after = running(all)
    expect(after.map(relayOf).sort()).toEqual(['r1', 'r2', 'r3'])
    expect(before.filter(({ ID }) => after.some((one) => one.ID === ID))).toEqual([])
    const turns = before.map((old) => {
      const ended = all.find(({ ID }) => ID === old.ID)!
      const next = after.find((one) => relayOf(one) === relayOf(old))!
      expect(endOf(ended)).toBe('Exit Code: 0')
      const stoppedMs = eventsOf(ended).find(({ Type }) => Type === 'Killing')!.Time / 1e6
      return { relay: relayOf(old), stoppedMs, healthyMs: Date.parse(next.DeploymentStatus!.Timestamp!) }
    })
    turns.sort((one, other) => one.stoppedMs - other.stoppedMs)
    for (const [place, { stoppedMs }] of turns.entries())
      if (place > 0) expect(stoppedMs).toBeGreaterThanOrEqual(turns[place - 1]!.healthyMs)
    await load.goesOn(100)
  })

  it('and nothing was lost, doubled, moved or changed', async () => {
    const { damage, ...result } = await load.end()
    console.log(`relays under Nomad: ${JSON.stringify(result)}`)
    expect(damage).toEqual({ lost: 0, duplicated: 0, reordered: 0, corrupted: 0, unexpected: 0 })
    expect(result.messages).toBeGreaterThan(pairs * 2 * 400)
  })

  it('the job for containers is the same but for its driver', async () => {
    const parsed = await Promise.all(
      ['relays.nomad.hcl', 'relays-container.nomad.hcl'].map(async (name) => {
        const valid = await nomad.run(['job', 'validate', file(name)])
        expect(valid.code, valid.stdout + valid.stderr).toBe(0)
        const printed = await nomad.run(['job', 'run', '-output', '-var', 'user=sennit', file(name)])
        return JSON.parse(printed.stdout) as { Job: { TaskGroups: { Tasks: { Driver: string; Config: { args: string[] } }[] }[] } }
      }),
    )
    const [host, container] = parsed.map(({ Job }) => Job.TaskGroups[0]!.Tasks[0]!)
    expect([host!.Driver, container!.Driver]).toEqual(['raw_exec', 'docker'])
    const options = (task: typeof host): string => task!.Config.args.at(-1)!.replace(/^.*?--config \/etc\/sennit\//, '')
    expect(options(host)).toBe(options(container))
    for (const task of [host!, container!]) Object.assign(task, { Driver: '', Config: { args: [] } })
    expect(parsed[0]).toEqual(parsed[1])
  })

  it('stop with the job: each leaves Consul by itself', async () => {
    const stopped = await nomad.run(['job', 'stop', '-purge', job])
    expect(stopped.code, stopped.stderr).toBe(0)
    await until(() => ['r1', 'r2', 'r3'].every((relay) => pidsOf(relay).length === 0), 'the relays to end', 60_000)
    await consul.knowsNone()
  })

  /** Listeners sit on every relay: resolves when they sit on this one again. */
  async function backAt(relay: string): Promise<void> {
    await until(() => load.listeners.every((one) => isAttached(one, relay)), `listeners at ${relay} again`, 60_000)
  }

  function isAttached(client: Client, relay: string): boolean {
    return client.status().attachments.some((one) => one.relay === relay)
  }

  function users(): string[] {
    return Array.from({ length: pairs * 2 }, (_, index) => `u${index + 1}`)
  }

  function pidsOf(relay: string): number[] {
    const config = shop.path(`mesh/relays/${relay}.toml`)
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
          return words[0] === process.execPath && words.includes(config)
        } catch {
          return false
        }
      })
      .map(Number)
  }

  function pidOf(relay: string): number {
    const [pid, ...others] = pidsOf(relay)
    if (pid === undefined || others.length > 0) throw new Error(`expected one process of ${relay}; found ${[pid, ...others]}`)
    return pid
  }
})
