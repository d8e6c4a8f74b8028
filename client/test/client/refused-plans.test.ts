// What the captain makes of PLAN_NO: an answer that will not change is asked for once, and one that may is asked for again when the peer says so.
import { describe, expect, it } from 'vitest'
import { type OwnFacts, Planner } from '../../src/core/plan/planner.ts'

const facts = (relayId: string, rttMs: number): OwnFacts => ({
  relayId,
  leg: { rttMs, varMs: 0, loss: 0, ageMs: 0 },
  reachable: true,
  open: relayId === 'r1',
})
const report = (...relayIds: string[]) =>
  relayIds.map((relayId) => ({ relayId, rttMs: 10, varMs: 0, loss: 0, ageMs: 0, reachable: !relayId.startsWith('!') }))

/** Relays and links from the best to the worst; the peer told of the first half of each name. */
const own = ['r1#2', 'r1', 'r2#2', 'r2'].map((relayId, place) => facts(relayId, 10 + 5 * place))

/** A captain with two links to two relays, and a peer that told of `peer`. */
function captain(...peer: string[]): Planner {
  const planner = new Planner(() => 0)
  planner.peerReport(0, report(...peer))
  return planner
}

/** The relays that a plan at that time names. */
function named(planner: Planner, nowMs: number): string[] {
  planner.look(nowMs, own, true)
  return planner.plan!.relays.map(({ relayId }) => relayId)
}

describe('a plan that the peer refuses', () => {
  it('for a link that it does not know names no link of ours again, however long the connection lasts', () => {
    const planner = captain('r1', 'r2')
    expect(named(planner, 0)).toContain('r1#2')
    planner.refused(10, 'r1#2', 'not_in_list')
    // Who knows the relay and not its second link knows no links at all: the others need not be asked for one by one.
    for (const nowMs of [10, 29_000, 31_000, 600_000]) {
      planner.peerReport(nowMs, report('r1', 'r2'))
      expect(named(planner, nowMs)).toEqual(['r1', 'r2'])
    }
  })

  it('for a link that it tells of later names it again', () => {
    const planner = captain('r1', 'r2')
    planner.refused(10, 'r1#2', 'not_in_list')
    planner.peerReport(1_000, report('r1', 'r1#2', 'r2'))
    // Who tells of a link knows links: it takes one of its own for those that only we have.
    expect(named(planner, 1_000)).toEqual(expect.arrayContaining(['r1#2', 'r2#2']))
  })

  it('for a relay that it does not know names it again once the peer has it on its list, with all our links', () => {
    const planner = captain('r2')
    planner.refused(10, 'r1#2', 'not_in_list')
    expect(named(planner, 31_000)).not.toContain('r1#2')
    planner.peerReport(40_000, report('r1', 'r2'))
    expect(named(planner, 40_000)).toEqual(expect.arrayContaining(['r1#2', 'r2#2']))
  })

  it('because the relay had just gone from its list is no word about links: they are planned when it is back', () => {
    const planner = captain('r1', 'r2')
    planner.refused(10, 'r1#2', 'not_in_list')
    planner.peerReport(500, report('r2'))
    expect(named(planner, 500)).toEqual(expect.arrayContaining(['r2#2', 'r2']))
    planner.peerReport(40_000, report('r1', 'r2'))
    expect(named(planner, 40_000)).toContain('r1#2')
  })

  it('for whatever names the peer makes up costs nothing', () => {
    const planner = captain('r1', 'r2')
    for (let number = 0; number < 1_000; number += 1) planner.refused(10, `x${number}`, 'not_in_list')
    expect(named(planner, 20)).toEqual(expect.arrayContaining(['r1#2', 'r1', 'r2#2', 'r2']))
  })

  it.each(['not_attached', 'draining'])('for a relay that is %s there names it again when a report says that it can be had', (why) => {
    const planner = captain('r1', 'r2')
    planner.refused(10, 'r2', why)
    expect(named(planner, 500)).not.toContain('r2')
    planner.peerReport(600, report('r1', 'r2'))
    expect(named(planner, 600)).toContain('r2')
  })

  it('and of which no report comes is asked for again after 30 s', () => {
    const planner = captain('r1', 'r2')
    planner.refused(10, 'r2', 'not_attached')
    expect(named(planner, 29_000)).not.toContain('r2')
    expect(named(planner, 30_020)).toContain('r2')
  })

  it('says why a relay is left out', () => {
    const planner = captain('r1', 'r2')
    planner.refused(10, 'r1#2', 'not_in_list')
    planner.refused(10, 'r2', 'draining')
    planner.look(20, own, true)
    expect(Object.fromEntries(planner.ranking.excluded.map(({ relayId, why }) => [relayId, why]))).toMatchObject({
      'r1#2': 'the peer knows no links',
      'r2#2': 'the peer knows no links',
      r2: 'refused by the peer: draining',
    })
  })
})
