// A run shared by two agents, all in this process, with real relays: what only who hears of the whole can decide.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { runAgent, runAgents } from '../../src/index.ts'
import type { RunControls } from '../../src/run-controls.ts'
import type { RunResult, RunStatus } from '../../src/verdict/index.ts'
import { planOf, type Sheets } from '../fixtures/sheets.ts'

const program = fileURLToPath(new URL('../../../cli/bin/sennit.mjs', import.meta.url))
const environment = { sennit: 'test', node: 'any', platform: 'any', cpus: 0, memoryBytes: 0 }
const never = new AbortController().signal
const faultColumns = ['fault', 'when', 'duration', 'target', 'action', 'p1', 'abort_if']

const book = (more: Sheets): Sheets => ({
  Run: [
    ['key', 'value'],
    ['duration', '60s'],
    ['warmup', '100ms'],
    ['loop_delay_p99_max', '60s'],
    ['clock_error_max', '10s'],
  ],
  Relays: [['relay'], ['r1'], ['r2']],
  Clients: [
    ['client', 'count', 'rate', 'attach_at'],
    ['c-{n}', 6, '20/s', '0s'],
    ['late-{n}', 2, '20/s', '3s'],
  ],
  ...more,
})

interface Shared {
  readonly result: RunResult
  readonly told: readonly RunStatus[]
}

/** Passes everything on, but now and then ends a connection in place of an answer: what was asked was heard, and who asked does not know. */
async function lossyProxy(port: number): Promise<{ readonly port: number; readonly lost: () => number; close(): void }> {
  const sockets = new Set<Socket>()
  let answers = 0
  let lost = 0
  const proxy = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    let losable = false
    near.on('data', (chunk) => {
      if (/\/v1\//.test(String(chunk))) losable = /\/v1\/(share|clock|ready|snapshot) /.test(String(chunk))
      far.write(chunk)
    })
    far.on('data', (chunk) => {
      answers += 1
      if (!losable || answers % 4 > 0) near.write(chunk)
      else {
        lost += 1
        near.destroy()
      }
    })
    for (const [one, other] of [[near, far] as const, [far, near] as const]) {
      sockets.add(one)
      one.on('error', () => {}).on('close', () => other.destroy())
    }
  })
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done))
  const close = (): void => {
    proxy.close()
    for (const socket of sockets) socket.destroy()
  }
  return { port: (proxy.address() as AddressInfo).port, lost: () => lost, close }
}

/** Runs it on two agents, with something done at each status. `via` is the way of the second agent. */
async function runShared(
  sheets: Sheets,
  act: (controls: RunControls, status: RunStatus) => void = () => {},
  via: (coordinator: string) => Promise<string> = async (coordinator) => coordinator,
): Promise<Shared> {
  const told: RunStatus[] = []
  const agents: Promise<void>[] = []
  let controls: RunControls | undefined
  const result = await runAgents({
    plan: planOf(sheets),
    relayCommand: [process.execPath, program, 'relay'],
    environment,
    version: 'test',
    agents: 2,
    listen: { host: '127.0.0.1', port: 0 },
    token: 't',
    waitMs: 30_000,
    local: { count: 0, command: [] },
    signal: never,
    onListening: (coordinator) => {
      const common = { token: 't', zone: '', size: 2, version: 'test', environment, waitMs: 10_000, signal: never, onNote: () => {} }
      agents.push(runAgent({ ...common, coordinator, rank: 0 }))
      agents.push(via(coordinator).then((way) => runAgent({ ...common, coordinator: way, rank: 1 })))
    },
    onControls: (given) => {
      controls = given
    },
    onStatus: (status) => {
      told.push(status)
      if (controls !== undefined) act(controls, status)
    },
    onNote: () => {},
  })
  await Promise.all(agents)
  return { result, told }
}

describe('a run that two agents share', { timeout: 60_000 }, () => {
  it('is steered by hand: its ramp waits and goes on, a fault begins everywhere at once, and it stops in good order', async () => {
    const Faults = [
      faultColumns,
      ['F1', 'never', '500ms', 'busiest(relay:*)', 'kill'],
      ['F2', 'never', '500ms', 'relay:*', 'latency', '5ms'],
      ['F3', 'at(1500ms)', '500ms', 'client:c-*', 'directory_down', 'older'],
    ]
    const { result, told } = await runShared(book({ Faults }), (controls, { nowMs, clients }) => {
      if (nowMs < 2_000) controls.pauseRamp()
      else if (nowMs > 3_500 && controls.rampPaused) {
        expect(clients.attached).toBe(6)
        controls.resumeRamp()
        for (const fault of ['F1', 'F2']) controls.inject(fault)
      }
      if (clients.attached === 8 && nowMs > 5_500) controls.stop()
    })
    const { summary } = result
    expect(summary, result.reasons.join()).toMatchObject({
      verdict: 'pass',
      endedEarly: { by: 'hand' },
      clients: { attached: 8 },
      integrity: { lost: 0, unknown: 0, duplicated: 0 },
      connections: { opened: 4, neverRecovered: 0 },
      agents: [{ lost: false }, { lost: false }],
    })
    expect(told.some(({ rampPaused }) => rampPaused)).toBe(true)
    expect(summary.failovers.map(({ fault, unplanned }) => [fault, unplanned])).toEqual([
      ['F3', undefined],
      ['F1', true],
      ['F2', true],
      ['F2', true],
    ])
    const [lists, killed, ...slow] = result.faultLog
    // The mesh's keys are the coordinator's, and it signs what agents take away and put back.
    expect(lists).toMatchObject({
      receipt: expect.stringMatching(/agent 0: \d relay lists?: older; agent 1: \d relay lists?: older/),
      healReceipt: expect.stringMatching(/agent 0: \d relay lists are there again, version 11; agent 1:/),
    })
    expect(summary.failovers[1]!.connections).toBeGreaterThan(0)
    expect(killed!.receipt).toMatch(/^SIGKILL to pid/)
    for (const { receipt, healReceipt } of slow) {
      expect(receipt).toMatch(/agent 0: latency on .*agent 1: latency on/)
      expect(healReceipt).toMatch(/agent 0: rules taken .*agent 1: rules taken/)
    }
  })

  it('looks at the whole: a fault is taken back, another is kept from beginning, and a limit that no agent sees broken ends it', async () => {
    let proxy: Awaited<ReturnType<typeof lossyProxy>> | undefined
    const { result, told } = await runShared(
      book({
        Faults: [
          faultColumns,
          ['F1', 'at(2500ms)', '50s', 'relay:*', 'latency', '80ms', 'connected < 90%'],
          ['F2', 'at(1s)', '50s', 'relay:*', 'latency', '400ms', 'p99 > 700ms'],
          ['F3', 'at(4s)', '50s', 'relay:r1', 'kill', '', 'attached < 10%; relays_up < 3'],
        ],
        Limits: [
          ['limit', 'metric', 'stat', 'op', 'value', 'abort', 'abort_delay'],
          ['few', 'connections_opened', 'value', '<=', 3, 'yes', '2s'],
          ['quick', 'response_time', 'max', '<=', '60s', '', ''],
        ],
      }),
      undefined,
      async (coordinator) => {
        proxy = await lossyProxy(Number(new URL(coordinator).port))
        return `http://127.0.0.1:${proxy.port}`
      },
    )
    proxy?.close()
    const { summary } = result
    // Answers of the coordinator got lost, and nothing counts twice for that.
    expect(proxy?.lost()).toBeGreaterThan(3)
    expect(result.timeline.reduce((sum, { messages }) => sum + messages, 0)).toBe(summary.integrity.messages)
    expect(new Set(result.timeline.map(({ second }) => second)).size).toBe(result.timeline.length)
    expect(summary.endedEarly).toMatchObject({ by: 'limit', limit: 'few', measured: 4 })
    expect(summary).toMatchObject({
      verdict: 'fail',
      exitCode: 99,
      integrity: { lost: 0, unknown: 0 },
      agents: [{ lost: false }, { lost: false }],
    })
    // Each agent sees its own clients' connections, which are not all of them.
    expect(told.at(-1)!.limits.map(({ limit, state }) => [limit, state])).toEqual([
      ['few', 'broken'],
      ['quick', 'held'],
    ])
    const of = (fault: string) => result.faultLog.filter(({ act }) => act.fault === fault)
    const notBegun = (why: string): object => ({ actualAtMs: null, receipt: expect.stringMatching(`^not begun: ${why}`) })
    expect(of('F1')).toEqual([1, 2].map(() => expect.objectContaining(notBegun('connected is \\d+% .abort_if connected < 90%.'))))
    expect(of('F3')).toEqual([expect.objectContaining(notBegun('relays_up is 2'))])
    const [tookBack] = of('F2')
    expect(tookBack!.receipt).toMatch(/healed early: p99 is \d+.*agent 0: latency on .*agent 1: latency on/)
    expect(tookBack!.healReceipt).toMatch(/agent 0: rules taken .*agent 1: rules taken/)
    expect(tookBack!.healedAtMs! - tookBack!.actualAtMs!).toBeLessThan(10_000)
  })
})
