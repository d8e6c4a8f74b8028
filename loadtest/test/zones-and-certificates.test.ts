// Machines that are not as they should be: clocks of a zone that are wrong, certificates that have ended, relays with settings of their own.
import { describe, expect, test } from 'vitest'
import { runTest, type TestSheets } from '../src/index.ts'
import type { RunResult } from '../src/verdict/index.ts'
import { errorsOf, planOf } from './fixtures/sheets.ts'

const run = async (more: TestSheets): Promise<RunResult> =>
  await runTest({ Run: { duration: '20s', warmup: '1s' }, Relays: [{ relay: 'r1' }, { relay: 'r2' }], ...more })

const four = { client: 'c-{n}', count: 4, rate: '20/s' }

describe('clocks of a zone', () => {
  const zones = (eu: Record<string, string>): TestSheets => ({
    Zones: [{ zone: 'eu', ...eu }, { zone: 'us' }],
    Relays: [
      { relay: 'r1', zone: 'us' },
      { relay: 'r2', zone: 'us' },
    ],
    Clients: [
      { ...four, zone: 'eu' },
      { client: 'd-{n}', count: 2, rate: '20/s', zone: 'us' },
    ],
  })

  test('an hour off, and drifting, nobody is disturbed', async () => {
    const result = await run(zones({ clock_offset: '-1h', clock_drift: '0.5%' }))
    expect(result.reasons).toEqual([])
    expect(result.plan.zones).toEqual([
      { zone: 'eu', label: '', clockOffsetMs: -3_600_000, clockDrift: 0.005 },
      { zone: 'us', label: '' },
    ])
    expect(result.summary.integrity.messages).toBeGreaterThan(2_200)
  })

  test('two years ahead, the certificates of the mesh have ended for the clients of the zone, and for nobody else', async () => {
    const result = await run(zones({ clock_offset: '17520h' }))
    expect(result.summary.clients).toMatchObject({ attached: 2, rejected: 4 })
  })

  test('what nobody could set, or means, is wrong', () => {
    const sheets = (zone: (string | number)[], relay: string[] = ['r1', 'eu', '', 'yes']): string[] =>
      errorsOf({
        Zones: [
          ['zone', 'clock_offset', 'clock_drift'],
          ['eu', ...zone],
        ],
        Relays: [['relay', 'zone', 'url', 'managed'], relay],
        Clients: [['client'], ['a'], ['b']],
      })
    expect(sheets(['1h', 0])).toEqual([])
    expect(sheets(['soon', '0%'])[0]).toMatch(/Zones!B2 clock_offset: expected a duration with or without a sign.*W102/)
    expect(sheets(['0ms', '30%'])[0]).toMatch(/Zones!C2 clock_drift: expected from -10% to 10%.*W105/)
    expect(sheets(['99999h', '0%'])[0]).toMatch(/clock_offset: expected at most 10 years/)
    expect(sheets(['1h', '0%'], ['r1', 'eu', 'http://relay.example:80', 'no'])[0]).toMatch(
      /Relays!B2 zone: expected a zone whose clocks are right/,
    )
  })
})

describe('cert_expired', () => {
  test('a relay whose certificate has ended serves nobody until it has a new one, and loses nobody a byte', async () => {
    const result = await run({
      Clients: [four],
      Faults: [{ fault: 'F1', when: 'at(5s)', duration: '5s', target: 'relay:r1', action: 'cert_expired' }],
    })
    expect(result.reasons).toEqual([])
    const [row] = result.faultLog
    expect(row!.receipt).toContain('a certificate that ended a minute ago')
    expect(row!.healReceipt).toContain('a certificate that holds')
  })

  test('alone in the mesh it takes everybody with it, and is taken again when it is renewed', async () => {
    const result = await run({
      Relays: [{ relay: 'r1' }],
      Clients: [four],
      Faults: [{ fault: 'F1', when: 'at(5s)', duration: '5s', target: 'relay:r1', action: 'cert_expired', expect: 'outage' }],
    })
    expect(result.reasons).toEqual([])
    const arrived = new Map(result.timeline.map(({ second, messages }) => [second, messages]))
    expect([arrived.get(8), arrived.get(9), arrived.get(15)]).toEqual([0, 0, 80])
  })

  test('a client whose certificate ends is taken by no relay any more; its peer is', async () => {
    const result = await run({
      Run: { duration: '25s', warmup: '1s' },
      Clients: [
        { client: 'a', rate: '10/s', inject: 'at(5s):cert_expired', expect: 'disconnected' },
        { client: 'b', rate: '10/s' },
        { client: 'c', rate: '10/s' },
        { client: 'd', rate: '10/s' },
      ],
    })
    expect(result.reasons).toEqual([])
    expect(result.summary.integrity).toMatchObject({ lost: 0 })
    expect(result.summary.integrity.unknown).toBeGreaterThan(0)
  })

  test('from the start, it is rejected', async () => {
    const result = await run({
      Clients: [
        { ...four, peer: 'echo' },
        { client: 'late', peer: 'c-1', inject: 'at(0s):cert_expired', expect: 'rejected' },
      ],
    })
    expect(result.reasons).toEqual([])
    expect(result.summary.clients.rejected).toBe(1)
  })
})

describe('Relays.config', () => {
  test('its limits hold', async () => {
    const clients = { Clients: [four] }
    const free = await run({ ...clients, Relays: [{ relay: 'r1' }] })
    expect(free.summary.clients).toMatchObject({ attached: 4, rejected: 0 })
    const full = await run({ ...clients, Relays: [{ relay: 'r1', config: 'limits.attachments = 2' }] })
    expect(full.summary.clients).toMatchObject({ attached: 2, rejected: 2 })
  })

  test('is read in the words of relay.toml', () => {
    const plan = planOf({
      Relays: [
        ['relay', 'config'],
        ['r1', 'limits.memory_bytes = 64MiB; limits.write_stall_ms=3s; traits.region = eu; traits.price = 2.5'],
        ['r2', ''],
      ],
      Clients: [['client'], ['a'], ['b']],
    })
    expect(plan.relays[0]!.config).toEqual({
      limits: { memory_bytes: 67_108_864, write_stall_ms: 3_000 },
      traits: { region: 'eu', price: 2.5 },
    })
    expect(plan.relays[1]).not.toHaveProperty('config')
  })

  test.each([
    ['limits.attachment = 2', 'expected settings of relay.toml such as limits.attachments = 100.*Nearest: limits.attachments'],
    ['limits.attachments = many', 'expected limits.attachments = a whole number'],
    ['limits.attachments', 'expected limits.attachments = a whole number'],
    ['limits.attachments = 0', 'expected limits.attachments'],
    ['limits.attachments = 1; limits.attachments = 2', 'expected each setting once'],
    ['traits.uptime = 2', 'expected traits.uptime = a share from 0 to 1'],
    ['listen = 0.0.0.0:80', 'expected settings of relay.toml'],
    ['limits.__proto__ = 1', 'expected settings of relay.toml'],
  ])('%s is wrong', (config, expected) => {
    const found = errorsOf({
      Relays: [
        ['relay', 'config'],
        ['r1', config],
      ],
      Clients: [['client'], ['a'], ['b']],
    })
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(new RegExp(`^Relays!B2 config: .*${expected}`))
  })
})

describe('weight', () => {
  const firsts = (weights: (number | string)[]): Map<string, number> => {
    const plan = planOf({
      Relays: [['relay', 'weight'], ...weights.map((weight, i) => [`r${i + 1}`, weight])],
      Clients: [
        ['client', 'count', 'relays'],
        ['c', 1_000, 'random'],
      ],
    })
    const count = new Map<string, number>()
    for (const { relays } of plan.clients) count.set(relays[0]!, (count.get(relays[0]!) ?? 0) + 1)
    return count
  }

  test('says how often relays = random puts a relay first', () => {
    const count = firsts([3, 1, 0])
    expect(count.get('r1')).toBeGreaterThan(700)
    expect(count.get('r1')).toBeLessThan(800)
    expect(count.get('r3')).toBeUndefined()
  })
})

test('a proxy is refused in the simulated world, which has none', async () => {
  await expect(run({ Clients: [{ ...four, proxy: 'http://127.0.0.1:3128' }] })).rejects.toThrow(
    /client c-1 goes through a proxy.*run it live/,
  )
})
