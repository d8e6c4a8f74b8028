// Sessions of one connection that are due at the same time, as on a slow machine: they take their turns.
import { expect, test } from 'vitest'
import { LiveFlow } from '../../src/live/live-flow.ts'
import type { LiveSession } from '../../src/live/live-session.ts'
import { Pacer } from '../../src/live/pacer.ts'
import { RunRecorder } from '../../src/verdict/index.ts'
import { environment } from '../fixtures/fake-run.ts'
import { planOf, twoClients } from '../fixtures/sheets.ts'

/** All that is ready to run has run. */
const settled = (): Promise<void> => new Promise((done) => setImmediate(done))

test('a session begins when all that were asked for before it are over, whoever ends them', async () => {
  const plan = planOf(twoClients)
  const recorder = new RunRecorder(plan, { engine: 'fake', environment, startedAt: '' })
  const now = (): number => 1_000
  const flow = new LiveFlow(plan.flows[0]!, { plan, recorder, pacer: new Pacer(now), paces: [], now })
  const begun: LiveSession[] = []
  let over = false
  const asked = [1, 2, 3, 4].map(async () => begun.push(await flow.begin(() => over)))
  await settled()
  expect(begun.length).toBe(1)
  expect(flow.lasts(begun[0]!)).toBe(true)

  // Its caller did not get through; what its called end has sent may have come or not.
  recorder.messageSent(500, 1, 100, 500)
  flow.failed(begun[0]!)
  await settled()
  expect(begun.length).toBe(2)
  expect([flow.lasts(begun[0]!), flow.lasts(begun[1]!)]).toEqual([false, true])
  expect(recorder.directions[1]!.settled(now())).toBe(true)

  // Who hears late that the first one failed ends no other.
  flow.failed(begun[0]!)
  await settled()
  expect([begun.length, flow.lasts(begun[1]!)]).toEqual([2, true])

  await flow.end({ by: 'caller', how: 'vanish' }, () => false)
  await settled()
  expect(begun.length).toBe(3)

  // The run ends while something is under way: a session that still waited for its turn does not hide it.
  recorder.messageSent(900, 1, 100, 900)
  over = true
  await flow.close()
  await Promise.all(asked)
  expect([begun[3] === begun[2], flow.lasts(begun[3]!)]).toEqual([true, false])
  expect(recorder.directions[1]!.tailBytes).toBe(100)
})
