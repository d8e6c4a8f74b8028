import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { actionNames, faultActions } from '../src/fault-actions.ts'
import { networkScript, ruleOf } from '../src/network-script.ts'
import type { FaultAct } from '../src/plan.ts'
import { type Cell, errorsOf, planOf, type Sheets } from './fixtures/sheets.ts'

const four: Sheets = {
  Zones: [['zone'], ['eu'], ['us']],
  Relays: [
    ['relay', 'zone'],
    ['r1', 'eu'],
    ['r2', 'us'],
  ],
  Clients: [
    ['client', 'zone', 'tags', 'bind'],
    ['cam-1', 'eu', 'iot', ''],
    ['cam-2', 'eu', 'iot', ''],
    ['phone-1', 'us', '', ''],
    ['phone-2', 'us', 'iot', ''],
    ['many', 'eu', '', '127.0.0.2,127.0.0.3'],
    ['more', 'eu', '', '127.0.0.4,127.0.0.5'],
  ],
}

const needed: Partial<Record<FaultAct['action'], string>> = {
  latency: '20ms',
  bandwidth: '1MB/s',
  limit_data: '1MiB',
  clock_offset: '1h',
  clock_drift: '1%',
}

function sheets(row: Record<string, Cell>): Sheets {
  return { ...four, Faults: [Object.keys(row), Object.values(row)] }
}

function act(row: Record<string, Cell>): FaultAct {
  return planOf(sheets({ fault: 'F1', when: 'at(10s)', ...row })).acts[0]!
}

describe('every action', () => {
  it.each(actionNames)('%s is read with its defaults, lasts as its table says, and stands in the documentation', (action) => {
    const { family, durationMs } = faultActions[action]
    const target = family === 'client' || family === 'misbehaviour' ? 'client:*' : action === 'partition' ? 'zone:eu' : 'relay:r1'
    expect(act({ target, action, p1: needed[action] ?? '' })).toMatchObject({ action, durationMs, atMs: 10_000 })
    expect(readFileSync(new URL('../../docs/faults.md', import.meta.url), 'utf8')).toContain(`\`${action}\``)
  })

  it.each(actionNames.filter((action) => faultActions[action].family === 'network'))(
    '%s of the network does something to a link',
    (action) => {
      const planned = act({ target: 'zone:eu', action, p1: needed[action] ?? '' })
      const steps = networkScript(planned, 3, () => 0.5)
      expect(steps.length).toBeGreaterThan(0)
      if (steps.some((step) => step.do === 'apply')) expect(ruleOf(planned)).toBeDefined()
    },
  )
})

describe('whom a fault hits', () => {
  it.each<[string, Record<string, Cell>, unknown]>([
    [
      'clients by pattern',
      { target: 'client:cam-*', action: 'blackhole' },
      { kind: 'clients', clients: ['cam-1', 'cam-2'], name: 'client:cam-*' },
    ],
    [
      'clients by tag',
      { target: 'tag:iot', action: 'nat_rebind' },
      { kind: 'clients', clients: ['cam-1', 'cam-2', 'phone-2'], name: 'tag:iot' },
    ],
    [
      'the clients of a zone',
      { target: 'zone:us', action: 'sleep' },
      { kind: 'clients', clients: ['phone-1', 'phone-2'], name: 'zone:us' },
    ],
    [
      'one link of a client',
      { target: 'client:many/link:2', action: 'cut' },
      { kind: 'clients', clients: ['many'], name: 'client:many/link:2', link: 2 },
    ],
    ['the links of a zone', { target: 'zone:us', action: 'cut' }, { kind: 'zone', zone: 'us' }],
    ['one way between zones', { target: 'link:eu>us', action: 'partition' }, { kind: 'link', from: 'eu', to: 'us' }],
  ])('%s', (_what, row, target) => {
    expect(act(row).target).toEqual(target)
  })

  it('one of several, the same for the same seed', () => {
    const first = act({ target: 'relay:*', action: 'isolate_one' })
    expect(act({ target: 'relay:*', action: 'isolate_one' })).toEqual(first)
    expect(planOf(sheets({ fault: 'F1', target: 'relay:*', action: 'isolate_one' })).acts).toHaveLength(1)
    const drawn = act({ target: 'one(client:*)', action: 'cut' }).target
    expect(drawn.kind === 'clients' && drawn.clients).toHaveLength(1)
  })

  it.each<[string, Record<string, Cell>, string]>([
    ['a client that is not there', { target: 'client:cxm-1', action: 'cut' }, 'no enabled client is in it. Nearest: client:cam-1'],
    ['the process of a client', { target: 'client:cam-1', action: 'kill' }, 'expected a relay or a zone (kill is done to a relay)'],
    [
      'the sleep of a relay',
      { target: 'relay:r1', action: 'sleep' },
      'expected clients, a tag or a zone with clients (sleep is done to a client)',
    ],
    [
      'a link that a client does not have',
      { target: 'client:many/link:3', action: 'cut' },
      'expected the number of an address in the bind of each of them; found "client:many/link:3", client many (Clients row 6) has 2 in its bind',
    ],
    [
      'a second link of who has one',
      { target: 'tag:iot/link:2', action: 'cut' },
      'client cam-1 (Clients row 2) has no bind, and so one link',
    ],
    [
      'a link of a client that sleeps',
      { target: 'client:many/link:2', action: 'sleep' },
      'expected clients without /link (sleep is done to a client',
    ],
    [
      'a link of a machine that loses its power',
      { target: 'client:many/link:1', action: 'vanish' },
      'expected clients without /link (vanish',
    ],
    ['a link of a relay', { target: 'relay:r1/link:2', action: 'cut' }, 'client:c1/link:2'],
    ['a link that is no number', { target: 'client:many/link:0', action: 'cut' }, 'client:c1/link:2'],
    ['a partition of one relay', { target: 'relay:r1', action: 'partition' }, 'use blackhole or isolate_one for a relay'],
  ])('and never %s', (_what, row, text) => {
    const errors = errorsOf(sheets({ fault: 'F1', ...row }))
    expect(errors).toHaveLength(1)
    expect(errors[0]).toContain(text)
  })
})

describe('what p1 to p4 say', () => {
  it.each<[Record<string, Cell>, Partial<FaultAct>]>([
    [
      { action: 'reset_peer', p1: '5s' },
      { everyMs: 5_000, durationMs: 15_000 },
    ],
    [
      { action: 'flap', p1: '1s', p2: '3s', p3: 'cut' },
      { downMs: 1_000, upMs: 3_000, how: 'cut' },
    ],
    [
      { action: 'loss', p1: '5%' },
      { share: 0.05, delayMs: 200 },
    ],
    [{ action: 'corrupt', p1: '1MB' }, { corruptOneIn: 1_000_000 }],
    [{ action: 'corrupt', p1: '0.01%' }, { corruptOneIn: 10_000 }],
    [
      { action: 'clock_offset', p1: '-1h', p2: 'restart' },
      { offsetMs: -3_600_000, how: 'restart' },
    ],
    [{ action: 'clock_drift', p1: '-0.5%' }, { drift: -0.005 }],
    [{ action: 'restart', p1: 'new_key' }, { how: 'new_key' }],
    [{ action: 'mtu', p1: '576' }, { bytes: 576 }],
    [
      { action: 'cpu_hog', p1: '50%', p2: '40ms' },
      { share: 0.5, downMs: 40 },
    ],
  ])('%j', (row, expected) => {
    expect(act({ target: 'relay:r1', ...row })).toMatchObject(expected)
  })

  it.each<[Record<string, Cell>, string]>([
    [{ action: 'bandwidth' }, 'p1: expected a bandwidth such as 64kbit/s or 1.5MB/s; found nothing'],
    [{ action: 'flap', p3: 'vanish' }, 'p3: expected one of hold, cut; found "vanish"'],
    [{ action: 'clock_offset', p1: 'an hour' }, 'p1: expected a duration with or without a sign, such as +1h or -30s'],
    [{ action: 'cut', p1: '5s' }, 'p1: expected nothing (cut has no parameters)'],
    [{ action: 'captiv' }, 'Did you mean captive?'],
  ])('%j is refused in words', (row, text) => {
    const errors = errorsOf(sheets({ fault: 'F1', target: 'relay:r1', ...row }))
    expect(errors.join('\n')).toContain(text)
  })
})

describe('the script of an act', () => {
  const script = (row: Record<string, Cell>, links = 1): string[] =>
    networkScript(act({ target: 'relay:r1', ...row }), links, () => 0.5).map((step) => `${step.afterMs} ${step.do}`)

  it.each<[Record<string, Cell>, string[]]>([
    [{ action: 'cut' }, ['0 apply', '0 reset']],
    [{ action: 'reset_peer' }, ['0 reset']],
    [{ action: 'reset_peer', p1: '1s', duration: '3s' }, ['0 reset', '1000 reset', '2000 reset']],
    [{ action: 'flap', duration: '8s' }, ['0 apply', '2000 lift', '4000 apply', '6000 lift']],
    [{ action: 'nat_rebind' }, ['0 rebind']],
    [{ action: 'blackhole' }, ['0 apply']],
  ])('%j', (row, steps) => {
    expect(script(row)).toEqual(steps)
  })

  it('of swizzle_clog stops every link in its first half and frees each in its second', () => {
    const steps = networkScript(act({ target: 'zone:eu', action: 'swizzle_clog', duration: '10s' }), 3, Math.random)
    expect(steps.filter((step) => step.do === 'apply' && step.afterMs <= 5_000)).toHaveLength(3)
    expect(steps.filter((step) => step.do === 'lift' && step.afterMs >= 5_000)).toHaveLength(3)
  })
})
