// Rows, limits and pictures of the scorecard: figures that nobody measured must not come out of them.
import { describe, expect, it } from 'vitest'
import { Arrivals } from '../../failover/arrivals.ts'
import { Lateness } from '../../failover/lateness.ts'
import { missesOf } from '../../failover/limits.ts'
import { pictureOf } from '../../failover/picture.ts'
import { planOf, planText } from '../../failover/plan.ts'
import { type KeptRound, mergeResults, type Results, rowsOf } from '../../failover/results.ts'
import { countConnections } from '../../failover/sockets.ts'
import { tableOf } from '../../failover/table.ts'

const subject = { system: 'Sennit library', carrier: 'upgrade', paths: 'best', fault: 'kill' } as const
const whole = { lost: 0, duplicated: 0, reordered: 0, corrupted: 0 }

function survived(stallMs: number, more: Partial<KeptRound> = {}): KeptRound {
  return { ...subject, at: `2026-01-01T00:00:00.${String(stallMs).padStart(3, '0')}Z`, ...whole, survived: true, stallMs, ...more }
}

function resultsOf(rounds: readonly KeptRound[]): Results {
  return { machine: 'm', versions: { 'Sennit library': 'v' }, missing: {}, rounds, rows: rowsOf(rounds) }
}

describe('rows', () => {
  it('have the nearest rank of the stalls, and the sums of the damage', () => {
    const rounds = [...Array.from({ length: 20 }, (_, index) => survived(index + 1)), { ...survived(0), survived: false, lost: 7 }]
    const [row] = rowsOf(rounds.map(({ stallMs = 0, ...round }) => (round.survived ? { ...round, stallMs } : round)))
    expect(row).toEqual({
      ...subject,
      rounds: 21,
      survived: 20,
      stallMs: { p50: 10, p99: 20, max: 20 },
      lost: 7,
      duplicated: 0,
      reordered: 0,
      late: 0,
    })
  })

  it('count a round in which the generator was late, and say so', () => {
    const [row] = rowsOf([survived(1, { lateMs: 4.9 }), survived(300, { lateMs: 280 })])
    expect(row).toMatchObject({ rounds: 2, late: 1, stallMs: { max: 300 } })
    expect(tableOf({ rows: [row!], missing: {} })).toMatch(/\| 1 of 2 \|/)
  })

  it('say how many relays stood in the middle', () => {
    const rounds = [survived(1), survived(2, { relays: 4 })]
    expect(tableOf({ rows: rowsOf(rounds), missing: {} })).toContain('Sennit library, best, upgrade, 4 relays')
  })

  it('have no stall where no stream survived', () => {
    const { stallMs: _, ...cut } = survived(1)
    expect(rowsOf([{ ...cut, survived: false, lost: 9 }])[0]).toMatchObject({ survived: 0, stallMs: null, lost: 9 })
  })

  it('are merged without counting a round twice, and a system that ran is not missing', () => {
    const first = { ...resultsOf([survived(1), survived(2)]), missing: { 'Sennit library': 'install' } }
    expect(mergeResults(first, resultsOf([survived(2), survived(3)]))).toMatchObject({ rows: [{ rounds: 3 }], missing: {} })
  })
})

describe('limits', () => {
  it.each([
    ['one long round of five is borne', [5, 5, 5, 5, 500], []],
    ['two are not', [5, 5, 5, 500, 500], ['2 rounds over 150 ms']],
    ['the median counts', [60, 60, 60], ['median stall 60 ms, limit 50']],
  ])('%s', (_, stalls, expected) => {
    const rounds = stalls.map((stall) => survived(stall))
    expect(missesOf(rowsOf(rounds)[0]!, rounds)).toEqual(expected)
  })

  it('a cut stream, a lost byte or a repeated one is always a miss of ours, and never one of a peer', () => {
    const rounds = [survived(1), survived(1, { survived: false, lost: 3, duplicated: 1, corrupted: 2 })]
    expect(missesOf(rowsOf(rounds)[0]!, rounds)).toEqual(['1 of 2 streams cut', '3 bytes lost', '1 bytes duplicated', '2 bytes corrupted'])
    const peers = rounds.map((round) => ({ ...round, system: 'HAProxy' }))
    expect(missesOf(rowsOf(peers)[0]!, peers)).toEqual([])
  })
})

describe('gaps between arrivals', () => {
  it('count whole when they end in the window, and so far when they have not ended', () => {
    const arrivals = new Arrivals()
    for (const time of [0, 10, 50, 52, 60]) arrivals.add(time)
    expect(arrivals.longestGap(20, 60).gapMs).toBe(40)
    expect(arrivals.longestGap(50, 60)).toEqual({ gapMs: 8, atMs: 52 })
    expect(arrivals.longestGap(50, 100).gapMs).toBe(40)
    expect(new Arrivals().longestGap(5, 25)).toEqual({ gapMs: 20, atMs: 5 })
  })
})

describe('lateness', () => {
  it('is what a gap between two ticks has beyond the pace', () => {
    const lateness = new Lateness()
    for (const time of [0, 2, 4, 34, 36]) lateness.tick(time)
    expect(lateness.longestMs(0, 36)).toBe(28)
    expect(lateness.longestMs(34, 36)).toBe(0)
  })
})

describe('connections of a server', () => {
  it('are the established ones at the side that listens', () => {
    const table = [
      '  sl  local_address rem_address   st tx_queue',
      '   0: 0100007F:1E9B 00000000:0000 0A 00000000', // it listens
      '   1: 0100007F:1E9B 0100007F:C350 01 00000000',
      '   2: 0100007F:C350 0100007F:1E9B 01 00000000', // the other end of it
      '   3: 0100007F:1E9B 0100007F:C352 08 00000000', // the far side has closed
    ].join('\n')
    expect(countConnections(table, 7835)).toBe(1)
    expect(countConnections(table, 50_000)).toBe(1)
    expect(countConnections(table, 80)).toBe(0)
  })
})

describe('a plan', () => {
  const system = { system: 'Sennit library', carrier: 'upgrade', paths: 'best' }

  it('leaves out what was kept, and takes its time from it', () => {
    const kept = [survived(1, { tookMs: 4_000 }), survived(2, { tookMs: 6_000 })]
    const [kill, reset] = planOf([system], [{ name: 'kill' }, { name: 'reset' }], 4, kept)
    expect(kill).toMatchObject({ done: 2, left: 2, fault: 'kill' })
    expect(kill!.seconds - planOf([system], [{ name: 'kill' }], 3, kept)[0]!.seconds).toBe(5)
    expect(reset).toMatchObject({ done: 0, left: 4 })
    expect(planOf([system], [{ name: 'kill' }], 2, kept)[0]).toMatchObject({ left: 0, seconds: 0 })
  })

  it('tells what does not fit', () => {
    const plan = planOf([system, { ...system, paths: 'spread' }], [{ name: 'kill' }], 20, [])
    const lines = planText(plan, 1.5).split('\n')
    expect(lines[0]).toMatch(/best, upgrade: kill 20 .* min$/)
    expect(lines[1]).toMatch(/spread, upgrade: .*beyond --minutes 1\.5$/)
    expect(lines[2]).toMatch(/40 rounds, about 2\.\d minutes/)
  })
})

describe('table and picture', () => {
  const cut: KeptRound = { ...subject, system: 'A & <B>', at: '', ...whole, survived: false, lost: 1_234_567 }
  const results = { ...resultsOf([survived(12), cut]), missing: { iroh: 'cargo install x' } }

  it('say what was cut, what was lost, and how to install what is missing', () => {
    expect(tableOf(results)).toMatch(/A & <B> +\| kill +\| 0 of 1 +\| cut .* 1 234 567 /)
    expect(tableOf(results)).toContain('not installed: `cargo install x`')
  })

  it('is well-formed and small', () => {
    const svg = pictureOf(Array.from({ length: 20 }, () => results.rows).flat())
    expect(svg).toContain('A &amp; &lt;B>')
    expect(svg.length).toBeLessThan(100_000)
  })
})
