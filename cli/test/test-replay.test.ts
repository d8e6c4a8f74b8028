// `sennit test replay` and `test knee` as a person uses them: the run of a result once more to the letter, another seed, a workbook; and where it breaks.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { workshopForEach } from './program.ts'

const workbook = fileURLToPath(new URL('../../scenarios/01-smoke.xlsx', import.meta.url))
const narrow = fileURLToPath(new URL('../../scenarios/03-ramp-to-knee.xlsx', import.meta.url))

const shop = workshopForEach()

describe('test replay', { timeout: 90_000 }, () => {
  it('does exactly the run of a result again, and says what differs', async () => {
    expect((await shop.run('test', 'run', workbook, '--virtual', '--seed', '5', '--report', 'json', '--out', 'out')).code).toBe(0)
    const again = await shop.run('test', 'replay', 'out', '--json')
    expect({ code: again.code, last: again.json.at(-1) }).toMatchObject({
      code: 0,
      last: { seed: 5, replay: { same: true, samePlan: true } },
    })
    const other = await shop.run('test', 'replay', 'out/summary.json', '--seed', '6')
    expect(other).toMatchObject({ code: 0, stderr: expect.stringMatching(/with seed 6 instead of 5/) })

    const summary = JSON.parse(readFileSync(shop.path('out/summary.json'), 'utf8'))
    const { planHash } = summary
    const made = await shop.run('test', 'replay', workbook, '--seed', '5', '--plan', planHash.slice(0, 8), '--json')
    expect(made.json.at(-1)).toMatchObject({ planHash, replay: { samePlan: true } })
    const wrong = await shop.run('test', 'replay', workbook, '--seed', '6', '--plan', planHash.slice(0, 8))
    expect(wrong.stderr).toMatch(/the plan differs: expected/)

    writeFileSync(shop.path('out/summary.json'), JSON.stringify({ ...summary, planHash: 'f'.repeat(64) }))
    expect(await shop.run('test', 'replay', 'out')).toMatchObject({ code: 2, stderr: expect.stringMatching(/is not the plan of this run/) })
  })
})

describe('test knee', { timeout: 90_000 }, () => {
  it('tells the last good and the first bad rate', async () => {
    const args = ['--virtual', '--scale', '0.5', '--step', '6', '--precision', '50', '--json']
    const found = await shop.run('test', 'knee', narrow, ...args)
    expect({ code: found.code, last: found.json.at(-1) }).toMatchObject({
      code: 0,
      last: { end: 'found', lastGood: { outcome: 'good' }, firstBad: { outcome: 'bad' } },
    })
    expect(found.stderr).toMatch(/phases of the workbook are left out/)
    expect(await shop.run('test', 'knee', narrow, '--virtual', '--runs', '1', '--step', '2')).toMatchObject({
      code: 122,
      stdout: expect.stringMatching(/the runs were used up/),
    })
    expect(await shop.run('test', 'knee', narrow, '--from', 'much')).toMatchObject({ code: 2, stderr: expect.stringMatching(/--from/) })
  })
})
