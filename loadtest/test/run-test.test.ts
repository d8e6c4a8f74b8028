/** The test set from a program, as a vitest user has it (docs/test-set.md shows the first of these). */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { type RunTestOptions, runTest, type TestSheets } from '../src/index.ts'

const pair: TestSheets = {
  Run: { duration: '6s', warmup: '1s', report: 'csv' },
  Relays: [{ relay: 'r1' }, { relay: 'r2' }],
  Clients: [{ client: 'c-{n}', count: 4, rate: '20/s' }],
}

describe('runTest', { timeout: 60_000 }, () => {
  it('loses nothing when a relay is killed', async () => {
    const { summary } = await runTest({
      ...pair,
      Faults: [{ fault: 'F1', when: 'at(3s)', duration: '1s', target: 'busiest(relay:*)', action: 'kill' }],
    })
    expect(summary).toMatchObject({ verdict: 'pass', exitCode: 0, integrity: { lost: 0 }, failovers: [{ fault: 'F1', actualAtMs: 3000 }] })
    expect(summary.integrity.messages).toBeGreaterThan(400)
  })

  it('gives the same result for the same seed, whether from data or from its plan, and another for another', async () => {
    const [a, b, c] = [await runTest(pair, { seed: 7 }), await runTest(pair, { seed: 7 }), await runTest(pair, { seed: 8 })]
    expect(b.summary).toEqual(a.summary)
    expect((await runTest(a.plan)).summary).toEqual(a.summary)
    expect(c.summary.planHash).not.toBe(a.summary.planHash)
  })

  it('gives a broken limit as data', async () => {
    const { summary, reasons } = await runTest({
      ...pair,
      Limits: [{ limit: 'impossible', metric: 'response_time', stat: 'max', op: '<', value: '1ms', severity: 'fail' }],
      Zones: [{ zone: 'eu' }],
      Links: [{ from: 'eu', to: 'eu', rtt: '80ms' }],
      Relays: [{ relay: 'r1', zone: 'eu' }],
      Clients: [{ client: 'c-{n}', count: 2, zone: 'eu' }],
    })
    expect(summary).toMatchObject({ verdict: 'fail', exitCode: 99, limits: [{ limit: 'impossible', held: false }] })
    expect(reasons[0]).toMatch(/^limit impossible/)
  })

  it('takes a file and a scale, and writes reports where it is told to', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sennit-run-test-'))
    try {
      const file = join(folder, 'pair.sennit.yaml')
      writeFileSync(
        file,
        'sennit: 1\nsheets: { Run: { columns: [key, value], rows: [{ key: duration, value: 5s }] }, Clients: { columns: [client, count], rows: [{ client: "c{n}", count: 4 }] } }',
      )
      const result = await runTest(file, { scale: 0.5, outDir: join(folder, 'out') })
      expect(result.plan.flows).toHaveLength(1)
      expect(readdirSync(join(folder, 'out')).sort()).toEqual(['pair.result.xlsx', 'plan.json.gz', 'report.html', 'summary.json'])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('throws every problem of a test that cannot be run, and wants a relay command for real relays', async () => {
    await expect(
      runTest({
        ...pair,
        Clients: [
          { client: 'a', rate: '10 per sec' },
          { client: 'b', peer: 'nobody' },
        ],
      }),
    ).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(/Clients!B2 rate: expected a rate[^\n]*\[W101\]\nClients!C3 peer: /),
    })
    await expect(runTest(pair, { engine: 'local' })).rejects.toMatchObject({ code: 'usage' })
  })

  it('shares a run among agents, which it starts itself and which come over https', async () => {
    const program = fileURLToPath(new URL('../../cli/bin/sennit.mjs', import.meta.url))
    const doors: { url: string; token: string }[] = []
    const { summary, reasons } = await runTest(
      { ...pair, Run: { duration: '2s', warmup: '500ms', loop_delay_p99_max: '60s', clock_error_max: '10s' } },
      {
        engine: 'local',
        relayCommand: [process.execPath, program, 'relay'],
        agents: {
          count: 2,
          command: [process.execPath, program, 'test', 'agent'],
          tls: 'self-signed',
          onListening: (door) => doors.push(door),
        },
      },
    )
    expect(doors).toEqual([
      { url: expect.stringMatching(/^https:\/\/127\.0\.0\.1:\d+#sha256=[\w-]{43}$/), token: expect.stringMatching(/^[\w-]{24}$/) },
    ])
    expect(summary, reasons.join()).toMatchObject({ verdict: 'pass', integrity: { lost: 0 }, agents: [{ lost: false }, { lost: false }] })
  })

  it.each<[string, RunTestOptions, RegExp]>([
    ['agents in the simulated world', { agents: { count: 2 } }, /agents: expected engine "local"/],
    ['no agents', { engine: 'local', agents: { count: 0 } }, /agents.count: expected a whole number from 1 to 1000; found 0/],
    ['more agents here than there are', { engine: 'local', agents: { count: 2, local: 3 } }, /agents.local: .* from 0 to 2; found 3/],
    ['agents without a command line', { engine: 'local', agents: { count: 2 } }, /agents.command: expected the command line of an agent/],
  ])('refuses %s', async (_what, options, words) => {
    await expect(runTest(pair, { relayCommand: ['sennit', 'relay'], ...options })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(words),
    })
  })
})
