// `sennit test shrink` as a person uses it: a failing workbook in, a small one out that fails for the same reason.
import { writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { workshopForEach } from './program.ts'

const shop = workshopForEach()

/** Three pairs; the one over the slow link breaks a limit. */
function failing(value: string): string {
  return `sennit: 1
sheets:
  Run: { columns: [key, value], rows: [{ key: duration, value: 6s }, { key: warmup, value: 1s }] }
  Zones: { columns: [zone], rows: [{ zone: eu }, { zone: us }] }
  Links: { columns: [from, to, rtt], rows: [{ from: us, to: eu, rtt: 300ms }] }
  Relays: { columns: [relay, zone], rows: [{ relay: r1, zone: eu }, { relay: r2, zone: eu }] }
  Clients:
    columns: [client, zone]
    rows: [{ client: a, zone: eu }, { client: b, zone: eu }, { client: c, zone: us }, { client: d, zone: us }, { client: e, zone: eu }, { client: f, zone: eu }]
  Limits:
    columns: [limit, metric, stat, op, value]
    rows: [{ limit: nothing_lost, metric: lost, stat: value, op: "=", value: 0 }, { limit: quick, metric: response_time, stat: max, op: "<=", value: ${value} }]
`
}

describe('test shrink', { timeout: 90_000 }, () => {
  it('writes a workbook that fails for the same reason, and says what went', async () => {
    writeFileSync(shop.path('slow.sennit.yaml'), failing('150ms'))
    const shrunk = await shop.run('test', 'shrink', 'slow.sennit.yaml', '--seed', '7', '--out', 'small.xlsx', '--json')
    expect(shrunk).toMatchObject({ code: 0, stderr: expect.stringMatching(/run \d+: 2 clients, \d/) })
    const last = shrunk.json.at(-1)!
    expect(last).toMatchObject({
      written: 'small.xlsx',
      minimal: true,
      exitCode: 99,
      clients: 2,
      reason: expect.stringMatching(/^limit quick/),
    })
    expect(last.removed).toContain('Clients: 4 of 6 rows')
    const again = await shop.run('test', 'run', 'small.xlsx', '--virtual', '--report', 'json', '--out', 'out')
    expect({ code: again.code, same: again.stdout.includes(String(last.reason)) }).toEqual({ code: 99, same: true })
  })

  it('refuses what passes, what is no workbook, and to replace a file', async () => {
    writeFileSync(shop.path('fine.sennit.yaml'), failing('5s'))
    const fine = await shop.run('test', 'shrink', 'fine.sennit.yaml')
    expect(fine).toMatchObject({ code: 2, stderr: expect.stringMatching(/expected a test that fails .* found the verdict pass/) })
    writeFileSync(shop.path('bad.sennit.yaml'), failing('quick'))
    expect(await shop.run('test', 'shrink', 'bad.sennit.yaml')).toMatchObject({
      code: 104,
      stdout: expect.stringMatching(/Limits!E3 value/),
    })
    const kept = await shop.run('test', 'shrink', 'bad.sennit.yaml', '--out', 'fine.sennit.yaml')
    expect(kept).toMatchObject({ code: 2, stderr: expect.stringMatching(/--force replaces it/) })
  })
})
