/** `sennit test compare` as a script uses it: two runs, one exit code. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { workshopForEach } from './program.ts'

const shop = workshopForEach()

describe('test compare', { timeout: 120_000 }, () => {
  it('says 0 for two seeds of one test, 99 when it got slower, 122 for another test, 2 for no summary', async () => {
    await shop.run('test', 'new', 'small.xlsx', '--clients', '4')
    for (const seed of ['1', '2'])
      expect(
        (await shop.run('test', 'run', 'small.xlsx', '--virtual', '--seed', seed, '--out', `s${seed}`, '--report', 'csv,junit')).code,
      ).toBe(0)
    expect(readdirSync(shop.path('s1')).sort()).toEqual(['junit.xml', 'plan.json.gz', 'summary.json', 'timeline.csv'])
    expect(await shop.run('test', 'run', 'small.xlsx', '--report', 'html,pdf')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('expected words of html,xlsx,json,csv,junit,prometheus with commas; found "pdf"'),
    })
    const same = await shop.run('test', 'compare', 's1', 's2/summary.json', '--json')
    expect({ code: same.code, json: same.json }).toMatchObject({ code: 0, json: [{ exitCode: 0, notes: ['seed: 1 before, 2 now'] }] })

    const summary = JSON.parse(readFileSync(shop.path('s2/summary.json'), 'utf8'))
    summary.latencyMs.response.p50 *= 3
    writeFileSync(shop.path('slower.json'), JSON.stringify(summary))
    const slower = await shop.run('test', 'compare', 's1', 'slower.json')
    expect(slower.code).toBe(99)
    expect(slower.stdout).toMatch(/^WORSE +response p50 /m)
    expect(slower.stdout).toMatch(/1 worse, 0 better, \d+ within noise or not measured \(exit code 99\)/)

    summary.engine = 'local'
    writeFileSync(shop.path('live.json'), JSON.stringify(summary))
    const other = await shop.run('test', 'compare', 's1', 'live.json')
    expect(other).toMatchObject({ code: 122, stdout: expect.stringContaining('not comparable: engine: virtual before, local now') })
    expect(await shop.run('test', 'compare', 's1', 'small.xlsx')).toMatchObject({ code: 2, stderr: expect.stringMatching(/expected JSON/) })
  })
})
