// Faults that follow each other within seconds, while the mode has one relay to spare: each finds the relay that was hit last back in its place.
import { parsePaths } from '@sennit/client/core'
import { describe, expect, it } from 'vitest'
import { apartness, countApart, hasSpare } from '../../src/core/paths/apart.ts'
import { type OwnFacts, Planner } from '../../src/core/plan/planner.ts'
import { longestEchoMs, modesOf, openRelays, type Pair, pairOf } from './mode-pair.ts'

/** One relay after the other that carries at that moment, never the one that was hit last; the longest wait for an echo. */
function worstOf(pair: Pair, faults: number, everyMs: number, hit: (relayId: string) => void): number {
  let worst = 0
  let last = ''
  for (let fault = 0; fault < faults; fault += 1) {
    const { active } = pair.alice.machine.status().connections[0]!
    last = [active.send!, ...openRelays(pair.alice)].find((relayId) => relayId !== last)!
    worst = Math.max(
      worst,
      longestEchoMs(pair, everyMs, 0, () => hit(last)),
    )
  }
  return worst
}

describe('faults within seconds of each other', () => {
  it.each([
    ['split(2)', 3],
    ['split(3)', 4],
    ['disperse(2,3)', 3],
    ['pair', 3],
  ] as const)('%s over %i relays that freeze one after the other stands still no longer than a verdict takes', (paths, relays) => {
    const pair = pairOf(paths, { relays: ['r1', 'r2', 'r3', 'r4'].slice(0, relays) })
    pair.world.run(5_000)
    const worstMs = worstOf(pair, 4, 3_000, (relayId) => {
      pair.world.relay(relayId).freeze()
      pair.world.at(pair.world.nowMs + 1_500, () => pair.world.relay(relayId).thaw())
    })
    // Two turns of the probe timer and the silence of a verdict; a relay that is waited for is back after 1 500 ms.
    expect(worstMs).toBeLessThan(500)
    expect(modesOf(pair.alice)).toMatchObject({ whole: true })
  })

  it.each([
    ['split(2)', 3],
    ['disperse(2,3)', 3],
  ] as const)('%s over %i relays that are killed and started again has a path ready each time', (paths, relays) => {
    const pair = pairOf(paths, { relays: ['r1', 'r2', 'r3', 'r4'].slice(0, relays) })
    pair.world.run(5_000)
    const worstMs = worstOf(pair, 6, 4_500, (relayId) => {
      pair.world.relay(relayId).kill()
      pair.world.at(pair.world.nowMs + 1_000, () => pair.world.relay(relayId).start())
    })
    // A dial, a plan and a join take five round trips of 20 ms at least.
    expect(worstMs).toBeLessThan(60)
    expect(modesOf(pair.alice)).toMatchObject({ whole: true })
  })
})

describe('a lost relay that a mode has none to spare without', () => {
  it('is dialled about twice a second for half a minute, and then as any other', () => {
    const { world, alice } = pairOf('split(2)', { relays: ['r1', 'r2', 'r3'] })
    world.run(5_000)
    const dials = (forMs: number): number => {
      const before = alice.all('event').filter(({ event }) => event.type === 'dial_failed').length
      world.run(forMs)
      return alice.all('event').filter(({ event }) => event.type === 'dial_failed').length - before
    }
    world.relay('r3').kill()
    const first = dials(30_000)
    expect(first).toBeGreaterThan(30)
    expect(first).toBeLessThan(90)
    // No rest, and the cap of a connection without a standby: 2.5 s between two dials on average.
    dials(5_000)
    expect(dials(60_000)).toBeLessThan(48)
  })

  it('is dialled in its own time where something is left to go on with', () => {
    const { world, alice } = pairOf('mirror(2)', { relays: ['r1', 'r2', 'r3'] })
    world.run(5_000)
    world.relay('r3').kill()
    world.run(30_000)
    expect(alice.all('event').filter(({ event }) => event.type === 'dial_failed').length).toBeLessThan(20)
  })
})

describe('a plan beside a relay that went silent', () => {
  const report = (relayId: string) => ({ relayId, rttMs: 5, varMs: 0, loss: 0, ageMs: 0, reachable: true })
  const own = (relayId: string): OwnFacts => ({ relayId, leg: { rttMs: 5, varMs: 0, loss: 0, ageMs: 0 }, reachable: true, open: true })

  it.each([
    // mode, relays, the relays that carry after r1 went silent, and the standby
    ['split(2)', ['r1', 'r2', 'r3'], ['r2', 'r3'], 'r1'],
    ['split(2)', ['r1', 'r2', 'r3', 'r4'], ['r2', 'r3'], 'r4'],
    ['disperse(2,3)', ['r1', 'r2', 'r3'], ['r2', 'r3', 'r1'], 'r3'],
    ['mirror(2)', ['r1', 'r2', 'r3'], ['r2', 'r3'], 'r1'],
  ] as const)('%s over %j goes on over %j, with %s to stand by', (paths, relays, carry, standby) => {
    const planner = new Planner(() => 0)
    planner.paths = parsePaths(paths)
    planner.peerReport(0, relays.map(report))
    expect(planner.look(0, relays.map(own), false)?.modes?.fromCaller[0]).toBe('r1')
    planner.bad(10, 'r1')
    const next = planner.look(10, relays.map(own), false)
    expect(next?.modes?.fromCaller).toEqual(carry)
    expect(next?.plan.standby).toBe(standby)
  })

  it('leaves it out where another can stand by', () => {
    const planner = new Planner(() => 0)
    planner.peerReport(0, ['r1', 'r2', 'r3'].map(report))
    planner.look(0, ['r1', 'r2', 'r3'].map(own), false)
    planner.bad(10, 'r1')
    expect(planner.look(10, ['r1', 'r2', 'r3'].map(own), false)?.plan.relays.map(({ relayId }) => relayId)).toEqual(['r2', 'r3'])
  })
})

describe('relays to spare', () => {
  const relay = (relayId: string, failureDomain?: string) => ({ relayId, failureDomain })

  it.each([
    ['best', [relay('r1')], false],
    ['best', [relay('r1'), relay('r1#2')], true],
    ['best', [relay('r1'), relay('r2')], true],
    ['split(2)', [relay('r1'), relay('r2')], false],
    ['split(2)', [relay('r1'), relay('r2'), relay('r2#2')], false],
    ['split(2)', [relay('r1', 'a'), relay('r2', 'a'), relay('r3', 'b')], false],
    ['split(2)', [relay('r1', 'a'), relay('r2', 'b'), relay('r3', 'c')], true],
    ['send=best,receive=mirror(2)', [relay('r1'), relay('r2')], false],
  ] as const)('%s of %j: %s', (paths, relays, expected) => {
    expect(hasSpare(relays, parsePaths(paths))).toBe(expected)
  })

  it('are counted as far apart as the mode wants them', () => {
    const relays = [relay('r1', 'a'), relay('r1#2', 'a'), relay('r2', 'a'), relay('r3', 'b')]
    const count = (paths: string): number => countApart(relays, apartness(parsePaths(paths).send))
    expect([count('best'), count('rotate(10s)'), count('split(2)')]).toEqual([4, 3, 2])
  })
})
