// `sennit test run` as a person uses it: interrupted, it ends in seconds whatever its relays do, leaves nothing behind, and reports what it has.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { allGone } from './mesh.ts'
import { bin, deadlineMs, type Json, type Program, until, workshopForEach } from './program.ts'

const workbook = fileURLToPath(new URL('../../scenarios/relay-failover.xlsx', import.meta.url))

const shop = workshopForEach()

/** A run whose three connections are open, and whose relays are frozen: none answers anything any more. */
async function frozenRun(): Promise<{ run: Program; relays: number[] }> {
  const run = shop.sennit('test', 'run', workbook, '--scale', '0.1', '--json', '--out', 'out')
  await run.says(/"connected":3,/, 2 * deadlineMs)
  const relays = spawnSync('pgrep', ['-P', String(run.pid), '-f', '--', 'relay --config'], { encoding: 'utf8' })
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

describe('test run, watched and steered', { timeout: 60_000 }, () => {
  it('shows itself on its page, takes a fault from it, stops when told, and its report says so', async () => {
    const run = shop.sennit('test', 'run', workbook, '--scale', '0.1', '--json', '--out', 'out', '--live-port', 'auto')
    const page = /"livePage":"([^"]+)"/.exec(await run.says(/"livePage":"[^"]+"/))![1]!
    const status = async (): Promise<Json> => (await (await fetch(`${page}status`)).json()) as Json
    const act = async (what: object): Promise<number> =>
      (await fetch(`${page}act`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(what) })).status
    await run.says(/"connected":3,/)
    expect(await status()).toMatchObject({ connections: { open: 3 }, relays: [{ state: 'up' }, { state: 'up' }, { state: 'up' }] })
    expect(await (await fetch(new URL('/metrics', page))).text()).toMatch(/^sennit_test_relay_resident_memory_bytes\{.*\} \d{7,}$/m)
    const { fault } = ((await eventOf(page)) as { drills: { fault: string; action: string }[] }).drills.find(
      ({ action }) => action === 'kill',
    )!
    expect(await act({ do: 'inject', fault })).toBe(200)
    await until(() => run.stderr.includes(`${fault} kill`), 'the fault in force', 10_000)
    expect(await act({ do: 'stop' })).toBe(200)
    expect((await run.end(20_000)).code).not.toBe(1)
    const summary = JSON.parse(readFileSync(shop.path('out/summary.json'), 'utf8'))
    expect(summary).toMatchObject({ endedEarly: { by: 'hand' }, integrity: { lost: 0, duplicated: 0, reordered: 0, corrupted: 0 } })
    expect(summary.failovers.find((one: Json) => one.unplanned === true)).toMatchObject({ fault, action: 'kill' })
  })
})

/** What the stream of the page says first. */
async function eventOf(page: string): Promise<Json> {
  const reader = (await fetch(`${page}events`)).body!.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  while (!/event: begin\ndata: .*\n\n/.test(text)) text += (await reader.read()).value ?? ''
  await reader.cancel()
  return JSON.parse(/event: begin\ndata: (.*)\n\n/.exec(text)![1]!) as Json
}

describe('test run, killed', { timeout: 60_000 }, () => {
  it('leaves no relay, not even one that it had stopped, and no folder, where no kernel ends children with their parent', async () => {
    const sheets = {
      sennit: 1,
      sheets: {
        Run: { columns: ['key', 'value'], rows: [{ key: 'duration', value: '40s' }] },
        Relays: { columns: ['relay'], rows: [{ relay: 'r1' }, { relay: 'r2' }] },
        Clients: {
          columns: ['client', 'rate'],
          rows: [
            { client: 'a', rate: '5/s' },
            { client: 'b', rate: '5/s' },
          ],
        },
        Faults: {
          columns: ['fault', 'when', 'duration', 'target', 'action'],
          rows: [{ fault: 'F1', when: 'at(1s)', duration: '30s', target: 'relay:r1', action: 'pause' }],
        },
      },
    }
    writeFileSync(shop.path('paused.sennit.json'), JSON.stringify(sheets))
    const run = shop.program(process.execPath, [bin, 'test', 'run', 'paused.sennit.json', '--json', '--out', 'out'], {
      TMPDIR: shop.dir,
      // So that setpriv is not found.
      PATH: '/nowhere',
    })
    await run.says(/"faults":\["F1 pause r1"\]/)
    const children = spawnSync('pgrep', ['-P', String(run.pid)], { encoding: 'utf8' })
      .stdout.trim()
      .split('\n')
      .map(Number)
    expect(children).toHaveLength(3)
    expect(readdirSync(shop.dir).filter((name) => name.startsWith('sennit-test-mesh-'))).toHaveLength(1)
    run.signal('SIGKILL')
    await allGone(children, 5_000)
    await until(() => !readdirSync(shop.dir).some((name) => name.startsWith('sennit-test-mesh-')), 'its folder to be gone', 5_000)
  })
})
