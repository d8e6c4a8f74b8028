import { simulatorCrypto } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { Backoff, backoffDelayMs } from '../../src/core/attach/backoff.ts'
import { dialTargets } from '../../src/core/attach/dial-race.ts'
import { bestApart, type Candidate, ownRanking, rendezvousOrder } from '../../src/core/attach/wanted.ts'
import { type ConfirmedAttempt, decideMeeting, type MeetingState } from '../../src/core/client/glare.ts'
import { isElder } from '../../src/core/client/names.ts'
import { clientTuning } from '../../src/core/client/tuning.ts'
import { relayCost } from '../../src/core/plan/cost.ts'
import { type LegEstimate, LegEstimator } from '../../src/core/plan/estimator.ts'
import { Hysteresis, holdMs } from '../../src/core/plan/hysteresis.ts'
import { type OwnFacts, Planner } from '../../src/core/plan/planner.ts'
import { type JointFacts, jointRanking, type RankedRelay, standbyFor } from '../../src/core/plan/ranking.ts'
import { seeded } from './mesh-world.ts'

function leg(rttMs: number, more: Partial<LegEstimate> = {}): LegEstimate {
  return { rttMs, varMs: 0, loss: 0, ageMs: 0, ...more }
}

function joint(relayId: string, own: number, peer: number, more: Partial<JointFacts> = {}): JointFacts {
  return { relayId, own: leg(own), ownReachable: true, peer: leg(peer), peerReachable: true, ...more }
}

function ranked(relayId: string, costMs: number): RankedRelay {
  return { relayId, costMs, ownRttMs: costMs, peerRttMs: costMs, why: '', failureDomain: undefined }
}

describe('the cost of a relay for a pair', () => {
  it.each([
    ['half of both legs', leg(40), leg(5), undefined, 0, 22.5],
    ['variation counts twice', leg(40, { varMs: 3 }), leg(5, { varMs: 1 }), undefined, 0, 30.5],
    ['trouble costs a first resend timer on short paths', leg(4, { loss: 0.1 }), leg(6), undefined, 0, 25],
    ['and two round trips on long ones', leg(400, { loss: 0.1 }), leg(600), undefined, 0, 700],
    ['an end-to-end sample replaces the sum of the legs', leg(40), leg(5), { rttMs: 60 }, 0, 30],
    ['a queue may only make it worse', leg(40), leg(20), undefined, -50, 30],
  ])('%s', (_name, own, peer, endToEnd, queueMs, expected) => {
    expect(relayCost({ relayId: 'r1', own, peer, endToEnd, queueMs, policyMs: 0 })?.costMs).toBeCloseTo(expected)
  })

  it('says how it came about', () => {
    const why = relayCost({ relayId: 'r1', own: leg(40), peer: leg(5), queueMs: 0, policyMs: 7 })?.why
    expect(why).toBe('½(40 + 5) + 2·0 variation + 7 policy = 29.5 ms')
  })
})

describe('the joint ranking', () => {
  it.each([
    ['the jointly best, not the best of one end', [joint('r1', 40, 5), joint('r2', 5, 60), joint('r3', 90, 40)], ['r1', 'r2', 'r3']],
    ['without one that the peer does not reach', [joint('r1', 1, 1, { peerReachable: false }), joint('r2', 50, 50)], ['r2']],
    ['without one that this end does not reach', [joint('r1', 1, 1, { ownReachable: false }), joint('r2', 50, 50)], ['r2']],
    ['without one that drains', [joint('r1', 1, 1, { excluded: 'it drains' }), joint('r2', 50, 50)], ['r2']],
    ['an unmeasured one last', [joint('r1', 1, 1, { peer: undefined }), joint('r2', 90, 90)], ['r2', 'r1']],
    ['equal ones by id', [joint('r2', 5, 5), joint('r1', 5, 5)], ['r1', 'r2']],
  ])('%s', (_name, facts, order) => {
    expect(jointRanking(facts).ranked.map((relay) => relay.relayId)).toEqual(order)
  })

  it('says why a relay is left out', () => {
    const { excluded } = jointRanking([joint('r1', 1, 1, { peerReachable: false })])
    expect(excluded).toEqual([{ relayId: 'r1', ownRttMs: 1, peerRttMs: 1, why: 'not reached by the peer' }])
  })

  it('takes the standby from another failure domain where that is cheap', () => {
    const domains = (third: number) =>
      jointRanking([
        joint('r1', 10, 10, { failureDomain: 'a' }),
        joint('r2', 11, 11, { failureDomain: 'a' }),
        joint('r3', third, third, { failureDomain: 'b' }),
      ]).ranked
    expect(standbyFor(domains(15), 'r1')).toBe('r3')
    expect(standbyFor(domains(90), 'r1')).toBe('r2')
  })
})

describe('hysteresis', () => {
  const first = () => 0

  it.each([
    ['much better in three rounds: moves', 90, 40, 3, 'r2'],
    ['in two rounds only: stays', 90, 40, 2, 'r1'],
    ['better, but not by a third: stays', 90, 65, 9, 'r1'],
    ['by a third, but less than 10 ms: stays', 12, 4, 9, 'r1'],
    ['exactly two thirds and 10 ms less: moves', 30, 20, 3, 'r2'],
  ])('%s', (_name, oldCost, newCost, rounds, expected) => {
    const hysteresis = new Hysteresis(first)
    hysteresis.choose(0, [ranked('r1', oldCost)], true)
    const ranking = [ranked('r2', newCost), ranked('r1', oldCost)]
    for (let round = 0; round < rounds; round += 1) hysteresis.choose(100_000 + round * 20_000, ranking, true)
    // Looks between rounds count for nothing.
    for (let look = 0; look < 10; look += 1) hysteresis.choose(300_000, ranking, false)
    expect(hysteresis.current).toBe(expected)
  })

  it('counts only rounds one after the other', () => {
    const hysteresis = new Hysteresis(first)
    hysteresis.choose(0, [ranked('r1', 90)], true)
    for (let round = 0; round < 9; round += 1) {
      const newCost = round % 3 === 2 ? 80 : 40
      hysteresis.choose(100_000 + round, [ranked('r2', newCost), ranked('r1', 90)], true)
    }
    expect(hysteresis.current).toBe('r1')
  })

  it('holds for 30 s after a move', () => {
    const hysteresis = new Hysteresis(first)
    hysteresis.choose(0, [ranked('r1', 90)], true)
    hysteresis.moved(1_000, 'r2')
    for (let round = 0; round < 9; round += 1) hysteresis.choose(1_000 + round, [ranked('r1', 10), ranked('r2', 90)], true)
    expect(hysteresis.current).toBe('r2')
    hysteresis.choose(1_000 + holdMs, [ranked('r1', 10), ranked('r2', 90)], true)
    expect(hysteresis.current).toBe('r1')
  })

  it('leaves at once a relay that cannot be used', () => {
    const hysteresis = new Hysteresis(first)
    hysteresis.choose(0, [ranked('r1', 10), ranked('r2', 50)], true)
    expect(hysteresis.choose(1, [ranked('r2', 50)], false)).toEqual({ relayId: 'r2', why: 'r1 cannot be used any more' })
  })

  it('spreads a crowd over relays within ten percent, and no further', () => {
    const counts = new Map<string, number>()
    const random = seeded(7)
    for (let client = 0; client < 3_000; client += 1) {
      const { relayId } = new Hysteresis(random).choose(
        0,
        [ranked('r1', 100), ranked('r2', 105), ranked('r3', 109), ranked('r4', 111)],
        true,
      )!
      counts.set(relayId, (counts.get(relayId) ?? 0) + 1)
    }
    expect([...counts.keys()].sort()).toEqual(['r1', 'r2', 'r3'])
    for (const count of counts.values()) expect(count).toBeGreaterThan(850)
  })
})

describe('the captain', () => {
  const own = (relayId: string, rttMs: number, more: Partial<OwnFacts> = {}): OwnFacts => ({
    relayId,
    leg: leg(rttMs),
    reachable: true,
    open: false,
    ...more,
  })
  const report = (relayId: string, rttMs: number, reachable = true) => ({ relayId, rttMs, varMs: 0, loss: 0, ageMs: 0, reachable })
  const legs = [own('r1', 40), own('r2', 5), own('r3', 90)]
  const peer = [report('r1', 5), report('r2', 60), report('r3', 40)]

  it('plans the jointly best as active, the second as standby, the rest as fail-over order', () => {
    const planner = new Planner(() => 0)
    planner.peerReport(0, peer)
    expect(planner.look(0, legs, false)?.plan).toMatchObject({ epoch: 1, activeFromCaller: 'r1', activeFromListener: 'r1', standby: 'r2' })
    expect(planner.plan?.relays.map((relay) => relay.relayId)).toEqual(['r1', 'r2', 'r3'])
    expect(planner.look(1, legs, true)).toBeUndefined()
  })

  it.each([
    ['PLAN_NO', (planner: Planner) => planner.refused(10, 'r1', 'draining')],
    ['a path that went silent', (planner: Planner) => planner.bad(10, 'r1')],
    ['a report that calls it unreachable', (planner: Planner) => planner.peerReport(10, [report('r1', 5, false), ...peer.slice(1)])],
  ])('plans anew after %s', (_name, happens) => {
    const planner = new Planner(() => 0)
    planner.peerReport(0, peer)
    planner.look(0, legs, false)
    happens(planner)
    expect(planner.look(10, legs, false)?.plan).toMatchObject({ epoch: 2, activeFromCaller: 'r2', standby: 'r3' })
    expect(planner.settled).toBe(false)
    planner.acknowledged(1)
    expect(planner.settled).toBe(false)
    planner.acknowledged(2)
    expect(planner.settled).toBe(true)
  })

  it('uses only open paths while it knows nothing of the peer', () => {
    const planner = new Planner(() => 0)
    expect(planner.look(0, [own('r1', 40, { open: true }), own('r2', 5)], false)?.plan).toMatchObject({
      activeFromCaller: 'r1',
      standby: '',
    })
  })

  it('keeps a standby for noise', () => {
    const planner = new Planner(() => 0)
    planner.peerReport(0, peer)
    planner.look(0, legs, false)
    expect(planner.look(1, [own('r1', 40), own('r2', 5), own('r3', 20)], true)).toBeUndefined()
  })
})

describe('estimating a leg', () => {
  it('takes a spike at once and forgets it within seconds', () => {
    const estimator = new LegEstimator()
    for (let sample = 0; sample < 10; sample += 1) estimator.sample(sample * 1_000, 20)
    estimator.sample(10_000, 300)
    expect(estimator.estimate(10_000)?.rttMs).toBe(300)
    for (let sample = 11; sample < 60; sample += 1) estimator.sample(sample * 1_000, 20)
    expect(estimator.estimate(60_000)?.rttMs).toBeLessThan(25)
    expect(estimator.minimumMs()).toBe(20)
  })

  it('counts a lost attachment as trouble for a minute or so', () => {
    const estimator = new LegEstimator()
    estimator.sample(0, 20)
    estimator.trouble(0)
    expect(estimator.estimate(0)?.loss).toBeCloseTo(0.1)
    expect(estimator.estimate(300_000)?.loss).toBe(0)
  })
})

describe('back-off', () => {
  it('draws each delay from zero to a doubling bound, under the cap of the moment', () => {
    const most = () => 0.999999
    const bounds = (urgent: boolean) =>
      [0, 1, 2, 3, 4, 5, 6, 7, 8].map((failures) => Math.round(backoffDelayMs(clientTuning, failures, urgent, most)))
    expect(bounds(false)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000])
    expect(bounds(true)).toEqual([250, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000, 5_000])
    expect(backoffDelayMs(clientTuning, 8, false, () => 0)).toBe(0)
  })

  it.each([
    ['rests after five failures', { urgent: false, mayRest: true, serving: false }, ['retry', 'retry', 'retry', 'retry', 'rest', 'rest']],
    ['never, when it is one of the last two', { urgent: false, mayRest: false, serving: false }, Array(6).fill('retry')],
    ['nor while a connection has no path', { urgent: true, mayRest: true, serving: false }, Array(6).fill('retry')],
  ])('%s', (_name, facts, steps) => {
    const backoff = new Backoff(clientTuning, () => 0.5)
    expect(steps.map(() => backoff.failed(0, facts).type)).toEqual(steps)
  })

  it('starts over only after a minute of stability', () => {
    const facts = { urgent: false, mayRest: false, serving: false }
    const backoff = new Backoff(clientTuning, () => 0.999999)
    for (let failure = 0; failure < 4; failure += 1) backoff.failed(0, facts)
    backoff.established(0)
    expect(Math.round(backoff.failed(59_000, facts).delayMs)).toBe(16_100)
    backoff.established(100_000)
    expect(Math.round(backoff.failed(160_000, facts).delayMs)).toBe(1_100)
  })

  it('asks a relay that went in order again at an even pace for half a minute, whatever it failed before', () => {
    const facts = { urgent: false, mayRest: true, serving: false }
    const most = (): number => 0.999999
    const backoff = new Backoff(clientTuning, most)
    for (let failure = 0; failure < 4; failure += 1) backoff.failed(0, facts)
    backoff.established(1_000)
    const delays = [backoff.wentInOrder(5_000, 2_000, facts)]
    for (const nowMs of [6_000, 7_000, 20_000, 34_999]) delays.push(backoff.failed(nowMs, facts))
    expect(delays.map(({ delayMs }) => Math.round(delayMs))).toEqual([1_000, 1_000, 1_000, 1_000, 1_000])
    expect(backoff.failed(35_000, facts).delayMs).toBe(backoffDelayMs(clientTuning, 0, false, most))
  })

  it.each([
    ['the relay asked for no spread', 0, 250],
    ['for a long one', 60_000, 2_000],
  ])('keeps that pace within bounds when %s', (_name, spreadMs, paceMs) => {
    const backoff = new Backoff(clientTuning, () => 0.999999)
    backoff.established(0)
    expect(Math.round(backoff.wentInOrder(5_000, spreadMs, { urgent: false, mayRest: true, serving: false }).delayMs)).toBe(paceMs)
  })

  it('takes a relay that sends its clients away as soon as they come for a failing one', () => {
    const facts = { urgent: false, mayRest: true, serving: false }
    const backoff = new Backoff(clientTuning, () => 0.5)
    const steps: string[] = []
    for (let nowMs = 0; nowMs < 6_000; nowMs += 1_000) {
      backoff.established(nowMs)
      steps.push(backoff.wentInOrder(nowMs + 999, 2_000, facts).type)
    }
    expect(steps).toEqual(['retry', 'retry', 'retry', 'retry', 'rest', 'rest'])
  })
})

describe('dialing', () => {
  it('tries the last winner first, then the preferred carrier on every address', () => {
    const urls = ['http://a:80', 'http://a:8080']
    const all = (winner?: { url: string; carrier: string }) =>
      dialTargets(urls, ['upgrade', 'http'], winner).map(({ url, carrier }) => `${carrier} ${url.slice(7)}`)
    expect(all()).toEqual(['upgrade a:80', 'upgrade a:8080', 'http a:80', 'http a:8080'])
    expect(all({ url: urls[1]!, carrier: 'http' })).toEqual(['http a:8080', 'upgrade a:80', 'upgrade a:8080', 'http a:80'])
    expect(all({ url: 'http://gone', carrier: 'http' })).toHaveLength(4)
  })
})

describe('choosing whom to attach to', () => {
  const candidate = (relayId: string, more: Partial<Candidate> = {}): Candidate => ({
    relayId,
    failureDomain: undefined,
    minimumMs: undefined,
    failing: false,
    ...more,
  })

  it('ranks by measurement, tries the unmeasured before the far, and the failing last', () => {
    const order = ownRanking([
      candidate('failing', { minimumMs: 1, failing: true }),
      candidate('far', { minimumMs: 300 }),
      candidate('unmeasured'),
      candidate('near', { minimumMs: 10 }),
    ])
    expect(order.map(({ relayId }) => relayId)).toEqual(['near', 'unmeasured', 'far', 'failing'])
  })

  it('keeps failure domains apart as long as it can', () => {
    const domain = (relayId: string, failureDomain: string) => candidate(relayId, { failureDomain })
    const ids = (count: number) =>
      bestApart([domain('a1', 'a'), domain('a2', 'a'), domain('b1', 'b'), candidate('c')], count).map(({ relayId }) => relayId)
    expect(ids(3)).toEqual(['a1', 'b1', 'c'])
    expect(ids(4)).toEqual(['a1', 'b1', 'c', 'a2'])
  })

  it('gives both ends the same relays of a long list for one name, and different names different ones', () => {
    const crypto = simulatorCrypto(seeded(1))
    const relays = Array.from({ length: 40 }, (_, index) => `r${index}`)
    expect(rendezvousOrder(crypto, 'bob', relays)).toEqual(rendezvousOrder(crypto, 'bob', [...relays].reverse()))
    expect(rendezvousOrder(crypto, 'bob', relays).slice(0, 5)).not.toEqual(rendezvousOrder(crypto, 'carol', relays).slice(0, 5))
  })
})

describe('what the responder answers at key confirmation', () => {
  const attempt = (more: Partial<ConfirmedAttempt> = {}): ConfirmedAttempt => ({ attempt: 5, instance: 'i1', ...more })
  const existing = (role: 'caller' | 'listener', more: object = {}) => ({ role, attempt: 4, peerInstance: 'i1', ...more }) as const
  const nothing: MeetingState = { existing: undefined, ownAttempt: false, elder: false }

  it.each([
    ['nothing of that name', attempt(), nothing, 'confirm'],
    ['the elder with an attempt of its own', attempt(), { ...nothing, ownAttempt: true, elder: true }, 'yield'],
    ['the younger with an attempt of its own', attempt(), { ...nothing, ownAttempt: true, elder: false }, 'confirm'],
    ['the elder without one', attempt(), { ...nothing, elder: true }, 'confirm'],
    ['same instance, lower attempt', attempt({ attempt: 3 }), { ...nothing, existing: existing('listener') }, 'ignore'],
    ['same instance, same attempt', attempt({ attempt: 4 }), { ...nothing, existing: existing('listener') }, 'ignore'],
    ['same instance, higher attempt', attempt({ attempt: 6 }), { ...nothing, existing: existing('listener') }, 'replace'],
    ['a new instance', attempt({ instance: 'i2' }), { ...nothing, existing: existing('listener') }, 'probe'],
    [
      'a new instance with a lower number',
      attempt({ instance: 'i2', attempt: 1 }),
      { ...nothing, existing: existing('listener') },
      'probe',
    ],
    ['one that we called exists', attempt(), { ...nothing, existing: existing('caller') }, 'probe'],
    ['… at the elder too', attempt(), { ...nothing, elder: true, existing: existing('caller') }, 'probe'],
  ] as const)('%s', (_name, confirmed, state, expected) => {
    expect(decideMeeting(confirmed, state)).toBe(expected)
  })

  it.each([
    ['alice', 'bob', true],
    ['bob', 'alice', false],
    ['alice', 'alice/laptop', true],
    ['alice/a', 'alice/b', true],
    ['a-b', 'a/b', true],
    ['alice', 'alice-x', false],
  ])('%s before %s: %s', (own, peer, elder) => {
    expect(isElder(own, peer)).toBe(elder)
  })
})
