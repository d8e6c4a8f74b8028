// `sennit test run` as a person uses it: interrupted, it ends in seconds whatever its relays do, leaves nothing behind, and reports what it has.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { allGone } from './mesh.ts'
import { type Program, Workshop } from './program.ts'

const workbook = fileURLToPath(new URL('../../scenarios/relay-failover.xlsx', import.meta.url))

let shop: Workshop
beforeEach(() => {
  shop = new Workshop()
})
afterEach(async () => {
  await shop.close()
}, 30_000)

/** A run whose three connections are open, and whose relays are frozen: none answers anything any more. */
async function frozenRun(): Promise<{ run: Program; relays: number[] }> {
  const run = shop.sennit('test', 'run', workbook, '--scale', '0.1', '--json', '--out', 'out')
  await run.says(/"connected":3,/)
  const relays = spawnSync('pgrep', ['-P', String(run.pid)], { encoding: 'utf8' })
    .stdout.trim()
    .split('\n')
    .map(Number)
  expect(relays).toHaveLength(3)
  for (const relay of relays) process.kill(relay, 'SIGSTOP')
  return { run, relays }
}

describe('test run, interrupted while no relay answers', { timeout: 60_000 }, () => {
  it('ends within seconds with 105 and a partial report, and its frozen relays with it', async () => {
    const { run, relays } = await frozenRun()
    run.signal('SIGINT')
    expect(await run.end(12_000)).toEqual({ code: 105, signal: null })
    const summary = JSON.parse(readFileSync(shop.path('out/summary.json'), 'utf8'))
    expect(summary).toMatchObject({ exitCode: 105, integrity: { lost: 0, duplicated: 0, reordered: 0, corrupted: 0 } })
    expect(summary.integrity.deliveredBytes).toBeGreaterThan(0)
    await allGone(relays, 0)
  })

  it('ends at once when interrupted again, and leaves no relay', async () => {
    const { run, relays } = await frozenRun()
    run.signal('SIGINT')
    await run.says(/interrupted: heals/)
    run.signal('SIGINT')
    expect(await run.end(2_000)).toEqual({ code: 130, signal: null })
    await allGone(relays, 5_000)
  })
})

describe('test new', { timeout: 60_000 }, () => {
  it('writes a workbook that checks as it is, and replaces none unless told to', async () => {
    const made = await shop.run('test', 'new', 'mine.xlsx', '--clients', '6', '--json')
    expect({ code: made.code, json: made.json }).toEqual({ code: 0, json: [{ written: 'mine.xlsx', clients: 6 }] })
    expect((await shop.run('test', 'check', 'mine.xlsx', '--json')).json[0]).toMatchObject({
      ok: true,
      clients: 6,
      connections: 3,
      acts: 1,
    })
    expect(await shop.run('test', 'new', 'mine.xlsx')).toMatchObject({ code: 2, stderr: expect.stringMatching(/--force replaces it/) })
    expect((await shop.run('test', 'new', 'mine.xlsx', '--force')).code).toBe(0)
    expect(await shop.run('test', 'new', 'odd.xlsx', '--clients', '7')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/even number/),
    })
  })
})
