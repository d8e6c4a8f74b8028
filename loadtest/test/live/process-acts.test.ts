import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, utimesSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client, type ClientOptions } from '@sennit/client'
import { addUser, freePorts, initMesh, readMeshTrust, readRelayList } from '@sennit/protocol/node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { credentialThatEnds } from '../../src/live/ended-certificate.ts'
import { rightClock } from '../../src/live/false-clock.ts'
import { Guard } from '../../src/live/guard.ts'
import { doProcessAct } from '../../src/live/process-acts.ts'
import { RelayFleet } from '../../src/live/relay-fleet.ts'
import { openRelays } from '../../src/live/run-relays.ts'
import type { FaultAct } from '../../src/plan.ts'
import { planOf } from '../fixtures/sheets.ts'

const program = fileURLToPath(new URL('../../../cli/bin/sennit.mjs', import.meta.url))
let dir: string
let fleet: RelayFleet
let zoneClock = rightClock
const logs: { event?: string; time: number }[] = []

beforeAll(async () => {
  dir = join(mkdtempSync(join(tmpdir(), 'sennit-acts-')), 'mesh')
  const [port, admin] = await freePorts(2)
  await initMesh(dir, {
    nowMs: Date.now() - 24 * 3_600_000,
    relays: [{ relayId: 'r1', url: `http://127.0.0.1:${port}`, listen: `127.0.0.1:${port}`, admin: `127.0.0.1:${admin}` }],
  })
  fleet = new RelayFleet({
    relayCommand: [process.execPath, program, 'relay'],
    meshDir: dir,
    guard: new Guard(''),
    relayIds: ['r1'],
    clocks: true,
    clockOf: () => zoneClock,
    drainMs: 200,
    onLog: (_relay, line) => logs.push(JSON.parse(line)),
  })
  await fleet.startAll()
})

afterAll(async () => {
  await fleet.end()
  rmSync(join(dir, '..'), { recursive: true, force: true })
})

const pid = (): number => fleet.pid('r1')!
const act = (action: FaultAct['action'], more: Partial<FaultAct> = {}): FaultAct => ({
  act: 0,
  fault: 'F1',
  action,
  target: { kind: 'relay', relay: 'r1' },
  atMs: 0,
  durationMs: 1_000,
  heal: 'auto',
  latencyMs: 0,
  jitterMs: 0,
  direction: 'both',
  corruptOneIn: 0,
  expect: 'survive',
  ...more,
})
const done = (action: FaultAct['action'], more: Partial<FaultAct> = {}): ReturnType<typeof doProcessAct> =>
  doProcessAct({ act: act(action, more), relay: 'r1', fleet, now: () => performance.now() })

/** `T` is a process that was stopped. */
const state = (): string => readFileSync(`/proc/${pid()}/stat`, 'utf8').split(') ').at(-1)!.slice(0, 1)
const limit = (name: string): string =>
  readFileSync(`/proc/${pid()}/limits`, 'utf8')
    .split('\n')
    .find((line) => line.startsWith(name))!
    .slice(name.length)
    .trim()
    .split(/\s+/)[0]!

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 8_000
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`expected ${what} within 8 s`)
    await new Promise((go) => setTimeout(go, 5))
  }
}

/** Whether the relay answers an ordinary request. */
async function answers(): Promise<boolean> {
  const { urls } = readRelayList(join(dir, 'relays.list'), readMeshTrust(join(dir, 'mesh.json'))).relays[0]!
  return await new Promise((tell) => {
    get(urls[0]!, { agent: false }, (response) => {
      response.resume()
      tell(true)
    }).on('error', () => tell(false))
  })
}

describe.skipIf(!existsSync('/proc/self/limits'))('an act on a relay process', () => {
  test('pause stops it, and healing lets it go on', async () => {
    const { heal } = await done('pause')
    await until('a stopped process', () => state() === 'T')
    expect(await heal()).toContain('SIGCONT')
    await until('a running process', () => state() !== 'T')
  })

  test('cpu_hog stops it again and again, and leaves it running', async () => {
    const { heal } = await done('cpu_hog', { share: 0.5, downMs: 40 })
    for (let turn = 0; turn < 3; turn++) {
      await until('a stopped process', () => state() === 'T')
      await until('a running process', () => state() !== 'T')
    }
    expect(await heal()).toMatch(/runs freely after [3-9]\d* stops/)
    expect(state()).not.toBe('T')
  })

  test('fd_exhaust leaves no descriptor for a new connection, and healing gives the limit back', async () => {
    const before = limit('Max open files')
    const descriptors = (): number => readdirSync(`/proc/${pid()}/fd`).length
    const atRest = descriptors()
    expect(await answers()).toBe(true)
    // The descriptor of that answer must not be the one that is free later.
    await until('the answered connection to be closed', () => descriptors() <= atRest)
    const { heal } = await done('fd_exhaust')
    expect(Number(limit('Max open files'))).toBeLessThanOrEqual(readdirSync(`/proc/${pid()}/fd`).length)
    await until('no answer', async () => !(await answers()))
    await heal()
    expect(limit('Max open files')).toBe(before)
    await until('an answer', answers)
  })

  test('disk_full lets it write to no file, which a relay does not need', async () => {
    const before = limit('Max file size')
    const { heal } = await done('disk_full')
    expect(limit('Max file size')).toBe('0')
    expect(await answers()).toBe(true)
    // Nothing that a relay has open is a file on a disk.
    const open = readdirSync(`/proc/${pid()}/fd`).map((fd) => readlinkSync(`/proc/${pid()}/fd/${fd}`))
    expect(open.filter((name) => name.startsWith(join(dir, '..')))).toEqual([])
    await heal()
    expect(limit('Max file size')).toBe(before)
  })

  test('clock_offset moves the date that it logs, by an hour and back', async () => {
    const { heal } = await done('clock_offset', { offsetMs: 3_600_000 })
    const logged = async (): Promise<number> => {
      const seen = logs.length
      await until('a line of log', async () => {
        // A list that changes is logged.
        utimesSync(join(dir, 'users.list'), new Date(), new Date())
        return logs.length > seen
      })
      return logs.at(-1)!.time - Date.now()
    }
    expect(Math.abs((await logged()) - 3_600_000)).toBeLessThan(10_000)
    await heal()
    expect(Math.abs(await logged())).toBeLessThan(10_000)
  })

  test('clock_offset with a new start begins its life at the wrong time', async () => {
    const before = pid()
    const { heal } = await done('clock_offset', { offsetMs: -3_600_000, how: 'restart' })
    expect(pid()).not.toBe(before)
    // A relay answers before its log has come through the pipe.
    const begunAt = (offsetMs: number): Promise<void> =>
      until(`a start at an offset of ${offsetMs} ms`, async () => {
        const begun = logs.findLast(({ event }) => event === 'listening')!
        return Math.abs(begun.time - Date.now() - offsetMs) < 10_000
      })
    await begunAt(-3_600_000)
    await heal()
    await begunAt(0)
  })

  test('restart with a new key gives it another key, and the list says so', async () => {
    const key = (): string =>
      Buffer.from(readRelayList(join(dir, 'relays.list'), readMeshTrust(join(dir, 'mesh.json'))).relays[0]!.key!).toString('hex')
    const [keyBefore, pidBefore] = [key(), pid()]
    const { heal, atOnce } = await done('restart', { how: 'new_key' })
    expect(atOnce).toBe(true)
    await heal()
    expect(key()).not.toBe(keyBefore)
    expect(pid()).not.toBe(pidBefore)
    expect(await answers()).toBe(true)
  })

  test('kill ends it, and healing starts it again', async () => {
    const before = pid()
    const { heal } = await done('kill')
    expect(fleet.isRunning('r1')).toBe(false)
    await heal()
    expect(pid()).not.toBe(before)
  })

  test('cert_expired makes it a relay that clients refuse, and healing one that they take', async () => {
    const credential = await addUser(dir, 'ann', { nowMs: Date.now() - 24 * 3_600_000 })
    const open = async (more: Partial<ClientOptions> = {}): Promise<string> => {
      const relays = readRelayList(join(dir, 'relays.list'), readMeshTrust(join(dir, 'mesh.json'))).relays
      try {
        const client = await Client.open({ credential, relays, openMs: 4_000, ...more })
        await client.close()
        return 'open'
      } catch (error) {
        return String((error as { code?: unknown }).code)
      }
    }
    await until('a client that is let in', async () => (await open()) === 'open')
    const { receipt, heal } = await done('cert_expired')
    expect(receipt).toContain('r1 has a certificate that ended')
    expect(await open()).toBe('certificate_expired')
    expect(await heal()).toContain('a certificate that holds')
    expect(await open()).toBe('open')
    // The same from the other side: by its own clock, or by that of the relay.
    expect(await open({ now: () => Date.now() + 2 * 366 * 24 * 3_600_000 })).toBe('certificate_expired')
    expect(await open({ credential: credentialThatEnds(dir, credential, Date.now() - 1) })).toBe('certificate_expired')
  })

  test('the clock of its zone is there from its start, under those of acts, and after them', async () => {
    const ahead = (): number => logs.findLast(({ event }) => event === 'listening')!.time - Date.now()
    const near = (minutes: number): Promise<void> =>
      until(`a start ${minutes} minutes ahead`, () => Math.abs(ahead() - minutes * 60_000) < 20_000)
    zoneClock = { offsetMs: 600_000, drift: 0 }
    await (await done('restart')).heal()
    await near(10)
    const { heal } = await done('clock_offset', { offsetMs: 1_800_000, how: 'restart' })
    await near(40)
    await heal()
    await near(10)
    zoneClock = rightClock
  })

  test('relays that read other files than those of the mesh directory are found out before the run, with what to do', async () => {
    const copy = join(dir, '..', 'copy')
    cpSync(dir, copy, { recursive: true })
    const plan = planOf({ Relays: [['relay'], ['r1']], Clients: [['client'], ['stranger'], ['other']] })
    const opening = openRelays({ plan, relayCommand: [], meshDir: copy })
    await expect(opening).rejects.toThrow(
      /expected relays that know the users of .*copy; found that r1 never heard of user stranger, one of 2 that were just added\. Give the directory/,
    )
  })
})
