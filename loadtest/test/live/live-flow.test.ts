// One connection of a plan: sessions that are due at the same time, as on a slow machine, take their turns; and an end that nobody hears ends all the same.
import type { Connection } from '@sennit/client'
import { afterEach, expect, test, vi } from 'vitest'
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

afterEach(() => {
  vi.useRealTimers()
})

/** An end whose close waits for an ack that does not come. */
function deafEnd(): { readonly end: Connection; readonly aborted: () => boolean } {
  let over = (): void => {}
  let aborted = false
  const closed = new Promise<void>((done) => {
    over = done
  })
  const end = {
    on: () => () => {},
    status: () => ({ active: { send: 'r1' }, sendsOver: ['r1'] }),
    closed,
    close: async () => await closed,
    abort: () => {
      aborted = true
      over()
    },
    onMessage: () => {},
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        await closed
        return { done: true, value: undefined }
      },
    }),
  } as unknown as Connection
  return { end, aborted: () => aborted }
}

test('when its last path goes while it is closed, the run does not wait for one', async () => {
  vi.useFakeTimers()
  const plan = planOf(twoClients)
  const recorder = new RunRecorder(plan, { engine: 'fake', environment, startedAt: '' })
  const now = (): number => 1_000
  const flow = new LiveFlow(plan.flows[0]!, { plan, recorder, pacer: new Pacer(now), paces: [], now })
  await flow.begin(() => false)
  const ends = { caller: deafEnd(), listener: deafEnd() }
  recorder.connectionOpened(now(), 0, 1)
  for (const side of ['caller', 'listener'] as const) flow.attach(side, ends[side].end)
  const closing = flow.close()
  await vi.advanceTimersByTimeAsync(4_000)
  expect([ends.caller.aborted(), ends.listener.aborted()]).toEqual([false, false])
  await vi.advanceTimersByTimeAsync(2_000)
  await closing
  expect([ends.caller.aborted(), ends.listener.aborted()]).toEqual([true, true])
  expect(recorder.flows[0]!.state).toBe('closed')
})
