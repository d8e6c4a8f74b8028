import { describe, expect, test } from 'vitest'
import { planHash } from '../src/plan.ts'
import { type Cell, errorsOf, planOf, type Sheets } from './fixtures/sheets.ts'

const columns = ['phase', 'start', 'duration', 'target', 'executor', 'from', 'to', 'step', 'hold']

/** Four clients that each send 10 messages a second, for a minute; `a-*` are tagged. */
const phases = (...rows: Cell[][]): Sheets => ({
  Clients: [
    ['client', 'count', 'tags', 'rate'],
    ['a', 2, 'x', '10/s'],
    ['b', 2, '', '10/s'],
  ],
  Phases: [columns, ...rows],
})

describe('what phases ask for', () => {
  test('rates are of all clients of the target together, shared in proportion to their own', () => {
    const plan = planOf(
      phases(
        ['base', '', '10s'],
        ['up', '', '20s', 'tag:x', 'ramping_rate', '20/s', '200/s'],
        ['top', '', '10s', 'tag:x', 'constant_rate', '', '200/s'],
      ),
    )
    expect(plan.phases).toEqual([
      { phase: 'base', startMs: 0, endMs: 10_000, executor: 'fixed', sets: 'nothing', target: '*' },
      {
        phase: 'up',
        startMs: 10_000,
        endMs: 30_000,
        executor: 'ramping_rate',
        sets: 'rate',
        target: 'tag:x',
        clients: [0, 1],
        line: [
          { atMs: 10_000, value: 20 },
          { atMs: 30_000, value: 200 },
        ],
      },
      expect.objectContaining({ phase: 'top', startMs: 30_000, endMs: 40_000, sets: 'rate' }),
    ])
    expect(plan.paces).toEqual([
      [
        { atMs: 0, factor: 1 },
        { atMs: 10_000, factor: 1 },
        { atMs: 30_000, factor: 10 },
        { atMs: 40_000, factor: 10 },
        { atMs: 40_000, factor: 1 },
      ],
    ])
    expect(plan.flows.flatMap(({ directions }) => directions.map(({ pace }) => pace))).toEqual([0, 0, undefined, undefined])
  })

  test('a share is of their own rates; stairs stop at every step', () => {
    const plan = planOf(phases(['s', '5s', '', '', 'stairs', '100%', '300%', '100%', '10s']))
    expect(plan.phases).toMatchObject([{ startMs: 5_000, endMs: 35_000, line: [40, 40, 80, 80, 120, 120].map((value) => ({ value })) }])
    expect(plan.paces![0]!.map(({ atMs, factor }) => [atMs / 1000, factor])).toEqual([
      [0, 1],
      [5, 1],
      [15, 1],
      [15, 2],
      [25, 2],
      [25, 3],
      [35, 3],
      [35, 1],
    ])
  })

  test('a total is scaled with the workbook, a share is not', () => {
    const scaled = (to: string): unknown => planOf(phases(['p', '', '', '*', 'constant_rate', '', to]), { scale: 0.5 }).paces![0]![1]
    expect(scaled('400/s')).toMatchObject({ factor: 10 })
    expect(scaled('1000%')).toMatchObject({ factor: 10 })
  })

  test('a phase without a duration lasts until the next begins, the last one to the end', () => {
    const plan = planOf(phases(['one'], ['two', '20s']))
    expect(plan.phases!.map(({ startMs, endMs }) => [startMs, endMs])).toEqual([
      [0, 20_000],
      [20_000, 60_000],
    ])
  })

  test('a target that a small scale leaves nobody of is no error', () => {
    expect(planOf(phases(['p', '', '', 'client:b-*', 'constant_rate', '', '5/s']), { scale: 0.5 }).phases).toMatchObject([{ clients: [] }])
  })

  test('a plan without phases has the hash that it had before there were any', () => {
    const sheets = { Clients: phases().Clients! }
    expect(planHash(planOf({ ...sheets, Phases: [columns] }))).toBe(planHash(planOf(sheets)))
  })
})

describe('what is wrong with phases', () => {
  test.each<[string, Cell[][], string]>([
    [
      'no name',
      [['', '5s']],
      'Phases!A2 phase: expected a name of letters, digits, dots, dashes and underscores (at most 63); found nothing [W114]',
    ],
    [
      'a name twice',
      [['p', '', '5s'], ['P']],
      'Phases!A3 phase: expected a name that is not used above (Phases!A2); found "P" again [W113]',
    ],
    ['a start after the end', [['p', '2m']], 'Phases!B2 start: expected before the end of the load (60s); found 2m [W120]'],
    [
      'no time left',
      [['p'], ['q']],
      'Phases!B3 start: expected before the end of the load (60s); found 60s, where the row above ends [W120]',
    ],
    [
      'an end after the end',
      [['p', '50s', '20s']],
      'Phases!C2 duration: expected an end within the load (60s); found an end at 70s [W120]',
    ],
    [
      'a target that is none',
      [['p', '', '', 'relay:r1']],
      'Phases!D2 target: expected client:cam-*, tag:iot, zone:eu, percent(20%,tag:iot) or *; found "relay:r1" [W111]',
    ],
    [
      'a target that is not there',
      [['p', '', '', 'client:aa']],
      'Phases!D2 target: expected client:cam-*, tag:iot, zone:eu, percent(20%,tag:iot) or *; found "client:aa", no enabled client is in it. Nearest: client:a-1 [W111]',
    ],
    [
      'a rate for a number',
      [['p', '', '', '', 'constant_clients', '', '10/s']],
      'Phases!G2 to: expected a number of clients such as 50, or a share of them such as 50%; found "10/s" [W107]',
    ],
    [
      'a rate in other words',
      [['p', '', '', '', 'constant_rate', '', '10 per sec']],
      'Phases!G2 to: expected a rate of all its clients together such as 1000/s, or a share of their own rates such as 150%; found "10 per sec". Did you mean 10/s? [W101]',
    ],
    [
      'no value',
      [['p', '', '', '', 'constant_rate']],
      'Phases!G2 to: expected a rate of all its clients together such as 1000/s, or a share of their own rates such as 150%; found nothing [W114]',
    ],
    [
      'two forms',
      [['p', '', '', '', 'ramping_rate', '10%', '10/s']],
      'Phases!F2 from: expected what is written as Phases!G2 is (10/s); found "10%" [W123]',
    ],
    [
      'two values for a constant',
      [['p', '', '', '', 'constant_rate', '10/s', '20/s']],
      'Phases!G2 to: expected nothing, or the same as Phases!F2 (a constant_rate has one value); found "20/s" [W123]',
    ],
    [
      'a value for a fixed one',
      [['p', '', '', '', '', '', '10/s']],
      'Phases!G2 to: expected nothing (fixed: clients do what their rows say); found "10/s" [W123]',
    ],
    [
      'a step of a ramp',
      [['p', '', '', '', 'ramping_rate', '', '10/s', '1/s']],
      'Phases!H2 step: expected nothing (only stairs has a step); found "1/s" [W123]',
    ],
    [
      'steps that do not fit',
      [['p', '', '20s', '', 'stairs', '', '40/s', '10/s', '10s']],
      'Phases!I2 hold: expected 4 steps to fit into the duration (20s); found 10s [W120]',
    ],
    [
      'steps without end',
      [['p', '', '', '', 'stairs', '', '1000000/s', '1/s']],
      'Phases!H2 step: expected at most 1000 steps; found 1000000 [W118]',
    ],
    [
      'two rates at once',
      [
        ['p', '', '30s', 'tag:x', 'constant_rate', '', '10/s'],
        ['q', '20s', '', 'client:a-1', 'constant_rate', '', '10/s'],
      ],
      'Phases!B3 start: expected a time when nothing else sets the rate; found 20s, p (Phases!A2) sets the rate of the same clients until 30s [W124]',
    ],
  ])('%s', (_what, rows, text) => {
    expect(errorsOf(phases(...rows))).toContain(text)
  })
})
