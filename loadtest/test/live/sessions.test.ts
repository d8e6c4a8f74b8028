// What clients do over time, with real relays and the real client library: one run of a few seconds that has all of it.
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { runTest } from '../../src/index.ts'

const program = fileURLToPath(new URL('../../../cli/bin/sennit.mjs', import.meta.url))
const session = { count: 2, rate: '50/s', session: '1s', reconnect: '100ms' }
/** Of five that are planned, the first lies in the warm-up. Whoever waited for time-outs between two would have one. */
const again = { metric: 'connections_opened', op: '>=', value: 3 }

test('connections come and go in every way, clients by phases, and one is disconnected as it expects', async () => {
  const result = await runTest(
    {
      Run: { duration: '5s', warmup: '500ms', drain: '2s' },
      Relays: [{ relay: 'r1' }, { relay: 'r2' }],
      Clients: [
        { client: 'clean-{n}', ...session },
        { client: 'reset-{n}', ...session, disconnect: 'reset' },
        { client: 'vanish-{n}', ...session, disconnect: 'vanish' },
        { client: 'later-{n}', count: 2, rate: '50/s', connect: 'at(2s)' },
        { client: 'crowd-{n}', count: 6, tags: 'crowd', rate: '20/s' },
        { client: 'cut-{n}', count: 2, rate: '20/s', expect: 'disconnected' },
      ],
      Phases: [
        { phase: 'up', duration: '2s', target: 'tag:crowd', executor: 'ramping_clients', from: 0, to: 6 },
        { phase: 'few', executor: 'constant_clients', target: 'tag:crowd', to: 2 },
      ],
      Faults: [{ fault: 'F1', when: 'at(3s)', target: 'client:cut-1', action: 'blackhole', heal: 'never', expect: 'outage' }],
      Limits: [
        { limit: 'clean', filter: 'client:clean-1', ...again },
        { limit: 'reset', filter: 'client:reset-1', ...again },
        { limit: 'vanished', filter: 'client:vanish-1', ...again },
        { limit: 'later', filter: 'client:later-1', metric: 'connections_opened', op: '=', value: 1 },
      ],
    },
    { engine: 'local', relayCommand: [process.execPath, program, 'relay'] },
  )
  const damage = result.reasons.filter((reason) => !/event loop|send_delay/.test(reason))
  expect(damage).toEqual([])
  expect(result.summary.limits.map(({ limit, held }) => [limit, held])).toEqual([
    ['clean', true],
    ['reset', true],
    ['vanished', true],
    ['later', true],
  ])
  expect(result.summary).toMatchObject({
    connections: { neverRecovered: 0, reset: 0, failed: 0 },
    integrity: { lost: 0, duplicated: 0, reordered: 0 },
  })
  expect(result.summary.phases!.map(({ phase }) => phase)).toEqual(['up', 'few'])
  expect(result.summary.phases![1]!.clients.reached).toBeLessThan(4)
}, 30_000)
