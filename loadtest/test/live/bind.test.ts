// Clients that dial from several addresses of their machine, with one real relay: a mode that needs two ways has them on as many links.
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type RunTestOptions, runTest, type TestSheets } from '../../src/index.ts'

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
