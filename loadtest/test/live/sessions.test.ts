// What clients do over time, with real relays and the real client library: one run of a few seconds that has all of it. It ends when it has seen what it is for,
// however long a busy machine takes for that.
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { runTest } from '../../src/index.ts'
import type { RunControls } from '../../src/run-controls.ts'
import type { RunStatus } from '../../src/verdict/index.ts'

const program = fileURLToPath(new URL('../../../cli/bin/sennit.mjs', import.meta.url))
const session = { count: 2, rate: '20/s', session: '2s', reconnect: '100ms' }
const opened = (value: number): Record<string, string | number> => ({ metric: 'connections_opened', op: '>=', value })
/** As often as a busy machine needs: what a client does when it comes or goes late, it does in the next of them. */
const phases = Array.from({ length: 30 }, (_, turn) => [
  { phase: `many-${turn}`, duration: '2s', target: 'tag:crowd', executor: 'constant_clients', to: 4 },
  { phase: `few-${turn}`, duration: '1s', target: 'tag:crowd', executor: 'constant_clients', to: 2 },
]).flat()
const limits = [
  { limit: 'clean', filter: 'client:clean-1', ...opened(2) },
  { limit: 'reset', filter: 'client:reset-1', ...opened(2) },
  { limit: 'vanished', filter: 'client:vanish-1', ...opened(2) },
  { limit: 'crowd', filter: 'tag:crowd', ...opened(3) },
  { limit: 'there', filter: 'client:cut-1', ...opened(1) },
]

test('connections come and go in every way, clients by phases, and one is disconnected as it expects', async () => {
  let controls: RunControls | undefined
  let cut = false
  let last: RunStatus | undefined
  const holds = ({ limits }: RunStatus, name: string): boolean => limits.some(({ limit, state }) => limit === name && state === 'held')
  const result = await runTest(
    {
      Run: { duration: '90s', warmup: '100ms', drain: '2s' },
      Relays: [{ relay: 'r1' }],
      Clients: [
        { client: 'clean-{n}', ...session },
        { client: 'reset-{n}', ...session, disconnect: 'reset' },
        { client: 'vanish-{n}', ...session, disconnect: 'vanish' },
        { client: 'crowd-{n}', count: 4, tags: 'crowd', rate: '20/s' },
        { client: 'cut-{n}', count: 2, rate: '20/s', connect: 'at(1s)', expect: 'disconnected' },
      ],
      Phases: phases,
      Faults: [{ fault: 'F1', when: 'never', target: 'client:cut-1', action: 'cut', heal: 'never', expect: 'outage' }],
      Limits: limits,
    },
    {
      engine: 'local',
      relayCommand: [process.execPath, program, 'relay'],
      onControls: (given) => {
        controls = given
      },
      onStatus: (status) => {
        if (!cut && holds(status, 'there')) {
          controls?.inject('F1')
          cut = true
        }
        if (status.stage !== 'drain') last = status
        if (cut && status.withoutPath > 0 && limits.every(({ limit }) => holds(status, limit))) controls?.stop()
      },
    },
  )
  const { summary, reasons } = result
  expect(summary.endedEarly, JSON.stringify([reasons, last?.clients, last?.connections, last?.limits])).toMatchObject({ by: 'hand' })
  // What ends as planned, or as expected, is no damage, no reset and no connection that never recovered, however it ends.
  expect(summary).toMatchObject({
    connections: { neverRecovered: 0, reset: 0 },
    integrity: { lost: 0, duplicated: 0, reordered: 0, corrupted: 0, unexpected: 0 },
  })
  expect(reasons.join()).not.toMatch(/expected to be|never recovered|limit /)
  expect(summary.limits.map(({ limit, held }) => [limit, held])).toEqual(limits.map(({ limit }) => [limit, true]))
}, 150_000)
