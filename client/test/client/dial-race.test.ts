// A dial whose process has no turn for it yet: its time does not run, and no other carrier is tried in its place.
import { expect, it } from 'vitest'
import { DialRace, type DialTarget, type Runner } from '../../src/core/attach/dial-race.ts'
import { clientTuning } from '../../src/core/client/tuning.ts'

const url = 'http://r1'
const { dialTimeoutMs, raceStepMs } = clientTuning

function started(): { readonly race: DialRace; readonly carriers: string[] } {
  const carriers: string[] = []
  const targets: DialTarget[] = ['upgrade', 'http', 'grpc'].map((carrier) => ({ url, carrier }))
  const start = (target: DialTarget): Runner => {
    carriers.push(target.carrier)
    const link = { wakeAtMs: () => undefined } as unknown as Runner['link']
    return { ...target, key: carriers.length, link, deadlineMs: dialTimeoutMs }
  }
  const race = new DialRace(clientTuning, targets, start, 0)
  race.wake(0)
  return { race, carriers }
}

it('while it waits nothing is late and nothing else begins; then its time runs', () => {
  const { race, carriers } = started()
  race.waits(0, 1, true)
  expect([race.wake(60_000), carriers, race.wakeAtMs()]).toEqual([[], ['upgrade'], Number.POSITIVE_INFINITY])
  race.waits(60_000, 1, false)
  expect(race.wakeAtMs()).toBe(60_000 + raceStepMs)
  race.wake(60_000 + raceStepMs)
  expect(carriers).toEqual(['upgrade', 'http'])
  expect(race.wake(60_000 + dialTimeoutMs).map(({ key }) => key)).toContain(1)
})

it('a carrier that waits keeps back those after it, not those that run', () => {
  const { race, carriers } = started()
  race.wake(raceStepMs)
  race.waits(raceStepMs, 2, true)
  expect(race.wakeAtMs()).toBe(dialTimeoutMs)
  expect(race.wake(dialTimeoutMs).map(({ key }) => key)).toEqual([1])
  // What failed makes room for the next one at once.
  expect(carriers).toEqual(['upgrade', 'http', 'grpc'])
})
