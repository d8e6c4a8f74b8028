// Clients that dial from several addresses of their machine, with one real relay: a mode that needs two ways has them on as many links.
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type RunTestOptions, runTest, type TestSheets } from '../../src/index.ts'
import { Network } from '../../src/live/network.ts'
import { planOf } from '../fixtures/sheets.ts'

const program = fileURLToPath(new URL('../../../cli/bin/sennit.mjs', import.meta.url))

test('a client with two addresses has two links to its only relay', async () => {
  const sheets: TestSheets = {
    Run: { duration: '20s', warmup: '100ms', loop_delay_p99_max: '60s' },
    Relays: [{ relay: 'r1' }],
    Clients: [{ client: 'c-{n}', count: 2, rate: '20/s', paths: 'mirror(2)', bind: '127.0.0.2; 127.0.0.3' }],
  }
  let stop = (): void => {}
  const options: RunTestOptions = {
    engine: 'local',
    relayCommand: [process.execPath, program, 'relay'],
    onControls: (controls) => {
      stop = () => controls.stop()
    },
    // With one link nothing would ever be sent.
    onStatus: ({ messages }) => {
      if (messages > 5) stop()
    },
  }
  const { summary, reasons } = await runTest(sheets, options)
  expect(reasons).toEqual([])
  expect(summary).toMatchObject({ verdict: 'pass', endedEarly: { by: 'hand' }, integrity: { lost: 0, duplicated: 0, unknown: 0 } })
}, 60_000)

test('each link of a client that a fault names has a way of its own, and the fault hits that one', async () => {
  const plan = planOf({
    Relays: [['relay'], ['r1'], ['r2']],
    Clients: [
      ['client', 'bind'],
      ['a', '127.0.0.2,127.0.0.3'],
      ['b', '127.0.0.4,127.0.0.5'],
    ],
    Faults: [
      ['fault', 'target', 'action'],
      ['F1', 'client:a/link:2', 'cut'],
    ],
  })
  const [a, b] = plan.clients
  const entries = ['r1', 'r2'].map((relayId) => ({ relayId, urls: ['http://127.0.0.1:9'] }))
  const network = await Network.open(plan, entries, () => 0.5)
  try {
    const dialled = (client: typeof a, from: string): string[] =>
      network.entriesFor(client!).map(({ relayId, urls }) => network.dialled(client!, urls[0]!, relayId, from))
    const [first, second] = [dialled(a, '127.0.0.2'), dialled(a, '127.0.0.3')]
    expect(new Set([...first, ...second]).size).toBe(4)
    expect(dialled(b, '127.0.0.5')).toEqual(dialled(b, '127.0.0.4'))
    const hit = network.hitBy(plan.acts[0]!, undefined)
    expect(hit.map(({ client, relay, proxy }) => [client, relay, `http://127.0.0.1:${proxy.port}`])).toEqual([
      ['a', 'r1', second[0]],
      ['a', 'r2', second[1]],
    ])
  } finally {
    await network.close()
  }
})
