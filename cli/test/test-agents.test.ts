// `sennit test run` with agents as real processes: the same counts however many there are, and an end in order whatever becomes of one of them.
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { allGone } from './mesh.ts'
import { type Program, workshopForEach } from './program.ts'
import { freePort, lacksForSsh, startSshd } from './sshd.ts'

if (lacksForSsh.length > 0)
  console.log(`left out: agents over ssh, for want of ${lacksForSsh}; apt-get install openssh-server openssh-client`)

const shop = workshopForEach()

interface Book {
  readonly seconds: number
  readonly clients?: string
  readonly faults?: string
  readonly agentsMin?: number
}

/** A busy machine is not what these tests are about: no bound on late loops and clocks. */
function workbook({ seconds, faults = '', agentsMin = 0, clients = '{ client: "c-{n}", count: 12, rate: 20/s }' }: Book): string {
  const file = shop.path('test.sennit.yaml')
  const text = `sennit: 1
sheets:
  Run:
    columns: [key, value]
    rows:
      - { key: duration, value: ${seconds}s }
      - { key: warmup, value: 500ms }
      - { key: loop_delay_p99_max, value: 60s }
      - { key: clock_error_max, value: 10s }
  Zones:
    columns: [zone, agents_min]
    rows:
      - { zone: eu, agents_min: ${agentsMin} }
      - { zone: us }
  Links:
    columns: [from, to, rtt]
    rows:
      - { from: eu, to: us, rtt: 4ms }
  Relays:
    columns: [relay, zone]
    rows:
      - { relay: r1, zone: eu }
      - { relay: r2, zone: us }
  Clients:
    columns: [client, count, zone, rate, data_limit]
    rows:
      - ${clients}
${faults === '' ? '' : `  Faults:\n    columns: [fault, when, duration, target, action]\n    rows:\n${faults}`}`
  writeFileSync(file, text)
  return file
}

interface Agent {
  readonly id: string
  readonly zone: string
  readonly clients: number
  readonly clockErrorMs: number | null
  readonly loopDelayP99Ms: number | null
  readonly lost: boolean
}

// biome-ignore lint/suspicious/noExplicitAny: a summary is looked at field by field
function summary(folder: string): any {
  return JSON.parse(readFileSync(shop.path(folder, 'summary.json'), 'utf8'))
}

/** Process ids of agents by rank, as the coordinator says when they come. */
function pids(run: Program): Map<number, number> {
  const lines = [...run.stderr.matchAll(/agent (\d+) is there[^"]*? pid (\d+);/g)]
  return new Map(lines.map(([, rank, pid]) => [Number(rank), Number(pid)]))
}

describe('test run with agents', { timeout: 60_000 }, () => {
  it('gives the same counts on 1 and on 4 agents, with clients in zones, a network fault and a relay that is killed', async () => {
    const file = workbook({
      seconds: 5,
      clients: `{ client: "e-{n}", count: 6, zone: eu, rate: 30/s, data_limit: 40KiB }
      - { client: "u-{n}", count: 6, zone: us, rate: 30/s, data_limit: 40KiB }`,
      faults: `      - { fault: F1, when: at(1500ms), duration: 300ms, target: "busiest(relay:*)", action: blackhole }
      - { fault: F2, when: at(2200ms), duration: 500ms, target: "relay:r1", action: kill }`,
    })
    const counts = []
    for (const agents of [1, 4]) {
      const { code, stderr } = await shop.run('test', 'run', file, '--local-agents', String(agents), '--out', `out${agents}`)
      expect({ agents, code, stderr }).toMatchObject({ agents, code: 0 })
      const told = summary(`out${agents}`)
      expect(told.agents).toHaveLength(agents)
      expect(
        told.failovers.map(({ actualAtMs, healedAtMs }: Record<string, number>) => [actualAtMs! >= 1490, healedAtMs! > actualAtMs!]),
      ).toEqual([
        [true, true],
        [true, true],
      ])
      for (const agent of told.agents as Agent[])
        expect(agent).toMatchObject({ lost: false, clients: 12 / agents, clockErrorMs: expect.any(Number) })
      counts.push({ clients: told.clients, connections: told.connections, integrity: told.integrity })
    }
    expect(counts[1]).toEqual(counts[0])
    expect(counts[0]).toMatchObject({ clients: { attached: 12 }, integrity: { messages: 12 * 40, lost: 0, duplicated: 0, unknown: 0 } })
  })

  it('ends on time without an agent that was killed, is inconclusive, and says which one', async () => {
    const run = shop.sennit('test', 'run', workbook({ seconds: 4 }), '--local-agents', '3', '--json', '--out', 'out')
    await run.says(/agent 1: the run begins/)
    process.kill(pids(run).get(1)!, 'SIGKILL')
    await run.says(/agent 1 \(.*\) was lost/)
    expect(await run.end(30_000)).toEqual({ code: 122, signal: null })
    const told = summary('out')
    expect(told).toMatchObject({
      verdict: 'inconclusive',
      integrity: { lost: 0, duplicated: 0, corrupted: 0 },
      connections: { neverRecovered: 0 },
    })
    expect(told.agents.map(({ lost }: Agent) => lost)).toEqual([false, true, false])
    expect(told.durationMs).toBeGreaterThan(4_000)
    await allGone([...pids(run).values()], 0)
  })

  it('tells its agents when it is interrupted, and reports what there is', async () => {
    const run = shop.sennit('test', 'run', workbook({ seconds: 600 }), '--local-agents', '2', '--json', '--out', 'out')
    await run.says(/"connected":[1-6],/)
    const agents = [...pids(run).values()]
    run.signal('SIGINT')
    expect(await run.end()).toEqual({ code: 105, signal: null })
    const told = summary('out')
    expect(told).toMatchObject({ exitCode: 105, integrity: { lost: 0, duplicated: 0 }, agents: [{ lost: false }, { lost: false }] })
    expect(told.integrity.deliveredBytes).toBeGreaterThan(0)
    await allGone(agents, 0)
  })
})

describe('test agent', { timeout: 60_000 }, () => {
  it('is refused in words: wrong token, wrong size, a rank that is taken; and told when the run does not take place', async () => {
    const run = shop.sennit('test', 'run', workbook({ seconds: 600 }), '--agents', '2', '--token', 'right', '--json', '--out', 'out')
    const url = (await run.says(/http:\/\/127\.0\.0\.1:\d+/)).trim()
    const agent = (...more: string[]) => shop.sennit('test', 'agent', '--coordinator', url, ...more)
    const refused = async (words: RegExp, ...more: string[]) => {
      const program = agent(...more)
      expect({ ...(await program.end()), stderr: program.stderr }).toEqual({ code: 3, signal: null, stderr: expect.stringMatching(words) })
    }
    await refused(/the token is wrong/, '--token', 'wrong')
    await refused(/this run has 2 agents, and this one says that there are 3/, '--token', 'right', '--size', '3')
    await refused(/ranks 0 to 1, and this agent says that it is 7/, '--token', 'right', '--rank', '7')
    const first = agent('--token', 'right', '--rank', '1')
    await run.says(/agent 1 is there/)
    await refused(/there is an agent of rank 1 already/, '--token', 'right', '--rank', '1')
    run.signal('SIGINT')
    expect(await first.end()).toMatchObject({ code: 3 })
    expect(first.stderr).toMatch(/the coordinator sends this agent away: the run was interrupted/)
    expect(await run.end()).toMatchObject({ code: 105 })
  })

  it.each([
    [['--tls-cert', 'c.pem'], /expected --agents N or --local-agents; found a run in one process/],
    [['--agents', '2', '--tls-cert', 'c.pem'], /expected --tls-cert and --tls-key together; found --tls-cert alone/],
    [['--agents', '2', '--coordinator', 'http://127.0.0.1:0', '--tls-cert', 'c', '--tls-key', 'k'], /expected --coordinator https:\/\//],
  ])('its coordinator does not begin with %j', async (options, words) => {
    expect(await shop.run('test', 'run', workbook({ seconds: 1 }), ...options)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(words),
    })
  })

  it('heals what it does and ends with a reason when its coordinator is gone', async () => {
    const faults = '      - { fault: F1, when: at(500ms), duration: 300s, target: "relay:r2", action: blackhole }'
    const run = shop.sennit(
      'test',
      'run',
      workbook({ seconds: 600, faults }),
      '--agents',
      '1',
      '--token',
      'right',
      '--json',
      '--out',
      'out',
    )
    const url = (await run.says(/http:\/\/127\.0\.0\.1:\d+/)).trim()
    const agent = shop.sennit('test', 'agent', '--coordinator', url, '--token', 'right')
    await run.says(/"faults":\["F1/)
    run.signal('SIGKILL')
    expect(await agent.end(30_000)).toEqual({ code: 4, signal: null })
    expect(agent.stderr).toMatch(/the coordinator is gone: nothing was heard of it for \d+ s/)
  })

  it('runs a share from the environment that an engine gives it', async () => {
    const env = { TOKEN: 'right', SLURM_PROCID: '0', SLURM_NTASKS: '1', ZONE: 'eu' }
    const file = workbook({ seconds: 1, agentsMin: 1, clients: '{ client: "c-{n}", count: 4, zone: eu, rate: 20/s }' })
    const run = shop.program(process.execPath, [shop.bin, 'test', 'run', file, '--agents', '1', '--json', '--out', 'out'], {
      TOKEN: 'right',
    })
    const url = (await run.says(/http:\/\/127\.0\.0\.1:\d+/)).trim()
    const agent = shop.program(process.execPath, [shop.bin, 'test', 'agent'], { ...env, COORDINATOR: url })
    expect(await agent.end()).toEqual({ code: 0, signal: null })
    expect(await run.end()).toEqual({ code: 0, signal: null })
    expect(run.stderr).not.toContain('right')
    expect(summary('out').agents).toMatchObject([{ id: '0', zone: 'eu', clients: 4, lost: false }])
  })

  it.skipIf(lacksForSsh.length > 0)(
    'runs on a host that ssh reaches and that reaches nothing itself, its token on no command line',
    async () => {
      const { login } = await startSshd(shop)
      const file = workbook({ seconds: 1, clients: '{ client: "c-{n}", count: 4, rate: 20/s }' })
      const run = shop.program(process.execPath, [shop.bin, 'test', 'run', file, '--agents', '2', '--json', '--out', 'out'], {
        TOKEN: 'right',
      })
      const url = new URL((await run.says(/http:\/\/127\.0\.0\.1:\d+/)).trim())
      const agents = await Promise.all(
        [0, 1].map(async () => {
          const port = await freePort()
          const there = `read -r TOKEN; export TOKEN; exec ${process.execPath} ${shop.bin} test agent --coordinator http://127.0.0.1:${port}`
          return shop.program('sh', ['-c', 'echo right | ssh "$@"', 'sh', '-R', `${port}:127.0.0.1:${url.port}`, ...login, there])
        }),
      )
      for (const agent of agents) expect({ ...(await agent.end(30_000)), stderr: agent.stderr }).toMatchObject({ code: 0 })
      expect(await run.end()).toEqual({ code: 0, signal: null })
      expect(summary('out').agents).toMatchObject([{ lost: false }, { lost: false }])
    },
  )
})
