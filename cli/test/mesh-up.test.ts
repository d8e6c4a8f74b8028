// The life of `sennit mesh up`: what it prints, how relays die under it, and that nothing outlives it.
import { readdirSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { allGone, type RelayRow } from './mesh.ts'
import { type Program, workshopForEach } from './program.ts'

const shop = workshopForEach()

function meshUp(...more: string[]): Program {
  return shop.sennit('mesh', 'up', '--dir', 'mesh', '--json', ...more)
}

async function relaysOf(up: Program): Promise<RelayRow[]> {
  return (await up.ready()).relays as RelayRow[]
}

describe('mesh up', { timeout: 60_000 }, () => {
  it('prints one ready line, tells of a relay that dies, ends all on SIGINT with a frozen one among them, and keeps ports for life', async () => {
    const up = meshUp()
    const relays = await relaysOf(up)
    expect(await up.ready()).toEqual({ ready: true, dir: 'mesh', relays: expect.anything() })
    expect(relays.map((relay) => relay.id)).toEqual(['r1', 'r2', 'r3'])
    for (const relay of relays) {
      expect(Object.keys(relay)).toEqual(['id', 'url', 'pid', 'adminUrl'])
      const health = await fetch(`${relay.adminUrl}/healthz`)
      expect(health.status).toBe(200)
      await health.text()
    }
    process.kill(relays[0]!.pid, 'SIGKILL')
    const death = await up.line((line) => line.exited === true)
    expect(death).toMatchObject({ relay: 'r1', pid: relays[0]!.pid, code: null, signal: 'SIGKILL' })
    expect(up.json).toHaveLength(2)
    const back = shop.sennit('relay', '--config', 'mesh/relays/r1.toml', '--json')
    expect(await back.ready()).toMatchObject({ id: 'r1', url: relays[0]!.url, adminUrl: relays[0]!.adminUrl, pid: back.pid })
    expect(await back.stop()).toEqual({ code: 0, signal: null })

    process.kill(relays[1]!.pid, 'SIGSTOP')
    const startedMs = performance.now()
    expect(await up.stop('SIGINT')).toEqual({ code: 0, signal: null })
    expect(performance.now() - startedMs).toBeLessThan(5_000)
    await allGone(
      relays.map((relay) => relay.pid),
      0,
    )
    expect(readdirSync(shop.path('mesh/run'))).toEqual([])

    const again = meshUp()
    expect((await relaysOf(again)).map((relay) => relay.url)).toEqual(relays.map((relay) => relay.url))
    expect(await again.stop('SIGTERM')).toEqual({ code: 0, signal: null })
  })

  it('takes its relays along when it is killed itself, frozen ones too', async () => {
    // Without setpriv on the PATH, as on systems whose kernel kills no children: its guard has to.
    const up = shop.program(process.execPath, [shop.bin, 'mesh', 'up', '--dir', 'mesh', '--json', '--relays', '2'], { PATH: shop.dir })
    const relays = await relaysOf(up)
    process.kill(relays[0]!.pid, 'SIGSTOP')
    up.signal('SIGKILL')
    await up.end()
    await allGone(
      relays.map((relay) => relay.pid),
      5_000,
    )
  })

  it('drains a relay on SIGTERM and ends it with 0', async () => {
    const made = await shop.run('mesh', 'init', 'mesh', '--relays', '1', '--json')
    expect(made.code).toBe(0)
    const relay = shop.sennit('relay', '--config', 'mesh/relays/r1.toml', '--json')
    await relay.ready()
    expect(await relay.stop('SIGTERM')).toEqual({ code: 0, signal: null })
  })

  it('says what is wrong with a directory, a count or a port, and gives 2', async () => {
    const made = await shop.run('mesh', 'init', 'mesh', '--relays', '2', '--json')
    const [first] = (made.json[0]?.relays ?? []) as RelayRow[]
    expect(statSync(shop.path('mesh/issuers/user.key')).mode & 0o777).toBe(0o600)
    const again = await shop.run('mesh', 'init', 'mesh')
    expect(again).toMatchObject({ code: 2, stdout: '' })
    expect(again.stderr).toMatch(/expected mesh to be missing or empty; found \d+ entries/)
    const otherCount = await shop.run('mesh', 'up', '--dir', 'mesh', '--relays', '5')
    expect(otherCount.code).toBe(2)
    expect(otherCount.stderr).toMatch(/expected --relays 2 or none.*found --relays 5/)
    for (const wrong of ['0', 'many', '1000']) {
      const refused = await shop.run('mesh', 'up', '--dir', 'new', '--relays', wrong)
      expect(refused.code).toBe(2)
      expect(refused.stderr).toMatch(/--relays: expected a whole number from 1 to 64/)
    }
    const notMesh = await shop.run('mesh', 'up', '--dir', '.')
    expect(notMesh.code).toBe(2)
    expect(notMesh.stderr).toMatch(/without mesh.json/)

    const squatter = createServer()
    await new Promise<void>((done) => squatter.listen(Number(new URL(first!.url).port), '127.0.0.1', done))
    shop.onEnd(() => new Promise((done) => squatter.close(() => done())))
    const clash = meshUp()
    expect(await clash.end()).toEqual({ code: 2, signal: null })
    expect(clash.stdout).toBe('')
    expect(clash.stderr).toMatch(/relay r1 cannot listen: .*EADDRINUSE/)
    expect(clash.stderr).toMatch(/r1\.toml ended before it was ready/)
  })
})
