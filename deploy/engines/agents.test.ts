// One workbook on one process, and on four agents that Slurm, Nomad and ssh start from what is shipped: the same counts, one verdict, and a run whose
// agent is killed is inconclusive and says whose.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { freePorts } from '@sennit/protocol/node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConsulProcess, consulProgram } from '../../cli/test/consul.ts'
import { bin, type Program, Workshop } from '../../cli/test/program.ts'
import { startSshd } from '../../cli/test/programs/servers.ts'
import { compareRuns, type Summary } from '../../loadtest/src/index.ts'
import { findTool } from '../../scripts/tools.mjs'
import { NomadProcess, nomadProgram } from './nomad.ts'
import { noSlurm, SlurmCluster } from './slurm.ts'

const agents = 4
const token = 'a-token-of-this-test'
const file = (name: string): string => fileURLToPath(new URL(`../agents/${name}`, import.meta.url))
const sennit = `${process.execPath} ${bin}`

interface Book {
  readonly name: string
  readonly seconds: number
  readonly clients: number
  readonly rate: string
  /** Keys of `Run` and sheets besides those of every workbook here. */
  readonly run?: Readonly<Record<string, string>>
  readonly sheets?: Readonly<Record<string, readonly object[]>>
}

/** A text twin as JSON. What the machine is busy with besides is no business of these tests. */
function bookOf({ name, seconds, clients, rate, run = {}, sheets = {} }: Book): string {
  const keys = { name, duration: `${seconds}s`, warmup: '4s', loop_delay_p99_max: '5s', clock_error_max: '1s', ...run }
  const rows: Book['sheets'] = {
    Run: Object.entries(keys).map(([key, value]) => ({ key, value })),
    Relays: [{ relay: 'r1' }, { relay: 'r2' }],
    Clients: [{ client: 'c-{n}', count: clients, rate, packet_size: 'const(500)' }],
    ...sheets,
  }
  const columns = (sheet: readonly object[]): string[] => [...new Set(sheet.flatMap((row) => Object.keys(row)))]
  const all = Object.entries(rows).map(([sheet, list]) => [sheet, { columns: columns(list), rows: list }])
  return JSON.stringify({ sennit: 1, sheets: Object.fromEntries(all) })
}

/** Twenty clients, ten connections, both ways; a limit that can break. */
const workbook = bookOf({
  name: 'agents',
  seconds: 16,
  clients: 20,
  rate: '20/s',
  run: { drain: '20s' },
  sheets: {
    Phases: [{ phase: 'steady', start: '10s', duration: '5s', executor: 'fixed' }],
    Limits: [{ limit: 'nothing-lost', metric: 'lost', stat: 'count', op: '=', value: 0 }],
  },
})

/**
 * So little that four agents and two relays leave a machine of two cores idle: what is compared is what agents add, not who waits for a core. And a
 * warm-up in which the code of each of them is compiled: an agent that has a quarter of the messages is slower (0.5 ms) until then.
 */
const quietWorkbook = bookOf({ name: 'quiet', seconds: 40, clients: 12, rate: '20/s', run: { warmup: '20s' } })

describe('the agents of the test set', { timeout: 240_000 }, () => {
  const shop = new Workshop()
  let alone: Summary
  let nomad: NomadProcess | undefined
  let slurm: SlurmCluster | undefined

  beforeAll(async () => {
    writeFileSync(shop.path('load.sennit.json'), workbook)
    alone = await resultOf(shop.sennit('test', 'run', 'load.sennit.json', '--out', 'alone'), 'alone')
  }, 120_000)
  afterAll(async () => {
    await nomad?.run(['job', 'stop', '-purge', 'sennit-agents']).catch(() => {})
    await shop.close()
  }, 60_000)

  /** Starts the run that waits for its agents. */
  async function coordinate(name: string, scheme: 'http' | 'https' = 'http'): Promise<{ run: Program; url: string }> {
    const [port] = await freePorts(1)
    const shared = ['--agents', String(agents), '--coordinator', `${scheme}://127.0.0.1:${port}`, '--token', token, '--agents-wait', '120s']
    const run = shop.sennit('test', 'run', 'load.sennit.json', ...shared, '--out', name)
    // With its fingerprint, where it has one.
    return { run, url: scheme === 'http' ? `http://127.0.0.1:${port}` : (await run.says(/https:\/\/[^;\s]+/)).trim() }
  }

  /** The result that a run leaves in its folder. */
  async function resultOf(run: Program, name: string): Promise<Summary> {
    await run.end(120_000)
    const path = shop.path(name, 'summary.json')
    if (!existsSync(path)) throw new Error(`expected a summary; found ${run.stdout}${run.stderr.slice(-4_000)}`)
    return JSON.parse(readFileSync(path, 'utf8')) as Summary
  }

  /** What does not depend on when each connection opened. */
  const countsOf = ({ clients, connections, integrity, limits }: Summary): object => {
    const { messages: _messages, sentBytes, deliveredBytes, ...damage } = integrity
    return { clients, connections, damage, missing: sentBytes - deliveredBytes, limits: limits.map(({ limit, held }) => [limit, held]) }
  }

  function expectTheSame(shared: Summary): void {
    expect(shared.verdict, JSON.stringify(shared)).toBe('pass')
    expect(countsOf(shared)).toEqual(countsOf(alone))
    // Of what was due once every connection was open: 20 clients, 20 a second, 5 s.
    expect([alone, shared].map(({ phases }) => phases?.[0]?.delivered)).toEqual([2_000, 2_000])
    expect(shared.agents?.map(({ id, lost }) => [id, lost])).toEqual(Array.from({ length: agents }, (_, rank) => [String(rank), false]))
    expect(shared.agents?.reduce((sum, { clients }) => sum + clients, 0)).toBe(20)
    const figures = [alone, shared].map(({ phases }) => ({ delivered: phases?.[0]?.delivered, response: phases?.[0]?.latencyMs.response }))
    const clockErrorMs = shared.agents?.map((agent) => agent.clockErrorMs)
    console.log(`one process, and ${agents} agents: ${JSON.stringify({ figures, clockErrorMs })}`)
  }

  it('one process alone passes', () => {
    expect(alone.verdict, JSON.stringify(alone)).toBe('pass')
    expect(alone.integrity.messages).toBeGreaterThan(20 * 20 * 6)
  })

  it('one agent and four give latencies that agree within noise', { timeout: 480_000 }, async () => {
    writeFileSync(shop.path('quiet.sennit.json'), quietWorkbook)
    const results: { readonly count: number; readonly summary: Summary }[] = []
    // Neither comes first more often: a machine that gets slower as it goes on favours nobody.
    for (const [index, count] of [1, agents, agents, 1, 1, agents].entries()) {
      const run = shop.sennit('test', 'run', 'quiet.sennit.json', '--local-agents', String(count), '--out', `quiet-${index}`)
      results.push({ count, summary: await resultOf(run, `quiet-${index}`) })
    }
    const [one = [], four = []] = [1, agents].map((count) => results.filter((run) => run.count === count).map(({ summary }) => summary))
    const figures = ['p50', 'p90', 'p99'] as const
    const movesOf = (before: Summary, after: Summary): string[] => {
      const { metrics, notComparable } = compareRuns(before, after)
      expect(notComparable).toEqual([])
      return figures.map((figure) => metrics.find(({ metric }) => metric === `response ${figure}`)?.move ?? 'missing')
    }
    const shown = (summaries: readonly Summary[]): string =>
      summaries.map(({ latencyMs: { response } }) => figures.map((figure) => response[figure]?.toFixed(2)).join('/')).join('  ')
    const pairs = one.map((before, index) => movesOf(before, four[index]!))
    console.log(`response ${figures.join('/')} in ms, one agent: ${shown(one)}; four: ${shown(four)}`)
    console.log(`as test compare has it, pair by pair: ${pairs.map((moves) => moves.join('/')).join('  ')}`)
    console.log(`one agent against itself: ${movesOf(one[0]!, one[1]!).join('/')}  ${movesOf(one[1]!, one[2]!).join('/')}`)
    for (const { count, summary } of results) {
      expect(summary.integrity, JSON.stringify(summary)).toMatchObject({ lost: 0, unknown: 0, duplicated: 0 })
      expect(summary.agents?.map(({ lost }) => lost)).toEqual(Array.from({ length: count }, () => false))
    }
    for (const [at, figure] of figures.entries()) {
      const moves = pairs.map((pair) => pair[at])
      const unknown = moves.filter((move) => move === 'unknown').length
      expect(unknown, `${figure}: the generators were late in most pairs; run it while the machine is quiet`).toBeLessThan(2)
      expect(moves.filter((move) => move === 'same').length, `${figure}: ${moves.join(', ')}`).toBeGreaterThanOrEqual(2)
    }
  })

  describe.skipIf(noSlurm !== undefined)('under Slurm', () => {
    const cluster = async (): Promise<SlurmCluster> => {
      slurm ??= await SlurmCluster.start(shop)
      return slurm
    }

    const submit = async (url: string, output: string): Promise<Program> =>
      (await cluster()).batch(file('agents.sbatch'), ['--ntasks', String(agents), '--output', shop.path(output)], {
        COORDINATOR: url,
        TOKEN: token,
        SENNIT: sennit,
      })

    it('four ranks on two nodes give the counts of one process', async () => {
      const { run, url } = await coordinate('slurm')
      const job = await submit(url, 'slurm.out')
      expectTheSame(await resultOf(run, 'slurm'))
      expect((await job.end(60_000)).code, readFileSync(shop.path('slurm.out'), 'utf8')).toBe(0)
      expect(run.stderr).toMatch(/agent/)
    })

    it('one that is killed makes the run inconclusive, and named; the job fails', async () => {
      const { run, url } = await coordinate('slurm-killed')
      const job = await submit(url, 'slurm-killed.out')
      await run.says(/20\/20 attached/, 90_000)
      process.kill(agentsOf(url)[0]!, 'SIGKILL')
      const summary = await resultOf(run, 'slurm-killed')
      expect(summary.verdict, JSON.stringify(summary)).toBe('inconclusive')
      expect(summary.agents?.filter(({ lost }) => lost).length).toBeGreaterThan(0)
      expect((await job.end(60_000)).code).not.toBe(0)
    })

    it('without a coordinator the job says what it wants', async () => {
      const job = (await cluster()).batch(file('agents.sbatch'), ['--output', shop.path('none.out')], { SENNIT: sennit })
      expect((await job.end(60_000)).code).toBe(2)
      expect(readFileSync(shop.path('none.out'), 'utf8')).toMatch(/expected COORDINATOR/)
    })
  })

  describe.skipIf(nomadProgram === undefined || consulProgram === undefined)('under Nomad', () => {
    /** One machine that schedules and takes agents, and two more that take agents. */
    const machines = async (): Promise<NomadProcess> => {
      if (nomad !== undefined) return nomad
      const consul = await ConsulProcess.start(shop)
      nomad = await NomadProcess.start(shop, consul.url.replace('consul://', ''))
      for (const name of ['second', 'third']) await nomad.addClient(name)
      return nomad
    }

    const submit = async (job: string, url: string): Promise<NomadProcess> => {
      const cluster = await machines()
      const variables = { job, coordinator: url, token, sennit, user: '', agents: String(agents) }
      const words = Object.entries(variables).flatMap(([name, value]) => ['-var', `${name}=${value}`])
      const submitted = await cluster.run(['job', 'run', '-detach', ...words, file('agents.nomad.hcl')])
      expect(submitted.code, submitted.stdout + submitted.stderr).toBe(0)
      return cluster
    }

    it('four allocations of a batch job, spread over three machines, give the counts of one process', async () => {
      const { run, url } = await coordinate('nomad')
      const cluster = await submit('sennit-agents', url)
      expectTheSame(await resultOf(run, 'nomad'))
      const all = await cluster.allocationsWhen(
        'sennit-agents',
        (found) => found.length === agents && found.every(({ ClientStatus }) => ClientStatus === 'complete'),
        'four complete allocations',
      )
      expect(new Set(all.map(({ NodeName }) => NodeName)).size).toBe(3)
    })

    it('a machine that drains lets its agents end their run; one that is drained by force makes it inconclusive, and named', async () => {
      for (const [name, how, verdict] of [
        ['nomad-drained', '-deadline=5m', 'pass'],
        ['nomad-forced', '-force', 'inconclusive'],
      ] as const) {
        const { run, url } = await coordinate(name)
        const cluster = await submit(name, url)
        await run.says(/20\/20 attached/, 90_000)
        const node = await cluster.nodeId('second')
        const drain = await cluster.run(['node', 'drain', '-enable', '-detach', '-yes', how, node])
        expect(drain.code, drain.stdout + drain.stderr).toBe(0)
        const summary = await resultOf(run, name)
        expect(summary.verdict, `${name}: ${JSON.stringify(summary)} ${run.stderr.slice(-3_000)}`).toBe(verdict)
        expect(summary.agents?.filter(({ lost }) => lost).length ?? 0).toBeGreaterThanOrEqual(verdict === 'pass' ? 0 : 1)
        const all = await cluster.allocationsWhen(
          name,
          (found) => found.length > 0 && found.every(({ ClientStatus }) => ['complete', 'failed'].includes(ClientStatus)),
          'allocations of which none runs any more',
        )
        // Nomad sends somebody in the place of an agent that it drove away, who is told that the run takes no more.
        if (verdict === 'pass') expect(all).toHaveLength(agents)
        else expect(all.filter(({ ClientStatus }) => ClientStatus === 'failed').length).toBeGreaterThan(0)
        await cluster.run(['job', 'stop', '-purge', name])
        expect((await cluster.run(['node', 'eligibility', '-enable', node])).code).toBe(0)
      }
    })
  })

  describe.skipIf(['ssh', 'sshd'].some((name) => findTool('ssh', name) === undefined))('over ssh', () => {
    it('four dials, over https to a certificate that the coordinator made, give the counts of one process', async () => {
      const ssh = await startSshd(shop)
      // A terminal would say its own words between ours.
      const words = ssh.argsFor(ssh.port).filter((word) => word !== '-tt')
      const host = words.pop()!
      const { run, url } = await coordinate('ssh', 'https')
      const dials = shop.program('sh', [file('over-ssh.sh'), host, host, host, host], {
        COORDINATOR: url,
        TOKEN: token,
        SENNIT: sennit,
        SSH: `ssh ${words.join(' ')}`,
      })
      expectTheSame(await resultOf(run, 'ssh'))
      expect((await dials.end(60_000)).code, dials.stderr).toBe(0)
    })
  })

  /** Pids of the agents of one coordinator. */
  function agentsOf(url: string): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
          return (
            words[0] === process.execPath &&
            words.includes('agent') &&
            readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`COORDINATOR=${url}\0`)
          )
        } catch {
          return false
        }
      })
      .map(Number)
  }
})
