// The pure parts of a run on several machines: who runs what, how far clocks are apart, and what the coordinator does when.
import { describe, expect, test } from 'vitest'
import { clockErrorOver, correctedOffset, estimateClock } from '../src/agents/clock-estimate.ts'
import { type CoordinatorEffect, CoordinatorMachine } from '../src/agents/coordinator-machine.ts'
import { agentProtocol, type Drain, type Join, silenceMaxMs } from '../src/agents/messages.ts'
import { type ShareAgent, shareClients, zonesOfLocalAgents } from '../src/agents/share.ts'
import type { Plan } from '../src/plan.ts'
import { planOf, type Sheets } from './fixtures/sheets.ts'

const zones: Sheets = {
  Run: [
    ['key', 'value'],
    ['duration', '10s'],
  ],
  Zones: [
    ['zone', 'agents_min'],
    ['eu', 2],
    ['us', ''],
  ],
  Relays: [['relay'], ['r1'], ['r2']],
  Clients: [
    ['client', 'count', 'zone'],
    ['e-{n}', 8, 'eu'],
    ['u-{n}', 4, 'us'],
    ['n-{n}', 2, ''],
  ],
}
const plan = planOf(zones)
const agents = (...named: string[]): ShareAgent[] => named.map((zone, rank) => ({ rank, zone }))

describe('shares', () => {
  const clientsOf = (shares: ReturnType<typeof shareClients>, rank: number): string[] => {
    if ('problem' in shares) throw new Error(shares.problem)
    return plan.clients.filter((_, index) => shares.rankOf[index] === rank).map(({ client }) => client)
  }

  test('go by zone first, evenly, and are the same whoever asks in whatever order', () => {
    const shares = shareClients(plan, agents('eu', 'eu', 'us', ''))
    expect([0, 1, 2, 3].map((rank) => clientsOf(shares, rank).length)).toEqual([4, 4, 4, 2])
    expect(clientsOf(shares, 2)).toEqual(['u-1', 'u-2', 'u-3', 'u-4'])
    expect(clientsOf(shares, 0).every((client) => client.startsWith('e-'))).toBe(true)
    expect(shareClients(plan, agents('eu', 'eu', 'us', '').reverse())).toEqual(shares)
  })

  test('do not follow the order of rows: neighbours that talk to each other are on different agents, too', () => {
    const free = planOf({
      Clients: [
        ['client', 'count'],
        ['c-{n}', 40],
      ],
      Relays: [['relay'], ['r1']],
    })
    const shares = shareClients(free, agents('', ''))
    if ('problem' in shares) throw new Error(shares.problem)
    const across = free.flows.filter(({ caller, listener }) => shares.rankOf[caller] !== shares.rankOf[listener]).length
    expect(across).toBeGreaterThan(4)
    expect(across).toBeLessThan(16)
  })

  test.each([
    ['too few of a zone', ['eu', 'us'], /at least 2 agents of zone eu \(Zones.agents_min\); found 1/],
    ['nobody for a zone', ['eu', 'eu'], /no agent runs the clients of zone us: expected one with --zone us/],
    ['a zone that is not there', ['eu', 'eu', 'mars'], /expected agents of the workbook's zones \(eu, us\); found one of "mars"/],
  ])('are refused: %s', (_why, named, words) => {
    expect(shareClients(plan, agents(...named))).toEqual({ problem: expect.stringMatching(words) })
  })

  test('agents that are started here have the zones that must have some', () => {
    expect(zonesOfLocalAgents(plan.zones, 4)).toEqual(['eu', 'eu', '', ''])
    expect(zonesOfLocalAgents(plan.zones, 1)).toEqual(['eu'])
  })
})

describe('clocks', () => {
  const trip = (sentMs: number, upMs: number, downMs: number, aheadMs: number) => {
    const receivedMs = sentMs + upMs + aheadMs
    return { sentMs, receivedMs, answeredMs: receivedMs + 1, backMs: sentMs + upMs + 1 + downMs }
  }

  test.each([
    ['even ways', [trip(0, 5, 5, 1000)], 1000, 5],
    ['the shortest of several', [trip(0, 50, 10, 7), trip(100, 2, 2, 7), trip(200, 9, 30, 7)], 7, 2],
    ['uneven ways: wrong, and within what it says', [trip(0, 10, 0, 100)], 105, 5],
    ['a clock that is behind', [trip(0, 1, 1, -3_600_000)], -3_600_000, 1],
  ])('%s', (_what, trips, offsetMs, errorMs) => {
    expect(estimateClock(trips)).toEqual({ offsetMs, errorMs })
  })

  test('nonsense is left out', () => {
    const { sentMs, ...rest } = trip(0, 1, 1, 0)
    expect(estimateClock([])).toBeUndefined()
    expect(estimateClock([{ sentMs: sentMs + 100, ...rest }])).toBeUndefined()
    expect(estimateClock([{ sentMs, receivedMs: 5, answeredMs: 4, backMs: 9 }])).toBeUndefined()
  })

  test.each([
    ['a vague look rules nothing out', 10, { offsetMs: 14, errorMs: 5 }, 10],
    ['a sharp one does', 10, { offsetMs: 14, errorMs: 1 }, 13],
    ['the other way round', 10, { offsetMs: 7, errorMs: 1 }, 8],
  ])('a later look: %s', (_what, usedMs, estimate, offsetMs) => {
    expect(correctedOffset(usedMs, estimate)).toBe(offsetMs)
  })

  test('drift shows in the error', () => {
    expect(clockErrorOver({ offsetMs: 10, errorMs: 1 }, undefined)).toBe(1)
    expect(clockErrorOver({ offsetMs: 10, errorMs: 1 }, { offsetMs: 10.2, errorMs: 0.5 })).toBe(1)
    expect(clockErrorOver({ offsetMs: 10, errorMs: 1 }, { offsetMs: 30, errorMs: 2 })).toBe(22)
  })
})

describe('the coordinator', () => {
  const clock = { offsetMs: 0, errorMs: 0.5 }
  const join = (more: Partial<Join> = {}): Join => ({
    version: '1.0.0',
    protocol: agentProtocol,
    zone: '',
    rank: null,
    size: null,
    host: 'h',
    pid: 1,
    ...more,
  })
  const free = planOf({
    Run: zones.Run!,
    Clients: [
      ['client', 'count'],
      ['c-{n}', 8],
    ],
    Relays: [['relay'], ['r1']],
  })

  function coordinator(wanted: number, of: Plan = free, relaysOnLoopback = true) {
    const machine = new CoordinatorMachine({ plan: of, version: '1.0.0', agents: wanted, waitMs: 60_000, relaysOnLoopback }, 0)
    /** What it does, in short. */
    const effects = (): string[] => {
      const all: string[] = []
      for (let effect = machine.poll(); effect !== undefined; effect = machine.poll()) if (effect.type !== 'note') all.push(short(effect))
      return all
    }
    return { machine, effects }
  }

  function short(effect: CoordinatorEffect): string {
    if (effect.type === 'order')
      return `${effect.rank} ${effect.order.do}${effect.order.do === 'close' ? ` [${effect.order.unsettled}]` : ''}`
    if (effect.type === 'failed') return `failed ${effect.code}: ${effect.message}`
    return effect.type
  }

  /** Two agents that have begun at 2 500. */
  function running(of: Plan = free) {
    const { machine, effects } = coordinator(2, of)
    machine.join(10, 'a', join(), true)
    machine.join(20, 'b', join(), true)
    machine.ready(1_000, 'a', clock)
    machine.ready(1_000, 'b', clock)
    expect(effects()).toEqual(['0 share', '1 share', '0 start', '1 start', 'start'])
    return { machine, effects, endMs: 2_500 + of.run.durationMs }
  }

  const across = (of: Plan, machine: CoordinatorMachine): number => {
    const rankOf = (client: number): number => machine.agents.find(({ clients }) => clients.includes(client))!.rank
    return of.flows.flatMap((flow) => flow.directions).find(({ from, to }) => rankOf(from) === 0 && rankOf(to) === 1)!.direction
  }

  /** What both ends say of the one direction that goes from agent 0 to agent 1. */
  const drains = (direction: number, sent: number, received: number): [Drain, Drain] => [
    { settled: true, sent: [[direction, sent]], received: [] },
    { settled: true, sent: [], received: [[direction, received]] },
  ]

  test.each([
    [
      'another version',
      join({ version: '2.0.0' }),
      true,
      'version_incompatible',
      /coordinator is sennit 1\.0\.0 .* agent is sennit 2\.0\.0/,
    ],
    ['another protocol', join({ protocol: 99 }), true, 'version_incompatible', /agent protocol 99/],
    ['another machine while relays are on loopback', join(), false, 'agent_refused', /relays of this run listen on loopback.*--mesh DIR/],
    ['another size', join({ size: 3 }), true, 'agent_refused', /has 2 agents, and this one says that there are 3/],
    ['a rank too high', join({ rank: 2 }), true, 'agent_refused', /ranks 0 to 1/],
    ['a rank that is taken', join({ rank: 0 }), true, 'agent_refused', /an agent of rank 0 already/],
  ])('refuses %s', (_why, asked, isLocal, code, message) => {
    const { machine } = coordinator(2)
    expect(machine.join(0, 'first', join({ rank: 0 }), true)).toEqual({ rank: 0 })
    expect(machine.join(1, 'second', asked, isLocal)).toMatchObject({ code, message: expect.stringMatching(message) })
    expect(machine.join(2, 'third', join(), true)).toEqual({ rank: 1 })
    expect(machine.join(3, 'fourth', join(), true)).toMatchObject({ message: expect.stringMatching(/has begun/) })
  })

  test('lets agents of other machines in when relays can be reached from there', () => {
    expect(coordinator(1, free, false).machine.join(0, 'a', join(), false)).toEqual({ rank: 0 })
  })

  test('gives up when agents do not come in time, and tells those that did', () => {
    const { machine, effects } = coordinator(2)
    machine.join(50_000, 'a', join(), true)
    machine.heard(59_000, 'a')
    expect(machine.wakeAtMs()).toBe(60_000)
    machine.tick(60_000)
    expect(effects()).toEqual(['0 leave', 'failed agents_missing: expected 2 agents within 60 s; found 1. --agents-wait gives them longer'])
    expect(machine.wakeAtMs()).toBeUndefined()
  })

  test('an agent that goes away while others are waited for leaves its place', () => {
    const { machine } = coordinator(2)
    machine.join(0, 'a', join({ rank: 1 }), true)
    machine.tick(silenceMaxMs)
    expect(machine.join(20_000, 'b', join({ rank: 1 }), true)).toEqual({ rank: 1 })
  })

  test('refuses shares before the start when a zone has too few agents', () => {
    const { machine, effects } = coordinator(1, plan)
    machine.join(0, 'a', join(), true)
    expect(effects()).toEqual(['0 leave', expect.stringMatching(/^failed agents_missing: expected at least 2 agents of zone eu/)])
  })

  test('closes when all that was sent has arrived, relays run again, and nobody is waited for twice', () => {
    const { machine, effects, endMs } = running()
    const direction = across(free, machine)
    const [early] = drains(direction, 5, 0)
    machine.heard(endMs, 'a')
    machine.heard(endMs, 'b')
    machine.tick(endMs)
    expect(machine.phase).toBe('draining')
    machine.snapshot(endMs + 10, 'a', { drain: early })
    machine.snapshot(endMs + 10, 'b', { drain: drains(direction, 5, 4)[1] })
    machine.relaysHealed(endMs + 15)
    expect(effects()).toEqual([])
    machine.snapshot(endMs + 20, 'b', { drain: drains(direction, 5, 5)[1] })
    expect(effects()).toEqual(['0 close []', '1 close []'])
    machine.finished(endMs + 30, 'a', clock)
    expect(effects()).toEqual([])
    machine.finished(endMs + 40, 'b', clock)
    expect(effects()).toEqual(['0 leave', '1 leave', 'over'])
  })

  test('closes at the end of the drain all the same, and says what is missing', () => {
    const { machine, effects, endMs } = running()
    const direction = across(free, machine)
    const told = drains(direction, 5, 4)
    for (let at = endMs; at <= endMs + free.run.drainMs; at += 1_000) {
      machine.snapshot(at, 'a', { drain: told[0] })
      machine.snapshot(at, 'b', { drain: told[1] })
      machine.heard(at, 'a')
      machine.heard(at, 'b')
      machine.tick(at)
    }
    expect(effects()).toEqual([`0 close [${direction >> 1}]`, `1 close [${direction >> 1}]`])
  })

  test('a load that is ended before its time is drained at once, and closed when all has arrived', () => {
    const { machine, effects, endMs } = running()
    machine.endLoad(endMs - 5_000, { by: 'hand', why: 'stopped by hand' })
    expect(effects()).toEqual(['0 end', '1 end'])
    expect(machine.phase).toBe('draining')
    machine.endLoad(endMs - 4_000, { by: 'hand', why: 'again' })
    machine.relaysHealed(endMs - 4_000)
    // Nobody has told what is under way yet.
    expect(effects()).toEqual([])
    const [a, b] = drains(across(free, machine), 5, 5)
    machine.snapshot(endMs - 3_900, 'a', { drain: a })
    machine.snapshot(endMs - 3_900, 'b', { drain: b })
    expect(effects()).toEqual(['0 close []', '1 close []'])
  })

  test('goes on without an agent that is silent, and waits for nothing of it', () => {
    const { machine, effects, endMs } = running()
    machine.heard(endMs - 1_000, 'a')
    machine.tick(1_000 + silenceMaxMs)
    // It may be there after all, and would wait for ever.
    expect(effects()).toEqual(['1 leave'])
    expect(machine.agents.map(({ state }) => state)).toEqual(['ready', 'lost'])
    machine.tick(endMs)
    machine.relaysHealed(endMs)
    const direction = across(free, machine)
    machine.snapshot(endMs + 1, 'a', { drain: drains(direction, 5, 0)[0] })
    const [close, ...more] = effects()
    expect(more).toEqual([])
    // Nobody is there to close these with.
    expect(close).toMatch(new RegExp(`^0 close \\[(\\d+,)*${direction >> 1}(,\\d+)*\\]$`))
    machine.finished(endMs + 2, 'a', clock)
    expect(effects()).toEqual(['0 leave', 'over'])
  })

  test('ends when nobody is left', () => {
    const { machine, effects } = running()
    machine.lost(3_000, 'a', 'killed')
    machine.lost(3_001, 'b', 'killed')
    expect(effects()).toEqual(['0 leave', '1 leave', 'over'])
  })

  test('an agent that ends before the run does counts as lost', () => {
    const { machine } = running()
    machine.finished(4_000, 'a', clock)
    expect(machine.agents[0]!.state).toBe('lost')
  })

  test('stops the others when an agent is lost and the workbook says so', () => {
    const { machine, effects } = running({ ...free, run: { ...free.run, onAgentLoss: 'abort' } })
    machine.lost(3_000, 'b', 'killed')
    expect(effects()).toEqual(['1 leave', '0 stop'])
    expect(machine.stopped).toMatch(/agent 1 was lost, and on_agent_loss is abort/)
    machine.finished(3_100, 'a', clock)
    expect(effects()).toEqual(['0 leave', 'over'])
  })

  /** Both agents of four clients each have been told to close what they have. */
  function closing() {
    const { machine, effects, endMs } = running()
    machine.endLoad(endMs - 5_000, { by: 'hand', why: 'stopped by hand' })
    machine.relaysHealed(endMs - 5_000)
    const [a, b] = drains(across(free, machine), 5, 5)
    machine.snapshot(endMs - 5_000, 'a', { drain: a })
    machine.snapshot(endMs - 5_000, 'b', { drain: b })
    expect(effects()).toEqual(['0 end', '1 end', '0 close []', '1 close []'])
    return { machine, effects, closeMs: endMs - 5_000 }
  }

  /** Time goes by, and both say that they live. */
  function live(machine: CoordinatorMachine, fromMs: number, untilMs: number, eachSecond: (nowMs: number) => void = () => {}): void {
    for (let at = fromMs; at < untilMs; at += 1_000) {
      for (const session of ['a', 'b']) machine.heard(at, session)
      eachSecond(at)
      machine.tick(at)
    }
  }

  const states = (machine: CoordinatorMachine): string[] => machine.agents.map(({ state }) => state)

  test('at the end waits for an agent that gets on, however slowly, up to a time that fits its clients', () => {
    const { machine, effects, closeMs } = closing()
    let left = 100
    live(machine, closeMs, closeMs + 29_000, () => {
      left -= 1
      for (const session of ['a', 'b']) machine.snapshot(closeMs, session, { left })
    })
    expect(states(machine)).toEqual(['ready', 'ready'])
    machine.finished(closeMs + 29_000, 'a', clock)
    machine.finished(closeMs + 29_000, 'b', clock)
    expect(effects()).toEqual(['0 leave', '1 leave', 'over'])
  })

  test('at the end an agent that lives and gets no further is given up by name, and the others are not', () => {
    const many = planOf({
      Run: zones.Run!,
      Clients: [
        ['client', 'count'],
        ['c', 3_000],
      ],
      Relays: [['relay'], ['r1']],
    })
    const { machine, effects, endMs } = running(many)
    machine.endLoad(endMs - 5_000, { by: 'hand', why: 'stopped by hand' })
    const closeMs = endMs - 5_000 + many.run.drainMs
    live(machine, endMs - 5_000, closeMs + 1_000)
    expect(machine.phase).toBe('closing')
    effects()
    // Thirty seconds for everybody, and 20 ms for each of its clients.
    let left = 1_000
    live(machine, closeMs + 1_000, closeMs + 50_000, (at) => {
      left -= 1
      machine.snapshot(at, 'a', { left })
      machine.snapshot(at, 'b', { left: 5 })
    })
    expect(states(machine)).toEqual(['ready', 'lost'])
    expect(effects()).toEqual(['1 leave'])
    live(machine, closeMs + 50_000, closeMs + 63_000, (at) => {
      left -= 1
      machine.snapshot(at, 'a', { left })
    })
    expect(states(machine)).toEqual(['lost', 'lost'])
    expect(effects()).toEqual(['0 leave', 'over'])
  })

  test('an agent that writes down what it recorded may be silent for longer than one that has died', () => {
    const { machine, closeMs } = closing()
    machine.snapshot(closeMs + 1_000, 'a', { left: 0 })
    for (const session of ['a', 'b']) machine.heard(closeMs + 1_000, session)
    machine.tick(closeMs + 1_000 + silenceMaxMs)
    expect(states(machine)).toEqual(['ready', 'lost'])
    // What it recorded comes, and comes slowly.
    machine.telling(closeMs + 25_000, 'a')
    machine.tick(closeMs + 25_000)
    expect(states(machine)).toEqual(['ready', 'lost'])
    machine.finished(closeMs + 28_000, 'a', clock)
    expect(states(machine)).toEqual(['finished', 'lost'])
  })

  test('a coordinator that stood still itself has not listened: it loses nobody for that, and the dead one a moment later', () => {
    const { machine } = running()
    machine.heard(3_000, 'a')
    machine.heard(3_000, 'b')
    // It wakes eight seconds after it wanted to; what was said in the meantime waits to be read.
    machine.tick(3_000 + silenceMaxMs + 8_000)
    expect(states(machine)).toEqual(['ready', 'ready'])
    machine.heard(3_000 + silenceMaxMs + 8_001, 'a')
    machine.tick(machine.wakeAtMs()!)
    expect(states(machine)).toEqual(['ready', 'lost'])
  })

  test('stopped, it waits a few seconds for what agents have, and no longer', () => {
    const { machine, effects } = running()
    machine.stop(3_000, 'interrupted')
    expect(effects()).toEqual(['0 stop', '1 stop'])
    machine.finished(3_500, 'a', clock)
    expect(machine.wakeAtMs()).toBeLessThanOrEqual(9_000)
    machine.tick(9_000)
    expect(effects()).toEqual(['1 leave', '0 leave', 'over'])
    expect(machine.agents.map(({ state }) => state)).toEqual(['finished', 'lost'])
  })
})
