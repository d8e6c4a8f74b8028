import { describe, expect, test } from 'vitest'
import { planHash } from '../src/plan.ts'
import { check, planOf, type Sheets, twoClients } from './fixtures/sheets.ts'

const pairsOf = (sheets: Sheets): string[] => {
  const plan = planOf(sheets)
  return plan.flows.map((flow) => `${plan.clients[flow.caller]!.client}>${plan.clients[flow.listener]!.client}`)
}

test('a sheet of clients alone is a whole test', () => {
  const plan = planOf(twoClients)
  expect(plan).toMatchObject({
    name: 'test',
    seed: 1,
    run: { durationMs: 60_000, warmupMs: 5000, drainMs: 10_000, reports: ['html', 'xlsx', 'json'] },
    relays: [{ relay: 'r1', managed: true }, { relay: 'r2' }, { relay: 'r3' }],
    flows: [{ caller: 0, listener: 1, application: 'test' }],
    acts: [],
    limits: [],
  })
  expect(plan.flows[0]!.directions.map((one) => [one.direction, one.from, one.to, one.messagesPerSecond])).toEqual([
    [0, 0, 1, 1],
    [1, 1, 0, 1],
  ])
  expect(Object.isFrozen(plan.flows[0]!.directions[0]!.size)).toBe(true)
  expect(planHash(JSON.parse(JSON.stringify(plan)))).toBe(planHash(plan))
})

describe('who talks to whom', () => {
  test.each([
    ['neighbours', { Clients: [['client'], ['a'], ['b'], ['c'], ['d']] }, ['a>b', 'c>d']],
    [
      'neighbours of a counted row',
      {
        Clients: [
          ['client', 'count'],
          ['c-{n}', 4],
        ],
      },
      ['c-1>c-2', 'c-3>c-4'],
    ],
    [
      'a count without {n}',
      {
        Clients: [
          ['client', 'count'],
          ['c', 2],
        ],
      },
      ['c-1>c-2'],
    ],
    [
      'a named peer',
      {
        Clients: [
          ['client', 'peer'],
          ['a', 'C'],
          ['b', ''],
          ['c', ''],
          ['d', ''],
        ],
      },
      ['a>c', 'b>d'],
    ],
    [
      'both name each other',
      {
        Clients: [
          ['client', 'peer'],
          ['a', 'b'],
          ['b', 'a'],
        ],
      },
      ['a>b'],
    ],
    [
      'a group by its number',
      {
        Clients: [
          ['client', 'count', 'peer'],
          ['x{n}', 2, 'y{n}'],
          ['y{n}', 2, '*'],
        ],
      },
      ['x1>y1', 'x2>y2'],
    ],
    [
      'a smaller group in turn',
      {
        Clients: [
          ['client', 'count', 'peer'],
          ['cam-{n}', 3, 'srv'],
          ['srv', 2, '*'],
        ],
      },
      ['cam-1>srv-1', 'cam-2>srv-2', 'cam-3>srv-1'],
    ],
    [
      'never connects',
      {
        Clients: [
          ['client', 'connect'],
          ['a', 'never'],
          ['b', ''],
          ['c', ''],
          ['d', ''],
        ],
      },
      ['c>d'],
    ],
    [
      'disabled rows are not there',
      {
        Clients: [
          ['client', 'enabled'],
          ['a', 'yes'],
          ['b', 'no'],
          ['c', 'yes'],
        ],
      },
      ['a>c'],
    ],
  ] as [string, Sheets, string[]][])('%s', (_why, sheets, pairs) => {
    expect(pairsOf(sheets)).toEqual(pairs)
  })

  test('directions follow both profiles', () => {
    const plan = planOf({
      Profiles: [
        ['profile', 'direction'],
        ['up', 'send'],
        ['any', 'both'],
      ],
      Clients: [
        ['client', 'profile'],
        ['a', 'up'],
        ['b', 'any'],
      ],
    })
    expect(plan.flows[0]!.directions.map((one) => one.direction)).toEqual([0])
  })

  test('a shared user makes labels', () => {
    const plan = planOf({
      Clients: [
        ['client', 'user'],
        ['Laptop', 'bob'],
        ['phone', 'bob'],
      ],
    })
    expect(plan.clients.map(({ user, label }) => `${user}/${label}`)).toEqual(['bob/laptop', 'bob/phone'])
  })
})

test('ramp_limit spreads the attaches, and a connection opens when both ends began', () => {
  const plan = planOf({
    ...{
      Clients: [
        ['client', 'count', 'attach_at'],
        ['c', 4, '1s'],
      ],
    },
    Run: [
      ['key', 'value'],
      ['ramp_limit', '10/s'],
    ],
  })
  expect(plan.clients.map((client) => client.attachAtMs)).toEqual([1000, 1100, 1200, 1300])
  expect(plan.flows.map((flow) => flow.openAtMs)).toEqual([1100, 1300])
})

test('relays: nearest by the links, random by the seed, a list as it stands', () => {
  const sheets: Sheets = {
    Zones: [['zone'], ['eu'], ['us']],
    Links: [
      ['from', 'to', 'rtt'],
      ['eu', 'us', '80ms'],
      ['eu', 'eu', '2ms'],
    ],
    Relays: [
      ['relay', 'zone'],
      ['r1', 'us'],
      ['r2', 'eu'],
      ['r3', 'us'],
    ],
    Clients: [
      ['client', 'zone', 'relays'],
      ['a', 'eu', ''],
      ['b', 'us', 'list(r3,r1)'],
      ['c', 'eu', 'random'],
      ['d', 'eu', 'random'],
    ],
  }
  const plan = planOf(sheets)
  expect(plan.clients[0]!.relays).toEqual(['r2', 'r1', 'r3'])
  expect(plan.clients[1]!.relays).toEqual(['r3', 'r1'])
  expect([...plan.clients[2]!.relays].sort()).toEqual(['r1', 'r2', 'r3'])
  expect(planOf(sheets).clients[2]!.relays).toEqual(plan.clients[2]!.relays)
  expect(plan.links).toContainEqual({ from: 'us', to: 'eu', rttMs: 80, jitterMs: 0 })
})

describe('faults', () => {
  const columns = ['fault', 'when', 'duration', 'target', 'action', 'p1', 'heal']
  const actsOf = (...rows: (string | number)[][]): string[] =>
    planOf({
      ...twoClients,
      Run: [
        ['key', 'value'],
        ['warmup', '5s'],
      ],
      Faults: [columns, ...rows],
    }).acts.map((act) => {
      const target = act.target.kind === 'relay' ? act.target.relay : act.target.kind
      return `${act.atMs} ${act.fault} ${act.action} ${target} ${act.durationMs}`
    })
  test.each([
    ['at', [['F', 'at(30s)', '', 'relay:r1', 'kill', '', '']], ['30000 F kill r1 3000']],
    ['once is after the warm-up', [['F', 'once', '1s', 'relay:r2', 'pause', '', '']], ['5000 F pause r2 1000']],
    ['never', [['F', 'never', '', 'relay:r1', 'kill', '', '']], []],
    ['every', [['F', 'every(20s)', '1s', 'relay:r1', 'kill', '', '']], ['20000 F kill r1 1000', '40000 F kill r1 1000']],
    [
      'a pattern hits each',
      [['F', 'at(9s)', '1s', 'relay:*', 'kill', '', '']],
      ['9000 F kill r1 1000', '9000 F kill r2 1000', '9000 F kill r3 1000'],
    ],
    [
      'a rolling restart goes one by one',
      [['F', 'at(9s)', '', 'relay:*', 'rolling_restart', '2s', '']],
      ['9000 F rolling_restart r1 0', '11000 F rolling_restart r2 0', '13000 F rolling_restart r3 0'],
    ],
    [
      'after another',
      [
        ['G', 'after:F+5s', '', 'relay:r2', 'kill', '', ''],
        ['F', 'at(10s)', '2s', 'relay:r1', 'pause', '', ''],
      ],
      ['10000 F pause r1 2000', '17000 G kill r2 3000'],
    ],
    [
      'heal = never takes the relay out of patterns',
      [
        ['F', 'at(9s)', '', 'relay:r1', 'kill', '', 'never'],
        ['G', 'at(20s)', '0s', 'relay:*', 'restart', '', ''],
      ],
      ['9000 F kill r1 3000', '20000 G restart r2 0', '20000 G restart r3 0'],
    ],
    ['the busiest is chosen when it happens', [['F', 'at(9s)', '', 'busiest(relay:*)', 'kill', '', '']], ['9000 F kill busiest 3000']],
  ] as [string, (string | number)[][], string[]][])('%s', (_why, rows, acts) => {
    expect(actsOf(...rows)).toEqual(acts)
  })

  test('chance comes from the seed', () => {
    const sheets: Sheets = { ...twoClients, Faults: [columns, ['F', 'poisson(0.5/s)', '1s', 'one(relay:*)', 'kill', '', '']] }
    const [one, again, other] = [planOf(sheets, { seed: 1 }), planOf(sheets, { seed: 1 }), planOf(sheets, { seed: 2 })]
    expect(planHash(one)).toBe(planHash(again))
    expect(one.acts.map((act) => act.atMs)).not.toEqual(other.acts.map((act) => act.atMs))
    expect(one.acts.length).toBeGreaterThan(10)
    expect(one.acts.length).toBeLessThan(50)
  })

  test('parameters of network faults', () => {
    const plan = planOf({
      ...twoClients,
      Faults: [
        ['fault', 'target', 'action', 'p1', 'p2'],
        ['A', 'relay:r1', 'latency', '40ms', '5ms'],
        ['B', 'relay:r1', 'one_way', 'down', ''],
        ['C', 'relay:r1', 'corrupt', '0.01%', ''],
      ],
    })
    expect(plan.acts[0]).toMatchObject({ latencyMs: 40, jitterMs: 5 })
    expect(plan.acts[1]).toMatchObject({ direction: 'down' })
    expect(plan.acts[2]).toMatchObject({ corruptOneIn: 10_000 })
  })
})

describe('scale', () => {
  const sheets: Sheets = {
    Clients: [
      ['client', 'count'],
      ['c', 60],
    ],
  }
  test.each([
    [0.1, 6],
    [0.001, 2],
    [1, 60],
    [2.5, 150],
  ])('%f gives %i clients, in whole pairs with names of their own', (scale, clients) => {
    const plan = planOf(sheets, { scale })
    expect(plan.clients).toHaveLength(clients)
    expect(plan.flows).toHaveLength(clients / 2)
    expect(new Set(plan.clients.map((client) => client.user)).size).toBe(clients)
    expect(new Set(plan.flows.flatMap((flow) => [flow.caller, flow.listener])).size).toBe(clients)
  })
  test.each([0, -1, Number.NaN, 1e6])('%f is refused', (scale) => {
    expect(check(sheets, { scale }).errors?.[0]?.text).toMatch(/expected a scale over 0/)
  })
})

test('limits', () => {
  const plan = planOf({
    Clients: [
      ['client', 'rate'],
      ['a', '200/s'],
      ['b', '200/s'],
    ],
    Faults: [
      ['fault', 'target', 'action'],
      ['F1', 'relay:r1', 'kill'],
    ],
    Limits: [
      ['limit', 'metric', 'filter', 'stat', 'op', 'value', 'window', 'severity'],
      ['a', 'stall', 'action:kill', 'p(99)', '≤', '50ms', '', ''],
      ['', 'goodput', '', '', '>=', '1.5MB/s', 'after:f1+10s', 'warn'],
      ['c', 'response_time', '', 'max', '<', '1s', 'during:F1', 'sometimes'],
    ],
  })
  expect(plan.limits[0]).toMatchObject({
    actions: ['kill'],
    stat: { kind: 'p', percentile: 99 },
    op: '<=',
    value: 50,
    window: { kind: 'run' },
  })
  expect(plan.limits[1]).toMatchObject({
    limit: 'L2',
    value: 1_500_000,
    window: { kind: 'after', fault: 'F1', delayMs: 10_000 },
    severity: 'warn',
  })
  expect(plan.limits[2]).toMatchObject({ window: { kind: 'during', fault: 'F1' }, severity: 'sometimes' })
})
