// A path that carries less than its ends have to say: it is used up, in one direction and in both, and its queue stays short however long that lasts.
import { expect, it } from 'vitest'
import { World } from './world.ts'

/** Eight megabits a second and 100 ms there and back, as an uplink at home has to a relay far away. */
const bytesPerMs = 1_000
const rttMs = 100
const minutes = 3

/** What each end received of what the path carries, and its worst smoothed round trip, from the second minute on. */
function long(backFromMs: number): { readonly used: number[]; readonly rttMs: number } {
  const world = new World({ seed: 3, relays: { r1: rttMs / 2 }, openFirst: ['r1'], joins: false, creditBytes: 8 * 2 ** 20 })
  world.relay('r1').bytesPerMs = bytesPerMs
  world.run(500)
  const traffic = { streams: 1, streamBytes: bytesPerMs * (minutes + 1) * 60_000, streamTurnBytes: 1_000_000, everyMs: 100 }
  const got = (): number[] => world.ends.map(({ streamsGot }) => [...streamsGot.values()].reduce((sum, stream) => sum + stream.got, 0))
  world.start(0, traffic)
  world.run(500 + backFromMs)
  if (backFromMs > 0) world.start(1, traffic)
  world.run(60_000)
  const before = got()
  let worstMs = 0
  for (let atMs = 60_000; atMs <= minutes * 60_000; atMs += 5_000) {
    world.run(atMs)
    for (const { machine } of world.ends) worstMs = Math.max(worstMs, machine.status().paths[0]!.srttMs!)
  }
  const carried = bytesPerMs * (minutes - 1) * 60_000
  return { used: got().map((bytes, side) => (bytes - before[side]!) / carried), rttMs: worstMs }
}

it('one direction for minutes: all of it is used, and the round trip does not grow', () => {
  const { used, rttMs: worstMs } = long(0)
  expect(used[1]).toBeGreaterThan(0.95)
  expect(worstMs).toBeLessThan(4 * rttMs)
})

it('both directions, one begun later: neither starves the other, though the acks of each stand behind its data', () => {
  const { used, rttMs: worstMs } = long(5_000)
  expect(Math.min(...used)).toBeGreaterThan(0.7)
  expect(worstMs).toBeLessThan(5 * rttMs)
})
